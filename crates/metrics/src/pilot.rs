//! The components of a variance for [`crate::power`]: from finished runs, or assumed.

use std::f64::consts::FRAC_2_PI;

use crate::bootstrap::sample_covariance;
use crate::covariance::{ItemCovariance, item_covariance};
use crate::error::{MetricError, Result, confidence};
use crate::items::Items;
use crate::metric::Metric;
use crate::power::{Components, cluster_items};
use crate::two_way::Runs;

/// Correlation that is assumed of the latent scores of two seeds of one model on an item.
pub const SEEDS_CORRELATE: f64 = 0.8;

/// Correlation that is assumed of the latent scores of two models on an item.
pub const MODELS_CORRELATE: f64 = 0.5;

/// Estimates the components of `metric` from prediction files of both models, one a seed, all of
/// the same items in the same order. `seed` is that of the bootstrap, read by metrics that need one.
///
/// # Errors
/// Fewer than two files of a model, files that fail [`Items::check`] or differ in their labels, a
/// metric that is undefined on a file.
pub fn of_two_models(
    metric: &Metric,
    baseline: &[Items],
    candidate: &[Items],
    seed: u64,
) -> Result<Components> {
    let files: Vec<&Items> = baseline.iter().chain(candidate).collect();
    let (scores, covariance, items) = measured(metric, &files, seed)?;
    let (a, b) = scores.split_at(baseline.len());
    let (covariance, item_df) = (&covariance.matrix, covariance.df);
    let runs = Runs { baseline: a, candidate: b, covariance, item_df };
    Components::estimate(&runs, items)
}

/// The same from files of one model alone: the other is taken to spread alike, and its scores to
/// correlate with these as those of two models do that are [`MODELS_CORRELATE`] to
/// [`SEEDS_CORRELATE`] of two seeds.
///
/// # Errors
/// As [`of_two_models`].
pub fn of_one_model(metric: &Metric, files: &[Items], seed: u64) -> Result<Components> {
    let all: Vec<&Items> = files.iter().collect();
    let (scores, covariance, items) = measured(metric, &all, seed)?;
    let (k, n) = (files.len() as f64, items as f64);
    if files.len() < 2 {
        return Err(MetricError::TooFew { what: "seeds", found: files.len(), expected: 2 });
    }
    let matrix = &covariance.matrix;
    let diagonal = (0..files.len()).map(|run| matrix[run][run]).sum::<f64>() / k;
    let total: f64 = matrix.iter().flatten().sum();
    let shared = ((total - k * diagonal) / (k * (k - 1.0))).max(0.0);
    let residual = (diagonal - shared).max(0.0);
    let seeds = (sample_covariance(&scores, &scores) - residual).max(0.0);
    let [of_seeds, of_models] = hits_correlate();
    Ok(Components {
        seeds: [seeds; 2],
        common: 2.0 * shared * n * (1.0 - of_models / of_seeds),
        residual: [residual * n; 2],
        cluster_items: cluster_items(n, covariance.df),
    })
}

/// Components of accuracy without any run. `discordant` is the share of items on which one of a file
/// of each model alone is right; `seed_deviation` the standard deviation of a model's accuracy over
/// seeds. How discordance parts into what seeds share and the rest follows from the correlations
/// assumed above, for hits of half the items.
///
/// # Errors
/// A share outside 0 to 1, a negative deviation.
pub fn of_accuracy(discordant: f64, seed_deviation: f64) -> Result<Components> {
    confidence("discordant", discordant)?;
    if !(seed_deviation >= 0.0 && seed_deviation.is_finite()) {
        let (what, value) = ("seed_sd", seed_deviation);
        return Err(MetricError::Setting { what, value, expected: "a number of at least 0" });
    }
    let [of_seeds, of_models] = hits_correlate();
    let share = |part: f64| discordant * part / (1.0 - of_models);
    Ok(Components {
        seeds: [seed_deviation * seed_deviation; 2],
        common: share(of_seeds - of_models),
        residual: [share(0.5 * (1.0 - of_seeds)); 2],
        cluster_items: 1.0,
    })
}

/// The discordant share that two models of `accuracy` are assumed to have.
///
/// # Errors
/// An accuracy outside 0 to 1.
pub fn assumed_discordant(accuracy: f64) -> Result<f64> {
    confidence("accuracy", accuracy)?;
    Ok(2.0 * accuracy * (1.0 - accuracy) * (1.0 - hits_correlate()[1]))
}

/// How hits correlate between two seeds and between two models, at an accuracy of one half, where
/// latent scores correlate as assumed: `2/π asin ρ` (Sheppard 1899).
fn hits_correlate() -> [f64; 2] {
    [SEEDS_CORRELATE, MODELS_CORRELATE].map(|correlation: f64| FRAC_2_PI * correlation.asin())
}

/// Each file's score, their item covariance, and the number of items.
fn measured(
    metric: &Metric,
    files: &[&Items],
    seed: u64,
) -> Result<(Vec<f64>, ItemCovariance, usize)> {
    let Some(first) = files.first() else { return Err(MetricError::Empty) };
    for file in files {
        file.check()?;
        crate::error::same_length("items of a file", first.len(), file.len())?;
        if let Some(index) = file.labels.iter().zip(first.labels).position(|(a, b)| a != b) {
            return Err(MetricError::Mismatch { what: "labels", index });
        }
    }
    let scores = files.iter().map(|file| (metric.score)(file)).collect::<Result<_>>()?;
    Ok((scores, item_covariance(metric, files, seed)?, first.len()))
}
