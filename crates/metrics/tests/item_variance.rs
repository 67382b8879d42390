//! The closed-form item variances of `compare` against the bootstrap, which shares no formula with
//! them: clustered AUROC and means, and AUROC and means over several classes.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use mmc_metrics::bootstrap::{Resampling, bootstrap};
use mmc_metrics::labels::predicted_class;
use mmc_metrics::{Contrast, Items, MetricError, compare, metric};
use mmc_random::{Purpose, generator, standard_normal};

/// Clusters, and items of each.
const CLUSTERS: usize = 120;
const SIZE: usize = 3;

struct File {
    predictions: Vec<usize>,
    probabilities: Vec<Vec<f64>>,
}

/// Logits with noise of the cluster and of the item, moved towards the label.
fn file(labels: &[usize], classes: usize, seed: u64) -> File {
    let mut random = generator(seed, Purpose::Simulation, 3, 0);
    let mut noise = vec![0.0; classes];
    let mut probabilities = Vec::new();
    for (item, &label) in labels.iter().enumerate() {
        if item % SIZE == 0 {
            noise = (0..classes).map(|_| standard_normal(&mut random)).collect();
        }
        let logit = |class: usize| if class == label { 0.8 } else { 0.0 } + noise[class];
        let mut row: Vec<f64> = (0..classes).map(logit).collect();
        for value in &mut row {
            *value = (*value + 0.8 * standard_normal(&mut random)).exp();
        }
        let sum: f64 = row.iter().sum();
        probabilities.push(row.iter().map(|value| value / sum).collect());
    }
    let predictions = probabilities.iter().map(|row: &Vec<f64>| predicted_class(row).unwrap());
    File { predictions: predictions.collect(), probabilities }
}

fn check(classes: usize, clustered: bool) {
    let labels: Vec<usize> = (0..CLUSTERS * SIZE).map(|item| item * 7 / 5 % classes).collect();
    let groups: Vec<usize> = (0..labels.len()).map(|item| item / SIZE).collect();
    let clusters = clustered.then_some(groups.as_slice());
    let files = [file(&labels, classes, 0), file(&labels, classes, 1)];
    let items = |file: usize| Items {
        clusters,
        ..Items::new(&labels, &files[file].predictions, &files[file].probabilities, classes)
    };
    for name in ["auroc", "accuracy", "brier", "log_loss"] {
        let metric = metric(name).unwrap();
        let found = compare(&Contrast {
            metric,
            baseline: &[items(0)],
            candidate: &[items(1)],
            paired_seeds: false,
            margin: 0.0,
            lower_level: 0.95,
            upper_level: 0.95,
            seed: 0,
        });
        let difference = |rows: &[usize]| -> Result<f64, MetricError> {
            let score = |file: usize| {
                let labels: Vec<usize> = rows.iter().map(|&row| labels[row]).collect();
                let pick = |row: &usize| files[file].probabilities[*row].clone();
                let probabilities: Vec<Vec<f64>> = rows.iter().map(pick).collect();
                let predictions: Vec<usize> =
                    rows.iter().map(|&row| files[file].predictions[row]).collect();
                let (labels, predictions) = (labels.as_slice(), predictions.as_slice());
                let probabilities = probabilities.as_slice();
                let clusters = None;
                (metric.score)(&Items {
                    labels,
                    predictions,
                    probabilities,
                    clusters,
                    ..items(file)
                })
            };
            Ok(score(1)? - score(0)?)
        };
        let resampling = Resampling { replicates: 1_000, ..Resampling::default() };
        let resampled = bootstrap(labels.len(), clusters, &resampling, difference).unwrap();
        let found = found.unwrap();
        // 1,000 replicates leave 2.2 % of noise in a standard deviation: four times that.
        let ratio = found.c.sqrt() / resampled.standard_error;
        assert!((ratio - 1.0).abs() < 0.09, "{name}, {classes} classes: {ratio}");
    }
}

#[test]
fn two_classes() {
    check(2, false);
}

#[test]
fn two_classes_in_clusters() {
    check(2, true);
}

#[test]
fn three_classes() {
    check(3, false);
}

#[test]
fn three_classes_in_clusters() {
    check(3, true);
}
