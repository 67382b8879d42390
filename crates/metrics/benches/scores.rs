//! Time of rankings, of resamples, of the evaluation of a file and of a comparison over seeds.
//!
//! `cargo bench -p mmc-metrics`
#![allow(clippy::expect_used, reason = "a bench stops at the first surprise")]

use divan::{Bencher, black_box};
use mmc_metrics::bootstrap::{Resampling, bootstrap_metric};
use mmc_metrics::delong::Placements;
use mmc_metrics::{Contrast, Items, auroc, average_precision, compare, evaluate, metric};
use mmc_random::{Purpose, generator, standard_normal};

fn main() {
    divan::main();
}

fn scores(n: usize, seed: u64) -> (Vec<usize>, Vec<f64>) {
    let labels: Vec<usize> = (0..n).map(|item| item % 2).collect();
    let mut random = generator(seed, Purpose::Simulation, 0, 0);
    let score = |&label: &usize| label as f64 + standard_normal(&mut random);
    let scores = labels.iter().map(score).collect();
    (labels, scores)
}

struct File {
    labels: Vec<usize>,
    predictions: Vec<usize>,
    probabilities: Vec<Vec<f64>>,
}

impl File {
    fn new(n: usize, seed: u64) -> Self {
        let (labels, scores) = scores(n, seed);
        let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
        let predictions = scores.iter().map(|score| usize::from(*score > 0.5)).collect();
        let row = |&x: &f64| vec![logistic(0.5 - x), logistic(x - 0.5)];
        Self { labels, predictions, probabilities: scores.iter().map(row).collect() }
    }

    fn items(&self) -> Items<'_> {
        Items::new(&self.labels, &self.predictions, &self.probabilities, 2)
    }
}

#[divan::bench(args = [1_000, 100_000, 1_000_000])]
fn auroc_of(bencher: Bencher, n: usize) {
    let (labels, scores) = scores(n, 0);
    let positive: Vec<bool> = labels.iter().map(|&label| label == 1).collect();
    bencher.bench(|| auroc(black_box(&scores), black_box(&positive)));
}

#[divan::bench(args = [1_000, 100_000, 1_000_000])]
fn average_precision_of(bencher: Bencher, n: usize) {
    let (labels, scores) = scores(n, 0);
    let positive: Vec<bool> = labels.iter().map(|&label| label == 1).collect();
    bencher.bench(|| average_precision(black_box(&scores), black_box(&positive)));
}

#[divan::bench(args = [1_000, 100_000, 1_000_000])]
fn placements_of(bencher: Bencher, n: usize) {
    let (labels, scores) = scores(n, 0);
    let positive: Vec<bool> = labels.iter().map(|&label| label == 1).collect();
    bencher.bench(|| Placements::new(black_box(&scores), black_box(&positive)));
}

#[divan::bench(args = ["auroc", "average_precision", "f1_macro"], sample_count = 5)]
fn hundred_resamples_of_100_000(bencher: Bencher, name: &str) {
    let file = File::new(100_000, 0);
    let metric = metric(name).expect("a metric of the table");
    let resampling = Resampling { replicates: 100, ..Resampling::default() };
    bencher.bench(|| bootstrap_metric(metric, black_box(&file.items()), &resampling));
}

#[divan::bench(args = [1_000, 10_000], sample_count = 10)]
fn evaluate_file(bencher: Bencher, n: usize) {
    let file = File::new(n, 0);
    bencher.bench(|| evaluate(black_box(&file.items()), 0));
}

#[divan::bench(args = ["auroc", "accuracy", "f1_macro"], sample_count = 10)]
fn compare_five_seeds(bencher: Bencher, name: &str) {
    let files: Vec<File> = (0..10).map(|seed| File::new(1_000, seed)).collect();
    let items: Vec<Items> = files.iter().map(File::items).collect();
    let metric = metric(name).expect("a metric of the table");
    let contrast = Contrast {
        metric,
        baseline: &items[..5],
        candidate: &items[5..],
        paired_seeds: false,
        margin: 0.02,
        lower_level: 0.95,
        upper_level: 0.95,
        seed: 0,
    };
    bencher.bench(|| compare(black_box(&contrast)));
}
