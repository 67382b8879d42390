//! The predictions of one model on one split: what scores, comparisons and reports are made from.

mod answer;
mod answers;
mod csv;
mod jsonl;
mod paired;
mod parquet;
mod row;
mod words;
mod write;

use std::collections::BTreeMap;
use std::path::Path;

use crate::RunError;
pub use answer::{AnswerRow, ScoredAnswers};
pub use paired::{Paired, paired, paired_of};
pub use words::{WordColumn, word_columns};

/// One predicted item.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The item.
    pub id: String,
    /// Its class, where it is known.
    pub label: Option<String>,
    /// The predicted class.
    pub prediction: String,
    /// `[classes]`, in the order of [`Predictions::classes`]; sums to 1. Empty in answers to
    /// questions.
    pub probabilities: Vec<f64>,
    /// `[classes]`, where they are known.
    pub logits: Option<Vec<f32>>,
    /// What ties items together that share a picture.
    pub group: Option<String>,
    /// Of an answer to a question, which `prediction` is then: what else is known of it.
    pub answer: Option<Box<AnswerRow>>,
}

impl Prediction {
    /// What logits, one a class, say of an item whose label is not known: probabilities are their
    /// softmax in f64, the class is that of the highest, the first of equals.
    #[must_use]
    pub fn of_logits(id: String, classes: &[String], logits: Vec<f32>) -> Self {
        let mut best = 0;
        for class in 1..logits.len() {
            if logits[class] > logits[best] {
                best = class;
            }
        }
        Self {
            id,
            label: None,
            prediction: classes.get(best).cloned().unwrap_or_default(),
            probabilities: softmax(&logits),
            logits: Some(logits),
            group: None,
            answer: None,
        }
    }
}

/// `exp(x − max) / Σ exp(x − max)` in f64.
fn softmax(logits: &[f32]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> =
        logits.iter().map(|&logit| (f64::from(logit) - f64::from(highest)).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// The rows of a predictions file, in its order, with its classes in theirs.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    /// Names of the classes; none where the rows are answers to questions.
    pub classes: Vec<String>,
    /// The rows.
    pub rows: Vec<Prediction>,
}

/// Labelled rows as plain numbers, ready to be scored.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredRows {
    /// Names of the classes; the numbers below index them.
    pub classes: Vec<String>,
    /// `[rows]`: the true class.
    pub labels: Vec<usize>,
    /// `[rows]`: the predicted class.
    pub predictions: Vec<usize>,
    /// `[rows][classes]`.
    pub probabilities: Vec<Vec<f64>>,
    /// `[rows][classes]`, where every row has them.
    pub logits: Option<Vec<Vec<f64>>>,
    /// `[rows]`: the cluster of each row, where any row has a group. A row without one is its own.
    pub clusters: Option<Vec<usize>>,
    /// In place of classes, labels, predictions, probabilities and logits, which are empty then,
    /// where the rows are answers to questions.
    pub answers: Option<ScoredAnswers>,
}

/// The formats of predictions files, by their extensions.
const EXTENSIONS: &[&str] = &["jsonl", "csv", "parquet"];

impl Predictions {
    /// Reads a file by its extension: `.jsonl`, `.csv` or `.parquet`.
    ///
    /// # Errors
    /// As [`Predictions::read_with_positive`].
    pub fn read(path: &Path) -> Result<Self, RunError> {
        Self::read_with_positive(path, None)
    }

    /// Reads a file in which one column or field `probability` may stand for the positive class
    /// of two: `positive`, or the second by name.
    ///
    /// # Errors
    /// [`RunError::Line`] for a row that cannot be used, with its line (in Parquet files: its
    /// row), the field and the remedy; [`RunError::File`] for a file that is not of its format or
    /// has no rows; [`RunError::Unknown`] for another extension.
    pub fn read_with_positive(path: &Path, positive: Option<&str>) -> Result<Self, RunError> {
        let mut rows = Vec::new();
        read_rows(path, &mut |row| {
            rows.push(row);
            Ok(())
        })?;
        row::checked(rows, path, positive)
    }

    /// Reads a file a part at a time, so that memory does not grow with it. Every row has a
    /// probability for each class, in the order of the first row; ids are compared within a part
    /// only.
    ///
    /// # Errors
    /// As [`Predictions::read`], and what `each` returns.
    pub fn read_in_parts(
        path: &Path,
        mut each: impl FnMut(Self) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let (mut rows, mut classes) = (Vec::new(), None);
        let mut give = |rows: Vec<row::RawRow>| {
            let part = row::checked(rows, path, None)?;
            let classes = classes.get_or_insert_with(|| part.classes.clone());
            each(part.aligned_to(classes)?)
        };
        read_rows(path, &mut |row| {
            rows.push(row);
            if rows.len() < ROWS_OF_PART { Ok(()) } else { give(std::mem::take(&mut rows)) }
        })?;
        if rows.is_empty() { Ok(()) } else { give(rows) }
    }

