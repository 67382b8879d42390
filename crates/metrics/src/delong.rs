//! The variance of AUROC and the paired test of two, after DeLong, DeLong and Clarke-Pearson (1988),
//! in the fast form of Sun and Xu (2014); for clustered items after Obuchowski (1997).

use crate::distribution::{normal_quantile, normal_two_sided};
use crate::error::{MetricError, Result, confidence, same_length};
use crate::interval::{Clusters, Interval, unanimous_bound};
use crate::order::passed;
use crate::ranking::{both_classes, count_positives};

/// What each item says about the AUROC of one ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct Placements {
    auroc: f64,
    values: Vec<f64>,
    positive: Vec<bool>,
    positives: usize,
}

impl Placements {
    /// The placement of each item of `scores` `[items]`: of a positive, the share of negatives
    /// below it; of a negative, the share of positives above it; ties count half. O(n log n).
    ///
    /// # Errors
    /// As [`crate::auroc`].
    pub fn new(scores: &[f64], positive: &[bool]) -> Result<Self> {
        let positives = count_positives(scores, positive)?;
        both_classes(positives, scores.len())?;
        let (n1, n0) = (positives as f64, (scores.len() - positives) as f64);
        let mut values = passed(scores, positive);
        for (value, positive) in values.iter_mut().zip(positive) {
            *value = if *positive { *value / n0 } else { 1.0 - *value / n1 };
        }
        let sum: f64 = values.iter().zip(positive).filter(|(_, p)| **p).map(|(v, _)| v).sum();
        Ok(Self { auroc: sum / n1, values, positive: positive.to_vec(), positives })
    }

    /// The AUROC itself.
    #[must_use]
    pub fn auroc(&self) -> f64 {
        self.auroc
    }

    /// The AUROC without each item in turn, `[items]`; `None` where that leaves a class empty.
    #[must_use]
    pub fn jackknife(&self) -> Vec<Option<f64>> {
        let without = |item: usize| {
            let n = self.class_size(item) as f64;
            (n > 1.0).then(|| (n * self.auroc - self.values[item]) / (n - 1.0))
        };
        (0..self.values.len()).map(without).collect()
    }

    /// DeLong's covariance of two AUROCs on the same items; the variance of one with itself.
    ///
    /// # Errors
    /// Fewer than two items of a class, or placements of different items.
    pub fn covariance(&self, other: &Self) -> Result<f64> {
        if self.positive != other.positive {
            let pairs = self.positive.iter().zip(&other.positive);
            let index = pairs.take_while(|(a, b)| a == b).count();
            return Err(MetricError::Mismatch { what: "labels", index });
        }
        let negatives = self.values.len() - self.positives;
        if self.positives < 2 || negatives < 2 {
            let why = "DeLong's variance needs two items of each class";
            return Err(MetricError::undefined("auroc", why));
        }
        let (mut of_positives, mut of_negatives) = (0.0, 0.0);
        for (item, positive) in self.positive.iter().enumerate() {
            let product = (self.values[item] - self.auroc) * (other.values[item] - other.auroc);
            *(if *positive { &mut of_positives } else { &mut of_negatives }) += product;
        }
        let part = |sum: f64, n: usize| sum / (n as f64 - 1.0) / n as f64;
        Ok(part(of_positives, self.positives) + part(of_negatives, negatives))
    }

    /// DeLong's interval on the logit scale, inside (0, 1). Where all pairs agree, or a class has
    /// one item, the estimated variance says nothing; then the exact binomial bound on the smaller
    /// class.
    ///
    /// # Errors
    /// A level outside 0 to 1.
    pub fn interval(&self, level: f64) -> Result<Interval> {
        let variance = self.covariance(self).unwrap_or(0.0);
        self.interval_from(variance, level)
    }

    /// The interval on the logit scale for a variance estimated elsewhere.
    pub(crate) fn interval_from(&self, variance: f64, level: f64) -> Result<Interval> {
        confidence("level", level)?;
        let smaller = self.positives.min(self.values.len() - self.positives);
        Ok(logit_interval(self.auroc, variance, smaller, level))
    }

    /// The influence of each item on the AUROC, `[items]`; they sum to 0.
    pub(crate) fn influence(&self) -> Vec<f64> {
        let share = |item: usize| (self.values[item] - self.auroc) / self.class_size(item) as f64;
        (0..self.values.len()).map(share).collect()
    }

