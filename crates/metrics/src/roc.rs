//! The ROC curve, of one file and as the mean over several.

use crate::error::{MetricError, Result};
use crate::items::Items;
use crate::ranking::{both_classes, count_positives};

/// What a threshold lets through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RocPoint {
    /// The share of negatives at or above the threshold.
    pub false_positive_rate: f64,
    /// The share of positives at or above the threshold.
    pub true_positive_rate: f64,
}

/// The ROC curve: from (0, 0), a point a distinct score from the highest down, to (1, 1). The area
/// under it by trapezoids is [`crate::auroc`]. `scores` and `positive` are `[items]`.
///
/// # Errors
/// As [`crate::auroc`].
pub fn roc_curve(scores: &[f64], positive: &[bool]) -> Result<Vec<RocPoint>> {
    let positives = count_positives(scores, positive)?;
    both_classes(positives, scores.len())?;
    let negatives = (scores.len() - positives) as f64;
    let mut order: Vec<usize> = (0..scores.len()).collect();
    // Adding 0 turns −0 into 0, so that the total order ties them.
    order.sort_by(|&a, &b| (scores[b] + 0.0).total_cmp(&(scores[a] + 0.0)));
    let mut points = vec![RocPoint { false_positive_rate: 0.0, true_positive_rate: 0.0 }];
    let (mut hits, mut alarms) = (0_usize, 0_usize);
    for (place, &item) in order.iter().enumerate() {
        if positive[item] {
            hits += 1;
        } else {
            alarms += 1;
        }
        let ends_tie = order.get(place + 1).is_none_or(|&next| scores[next] < scores[item]);
        if ends_tie {
            points.push(RocPoint {
                false_positive_rate: alarms as f64 / negatives,
                true_positive_rate: hits as f64 / positives as f64,
            });
        }
    }
    Ok(points)
}

/// The mean ROC curve of several files, at `places + 1` equally spaced false positive rates: the
/// mean of the true positive rates there (vertical averaging, Fawcett 2006). With more than two
/// classes also the mean over each class against the rest, as the macro AUROC.
///
/// # Errors
/// No file, no place, files that fail [`Items::check`], a class without items, items without classes
/// (answers to questions).
pub fn mean_roc(files: &[Items], places: usize) -> Result<Vec<RocPoint>> {
    if files.is_empty() {
        return Err(MetricError::Empty);
    }
    if places == 0 {
        return Err(MetricError::TooFew { what: "places of a curve", found: 0, expected: 1 });
    }
    let mut sums = vec![0.0; places + 1];
    let mut curves = 0.0;
    for file in files {
        file.check()?;
        for class in file.ranked_classes() {
            let curve = roc_curve(&file.ranking(class), &file.of_class(class))?;
            for (place, sum) in sums.iter_mut().enumerate() {
                *sum += at(&curve, place as f64 / places as f64);
            }
            curves += 1.0;
        }
    }
    if curves < 1.0 {
        return Err(MetricError::undefined("ROC curve", "these items have no classes"));
    }
    let point = |(place, sum): (usize, f64)| RocPoint {
        false_positive_rate: place as f64 / places as f64,
        true_positive_rate: sum / curves,
    };
    Ok(sums.into_iter().enumerate().map(point).collect())
}

/// The true positive rate of a curve at a false positive rate: on the line between the points
/// around it, and on top where the curve rises straight.
fn at(curve: &[RocPoint], rate: f64) -> f64 {
    let after = curve.partition_point(|point| point.false_positive_rate <= rate);
    let Some(before) = after.checked_sub(1).and_then(|index| curve.get(index)) else { return 0.0 };
    let Some(next) = curve.get(after) else { return before.true_positive_rate };
    let part = (rate - before.false_positive_rate)
        / (next.false_positive_rate - before.false_positive_rate);
    before.true_positive_rate + part * (next.true_positive_rate - before.true_positive_rate)
}
