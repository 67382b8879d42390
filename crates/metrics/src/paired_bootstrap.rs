//! The paired bootstrap test (Efron and Tibshirani 1993, chapter 16): two sides' files of the same items,
//! every file scored on the same resample of the items or clusters.
//!
//! It speaks about these files on new items. Of newly trained models it knows nothing: seeds are not
//! resampled, since a few of them cannot be.

use crate::bootstrap::{Resampling, percentile, sample_covariance};
use crate::error::{MetricError, Result, confidence, same_length};
use crate::interval::Interval;
use crate::items::Items;
use crate::metric::Metric;
use crate::resample::{Counted, Resampler, replicates};

/// Items × files up to which a test with the usual number of replicates takes well under a second.
const AT_ONCE: usize = 50_000;

/// What the replicates of a difference show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedBootstrap {
    /// Mean of the candidate's files minus mean of the baseline's.
    pub difference: f64,
    /// Two-sided p by shifting the replicates θ* to the null: the share with |θ* − θ̂| ≥ |θ̂|,
    /// counting the sample itself: (1 + count) / (1 + replicates).
    pub p_value: f64,
    /// Two-sided p by inverting the percentile interval: twice the smaller share of replicates on
    /// either side of 0, counted likewise; at most 1.
    pub p_inverted: f64,
    /// The percentile interval.
    pub interval: Interval,
    /// The standard deviation of the replicates.
    pub standard_error: f64,
    /// Replicates.
    pub replicates: usize,
    /// Resamples redrawn because the metric was undefined on them.
    pub redrawn: usize,
}

/// Whether so many `items` of so many `files` are resampled quickly enough to be done unasked.
#[must_use]
pub fn is_quick(items: usize, files: usize) -> bool {
    items.saturating_mul(files) <= AT_ONCE
}

/// Resamples the items of all files together, whole clusters where there are any, and compares the means
/// of the two sides on each resample.
///
/// # Errors
/// No file on a side, files that fail [`Items::check`], of other lengths, labels or clusters; fewer than
/// two replicates; a level outside 0 to 1; a metric that is undefined on a file or on more than 5 % of
/// the resamples.
pub fn paired_bootstrap(
    metric: &Metric,
    baseline: &[Items],
    candidate: &[Items],
    resampling: &Resampling,
) -> Result<PairedBootstrap> {
    check(baseline, candidate, resampling)?;
    let scores = |files: &[Items]| -> Result<f64> {
        let scores: Result<Vec<f64>> = files.iter().map(|file| (metric.score)(file)).collect();
        Ok(mean(&scores?))
    };
    let difference = scores(candidate)? - scores(baseline)?;
    let clusters = baseline[0].clusters();
    let resampler = Resampler::new(&clusters, resampling.seed);
    let (a, b) = (counted(metric, baseline)?, counted(metric, candidate)?);
    let (mut found, redrawn) =
        replicates(metric.name, resampling.replicates, |replicate, attempt| {
            resampler.with_counts(attempt, replicate, |counts| {
                let side = |files: &[Counted]| -> Result<f64> {
                    let scores: Result<Vec<f64>> =
                        files.iter().map(|file| file.score(counts)).collect();
                    Ok(mean(&scores?))
                };
                Ok(side(&b)? - side(&a)?)
            })
        })?;
    found.sort_by(f64::total_cmp);
    // Equal values that were rounded on different ways are equal.
    let slack = 1e-12 * difference.abs();
    let far = |value: &f64| (value - difference).abs() >= difference.abs() - slack;
    let share = |count: usize| (1 + count) as f64 / (1 + found.len()) as f64;
    let (below, above) = (
        found.iter().filter(|value| **value <= 0.0).count(),
        found.iter().filter(|value| **value >= 0.0).count(),
    );
    Ok(PairedBootstrap {
        difference,
        p_value: share(found.iter().filter(|value| far(value)).count()),
        p_inverted: (2.0 * share(below.min(above))).min(1.0),
        interval: percentile(&found, resampling.level),
        standard_error: sample_covariance(&found, &found).sqrt(),
        replicates: found.len(),
        redrawn,
    })
}

fn counted<'a>(metric: &Metric, files: &'a [Items<'a>]) -> Result<Vec<Counted<'a>>> {
    files.iter().map(|file| Counted::new(metric, file)).collect()
}

fn check(baseline: &[Items], candidate: &[Items], resampling: &Resampling) -> Result<()> {
    confidence("level", resampling.level)?;
    if resampling.replicates < 2 {
        let found = resampling.replicates;
        return Err(MetricError::TooFew { what: "replicates", found, expected: 2 });
    }
    let (Some(first), Some(_)) = (baseline.first(), candidate.first()) else {
        return Err(MetricError::TooFew { what: "files of a side", found: 0, expected: 1 });
    };
    for file in baseline.iter().chain(candidate) {
        file.check()?;
        same_length("items of a file", first.len(), file.len())?;
        let differ = |a: &[usize], b: &[usize]| a.iter().zip(b).position(|(a, b)| a != b);
        if let Some(index) = differ(first.labels, file.labels) {
            return Err(MetricError::Mismatch { what: "labels", index });
        }
        match (first.clusters, file.clusters) {
            (None, None) => {}
            (Some(ours), Some(theirs)) => {
                if let Some(index) = differ(ours, theirs) {
                    return Err(MetricError::Mismatch { what: "clusters", index });
                }
            }
            _ => return Err(MetricError::Mismatch { what: "clusters", index: 0 }),
        }
    }
    Ok(())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
