//! A data set at a glance.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{SplitSummary, once};
use crate::{DataError, Dataset, OnBadItem, ReadOptions, demo};

/// What [`info`] tells.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Info {
    /// The data set's name.
    pub dataset: String,
    /// Its name in prose.
    pub title: String,
    /// Under what terms it may be used.
    pub licence: String,
    /// Where it is described; `None` for a table, which is yours.
    pub homepage: Option<String>,
    /// How to get it and where to put it.
    pub obtain: String,
    /// The metric by which it is scored.
    pub primary_metric: String,
    /// The folder that was looked into.
    pub root: PathBuf,
    /// Its splits, in the data set's order.
    pub splits: Vec<SplitState>,
    /// What to know besides, in words.
    pub notes: Vec<String>,
}

/// One split, if it is there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SplitState {
    /// Its name.
    pub name: String,
    /// What it is for: `train`, `selection`, `test`, or nothing.
    pub role: Option<&'static str>,
    /// Whether it has a file.
    pub present: bool,
    /// Its counts; `None` where it has no file or cannot be read.
    pub summary: Option<SplitSummary>,
    /// Rows that cannot be used.
    pub problems: usize,
    /// Why there are no counts.
    pub missing: Option<String>,
}

/// Describes a data set and counts what is on disk. No picture is opened, and a missing folder is
/// no error.
///
/// # Errors
///
/// Options that make no sense, or a `demo.json` that is none of ours.
pub fn info(dataset: &Dataset, root: &Path, options: &ReadOptions) -> Result<Info, DataError> {
    let place = dataset.place(root);
    let roles = place.as_ref().ok().map(|place| dataset.resolve_in(place));
    let mut notes = roles.as_ref().map(|roles| roles.notes.clone()).unwrap_or_default();
    let note = place.as_ref().map_or(Ok(None), demo::note)?;
    let generated = note.is_some();
    notes.extend(note);
    let role = |name: &str| {
        let roles = roles.as_ref()?;
        let named =
            [(&roles.train, "train"), (&roles.selection, "selection"), (&roles.test, "test")];
        named.into_iter().find(|(split, _)| *split == name).map(|(_, role)| role)
    };
    let mut splits = Vec::new();
    // What may be skipped is to be told too.
    let mut options = ReadOptions { on_bad_item: OnBadItem::Error, ..options.clone() };
    for split in dataset.splits {
        let name = split.name.to_owned();
        let role = role(split.name);
        let place = place.as_ref();
        let present = place.is_ok_and(|place| (dataset.locate)(place, split.name).is_ok());
        let scan = match place {
            Ok(place) => dataset.scan(place, split.name, &options),
            Err(error) => {
                let missing = Some(error.to_string());
                splits.push(SplitState {
                    name,
                    role,
                    present,
                    summary: None,
                    problems: 0,
                    missing,
                });
                continue;
            }
        };
        splits.push(match scan {
            Ok(scan) => {
                options.keep_answers(dataset, &scan.labels);
                let summary = Some(SplitSummary::of(&scan, split.rows.filter(|_| !generated)));
                let problems = scan.problems.len();
                notes.extend(scan.notes);
                SplitState { name, role, present, summary, problems, missing: None }
            }
            Err(error @ DataError::Setting(_)) => return Err(error),
            Err(error) => {
                let missing = Some(error.to_string());
                SplitState { name, role, present, summary: None, problems: 0, missing }
            }
        });
    }
    Ok(Info {
        dataset: dataset.name.to_owned(),
        title: dataset.title.to_owned(),
        licence: dataset.licence.to_owned(),
        homepage: dataset.homepage.map(str::to_owned),
        obtain: dataset.obtain.to_owned(),
        primary_metric: dataset.primary_metric.to_owned(),
        root: root.to_owned(),
        splits,
        notes: once(notes),
    })
}
