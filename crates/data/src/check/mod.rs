//! What a data set holds, and all that is wrong with it.
//!
//! [`info`] counts; [`check()`] opens every picture as well, compares all splits with one another,
//! and lists every problem instead of stopping at the first. Both print as text that a person can
//! act on and serialize as JSON.

mod compared;
mod contents;
mod display;
mod example;
mod info;
mod leaks;
mod lengths;
mod near;
mod scanned;
mod summary;
mod told;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use self::contents::Contents;
pub use self::contents::{Conflict, Overlap, Repeats};
pub use self::example::ExampleRow;
use self::example::examples;
pub use self::info::{Info, info};
use self::leaks::Leaks;
pub use self::lengths::{Between, CountTokens, SplitLengths, TextCounter, TextLengths, TextModel};
pub use self::near::{NearDuplicates, NearGroup, NearRow};
use self::scanned::Scanned;
pub use self::summary::{ClassCount, SplitSummary, WordCounts};
pub use self::told::Tell;
use crate::dataset::StudySplits;
use crate::error::listed;
pub use crate::scan::Kind;
use crate::scan::Scan;
use crate::{Arm, DataError, Dataset, OnBadItem, ReadOptions, demo};

/// What [`check()`] found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckReport {
    /// The data set's name.
    pub dataset: String,
    /// The folder that was checked.
    pub root: PathBuf,
    /// The splits that have a file, in the data set's order.
    pub splits: Vec<CheckedSplit>,
    /// What each pair of those of them that have a usable row has in common.
    pub overlaps: Vec<Overlap>,
    /// Pictures that look alike without being the same, those of several splits first.
    pub near_duplicates: NearDuplicates,
    /// Texts that have more tokens than a model takes, by model.
    pub text_lengths: Vec<TextLengths>,
    /// What stops a run, in the order of splits and lines.
    pub problems: Vec<Finding>,
    /// How many pictures are missing, each once: several rows may want the same one.
    #[serde(skip)]
    pub missing_pictures: usize,
    /// What does not stop a run and may spoil its result, in words.
    pub warnings: Vec<String>,
    /// What to know besides, in words.
    pub notes: Vec<String>,
    /// Some rows of each split, to be looked at.
    #[serde(skip)]
    pub examples: Vec<ExampleRow>,
}

impl CheckReport {
    /// Whether nothing stops a run.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.problems.is_empty()
    }
}

/// What is in one split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckedSplit {
    /// Its counts.
    #[serde(flatten)]
    pub summary: SplitSummary,
    /// Usable rows whose picture was decoded.
    pub pictures_read: usize,
    /// What occurs more than once in it.
    #[serde(flatten)]
    pub repeats: Repeats,
}

/// One thing that stops a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing it is.
    pub kind: Kind,
    /// What is wrong, where, and what to do.
    pub message: String,
}

impl Finding {
    fn new(kind: Kind, error: &DataError) -> Self {
        Self { kind, message: error.to_string() }
    }
}

/// Checks all splits that have a file. Pictures are decoded in parallel, unless `options.arm` does
/// not use them.
///
/// # Errors
///
/// A root that is no folder, or options that make no sense. All else is in the report.
pub fn check(
    dataset: &Dataset,
    root: &Path,
    options: &ReadOptions,
) -> Result<CheckReport, DataError> {
    check_for(dataset, root, options, &[], &|_, _, _| ())
}

