//! Scores of an order: the area under the ROC curve and average precision.

use crate::error::{MetricError, Result, finite, same_length};
use crate::items::{check_classes, check_rows};
use crate::order::Split;

/// How several classes' or pairs' scores become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Average {
    /// The plain mean.
    Macro,
    /// The mean by share of items.
    Weighted,
}

/// The probability that a positive item scores above a negative one, ties counting half: the
/// statistic of Mann and Whitney, counted exactly in O(n log n). Constant scores give 0.5.
/// `scores` and `positive` are `[items]`.
///
/// # Errors
/// No items, lengths that differ, a score that is not finite, or a class without items.
pub fn auroc(scores: &[f64], positive: &[bool]) -> Result<f64> {
    let positives = count_positives(scores, positive)?;
    both_classes(positives, scores.len())?;
    let pairs = positives as f64 * (scores.len() - positives) as f64;
    Ok(Split::new(scores, positive).wins() as f64 / (2.0 * pairs))
}

/// Average precision: `Σ (R_n − R_{n−1}) P_n` over distinct thresholds from the highest down; tied
/// items enter together, nothing is interpolated. Its baseline is the share of positives, so it
/// does not compare across sets. `scores` and `positive` are `[items]`.
///
/// # Errors
/// No items, lengths that differ, a score that is not finite, or no positive item.
pub fn average_precision(scores: &[f64], positive: &[bool]) -> Result<f64> {
    if count_positives(scores, positive)? == 0 {
        return Err(MetricError::undefined("average_precision", "no positive item"));
    }
    Ok(Split::new(scores, positive).average_precision())
}

/// AUROC of each class against the rest on its own probability, averaged.
/// `probabilities` is `[items][classes]`, `labels` `[items]`.
///
/// # Errors
/// As [`auroc`]; a class without items is named.
pub fn auroc_one_vs_rest(
    probabilities: &[Vec<f64>],
    labels: &[usize],
    classes: usize,
    average: Average,
) -> Result<f64> {
    check_multiclass(probabilities, labels, classes)?;
    let mut parts = Vec::with_capacity(classes);
    for class in 0..classes {
        let scores: Vec<f64> = probabilities.iter().map(|row| row[class]).collect();
        let positive: Vec<bool> = labels.iter().map(|&label| label == class).collect();
        let share = positive.iter().filter(|p| **p).count() as f64;
        parts.push((auroc(&scores, &positive).map_err(|error| name(error, class))?, share));
    }
    Ok(combine(&parts, average))
}

/// AUROC of each pair of classes on the items of the two, both ways, averaged (Hand and Till 2001).
///
/// # Errors
/// As [`auroc_one_vs_rest`].
pub fn auroc_one_vs_one(
    probabilities: &[Vec<f64>],
    labels: &[usize],
    classes: usize,
    average: Average,
) -> Result<f64> {
    check_multiclass(probabilities, labels, classes)?;
    if let Some(class) = (0..classes).find(|class| !labels.contains(class)) {
        return Err(name(MetricError::undefined("auroc", ""), class));
    }
    let one_way = |positive: usize, negative: usize| {
        let rows: Vec<usize> = (0..labels.len())
            .filter(|&item| labels[item] == positive || labels[item] == negative)
            .collect();
        let scores: Vec<f64> = rows.iter().map(|&item| probabilities[item][positive]).collect();
        let truth: Vec<bool> = rows.iter().map(|&item| labels[item] == positive).collect();
        Ok::<_, MetricError>((auroc(&scores, &truth)?, rows.len() as f64))
    };
    let mut parts = Vec::new();
    for a in 0..classes {
        for b in a + 1..classes {
            let (forth, share) = one_way(a, b)?;
            parts.push((0.5 * (forth + one_way(b, a)?.0), share));
        }
    }
    Ok(combine(&parts, average))
}

/// Average precision of each class against the rest, plain mean.
///
/// # Errors
/// As [`average_precision`]; a class without items is named.
pub fn average_precision_one_vs_rest(
    probabilities: &[Vec<f64>],
    labels: &[usize],
    classes: usize,
) -> Result<f64> {
    check_multiclass(probabilities, labels, classes)?;
    let mut sum = 0.0;
    for class in 0..classes {
        let scores: Vec<f64> = probabilities.iter().map(|row| row[class]).collect();
        let positive: Vec<bool> = labels.iter().map(|&label| label == class).collect();
        sum += average_precision(&scores, &positive).map_err(|error| name(error, class))?;
    }
    Ok(sum / classes as f64)
}

/// Checks an order's inputs and counts its positives.
pub(crate) fn count_positives(scores: &[f64], positive: &[bool]) -> Result<usize> {
    if scores.is_empty() {
        return Err(MetricError::Empty);
    }
    same_length("positive", scores.len(), positive.len())?;
    finite("scores", scores)?;
    Ok(positive.iter().filter(|p| **p).count())
}

/// Errs unless both classes have items.
pub(crate) fn both_classes(positives: usize, items: usize) -> Result<()> {
    let why = match positives {
        0 => "no positive item; one class is absent",
        n if n == items => "no negative item; one class is absent",
        _ => return Ok(()),
    };
    Err(MetricError::undefined("auroc", why))
}

/// An undefined score of one class, with the class in words.
pub(crate) fn name(error: MetricError, class: usize) -> MetricError {
    match error {
        MetricError::Undefined { metric, .. } => {
            let why =
                format!("class {class} is absent from the labels, or no other class is there");
            MetricError::Undefined { metric, why }
        }
        other => other,
    }
}

fn check_multiclass(probabilities: &[Vec<f64>], labels: &[usize], classes: usize) -> Result<()> {
    if labels.is_empty() {
        return Err(MetricError::Empty);
    }
    same_length("probabilities", labels.len(), probabilities.len())?;
    check_classes("labels", labels, classes)?;
    check_rows("probabilities", probabilities, classes)
}

fn combine(parts: &[(f64, f64)], average: Average) -> f64 {
    let weight = |share: f64| if average == Average::Weighted { share } else { 1.0 };
    let total: f64 = parts.iter().map(|(_, share)| weight(*share)).sum();
    parts.iter().map(|(value, share)| value * weight(*share)).sum::<f64>() / total
}
