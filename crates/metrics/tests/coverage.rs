//! The two-way t interval and its decision on simulated models whose true difference is known.
//!
//! Bounds: nominal plus or minus three binomial standard errors, and 0.015 above it, since
//! Satterthwaite's degrees of freedom err on the safe side at three seeds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    reason = "a test stops at the first surprise, and some values are exact"
)]

use mmc_metrics::distribution::{normal_cdf, normal_quantile};
use mmc_metrics::{Comparison, Contrast, Decision, Items, compare, metric};
use mmc_random::{Purpose, generator, standard_normal};

const REPEATS: u64 = 400;
const SEEDS: usize = 3;

/// Owned rows of a simulated file.
struct File {
    predictions: Vec<usize>,
    probabilities: Vec<Vec<f64>>,
}

fn items<'a>(
    files: &'a [File],
    labels: &'a [usize],
    clusters: Option<&'a [usize]>,
) -> Vec<Items<'a>> {
    let file = |file: &'a File| Items {
        clusters,
        ..Items::new(labels, &file.predictions, &file.probabilities, 2)
    };
    files.iter().map(file).collect()
}

fn contrast(
    name: &str,
    files: &[Vec<File>; 2],
    labels: &[usize],
    clusters: Option<&[usize]>,
) -> Comparison {
    compare(&Contrast {
        metric: metric(name).unwrap(),
        baseline: &items(&files[0], labels, clusters),
        candidate: &items(&files[1], labels, clusters),
        paired_seeds: false,
        margin: 0.02,
        lower_level: 0.95,
        upper_level: 0.95,
        seed: 0,
    })
    .unwrap()
}

/// Binormal scores: noise shared by all files, by a model's files, and each file's own, with
/// variances 0.5, 0.3, 0.2; separations that vary over seeds such that AUROC has mean `auroc` and
/// standard deviation about 0.012.
fn ranking(auroc: [f64; 2], n: usize, repeat: u64) -> Comparison {
    let mut random = generator(repeat, Purpose::Simulation, 1, 0);
    let labels: Vec<usize> = (0..n).map(|item| item % 2).collect();
    let mut draws = || -> Vec<f64> { (0..n).map(|_| standard_normal(&mut random)).collect() };
    let shared = draws();
    let files = auroc.map(|auroc| {
        let centre = normal_quantile(auroc);
        let density = (-0.5 * centre * centre).exp() / std::f64::consts::TAU.sqrt();
        let spread = 0.012 * 2.0_f64.sqrt() / density;
        let mean = centre * (2.0 + spread * spread).sqrt();
        let of_model = draws();
        let file = |_| {
            let own = draws();
            let separation = mean + spread * draws()[0];
            let score = |item: usize| {
                let noise = 0.5_f64.sqrt() * shared[item] + 0.3_f64.sqrt() * of_model[item];
                separation * labels[item] as f64 + noise + 0.2_f64.sqrt() * own[item]
            };
            let positive: Vec<f64> = (0..n).map(|item| normal_cdf(score(item))).collect();
            File {
                predictions: positive.iter().map(|p| usize::from(*p > 0.5)).collect(),
                probabilities: positive.iter().map(|p| vec![1.0 - p, *p]).collect(),
            }
        };
        (0..SEEDS).map(file).collect::<Vec<File>>()
    });
    contrast("auroc", &files, &labels, None)
}

/// Right and wrong by a probit, with noise that items of a cluster share.
fn decided(accuracy: [f64; 2], clusters: usize, size: usize, repeat: u64) -> Comparison {
    let mut random = generator(repeat, Purpose::Simulation, 2, 0);
    let n = clusters * size;
    let mut draws =
        |count: usize| -> Vec<f64> { (0..count).map(|_| standard_normal(&mut random)).collect() };
    let (of_item, spread) = (draws(n), 0.02);
    let files = accuracy.map(|accuracy| {
        // Clusters that suit one model more than the other are what makes them matter here.
        let of_cluster = draws(clusters);
        let file = |_| {
            let own = draws(n);
            let centre = normal_quantile(accuracy) * (1.0_f64 + spread * spread).sqrt();
            let level = centre + spread * draws(1)[0];
            let right = |item: usize| {
                let noise = 0.4_f64.sqrt() * of_cluster[item / size]
                    + 0.3_f64.sqrt() * of_item[item]
                    + 0.3_f64.sqrt() * own[item];
                usize::from(level + noise > 0.0)
            };
            File { predictions: (0..n).map(right).collect(), probabilities: vec![vec![0.5; 2]; n] }
        };
        (0..SEEDS).map(file).collect::<Vec<File>>()
    });
    let groups: Vec<usize> = (0..n).map(|item| item / size).collect();
    contrast("accuracy", &files, &vec![1; n], Some(&groups))
}

fn share(of: impl Fn(u64) -> bool) -> f64 {
    (0..REPEATS).filter(|repeat| of(*repeat)).count() as f64 / REPEATS as f64
}

fn three_errors(nominal: f64) -> f64 {
    3.0 * (nominal * (1.0 - nominal) / REPEATS as f64).sqrt()
}

fn assert_nominal(coverage: f64) {
    let slack = three_errors(0.95);
    assert!((0.95 - slack..=0.95 + slack + 0.015).contains(&coverage), "{coverage}");
}

#[test]
fn auroc_over_seeds_and_items_is_covered() {
    assert_nominal(share(|repeat| ranking([0.72, 0.74], 300, repeat).interval.contains(0.02)));
}

#[test]
fn accuracy_over_seeds_and_clusters_is_covered() {
    assert_nominal(share(|repeat| decided([0.7, 0.75], 60, 6, repeat).interval.contains(0.05)));
}

#[test]
fn the_decision_errs_as_rarely_as_it_says() {
    let limit = 0.025 + three_errors(0.025);
    let cried_wolf =
        share(|repeat| ranking([0.72, 0.72], 300, repeat).decision == Decision::Candidate);
    assert!(cried_wolf <= limit, "{cried_wolf}");
    let missed = share(|repeat| ranking([0.72, 0.74], 300, repeat).decision == Decision::Baseline);
    assert!(missed <= limit, "{missed}");
    let found = share(|repeat| ranking([0.72, 0.88], 300, repeat).decision == Decision::Candidate);
    assert!(found > 0.9, "{found}");
}
