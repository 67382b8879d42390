//! Scores of an order: the area under the ROC curve and average precision.

use crate::error::{MetricError, Result, finite, same_length};
use crate::items::{check_classes, check_rows};

/// How several classes' or pairs' scores become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Average {
    /// The plain mean.
    Macro,
    /// The mean by share of items.
    Weighted,
}

/// The probability that a positive item scores above a negative one, ties counting half: the
/// statistic of Mann and Whitney, from midranks in O(n log n). Constant scores give 0.5.
/// `scores` and `positive` are `[items]`.
///
/// # Errors
/// No items, lengths that differ, a score that is not finite, or a class without items.
pub fn auroc(scores: &[f64], positive: &[bool]) -> Result<f64> {
    let positives = count_positives(scores, positive)?;
    both_classes(positives, scores.len())?;
    let (n1, n0) = (positives as f64, (scores.len() - positives) as f64);
    let ranks = midranks(scores);
    let sum: f64 = ranks.iter().zip(positive).filter(|(_, p)| **p).map(|(rank, _)| rank).sum();
    Ok((sum - n1 * (n1 + 1.0) / 2.0) / (n1 * n0))
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
    Descending::new(scores).average_precision(positive, |_| 1)
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

/// Items from the highest score down, tied ones together: sorted once, scored for any weights.
#[derive(Clone, Debug)]
pub(crate) struct Descending {
    order: Vec<usize>,
    last_of_tie: Vec<bool>,
}

impl Descending {
    pub(crate) fn new(scores: &[f64]) -> Self {
        let mut order = ascending(scores);
        order.reverse();
        let last_of_tie = (0..order.len())
            .map(|place| {
                order.get(place + 1).is_none_or(|&next| scores[next] < scores[order[place]])
            })
            .collect();
        Self { order, last_of_tie }
    }

    /// Average precision with item i counted `weight(i)` times; undefined without a positive.
    pub(crate) fn average_precision(
        &self,
        positive: &[bool],
        weight: impl Fn(usize) -> u32,
    ) -> Result<f64> {
        let (mut hits, mut seen, mut new_hits, mut sum) = (0_u64, 0_u64, 0_u64, 0.0);
        for (&item, last) in self.order.iter().zip(&self.last_of_tie) {
            let count = u64::from(weight(item));
            seen += count;
            new_hits += if positive[item] { count } else { 0 };
            if *last && new_hits > 0 {
                hits += new_hits;
                sum += new_hits as f64 * hits as f64 / seen as f64;
                new_hits = 0;
            }
        }
        if hits == 0 {
            return Err(MetricError::undefined("average_precision", "no positive item"));
        }
        Ok(sum / hits as f64)
    }
}

/// Ranks from 1, tied values sharing the mean of theirs.
pub(crate) fn midranks(values: &[f64]) -> Vec<f64> {
    let order = ascending(values);
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let mut end = start + 1;
        while end < order.len() && values[order[end]] <= values[order[start]] {
            end += 1;
        }
        for &item in &order[start..end] {
            ranks[item] = 0.5 * (start + 1 + end) as f64;
        }
        start = end;
    }
    ranks
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

/// Indices by ascending value, ties in input order; −0 equals 0.
fn ascending(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    // Adding 0 turns −0 into 0, so that the total order ties them.
    order.sort_by(|&a, &b| (values[a] + 0.0).total_cmp(&(values[b] + 0.0)));
    order
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
