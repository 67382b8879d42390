//! The comparison of a candidate with a baseline, and its three-way decision.

use serde::{Deserialize, Serialize};

use crate::covariance::{ItemCovariance, item_covariance};
use crate::error::{MetricError, Result, confidence};
use crate::interval::{Interval, unanimous_bound};
use crate::items::Items;
use crate::metric::Metric;
use crate::two_way::{Pairing, Runs, TwoWay, items_only, two_way};

/// Below this a variance is rounding.
const NO_VARIANCE: f64 = 1e-20;

/// What to compare, and by which rule.
#[derive(Clone, Copy, Debug)]
pub struct Contrast<'a> {
    /// The score.
    pub metric: &'a Metric,
    /// One file per seed.
    pub baseline: &'a [Items<'a>],
    /// One file per seed, of the same items in the same order.
    pub candidate: &'a [Items<'a>],
    /// Whether seed r of both sides shares initial head and order of data.
    pub paired_seeds: bool,
    /// The smallest gain that matters, in the metric's units, at least 0.
    pub margin: f64,
    /// Level of the end that must lie above 0: `1 − 0.05/m` where m candidates are tested.
    pub lower_level: f64,
    /// Level of the end that must lie below the margin.
    pub upper_level: f64,
    /// Seed of the bootstrap, read by metrics that need one.
    pub seed: u64,
}

/// What follows from an interval and a margin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Better than the baseline, and by an estimate of at least the margin.
    Candidate,
    /// Shown to gain less than the margin.
    Baseline,
    /// Neither is shown.
    Undecided,
}

/// How the interval was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Over seeds and items, [`two_way`].
    TwoWayT,
    /// Over items alone, since a side has one file.
    ItemsOnly,
}

/// What the interval speaks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// These very files on new items.
    #[serde(rename = "these files")]
    TheseFiles,
    /// Newly trained models on new items.
    #[serde(rename = "new seeds and new items")]
    NewSeeds,
}

/// How many files each side has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seeds {
    /// Files of the baseline.
    pub baseline: usize,
    /// Files of the candidate.
    pub candidate: usize,
}

/// The outcome of a [`Contrast`]. Serialised as the object that `mmc compare --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The metric's name.
    pub metric: String,
    /// Mean score of the baseline over its files.
    pub baseline: f64,
    /// Mean score of the candidate over its files.
    pub candidate: f64,
    /// Candidate minus baseline, also where less is better.
    pub difference: f64,
    /// The interval of the difference. The end that must lie above 0 has `lower_level`, the other
    /// `upper_level`; where less is better, that end is the high one.
    pub interval: Interval,
    /// The level of the interval: `upper_level`, which is not corrected for several candidates.
    pub level: f64,
    /// Two-sided, from the t distribution.
    pub p_value: f64,
    /// The smallest gain that matters.
    pub margin: f64,
    /// What follows.
    pub decision: Decision,
    /// How the interval was made.
    pub method: Method,
    /// What it speaks about.
    pub scope: Scope,
    /// Items compared.
    pub items: usize,
    /// Groups of items that share a picture; null where no groups were given.
    pub clusters: Option<usize>,
    /// Files of each side.
    pub seeds: Seeds,
    /// Whether seeds were paired.
    pub paired_seeds: bool,
    /// Level of the end that must lie above 0.
    pub lower_level: f64,
    /// Level of the end that must lie below the margin.
    pub upper_level: f64,
    /// Degrees of freedom; null: normal.
    pub df: Option<f64>,
    /// s²/k of the baseline's scores over seeds; 0 for one file.
    pub v_a: f64,
    /// s²/k of the candidate's scores over seeds; 0 for one file.
    pub v_b: f64,
    /// The variance due to seeds: `v_a + v_b`, or that of the paired differences.
    pub seed_variance: f64,
    /// The variance due to the items that all seeds share.
    pub c: f64,
    /// Each file's score.
    pub baseline_scores: Vec<f64>,
    /// Each file's score.
    pub candidate_scores: Vec<f64>,
    /// What a reader must be told.
    pub notes: Vec<String>,
}

