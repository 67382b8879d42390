//! What is known of a data set, and reading it.

mod options;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::archive::is_archive;
use crate::place::Place;
use crate::scan::Scan;
use crate::source::Source;
use crate::{Arm, DATASETS, DataError, Split, SplitName};

/// What is known of one data set. [`DATASETS`] holds them all.
#[derive(Debug)]
pub struct Dataset {
    /// The name by which it is asked for.
    pub name: &'static str,
    /// Its name in prose.
    pub title: &'static str,
    /// Its splits, by their published names.
    pub splits: &'static [SplitInfo],
    /// The split to train on.
    pub train: &'static str,
    /// The split on which the best epoch is chosen.
    pub selection: &'static str,
    /// The split on which results are reported.
    pub test: &'static str,
    /// What is predicted.
    pub task: Task,
    /// The metric by which it is scored, as `mmc-metrics` names it.
    pub primary_metric: &'static str,
    /// Its classes in order; `None` where the training file decides.
    pub classes: Option<&'static [&'static str]>,
    /// Under what terms it may be used.
    pub licence: &'static str,
    /// How to get it and where to put it.
    pub obtain: &'static str,
    /// Where it is described; `None` for a table, which is yours.
    pub homepage: Option<&'static str>,
    /// The file of a split.
    pub(crate) locate: fn(&Place, &str) -> Result<Source, DataError>,
    /// Reads a split and collects every problem.
    pub(crate) scan: fn(&Request<'_>) -> Result<Scan, DataError>,
}

/// What is predicted of an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Its one class.
    #[default]
    Classes,
    /// One of many answers to a question, of which several may be accepted.
    Answers,
}

/// Where the answers that a model can give come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AnswerSource {
    /// The split that is trained on.
    #[default]
    #[serde(rename = "train")]
    Train,
    /// That and the split that results are reported on, as published models have it.
    #[serde(rename = "train+val")]
    TrainVal,
}

impl AnswerSource {
    /// Every value, as it is written.
    pub const WORDS: &'static [&'static str] = &["train", "train+val"];
}

impl fmt::Display for AnswerSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Train => "train",
            Self::TrainVal => "train+val",
        })
    }
}

impl FromStr for AnswerSource {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        match name {
            "train" => Ok(Self::Train),
            "train+val" => Ok(Self::TrainVal),
            _ => Err(DataError::unknown("source of answers", name, Self::WORDS)),
        }
    }
}

/// One split of a data set.
#[derive(Clone, Copy, Debug)]
pub struct SplitInfo {
    /// Its published name, which is also its file's.
    pub name: &'static str,
    /// How many rows the published file has, where there is one.
    pub rows: Option<usize>,
    /// The split of which it is a part by publication, so that what the two share is no leak.
    pub part_of: Option<&'static str>,
}

/// What a reader is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) dataset: &'a Dataset,
    pub(crate) place: &'a Place,
    pub(crate) split: &'a str,
    pub(crate) options: &'a ReadOptions,
}

/// What to do with an item that cannot be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnBadItem {
    /// Stop, naming it.
    #[default]
    Error,
    /// Leave it out and count it.
    Skip,
}

impl fmt::Display for OnBadItem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Error => "error",
            Self::Skip => "skip",
        })
    }
}

impl FromStr for OnBadItem {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        match name {
            "error" => Ok(Self::Error),
            "skip" => Ok(Self::Skip),
            _ => Err(DataError::unknown("answer to a bad item", name, &["error", "skip"])),
        }
    }
}

