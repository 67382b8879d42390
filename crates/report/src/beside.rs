//! Published figures beside ours, and whether our runs confirm what others claim.

use mmc_data::Arm;
use mmc_metrics::{Interval, metric};
use mmc_run::{Claim, ClaimKind, PublishedFigure, Sureness};
use serde::Serialize;

use crate::Results;
use crate::arm::{ArmRuns, deviation, mean, median};
use crate::compare::{ALPHA, Finding, Rule};
use crate::verdict::best_on_selection;

/// A published figure, and ours if they are of the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Beside {
    /// The figure.
    pub figure: PublishedFigure,
    /// Mean over seeds of our runs of the same model on the same split; absent where there is none.
    pub ours: Option<f64>,
    /// Standard deviation over our seeds.
    pub deviation: Option<f64>,
    /// Ours minus theirs.
    pub difference: Option<f64>,
    /// Why ours is absent.
    pub absent: Option<String>,
    /// Whether ours is worse by more than chance and, in the primary metric, by more than the margin.
    pub far_below: bool,
}

/// A claim of others, judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JudgedClaim {
    /// The claim.
    pub claim: Claim,
    /// What our runs say to it.
    pub judgement: Judgement,
    /// Why.
    pub why: String,
    /// What we found: a difference, or a ratio; absent where it was not to be had.
    pub ours: Option<f64>,
    /// Its 95 % interval; of ratios the least and the largest.
    pub interval: Option<Interval>,
}

/// What runs say to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// They show it.
    Confirmed,
    /// They show the contrary.
    Refuted,
    /// They can show neither.
    NotDecidable,
}

impl Judgement {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Refuted => "refuted",
            Self::NotDecidable => "not decidable here",
        }
    }
}

/// A ratio within this factor of the one claimed is "about" it.
const ABOUT: f64 = 1.25;
/// Standard deviations of seeds that chance may explain; of three seeds t at 95 % is 4.3.
const CHANCE: f64 = 4.3;

/// Every published figure of the data set, beside ours; none for generated data.
pub(crate) fn beside(results: &Results, arms: &[ArmRuns], margin: f64) -> Vec<Beside> {
    let Some(published) = &results.published else { return Vec::new() };
    if results.record.is_demo() {
        return Vec::new();
    }
    let margin_of = |name: &str| margin_of(results, name, margin);
    let figures = published.figures.iter();
    figures.map(|figure| place(figure, results, arms, margin_of(&figure.metric))).collect()
}

/// The margin, where it is one of this metric: it is stated for the primary metric alone.
fn margin_of(results: &Results, name: &str, margin: f64) -> Option<f64> {
    (results.record.primary_metric == name).then_some(margin)
}

fn place(
    figure: &PublishedFigure,
    results: &Results,
    arms: &[ArmRuns],
    margin: Option<f64>,
) -> Beside {
    let ours = ours(figure, results, arms);
    let values = ours.as_ref().ok();
    let (own, spread) =
        (values.map(|values| mean(values)), values.and_then(|values| deviation(values)));
    let difference = own.map(|own| own - figure.value);
    // Both means vary with their seeds; without a spread of ours, only the margin is asked, and
    // where there is no margin of this metric, nothing.
    let noise = values.zip(spread).map(|(values, spread)| {
        let theirs = figure.deviation.unwrap_or(spread);
        CHANCE * (spread * spread + theirs * theirs).sqrt() / (values.len() as f64).sqrt()
    });
    let allowed = match (margin, noise) {
        (None, None) => f64::INFINITY,
        (margin, noise) => margin.unwrap_or(0.0) + noise.unwrap_or(0.0),
    };
    let higher = metric(&figure.metric).is_ok_and(|metric| metric.higher_is_better);
    let sign = if higher { 1.0 } else { -1.0 };
    Beside {
        figure: figure.clone(),
        ours: own,
        deviation: spread,
        difference,
        absent: ours.err(),
        far_below: figure.sure == Sureness::Quoted
            && difference.is_some_and(|difference| sign * difference < -allowed),
    }
}

