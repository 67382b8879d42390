//! Paths of pictures: relative to the data root, inside it, and there.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::scan::Kind;
use crate::{DataError, ImageSource};

/// The folder below which all pictures must lie.
#[derive(Debug)]
pub(crate) struct Place {
    root: PathBuf,
    /// With every link resolved.
    real: PathBuf,
}

impl Place {
    /// `root` must be an existing folder.
    pub(crate) fn new(root: &Path) -> Result<Self, DataError> {
        let real = root
            .canonicalize()
            .map_err(DataError::io(root, "name a folder that holds the pictures"))?;
        Ok(Self { root: root.to_owned(), real })
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
            (Kind::Outside, problem)
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
        match full.canonicalize() {
            Ok(real) if !real.starts_with(&self.real) => {
                Err(outside("is a link that leads out of the data folder"))
            }
            Ok(real) if needed && !real.is_file() => {
                Err((Kind::MissingPicture, format!("the picture `{relative}` is not a file")))
            }
            Ok(_) => Ok(ImageSource::File(full)),
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
            Err(_) => Ok(ImageSource::File(full)),
        }
    }
}
