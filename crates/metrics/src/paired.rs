//! Paired tests of two fixed checkpoints: McNemar's and permutation.

use mmc_random::{Purpose, generator};

use crate::distribution::{fair_binomial, fair_binomial_cdf, normal_two_sided};
use crate::error::{MetricError, Result, finite, same_length};
use crate::interval::Clusters;

/// Up to this many differences all sign patterns are walked.
const EXACT: usize = 20;

/// McNemar's test in its four forms. Prefer `mid_p`: `exact` is conservative, the others are for
/// large counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct McNemar {
    /// min(1, 2 P(X ≤ smaller count)), X binomial.
    pub exact: f64,
    /// Exact minus half of what lies on the observed count (Fagerland, Lydersen and Laake 2013).
    pub mid_p: f64,
    /// (b − c)² / (b + c), 0 without disagreement.
    pub chi2: f64,
    /// Its p-value, one degree of freedom.
    pub chi2_p: f64,
    /// (|b − c| − 1)² / (b + c), Edwards' correction.
    pub chi2_corrected: f64,
    /// Its p-value.
    pub chi2_corrected_p: f64,
}

/// Compares two checkpoints by the items on which just one of them is right. Not valid for items
/// that share pictures, nor for counts pooled over seeds.
#[must_use]
pub fn mcnemar(only_a_right: u64, only_b_right: u64) -> McNemar {
    let n = only_a_right + only_b_right;
    let low = only_a_right.min(only_b_right);
    if n == 0 {
        let (chi2, chi2_corrected) = (0.0, 0.0);
        let (exact, mid_p, chi2_p, chi2_corrected_p) = (1.0, 1.0, 1.0, 1.0);
        return McNemar { exact, mid_p, chi2, chi2_p, chi2_corrected, chi2_corrected_p };
    }
    let tail = fair_binomial_cdf(low, n);
    let point = fair_binomial(low, n);
    let mid_p = if 2 * low == n { 1.0 - 0.5 * point } else { 2.0 * tail - point };
    let gap = only_a_right.abs_diff(only_b_right) as f64;
    let (chi2, chi2_corrected) = (gap * gap / n as f64, (gap - 1.0).powi(2) / n as f64);
    McNemar {
        exact: (2.0 * tail).min(1.0),
        mid_p,
        chi2,
        chi2_p: normal_two_sided(chi2.sqrt()),
        chi2_corrected,
        chi2_corrected_p: normal_two_sided(chi2_corrected.sqrt()),
    }
}

/// What a paired permutation test found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Permutation {
    /// Mean of b minus mean of a.
    pub difference: f64,
    /// The share of patterns at least as far from 0 as the observed one.
    pub p_value: f64,
    /// The share at least as large: small where b is better.
    pub p_greater: f64,
    /// The share at least as small: small where a is better.
    pub p_less: f64,
    /// Whether all patterns were walked; else random ones, and p is (1 + count) / (1 + replicates).
    pub exact: bool,
}

/// Tests whether two checkpoints are exchangeable on their items by swapping their per-item results
/// within items, or within `clusters` where given. `a`, `b`, `clusters` are `[items]`. Up to 20
/// clusters all swaps are walked, else `replicates` random ones.
///
/// # Errors
/// No items, lengths that differ, a value that is not finite, no replicates where they are needed.
pub fn paired_permutation(
    a: &[f64],
    b: &[f64],
    clusters: Option<&[usize]>,
    replicates: usize,
    seed: u64,
) -> Result<Permutation> {
    if a.is_empty() {
        return Err(MetricError::Empty);
    }
    same_length("b", a.len(), b.len())?;
    if let Some(clusters) = clusters {
        same_length("clusters", a.len(), clusters.len())?;
    }
    finite("a", a)?;
    finite("b", b)?;
    let groups = Clusters::new(a.len(), clusters);
    let gaps: Vec<f64> = (0..groups.count())
        .map(|group| groups.members(group).iter().map(|&item| b[item] - a[item]).sum())
        .collect();
    let observed: f64 = gaps.iter().sum();
    let mut tally = Tally::new(observed, &gaps);
    let exact = gaps.len() <= EXACT;
    if exact {
        walk(&gaps, &mut tally);
    } else {
        if replicates == 0 {
            return Err(MetricError::TooFew { what: "replicates", found: 0, expected: 1 });
        }
        tally.add(observed); // the observed pattern is one of them
        for replicate in 0..replicates {
            tally.add(random_swap(&gaps, seed, replicate as u64));
        }
    }
    let share = |count: u64| count as f64 / tally.patterns as f64;
    Ok(Permutation {
        difference: observed / a.len() as f64,
        p_value: share(tally.both),
        p_greater: share(tally.greater),
        p_less: share(tally.less),
        exact,
    })
}

/// Counts patterns against the observed sum; equal sums differ in their last digits.
struct Tally {
    observed: f64,
    slack: f64,
    patterns: u64,
    both: u64,
    greater: u64,
    less: u64,
}

impl Tally {
    fn new(observed: f64, gaps: &[f64]) -> Self {
        let slack = 1e-12 * gaps.iter().map(|gap| gap.abs()).sum::<f64>();
        Self { observed, slack, patterns: 0, both: 0, greater: 0, less: 0 }
    }

    fn add(&mut self, sum: f64) {
        self.patterns += 1;
        self.both += u64::from(sum.abs() >= self.observed.abs() - self.slack);
        self.greater += u64::from(sum >= self.observed - self.slack);
        self.less += u64::from(sum <= self.observed + self.slack);
    }
}

/// All sign patterns, as sums of one half's patterns and the other's.
fn walk(gaps: &[f64], tally: &mut Tally) {
    let sums = |half: &[f64]| -> Vec<f64> {
        let signed = |pattern: usize| {
            let sign = |bit: usize| if pattern >> bit & 1 == 1 { -1.0 } else { 1.0 };
            half.iter().enumerate().map(|(bit, gap)| sign(bit) * gap).sum()
        };
        (0..1_usize << half.len()).map(signed).collect()
    };
    let (first, second) = gaps.split_at(gaps.len() / 2);
    let second = sums(second);
    for first in sums(first) {
        for second in &second {
            tally.add(first + second);
        }
    }
}

fn random_swap(gaps: &[f64], seed: u64, replicate: u64) -> f64 {
    let mut random = generator(seed, Purpose::Permutation, 0, replicate);
    gaps.iter().map(|gap| if mmc_random::below(2, &mut random) == 1 { -gap } else { *gap }).sum()
}
