//! Comparisons of arms over seeds and items, and what follows from one for a margin.

use mmc_metrics::bootstrap::Resampling;
use mmc_metrics::paired_bootstrap::{is_quick, paired_bootstrap};
use mmc_metrics::{Comparison, Contrast, Decision, Interval, Items, Metric, compare};
use serde::Serialize;

use crate::arm::ArmRuns;

/// Two-sided error rate of the verdict.
pub const ALPHA: f64 = 0.05;

/// A comparison of a candidate with a baseline, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gain {
    /// Who is compared with, `model (arm)`.
    pub baseline: String,
    /// Who is compared, `model (arm)`.
    pub candidate: String,
    /// The two-way comparison, over seeds and items; over items alone where a side has one seed.
    pub comparison: Option<Comparison>,
    /// Why there is no comparison.
    pub absent: Option<String>,
    /// Holm's corrected p-value over the family; printed, never decides.
    pub holm_p: Option<f64>,
    /// The paired bootstrap's p over the items of these very runs; printed, never decides. Absent where
    /// there are too many items to resample unasked.
    pub bootstrap_p: Option<f64>,
    /// How much better the candidate is; positive is better also where less is better.
    pub gain: Option<f64>,
    /// Lower end at `lower_level`, upper end at `upper_level` of the comparison.
    pub interval: Option<Interval>,
    /// What is shown.
    pub finding: Finding,
}

/// What a comparison shows, for the margin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// L > margin.
    GainAboveMargin,
    /// L > 0 and the estimate is at least the margin.
    Gain,
    /// 0 < L and U < margin: real, and too small to matter.
    GainTooSmall,
    /// U < margin.
    NoGainThatMatters,
    /// U < 0.
    Loss,
    /// None of these.
    Open,
    /// One seed on a side: nothing is known about newly trained models.
    OneSeed,
    /// There is no comparison.
    Absent,
}

impl Finding {
    /// In words that follow the candidate's name.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::GainAboveMargin => "better, shown above the margin",
            Self::Gain => "better, shown above zero with an estimate above the margin",
            Self::GainTooSmall => "better, and shown by less than the margin",
            Self::NoGainThatMatters => "shown to gain less than the margin",
            Self::Loss => "shown worse",
            Self::Open => "neither shown better nor shown to gain less than the margin",
            Self::OneSeed => "one seed on a side, so no finding about newly trained models",
            Self::Absent => "not compared",
        }
    }

    /// Whether it supports the candidate.
    #[must_use]
    pub fn is_gain(self) -> bool {
        matches!(self, Self::GainAboveMargin | Self::Gain)
    }

    /// Whether it shows that the gain is below the margin.
    #[must_use]
    pub fn is_below_margin(self) -> bool {
        matches!(self, Self::GainTooSmall | Self::NoGainThatMatters | Self::Loss)
    }
}

/// How two arms are compared.
pub(crate) struct Rule<'a> {
    pub(crate) metric: &'a Metric,
    pub(crate) margin: f64,
    /// Level of the lower end; the upper end is always at 1 − α.
    pub(crate) lower_level: f64,
    /// Whether equal seeds of the two sides share initial values and order of data.
    pub(crate) paired_seeds: bool,
}

impl<'a> Rule<'a> {
    /// The rule of a verdict on `models` multimodal models: L at level 1 − α/m, U at 1 − α.
    pub(crate) fn of_family(metric: &'a Metric, margin: f64, models: usize) -> Self {
        let lower_level = 1.0 - ALPHA / models as f64;
        Self { metric, margin, lower_level, paired_seeds: false }
    }

    pub(crate) fn apply(&self, baseline: &ArmRuns, candidate: &ArmRuns) -> Gain {
        let absent = [baseline, candidate].iter().find_map(|side| {
            if side.runs.is_empty() {
                Some(format!("{} has no complete run", side.name()))
            } else if side.items().is_empty() {
                Some("the test split has no labels".to_owned())
            } else {
                None
            }
        });
        let (names, sides) =
            ((baseline.name(), candidate.name()), (baseline.items(), candidate.items()));
        match absent {
            Some(why) => self.gain(names, Err(why)),
            None => self.gain(names, self.compare(&sides.0, &sides.1)),
        }
    }

    /// As [`Rule::apply`], with the paired bootstrap's p.
    pub(crate) fn apply_resampled(&self, baseline: &ArmRuns, candidate: &ArmRuns) -> Gain {
        let (a, b) = (baseline.items(), candidate.items());
        let quick = is_quick(a.first().map_or(0, Items::len), a.len() + b.len());
        let resampled = || paired_bootstrap(self.metric, &a, &b, &Resampling::default()).ok();
        let bootstrap_p = if quick { resampled().map(|found| found.p_value) } else { None };
        Gain { bootstrap_p, ..self.apply(baseline, candidate) }
    }

    pub(crate) fn compare(
        &self,
        baseline: &[Items],
        candidate: &[Items],
    ) -> Result<Comparison, String> {
        compare(&Contrast {
            metric: self.metric,
            baseline,
            candidate,
            paired_seeds: self.paired_seeds,
            margin: self.margin,
            lower_level: self.lower_level,
            upper_level: 1.0 - ALPHA,
            seed: 0,
        })
        .map_err(|error| error.to_string())
    }

    pub(crate) fn gain(
        &self,
        names: (String, String),
        outcome: Result<Comparison, String>,
    ) -> Gain {
        let (baseline, candidate) = names;
        let (comparison, absent) = match outcome {
            Ok(comparison) => (Some(comparison), None),
            Err(why) => (None, Some(why)),
        };
        let better = comparison.as_ref().map(|found| improvement(self.metric, found));
        let finding = match (&comparison, better) {
            (Some(found), Some((gain, interval))) => finding(found, gain, interval, self.margin),
            _ => Finding::Absent,
        };
        Gain {
            baseline,
            candidate,
            comparison,
            absent,
            holm_p: None,
            bootstrap_p: None,
            gain: better.map(|better| better.0),
            interval: better.map(|better| better.1),
            finding,
        }
    }
}

/// The difference and its interval turned so that more is better.
pub(crate) fn improvement(metric: &Metric, found: &Comparison) -> (f64, Interval) {
    let Interval { low, high } = found.interval;
    if metric.higher_is_better {
        (found.difference, found.interval)
    } else {
        (-found.difference, Interval { low: -high, high: -low })
    }
}

fn finding(found: &Comparison, gain: f64, interval: Interval, margin: f64) -> Finding {
    if found.seeds.baseline < 2 || found.seeds.candidate < 2 {
        return Finding::OneSeed;
    }
    match mmc_metrics::compare::decide(gain, interval, margin) {
        Decision::Candidate if interval.low > margin => Finding::GainAboveMargin,
        Decision::Candidate => Finding::Gain,
        Decision::Baseline if interval.high < 0.0 => Finding::Loss,
        Decision::Baseline if interval.low > 0.0 => Finding::GainTooSmall,
        Decision::Baseline => Finding::NoGainThatMatters,
        Decision::Undecided => Finding::Open,
    }
}
