//! The bootstrap over items or clusters (Efron 1979, 1987).
//!
//! Replicate r draws from a generator keyed by (seed, attempt, r), so neither threads nor order matter.

use crate::distribution::{normal_cdf, normal_quantile};
use crate::error::{MetricError, Result, confidence, same_length};
use crate::interval::{Clusters, Interval};
use crate::items::Items;
use crate::metric::Metric;
use crate::resample::{Counted, Resampler, replicates};

/// Replicates while exploring; take 10,000 for a paper.
pub const REPLICATES: usize = 2_000;

/// What the jackknife of a metric may cost at most, in items looked at.
const JACKKNIFE: usize = 200_000_000;

/// How to resample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resampling {
    /// Number of replicates.
    pub replicates: usize,
    /// Level of the intervals.
    pub level: f64,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for Resampling {
    fn default() -> Self {
        Self { replicates: REPLICATES, level: 0.95, seed: 0 }
    }
}

/// What the replicates show.
#[derive(Clone, Debug, PartialEq)]
pub struct Bootstrap {
    /// The statistic on the items themselves.
    pub estimate: f64,
    /// The quantiles of the replicates, linearly interpolated.
    pub percentile: Interval,
    /// Bias-corrected and accelerated; `None` where all replicates are equal, all lie on one side
    /// of the estimate, or the statistic is undefined without some cluster: use `percentile` then
    /// and say so.
    pub bca: Option<Interval>,
    /// The acceleration of that interval, from the jackknife over clusters.
    pub acceleration: Option<f64>,
    /// The standard deviation of the replicates.
    pub standard_error: f64,
    /// How many resamples were redrawn because the statistic was undefined on them.
    pub redrawn: usize,
}

/// Resamples `items` items, whole `clusters` `[items]` where given, and computes `statistic` on the
/// drawn indices. Resamples on which it is [`MetricError::Undefined`] are redrawn and counted.
///
/// # Errors
/// No items, no replicates, a level outside 0 to 1, an error of `statistic`, or more than 5 % of the
/// resamples redrawn.
pub fn bootstrap(
    items: usize,
    clusters: Option<&[usize]>,
    resampling: &Resampling,
    statistic: impl Fn(&[usize]) -> Result<f64> + Sync,
) -> Result<Bootstrap> {
    check(resampling)?;
    if items == 0 {
        return Err(MetricError::Empty);
    }
    if let Some(clusters) = clusters {
        same_length("clusters", items, clusters.len())?;
    }
    let clusters = Clusters::new(items, clusters);
    let estimate = statistic(&(0..items).collect::<Vec<_>>())?;
    let resampler = Resampler::new(&clusters, resampling.seed);
    let (scores, redrawn) =
        replicates("statistic", resampling.replicates, |replicate, attempt| {
            let drawn = resampler.draw(attempt, replicate);
            let rows: Vec<usize> =
                drawn.iter().flat_map(|&g| clusters.members(g).iter().copied()).collect();
            statistic(&rows)
        })?;
    let without = |rows: &[usize]| statistic(rows).ok();
    let acceleration = acceleration(leave_one_out(&clusters, without).as_deref());
    Ok(summary(scores, estimate, acceleration, resampling.level, redrawn))
}

/// Resamples the items of one file, whole clusters where it has them, and scores `metric` on each
/// resample. The order of the items is found once: a resample is a count of each item, so none is
/// sorted again. `bca` is `None` also where the jackknife over clusters would look at more than
/// 200,000,000 items.
///
/// # Errors
/// As [`Items::check`] and [`bootstrap`].
pub fn bootstrap_metric(
    metric: &Metric,
    items: &Items,
    resampling: &Resampling,
) -> Result<Bootstrap> {
    check(resampling)?;
    items.check()?;
    let clusters = items.clusters();
    let counted = Counted::new(metric, items)?;
    let estimate = (metric.score)(items)?;
    let resampler = Resampler::new(&clusters, resampling.seed);
    let (scores, redrawn) =
        replicates(metric.name, resampling.replicates, |replicate, attempt| {
            resampler.with_counts(attempt, replicate, |counts| counted.score(counts))
        })?;
    let jackknife = if clusters.count().saturating_mul(items.len()) > JACKKNIFE {
        None
    } else {
        let mut counts = vec![1; items.len()];
        let mut values = Vec::with_capacity(clusters.count());
        for cluster in 0..clusters.count() {
            clusters.members(cluster).iter().for_each(|&item| counts[item] = 0);
            values.push(counted.score(&counts).ok());
            clusters.members(cluster).iter().for_each(|&item| counts[item] = 1);
        }
        values.into_iter().collect::<Option<Vec<f64>>>()
    };
    let acceleration = acceleration(jackknife.as_deref());
    Ok(summary(scores, estimate, acceleration, resampling.level, redrawn))
}

