//! Looking at results before a grid is complete, without deceiving oneself.
//!
//! Looking after every seed and stopping at the first p < 0.05 errs in 16 % of cases, not 5 %.

use crate::error::{MetricError, Result, confidence};
use crate::two_way::TwoWay;

/// A division of an error rate over looks that were planned beforehand. Valid whatever the looks
/// share, by the inequality of Bonferroni; nothing else is assumed.
#[derive(Clone, Debug, PartialEq)]
pub struct Looks {
    alphas: Vec<f64>,
}

impl Looks {
    /// Two looks: little now, the rest at the end; 0.01 and 0.04 for an `alpha` of 0.05.
    ///
    /// # Errors
    /// An alpha outside 0 to 1.
    pub fn two(alpha: f64) -> Result<Self> {
        Self::split(alpha, &[0.2, 0.8])
    }

    /// As many looks as `shares`, each with that share of `alpha`.
    ///
    /// # Errors
    /// An alpha outside 0 to 1, no looks, a share that is not above 0, shares that do not sum to 1.
    pub fn split(alpha: f64, shares: &[f64]) -> Result<Self> {
        confidence("alpha", alpha)?;
        if shares.is_empty() {
            return Err(MetricError::TooFew { what: "looks", found: 0, expected: 1 });
        }
        if let Some(&value) = shares.iter().find(|share| share.is_nan() || **share <= 0.0) {
            let expected = "a number above 0";
            return Err(MetricError::Setting { what: "share of a look", value, expected });
        }
        let sum: f64 = shares.iter().sum();
        if (sum - 1.0).abs() > 1e-9 {
            let expected = "shares that sum to 1";
            return Err(MetricError::Setting { what: "sum of shares", value: sum, expected });
        }
        Ok(Self { alphas: shares.iter().map(|share| alpha * share).collect() })
    }

    /// The two-sided error rate of each look.
    #[must_use]
    pub fn alphas(&self) -> &[f64] {
        &self.alphas
    }

    /// The level of the intervals of look `number`, from 0: decide there as on a single look.
    ///
    /// # Errors
    /// A look that was not planned.
    pub fn level(&self, number: usize) -> Result<f64> {
        self.alphas.get(number).map(|alpha| 1.0 - alpha).ok_or_else(|| {
            let why = format!(
                "{} looks were planned, and this is look {}",
                self.alphas.len(),
                number + 1
            );
            MetricError::undefined("level of a look", why)
        })
    }
}

/// Whether more seeds can still shorten the interval by more than about 11 %: they cannot once the
/// items that all seeds share hold more than four fifths of the variance.
#[must_use]
pub fn seeds_still_help(estimate: &TwoWay) -> bool {
    estimate.seed_variance >= 0.25 * estimate.c
}