/// [`check()`], and how many texts have more tokens than the models of these counters take; says how far
/// it is.
///
/// # Errors
///
/// As [`check()`].
pub fn check_for(
    dataset: &Dataset,
    root: &Path,
    options: &ReadOptions,
    counters: &[TextCounter<'_>],
    tell: &Tell<'_>,
) -> Result<CheckReport, DataError> {
    dataset.check_options(options)?;
    let place = dataset.place(root)?;
    let study = dataset.resolve_in(&place);
    let mut notes = study.notes.clone();
    let generated = demo::manifest_in(&place)?.is_some();
    notes.extend(demo::note(&place)?);
    // What may be skipped is to be told too.
    let mut options = ReadOptions { on_bad_item: OnBadItem::Error, ..options.clone() };
    let read = Scanned::read(dataset, (&place, &study), &mut options)?;
    let Scanned { scans, published, mut problems, notes: unread } = read;
    notes.extend(scans.iter().flat_map(|scan| scan.notes.clone()));
    notes.extend(unread);
    notes.extend(pictureless(&scans, options.arm, &mut problems));
    let notes = once(notes);
    let contents = Contents::of(&scans, options.arm, &mut problems, tell);
    let splits: Vec<CheckedSplit> = scans
        .iter()
        .enumerate()
        .map(|(index, scan)| CheckedSplit {
            summary: SplitSummary::of(scan, published[index].filter(|_| !generated)),
            pictures_read: contents.pictures_read(index),
            repeats: contents.repeats(index),
        })
        .collect();
    let overlaps = contents.overlaps();
    let near_duplicates = contents.near_duplicates();
    let mut warnings = Vec::new();
    for split in &splits {
        warnings.extend(split_warnings(split, &study));
    }
    let leaks = Leaks { dataset, study: &study, generated };
    warnings.extend(overlaps.iter().filter_map(|overlap| leaks.of_pair(overlap)));
    warnings.extend(leaks.of_near(&near_duplicates));
    let (dataset, root) = (dataset.name.to_owned(), root.to_owned());
    Ok(CheckReport {
        dataset,
        root,
        splits,
        overlaps,
        near_duplicates,
        text_lengths: lengths::measured(&scans, counters, tell),
        problems,
        missing_pictures: scans.iter().flat_map(|scan| &scan.missing).collect::<HashSet<_>>().len(),
        warnings,
        notes,
        examples: scans.iter().flat_map(examples).collect(),
    })
}

/// Splits without any picture, where the model is shown pictures: a problem beside splits that have some,
/// and in a set of texts alone worth a note.
fn pictureless(scans: &[Scan], arm: Arm, problems: &mut Vec<Finding>) -> Option<String> {
    let has_none = |scan: &&Scan| !scan.names_pictures && !scan.rows.is_empty();
    let lacking: Vec<&Scan> = scans.iter().filter(has_none).collect();
    if !arm.uses_image() || lacking.is_empty() {
        return None;
    }
    if !scans.iter().any(|scan| scan.names_pictures) {
        let note = "no row has a picture, so only text models, or others with `--arm text`, can be trained";
        return Some(note.to_owned());
    }
    for scan in lacking {
        let problem = "no row has a picture, though rows of other splits have one; name them in the \
                       same column as there, or check and train on the texts alone (`--arm text`)";
        let error = DataError::file(&scan.path, problem);
        problems.push(Finding::new(Kind::MissingPicture, &error));
    }
    None
}

/// Classes that are named in one warning.
const CLASSES: usize = 10;

/// Each note once: what is true of all splits is said by each.
fn once(notes: Vec<String>) -> Vec<String> {
    let mut said = HashSet::new();
    notes.into_iter().filter(|note| said.insert(note.clone())).collect()
}

/// What is worth knowing of one split.
fn split_warnings(split: &CheckedSplit, study: &StudySplits) -> Vec<String> {
    let mut warnings: Vec<String> = size_warning(&split.summary).into_iter().collect();
    warnings.extend(unlabelled(&split.summary, study));
    warnings.extend(label_warnings(split));
    if split.summary.name == study.train {
        warnings.extend(alike(&split.summary.classes));
        warnings.extend(scattered(&split.summary));
    }
    warnings
}

/// What a run does with a split without labels, where it uses it; that nothing can be trained on one is
/// a problem.
fn unlabelled(summary: &SplitSummary, study: &StudySplits) -> Option<String> {
    let SplitSummary { name, usable_rows, labelled, .. } = summary;
    let effect = if *name == study.selection {
        "`mmc train` keeps the last step in place of the best"
    } else if *name == study.test {
        "`mmc train` predicts it and scores nothing"
    } else {
        return None;
    };
    (*usable_rows > 0 && !labelled)
        .then(|| format!("`{name}` has no labels, so {effect}; add them to have scores"))
}

/// Whether this is the published file.
fn size_warning(summary: &SplitSummary) -> Option<String> {
    let SplitSummary { name, rows, published_rows, .. } = summary;
    let published = published_rows.filter(|published| published != rows)?;
    Some(format!(
        "`{name}` has {rows} rows where the published file has {published}: scores do not compare \
         with published ones"
    ))
}

/// Labels of which hardly one comes twice: ids or texts, most likely.
fn scattered(summary: &SplitSummary) -> Option<String> {
    let SplitSummary { name, usable_rows, classes, .. } = summary;
    (classes.len() > 3 && classes.len() * 3 > *usable_rows).then(|| {
        format!(
            "`{name}` has {} classes in {usable_rows} rows: if the labels are no classes, name their column \
             with `--label-column`",
            classes.len()
        )
    })
}

/// Classes that are written in two ways.
fn alike(classes: &[ClassCount]) -> Vec<String> {
    let mut written: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for class in classes {
        let words: Vec<&str> = class.name.split_whitespace().collect();
        written.entry(words.join(" ").to_lowercase()).or_default().push(&class.name);
    }
    let several = written.into_values().filter(|names| names.len() > 1);
    let warning = |names: Vec<&str>| {
        let names = crate::error::listed(names.into_iter());
        format!(
            "the classes {names} differ in white space or capitals alone: if they are one class, write \
             it in one way"
        )
    };
    several.map(warning).collect()
}

/// Classes without rows, and inputs with more than one label; of a split without a usable row nothing.
fn label_warnings(split: &CheckedSplit) -> Vec<String> {
    let SplitSummary { name, rows, usable_rows, classes, .. } = &split.summary;
    let mut warnings = Vec::new();
    let usable = if usable_rows < rows { "usable " } else { "" };
    let lacking: Vec<&str> =
        classes.iter().filter(|class| class.rows == 0).map(|class| class.name.as_str()).collect();
    if let [class] = lacking[..] {
        warnings.push(format!("`{name}` has no {usable}row of the class `{class}`"));
    } else if !lacking.is_empty() {
        let shown = listed(lacking.iter().copied().take(CLASSES));
        let more = lacking.len().saturating_sub(CLASSES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        warnings.push(format!("`{name}` has no {usable}row of the classes {shown}{more}"));
    }
    let conflicts = &split.repeats.conflicts;
    if let Some(first) = conflicts.first() {
        warnings.push(format!(
            "`{name}` has {} inputs that occur with different labels, such as the rows {}: no \
             model can get all of them right; check which label is meant",
            conflicts.len(),
            listed(first.ids.iter().map(String::as_str))
        ));
    }
    warnings
}

#[cfg(test)]
mod tests;
