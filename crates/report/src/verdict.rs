//! The verdict: does the picture help, is the text enough, or can these results not tell?

use std::fmt;

use mmc_data::Arm;
use mmc_metrics::{Items, Metric, holm, metric};
use mmc_run::{DataRecord, ExperimentRecord, Prices, SearchRecord};
use serde::{Serialize, Serializer};

use crate::advice::{Advice, advice, help};
use crate::alarm::{Grounds, alarms};
use crate::arm::ArmRuns;
use crate::benefit::{Benefit, benefits, front};
use crate::beside::{Beside, JudgedClaim, beside, judged_claims};
use crate::compare::{ALPHA, Gain, Rule};
use crate::cost::{ArmCost, costs};
use crate::curve::{ArmCalibration, calibrations};
use crate::diagnoses::diagnoses;
use crate::diagnosis::ModelDiagnosis;
use crate::parts::{Change, ClassScore, Subgroup, parts};
use crate::score::{ArmScore, scores};
use crate::{ReportError, Results};

/// The three answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A multimodal model is shown to gain, and by an estimate of at least the margin.
    Multimodal,
    /// Every multimodal model is shown to gain less than the margin.
    TextSuffices,
    /// Neither is shown.
    Undecided,
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Multimodal => "multimodal",
            Self::TextSuffices => "text suffices",
            Self::Undecided => "undecided",
        })
    }
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The answer with every figure behind it; `verdict.json` is this, serialised.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// The answer.
    pub verdict: Answer,
    /// What it follows from, a sentence each.
    pub reasons: Vec<String>,
    /// What was run.
    pub experiment: ExperimentRecord,
    /// Whether the data was generated and the models are tiny.
    pub demo: bool,
    /// The metric that decides.
    pub metric: String,
    /// Whether more of it is better.
    pub higher_is_better: bool,
    /// The smallest gain that matters, in units of the metric.
    pub margin: f64,
    /// The two-sided error rate.
    pub alpha: f64,
    /// The splits that all figures are of.
    pub data: Option<DataRecord>,
    /// What a search for hyperparameters tried and chose; absent where none was made.
    pub search: Option<SearchRecord>,
    /// The text model that others are compared with, chosen on the selection split.
    pub text_model: Option<String>,
    /// Every arm's scores.
    pub scores: Vec<ArmScore>,
    /// Each multimodal model against the text model.
    pub gains: Vec<Gain>,
    /// Which verdict holds for which margin.
    pub by_margin: Vec<MarginRange>,
    /// Where each multimodal model's gain comes from.
    pub ledger: Vec<LedgerEntry>,
    /// What each multimodal model uses, and where its gain comes from, part by part.
    pub diagnoses: Vec<ModelDiagnosis>,
    /// Every arm's cost.
    pub costs: Vec<ArmCost>,
    /// The arms that no other beats in both forward operations and mean score, `model (arm)`.
    pub pareto: Vec<String>,
    /// What the picture costs for what it brings, a multimodal model each.
    pub benefits: Vec<Benefit>,
    /// What computing costs the user, where it is known.
    pub prices: Prices,
    /// Published figures beside ours; empty for generated data.
    pub published: Vec<Beside>,
    /// What our runs say to the claims of others.
    pub claims: Vec<JudgedClaim>,
    /// How well each arm's confidence means what it says.
    pub calibration: Vec<ArmCalibration>,
    /// Scores by class of the text model and of every multimodal one.
    pub classes: Vec<ClassScore>,
    /// The multimodal model that the parts of the split are shown for, chosen on the selection split.
    pub shown: Option<String>,
    /// Its gain on parts of the split.
    pub subgroups: Vec<Subgroup>,
    /// What becomes of the text model's decisions with the picture.
    pub changes: Vec<Change>,
    /// The answer to whether any arm is above chance; `None` where that cannot be said.
    pub any_above_chance: Option<bool>,
    /// What to be careful about.
    pub alarms: Vec<String>,
    /// What would decide an undecided comparison.
    pub help: Vec<String>,
    /// What to use when.
    pub advice: Advice,
}

/// An interval of margins for which a verdict holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MarginRange {
    /// The verdict.
    pub verdict: Answer,
    /// From this margin.
    pub from: f64,
    /// Up to this one; absent: to any.
    pub to: Option<f64>,
}

/// The parts of a multimodal model's gain over the text model; they sum to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LedgerEntry {
    /// The model.
    pub model: String,
    /// Its own text arm against the text model: another architecture and pretraining.
    pub backbone: Gain,
    /// With the picture against its own text arm: the worth of the picture to this model.
    pub picture: Gain,
    /// Their sum: the gain over the text model. Absent where a part is.
    pub total: Option<f64>,
}

