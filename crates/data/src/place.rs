//! Paths of files and pictures: relative to the data root, inside it, and there.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::archive::{Archive, is_archive, name_within};
use crate::scan::Kind;
use crate::source::Source;
use crate::{DataError, ImageSource, Packed};

/// Where the files of a data set lie: a folder below which all must be, or an archive.
#[derive(Debug)]
pub(crate) struct Place {
    root: PathBuf,
    at: At,
    /// The archives in a folder that were opened, or what is wrong with them.
    archives: Mutex<BTreeMap<PathBuf, Result<Arc<Archive>, String>>>,
}

#[derive(Debug)]
enum At {
    /// With every link resolved.
    Folder(PathBuf),
    /// With what all its names begin with.
    Archive(Arc<Archive>, String),
}

/// The way out of a missing picture that is always there.
pub(crate) const LEAVE_OUT: &str =
    "skip such rows (`--on-bad-item skip` of `mmc train` and `mmc evaluate`)";

/// What an archive is called that stands for the folder `NAME`: `NAME.zip`.
const ENDINGS: [&str; 2] = ["zip", "tar"];

impl Place {
    /// `root` must be an existing folder, or an archive.
    pub(crate) fn new(root: &Path) -> Result<Self, DataError> {
        let at = if is_archive(root) && root.is_file() {
            let archive = Archive::open(root)?;
            let below = common_folder(&archive);
            At::Archive(Arc::new(archive), below)
        } else {
            let real = root.canonicalize();
            At::Folder(real.map_err(DataError::io(root, "name a folder that holds the pictures"))?)
        };
        Ok(Self { root: root.to_owned(), at, archives: Mutex::default() })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The file of rows called `name`; in a folder that lacks it that of the archive `packed_as`, as
    /// it is published.
    pub(crate) fn file(
        &self,
        name: &str,
        packed_as: Option<&str>,
    ) -> Result<Option<Source>, DataError> {
        if let At::Archive(archive, below) = &self.at {
            return Ok(Source::within(archive, &format!("{below}{name}")));
        }
        let path = self.root.join(name);
        if path.is_file() {
            return Ok(Some(Source::file(&path)));
        }
        let Some(packed) = packed_as.map(|name| self.root.join(name)) else { return Ok(None) };
        if !packed.is_file() {
            return Ok(None);
        }
        let archive = Arc::new(Archive::open(&packed)?);
        let below = common_folder(&archive);
        Ok(Source::within(&archive, &format!("{below}{name}")))
    }

    /// Whether there is a folder called `name`, or an archive in its place.
    pub(crate) fn has_folder(&self, name: &str) -> bool {
        let holds = |archive: &Archive, folder: &str| {
            let folder = format!("{folder}/");
            archive.names().any(|name| name.starts_with(&folder))
        };
        if let At::Archive(archive, below) = &self.at {
            return holds(archive, &format!("{below}{name}"));
        }
        if self.root.join(name).is_dir() {
            return true;
        }
        let Some((path, inner)) = self.stand_in(Path::new(name)) else { return false };
        match self.opened(&path) {
            Ok(archive) => inner.iter().any(|folder| folder.is_empty() || holds(&archive, folder)),
            Err(_) => true, // what is wrong with it is said of each picture
        }
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
        let link_out = |what: &str| {
            let problem = format!(
                "the picture `{relative}` {what}; copy what it leads to in its place, or name with \
                 `--data-root` a folder that holds both"
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
        let full = self.root.join(path);
        let folder = match &self.at {
            At::Folder(folder) => folder,
            At::Archive(..) if !needed => return Ok(ImageSource::File(full)),
            At::Archive(archive, below) => {
                let name = name_within(path).unwrap_or_default();
                return entry(archive, &[format!("{below}{name}")], relative);
            }
        };
        let leads_out = |path: &Path| {
            let real = path.canonicalize();
            real.is_ok_and(|real| !real.starts_with(folder))
        };
        if needed && let Some((archive, name)) = self.archive_of(path) {
            if leads_out(&archive) {
                return Err(link_out("is a link that leads out of the data folder"));
            }
            return self.packed(&archive, &[name], relative);
        }
        if needed
            && !full.exists()
            && let Some((archive, names)) = self.stand_in(path)
        {
            if leads_out(&archive) {
                return Err(link_out("lies in an archive that is a link out of the data folder"));
            }
            return self.packed(&archive, &names, relative);
        }
        match full.canonicalize() {
            Ok(real) if !real.starts_with(folder) => {
                Err(link_out("is a link that leads out of the data folder"))
            }
            Ok(real) if needed && !real.is_file() => {
                let problem =
                    format!("the picture `{relative}` is not a file; name one, or {LEAVE_OUT}");
                Err((Kind::MissingPicture, problem))
            }
            Err(error) if needed => Err(missing(relative, &full, &error)),
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

    /// The archive beside which a folder is not needed, `NAME.zip` for the folder `NAME` in which a path
    /// begins, and what the path can be called in it: with that folder or without.
    fn stand_in(&self, path: &Path) -> Option<(PathBuf, [String; 2])> {
        let whole = name_within(path)?;
        let (top, rest) = whole.split_once('/').unwrap_or((&whole, ""));
        let mut archives = ENDINGS.iter().map(|ending| self.root.join(format!("{top}.{ending}")));
        let archive = archives.find(|archive| archive.is_file())?;
        let rest = rest.to_owned();
        Some((archive, [whole, rest]))
    }

    /// The picture called by one of these names in an archive of the folder.
    fn packed(
        &self,
        archive: &Path,
        names: &[String],
        relative: &str,
    ) -> Result<ImageSource, (Kind, String)> {
        match self.opened(archive) {
            Ok(archive) => entry(&archive, names, relative),
            Err(problem) => Err((
                Kind::UnreadablePicture,
                format!("the picture `{relative}` lies in an archive: {problem}"),
            )),
        }
    }

    /// An archive of the folder, opened once.
    fn opened(&self, archive: &Path) -> Result<Arc<Archive>, String> {
        // The map is whole whatever panicked elsewhere: each change is one insertion.
        let mut archives = self.archives.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = archives.entry(archive.to_owned()).or_insert_with(|| {
            Archive::open(archive).map(Arc::new).map_err(|error| error.to_string())
        });
        opened.clone()
    }
}

/// What to say of a picture that is not at `full`, where it belongs.
fn missing(relative: &str, full: &Path, error: &io::Error) -> (Kind, String) {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "is missing".to_owned(),
        _ => format!("cannot be read ({error})"),
    };
    let remedy = if relative.contains("://") {
        "download it and write the path of its file".to_owned()
    } else if relative.contains('\\') && !cfg!(windows) {
        "write `/` between its folders, from the data folder on".to_owned()
    } else {
        format!("put it at {}", full.display())
    };
    let problem = format!("the picture `{relative}` {why}; {remedy}, or {LEAVE_OUT}");
    (Kind::MissingPicture, problem)
}

/// The picture called by one of these names.
fn entry(
    archive: &Arc<Archive>,
    names: &[String],
    relative: &str,
) -> Result<ImageSource, (Kind, String)> {
    let found = names.iter().find_map(|name| Some((name, archive.find(name)?)));
    if let Some((name, entry)) = found {
        return Ok(ImageSource::Packed(Packed::entry(archive, name, entry)));
    }
    let name = names.first().map_or("", String::as_str);
    let problem = format!(
        "the picture `{relative}` is missing: {} has no file `{name}`; pack it anew, or {LEAVE_OUT}",
        archive.path().display()
    );
    Err((Kind::MissingPicture, problem))
}

/// The folders that hold all of an archive, each in the one before: what a download is often packed in.
/// Hidden files and what macOS adds do not count.
fn common_folder(archive: &Archive) -> String {
    let is_hidden = |part: &str| part.starts_with('.') || part == "__MACOSX";
    let mut names = archive.names().filter(|name| !name.split('/').any(is_hidden));
    let folder_of = |name: &str| name.rfind('/').map_or(0, |at| at + 1);
    let Some(first) = names.next() else { return String::new() };
    let mut common = &first[..folder_of(first)];
    for name in names {
        while !name.starts_with(common) {
            common = &common[..folder_of(&common[..common.len() - 1])];
        }
    }
    common.to_owned()
}

#[cfg(test)]
mod archives;

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
