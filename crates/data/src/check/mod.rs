//! What a data set holds, and all that is wrong with it.
//!
//! [`info`] counts; [`check()`] opens every picture as well, compares all splits with one another,
//! and lists every problem instead of stopping at the first. Both print as text that a person can
//! act on and serialize as JSON.

mod contents;
mod display;
mod example;
mod info;
mod lengths;
mod near;
mod summary;

use std::path::{Path, PathBuf};

use serde::Serialize;

use self::contents::Contents;
pub use self::contents::{Conflict, Overlap, Repeats};
pub use self::example::ExampleRow;
use self::example::examples;
pub use self::info::{Info, info};
pub use self::lengths::{Between, CountTokens, SplitLengths, TextCounter, TextLengths, TextModel};
pub use self::near::{NearDuplicates, NearGroup, NearRow};
pub use self::summary::{ClassCount, SplitSummary, WordCounts};
pub use crate::scan::Kind;
use crate::scan::Scan;
use crate::{DataError, Dataset, ReadOptions, demo};

/// What [`check()`] found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckReport {
    /// The data set's name.
    pub dataset: String,
    /// The folder that was checked.
    pub root: PathBuf,
    /// The splits that have a file, in the data set's order.
    pub splits: Vec<CheckedSplit>,
    /// What each pair of these splits has in common.
    pub overlaps: Vec<Overlap>,
    /// Pictures that look alike without being the same, those of several splits first.
    pub near_duplicates: NearDuplicates,
    /// Texts that have more tokens than a model takes, by model.
    pub text_lengths: Vec<TextLengths>,
    /// What stops a run, in the order of splits and lines.
    pub problems: Vec<Finding>,
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
    check_for(dataset, root, options, &[])
}

