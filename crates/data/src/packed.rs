//! Pictures that are no files of their own: entries of archives, cells of Parquet tables.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::DataError;
use crate::archive::{Archive, Entry};
use crate::columnar::Columnar;
use crate::picture::check_length;
use crate::sample::{hexadecimal, stamp_of};

/// A picture within another file, read when it is asked for. Two are the same if their
/// [keys](crate::ImageSource::key) are.
#[derive(Clone)]
pub struct Packed {
    key: PathBuf,
    store: Store,
}

#[derive(Clone)]
enum Store {
    Entry { archive: Arc<Archive>, entry: Entry },
    Cell { table: Arc<Columnar>, column: usize, row: usize, length: u64 },
}

impl Packed {
    /// The `entry` of this `name`.
    pub(crate) fn entry(archive: &Arc<Archive>, name: &str, entry: Entry) -> Self {
        let archive = Arc::clone(archive);
        Self { key: archive.path().join(name), store: Store::Entry { archive, entry } }
    }

    /// The cell of a `row`, counted from 0, that holds these `bytes`.
    pub(crate) fn cell(table: &Arc<Columnar>, column: usize, row: usize, bytes: &[u8]) -> Self {
        let hash = hexadecimal(&Sha256::digest(bytes));
        let key = PathBuf::from(format!("{}#{hash}", table.path().display()));
        let (table, length) = (Arc::clone(table), bytes.len() as u64);
        Self { key, store: Store::Cell { table, column, row, length } }
    }

    pub(crate) fn key(&self) -> &Path {
        &self.key
    }

    pub(crate) fn place(&self) -> PathBuf {
        match &self.store {
            Store::Entry { .. } => self.key.clone(),
            Store::Cell { table, row, .. } => {
                PathBuf::from(format!("{}:{}", table.path().display(), row + 1))
            }
        }
    }

    pub(crate) fn stamp(&self) -> std::io::Result<String> {
        match &self.store {
            Store::Entry { archive, .. } => stamp_of(archive.path(), &self.key),
            Store::Cell { .. } => Ok(self.key.display().to_string()),
        }
    }

    pub(crate) fn length(&self) -> Option<u64> {
        match &self.store {
            Store::Entry { archive, entry } => archive.length(*entry).ok(),
            Store::Cell { length, .. } => Some(*length),
        }
    }

    pub(crate) fn read(&self) -> Result<Vec<u8>, DataError> {
        match &self.store {
            Store::Entry { archive, entry } => {
                archive.read(*entry).map_err(|problem| DataError::picture(&self.key, problem))
            }
            Store::Cell { table, column, row, length } => {
                check_length(&self.place(), *length)?;
                table.bytes(*column, *row, *length)
            }
        }
    }
}

impl PartialEq for Packed {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Packed {}

impl Hash for Packed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Packed").field(&self.key).finish()
    }
}
