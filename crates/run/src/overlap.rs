//! `overlap.json` of a results folder: which items of a split are also in another.

use mmc_data::Shared;
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
    /// What they have in common.
    #[serde(flatten)]
    pub found: Shared,
    /// A hash of where their pictures lay, of what size and of what time: with others, other pictures
    /// may be meant.
    #[serde(default)]
    pub pictures_stamp: String,
}

impl OverlapRecord {
    /// What these very rows and pictures have in common, if they were compared and every picture could
    /// be read.
    #[must_use]
    pub fn of(
        &self,
        of: &SplitRecord,
        among: &SplitRecord,
        pictures_stamp: &str,
    ) -> Option<&SplitOverlap> {
        let is_whole = |pair: &&SplitOverlap| {
            (&pair.of, &pair.among) == (of, among)
                && pair.found.unread == 0
                && pair.pictures_stamp == pictures_stamp
        };
        self.pairs.iter().find(is_whole)
    }
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
