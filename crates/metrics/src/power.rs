//! What an experiment can decide, before it is run.
//!
//! A difference between models has variance `(τ²_A + τ²_B)/k + ω/N + (ε_A + ε_B)/(kN)` over k seeds
//! a side and N items: the seeds', the items' that all seeds share, and what is left. Chances are of
//! the rule that [`crate::compare::decide`] applies, for a true gain that is assumed, never for the
//! one observed.

use serde::{Deserialize, Serialize};

use crate::compare::Decision;
use crate::distribution::{normal_cdf, normal_quantile, t_quantile};
use crate::error::{MetricError, Result, confidence};
use crate::interval::Interval;
use crate::noncentral::{chi_square_quantile, mean_over_errors};
use crate::two_way::{Pairing, Runs, two_way};

/// The chance of the right verdict that a design should have.
pub const TARGET: f64 = 0.8;

/// Searched at most, of items and of seeds: what the other alone leaves is then all that is left,
/// so beyond none will do.
const MOST: u64 = 1_000_000_000;

/// Where the variance of a difference comes from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Components {
    /// τ², the variance of a model's expected score over seeds: baseline, candidate.
    pub seeds: [f64; 2],
    /// ω, what the items shared by all seeds add, times the items.
    pub common: f64,
    /// ε, what an item adds to one seed's score alone, times the items: baseline, candidate.
    pub residual: [f64; 2],
    /// Items of a cluster in the mean; 1 where items are independent. Clusters bound the degrees of
    /// freedom.
    pub cluster_items: f64,
}

impl Components {
    /// From finished runs on `items` items, in as many clusters as the runs' item degrees of freedom say
    /// (one more), or independent where they say none: the item covariance splits into what seeds share (off
    /// the diagonal) and the rest, and the spread of the scores less that rest is the seeds'.
    ///
    /// # Errors
    /// As [`two_way`]; no items.
    pub fn estimate(runs: &Runs, items: usize) -> Result<Self> {
        if items == 0 {
            return Err(MetricError::Empty);
        }
        let found = two_way(runs, Pairing::Unpaired)?;
        let n = items as f64;
        let side = |from: usize, scores: &[f64], mean_variance: f64| {
            let k = scores.len() as f64;
            let block = || from..from + scores.len();
            let diagonal = block().map(|run| runs.covariance[run][run]).sum::<f64>() / k;
            let all: f64 =
                block().map(|i| block().map(|j| runs.covariance[i][j]).sum::<f64>()).sum();
            let shared = (all - k * diagonal) / (k * (k - 1.0));
            let residual = (diagonal - shared).max(0.0);
            ((k * mean_variance - residual).max(0.0), residual * n)
        };
        let (seeds_a, residual_a) = side(0, runs.baseline, found.v_a);
        let (seeds_b, residual_b) = side(runs.baseline.len(), runs.candidate, found.v_b);
        Ok(Self {
            seeds: [seeds_a, seeds_b],
            common: found.c * n,
            residual: [residual_a, residual_b],
            cluster_items: cluster_items(n, runs.item_df),
        })
    }

    /// The variance over seeds and its degrees of freedom under `design`.
    fn spread(&self, design: Design) -> (f64, f64) {
        let (n, k) = (design.items as f64, design.seeds as f64);
        let v = |side: usize| self.seeds[side] / k + self.residual[side] / (k * n);
        let variance = v(0) + v(1) + self.common / n;
        let seeds = (v(0) * v(0) + v(1) * v(1)) / (k - 1.0);
        let most = (n / self.cluster_items - 1.0).max(1.0);
        (variance, if seeds > 0.0 { (variance * variance / seeds).min(most) } else { most })
    }

    /// The standard error of the difference under `design`.
    #[must_use]
    pub fn standard_error(&self, design: Design) -> f64 {
        self.spread(design).0.sqrt()
    }
}

/// Items of a cluster in the mean, from the degrees of freedom of an item covariance, clusters − 1.
pub(crate) fn cluster_items(items: f64, df: Option<f64>) -> f64 {
    df.map_or(1.0, |df| items / (df + 1.0))
}

