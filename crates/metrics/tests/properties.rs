//! What holds for every row of `METRICS`, whatever the data: a new metric is covered without a new
//! test.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    reason = "a test stops at the first surprise, and some values are exact"
)]

use mmc_metrics::labels::predicted_class;
use mmc_metrics::{Items, METRICS, Metric, MetricError, auroc, evaluate, metric};
use proptest::prelude::*;

/// Rows that own what `Items` borrows.
#[derive(Clone, Debug)]
struct Rows {
    classes: usize,
    labels: Vec<usize>,
    logits: Vec<Vec<f64>>,
    probabilities: Vec<Vec<f64>>,
    predictions: Vec<usize>,
}

impl Rows {
    fn new(classes: usize, labels: Vec<usize>, logits: Vec<Vec<f64>>) -> Self {
        let softmax = |row: &Vec<f64>| -> Vec<f64> {
            let sum: f64 = row.iter().map(|z| z.exp()).sum();
            row.iter().map(|z| z.exp() / sum).collect()
        };
        Self {
            classes,
            labels,
            probabilities: logits.iter().map(softmax).collect(),
            predictions: logits.iter().map(|row| predicted_class(row).unwrap()).collect(),
            logits,
        }
    }

    fn items(&self) -> Items<'_> {
        Items {
            positive: self.classes.min(2) - 1,
            logits: Some(&self.logits),
            ..Items::new(&self.labels, &self.predictions, &self.probabilities, self.classes)
        }
    }

    /// The same rows in another order.
    fn rotated(&self, by: usize) -> Self {
        let mut other = self.clone();
        other.labels.rotate_left(by);
        other.logits.rotate_left(by);
        other.logits.reverse();
        other.labels.reverse();
        Self::new(other.classes, other.labels, other.logits)
    }
}

/// Two to four classes, each with an item; logits on a coarse grid, so that there are ties.
fn rows() -> impl Strategy<Value = Rows> {
    (2_usize..5, 4_usize..40).prop_flat_map(|(classes, n)| {
        let labels = prop::collection::vec(0..classes, n).prop_map(move |mut labels| {
            for (class, label) in labels.iter_mut().enumerate().take(classes) {
                *label = class;
            }
            labels
        });
        let row = prop::collection::vec((-20_i32..=20).prop_map(|z| f64::from(z) / 4.0), classes);
        (labels, prop::collection::vec(row, n))
            .prop_map(move |(labels, logits)| Rows::new(classes, labels, logits))
    })
}

/// Undefined by its definition, not by the data.
fn never_defined(metric: &Metric, rows: &Rows) -> bool {
    metric.name == "f1" && rows.classes > 2
}

proptest! {
    #[test]
    fn every_metric_is_in_range_and_blind_to_the_order_of_items(rows in rows(), by in 0_usize..4) {
        let rotated = rows.rotated(by);
        for metric in METRICS.iter().filter(|metric| !never_defined(metric, &rows)) {
            let value = (metric.score)(&rows.items()).unwrap();
            prop_assert!(metric.range.0 <= value && value <= metric.range.1 + 1e-12);
            let other = (metric.score)(&rotated.items()).unwrap();
            prop_assert!((value - other).abs() < 1e-10, "{}: {value} {other}", metric.name);
        }
    }

    #[test]
    fn nothing_beats_a_perfect_file(rows in rows()) {
        let certain = |&label: &usize| -> Vec<f64> {
            (0..rows.classes).map(|class| if class == label { 40.0 } else { 0.0 }).collect()
        };
        let logits = rows.labels.iter().map(certain).collect();
        let perfect = Rows::new(rows.classes, rows.labels.clone(), logits);
        for metric in METRICS.iter().filter(|metric| !never_defined(metric, &rows)) {
            let best = (metric.score)(&perfect.items()).unwrap();
            let value = (metric.score)(&rows.items()).unwrap();
            let end = if metric.higher_is_better { metric.range.1 } else { metric.range.0 };
            prop_assert!((best - end).abs() < 1e-9, "{}: {best}", metric.name);
            let gap = if metric.higher_is_better { best - value } else { value - best };
            prop_assert!(gap >= 0.0, "{}: {value} beats {best}", metric.name);
        }
    }

    #[test]
    fn a_number_that_is_not_finite_errs(
        rows in rows(),
        at in 0_usize..4,
        bad in prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
    ) {
        let mut logits = rows.clone();
        logits.logits[at][0] = bad;
        let expected = MetricError::NotFinite { what: "logits", index: at };
        prop_assert_eq!(evaluate(&logits.items(), 0), Err(expected));
        let mut probabilities = rows;
        probabilities.probabilities[at][1] = bad;
        let expected = MetricError::NotFinite { what: "probabilities", index: at };
        prop_assert_eq!(evaluate(&probabilities.items(), 0), Err(expected));
    }

    #[test]
    fn auroc_is_the_share_of_ordered_pairs(
        scores in prop::collection::vec((-6_i32..6).prop_map(f64::from), 2..30),
    ) {
        let positive: Vec<bool> = (0..scores.len()).map(|item| item % 2 == 0).collect();
        let (mut pairs, mut won) = (0.0, 0.0);
        for (a, _) in scores.iter().zip(&positive).filter(|(_, p)| **p) {
            for (b, _) in scores.iter().zip(&positive).filter(|(_, p)| !**p) {
                pairs += 1.0;
                won += if a > b { 1.0 } else if a < b { 0.0 } else { 0.5 };
            }
        }
        prop_assert!((auroc(&scores, &positive).unwrap() - won / pairs).abs() < 1e-12);
        let reversed: Vec<f64> = scores.iter().map(|score| -score).collect();
        prop_assert!((auroc(&reversed, &positive).unwrap() - (1.0 - won / pairs)).abs() < 1e-12);
    }
}

#[test]
fn negative_zero_ties_with_zero() {
    assert_eq!(auroc(&[-0.0, 0.0], &[true, false]), Ok(0.5));
    assert_eq!(auroc(&[0.0, -0.0], &[true, false]), Ok(0.5));
}

#[test]
fn unknown_metrics_are_named_and_the_nearest_is_suggested() {
    let error = metric("f1macro").unwrap_err().to_string();
    assert!(
        error.starts_with("no metric is called `f1macro`; did you mean `f1_macro`?"),
        "{error}"
    );
    assert!(METRICS.iter().all(|metric| error.contains(metric.name)), "{error}");
    assert!(!metric("zzz").unwrap_err().to_string().contains("did you mean"));
}

#[test]
fn large_sets_do_not_overflow() {
    // 200,000 × 200,000 pairs are more than fit 32 bits.
    let n = 400_000;
    let scores: Vec<f64> = (0..n).map(|item| f64::from(item % 1000)).collect();
    let positive: Vec<bool> = (0..n).map(|item| item % 2 == 0).collect();
    // Positives have even scores, negatives odd ones: of 500 × 500 pairs 124,750 are won.
    assert!((auroc(&scores, &positive).unwrap() - 124_750.0 / 250_000.0).abs() < 1e-12);
}
