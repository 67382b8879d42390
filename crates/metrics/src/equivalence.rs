//! Showing that a difference is small, which "p > 0.05" never does.
//!
//! The margin is set before looking, in the metric's units.

use crate::distribution::t_cdf;
use crate::error::{MetricError, Result, confidence};
use crate::interval::Interval;
use crate::two_way::TwoWay;

/// Two one-sided tests (Schuirmann 1987).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Equivalence {
    /// Of the hypothesis that the difference is at most −margin.
    pub p_lower: f64,
    /// Of the hypothesis that the difference is at least the margin.
    pub p_upper: f64,
    /// The larger of both: small where the difference is shown to lie inside the margins.
    pub p_value: f64,
    /// The interval at 1 − 2α, which lies inside the margins exactly where `p_value` < α.
    pub interval: Interval,
}

/// Tests whether a difference lies inside (−`margin`, `margin`), at one-sided level `alpha`.
///
/// # Errors
/// A margin that is not above 0, an alpha outside 0 to 0.5, a difference without variance.
pub fn equivalence(estimate: &TwoWay, margin: f64, alpha: f64) -> Result<Equivalence> {
    check(estimate, margin, alpha)?;
    let p_lower = 1.0 - below(estimate, -margin);
    let p_upper = below(estimate, margin);
    let interval = estimate.interval(1.0 - 2.0 * alpha)?;
    Ok(Equivalence { p_lower, p_upper, p_value: p_lower.max(p_upper), interval })
}

/// What a one-sided test of a difference against a margin found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NonInferiority {
    /// Small where the candidate is shown to lose less than the margin.
    pub p_value: f64,
    /// The lower end of the one-sided interval at 1 − α; above −margin exactly where `p_value` < α.
    pub bound: f64,
}

/// Tests whether a candidate is worse by less than `margin` at one-sided level `alpha`; the
/// difference is candidate minus baseline of a metric of which more is better.
///
/// # Errors
/// As [`equivalence`].
pub fn non_inferiority(estimate: &TwoWay, margin: f64, alpha: f64) -> Result<NonInferiority> {
    check(estimate, margin, alpha)?;
    let bound = estimate.interval(1.0 - 2.0 * alpha)?.low;
    Ok(NonInferiority { p_value: 1.0 - below(estimate, -margin), bound })
}

/// How likely an estimate as low as this, or lower, is where the difference is `truth`.
fn below(estimate: &TwoWay, truth: f64) -> f64 {
    let t = (estimate.difference - truth) / estimate.variance.sqrt();
    t_cdf(t, estimate.df.unwrap_or(f64::INFINITY))
}

fn check(estimate: &TwoWay, margin: f64, alpha: f64) -> Result<()> {
    if !(margin > 0.0 && margin.is_finite()) {
        return Err(MetricError::Setting {
            what: "margin",
            value: margin,
            expected: "a number above 0",
        });
    }
    confidence("twice alpha", 2.0 * alpha)?;
    if estimate.variance > 0.0 {
        Ok(())
    } else {
        let why = "the estimated variance is 0, so no test rests on it";
        Err(MetricError::undefined("equivalence", why))
    }
}