/// Draws the verdict from results, for a margin in units of the primary metric.
///
/// Rule: *multimodal* where a model's gain over the best text model has L > 0 and an estimate of
/// at least the margin; *text suffices* where every model's gain has U < margin; else *undecided*.
/// L is at level 1 − α/m for m models (Bonferroni), U at 1 − α, both two-way t over seeds and
/// items (Obuchowski and Rockette 1995); α = 0.05. One seed decides nothing.
///
/// # Errors
/// [`ReportError::Setting`] for a metric that does not exist, [`ReportError::Margin`] for a margin
/// that is not above 0.
pub fn verdict(results: &Results, margin: f64) -> Result<Verdict, ReportError> {
    if !(margin > 0.0 && margin.is_finite()) {
        return Err(ReportError::Margin { given: margin });
    }
    let record = &results.record;
    let primary = metric(&record.primary_metric)
        .map_err(|source| ReportError::Setting { what: "primary metric", source })?;
    for name in &record.metrics {
        metric(name).map_err(|source| ReportError::Setting { what: "metrics", source })?;
    }
    let arms = ArmRuns::all(results);
    let text = best_text(results, &arms, primary);
    let gains = gains(results, &arms, text, primary, margin);
    let answer = answer(&gains);
    let scores = scores(&arms, primary, &record.metrics);
    let chance: Vec<bool> =
        scores.iter().filter_map(|score| Some(score.chance.as_ref()?.is_above())).collect();
    let beside = beside(results, &arms, margin);
    let grounds = Grounds { scores: &scores, beside: &beside, primary, margin };
    let mut alarms = alarms(results, &arms, &grounds);
    let costs = costs(&arms, text);
    let parts = parts(&arms, text, primary, &results.word_columns);
    let any_above_chance = (!chance.is_empty()).then(|| chance.contains(&true));
    let diagnoses = diagnoses(&arms, text, primary, margin);
    alarms.extend(diagnoses.alarms);
    Ok(Verdict {
        verdict: answer,
        reasons: reasons(answer, &gains, any_above_chance),
        experiment: record.clone(),
        demo: record.is_demo(),
        metric: primary.name.to_owned(),
        higher_is_better: primary.higher_is_better,
        margin,
        alpha: ALPHA,
        data: results.runs.first().map(|run| run.config.data.clone()),
        search: results.search.clone(),
        text_model: text.map(|text| text.model.to_owned()),
        by_margin: by_margin(&gains),
        ledger: ledger(results, &arms, text, primary, margin),
        diagnoses: diagnoses.found,
        pareto: front(&costs, &scores, primary),
        costs,
        benefits: benefits(&arms, text, record.prices),
        prices: record.prices,
        claims: judged_claims(results, &arms, margin),
        published: beside,
        calibration: calibrations(&arms),
        classes: parts.classes,
        shown: parts.candidate,
        subgroups: parts.subgroups,
        changes: parts.changes,
        any_above_chance,
        alarms,
        help: if answer == Answer::Undecided { help(&gains, margin) } else { Vec::new() },
        advice: advice(
            &arms,
            text,
            &gains,
            &Rule { metric: primary, margin, lower_level: 1.0 - ALPHA, paired_seeds: false },
        ),
        scores,
        gains,
    })
}

/// The text model with the best mean on the selection split; undefined means rank last, and of
/// equals the first of the plan is taken.
fn best_text<'a, 'b>(
    results: &Results,
    arms: &'b [ArmRuns<'a>],
    primary: &Metric,
) -> Option<&'b ArmRuns<'a>> {
    let texts = arms.iter().filter(|arm| {
        arm.arm == Arm::Text
            && !arm.runs.is_empty()
            && results.record.grid.text_models.iter().any(|model| model == arm.model)
    });
    best_on_selection(texts, primary)
}

/// The arm with the best mean on the selection split.
pub(crate) fn best_on_selection<'a, 'b>(
    arms: impl Iterator<Item = &'b ArmRuns<'a>>,
    primary: &Metric,
) -> Option<&'b ArmRuns<'a>>
where
    'a: 'b,
{
    let sign = if primary.higher_is_better { 1.0 } else { -1.0 };
    let mut best: Option<(&ArmRuns, f64)> = None;
    for arm in arms {
        let mean = arm.selection_mean(primary.name).map_or(f64::NEG_INFINITY, |mean| sign * mean);
        if best.is_none_or(|(_, other)| mean > other) {
            best = Some((arm, mean));
        }
    }
    best.map(|(arm, _)| arm)
}

/// Each multimodal model with text and picture against the text model.
fn gains(
    results: &Results,
    arms: &[ArmRuns],
    text: Option<&ArmRuns>,
    primary: &Metric,
    margin: f64,
) -> Vec<Gain> {
    let rule = Rule::of_family(primary, margin, results.record.grid.multimodal_models.len());
    let nobody = ArmRuns::gather(results, "no text model", Arm::Text);
    let gains = arms
        .iter()
        .filter(|arm| arm.arm == Arm::Both)
        .map(|arm| rule.apply_resampled(text.unwrap_or(&nobody), arm));
    corrected(gains.collect())
}

