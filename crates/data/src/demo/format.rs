//! What a generated set can look like: a row a data set.

use std::str::FromStr;

use super::folder::Folder;
use super::{DemoSet, entailment, memes, questions, tables};
use crate::DataError;

/// The data set whose format a generated set has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `hateful_memes`.
    #[default]
    HatefulMemes,
    /// `snli_ve`.
    SnliVe,
    /// `vqa_v2`.
    VqaV2,
    /// `table`.
    Table,
    /// `news`.
    News,
}

/// What is known of a format.
pub(super) struct FormatRow {
    format: Format,
    /// The data set's name.
    pub(super) dataset: &'static str,
    /// Its name in prose.
    pub(super) title: &'static str,
    /// Rows of a set of the usual size: to train, select and test on.
    pub(super) usual: [usize; 3],
    /// All that is in the folder.
    pub(super) folder: fn(&DemoSet) -> Result<Folder, DataError>,
}

const FORMATS: &[FormatRow] = &[
    FormatRow {
        format: Format::HatefulMemes,
        dataset: "hateful_memes",
        title: "Hateful Memes",
        usual: [3000, 500, 1000],
        folder: memes::folder,
    },
    FormatRow {
        format: Format::SnliVe,
        dataset: "snli_ve",
        title: "SNLI-VE",
        usual: [4000, 600, 1000],
        folder: entailment::folder,
    },
    FormatRow {
        format: Format::VqaV2,
        dataset: "vqa_v2",
        title: "VQA v2",
        usual: [6000, 600, 1200],
        folder: questions::folder,
    },
    FormatRow {
        format: Format::Table,
        dataset: "table",
        title: "table",
        usual: [3000, 500, 1000],
        folder: tables::own,
    },
    FormatRow {
        format: Format::News,
        dataset: "news",
        title: "news",
        usual: [3000, 500, 1000],
        folder: tables::news,
    },
];

impl Format {
    /// The names of the data sets that can be generated.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        FORMATS.iter().map(|row| row.dataset).collect()
    }

    /// The name of the data set.
    #[must_use]
    pub fn dataset(self) -> &'static str {
        self.row().dataset
    }

    pub(super) fn row(self) -> &'static FormatRow {
        FORMATS.iter().find(|row| row.format == self).unwrap_or(&FORMATS[0])
    }
}

impl FromStr for Format {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        let row = FORMATS.iter().find(|row| row.dataset == name);
        row.map(|row| row.format)
            .ok_or_else(|| DataError::unknown("data set to generate", name, &Self::names()))
    }
}