/// The scores of our runs that the figure is to be compared with, a seed each.
fn ours(figure: &PublishedFigure, results: &Results, arms: &[ArmRuns]) -> Result<Vec<f64>, String> {
    let Some(model) = &figure.model else { return Err("no model of mmc".to_owned()) };
    let Some(split) = &figure.split else { return Err("its split is not stated".to_owned()) };
    let test = results.runs.first().and_then(|run| run.test_split());
    let Some(test) = test else { return Err("there is no test split here".to_owned()) };
    if *split != test.split {
        return Err(format!("of `{split}`, here it is `{}`", test.split));
    }
    if let Some(items) = figure.items.filter(|items| *items != test.items) {
        return Err(format!("of {items} items, here there are {}", test.items));
    }
    let is_text = results.record.grid.text_models.contains(model);
    let arm = figure.arm.unwrap_or(if is_text { Arm::Text } else { Arm::Both });
    let found = arms.iter().find(|at| at.model == model && at.arm == arm && !at.runs.is_empty());
    let Some(found) = found else { return Err(format!("{model} ({arm}) was not run")) };
    let scores: Option<Vec<f64>> =
        found.runs.iter().map(|run| run.test_scores()?.value(&figure.metric)).collect();
    scores.ok_or_else(|| format!("`{}` was not scored", figure.metric))
}

/// Every claim, judged.
pub(crate) fn judged_claims(results: &Results, arms: &[ArmRuns], margin: f64) -> Vec<JudgedClaim> {
    let claims = results.published.iter().flat_map(|published| &published.claims);
    claims.map(|claim| judged(claim, results, arms, margin)).collect()
}

/// What was found, and what it says.
struct Evidence {
    judgement: Judgement,
    why: String,
    ours: Option<f64>,
    interval: Option<Interval>,
}

fn judged(claim: &Claim, results: &Results, arms: &[ArmRuns], margin: f64) -> JudgedClaim {
    let evidence = if results.record.is_demo() {
        Err("generated data and tiny models say nothing about it".to_owned())
    } else {
        match claim.kind {
            ClaimKind::Gain | ClaimKind::NoGain => {
                difference(claim, arms, margin_of(results, &claim.measure, margin))
            }
            ClaimKind::Ratio => ratio(claim, arms),
            ClaimKind::Cheapest => cheapest(claim, arms),
        }
    };
    let evidence = evidence.unwrap_or_else(|why| Evidence {
        judgement: Judgement::NotDecidable,
        why,
        ours: None,
        interval: None,
    });
    let Evidence { judgement, why, ours, interval } = evidence;
    JudgedClaim { claim: claim.clone(), judgement, why, ours, interval }
}

/// The arm that a claim means by a model's name: all that the model takes.
fn whole<'a, 'b>(name: &str, arms: &'b [ArmRuns<'a>]) -> Result<&'b ArmRuns<'a>, String> {
    let of_model = || arms.iter().filter(|arm| arm.model == name && !arm.runs.is_empty());
    let is_multimodal = of_model().any(|arm| arm.arm == Arm::Both);
    of_model()
        .find(|arm| arm.arm == if is_multimodal { Arm::Both } else { Arm::Text })
        .ok_or_else(|| format!("there is no complete run of {name}"))
}

/// Without a margin of the claim's metric a gain is one above 0, and no gain cannot be shown at all.
fn difference(claim: &Claim, arms: &[ArmRuns], margin: Option<f64>) -> Result<Evidence, String> {
    let claims_gain = claim.kind == ClaimKind::Gain;
    if margin.is_none() && !claims_gain {
        return Err(format!(
            "that a gain in `{}` is too small to matter cannot be shown: the experiment's margin is of \
             another metric",
            claim.measure
        ));
    }
    let stated = margin;
    let margin = margin.unwrap_or(0.0);
    let measure = metric(&claim.measure).map_err(|error| error.to_string())?;
    let baseline = whole(claim.baseline.as_deref().unwrap_or_default(), arms)?;
    let candidate = match &claim.candidate {
        Some(name) => whole(name, arms)?,
        None => best_on_selection(arms.iter().filter(|arm| arm.arm == Arm::Both), measure)
            .ok_or("there is no complete run of a multimodal model")?,
    };
    let rule = Rule { metric: measure, margin, lower_level: 1.0 - ALPHA, paired_seeds: false };
    let found = rule.apply(baseline, candidate);
    let (Some(gain), Some(interval)) = (found.gain, found.interval) else {
        return Err(found.absent.unwrap_or_else(|| "they were not compared".to_owned()));
    };
    let seeds_and_items = found.comparison.as_ref().map_or(String::new(), |at| {
        format!("{} and {} seeds, {} items", at.seeds.baseline, at.seeds.candidate, at.items)
    });
    let shown = found.finding;
    let judgement = match (shown.is_gain(), shown.is_below_margin()) {
        (true, _) if claims_gain => Judgement::Confirmed,
        (_, true) if !claims_gain => Judgement::Confirmed,
        (false, false) => Judgement::NotDecidable,
        _ => Judgement::Refuted,
    };
    let words = match stated {
        Some(margin) => format!("{}, for a margin of {margin}", shown.words()),
        None if shown.is_gain() => "shown better".to_owned(),
        None if shown.is_below_margin() => "shown worse".to_owned(),
        None => "neither shown better nor shown worse".to_owned(),
    };
    let amount = claim.value.map(|value| {
        let (at, lies) = (100.0 * value, interval.low <= value && value <= interval.high);
        format!("; the {at:+.1} points claimed lie {} it", if lies { "within" } else { "outside" })
    });
    let why = match shown {
        Finding::OneSeed => "one seed on a side says nothing about newly trained models".to_owned(),
        _ => format!(
            "{}, from {seeds_and_items}; the interval is [{:+.3}, {:+.3}]{}",
            words,
            interval.low,
            interval.high,
            amount.unwrap_or_default()
        ),
    };
    Ok(Evidence { judgement, why, ours: Some(gain), interval: Some(interval) })
}

