//! The bootstrap over items or clusters (Efron 1979, 1987).
//!
//! Replicate r draws from a generator keyed by (seed, r), so neither threads nor order matter.

use mmc_random::{Purpose, below, generator};

use crate::distribution::{normal_cdf, normal_quantile};
use crate::error::{MetricError, Result, confidence, same_length};
use crate::interval::{Clusters, Interval};
use crate::items::Items;
use crate::labels::Confusion;
use crate::metric::{Basis, Metric};
use crate::ranking::{Descending, name};

/// Replicates while exploring; take 10,000 for a paper.
pub const REPLICATES: usize = 2_000;

/// The share of resamples that may be redrawn because the statistic was undefined on them.
const REDRAWN_AT_MOST: f64 = 0.05;

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
    statistic: impl Fn(&[usize]) -> Result<f64>,
) -> Result<Bootstrap> {
    confidence("level", resampling.level)?;
    if items == 0 {
        return Err(MetricError::Empty);
    }
    if resampling.replicates < 2 {
        let found = resampling.replicates;
        return Err(MetricError::TooFew { what: "replicates", found, expected: 2 });
    }
    if let Some(clusters) = clusters {
        same_length("clusters", items, clusters.len())?;
    }
    let clusters = Clusters::new(items, clusters);
    let estimate = statistic(&(0..items).collect::<Vec<_>>())?;
    let mut redraws = Redraws::new("statistic", resampling.replicates);
    let mut replicates = Vec::with_capacity(resampling.replicates);
    for replicate in 0..resampling.replicates {
        replicates.push(redraws.until_defined(|attempt| {
            let drawn = draw(&clusters, resampling.seed, attempt, replicate);
            let rows: Vec<usize> =
                drawn.iter().flat_map(|&g| clusters.members(g).iter().copied()).collect();
            statistic(&rows)
        })?);
    }
    let acceleration = jackknife_acceleration(&clusters, &statistic);
    replicates.sort_by(f64::total_cmp);
    Ok(Bootstrap {
        estimate,
        percentile: percentile(&replicates, resampling.level),
        bca: acceleration.and_then(|a| bca(&replicates, estimate, a, resampling.level)),
        acceleration,
        standard_error: sample_covariance(&replicates, &replicates).sqrt(),
        redrawn: redraws.redrawn,
    })
}

/// Counts redrawn resamples and gives up when they are too many.
pub(crate) struct Redraws {
    metric: &'static str,
    replicates: usize,
    pub(crate) redrawn: usize,
}

impl Redraws {
    pub(crate) fn new(metric: &'static str, replicates: usize) -> Self {
        Self { metric, replicates, redrawn: 0 }
    }

    /// Calls `resample` with attempts 0, 1, … until it is defined.
    pub(crate) fn until_defined<T>(
        &mut self,
        mut resample: impl FnMut(u64) -> Result<T>,
    ) -> Result<T> {
        let mut attempt = 0;
        loop {
            match resample(attempt) {
                Err(MetricError::Undefined { .. }) => {
                    self.redrawn += 1;
                    attempt += 1;
                    if self.redrawn as f64 > REDRAWN_AT_MOST * self.replicates as f64 {
                        return Err(MetricError::Degenerate {
                            metric: self.metric.to_owned(),
                            redrawn: self.redrawn,
                            replicates: self.replicates,
                        });
                    }
                }
                other => return other,
            }
        }
    }
}

/// The clusters of one resample.
fn draw(clusters: &Clusters, seed: u64, attempt: u64, replicate: usize) -> Vec<usize> {
    let mut random = generator(seed, Purpose::Bootstrap, attempt, replicate as u64);
    (0..clusters.count()).map(|_| below(clusters.count(), &mut random)).collect()
}

/// How often each item is in one resample, `[items]`.
pub(crate) fn draw_counts(clusters: &Clusters, items: usize, key: (u64, u64, usize)) -> Vec<u32> {
    let mut counts = vec![0; items];
    for cluster in draw(clusters, key.0, key.1, key.2) {
        for &item in clusters.members(cluster) {
            counts[item] += 1;
        }
    }
    counts
}

/// A metric of one file, ready to be computed for any counts of its items.
pub(crate) enum Counted<'a> {
    Confusion(&'a Items<'a>, fn(&Confusion, usize) -> f64),
    Mean(Vec<f64>),
    AveragePrecision(Vec<(usize, Descending, Vec<bool>)>),
}

impl<'a> Counted<'a> {
    /// Prepares `metric`; `None` for AUROC, whose variance needs no resampling.
    pub(crate) fn new(metric: &Metric, items: &'a Items<'a>) -> Result<Option<Self>> {
        Ok(match metric.basis {
            Basis::Confusion(score) => Some(Self::Confusion(items, score)),
            Basis::Mean(values) => Some(Self::Mean(values(items)?)),
            Basis::Auroc => None,
            Basis::AveragePrecision => {
                let ranked =
                    |class| (class, Descending::new(&items.ranking(class)), items.of_class(class));
                Some(Self::AveragePrecision(
                    items.ranked_classes().into_iter().map(ranked).collect(),
                ))
            }
        })
    }

    pub(crate) fn score(&self, counts: &[u32]) -> Result<f64> {
        match self {
            Self::Confusion(items, score) => {
                let weight = |item: usize| u64::from(counts[item]);
                let confusion =
                    Confusion::count(items.predictions, items.labels, items.classes, weight);
                Ok(score(&confusion, items.positive))
            }
            Self::Mean(values) => {
                let total: f64 = counts.iter().map(|&count| f64::from(count)).sum();
                let sum: f64 = values.iter().zip(counts).map(|(v, &c)| v * f64::from(c)).sum();
                Ok(sum / total)
            }
            Self::AveragePrecision(classes) => {
                let mut sum = 0.0;
                for (class, order, positive) in classes {
                    let score = order.average_precision(positive, |item| counts[item]);
                    sum += score.map_err(|error| name(error, *class))?;
                }
                Ok(sum / classes.len() as f64)
            }
        }
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

/// Σu³ / (6 (Σu²)^1.5), u the mean of the leave-one-cluster-out values minus each.
fn jackknife_acceleration(
    clusters: &Clusters,
    statistic: &impl Fn(&[usize]) -> Result<f64>,
) -> Option<f64> {
    let without = |left_out: usize| -> Option<f64> {
        let rows: Vec<usize> = (0..clusters.count())
            .filter(|&cluster| cluster != left_out)
            .flat_map(|cluster| clusters.members(cluster).iter().copied())
            .collect();
        if rows.is_empty() { None } else { statistic(&rows).ok() }
    };
    let values: Vec<f64> = (0..clusters.count()).map(without).collect::<Option<_>>()?;
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let power = |exponent| values.iter().map(|value| (mean - value).powi(exponent)).sum::<f64>();
    let square = power(2);
    (square > 0.0).then(|| power(3) / (6.0 * square.powf(1.5)))
}
