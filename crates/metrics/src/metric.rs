//! The table of metrics: what each is, and how it is computed from scored rows.

use crate::error::{MetricError, Result};
use crate::items::Items;
use crate::labels::Confusion;
use crate::probability::{brier, brier_sum, brier_sums, log_losses, log_losses_from_logits};
use crate::ranking::{
    Average, auroc, auroc_one_vs_rest, average_precision, average_precision_one_vs_rest,
};

/// A score of one file of rows.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its key in files and its name on the command line.
    pub name: &'static str,
    /// Whether more is better.
    pub higher_is_better: bool,
    /// The least and the largest value it can take.
    pub range: (f64, f64),
    /// What of a row it reads.
    pub needs: Needs,
    /// What it is, in a line.
    pub describe: &'static str,
    /// Computes it; the rows are taken to have passed [`Items::check`].
    pub score: fn(&Items) -> Result<f64>,
    pub(crate) basis: Basis,
}

/// What of a row a metric reads, beside the label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// The decided class.
    Prediction,
    /// The accuracy of the answer, of items with several accepted answers.
    Answers,
    /// The order that logits or probabilities give.
    Ranking,
    /// The probabilities, or the logits where known.
    Probabilities,
}

/// What a metric is a function of, and so how its uncertainty is estimated.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Basis {
    /// Counts: resampled.
    Confusion(fn(&Confusion, usize) -> f64),
    /// The mean of a value per item: sandwich variance.
    Mean(fn(&Items) -> Result<Vec<f64>>),
    /// Placements: DeLong's variance.
    Auroc,
    /// A sorted order: resampled.
    AveragePrecision,
}

/// All metrics of items with one class each, in the order in which reports show them.
pub const METRICS: &[Metric] = &[
    Metric {
        score: |items| crate::labels::accuracy(items.predictions, items.labels),
        basis: Basis::Mean(hits),
        ..shares("accuracy", "share of items whose prediction is right")
    },
    Metric {
        score: score_f1,
        basis: Basis::Confusion(f1),
        ..shares("f1", "F1 of the positive class, 2tp/(2tp+fp+fn); two classes only")
    },
    Metric {
        score: |items| Ok(f1_macro(&items.confusion()?, 0)),
        basis: Basis::Confusion(f1_macro),
        ..shares("f1_macro", "mean of the F1 of all declared classes")
    },
    Metric {
        score: |items| crate::labels::accuracy(items.predictions, items.labels),
        basis: Basis::Mean(hits),
        ..shares("f1_micro", "F1 of pooled counts; equals accuracy where each item has one label")
    },
    Metric {
        score: |items| Ok(f1_weighted(&items.confusion()?, 0)),
        basis: Basis::Confusion(f1_weighted),
        ..shares("f1_weighted", "mean of the F1 of all classes, by support")
    },
    Metric {
        score: |items| Ok(precision(&items.confusion()?, items.positive)),
        basis: Basis::Confusion(precision),
        ..shares("precision", "tp/(tp+fp) of the positive class; mean over more than two classes")
    },
    Metric {
        score: |items| Ok(recall(&items.confusion()?, items.positive)),
        basis: Basis::Confusion(recall),
        ..shares("recall", "tp/(tp+fn) of the positive class; mean over more than two classes")
    },
    Metric {
        needs: Needs::Ranking,
        score: score_auroc,
        basis: Basis::Auroc,
        ..shares("auroc", "probability that a positive ranks above a negative; one-vs-rest mean")
    },
    Metric {
        needs: Needs::Ranking,
        score: score_average_precision,
        basis: Basis::AveragePrecision,
        ..shares("average_precision", "precision over distinct thresholds; one-vs-rest mean")
    },
    Metric {
        higher_is_better: false,
        range: (0.0, f64::INFINITY),
        needs: Needs::Probabilities,
        score: |items| mean_of(&losses(items)?),
        basis: Basis::Mean(losses),
        ..shares("log_loss", "mean −ln probability of the true class, from logits where known")
    },
    Metric {
        higher_is_better: false,
        range: (0.0, 2.0),
        needs: Needs::Probabilities,
        score: score_brier,
        basis: Basis::Mean(squares),
        ..shares(
            "brier",
            "mean squared error of the probability; summed over more than two classes",
        )
    },
    Metric {
        range: (-1.0, 1.0),
        score: |items| Ok(mcc(&items.confusion()?, 0)),
        basis: Basis::Confusion(mcc),
        ..shares("mcc", "correlation of predictions and labels (Matthews; Gorodkin)")
    },
    Metric {
        score: |items| Ok(balanced_accuracy(&items.confusion()?, 0)),
        basis: Basis::Confusion(balanced_accuracy),
        ..shares("balanced_accuracy", "mean recall over the classes that occur")
    },
];

/// All metrics of items that are questions with several accepted answers.
pub const ANSWER_METRICS: &[Metric] = &[Metric {
    needs: Needs::Answers,
    score: |items| mean_of(&accuracies(items)?),
    basis: Basis::Mean(accuracies),
    ..shares("vqa_accuracy", "mean share of the people whose answer it is, by the official rule")
}];