/// Compares two models over the items, and the seeds, of their files. The decision, with [L, U] the
/// interval of the gain: *candidate* where L > 0 and the gain is at least the margin, *baseline*
/// where U < margin, else *undecided*. Where less is better the gain is the negative difference.
///
/// # Errors
/// A negative margin, a level outside 0 to 1, a side without files, files that fail
/// [`Items::check`] or are not about the same items, paired seeds of unequal number, a metric that
/// is undefined on a file.
pub fn compare(contrast: &Contrast) -> Result<Comparison> {
    check(contrast)?;
    let files: Vec<&Items> = contrast.baseline.iter().chain(contrast.candidate).collect();
    let score = |side: &[Items]| side.iter().map(contrast.metric.score).collect::<Result<Vec<_>>>();
    let (baseline, candidate) = (score(contrast.baseline)?, score(contrast.candidate)?);
    let covariance = item_covariance(contrast.metric, &files, contrast.seed)?;
    let runs = Runs {
        baseline: &baseline,
        candidate: &candidate,
        covariance: &covariance.matrix,
        item_df: covariance.df,
    };
    let one_file = baseline.len() < 2 || candidate.len() < 2;
    let method = if one_file { Method::ItemsOnly } else { Method::TwoWayT };
    let estimate = match (method, contrast.paired_seeds) {
        (Method::ItemsOnly, _) => items_only(&runs)?,
        (Method::TwoWayT, false) => two_way(&runs, Pairing::Unpaired)?,
        (Method::TwoWayT, true) => two_way(&runs, Pairing::Paired)?,
    };
    let gain = gain(contrast, &estimate, &covariance)?;
    let (low, high) = (gain.interval.low, gain.interval.high);
    let sign = sign(contrast.metric);
    let interval = if sign < 0.0 { Interval { low: -high, high: -low } } else { gain.interval };
    let mut notes = notes(contrast, method, covariance.redrawn);
    notes.extend(gain.note);
    Ok(Comparison {
        metric: contrast.metric.name.to_owned(),
        baseline: mean(&baseline),
        candidate: mean(&candidate),
        difference: estimate.difference,
        interval,
        level: contrast.upper_level,
        p_value: gain.p_value,
        margin: contrast.margin,
        decision: decide(sign * estimate.difference, gain.interval, contrast.margin),
        method,
        scope: if one_file { Scope::TheseFiles } else { Scope::NewSeeds },
        items: files[0].len(),
        clusters: files[0].clusters.map(|_| files[0].clusters().count()),
        seeds: Seeds { baseline: baseline.len(), candidate: candidate.len() },
        paired_seeds: contrast.paired_seeds && !one_file,
        lower_level: contrast.lower_level,
        upper_level: contrast.upper_level,
        df: estimate.df,
        v_a: estimate.v_a,
        v_b: estimate.v_b,
        seed_variance: estimate.seed_variance,
        c: estimate.c,
        baseline_scores: baseline,
        candidate_scores: candidate,
        notes,
    })
}

/// The three-way rule for a `gain` with its interval; a gain is an improvement, whatever the
/// direction of the metric.
#[must_use]
pub fn decide(gain: f64, interval: Interval, margin: f64) -> Decision {
    if interval.low > 0.0 && gain >= margin {
        Decision::Candidate
    } else if interval.high < margin {
        Decision::Baseline
    } else {
        Decision::Undecided
    }
}

/// The interval of the improvement.
struct Gain {
    interval: Interval,
    p_value: f64,
    note: Option<String>,
}

fn gain(contrast: &Contrast, estimate: &TwoWay, covariance: &ItemCovariance) -> Result<Gain> {
    let gain = sign(contrast.metric) * estimate.difference;
    if estimate.variance > NO_VARIANCE {
        let half = |level: f64| estimate.interval(level).map(|interval| 0.5 * interval.width());
        let low = gain - half(contrast.lower_level)?;
        let high = gain + half(contrast.upper_level)?;
        return Ok(Gain {
            interval: Interval { low, high },
            p_value: estimate.p_value(),
            note: None,
        });
    }
    let first = &contrast.baseline[0];
    let same = |file: &Items| {
        file.predictions == first.predictions
            && file.probabilities == first.probabilities
            && file.logits == first.logits
    };
    // Of answers only their accuracies are known here: equal ones may be of other words.
    if first.answers.is_none() && contrast.baseline.iter().chain(contrast.candidate).all(same) {
        let note = Some("all files hold the same predictions".to_owned());
        return Ok(Gain { interval: Interval { low: 0.0, high: 0.0 }, p_value: 1.0, note });
    }
    unanimous(contrast, gain, covariance.unanimous)
}