    /// The variance for items in clusters (Obuchowski 1997, by linearisation).
    pub(crate) fn clustered_variance(&self, clusters: &Clusters) -> f64 {
        let influence = self.influence();
        clusters.covariance(&influence, &influence)
    }

    fn class_size(&self, item: usize) -> usize {
        if self.positive[item] { self.positives } else { self.values.len() - self.positives }
    }
}

/// The paired test of two AUROCs on the same items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeLong {
    /// The two AUROCs.
    pub auroc: [f64; 2],
    /// Their covariance matrix.
    pub covariance: [[f64; 2]; 2],
    /// Second minus first.
    pub difference: f64,
    /// The standard error of the difference.
    pub standard_error: f64,
    /// The difference in standard errors.
    pub z: f64,
    /// Two-sided, from the normal distribution.
    pub p_value: f64,
}

impl DeLong {
    /// The interval of the difference.
    ///
    /// # Errors
    /// A level outside 0 to 1.
    pub fn interval(&self, level: f64) -> Result<Interval> {
        confidence("level", level)?;
        let z = normal_quantile(0.5 + 0.5 * level);
        Ok(Interval::around(self.difference, z * self.standard_error))
    }
}

/// Tests whether two rankings of the same items have the same AUROC. `scores_a`, `scores_b` and
/// `positive` are `[items]`; the difference is b minus a. Identical rankings give p = 1.
///
/// # Errors
/// As [`Placements::covariance`]; undefined where the variance is 0 and the AUROCs differ.
pub fn delong_paired(scores_a: &[f64], scores_b: &[f64], positive: &[bool]) -> Result<DeLong> {
    let a = Placements::new(scores_a, positive)?;
    let b = Placements::new(scores_b, positive)?;
    let cross = a.covariance(&b)?;
    paired([&a, &b], [[a.covariance(&a)?, cross], [cross, b.covariance(&b)?]])
}

/// The same for items in `clusters` `[items]`, which share pictures (Obuchowski 1997, in the
/// linearised form: `G/(G−1) Σ_g U_g V_g` over the G clusters).
///
/// # Errors
/// As [`delong_paired`]; clusters of another length, fewer than two clusters.
pub fn delong_paired_clustered(
    scores_a: &[f64],
    scores_b: &[f64],
    positive: &[bool],
    clusters: &[usize],
) -> Result<DeLong> {
    let a = Placements::new(scores_a, positive)?;
    let b = Placements::new(scores_b, positive)?;
    same_length("clusters", positive.len(), clusters.len())?;
    a.covariance(&b)?; // errs where a class is too small for any
    let groups = Clusters::new(clusters.len(), Some(clusters));
    if groups.count() < 2 {
        return Err(MetricError::TooFew { what: "clusters", found: groups.count(), expected: 2 });
    }
    let influence = [a.influence(), b.influence()];
    let cell = |i: usize, j: usize| groups.covariance(&influence[i], &influence[j]);
    let cross = cell(0, 1);
    paired([&a, &b], [[cell(0, 0), cross], [cross, cell(1, 1)]])
}

fn paired([a, b]: [&Placements; 2], covariance: [[f64; 2]; 2]) -> Result<DeLong> {
    let cross = covariance[0][1];
    let difference = b.auroc - a.auroc;
    let variance = (covariance[0][0] + covariance[1][1] - 2.0 * cross).max(0.0);
    let identical = variance <= 1e-20;
    if identical && difference.abs() > 1e-10 {
        let why = "the variance of the difference is 0 although the AUROCs differ";
        return Err(MetricError::undefined("delong", why));
    }
    let standard_error = variance.sqrt();
    let z = if identical { 0.0 } else { difference / standard_error };
    let p_value = normal_two_sided(z);
    Ok(DeLong { auroc: [a.auroc, b.auroc], covariance, difference, standard_error, z, p_value })
}

/// `logit A ± z·se/(A(1−A))`, taken back; the exact binomial bound on `unanimous` items where the
/// variance is 0.
pub(crate) fn logit_interval(auroc: f64, variance: f64, unanimous: usize, level: f64) -> Interval {
    let slope = auroc * (1.0 - auroc);
    if variance <= 1e-20 || slope <= 0.0 {
        return Interval::around(auroc, unanimous_bound(unanimous, level)).within((0.0, 1.0));
    }
    let logit = (auroc / (1.0 - auroc)).ln();
    let half = normal_quantile(0.5 + 0.5 * level) * variance.sqrt() / slope;
    let back = |x: f64| 1.0 / (1.0 + (-x).exp());
    Interval { low: back(logit - half), high: back(logit + half) }
}