/// The 95 % interval of a standard deviation as factors of the one seen over `seeds` seeds.
///
/// # Errors
/// Fewer than two seeds, a level outside 0 to 1.
pub fn deviation_factors(seeds: usize, level: f64) -> Result<Interval> {
    confidence("level", level)?;
    if seeds < 2 {
        return Err(MetricError::TooFew { what: "seeds", found: seeds, expected: 2 });
    }
    let df = seeds as f64 - 1.0;
    let end = |probability: f64| (df / chi_square_quantile(probability, df)).sqrt();
    let tail = 0.5 * (1.0 - level);
    Ok(Interval { low: end(1.0 - tail), high: end(tail) })
}

/// The size of an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Design {
    /// Test items.
    pub items: u64,
    /// Seeds of each model.
    pub seeds: u64,
}

/// The rule whose verdicts are forecast.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The smallest gain that matters, above 0.
    pub margin: f64,
    /// Level of the end that must lie above 0.
    pub lower_level: f64,
    /// Level of the end that must lie below the margin.
    pub upper_level: f64,
}

/// The chances of each decision; they sum to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chances {
    /// Of [`Decision::Candidate`]: L > 0 and an estimate of at least the margin.
    pub candidate: f64,
    /// Of [`Decision::Baseline`]: U < margin.
    pub baseline: f64,
    /// Of neither.
    pub undecided: f64,
}

impl Chances {
    /// The chance of `decision`.
    #[must_use]
    pub fn of(&self, decision: Decision) -> f64 {
        match decision {
            Decision::Candidate => self.candidate,
            Decision::Baseline => self.baseline,
            Decision::Undecided => self.undecided,
        }
    }
}

impl Rule {
    /// The decision that a true gain deserves.
    #[must_use]
    pub fn right(&self, gain: f64) -> Decision {
        if gain >= self.margin { Decision::Candidate } else { Decision::Baseline }
    }

    fn check(&self) -> Result<()> {
        confidence("lower_level", self.lower_level)?;
        confidence("upper_level", self.upper_level)?;
        setting("margin", self.margin, self.margin > 0.0, "a number above 0")
    }
}

/// The chances of the three decisions for a true `gain`: the estimate is normal around it, its
/// estimated variance chi-square with Satterthwaite's degrees of freedom and independent of it.
///
/// # Errors
/// Fewer than two seeds or items, a margin that is not above 0, a level outside 0 to 1, components
/// without any variance, numbers that are not finite.
pub fn chances(components: &Components, design: Design, rule: &Rule, gain: f64) -> Result<Chances> {
    rule.check()?;
    setting("gain", gain, true, "a number")?;
    let parts = [components.seeds, components.residual].concat();
    for value in parts.into_iter().chain([components.common]) {
        setting("variance", value, value >= 0.0, "a number of at least 0")?;
    }
    for (what, found) in [("seeds", design.seeds), ("items", design.items)] {
        if found < 2 {
            return Err(MetricError::TooFew { what, found: found as usize, expected: 2 });
        }
    }
    let (variance, df) = components.spread(design);
    setting("variance", variance, variance > 0.0, "a number above 0")?;
    let error = variance.sqrt();
    let (gain, margin) = (gain / error, rule.margin / error);
    let [lower, upper] =
        [rule.lower_level, rule.upper_level].map(|level| t_quantile(0.5 + 0.5 * level, df));
    let above = |s: f64| normal_cdf(gain - margin.max(lower * s));
    let candidate = mean_over_errors(df, margin / lower, above).clamp(0.0, 1.0);
    let baseline = mean_over_errors(df, 1.0, |s| normal_cdf(margin - upper * s - gain));
    let baseline = baseline.clamp(0.0, 1.0 - candidate);
    Ok(Chances { candidate, baseline, undecided: 1.0 - candidate - baseline })
}

/// A number of items or seeds, or why none would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needed {
    /// The smallest that reaches the target.
    Enough(u64),
    /// None does.
    None(String),
}

/// The fewest items with which `seeds` seeds reach the right decision for `gain` with a chance of
/// [`TARGET`].
///
/// # Errors
/// As [`chances`].
pub fn items_needed(components: &Components, seeds: u64, rule: &Rule, gain: f64) -> Result<Needed> {
    let chance = |items| {
        let found = chances(components, Design { items, seeds }, rule, gain)?;
        Ok(found.of(rule.right(gain)))
    };
    if let Some(items) = smallest(2, MOST, chance)? {
        return Ok(Needed::Enough(items));
    }
    let best = chance(MOST)?;
    let error = components.standard_error(Design { items: MOST, seeds });
    Ok(Needed::None(hopeless("items", &format!("{seeds} seeds"), (error, best), (rule, gain))))
}

