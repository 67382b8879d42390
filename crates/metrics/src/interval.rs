//! Intervals of one proportion, and the spread of means over items that come in clusters.

use serde::{Deserialize, Serialize};

use crate::distribution::{beta_quantile, normal_quantile};
use crate::error::{MetricError, Result, confidence};

/// Two ends of an interval. Serialised as `[low, high]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "[f64; 2]", from = "[f64; 2]")]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// `centre` ± `half_width`.
    #[must_use]
    pub fn around(centre: f64, half_width: f64) -> Self {
        Self { low: centre - half_width, high: centre + half_width }
    }

    /// `high` − `low`.
    #[must_use]
    pub fn width(&self) -> f64 {
        self.high - self.low
    }

    /// Whether `value` lies in it, ends included.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// The part inside `range`.
    #[must_use]
    pub fn within(self, range: (f64, f64)) -> Self {
        Self { low: self.low.max(range.0), high: self.high.min(range.1) }
    }
}

impl From<[f64; 2]> for Interval {
    fn from([low, high]: [f64; 2]) -> Self {
        Self { low, high }
    }
}

impl From<Interval> for [f64; 2] {
    fn from(interval: Interval) -> Self {
        [interval.low, interval.high]
    }
}

/// Wilson's score interval (1927) of a proportion seen as `successes` of `trials`; good at 0 and
/// at all. `trials` may be an effective number and so is not whole: items in clusters count as
/// `n / deff`.
///
/// # Errors
/// No trials, successes outside `0..=trials`, or a level outside 0 to 1.
pub fn wilson(successes: f64, trials: f64, level: f64) -> Result<Interval> {
    proportion(successes, trials, level)?;
    let z = normal_quantile(0.5 + 0.5 * level);
    let share = successes / trials;
    let shrink = 1.0 + z * z / trials;
    let centre = (share + z * z / (2.0 * trials)) / shrink;
    let spread = share * (1.0 - share) / trials + z * z / (4.0 * trials * trials);
    Ok(Interval::around(centre, z / shrink * spread.sqrt()).within((0.0, 1.0)))
}

/// The exact interval of Clopper and Pearson (1934): covers at least at its level, at the price of
/// width.
///
/// # Errors
/// As [`wilson`].
pub fn clopper_pearson(successes: u64, trials: u64, level: f64) -> Result<Interval> {
    let (x, n) = (successes as f64, trials as f64);
    proportion(x, n, level)?;
    let tail = 0.5 * (1.0 - level);
    let low = if successes == 0 { 0.0 } else { beta_quantile(tail, x, n - x + 1.0) };
    let high = if successes == trials { 1.0 } else { beta_quantile(1.0 - tail, x + 1.0, n - x) };
    Ok(Interval { low, high })
}

/// How far a share may lie from 0 (or 1) when all of `trials` agree: the half of Clopper and
/// Pearson's interval that is not a point, `1 − (α/2)^(1/n)`. Stands in where an estimated variance
/// is 0 and would give an interval without width.
#[must_use]
pub fn unanimous_bound(trials: usize, level: f64) -> f64 {
    if trials == 0 { 1.0 } else { 1.0 - (0.5 * (1.0 - level)).powf(1.0 / trials as f64) }
}

/// Wilson's interval of a mean of right and wrong (`values` 1 and 0) over items in `clusters`: the
/// number of items is divided by the design effect, never below 1 and at most such that each
/// cluster counts once where the values show no spread at all.
pub(crate) fn wilson_of_mean(values: &[f64], clusters: &Clusters, level: f64) -> Result<Interval> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let binomial = mean * (1.0 - mean) / n;
    let effective = if !clusters.shared() {
        n
    } else if binomial > 0.0 {
        let influence: Vec<f64> = values.iter().map(|value| (value - mean) / n).collect();
        n / (clusters.covariance(&influence, &influence) / binomial).max(1.0)
    } else {
        clusters.count() as f64
    };
    wilson(mean * effective, effective, level)
}

/// Items that belong together, numbered from 0 in the order of their first item.
#[derive(Clone, Debug)]
pub(crate) struct Clusters {
    /// Where each cluster's members begin, and the number of items: `[clusters + 1]`.
    starts: Vec<usize>,
    /// The items, cluster by cluster, each in input order: `[items]`.
    members: Vec<usize>,
}

impl Clusters {
    /// Groups `items` items by `names`; without names each item is its own cluster.
    pub(crate) fn new(items: usize, names: Option<&[usize]>) -> Self {
        let Some(names) = names else {
            return Self { starts: (0..=items).collect(), members: (0..items).collect() };
        };
        let mut numbers = std::collections::BTreeMap::new();
        let of_item: Vec<usize> = names
            .iter()
            .map(|name| {
                let next = numbers.len();
                *numbers.entry(name).or_insert(next)
            })
            .collect();
        let mut starts = vec![0; numbers.len() + 1];
        for &cluster in &of_item {
            starts[cluster + 1] += 1;
        }
        for cluster in 0..numbers.len() {
            starts[cluster + 1] += starts[cluster];
        }
        let mut free = starts.clone();
        let mut members = vec![0; names.len()];
        for (item, &cluster) in of_item.iter().enumerate() {
            members[free[cluster]] = item;
            free[cluster] += 1;
        }
        Self { starts, members }
    }

    pub(crate) fn count(&self) -> usize {
        self.starts.len() - 1
    }

    pub(crate) fn items(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn members(&self, cluster: usize) -> &[usize] {
        &self.members[self.starts[cluster]..self.starts[cluster + 1]]
    }

    /// Whether some cluster has more than one item.
    pub(crate) fn shared(&self) -> bool {
        self.count() < self.items()
    }

    /// The sandwich estimate of the covariance of two estimates from the influence of each item on
    /// them: `G/(G−1) Σ_g U_g V_g`, `U_g` the sum over cluster g. One cluster alone has no spread.
    pub(crate) fn covariance(&self, a: &[f64], b: &[f64]) -> f64 {
        let clusters = self.count() as f64;
        if clusters < 2.0 {
            return 0.0;
        }
        let sum = |influence: &[f64], members: &[usize]| -> f64 {
            members.iter().map(|&item| influence[item]).sum()
        };
        let product = |cluster: usize| {
            let members = self.members(cluster);
            sum(a, members) * sum(b, members)
        };
        let products: f64 = (0..self.count()).map(product).sum();
        clusters / (clusters - 1.0) * products
    }
}

fn proportion(successes: f64, trials: f64, level: f64) -> Result<()> {
    confidence("level", level)?;
    if !(trials > 0.0 && trials.is_finite()) {
        return Err(MetricError::Empty);
    }
    if successes >= 0.0 && successes <= trials * (1.0 + 1e-12) {
        Ok(())
    } else {
        let expected = "a number from 0 to the number of trials";
        Err(MetricError::Setting { what: "successes", value: successes, expected })
    }
}