/// How a split is read. Make one with `ReadOptions { .., ..ReadOptions::default() }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadOptions {
    /// Where the answers to questions come from, unless `labels` are given.
    pub answers: AnswerSource,
    /// The classes in order, in place of the training file's or the data set's own order.
    pub labels: Option<Vec<String>>,
    /// The column of ids, in place of `id` (tables only).
    pub id_column: Option<String>,
    /// The column of texts, in place of `text` (tables only).
    pub text_column: Option<String>,
    /// The column of pictures, in place of `image` (tables only).
    pub image_column: Option<String>,
    /// The column of labels, in place of `label` (tables only).
    pub label_column: Option<String>,
    /// What to do with a row whose picture is missing: with [`OnBadItem::Skip`] it stays, to be skipped by
    /// whoever needs the picture. Rows that are wrong in any other way are errors whatever this says.
    pub on_bad_item: OnBadItem,
    /// What the model will be shown: pictures that it is not shown need not exist.
    pub arm: Arm,
}

impl ReadOptions {
    /// Reads further splits with the vocabulary of the first, which is made from the same files: one
    /// for all, and made once.
    pub fn keep_answers(&mut self, dataset: &Dataset, labels: &[String]) {
        if dataset.task == Task::Answers && self.labels.is_none() && labels.len() > 1 {
            self.labels = Some(labels.to_vec());
        }
    }
}

/// The three splits of a study, as found on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StudySplits {
    /// The split to train on.
    pub train: String,
    /// The split on which the best epoch is chosen.
    pub selection: String,
    /// The split on which results are reported.
    pub test: String,
    /// What differs from the published choice, in words.
    pub notes: Vec<String>,
}

impl StudySplits {
    /// Whether a run reads the split.
    pub(crate) fn is_needed(&self, name: &str) -> bool {
        [&self.train, &self.selection, &self.test].into_iter().any(|needed| needed == name)
    }
}

/// The data set of this name.
///
/// # Errors
///
/// [`DataError::Unknown`], which lists the names and suggests the nearest.
pub fn dataset(name: &str) -> Result<&'static Dataset, DataError> {
    let names: Vec<&str> = DATASETS.iter().map(|dataset| dataset.name).collect();
    DATASETS
        .iter()
        .find(|dataset| dataset.name == name)
        .ok_or_else(|| DataError::unknown("data set", name, &names))
}

impl Dataset {
    /// The root of this data set: the one given, else `$MMC_DATA/NAME`, else `data/NAME`. Where there is
    /// no such folder but an archive, `NAME.zip` or `NAME.tar`, it is that.
    #[must_use]
    pub fn root(&self, given: Option<&Path>) -> PathBuf {
        self.root_below(Path::new(""), given)
    }

    /// The same where paths are relative to `base`.
    #[must_use]
    pub fn root_below(&self, base: &Path, given: Option<&Path>) -> PathBuf {
        if let Some(root) = given {
            return base.join(root);
        }
        let parent = std::env::var_os("MMC_DATA").filter(|parent| !parent.is_empty());
        let parent = parent.map_or_else(|| PathBuf::from("data"), PathBuf::from);
        let folder = base.join(parent).join(self.name);
        let archives = ["zip", "tar"].map(|ending| folder.with_extension(ending));
        let packed = archives.into_iter().find(|archive| !folder.exists() && archive.is_file());
        packed.unwrap_or(folder)
    }

    /// The folder or archive at `root`.
    pub(crate) fn place(&self, root: &Path) -> Result<Place, DataError> {
        if root.is_dir() || (root.is_file() && is_archive(root)) {
            return Place::new(root);
        }
        let title = self.title;
        let problem = if root.is_file() {
            format!(
                "neither a folder nor an archive from which single files can be read (`.zip`, `.tar`), \
                 so {title} cannot be read; unpack it, or of a compressed tar undo the compression \
                 (`gunzip`)"
            )
        } else {
            format!("no such folder, so {title} cannot be read; {}", self.obtain)
        };
        Err(DataError::file(root, problem))
    }

    /// `name` as the name of a split of this data set.
    ///
    /// # Errors
    ///
    /// [`DataError::Unknown`] where there is no such split.
    pub fn split_name(&self, name: &str) -> Result<SplitName, DataError> {
        let names: Vec<&str> = self.splits.iter().map(|split| split.name).collect();
        if names.contains(&name) {
            Ok(SplitName::checked(name))
        } else {
            Err(DataError::unknown("split", name, &names))
        }
    }

