//! The interval of a difference between two models over seeds *and* items.
//!
//! Seeds and items are crossed random effects, as readers and cases are in studies of diagnostic
//! imaging (Obuchowski and Rockette 1995; degrees of freedom after Hillis 2007).

use crate::bootstrap::sample_covariance;
use crate::distribution::{t_quantile, t_two_sided};
use crate::error::{MetricError, Result, confidence, finite, same_length};
use crate::interval::Interval;

/// Whether seed r of one model shares something with seed r of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// They share nothing; the default, also where both used the same numbers.
    Unpaired,
    /// Same initial head and order of data: a model and its own text arm.
    Paired,
}

/// The scores of two models and what is known of their spread.
#[derive(Clone, Copy, Debug)]
pub struct Runs<'a> {
    /// One score per seed, `[k_a]`.
    pub baseline: &'a [f64],
    /// One score per seed, `[k_b]`.
    pub candidate: &'a [f64],
    /// The covariance due to items, `[k_a + k_b][k_a + k_b]`, baseline first: DeLong's, a sandwich,
    /// or that of joint bootstrap replicates.
    pub covariance: &'a [Vec<f64>],
    /// The degrees of freedom of `covariance`, clusters − 1; `None` where it is taken as known.
    pub item_df: Option<f64>,
}

/// A difference of means over seeds with its variance in parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoWay {
    /// Mean of the candidate minus mean of the baseline.
    pub difference: f64,
    /// s²/k of the baseline's scores; 0 where files are taken as fixed.
    pub v_a: f64,
    /// s²/k of the candidate's scores.
    pub v_b: f64,
    /// The seed part of the variance: `v_a + v_b`, or s²/k of the paired differences.
    pub seed_variance: f64,
    /// The part of the items that all seeds share, at least 0.
    pub c: f64,
    /// `seed_variance + c`.
    pub variance: f64,
    /// Degrees of freedom; `None`: normal.
    pub df: Option<f64>,
}

impl TwoWay {
    /// The difference in standard errors; 0 without variance.
    #[must_use]
    pub fn t(&self) -> f64 {
        if self.variance > 0.0 { self.difference / self.variance.sqrt() } else { 0.0 }
    }

    /// Two-sided p-value of no difference.
    #[must_use]
    pub fn p_value(&self) -> f64 {
        t_two_sided(self.t(), self.df.unwrap_or(f64::INFINITY))
    }

    /// The interval at `level`.
    ///
    /// # Errors
    /// A level outside 0 to 1.
    pub fn interval(&self, level: f64) -> Result<Interval> {
        confidence("level", level)?;
        let t = t_quantile(0.5 + 0.5 * level, self.df.unwrap_or(f64::INFINITY));
        Ok(Interval::around(self.difference, t * self.variance.sqrt()))
    }
}

/// The expected difference between newly trained models on new items. The variance is that over
/// seeds plus that of the items all seeds share, read off the diagonal, since the diagonal also
/// holds what s²/k counts already. Degrees of freedom: Satterthwaite's over the seed parts, at most
/// `item_df`.
///
/// # Errors
/// Fewer than two seeds of a model, a covariance of another shape, paired seeds of unequal number,
/// numbers that are not finite.
pub fn two_way(runs: &Runs, pairing: Pairing) -> Result<TwoWay> {
    let (a, b) = (runs.baseline, runs.candidate);
    check(runs)?;
    for found in [a.len(), b.len()] {
        if found < 2 {
            return Err(MetricError::TooFew { what: "seeds", found, expected: 2 });
        }
    }
    let part = |scores: &[f64]| sample_covariance(scores, scores) / scores.len() as f64;
    let (v_a, v_b) = (part(a), part(b));
    let freedom = |v: f64, k: usize| v * v / (k as f64 - 1.0);
    let (seed_variance, spread) = match pairing {
        Pairing::Unpaired => (v_a + v_b, freedom(v_a, a.len()) + freedom(v_b, b.len())),
        Pairing::Paired => {
            same_length("seeds of the candidate", a.len(), b.len())?;
            let gaps: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
            (part(&gaps), freedom(part(&gaps), gaps.len()))
        }
    };
    let c = common(runs.covariance, a.len(), pairing);
    let variance = seed_variance + c;
    let df = (spread > 0.0).then(|| variance * variance / spread);
    let df = match (df, runs.item_df) {
        (Some(seeds), Some(items)) => Some(seeds.min(items)),
        (seeds, items) => seeds.or(items),
    };
    Ok(TwoWay { difference: mean(b) - mean(a), v_a, v_b, seed_variance, c, variance, df })
}

/// The difference between these very files on new items: nothing is known about other seeds.
///
/// # Errors
/// No run of a model, a covariance of another shape, numbers that are not finite.
pub fn items_only(runs: &Runs) -> Result<TwoWay> {
    check(runs)?;
    let (a, b) = (runs.baseline.len(), runs.candidate.len());
    let weight = |run: usize| if run < a { -1.0 / a as f64 } else { 1.0 / b as f64 };
    let mut variance = 0.0;
    for (i, row) in runs.covariance.iter().enumerate() {
        variance += row.iter().enumerate().map(|(j, s)| weight(i) * weight(j) * s).sum::<f64>();
    }
    let c = variance.max(0.0);
    let difference = mean(runs.candidate) - mean(runs.baseline);
    let (v_a, v_b, seed_variance) = (0.0, 0.0, 0.0);
    Ok(TwoWay { difference, v_a, v_b, seed_variance, c, variance: c, df: runs.item_df })
}

fn check(runs: &Runs) -> Result<()> {
    if runs.baseline.is_empty() || runs.candidate.is_empty() {
        return Err(MetricError::TooFew { what: "files of a side", found: 0, expected: 1 });
    }
    finite("baseline", runs.baseline)?;
    finite("candidate", runs.candidate)?;
    let all = runs.baseline.len() + runs.candidate.len();
    same_length("covariance", all, runs.covariance.len())?;
    for row in runs.covariance {
        same_length("covariance", all, row.len())?;
        finite("covariance", row)?;
    }
    Ok(())
}

/// `max(0, mean S_AA + mean S_BB − 2 mean S_AB)`, off the diagonal within a model and, for paired
/// seeds, off the pairs between models.
fn common(covariance: &[Vec<f64>], a: usize, pairing: Pairing) -> f64 {
    let block = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>, all: bool| {
        let (mut sum, mut cells) = (0.0, 0.0);
        for (r, row) in rows.enumerate() {
            for (s, column) in columns.clone().enumerate() {
                if all || r != s {
                    sum += covariance[row][column];
                    cells += 1.0;
                }
            }
        }
        sum / cells
    };
    let end = covariance.len();
    let between = block(0..a, a..end, pairing == Pairing::Unpaired);
    (block(0..a, 0..a, false) + block(a..end, a..end, false) - 2.0 * between).max(0.0)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
