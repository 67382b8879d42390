//! Orders at sizes where threads and parts of the work come in, against the definition.
#![allow(clippy::unwrap_used, clippy::float_cmp, reason = "a test stops at the first surprise")]

use mmc_metrics::bootstrap::{Resampling, bootstrap, bootstrap_metric};
use mmc_metrics::delong::Placements;
use mmc_metrics::{Items, auroc, average_precision, evaluate, metric};
use mmc_random::{Purpose, below, generator, standard_normal};

/// Scores of `values` distinct values, or of as many as there are items for 0.
fn scores(items: usize, values: usize) -> (Vec<f64>, Vec<bool>) {
    let mut random = generator(9, Purpose::Simulation, items as u64, values as u64);
    let mut scores = Vec::with_capacity(items);
    let mut positive = Vec::with_capacity(items);
    for _ in 0..items {
        let class = below(3, &mut random) == 0;
        let score = standard_normal(&mut random) + f64::from(u8::from(class));
        scores.push(if values == 0 { score } else { (score * values as f64).round() });
        positive.push(class);
    }
    (scores, positive)
}

/// From the definition, by one sort that the crate has no part in.
fn plain(scores: &[f64], positive: &[bool]) -> (f64, f64) {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].partial_cmp(&scores[a]).unwrap());
    let total = positive.iter().filter(|p| **p).count() as f64;
    let (mut hits, mut seen, mut precision, mut lost) = (0.0, 0.0, 0.0, 0.0);
    let mut at = 0;
    while at < order.len() {
        let tied = order[at..].iter().take_while(|&&i| scores[i] == scores[order[at]]).count();
        let new = order[at..at + tied].iter().filter(|&&i| positive[i]).count() as f64;
        let others = tied as f64 - new;
        lost += new * (seen - hits) + 0.5 * new * others;
        (hits, seen, at) = (hits + new, seen + tied as f64, at + tied);
        precision += new * hits / seen;
    }
    let pairs = total * (scores.len() as f64 - total);
    (1.0 - lost / pairs, precision / total)
}

#[test]
fn large_orders_are_scored_by_definition() {
    for items in [16_000, 100_003, 250_000] {
        for values in [0, 1, 7, 3_000] {
            let (scores, positive) = scores(items, values);
            let (area, precision) = plain(&scores, &positive);
            assert!((auroc(&scores, &positive).unwrap() - area).abs() < 1e-12);
            assert!((Placements::new(&scores, &positive).unwrap().auroc() - area).abs() < 1e-12);
            let found = average_precision(&scores, &positive).unwrap();
            assert!((found - precision).abs() < 1e-12, "{found} {precision}");
        }
    }
}

#[test]
fn signs_and_infinitesimals_keep_their_order() {
    let scores = [-1e300, -2.0, -f64::MIN_POSITIVE, -0.0, 0.0, 5e-324, 1.0, f64::MAX];
    for cut in 1..scores.len() {
        let positive: Vec<bool> = (0..scores.len()).map(|item| item >= cut).collect();
        let ties = if cut == 4 { 0.5 / 16.0 } else { 0.0 }; // −0 and 0 are one value
        assert!((auroc(&scores, &positive).unwrap() - (1.0 - ties)).abs() < 1e-15, "{cut}");
    }
}

/// Everything that sorts or resamples, in one thread and in several.
#[test]
fn threads_change_no_bit() {
    let (scores, positive) = scores(60_000, 0);
    let labels: Vec<usize> = positive.iter().map(|p| usize::from(*p)).collect();
    let rows: Vec<Vec<f64>> = scores
        .iter()
        .map(|score| {
            let p = 1.0 / (1.0 + (-score).exp());
            vec![1.0 - p, p]
        })
        .collect();
    let predictions: Vec<usize> = rows.iter().map(|row| usize::from(row[1] > 0.5)).collect();
    let all = Items::new(&labels, &predictions, &rows, 2);
    let few = Items {
        labels: &labels[..300],
        predictions: &predictions[..300],
        probabilities: &rows[..300],
        ..all
    };
    let work = || {
        let resampling = Resampling { replicates: 40, ..Resampling::default() };
        let area = bootstrap_metric(metric("auroc").unwrap(), &all, &resampling).unwrap();
        let precision = average_precision(&scores, &positive).unwrap();
        let bits = [auroc(&scores, &positive).unwrap().to_bits(), precision.to_bits()];
        (bits, area, evaluate(&few, 3).unwrap())
    };
    let in_threads = |count: usize| {
        rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap().install(work)
    };
    let one = in_threads(1);
    for count in [2, 3, 8] {
        assert_eq!(in_threads(count), one, "{count} threads");
    }
}

/// Counts over a presorted order are the same resamples as drawn rows that are sorted anew.
#[test]
fn counted_resamples_are_those_of_drawn_rows() {
    let (scores, positive) = scores(240, 5);
    let labels: Vec<usize> = positive.iter().map(|p| usize::from(*p)).collect();
    let rows: Vec<Vec<f64>> = scores
        .iter()
        .map(|score| {
            let p = 1.0 / (1.0 + (-0.1 * score).exp());
            vec![1.0 - p, p]
        })
        .collect();
    let predictions: Vec<usize> = rows.iter().map(|row| usize::from(row[1] > 0.5)).collect();
    let groups: Vec<usize> = (0..240).map(|item| item / 3).collect();
    let resampling = Resampling { replicates: 200, ..Resampling::default() };
    for clusters in [None, Some(groups.as_slice())] {
        let items = Items { clusters, ..Items::new(&labels, &predictions, &rows, 2) };
        for (name, score) in [
            ("auroc", auroc as fn(&[f64], &[bool]) -> mmc_metrics::Result<f64>),
            ("average_precision", average_precision),
        ] {
            let drawn = bootstrap(240, clusters, &resampling, |rows| {
                let pick = |item: &usize| (scores[*item], positive[*item]);
                let (scores, positive): (Vec<f64>, Vec<bool>) = rows.iter().map(pick).unzip();
                score(&scores, &positive)
            })
            .unwrap();
            let counted = bootstrap_metric(metric(name).unwrap(), &items, &resampling).unwrap();
            assert_eq!(counted.redrawn, drawn.redrawn);
            let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
            assert!(close(counted.estimate, drawn.estimate), "{name}");
            assert!(close(counted.standard_error, drawn.standard_error), "{name}");
            let (a, b) = (counted.bca.unwrap(), drawn.bca.unwrap());
            assert!(close(a.low, b.low) && close(a.high, b.high), "{name}: {a:?} {b:?}");
        }
    }
}