    /// The file that holds `split`.
    ///
    /// # Errors
    ///
    /// An unknown name; a root that is no folder or archive; a split that has no file, or more than
    /// one. Of a file in an archive the path is `ARCHIVE/ENTRY`.
    pub fn split_file(&self, root: &Path, split: &str) -> Result<PathBuf, DataError> {
        self.split_name(split)?;
        Ok((self.locate)(&self.place(root)?, split)?.path().to_owned())
    }

    /// Reads one split. The pictures are looked for and not opened.
    ///
    /// # Errors
    ///
    /// The first thing wrong, with file and line: see [`DataError`]. A split without any label is
    /// no error; one in which only some rows lack it is.
    pub fn read(
        &self,
        root: &Path,
        split: &str,
        options: &ReadOptions,
    ) -> Result<Split, DataError> {
        self.split_name(split)?;
        self.scan(&self.place(root)?, split, options)?.into_split()
    }

    /// Reads one split and collects all that is wrong with its rows.
    pub(crate) fn scan(
        &self,
        place: &Place,
        split: &str,
        options: &ReadOptions,
    ) -> Result<Scan, DataError> {
        self.check_options(options)?;
        self.split_name(split)?;
        (self.locate)(place, split)?;
        (self.scan)(&Request { dataset: self, place, split, options })
    }

    /// The splits that a study uses. Hateful Memes was first released with `dev` and `test`
    /// alone: where only those exist they stand in, and a note says so.
    ///
    /// # Errors
    ///
    /// A root that is no folder or archive.
    pub fn resolve_splits(&self, root: &Path) -> Result<StudySplits, DataError> {
        Ok(self.resolve_in(&self.place(root)?))
    }

    /// The same of a root that was opened.
    pub(crate) fn resolve_in(&self, place: &Place) -> StudySplits {
        let mut notes = Vec::new();
        let mut resolve = |published: &str, first_release: &str| {
            let known = self.split_name(first_release).is_ok();
            if known
                && published.starts_with(first_release)
                && (self.locate)(place, published).is_err()
                && (self.locate)(place, first_release).is_ok()
            {
                notes.push(format!(
                    "`{published}` is not in {}: `{first_release}` of the first release stands \
                     in, so scores do not compare with those published for `{published}`",
                    place.root().display()
                ));
                return first_release.to_owned();
            }
            published.to_owned()
        };
        let selection = resolve(self.selection, "dev");
        let test = resolve(self.test, "test");
        StudySplits { train: self.train.to_owned(), selection, test, notes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_complete() {
        for set in DATASETS {
            assert_eq!(dataset(set.name).unwrap().name, set.name);
            for split in [set.train, set.selection, set.test] {
                assert!(set.split_name(split).is_ok(), "{}: {split}", set.name);
            }
            for text in [set.title, set.licence, set.obtain, set.primary_metric] {
                assert!(!text.is_empty(), "{}", set.name);
            }
            let names: Vec<&str> = set.splits.iter().map(|split| split.name).collect();
            let mut distinct = names.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), names.len(), "{}", set.name);
        }
        let error = dataset("hatefull_memes").unwrap_err().to_string();
        assert!(error.contains("did you mean `hateful_memes`"), "{error}");
    }

    #[test]
    fn a_given_root_is_taken_as_it_is() {
        let table = dataset("table").unwrap();
        assert_eq!(table.root(Some(Path::new("here"))), Path::new("here"));
    }

    #[test]
    fn answers_to_bad_items_are_written_as_they_are_read() {
        for answer in [OnBadItem::Error, OnBadItem::Skip] {
            assert_eq!(answer.to_string().parse::<OnBadItem>().unwrap(), answer);
        }
        assert!("ignore".parse::<OnBadItem>().is_err());
    }
}