/// The median over an arm's seeds of a key of `cost.json`.
fn cost(arm: &ArmRuns, key: &str) -> Result<f64, String> {
    let read = |run: &&crate::RunResult| {
        let cost = serde_json::to_value(&run.cost).ok()?;
        cost.get(key)?.as_f64()
    };
    let values: Option<Vec<f64>> = arm.runs.iter().map(read).collect();
    values.and_then(median).ok_or_else(|| format!("`{key}` of {} was not measured", arm.model))
}

fn ratio(claim: &Claim, arms: &[ArmRuns]) -> Result<Evidence, String> {
    let baseline = whole(claim.baseline.as_deref().unwrap_or_default(), arms)?;
    let reference = cost(baseline, &claim.measure)?;
    let claimed = claim.value.unwrap_or(1.0);
    let mut ratios = Vec::new();
    for arm in arms.iter().filter(|arm| arm.arm == Arm::Both && !arm.runs.is_empty()) {
        if claim.candidate.as_ref().is_none_or(|name| name == arm.model) {
            ratios.push((arm.model, cost(arm, &claim.measure)? / reference));
        }
    }
    let values: Vec<f64> = ratios.iter().map(|(_, ratio)| *ratio).collect();
    let Some(middle) = median(values.clone()) else {
        return Err("there is no complete run of a multimodal model".to_owned());
    };
    let about = |ratio: &f64| (claimed / ABOUT..=claimed * ABOUT).contains(ratio);
    let holds = values.iter().all(about);
    let listed: Vec<String> =
        ratios.iter().map(|(model, ratio)| format!("{model} {ratio:.1}×")).collect();
    Ok(Evidence {
        judgement: if holds { Judgement::Confirmed } else { Judgement::Refuted },
        why: format!(
            "measured here against {}, medians over seeds: {}; \"about\" means within a factor of \
             {ABOUT}",
            baseline.model,
            listed.join(", ")
        ),
        ours: Some(middle),
        interval: Some(Interval {
            low: values.iter().copied().fold(f64::INFINITY, f64::min),
            high: values.iter().copied().fold(0.0, f64::max),
        }),
    })
}

fn cheapest(claim: &Claim, arms: &[ArmRuns]) -> Result<Evidence, String> {
    let named = whole(claim.candidate.as_deref().unwrap_or_default(), arms)?;
    let own = cost(named, &claim.measure)?;
    let mut cheaper = Vec::new();
    let mut others = 0;
    for arm in arms.iter().filter(|arm| arm.arm == Arm::Both && !arm.runs.is_empty()) {
        others += usize::from(arm.model != named.model);
        let ratio = cost(arm, &claim.measure)? / own;
        if ratio < 1.0 {
            cheaper.push(format!("{} takes {ratio:.2} of its `{}`", arm.model, claim.measure));
        }
    }
    if others == 0 {
        return Err("no other multimodal model was run".to_owned());
    }
    let (judgement, why) = if cheaper.is_empty() {
        (Judgement::Confirmed, format!("no other model takes less `{}`", claim.measure))
    } else {
        (Judgement::Refuted, cheaper.join(", "))
    };
    Ok(Evidence { judgement, why, ours: None, interval: None })
}

/// What the gain over a baseline far below its published score is worth.
pub(crate) fn below_published(beside: &[Beside]) -> Vec<String> {
    let line = |at: &Beside| {
        let figure = &at.figure;
        let (ours, model) = (at.ours?, figure.model.as_ref()?);
        Some(format!(
            "{model} scores {ours:.3} {} where {:.3} is published for the same split ({}): it may not \
             have been trained as it could be, and a gain over it would say too much",
            figure.metric, figure.value, figure.source
        ))
    };
    beside.iter().filter(|at| at.far_below).filter_map(line).collect()
}
