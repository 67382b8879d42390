//! The paired bootstrap against `scipy.stats.bootstrap` (`tests/references/paired_bootstrap.py`), and
//! against every resample of a few items, walked one by one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use mmc_metrics::bootstrap::Resampling;
use mmc_metrics::paired_bootstrap::paired_bootstrap;
use mmc_metrics::{Items, MetricError, metric};
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    metric: String,
    labels: Vec<usize>,
    baseline: Vec<Vec<f64>>,
    candidate: Vec<Vec<f64>>,
    resamples: f64,
    difference: f64,
    p_value: f64,
    p_inverted: f64,
    standard_error: f64,
    interval: [f64; 2],
}

/// The columns of a file of two classes.
struct Rows {
    labels: Vec<usize>,
    predictions: Vec<usize>,
    probabilities: Vec<Vec<f64>>,
    clusters: Option<Vec<usize>>,
}

impl Rows {
    fn of(labels: &[usize], positive: &[f64]) -> Self {
        Self {
            labels: labels.to_vec(),
            predictions: positive.iter().map(|p| usize::from(*p >= 0.5)).collect(),
            probabilities: positive.iter().map(|&p| vec![1.0 - p, p]).collect(),
            clusters: None,
        }
    }

    fn items(&self) -> Items<'_> {
        Items {
            clusters: self.clusters.as_deref(),
            ..Items::new(&self.labels, &self.predictions, &self.probabilities, 2)
        }
    }
}

const REPLICATES: usize = 10_000;

fn resampling() -> Resampling {
    Resampling { replicates: REPLICATES, ..Resampling::default() }
}

#[test]
fn p_values_equal_those_of_scipy() {
    let file: File = serde_json::from_str(include_str!("paired_bootstrap.json")).unwrap();
    assert_eq!(file.cases.len(), 6);
    for case in file.cases {
        let rows = |side: &[Vec<f64>]| -> Vec<Rows> {
            side.iter().map(|scores| Rows::of(&case.labels, scores)).collect()
        };
        let (a, b) = (rows(&case.baseline), rows(&case.candidate));
        let (a, b): (Vec<Items>, Vec<Items>) =
            (a.iter().map(Rows::items).collect(), b.iter().map(Rows::items).collect());
        let found = paired_bootstrap(metric(&case.metric).unwrap(), &a, &b, &resampling()).unwrap();
        let name = format!("{} ({}): {found:?}", case.name, case.metric);
        assert!((found.difference - case.difference).abs() < 1e-12, "{name}");
        let (ours, theirs) = (1.0 / REPLICATES as f64, 1.0 / case.resamples);
        let near = |a: f64, b: f64, factor: f64| {
            let share = b / factor;
            let error = factor * (share * (1.0 - share).max(ours) * (ours + theirs)).sqrt();
            (a - b).abs() <= 5.0 * error + factor * ours
        };
        assert!(near(found.p_value, case.p_value, 1.0), "{name}, scipy {}", case.p_value);
        assert!(near(found.p_inverted, case.p_inverted, 2.0), "{name}, scipy {}", case.p_inverted);
        let ratio = found.standard_error / case.standard_error;
        assert!((ratio - 1.0).abs() < 0.05, "{name}, scipy {}", case.standard_error);
        for (end, theirs) in [found.interval.low, found.interval.high].iter().zip(case.interval) {
            // A step of accuracy, or a fifth of the standard error.
            let slack = (0.2 * case.standard_error).max(1.0 / case.labels.len() as f64 + 1e-9);
            assert!((end - theirs).abs() <= slack, "{name}, scipy {:?}", case.interval);
        }
    }
}

#[test]
fn p_values_equal_those_of_all_resamples_of_five_items() {
    let labels = [0, 1, 0, 1, 1];
    let (before, after) = ([0.6, 0.4, 0.2, 0.7, 0.3], [0.1, 0.8, 0.3, 0.2, 0.9]);
    let (a, b) = (Rows::of(&labels, &before), Rows::of(&labels, &after));
    let accuracy = metric("accuracy").unwrap();
    let found = paired_bootstrap(accuracy, &[a.items()], &[b.items()], &resampling()).unwrap();
    // +1, +1, 0, −1, +1: the change of each item.
    let change = [1.0, 1.0, 0.0, -1.0, 1.0];
    let observed = 0.4;
    let (mut far, mut below) = (0, 0);
    for number in 0..5_usize.pow(5) {
        let sum: f64 = (0..5).map(|place| change[number / 5_usize.pow(place) % 5]).sum();
        far += usize::from((sum / 5.0 - observed).abs() >= observed - 1e-12);
        below += usize::from(sum <= 0.0);
    }
    let (p, half) = (f64::from(far as u32) / 3125.0, f64::from(below as u32) / 3125.0);
    let error = |share: f64| 5.0 * (share * (1.0 - share) / REPLICATES as f64).sqrt() + 1e-4;
    assert!((found.p_value - p).abs() < error(p), "{found:?} and {p}");
    assert!((found.p_inverted - 2.0 * half).abs() < 2.0 * error(half), "{found:?} and {half}");
}

#[test]
fn the_same_files_differ_by_nothing_and_clusters_are_drawn_whole() {
    let labels: Vec<usize> = (0..40).map(|item| item % 2).collect();
    let scores: Vec<f64> = (0..40).map(|item| f64::from(item * 7 % 40) / 40.0).collect();
    let rows = Rows::of(&labels, &scores);
    let auroc = metric("auroc").unwrap();
    let same = paired_bootstrap(auroc, &[rows.items()], &[rows.items()], &resampling()).unwrap();
    assert_eq!((same.difference, same.p_value, same.p_inverted), (0.0, 1.0, 1.0));

    // Two items that change together vary √2 times as much as two alone.
    let before = Rows::of(&labels, &vec![0.9; 40]);
    let after: Vec<f64> = (0..40).map(|item| if item / 4 % 2 == 0 { 0.9 } else { 0.1 }).collect();
    let after = Rows::of(&labels, &after);
    let clusters: Vec<usize> = (0..40).map(|item| item / 4 * 2 + item % 2).collect();
    let grouped = |rows: &Rows| Rows {
        clusters: Some(clusters.clone()),
        labels: rows.labels.clone(),
        predictions: rows.predictions.clone(),
        probabilities: rows.probabilities.clone(),
    };
    let accuracy = metric("accuracy").unwrap();
    let spread = |a: &Rows, b: &Rows| {
        paired_bootstrap(accuracy, &[a.items()], &[b.items()], &resampling())
            .unwrap()
            .standard_error
    };
    let ratio = spread(&grouped(&before), &grouped(&after)) / spread(&before, &after);
    assert!((ratio - 2.0_f64.sqrt()).abs() < 0.05, "{ratio}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let rows = Rows::of(&[0, 1, 0, 1], &[0.2, 0.8, 0.6, 0.4]);
    let other = Rows::of(&[0, 1, 1, 1], &[0.2, 0.8, 0.6, 0.4]);
    let accuracy = metric("accuracy").unwrap();
    let of = |a: &[Items], b: &[Items], replicates: usize| {
        let resampling = Resampling { replicates, ..Resampling::default() };
        paired_bootstrap(accuracy, a, b, &resampling).unwrap_err()
    };
    let differ = of(&[rows.items()], &[other.items()], 100);
    assert!(matches!(differ, MetricError::Mismatch { what: "labels", index: 2 }), "{differ}");
    assert!(matches!(of(&[], &[rows.items()], 100), MetricError::TooFew { .. }));
    assert!(matches!(of(&[rows.items()], &[rows.items()], 1), MetricError::TooFew { .. }));
}
