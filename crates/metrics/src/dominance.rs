//! Almost stochastic order of the scores of two models over seeds (del Barrio, Cuesta-Albertos and
//! Matrán 2018; Dror, Shlomov and Reichart 2019).
//!
//! It sees seeds and no items, and quantiles of three to five scores are crude: a description,
//! never a verdict.

use mmc_random::{Purpose, below, generator};

use crate::distribution::normal_quantile;
use crate::error::{MetricError, Result, confidence, finite};

/// How far one set of scores is from dominating another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlmostStochasticOrder {
    /// The share of the squared distance between the quantile functions that speaks against `a`:
    /// 0 where `a` is above `b` at every quantile, 1 where it is below at every one.
    pub violation: f64,
    /// Its upper confidence bound, at most 1: `a` almost dominates where this is below a threshold
    /// (0.5 in the paper; 0.2 is advised).
    pub upper: f64,
}

/// The violation of "the scores `a` are almost above the scores `b`", and its upper bound at `level`
/// from a bootstrap of `replicates`.
///
/// # Errors
/// Fewer than two scores, a score that is not finite, equal sets of scores (0/0), a level outside
/// 0 to 1, fewer than two replicates.
pub fn almost_stochastic_order(
    a: &[f64],
    b: &[f64],
    level: f64,
    replicates: usize,
    seed: u64,
) -> Result<AlmostStochasticOrder> {
    confidence("level", level)?;
    for (what, scores) in [("scores of a", a), ("scores of b", b)] {
        finite(what, scores)?;
        if scores.len() < 2 {
            return Err(MetricError::TooFew { what, found: scores.len(), expected: 2 });
        }
    }
    if replicates < 2 {
        let (what, found) = ("replicates", replicates);
        return Err(MetricError::TooFew { what, found, expected: 2 });
    }
    let sorted = |scores: &[f64]| {
        let mut scores = scores.to_vec();
        scores.sort_by(f64::total_cmp);
        scores
    };
    let violation = violation(&sorted(a), &sorted(b)).ok_or_else(|| {
        let why = "both models have the same scores, so neither is above the other";
        MetricError::undefined("almost stochastic order", why)
    })?;
    let mut draws = Vec::with_capacity(replicates);
    for replicate in 0..replicates {
        let mut random = generator(seed, Purpose::Bootstrap, 0, replicate as u64);
        let mut draw = |scores: &[f64]| {
            let drawn = scores.iter().map(|_| scores[below(scores.len(), &mut random)]);
            sorted(&drawn.collect::<Vec<_>>())
        };
        let (a, b) = (draw(a), draw(b));
        // A resample of equal sets says nothing for or against.
        draws.push(self::violation(&a, &b).unwrap_or(0.5));
    }
    let spread = crate::bootstrap::sample_covariance(&draws, &draws).sqrt();
    let upper = violation + normal_quantile(level) * spread;
    Ok(AlmostStochasticOrder { violation, upper: upper.clamp(0.0, 1.0) })
}

/// `∫ (F⁻¹ − G⁻¹)² over F⁻¹ < G⁻¹`, as a share of the integral over all, for the step functions of
/// sorted `a` (F) and `b` (G); `None` for 0/0.
fn violation(a: &[f64], b: &[f64]) -> Option<f64> {
    let (mut against, mut all) = (0.0, 0.0);
    let (n, m) = (a.len(), b.len());
    let (mut i, mut j, mut from) = (0, 0, 0); // from, in units of 1/(nm)
    while i < n && j < m {
        let to = ((i + 1) * m).min((j + 1) * n);
        let gap = a[i] - b[j];
        let area = gap * gap * (to - from) as f64;
        all += area;
        if gap < 0.0 {
            against += area;
        }
        i += usize::from(to == (i + 1) * m);
        j += usize::from(to == (j + 1) * n);
        from = to;
    }
    (all > 0.0).then(|| against / all)
}
