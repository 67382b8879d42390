//! The score from which on an item is called positive, chosen on validation data.

use crate::error::{MetricError, Result};
use crate::order::ascending;
use crate::ranking::{both_classes, count_positives};

/// What a threshold is to make as large as possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objective {
    /// F1 of the positive class.
    F1,
    /// The mean of both classes' recalls.
    BalancedAccuracy,
}

/// A threshold and what it reached where it was chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// Items with at least this score are positive.
    pub threshold: f64,
    /// The objective on the validation items: optimistic, since it was chosen there.
    pub value: f64,
}

impl Threshold {
    /// 1 for items called positive, 0 for others, `[items]`.
    #[must_use]
    pub fn apply(&self, scores: &[f64]) -> Vec<usize> {
        scores.iter().map(|score| usize::from(*score >= self.threshold)).collect()
    }
}

/// The best threshold for `scores` and `positive`, `[items]` of the validation split; never choose
/// it on the items that are reported. Every observed score is tried; of equally good ones the
/// highest is taken, so that fewest items are called positive.
///
/// # Errors
/// No items, lengths that differ, a score that is not finite, a class without items.
pub fn best_threshold(
    scores: &[f64],
    positive: &[bool],
    objective: Objective,
) -> Result<Threshold> {
    let positives = count_positives(scores, positive)?;
    both_classes(positives, scores.len())?;
    let negatives = scores.len() - positives;
    let order = ascending(scores);
    let (mut hits, mut false_alarms) = (0_usize, 0_usize);
    let mut best: Option<Threshold> = None;
    for (place, &item) in order.iter().enumerate().rev() {
        hits += usize::from(positive[item]);
        false_alarms += usize::from(!positive[item]);
        if place > 0 && scores[order[place - 1]] >= scores[item] {
            continue; // tied items are called alike
        }
        let value = match objective {
            Objective::F1 => 2.0 * hits as f64 / (hits + false_alarms + positives) as f64,
            Objective::BalancedAccuracy => {
                let rejected = (negatives - false_alarms) as f64 / negatives as f64;
                0.5 * (hits as f64 / positives as f64 + rejected)
            }
        };
        if best.is_none_or(|best| value > best.value) {
            best = Some(Threshold { threshold: scores[item], value });
        }
    }
    best.ok_or(MetricError::Empty)
}