impl Metric {
    /// The metrics that items like these have.
    #[must_use]
    pub fn all_of(items: &Items) -> &'static [Self] {
        if items.answers.is_some() { ANSWER_METRICS } else { METRICS }
    }

    /// Errs where these items are not of the kind that the metric scores.
    pub(crate) fn check_fits(&self, items: &Items) -> Result<()> {
        let why = match (self.needs, items.answers) {
            (Needs::Answers, None) => {
                "it scores answers to questions, and these items have one class each"
            }
            (Needs::Answers, Some(_)) | (_, None) => return Ok(()),
            _ => "it scores classes, and these items are answers to questions; see `vqa_accuracy`",
        };
        Err(MetricError::undefined(self.name, why))
    }
}

/// The metric called `name`.
///
/// # Errors
/// An unknown name; the error lists all and suggests the nearest.
pub fn metric(name: &str) -> Result<&'static Metric> {
    let all = || METRICS.iter().chain(ANSWER_METRICS);
    all().find(|metric| metric.name == name).ok_or_else(|| {
        let nearest = all()
            .map(|metric| (strsim::jaro_winkler(name, metric.name), metric.name))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(similarity, _)| *similarity > 0.75);
        let known = all().map(|metric| format!("`{}`", metric.name));
        MetricError::UnknownMetric {
            name: name.to_owned(),
            known: known.collect::<Vec<_>>().join(", "),
            suggestion: nearest.map(|(_, name)| name.to_owned()),
        }
    })
}

/// A row whose score is a share of items; what differs is set beside it.
const fn shares(name: &'static str, describe: &'static str) -> Metric {
    Metric {
        name,
        higher_is_better: true,
        range: (0.0, 1.0),
        needs: Needs::Prediction,
        describe,
        score: score_auroc,
        basis: Basis::Auroc,
    }
}

fn score_f1(items: &Items) -> Result<f64> {
    if !items.is_binary() {
        let why = "there are more than two classes and so no positive one; see `f1_macro`";
        return Err(MetricError::undefined("f1", why));
    }
    Ok(f1(&items.confusion()?, items.positive))
}

fn f1(confusion: &Confusion, positive: usize) -> f64 {
    confusion.class_scores(positive, 0.0).f1
}

fn precision(confusion: &Confusion, positive: usize) -> f64 {
    let scores = match confusion.classes() {
        2 => confusion.class_scores(positive, 0.0),
        _ => confusion.macro_scores(),
    };
    scores.precision
}

fn recall(confusion: &Confusion, positive: usize) -> f64 {
    let scores = match confusion.classes() {
        2 => confusion.class_scores(positive, 0.0),
        _ => confusion.macro_scores(),
    };
    scores.recall
}

fn f1_macro(confusion: &Confusion, _positive: usize) -> f64 {
    confusion.macro_scores().f1
}

fn f1_weighted(confusion: &Confusion, _positive: usize) -> f64 {
    confusion.weighted_scores().f1
}

fn mcc(confusion: &Confusion, _positive: usize) -> f64 {
    confusion.mcc()
}

fn balanced_accuracy(confusion: &Confusion, _positive: usize) -> f64 {
    confusion.balanced_accuracy()
}

fn score_auroc(items: &Items) -> Result<f64> {
    if items.is_binary() {
        return auroc(&items.ranking(items.positive), &items.of_class(items.positive));
    }
    auroc_one_vs_rest(items.probabilities, items.labels, items.classes, Average::Macro)
}

fn score_average_precision(items: &Items) -> Result<f64> {
    if items.is_binary() {
        return average_precision(&items.ranking(items.positive), &items.of_class(items.positive));
    }
    average_precision_one_vs_rest(items.probabilities, items.labels, items.classes)
}

fn score_brier(items: &Items) -> Result<f64> {
    if !items.is_binary() {
        return brier_sum(items.probabilities, items.labels);
    }
    let column: Vec<f64> = items.probabilities.iter().map(|row| row[items.positive]).collect();
    brier(&column, &items.of_class(items.positive))
}

fn accuracies(items: &Items) -> Result<Vec<f64>> {
    match items.answers {
        Some(answers) => Ok(answers.accuracies.to_vec()),
        None => Err(MetricError::undefined("vqa_accuracy", "these items have one class each")),
    }
}

#[allow(clippy::unnecessary_wraps, reason = "one signature for all functions of the table")]
fn hits(items: &Items) -> Result<Vec<f64>> {
    let pairs = items.predictions.iter().zip(items.labels);
    Ok(pairs.map(|(a, b)| if a == b { 1.0 } else { 0.0 }).collect())
}

fn losses(items: &Items) -> Result<Vec<f64>> {
    match items.logits {
        Some(logits) => log_losses_from_logits(logits, items.labels),
        None => log_losses(items.probabilities, items.labels),
    }
}

fn squares(items: &Items) -> Result<Vec<f64>> {
    if !items.is_binary() {
        return brier_sums(items.probabilities, items.labels);
    }
    let square = |(row, &label): (&Vec<f64>, &usize)| {
        let truth = if label == items.positive { 1.0 } else { 0.0 };
        (row[items.positive] - truth).powi(2)
    };
    Ok(items.probabilities.iter().zip(items.labels).map(square).collect())
}

fn mean_of(values: &[f64]) -> Result<f64> {
    if values.is_empty() {
        return Err(MetricError::Empty);
    }
    Ok(values.iter().sum::<f64>() / values.len() as f64)
}
