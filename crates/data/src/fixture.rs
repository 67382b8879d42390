//! Folders with data sets in them, for tests.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{DataError, ReadOptions, Split, dataset};

/// A folder that is removed in the end.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// A folder with these files.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            folder.file(name, text);
        }
        folder
    }

    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A PNG of 3 x 2 pixels of one grey.
    pub(crate) fn picture(&self, name: &str, grey: u8) -> PathBuf {
        let path = self.file(name, "");
        let picture = image::GrayImage::from_pixel(3, 2, image::Luma([grey]));
        picture.save_with_format(&path, image::ImageFormat::Png).unwrap();
        path
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn read(
        &self,
        name: &str,
        split: &str,
        options: &ReadOptions,
    ) -> Result<Split, DataError> {
        dataset(name).unwrap().read(self.path(), split, options)
    }

    /// The message of a reading that must go wrong, with this folder's path taken out.
    pub(crate) fn message(&self, name: &str, split: &str, options: &ReadOptions) -> String {
        let error = self.read(name, split, options).unwrap_err();
        error.to_string().replace(&format!("{}/", self.path().display()), "")
    }
}
