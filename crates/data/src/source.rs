//! A file of rows, by itself or within an archive.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::DataError;
use crate::archive::{Archive, Entry, Extent};

/// How many times the bytes that it takes in an archive a file of rows may come to, and how many in any
/// case. What was published comes to some twenty times.
const MOST_TIMES: u64 = 50;
const MOST_OF_ANY: u64 = 1 << 20;

/// What is said of a file that the system does not let read.
pub(crate) const UNREADABLE: &str = "check the path and its permissions";

/// A file of rows.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// As it is shown: that of the file, or `ARCHIVE/ENTRY`.
    path: PathBuf,
    within: Option<(Arc<Archive>, Entry)>,
}

impl Source {
    /// A file of its own.
    pub(crate) fn file(path: &Path) -> Self {
        Self { path: path.to_owned(), within: None }
    }

    /// The file called `name` in an archive, where there is one.
    pub(crate) fn within(archive: &Arc<Archive>, name: &str) -> Option<Self> {
        let entry = archive.find(name)?;
        let path = archive.path().join(name);
        Some(Self { path, within: Some((Arc::clone(archive), entry)) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where it lies in its archive; `None` of a file of its own. What comes to far more than it takes is
    /// refused, before it is read.
    pub(crate) fn extent(&self) -> Result<Option<Extent>, DataError> {
        let Some((archive, entry)) = &self.within else { return Ok(None) };
        let extent = archive.extent(*entry).map_err(|problem| self.problem(&problem))?;
        let Extent { packed, length, .. } = extent;
        if length > packed.saturating_mul(MOST_TIMES).max(MOST_OF_ANY) {
            let problem = format!(
                "{packed} bytes of the archive stand for {length}, over {MOST_TIMES} times as many; if \
                 that is right, unpack the file"
            );
            return Err(self.problem(&problem));
        }
        Ok(Some(extent))
    }

    /// Its bytes, read as they are asked for.
    pub(crate) fn open(&self) -> Result<Box<dyn Read + Send>, DataError> {
        if let Some(extent) = self.extent()? {
            return extent.open().map_err(|problem| self.problem(&problem));
        }
        let file = File::open(&self.path).map_err(DataError::io(&self.path, UNREADABLE))?;
        Ok(Box::new(file))
    }

    /// All its bytes.
    pub(crate) fn read(&self) -> Result<Vec<u8>, DataError> {
        match self.extent()? {
            Some(extent) => extent.read().map_err(|problem| self.problem(&problem)),
            None => fs::read(&self.path).map_err(DataError::io(&self.path, UNREADABLE)),
        }
    }

    fn problem(&self, problem: &str) -> DataError {
        DataError::file(&self.path, problem)
    }
}