/// Adds Holm's p-values.
fn corrected(mut gains: Vec<Gain>) -> Vec<Gain> {
    let p_values: Vec<f64> =
        gains.iter().filter_map(|gain| Some(gain.comparison.as_ref()?.p_value)).collect();
    // A model without a comparison stays in the family: its p counts as 1.
    let padded: Vec<f64> =
        p_values.iter().copied().chain(std::iter::repeat(1.0)).take(gains.len()).collect();
    let corrected = holm(&padded).unwrap_or_default();
    let compared = gains.iter_mut().filter(|gain| gain.comparison.is_some());
    for (gain, p) in compared.zip(corrected) {
        gain.holm_p = Some(p);
    }
    gains
}

/// The answer that scored files give by themselves, by the rule of [`verdict()`]: `baseline` are the
/// text model's, one a seed, `candidates` those of each multimodal model on the same items.
#[must_use]
pub fn judge(
    metric: &Metric,
    margin: f64,
    baseline: &[Items],
    candidates: &[&[Items]],
) -> (Answer, Vec<Gain>) {
    let rule = Rule::of_family(metric, margin, candidates.len());
    let gain = |(number, candidate): (usize, &&[Items])| {
        let names = ("baseline".to_owned(), format!("candidate {}", number + 1));
        rule.gain(names, rule.compare(baseline, candidate))
    };
    let gains = corrected(candidates.iter().enumerate().map(gain).collect());
    (answer(&gains), gains)
}

fn answer(gains: &[Gain]) -> Answer {
    if gains.iter().any(|gain| gain.finding.is_gain()) {
        Answer::Multimodal
    } else if !gains.is_empty() && gains.iter().all(|gain| gain.finding.is_below_margin()) {
        Answer::TextSuffices
    } else {
        Answer::Undecided
    }
}

fn reasons(answer: Answer, gains: &[Gain], any_above_chance: Option<bool>) -> Vec<String> {
    let mut lines: Vec<String> = gains
        .iter()
        .map(|gain| match &gain.absent {
            Some(why) => format!("{} was not compared: {why}.", gain.candidate),
            None => {
                format!("{} against {}: {}.", gain.candidate, gain.baseline, gain.finding.words())
            }
        })
        .collect();
    if answer == Answer::TextSuffices
        && gains.iter().any(|gain| gain.finding == crate::compare::Finding::Loss)
    {
        lines.push("Where a model is shown worse, the image hurts.".to_owned());
    }
    if any_above_chance == Some(false) {
        lines.push(
            "No arm is shown to be above chance (at a level corrected for the number of arms): \
             the verdict may be about models that have learned nothing."
                .to_owned(),
        );
    }
    lines
}

/// The verdict as the function of the margin that it is: multimodal up to the largest estimate
/// among gains above zero, text suffices above the largest upper end, undecided between.
pub(crate) fn by_margin(gains: &[Gain]) -> Vec<MarginRange> {
    let decided = |gain: &Gain| {
        let seeds = gain.comparison.as_ref()?.seeds;
        let (estimate, interval) = (gain.gain?, gain.interval?);
        (seeds.baseline > 1 && seeds.candidate > 1).then_some((estimate, interval))
    };
    let found: Vec<_> = gains.iter().filter_map(decided).collect();
    let multimodal = found
        .iter()
        .filter(|(_, interval)| interval.low > 0.0)
        .map(|(estimate, _)| *estimate)
        .fold(0.0, f64::max);
    let complete = !gains.is_empty() && found.len() == gains.len();
    let highest = found.iter().map(|(_, interval)| interval.high).fold(f64::MIN, f64::max);
    let suffices = if complete { Some(highest.max(0.0)) } else { None };
    let mut ranges = Vec::new();
    if multimodal > 0.0 {
        ranges.push(MarginRange { verdict: Answer::Multimodal, from: 0.0, to: Some(multimodal) });
    }
    if suffices.is_none_or(|suffices| suffices > multimodal) {
        ranges.push(MarginRange { verdict: Answer::Undecided, from: multimodal, to: suffices });
    }
    if let Some(from) = suffices {
        ranges.push(MarginRange { verdict: Answer::TextSuffices, from, to: None });
    }
    ranges
}

fn ledger(
    results: &Results,
    arms: &[ArmRuns],
    text: Option<&ArmRuns>,
    primary: &Metric,
    margin: f64,
) -> Vec<LedgerEntry> {
    let Some(text) = text else { return Vec::new() };
    let find = |model: &str, arm: Arm| arms.iter().find(|at| at.model == model && at.arm == arm);
    let entry = |model: &String| {
        let (own_text, both) = (find(model, Arm::Text)?, find(model, Arm::Both)?);
        let rule = |paired_seeds: bool| Rule {
            metric: primary,
            margin,
            lower_level: 1.0 - ALPHA,
            paired_seeds,
        };
        let same_seeds = own_text.seeds() == both.seeds();
        let backbone = rule(false).apply(text, own_text);
        let picture = rule(same_seeds).apply(own_text, both);
        let total = backbone.gain.zip(picture.gain).map(|(backbone, picture)| backbone + picture);
        Some(LedgerEntry { model: model.clone(), backbone, picture, total })
    };
    results.record.grid.multimodal_models.iter().filter_map(entry).collect()
}
