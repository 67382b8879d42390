//! Scores of decided labels: all derive from the confusion matrix.

use crate::error::{MetricError, Result, same_length};
use crate::items::check_classes;

/// Counts of (true, predicted) classes: rows are true, columns predicted, in declared order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

/// Precision, recall and F1 of one class, or an average of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassScores {
    /// tp / (tp + fp).
    pub precision: f64,
    /// tp / (tp + fn).
    pub recall: f64,
    /// 2 tp / (2 tp + fp + fn); an average of F1 values, never the F1 of averages.
    pub f1: f64,
}

impl Confusion {
    /// Counts `predictions` against `labels`, both `[items]`.
    ///
    /// # Errors
    /// No items, lengths that differ, a class that is not below `classes`.
    pub fn new(predictions: &[usize], labels: &[usize], classes: usize) -> Result<Self> {
        if labels.is_empty() {
            return Err(MetricError::Empty);
        }
        same_length("predictions", labels.len(), predictions.len())?;
        check_classes("labels", labels, classes)?;
        check_classes("predictions", predictions, classes)?;
        Ok(Self::count(predictions, labels, classes, |_| 1))
    }

    /// Counts checked items, item i `weight(i)` times.
    pub(crate) fn count(
        predictions: &[usize],
        labels: &[usize],
        classes: usize,
        weight: impl Fn(usize) -> u64,
    ) -> Self {
        let mut counts = vec![0; classes * classes];
        for (item, (&predicted, &label)) in predictions.iter().zip(labels).enumerate() {
            counts[label * classes + predicted] += weight(item);
        }
        Self { classes, counts }
    }

    /// How many classes are declared.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The rows, `[classes][classes]`.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<u64>> {
        self.counts.chunks(self.classes).map(<[u64]>::to_vec).collect()
    }

    /// The number of items.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Items of true `class`.
    #[must_use]
    pub fn support(&self, class: usize) -> u64 {
        self.counts[class * self.classes..(class + 1) * self.classes].iter().sum()
    }

    /// Items predicted as `class`.
    #[must_use]
    pub fn predicted(&self, class: usize) -> u64 {
        self.counts.iter().skip(class).step_by(self.classes).sum()
    }

    /// Items of true `class` predicted as it.
    #[must_use]
    pub fn hits(&self, class: usize) -> u64 {
        self.counts[class * self.classes + class]
    }

    /// The share of items whose prediction is right.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        let hits: u64 = (0..self.classes).map(|class| self.hits(class)).sum();
        hits as f64 / self.total() as f64
    }

    /// The scores of `class`; `zero_division` (0 in [`crate::evaluate()`]) replaces a score whose own
    /// denominator is 0.
    #[must_use]
    pub fn class_scores(&self, class: usize, zero_division: f64) -> ClassScores {
        let (hits, predicted) = (self.hits(class), self.predicted(class));
        let support = self.support(class);
        ClassScores {
            precision: ratio(hits, predicted, zero_division),
            recall: ratio(hits, support, zero_division),
            f1: ratio(2 * hits, predicted + support, zero_division),
        }
    }

    /// The unweighted mean over all declared classes, 0/0 as 0. A class without items counts,
    /// unlike in scikit-learn's default, so the mean stays below 1 then.
    #[must_use]
    pub fn macro_scores(&self) -> ClassScores {
        self.average(|_| 1.0 / self.classes as f64)
    }

    /// The mean over classes by support, 0/0 as 0.
    #[must_use]
    pub fn weighted_scores(&self) -> ClassScores {
        let total = self.total() as f64;
        self.average(|class| self.support(class) as f64 / total)
    }

    /// From the counts pooled over classes; all three equal accuracy where each item has one label.
    #[must_use]
    pub fn micro_scores(&self) -> ClassScores {
        let accuracy = self.accuracy();
        ClassScores { precision: accuracy, recall: accuracy, f1: accuracy }
    }

    /// Mean recall over the classes that occur among the labels.
    #[must_use]
    pub fn balanced_accuracy(&self) -> f64 {
        let present: Vec<usize> =
            (0..self.classes).filter(|&class| self.support(class) > 0).collect();
        let recalls: f64 = present.iter().map(|&class| self.class_scores(class, 0.0).recall).sum();
        recalls / present.len() as f64
    }

    /// The correlation of Matthews, for any number of classes (Gorodkin 2004); 0 where a margin of
    /// the matrix is degenerate.
    #[must_use]
    pub fn mcc(&self) -> f64 {
        let classes = || 0..self.classes;
        let wide = i128::from;
        let total = wide(self.total());
        let hits: i128 = classes().map(|class| wide(self.hits(class))).sum();
        let sum = |term: &dyn Fn(usize) -> i128| classes().map(term).sum::<i128>();
        let cross = sum(&|class| wide(self.predicted(class)) * wide(self.support(class)));
        let predicted = total * total - sum(&|class| wide(self.predicted(class)).pow(2));
        let support = total * total - sum(&|class| wide(self.support(class)).pow(2));
        if predicted == 0 || support == 0 {
            return 0.0;
        }
        let mcc =
            (hits * total - cross) as f64 / ((predicted as f64).sqrt() * (support as f64).sqrt());
        mcc.clamp(-1.0, 1.0) // two rounded roots may overshoot by a last digit
    }

    fn average(&self, weight: impl Fn(usize) -> f64) -> ClassScores {
        let mut mean = ClassScores { precision: 0.0, recall: 0.0, f1: 0.0 };
        for class in 0..self.classes {
            let scores = self.class_scores(class, 0.0);
            mean.precision += weight(class) * scores.precision;
            mean.recall += weight(class) * scores.recall;
            mean.f1 += weight(class) * scores.f1;
        }
        mean
    }
}

