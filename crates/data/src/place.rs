//! Paths of pictures: relative to the data root, inside it, and there.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::archive::{Archive, is_archive, name_within};
use crate::scan::Kind;
use crate::{DataError, ImageSource, Packed};

/// The folder below which all pictures must lie.
#[derive(Debug)]
pub(crate) struct Place {
    root: PathBuf,
    /// With every link resolved.
    real: PathBuf,
    /// The archives that were opened, or what is wrong with them.
    archives: Mutex<BTreeMap<PathBuf, Result<Arc<Archive>, String>>>,
}

impl Place {
    /// `root` must be an existing folder.
    pub(crate) fn new(root: &Path) -> Result<Self, DataError> {
        let real = root
            .canonicalize()
            .map_err(DataError::io(root, "name a folder that holds the pictures"))?;
        Ok(Self { root: root.to_owned(), real, archives: Mutex::default() })
    }

    /// The picture at `relative`, or what is wrong with it, in words. With `needed` false it may
    /// be missing; it may never lie outside.
    pub(crate) fn picture(
        &self,
        relative: &str,
        needed: bool,
    ) -> Result<ImageSource, (Kind, String)> {
        let outside = |why: &str| {
            let problem = format!(
                "the picture `{relative}` {why}; write its path relative to {} and inside it",
                self.root.display()
            );
            (Kind::OutsidePicture, problem)
        };
        let path = Path::new(relative);
        for component in path.components() {
            match component {
                Component::Normal(_) | Component::CurDir => {}
                Component::ParentDir => return Err(outside("has `..` in its path")),
                Component::RootDir | Component::Prefix(_) => {
                    return Err(outside("has an absolute path"));
                }
            }
        }
        if needed && let Some((archive, name)) = self.archive_of(path) {
            let real = archive.canonicalize();
            if real.is_ok_and(|real| !real.starts_with(&self.real)) {
                return Err(outside("is a link that leads out of the data folder"));
            }
            return self.entry(&archive, &name, relative);
        }
        let full = self.root.join(path);
        match full.canonicalize() {
            Ok(real) if !real.starts_with(&self.real) => {
                Err(outside("is a link that leads out of the data folder"))
            }
            Ok(real) if needed && !real.is_file() => {
                Err((Kind::MissingPicture, format!("the picture `{relative}` is not a file")))
            }
            Err(error) if needed => {
                let why = match error.kind() {
                    io::ErrorKind::NotFound => "is missing".to_owned(),
                    _ => format!("cannot be read ({error})"),
                };
                let place = full.display();
                let problem = format!(
                    "the picture `{relative}` {why}; put it at {place}, or leave such rows out \
                     with `--on-bad-item skip`"
                );
                Err((Kind::MissingPicture, problem))
            }
            Ok(_) | Err(_) => Ok(ImageSource::File(full)),
        }
    }

    /// The archive that a path leads into, and the rest of the path.
    fn archive_of(&self, path: &Path) -> Option<(PathBuf, String)> {
        let mut above = PathBuf::new();
        let mut rest = path.components();
        while let Some(component) = rest.next() {
            above.push(component);
            if is_archive(&above) {
                let name = name_within(rest.as_path())?;
                let archive = self.root.join(&above);
                if archive.is_file() {
                    return Some((archive, name));
                }
            }
        }
        None
    }

    /// The picture called `name` in an archive.
    fn entry(
        &self,
        archive: &Path,
        name: &str,
        relative: &str,
    ) -> Result<ImageSource, (Kind, String)> {
        // The map is whole whatever panicked elsewhere: each change is one insertion.
        let mut archives = self.archives.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = archives.entry(archive.to_owned()).or_insert_with(|| {
            Archive::open(archive).map(Arc::new).map_err(|error| error.to_string())
        });
        match opened {
            Err(problem) => Err((
                Kind::UnreadablePicture,
                format!("the picture `{relative}` lies in an archive: {problem}"),
            )),
            Ok(archive) => match archive.find(name) {
                Some(entry) => Ok(ImageSource::Packed(Packed::entry(archive, name, entry))),
                None => Err((
                    Kind::MissingPicture,
                    format!(
                        "the picture `{relative}` is missing: {} has no file `{name}`; pack it \
                         anew, or leave such rows out with `--on-bad-item skip`",
                        archive.path().display()
                    ),
                )),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Folder;

    #[test]
    fn only_files_below_the_root_are_pictures() {
        let folder = Folder::with(&[("root/img/a.png", "x"), ("secret.png", "x")]);
        let root = folder.path().join("root");
        let place = Place::new(&root).unwrap();
        assert_eq!(place.picture("img/a.png", true), Ok(ImageSource::File(root.join("img/a.png"))));
        assert!(place.picture("./img/a.png", true).is_ok());
        for (path, kind) in [
            ("../secret.png", Kind::OutsidePicture),
            ("img/../img/a.png", Kind::OutsidePicture),
            ("/etc/passwd", Kind::OutsidePicture),
            ("img", Kind::MissingPicture),
            ("img/b.png", Kind::MissingPicture),
            ("img/a.png/c.png", Kind::MissingPicture),
            ("nul\0byte.png", Kind::MissingPicture),
        ] {
            assert_eq!(place.picture(path, true).unwrap_err().0, kind, "{path:?}");
            let unneeded = place.picture(path, false);
            assert_eq!(unneeded.is_err(), kind == Kind::OutsidePicture, "{path:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_may_not_lead_out() {
        let folder = Folder::with(&[("root/a.png", "x"), ("secret.png", "x")]);
        let root = folder.path().join("root");
        std::os::unix::fs::symlink("../secret.png", root.join("out.png")).unwrap();
        std::os::unix::fs::symlink("a.png", root.join("in.png")).unwrap();
        std::os::unix::fs::symlink(folder.path(), root.join("up")).unwrap();
        let place = Place::new(&root).unwrap();
        assert!(place.picture("in.png", true).is_ok());
        for path in ["out.png", "up/secret.png"] {
            for needed in [true, false] {
                let (kind, words) = place.picture(path, needed).unwrap_err();
                assert_eq!(kind, Kind::OutsidePicture);
                assert!(words.contains("is a link that leads out of the data folder"), "{words}");
            }
        }
    }
}
