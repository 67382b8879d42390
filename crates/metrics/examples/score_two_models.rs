//! Which of two models is better, and is that more than chance?
//!
//! `cargo run -p mmc-metrics --example score_two_models`
#![allow(clippy::print_stdout, reason = "an example shows its result")]

use mmc_metrics::{Contrast, Items, MetricError, compare, evaluate, metric};

fn main() -> Result<(), MetricError> {
    // Two classes; the second is the positive one. Two models, 400 items, one file each.
    let labels: Vec<usize> = (0..400).map(|item| item % 2).collect();
    let text = probabilities(&labels, 0.10);
    let both = probabilities(&labels, 0.22);
    let (text_classes, both_classes) = (decide(&text), decide(&both));
    let rows = Items {
        labels: &labels,
        predictions: &text_classes,
        probabilities: &text,
        logits: None,   // log loss and AUROC use them where there are some
        clusters: None, // or the number of the picture of each item
        classes: 2,
        positive: 1,
        answers: None,
    };
    let text = [rows];
    let both = [Items { predictions: &both_classes, probabilities: &both, ..rows }];

    let scores = evaluate(&text[0], 0)?;
    if let (Some(value), Some(ends)) = (scores.value("auroc"), scores.interval("auroc")) {
        println!("text only: AUROC {value:.3} [{:.3}, {:.3}]", ends.low, ends.high);
    }
    let outcome = compare(&Contrast {
        metric: metric("auroc")?,
        baseline: &text, // several files, one per seed, give an interval over seeds too
        candidate: &both,
        paired_seeds: false,
        margin: 0.02,
        lower_level: 0.95,
        upper_level: 0.95,
        seed: 0,
    })?;
    let ends = outcome.interval;
    println!("with pictures: {:+.3} [{:+.3}, {:+.3}]", outcome.difference, ends.low, ends.high);
    println!("p {:.4}, decision at a margin of 0.02: {:?}", outcome.p_value, outcome.decision);
    Ok(())
}

/// Made-up probabilities: a fixed spread of noise, moved towards the label by `signal`.
fn probabilities(labels: &[usize], signal: f64) -> Vec<Vec<f64>> {
    let positive = |(item, &label): (usize, &usize)| {
        let noise = (item * 37 % 101) as f64 / 101.0 * 0.5;
        let p = 0.25 + noise + if label == 1 { signal } else { -signal };
        vec![1.0 - p, p]
    };
    labels.iter().enumerate().map(positive).collect()
}

fn decide(rows: &[Vec<f64>]) -> Vec<usize> {
    rows.iter().map(|row| usize::from(row[1] > row[0])).collect()
}