/// The fewest seeds of each model with which `items` items reach the right decision for `gain` with
/// a chance of [`TARGET`].
///
/// # Errors
/// As [`chances`].
pub fn seeds_needed(components: &Components, items: u64, rule: &Rule, gain: f64) -> Result<Needed> {
    let chance = |seeds| {
        let found = chances(components, Design { items, seeds }, rule, gain)?;
        Ok(found.of(rule.right(gain)))
    };
    if let Some(seeds) = smallest(2, MOST, chance)? {
        return Ok(Needed::Enough(seeds));
    }
    let best = chance(MOST)?;
    let error = components.standard_error(Design { items, seeds: MOST });
    Ok(Needed::None(hopeless("seeds", &format!("{items} items"), (error, best), (rule, gain))))
}

fn hopeless(
    more: &str,
    fixed: &str,
    (error, best): (f64, f64),
    (rule, gain): (&Rule, f64),
) -> String {
    let at_margin = (gain - rule.margin).abs() <= 1e-12 * rule.margin;
    if at_margin {
        return format!(
            "no number of {more} will do: a gain that equals the margin is estimated below it half \
             of the time"
        );
    }
    format!(
        "no number of {more} will do: {fixed} alone leave a standard error of {error:.4}, and the \
         chance stays at {best:.2}"
    )
}

/// The smallest number from `low` to `most` whose chance reaches the target, by doubling and
/// halving: chances rise with the size of an experiment.
fn smallest(low: u64, most: u64, chance: impl Fn(u64) -> Result<f64>) -> Result<Option<u64>> {
    let (mut below, mut high) = (low - 1, low);
    while chance(high)? < TARGET {
        if high == most {
            return Ok(None);
        }
        (below, high) = (high, (2 * high).min(most));
    }
    while high - below > 1 {
        let middle = below + (high - below) / 2;
        if chance(middle)? < TARGET {
            below = middle;
        } else {
            high = middle;
        }
    }
    Ok(Some(high))
}

/// The items with which McNemar's test of one pair of checkpoints finds a difference in accuracy of
/// `difference` where a share `discordant` of the items is right for one of them alone (Connor
/// 1987), at two-sided `alpha` with chance `power`. Not rounded.
///
/// # Errors
/// A difference that is 0 or larger than the discordant share, a share, alpha or power outside 0 to
/// 1.
pub fn connor_items(discordant: f64, difference: f64, alpha: f64, power: f64) -> Result<f64> {
    confidence("discordant", discordant)?;
    let inside = difference.abs() > 0.0 && difference.abs() <= discordant;
    setting("difference", difference, inside, "a number above 0 and up to the discordant share")?;
    let (z, z_power) = quantiles(alpha, power)?;
    let spread = (discordant - difference * difference).sqrt();
    Ok(((z * discordant.sqrt() + z_power * spread) / difference).powi(2))
}

/// The items with which DeLong's test of one pair of checkpoints finds a difference in AUROC of
/// `difference`, from the `variance` of the difference on `pilot_items` items. Not rounded.
///
/// # Errors
/// A difference of 0, a variance that is not above 0, no pilot items, alpha or power outside 0 to 1.
pub fn delong_items(
    variance: f64,
    pilot_items: usize,
    difference: f64,
    alpha: f64,
    power: f64,
) -> Result<f64> {
    setting("difference", difference, difference.abs() > 0.0, "a number other than 0")?;
    setting("variance", variance, variance > 0.0, "a number above 0")?;
    if pilot_items == 0 {
        return Err(MetricError::Empty);
    }
    let (z, z_power) = quantiles(alpha, power)?;
    Ok(pilot_items as f64 * variance * ((z + z_power) / difference).powi(2))
}

fn quantiles(alpha: f64, power: f64) -> Result<(f64, f64)> {
    confidence("alpha", alpha)?;
    confidence("power", power)?;
    Ok((normal_quantile(1.0 - 0.5 * alpha), normal_quantile(power)))
}

fn setting(what: &'static str, value: f64, inside: bool, expected: &'static str) -> Result<()> {
    if inside && value.is_finite() {
        Ok(())
    } else {
        Err(MetricError::Setting { what, value, expected })
    }
}
