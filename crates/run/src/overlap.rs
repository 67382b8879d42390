//! `overlap.json` of a results folder: which items of a split are also in another.

use serde::{Deserialize, Serialize};

use crate::json::{read_json, write_json};
use crate::{ResultsFolder, RunError, SplitRecord};

/// The splits of an experiment compared item by item: test with training and selection split, and the
/// selection with the training split.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlapRecord {
    /// A comparison each.
    pub pairs: Vec<SplitOverlap>,
}

/// How many items of a split are also in another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitOverlap {
    /// The split whose items are counted.
    pub of: SplitRecord,
    /// The split that they were looked for in.
    pub among: SplitRecord,
    /// Items whose id the other split has too.
    pub ids: usize,
    /// Items whose text it has, word for word.
    pub texts: usize,
    /// Items whose picture it has, byte for byte.
    pub pictures: usize,
    /// Items that it has too: the same text with the same picture, or the same id with one of the two.
    pub items: usize,
    /// The first ids of such items.
    pub examples: Vec<String>,
    /// Pictures that could not be read and so were compared with none.
    pub unread: usize,
}

impl ResultsFolder {
    /// Writes `overlap.json`.
    ///
    /// # Errors
    /// [`RunError`] naming the file.
    pub fn write_overlap(&self, record: &OverlapRecord) -> Result<(), RunError> {
        write_json(&self.root().join("overlap.json"), record)
    }

    /// Reads `overlap.json`; `None` where there is none.
    ///
    /// # Errors
    /// [`RunError`] naming the file.
    pub fn overlap(&self) -> Result<Option<OverlapRecord>, RunError> {
        let path = self.root().join("overlap.json");
        if path.exists() { read_json(&path).map(Some) } else { Ok(None) }
    }
}