/// No item and no seed deviates, so the estimated variance is 0 and says nothing: the exact binomial
/// bound for a unanimous sample instead, its p-value by inversion.
fn unanimous(contrast: &Contrast, gain: f64, items: usize) -> Result<Gain> {
    let metric = contrast.metric;
    let width = metric.range.1 - metric.range.0;
    if !width.is_finite() {
        let why = "the variance of the difference is 0 and the metric has no largest value";
        return Err(MetricError::undefined(metric.name, why));
    }
    let interval = Interval {
        low: gain - width * unanimous_bound(items, contrast.lower_level),
        high: gain + width * unanimous_bound(items, contrast.upper_level),
    };
    let share = (gain.abs() / width).min(1.0);
    let note = format!(
        "no item or seed deviates, so the variance is estimated as 0; the interval is the exact \
         binomial bound on {items} unanimous items"
    );
    Ok(Gain {
        interval: interval.within((-width, width)),
        p_value: (2.0 * (1.0 - share).powf(items as f64)).min(1.0),
        note: Some(note),
    })
}

fn check(contrast: &Contrast) -> Result<()> {
    if !(contrast.margin >= 0.0 && contrast.margin.is_finite()) {
        let (what, value) = ("margin", contrast.margin);
        return Err(MetricError::Setting { what, value, expected: "a number of at least 0" });
    }
    confidence("lower_level", contrast.lower_level)?;
    confidence("upper_level", contrast.upper_level)?;
    let (Some(first), Some(_)) = (contrast.baseline.first(), contrast.candidate.first()) else {
        return Err(MetricError::TooFew { what: "files of a side", found: 0, expected: 1 });
    };
    if contrast.paired_seeds {
        let (expected, found) = (contrast.baseline.len(), contrast.candidate.len());
        crate::error::same_length("paired seeds of the candidate", expected, found)?;
    }
    for file in contrast.baseline.iter().chain(contrast.candidate) {
        file.check()?;
        contrast.metric.check_fits(file)?;
        crate::error::same_length("items of a file", first.len(), file.len())?;
        crate::error::same_length("classes of a file", first.classes, file.classes)?;
        same("labels", first.labels, file.labels)?;
        if first.is_binary() {
            same("positive class", &[first.positive], &[file.positive])?;
        }
        match (first.clusters, file.clusters) {
            (Some(a), Some(b)) => same("clusters", a, b)?,
            (None, None) => {}
            _ => return Err(MetricError::Mismatch { what: "clusters", index: 0 }),
        }
    }
    Ok(())
}

fn same(what: &'static str, a: &[usize], b: &[usize]) -> Result<()> {
    match a.iter().zip(b).position(|(a, b)| a != b) {
        Some(index) => Err(MetricError::Mismatch { what, index }),
        None => Ok(()),
    }
}

fn notes(contrast: &Contrast, method: Method, redrawn: usize) -> Vec<String> {
    let mut notes = Vec::new();
    if method == Method::ItemsOnly {
        let note = "item uncertainty only: a side has one file, so nothing is known about other \
                    seeds";
        notes.push(note.to_owned());
    }
    if contrast.margin <= 0.0 {
        let note = "with margin 0 `baseline` means shown worse, and equality is never decided";
        notes.push(note.to_owned());
    }
    if redrawn > 0 {
        let name = contrast.metric.name;
        notes.push(format!("{redrawn} resamples on which `{name}` is undefined were redrawn"));
    }
    notes
}

/// 1 where more is better, −1 where less is.
fn sign(metric: &Metric) -> f64 {
    if metric.higher_is_better { 1.0 } else { -1.0 }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