fn check(resampling: &Resampling) -> Result<()> {
    confidence("level", resampling.level)?;
    if resampling.replicates < 2 {
        let found = resampling.replicates;
        return Err(MetricError::TooFew { what: "replicates", found, expected: 2 });
    }
    Ok(())
}

fn summary(
    mut replicates: Vec<f64>,
    estimate: f64,
    acceleration: Option<f64>,
    level: f64,
    redrawn: usize,
) -> Bootstrap {
    replicates.sort_by(f64::total_cmp);
    Bootstrap {
        estimate,
        percentile: percentile(&replicates, level),
        bca: acceleration.and_then(|a| bca(&replicates, estimate, a, level)),
        acceleration,
        standard_error: sample_covariance(&replicates, &replicates).sqrt(),
        redrawn,
    }
}

/// The quantiles of sorted replicates.
pub(crate) fn percentile(sorted: &[f64], level: f64) -> Interval {
    let tail = 0.5 * (1.0 - level);
    Interval { low: quantile(sorted, tail), high: quantile(sorted, 1.0 - tail) }
}

/// The covariance of two samples, divided by n − 1; 0 for fewer than two.
pub(crate) fn sample_covariance(a: &[f64], b: &[f64]) -> f64 {
    if a.len() < 2 {
        return 0.0;
    }
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    a.iter().zip(b).map(|(x, y)| (x - mean_a) * (y - mean_b)).sum::<f64>() / (n - 1.0)
}

/// A quantile by linear interpolation between order statistics.
fn quantile(sorted: &[f64], probability: f64) -> f64 {
    let place = probability * (sorted.len() - 1) as f64;
    let low = (place.floor() as usize).min(sorted.len() - 1);
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + (place - low as f64) * (sorted[high] - sorted[low])
}

fn bca(sorted: &[f64], estimate: f64, acceleration: f64, level: f64) -> Option<Interval> {
    let below = sorted.iter().filter(|value| **value < estimate).count();
    let not_above = sorted.iter().filter(|value| **value <= estimate).count();
    let shift = normal_quantile((below + not_above) as f64 / (2 * sorted.len()) as f64);
    let spread = sorted[sorted.len() - 1] - sorted[0];
    if !shift.is_finite() || spread <= 0.0 {
        return None;
    }
    let end = |probability: f64| {
        let z = shift + normal_quantile(probability);
        quantile(sorted, normal_cdf(shift + z / (1.0 - acceleration * z)))
    };
    let tail = 0.5 * (1.0 - level);
    Some(Interval { low: end(tail), high: end(1.0 - tail) })
}

/// The statistic without each cluster; `None` where it is undefined without one.
fn leave_one_out(
    clusters: &Clusters,
    statistic: impl Fn(&[usize]) -> Option<f64>,
) -> Option<Vec<f64>> {
    let without = |left_out: usize| -> Option<f64> {
        let rows: Vec<usize> = (0..clusters.count())
            .filter(|&cluster| cluster != left_out)
            .flat_map(|cluster| clusters.members(cluster).iter().copied())
            .collect();
        if rows.is_empty() { None } else { statistic(&rows) }
    };
    (0..clusters.count()).map(without).collect()
}

/// Σu³ / (6 (Σu²)^1.5), u the mean of the leave-one-cluster-out values minus each.
fn acceleration(jackknife: Option<&[f64]>) -> Option<f64> {
    let values = jackknife?;
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let power = |exponent| values.iter().map(|value| (mean - value).powi(exponent)).sum::<f64>();
    let square = power(2);
    (square > 0.0).then(|| power(3) / (6.0 * square.powf(1.5)))
}