/// [`check()`], and how many texts have more tokens than the models of these counters take.
///
/// # Errors
///
/// As [`check()`].
pub fn check_for(
    dataset: &Dataset,
    root: &Path,
    options: &ReadOptions,
    counters: &[TextCounter<'_>],
) -> Result<CheckReport, DataError> {
    let place = dataset.place(root)?;
    let study = dataset.resolve_in(&place);
    let needed = [&study.train, &study.selection, &study.test];
    let mut notes = study.notes.clone();
    let generated = demo::manifest_in(&place)?.is_some();
    notes.extend(demo::note(&place)?);
    let mut problems = Vec::new();
    let mut scans: Vec<Scan> = Vec::new();
    let mut published: Vec<Option<usize>> = Vec::new();
    let mut options = options.clone();
    for split in dataset.splits {
        if let Err(error) = (dataset.locate)(&place, split.name) {
            if needed.iter().any(|name| *name == split.name) {
                problems.push(Finding::new(Kind::UnreadableSplit, &error));
            }
            continue;
        }
        match dataset.scan(&place, split.name, &options) {
            Ok(scan) => {
                options.keep_answers(dataset, &scan.labels);
                let findings =
                    scan.problems.iter().map(|found| Finding::new(found.kind, &found.error));
                problems.extend(findings);
                scans.push(scan);
                published.push(split.rows.filter(|_| !generated));
            }
            Err(error @ DataError::Setting(_)) => return Err(error),
            Err(error) => problems.push(Finding::new(Kind::UnreadableSplit, &error)),
        }
    }
    let contents = Contents::of(&scans, options.arm, &mut problems);
    let splits: Vec<CheckedSplit> = scans
        .iter()
        .enumerate()
        .map(|(index, scan)| CheckedSplit {
            summary: SplitSummary::of(scan, published[index]),
            repeats: contents.repeats(index),
        })
        .collect();
    let overlaps = contents.overlaps();
    let near_duplicates = contents.near_duplicates();
    let mut warnings = Vec::new();
    for split in &splits {
        warnings.extend(size_warning(&split.summary));
        if split.summary.name == study.train && !split.summary.labelled {
            let name = &study.train;
            warnings.push(format!("`{name}` has no labels: nothing can be trained on it"));
        }
        warnings.extend(label_warnings(split));
    }
    warnings.extend(overlaps.iter().filter_map(|overlap| overlap_warning(overlap, &needed)));
    // Generated pictures are of few things, and alike by design.
    warnings.extend(near_warning(&near_duplicates).filter(|_| !generated));
    let (dataset, root) = (dataset.name.to_owned(), root.to_owned());
    Ok(CheckReport {
        dataset,
        root,
        splits,
        overlaps,
        near_duplicates,
        text_lengths: lengths::measured(&scans, counters),
        problems,
        warnings,
        notes,
        examples: scans.iter().flat_map(examples).collect(),
    })
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

/// Classes without rows, and inputs with more than one label.
fn label_warnings(split: &CheckedSplit) -> Vec<String> {
    let SplitSummary { name, classes, .. } = &split.summary;
    let mut warnings = Vec::new();
    for class in classes.iter().filter(|class| class.rows == 0) {
        warnings.push(format!("`{name}` has no row of the class `{}`", class.name));
    }
    let conflicts = &split.repeats.conflicts;
    if let Some(first) = conflicts.first() {
        warnings.push(format!(
            "`{name}` has {} inputs that occur with different labels, such as the rows {}: no \
             model can get all of them right; check which label is meant",
            conflicts.len(),
            crate::error::listed(first.ids.iter().map(String::as_str))
        ));
    }
    warnings
}

/// What two splits share that would flatter a score.
fn overlap_warning(overlap: &Overlap, needed: &[&String; 3]) -> Option<String> {
    let Overlap { first, second, ids, inputs, .. } = overlap;
    let within = |name: &str| needed.iter().any(|needed| *needed == name);
    if *ids == 0 && *inputs == 0 {
        return None;
    }
    let advice = if within(first) && within(second) {
        "drop them from one of the two, or the score is too good"
    } else {
        "never train on one of the two and score on the other"
    };
    Some(format!(
        "`{first}` and `{second}` share {ids} ids and {inputs} whole inputs (text and picture): \
         {advice}"
    ))
}

/// Pictures of one split that another has scaled or encoded anew.
fn near_warning(near: &NearDuplicates) -> Option<String> {
    let across = near.groups.iter().filter(|group| group.across_splits).count();
    (across > 0).then(|| {
        format!(
            "{across} groups of pictures look alike and stand in more than one split: look at them, \
             and drop copies from one of the splits, or the score is too good"
        )
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::fixture::Folder;
    use crate::{Arm, dataset};

    fn table(files: &[(&str, &str)]) -> Folder {
        let folder = Folder::with(files);
        for (name, grey) in [("a.png", 1), ("again.png", 1), ("b.png", 2)] {
            folder.picture(name, grey);
        }
        folder
    }

    fn checked(folder: &Folder) -> CheckReport {
        check(dataset("table").unwrap(), folder.path(), &ReadOptions::default()).unwrap()
    }

    const TEST: (&str, &str) =
        ("test.csv", "id,text,image,label\ne1,six,b.png,x\ne2,seven,b.png,y\n");

    #[test]
    fn all_problems_are_collected() {
        let folder = table(&[
            (
                "train.csv",
                "id,text,image,label\n1,one,a.png,x\n1,two,b.png,y\n2,three,gone.png,x\n\
                 3,four,../a.png,x\n4,five\n5,five,cut.png,y\n6,six,b.png,x\n",
            ),
            ("val.csv", "id,text,image,label\n7,x,a.png,z\n8,x,a.png,\n9,y,a.png,x\n"),
        ]);
        folder.file("cut.png", b"\x89PNG\r\n\x1a\n\0\0");
        let report = checked(&folder);
        let kinds: Vec<Kind> = report.problems.iter().map(|finding| finding.kind).collect();
        assert_eq!(
            kinds,
            [
                Kind::DuplicateId,
                Kind::MissingPicture,
                Kind::OutsidePicture,
                Kind::MalformedRow,
                Kind::WrongLabel,
                Kind::WrongLabel,
                Kind::UnreadableSplit,
                Kind::UnreadablePicture,
            ]
        );
        assert!(!report.is_usable());
        let text = report.to_string();
        for part in
            ["train.csv:3: the id `1`", "train.csv:7: ", "(id `5`)", "val.csv:3: no `label`"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(report.splits[0].summary.rows, 7);
        // The picture that cannot be decoded is in a row that is otherwise good.
        assert_eq!(report.splits[0].summary.usable_rows, 3);
    }

    #[test]
    fn contents_are_compared_within_and_across_splits() {
        let folder = table(&[
            (
                "train.csv",
                "id,text,image,label\n1,same,a.png,x\n2,same,again.png,y\n3,same,b.png,x\n\
                 4,,b.png,y\n5,,,y\n6,,,x\n",
            ),
            ("val.csv", "id,text,image,label\n1,same,again.png,x\n8,other,b.png,y\n"),
            TEST,
        ]);
        let report = checked(&folder);
        assert!(report.is_usable(), "{report}");
        let repeats = &report.splits[0].repeats;
        assert_eq!((repeats.repeated_texts, repeats.repeated_pictures), (2, 2));
        // Rows that show nothing do not conflict.
        assert_eq!(repeats.conflicts, [Conflict { ids: vec!["1".to_owned(), "2".to_owned()] }]);
        let overlap = &report.overlaps[0];
        assert_eq!((overlap.first.as_str(), overlap.second.as_str()), ("train", "val"));
        assert_eq!((overlap.ids, overlap.texts), (1, 1));
        assert_eq!((overlap.pictures, overlap.inputs), (2, 1));
        assert_eq!(report.splits[0].summary.empty_texts, 3);
        assert_eq!(report.splits[0].summary.without_picture, 2);
        assert_eq!(report.warnings.len(), 2, "{:?}", report.warnings);
        assert!(report.warnings[1].contains("`train` and `val` share 1 ids and 1 whole inputs"));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["splits"][0]["classes"][1]["rows"], 3);
        assert_eq!(json["splits"][0]["repeated_texts"], 2);
    }

    #[test]
    fn a_clean_set_has_nothing_wrong() {
        let folder = table(&[
            ("train.csv", "id,text,image,label\n1,one,a.png,x\n2,two,,y\n"),
            ("val.csv", "id,text,image,label\n3,three,,x\n4,four,,y\n"),
            TEST,
        ]);
        let report = checked(&folder);
        assert!(report.is_usable() && report.warnings.is_empty(), "{report}");
        assert!(report.to_string().ends_with("\n\nnothing wrong"), "{report}");
    }

    #[test]
    fn pictures_that_are_not_shown_are_not_opened() {
        let rows = "id,text,image,label\n1,one,cut.png,x\n2,two,gone.png,y\n";
        let folder = table(&[("train.csv", rows), ("val.csv", rows), ("test.csv", rows)]);
        folder.file("cut.png", "no picture");
        let options = ReadOptions { arm: Arm::Text, ..ReadOptions::default() };
        let report = check(dataset("table").unwrap(), folder.path(), &options).unwrap();
        assert!(report.is_usable(), "{report}");
        assert_eq!(checked(&folder).problems.len(), 4);
    }

    #[test]
    fn a_generated_set_passes_and_is_called_so() {
        let folder = Folder::with(&[]);
        let root = folder.path().join("demo");
        let set = demo::DemoSet {
            train: 40,
            dev: 8,
            test: 8,
            ..demo::DemoSet::new(demo::Truth::Text, 0)
        };
        demo::write(&set, &root).unwrap();
        let report =
            check(dataset("hateful_memes").unwrap(), &root, &ReadOptions::default()).unwrap();
        assert!(report.is_usable() && report.warnings.is_empty(), "{report}");
        assert_eq!(report.notes.len(), 1);
        // Without its manifest it is a real set of the wrong size.
        fs::remove_file(root.join("demo.json")).unwrap();
        let report =
            check(dataset("hateful_memes").unwrap(), &root, &ReadOptions::default()).unwrap();
        assert!(report.warnings[0].contains("40 rows where the published file has 8500"));
    }

    #[test]
    fn info_counts_what_is_there_and_says_how_to_get_the_rest() {
        let folder = table(&[("train.csv", "text,label\na b,x\nc,y\n")]);
        let table = dataset("table").unwrap();
        let found = info(table, folder.path(), &ReadOptions::default()).unwrap();
        let states: Vec<bool> = found.splits.iter().map(|split| split.summary.is_some()).collect();
        assert_eq!(states, [true, false, false]);
        assert_eq!(found.splits[1].role, Some("selection"));
        assert!(found.to_string().contains("val    selection  absent"), "{found}");
        folder.file("val.csv", "text;label\n");
        let found = info(table, folder.path(), &ReadOptions::default()).unwrap();
        assert!(found.to_string().contains("cannot be read: "), "{found}");
        let nowhere = info(table, Path::new("nowhere"), &ReadOptions::default()).unwrap();
        let text = nowhere.to_string();
        assert!(text.contains("how to get it: write `train.csv`"), "{text}");
        assert_eq!(text.matches("write `train.csv`").count(), 1, "{text}");
    }
}