/// The share of `predictions` that equal `labels`, both `[items]`.
///
/// # Errors
/// No items, or lengths that differ.
pub fn accuracy(predictions: &[usize], labels: &[usize]) -> Result<f64> {
    if labels.is_empty() {
        return Err(MetricError::Empty);
    }
    same_length("predictions", labels.len(), predictions.len())?;
    let hits = predictions.iter().zip(labels).filter(|(a, b)| a == b).count();
    Ok(hits as f64 / labels.len() as f64)
}

/// The class of the largest score; ties go to the lowest class. `None` for no scores.
#[must_use]
pub fn predicted_class(scores: &[f64]) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (class, score) in scores.iter().enumerate() {
        if best.is_none_or(|best| *score > scores[best]) {
            best = Some(class);
        }
    }
    best
}

/// The official accuracy of one VQA v2 answer, 0 to 1: the mean, over the sets that leave one
/// person's answer out, of min(1, matches / 3). For ten answers: 0, 0.3, 0.6, 0.9, 1 for 0, 1, 2,
/// 3, more matches. Answers are compared as they are; normalise them first.
///
/// # Errors
/// Fewer than two answers.
pub fn vqa_soft_accuracy(prediction: &str, answers: &[&str]) -> Result<f64> {
    if answers.len() < 2 {
        return Err(MetricError::TooFew { what: "answers", found: answers.len(), expected: 2 });
    }
    let matches = answers.iter().filter(|answer| **answer == prediction).count();
    let score = |matches: usize| (matches as f64 / 3.0).min(1.0);
    let sum: f64 =
        answers.iter().map(|answer| score(matches - usize::from(*answer == prediction))).sum();
    Ok(sum / answers.len() as f64)
}

/// min(1, matches / 3), often taken for the official VQA accuracy. It is not; see
/// [`vqa_soft_accuracy`]. Here to recompute figures that were published with it.
#[must_use]
pub fn vqa_simplified_accuracy(prediction: &str, answers: &[&str]) -> f64 {
    let matches = answers.iter().filter(|answer| **answer == prediction).count();
    (matches as f64 / 3.0).min(1.0)
}

fn ratio(part: u64, whole: u64, zero_division: f64) -> f64 {
    if whole == 0 { zero_division } else { part as f64 / whole as f64 }
}
