//! The scored rows of one file.

use crate::error::{MetricError, Result, finite, same_length};
use crate::interval::Clusters;
use crate::labels::Confusion;

/// Probabilities written as f32 sum to 1 within about 1e-6; more than this is a mistake.
const ROW_SUM_TOLERANCE: f64 = 1e-3;

/// One file's scored rows, borrowed: row i of each slice is item i.
#[derive(Clone, Copy, Debug)]
pub struct Items<'a> {
    /// The true class of each item, `[items]`.
    pub labels: &'a [usize],
    /// The decided class of each item, `[items]`, taken at its word.
    pub predictions: &'a [usize],
    /// `[items][classes]`, each row summing to 1.
    pub probabilities: &'a [Vec<f64>],
    /// `[items][classes]` before the softmax, where known: log loss and, for two classes, AUROC
    /// are computed from them, since probabilities saturate.
    pub logits: Option<&'a [Vec<f64>]>,
    /// Items of equal number share a picture and are resampled together, `[items]`.
    pub clusters: Option<&'a [usize]>,
    /// How many classes are declared.
    pub classes: usize,
    /// The positive class; read where there are two classes.
    pub positive: usize,
    /// What replaces labels, predictions, probabilities, logits and classes, which are empty then,
    /// where items are questions with several accepted answers.
    pub answers: Option<AnsweredItems<'a>>,
}

impl<'a> Items<'a> {
    /// Items of so many classes: `labels` and `predictions` are `[items]`, `probabilities` `[items][classes]`.
    /// The positive of two classes is the second; logits and clusters are not known.
    #[must_use]
    pub fn new(
        labels: &'a [usize],
        predictions: &'a [usize],
        probabilities: &'a [Vec<f64>],
        classes: usize,
    ) -> Self {
        let (logits, clusters, answers) = (None, None, None);
        Items {
            labels,
            predictions,
            probabilities,
            logits,
            clusters,
            classes,
            positive: 1,
            answers,
        }
    }
}

/// Predicted answers of open questions, already judged: row i of each slice is item i.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnsweredItems<'a> {
    /// `[items]`: the accuracy of the predicted answer, from 0 to 1; see
    /// [`vqa::accuracy`](crate::vqa::accuracy).
    pub accuracies: &'a [f64],
    /// `[items]`, or empty where they are not known.
    pub question_types: &'a [String],
    /// `[items]`, or empty where they are not known.
    pub answer_types: &'a [String],
}

impl<'a> AnsweredItems<'a> {
    /// These answers as items.
    #[must_use]
    pub fn items(self, clusters: Option<&'a [usize]>) -> Items<'a> {
        Items { clusters, answers: Some(self), ..Items::new(&[], &[], &[], 0) }
    }

    fn check(&self) -> Result<()> {
        let n = self.accuracies.len();
        for (what, types) in
            [("question types", self.question_types), ("answer types", self.answer_types)]
        {
            if !types.is_empty() {
                same_length(what, n, types.len())?;
            }
        }
        match self.accuracies.iter().position(|value| !(0.0..=1.0).contains(value)) {
            Some(index) => Err(MetricError::Probability { index, value: self.accuracies[index] }),
            None => Ok(()),
        }
    }
}

impl Items<'_> {
    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.answers.map_or(self.labels.len(), |answers| answers.accuracies.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether precision, recall, F1, AUROC are those of one class against the other.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        self.classes == 2
    }

    /// Checks all that the scores rest on.
    ///
    /// # Errors
    /// The first fault: no items, lengths that differ, a class out of range, a number that is not
    /// finite, a probability outside 0 to 1, a row that does not sum to 1.
    pub fn check(&self) -> Result<()> {
        let n = self.len();
        if n == 0 {
            return Err(MetricError::Empty);
        }
        if let Some(answers) = self.answers {
            answers.check()?;
            return self.clusters.map_or(Ok(()), |of| same_length("clusters", n, of.len()));
        }
        same_length("predictions", n, self.predictions.len())?;
        same_length("probabilities", n, self.probabilities.len())?;
        if let Some(clusters) = self.clusters {
            same_length("clusters", n, clusters.len())?;
        }
        if self.classes < 2 {
            return Err(MetricError::TooFew { what: "classes", found: self.classes, expected: 2 });
        }
        if self.is_binary() && self.positive > 1 {
            let (what, value) = ("positive", self.positive);
            return Err(MetricError::Label { what, index: 0, value, classes: 2 });
        }
        check_classes("labels", self.labels, self.classes)?;
        check_classes("predictions", self.predictions, self.classes)?;
        check_probabilities(self.probabilities, self.classes)?;
        if let Some(logits) = self.logits {
            same_length("logits", n, logits.len())?;
            check_rows("logits", logits, self.classes)?;
        }
        Ok(())
    }

    /// The confusion matrix of predictions and labels.
    ///
    /// # Errors
    /// As [`Confusion::new`].
    pub fn confusion(&self) -> Result<Confusion> {
        Confusion::new(self.predictions, self.labels, self.classes)
    }

    /// What to rank items by for `class` against the rest: the logit difference of two classes
    /// where logits are known, else the probability of the class.
    pub(crate) fn ranking(&self, class: usize) -> Vec<f64> {
        match self.logits {
            Some(logits) if self.is_binary() => {
                logits.iter().map(|row| row[class] - row[1 - class]).collect()
            }
            _ => self.probabilities.iter().map(|row| row[class]).collect(),
        }
    }

    /// Which items are of `class`.
    pub(crate) fn of_class(&self, class: usize) -> Vec<bool> {
        self.labels.iter().map(|&label| label == class).collect()
    }

    /// The classes whose rankings are averaged: the positive one of two, else all.
    pub(crate) fn ranked_classes(&self) -> Vec<usize> {
        if self.is_binary() { vec![self.positive] } else { (0..self.classes).collect() }
    }

    pub(crate) fn clusters(&self) -> Clusters {
        Clusters::new(self.len(), self.clusters)
    }
}

/// Errs at the first class that is not below `classes`.
pub(crate) fn check_classes(what: &'static str, values: &[usize], classes: usize) -> Result<()> {
    match values.iter().position(|&value| value >= classes) {
        Some(index) => Err(MetricError::Label { what, index, value: values[index], classes }),
        None => Ok(()),
    }
}

/// Errs at the first row that is not a distribution over `classes`.
pub(crate) fn check_probabilities(rows: &[Vec<f64>], classes: usize) -> Result<()> {
    check_rows("probabilities", rows, classes)?;
    for (index, row) in rows.iter().enumerate() {
        if let Some(&value) = row.iter().find(|value| !(0.0..=1.0).contains(*value)) {
            return Err(MetricError::Probability { index, value });
        }
        let sum: f64 = row.iter().sum();
        if (sum - 1.0).abs() > ROW_SUM_TOLERANCE {
            return Err(MetricError::RowSum { index, sum });
        }
    }
    Ok(())
}

/// Errs at the first row of the wrong length or with a number that is not finite.
pub(crate) fn check_rows(what: &'static str, rows: &[Vec<f64>], classes: usize) -> Result<()> {
    for (index, row) in rows.iter().enumerate() {
        same_length(what, classes, row.len())?;
        finite(what, row).map_err(|_inner| MetricError::NotFinite { what, index })?;
    }
    Ok(())
}
