//! Generated data sets whose truth is known, in the format of the real ones.

use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::DataError;

/// What decides the label of a generated set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Truth {
    /// Text and picture together and neither alone: the exclusive or of one bit of each.
    Interaction,
    /// Text and picture say the same.
    Redundant,
    /// The picture alone.
    Image,
    /// The text alone.
    Text,
    /// Nothing: a coin.
    None,
}

const TRUTHS: [(Truth, &str); 5] = [
    (Truth::Interaction, "interaction"),
    (Truth::Redundant, "redundant"),
    (Truth::Image, "image"),
    (Truth::Text, "text"),
    (Truth::None, "none"),
];

impl fmt::Display for Truth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = TRUTHS.iter().find(|(truth, _)| truth == self).map_or("", |(_, name)| name);
        formatter.pad(name)
    }
}

impl FromStr for Truth {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        let names: Vec<&str> = TRUTHS.iter().map(|(_, name)| *name).collect();
        TRUTHS
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(truth, _)| *truth)
            .ok_or_else(|| DataError::unknown("truth", name, &names))
    }
}

/// The file in a generated folder that says what it is.
pub(crate) const MANIFEST: &str = "demo.json";

/// What a generated folder says of itself, in `demo.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// That this is no real data set.
    pub notice: String,
    /// The data set whose format it has.
    pub dataset: String,
    /// What decides the labels.
    pub truth: Truth,
    /// The seed it was drawn from.
    pub seed: u64,
    /// Rows of the training, selection and test split.
    pub train: usize,
    /// Rows of the selection split.
    pub dev: usize,
    /// Rows of the test split.
    pub test: usize,
}

/// The manifest of a generated folder; `None` for any other folder.
///
/// # Errors
///
/// A `demo.json` that is none of ours.
pub fn manifest(root: &Path) -> Result<Option<Manifest>, DataError> {
    let path = root.join(MANIFEST);
    if !path.is_file() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).map_err(DataError::io(&path, "check the permissions"))?;
    serde_json::from_str(&text).map(Some).map_err(|error| {
        DataError::file(&path, format!("not a manifest of generated data ({error}); remove it"))
    })
}

/// What readers say of a generated folder.
pub(crate) fn note(root: &Path) -> Result<Option<String>, DataError> {
    Ok(manifest(root)?.map(|manifest| {
        format!("generated demo data (truth {}): not the real data set", manifest.truth)
    }))
}
