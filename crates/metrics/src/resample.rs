//! Resamples as counts of items, and metrics that are computed from counts.
//!
//! Replicate r draws from a generator keyed by (seed, attempt, r), and replicates are gathered in
//! their order, so the number of threads changes nothing.

use std::sync::atomic::{AtomicUsize, Ordering};

use mmc_random::{Purpose, below, generator};
use rayon::prelude::*;

use crate::error::{MetricError, Result};
use crate::interval::Clusters;
use crate::items::Items;
use crate::labels::Confusion;
use crate::metric::{Basis, Metric};
use crate::order::Order;
use crate::ranking::name;

/// The share of resamples that may be redrawn because the statistic was undefined on them.
const REDRAWN_AT_MOST: f64 = 0.05;

/// Draws clusters with replacement.
pub(crate) struct Resampler<'a> {
    clusters: &'a Clusters,
    seed: u64,
}

impl<'a> Resampler<'a> {
    pub(crate) fn new(clusters: &'a Clusters, seed: u64) -> Self {
        Self { clusters, seed }
    }

    /// The clusters of one resample.
    pub(crate) fn draw(&self, attempt: u64, replicate: usize) -> Vec<usize> {
        let mut random = generator(self.seed, Purpose::Bootstrap, attempt, replicate as u64);
        let clusters = self.clusters.count();
        (0..clusters).map(|_| below(clusters, &mut random)).collect()
    }

    /// Calls `score` with how often each item is in one resample, `[items]`.
    pub(crate) fn with_counts<T>(
        &self,
        attempt: u64,
        replicate: usize,
        score: impl FnOnce(&[u32]) -> T,
    ) -> T {
        let mut random = generator(self.seed, Purpose::Bootstrap, attempt, replicate as u64);
        let clusters = self.clusters.count();
        let mut counts = vec![0; self.clusters.items()];
        for _ in 0..clusters {
            let drawn = below(clusters, &mut random);
            if self.clusters.shared() {
                for &item in self.clusters.members(drawn) {
                    counts[item] += 1;
                }
            } else {
                counts[drawn] += 1; // without names, cluster and item are one
            }
        }
        score(&counts)
    }
}

/// `value(replicate, attempt)` of `count` replicates, `[count]`, at attempts 0, 1, … until it is
/// defined, and how many were redrawn.
///
/// # Errors
/// An error of `value` other than [`MetricError::Undefined`], that of the first replicate; or
/// [`MetricError::Degenerate`] for more than 5 % redrawn.
pub(crate) fn replicates<T: Send>(
    metric: &str,
    count: usize,
    value: impl Fn(usize, u64) -> Result<T> + Sync,
) -> Result<(Vec<T>, usize)> {
    let redraws = Redraws::new(count);
    let outcomes: Vec<Result<T>> = (0..count)
        .into_par_iter()
        .map(|replicate| redraws.until_defined(metric, |attempt| value(replicate, attempt)))
        .collect();
    redraws.check(metric)?;
    Ok((outcomes.into_iter().collect::<Result<_>>()?, redraws.count()))
}

/// Counts redrawn resamples and gives up when they are too many.
pub(crate) struct Redraws {
    redrawn: AtomicUsize,
    replicates: usize,
}

impl Redraws {
    pub(crate) fn new(replicates: usize) -> Self {
        Self { redrawn: AtomicUsize::new(0), replicates }
    }

    pub(crate) fn count(&self) -> usize {
        self.redrawn.load(Ordering::Relaxed)
    }

    fn at_most(&self) -> usize {
        (REDRAWN_AT_MOST * self.replicates as f64) as usize
    }

    /// Errs where too many were redrawn. The error is the same whichever thread saw it first.
    pub(crate) fn check(&self, metric: &str) -> Result<()> {
        if self.count() <= self.at_most() {
            return Ok(());
        }
        Err(MetricError::Degenerate {
            metric: metric.to_owned(),
            redrawn: self.at_most() + 1,
            replicates: self.replicates,
        })
    }

    /// Calls `resample` with attempts 0, 1, … until it is defined.
    pub(crate) fn until_defined<T>(
        &self,
        metric: &str,
        mut resample: impl FnMut(u64) -> Result<T>,
    ) -> Result<T> {
        let mut attempt = 0;
        loop {
            match resample(attempt) {
                Err(MetricError::Undefined { .. }) => {
                    self.redrawn.fetch_add(1, Ordering::Relaxed);
                    attempt += 1;
                    self.check(metric)?;
                }
                other => return other,
            }
        }
    }
}

/// A metric of one file, ready to be computed for any counts of its items.
pub(crate) enum Counted<'a> {
    Confusion(&'a Items<'a>, fn(&Confusion, usize) -> f64),
    Mean(Vec<f64>),
    Auroc(Vec<(usize, Order)>),
    AveragePrecision(Vec<(usize, Order)>),
}

impl<'a> Counted<'a> {
    /// Prepares `metric`: sorts where it rests on an order.
    pub(crate) fn new(metric: &Metric, items: &'a Items<'a>) -> Result<Self> {
        let orders = || {
            let order = |class| (class, Order::new(&items.ranking(class), &items.of_class(class)));
            items.ranked_classes().into_iter().map(order).collect()
        };
        Ok(match metric.basis {
            Basis::Confusion(score) => Self::Confusion(items, score),
            Basis::Mean(values) => Self::Mean(values(items)?),
            Basis::Auroc => Self::Auroc(orders()),
            Basis::AveragePrecision => Self::AveragePrecision(orders()),
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
            Self::Auroc(classes) => mean(classes, "auroc", |order| {
                let wins = order.wins(|item| counts[item]);
                let pairs = wins.positives as f64 * wins.negatives as f64;
                (pairs > 0.0).then(|| wins.twice as f64 / (2.0 * pairs))
            }),
            Self::AveragePrecision(classes) => mean(classes, "average_precision", |order| {
                order.average_precision(|item| counts[item])
            }),
        }
    }
}

/// The mean over the rankings of several classes; undefined where one is.
fn mean(
    classes: &[(usize, Order)],
    metric: &str,
    score: impl Fn(&Order) -> Option<f64>,
) -> Result<f64> {
    let mut sum = 0.0;
    for (class, order) in classes {
        let undefined = || name(MetricError::undefined(metric, ""), *class);
        sum += score(order).ok_or_else(undefined)?;
    }
    Ok(sum / classes.len() as f64)
}