    /// Whether every row has a label.
    #[must_use]
    pub fn is_labelled(&self) -> bool {
        self.rows.iter().all(Prediction::is_labelled)
    }

    /// Whether the rows are answers to questions.
    #[must_use]
    pub fn are_answers(&self) -> bool {
        self.rows.first().is_some_and(|row| row.answer.is_some())
    }

    /// The rows as numbers.
    ///
    /// # Errors
    /// [`RunError::Pairing`] where a row has no label, or a class that is not among
    /// [`Predictions::classes`].
    pub fn scored(&self) -> Result<ScoredRows, RunError> {
        let unlabelled = self.rows.iter().filter(|row| !row.is_labelled()).count();
        if unlabelled > 0 {
            let first = self.rows.iter().position(|row| !row.is_labelled()).unwrap_or(0);
            let problem = format!(
                "{unlabelled} of {} rows have no label, row {} the first, so they cannot be scored",
                self.rows.len(),
                first + 1
            );
            return Err(RunError::Pairing { problem });
        }
        if self.are_answers() {
            let answers =
                ScoredAnswers::of(&self.rows).map_err(|problem| RunError::Pairing { problem })?;
            return Ok(ScoredRows {
                classes: Vec::new(),
                labels: Vec::new(),
                predictions: Vec::new(),
                probabilities: Vec::new(),
                logits: None,
                clusters: self.clusters(),
                answers: Some(answers),
            });
        }
        let index = |name: &str, id: &str| {
            self.classes.iter().position(|class| class == name).ok_or_else(|| RunError::Pairing {
                problem: format!("item `{id}`: `{name}` is not one of the classes"),
            })
        };
        let mut labels = Vec::with_capacity(self.rows.len());
        let mut predictions = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            labels.push(index(row.label.as_deref().unwrap_or_default(), &row.id)?);
            predictions.push(index(&row.prediction, &row.id)?);
        }
        let logits: Option<Vec<Vec<f64>>> = self
            .rows
            .iter()
            .map(|row| {
                row.logits.as_ref().map(|values| values.iter().copied().map(f64::from).collect())
            })
            .collect();
        Ok(ScoredRows {
            classes: self.classes.clone(),
            labels,
            predictions,
            probabilities: self.rows.iter().map(|row| row.probabilities.clone()).collect(),
            logits,
            clusters: self.clusters(),
            answers: None,
        })
    }

    /// `[rows]`: clusters numbered by first appearance.
    fn clusters(&self) -> Option<Vec<usize>> {
        if self.rows.iter().all(|row| row.group.is_none()) {
            return None;
        }
        let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
        let mut next = 0;
        let mut fresh = || {
            next += 1;
            next - 1
        };
        let clusters = self.rows.iter().map(|row| match &row.group {
            Some(group) => *numbers.entry(group.as_str()).or_insert_with(&mut fresh),
            None => fresh(),
        });
        Some(clusters.collect())
    }

    /// The same predictions with their classes in another order.
    ///
    /// # Errors
    /// [`RunError::Pairing`] where the names are not the same set.
    pub fn aligned_to(&self, classes: &[String]) -> Result<Self, RunError> {
        let order: Option<Vec<usize>> = classes
            .iter()
            .map(|name| self.classes.iter().position(|class| class == name))
            .collect();
        let order = match order {
            Some(order) if classes.len() == self.classes.len() => order,
            _ => {
                let problem = format!(
                    "the classes differ: `{}` and `{}`",
                    self.classes.join("`, `"),
                    classes.join("`, `")
                );
                return Err(RunError::Pairing { problem });
            }
        };
        let rows = self.rows.iter().map(|row| Prediction {
            probabilities: order.iter().map(|&class| row.probabilities[class]).collect(),
            logits: row
                .logits
                .as_ref()
                .map(|logits| order.iter().map(|&class| logits[class]).collect()),
            ..row.clone()
        });
        Ok(Self { classes: classes.to_vec(), rows: rows.collect() })
    }
}

/// Rows of a file that are in memory at a time.
const ROWS_OF_PART: usize = 1024;

fn read_rows(path: &Path, each: &mut row::Each<'_>) -> Result<(), RunError> {
    match extension(path)? {
        "jsonl" => jsonl::read(path, each),
        "csv" => csv::read(path, each),
        _ => parquet::read(path, each),
    }
}

fn extension(path: &Path) -> Result<&'static str, RunError> {
    let given = path.extension().and_then(|name| name.to_str()).unwrap_or_default();
    EXTENSIONS
        .iter()
        .find(|known| given.eq_ignore_ascii_case(known))
        .copied()
        .ok_or_else(|| RunError::unknown("extension of a predictions file", given, EXTENSIONS))
}

#[cfg(test)]
mod tests;
