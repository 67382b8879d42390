//! The scores of each arm, and whether any is better than chance.

use mmc_data::Arm;
use mmc_metrics::{AnsweredItems, Interval, Items, Metric, metric};
use serde::Serialize;

use crate::arm::{ArmRuns, deviation, mean};
use crate::compare::{ALPHA, Rule, improvement};

/// The scores of one arm on the test split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmScore {
    /// The model.
    pub model: String,
    /// What it was shown.
    pub arm: Arm,
    /// What stands over the encoders; absent where no run is complete.
    pub head: Option<String>,
    /// Seeds of its complete runs.
    pub seeds: Vec<u64>,
    /// Mean over seeds of the primary metric.
    pub mean: Option<f64>,
    /// The primary metric of each seed; empty where it has no value.
    pub values: Vec<f64>,
    /// Standard deviation over seeds of the primary metric.
    pub deviation: Option<f64>,
    /// 95 % interval of the mean for newly trained models on new items (of these very models where
    /// there is one seed); known for AUROC, accuracy and the accuracy of answers.
    pub interval: Option<Interval>,
    /// Mean over seeds of the primary metric on the split that models are chosen on.
    pub selection: Option<f64>,
    /// Means over seeds of the further metrics, in their order.
    pub further: Vec<Option<f64>>,
    /// How far it is above chance.
    pub chance: Option<Chance>,
}

/// An arm against a prediction that looks at nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chance {
    /// `auroc` against 0.5, `accuracy` against the share of the most frequent class, or the accuracy of
    /// answers against that of always giving the answer that people gave most often.
    pub metric: String,
    /// What the prediction that looks at nothing scores.
    pub baseline: f64,
    /// The arm minus that.
    pub difference: f64,
    /// Lower end corrected for the number of arms, upper end at 95 %.
    pub interval: Interval,
}

impl Chance {
    /// Whether the arm is shown to know something.
    #[must_use]
    pub fn is_above(&self) -> bool {
        self.interval.low > 0.0
    }

    /// Whether the arm is shown to be worse than looking at nothing.
    #[must_use]
    pub fn is_below(&self) -> bool {
        self.interval.high < 0.0
    }
}

pub(crate) fn scores(arms: &[ArmRuns], primary: &Metric, further: &[String]) -> Vec<ArmScore> {
    arms.iter().map(|arm| score(arm, primary, further, arms.len())).collect()
}

fn score(arm: &ArmRuns, primary: &Metric, further: &[String], family: usize) -> ArmScore {
    let items = arm.items();
    let values: Option<Vec<f64>> = items.iter().map(|item| (primary.score)(item).ok()).collect();
    let values = values.filter(|values| !values.is_empty());
    let of = |name: &String| {
        let values: Option<Vec<f64>> =
            arm.runs.iter().map(|run| run.test_scores()?.value(name)).collect();
        values.filter(|values| !values.is_empty()).map(|values| mean(&values))
    };
    ArmScore {
        model: arm.model.to_owned(),
        arm: arm.arm,
        head: arm.head().map(str::to_owned),
        seeds: arm.seeds(),
        mean: values.as_deref().map(mean),
        deviation: values.as_deref().and_then(deviation),
        interval: interval(arm, primary),
        selection: arm.selection_mean(primary.name),
        further: further.iter().map(of).collect(),
        chance: chance(arm, primary, family),
        values: values.unwrap_or_default(),
    }
}

/// The two-way interval of one arm's mean: that of its difference from a file whose score is known
/// and does not vary (AUROC of a constant: 0.5; accuracy of predictions that are all wrong: 0).
fn interval(arm: &ArmRuns, primary: &Metric) -> Option<Interval> {
    let rows = arm.first_rows()?;
    if let Some(answers) = &rows.answers {
        let accuracies = vec![0.0; answers.accuracies.len()];
        let none = AnsweredItems { accuracies: &accuracies, ..answers.borrowed() };
        let (found, _) = beside(arm, primary, none.items(rows.clusters.as_deref()), 1.0 - ALPHA)?;
        return Some(found.within(primary.range));
    }
    let classes = rows.classes.len();
    let wrong: Vec<usize> = rows.labels.iter().map(|label| (label + 1) % classes).collect();
    let (decided, known) = match primary.name {
        "auroc" => (wrong, 0.5),
        "accuracy" => (wrong, 0.0),
        _ => return None,
    };
    let (found, _) = against(arm, primary, &decided, 1.0 - ALPHA)?;
    Some(Interval { low: known + found.low, high: known + found.high }.within(primary.range))
}

fn chance(arm: &ArmRuns, primary: &Metric, family: usize) -> Option<Chance> {
    let rows = arm.first_rows()?;
    let lower_level = 1.0 - ALPHA / family as f64;
    if let Some(answers) = &rows.answers {
        let (_, accuracies) = arm.runs.first()?.test.as_ref()?.constant_answer()?;
        let constant = AnsweredItems { accuracies: &accuracies, ..answers.borrowed() };
        let nothing = constant.items(rows.clusters.as_deref());
        let (interval, (baseline, difference)) = beside(arm, primary, nothing, lower_level)?;
        return Some(Chance { metric: primary.name.to_owned(), baseline, difference, interval });
    }
    let name = if primary.name == "auroc" { "auroc" } else { "accuracy" };
    let metric = metric(name).ok()?;
    let mut counts = vec![0_usize; rows.classes.len()];
    for &label in &rows.labels {
        counts[label] += 1;
    }
    let most = counts.iter().max().copied()?;
    let frequent = counts.iter().position(|&count| count == most)?;
    let decided = vec![frequent; rows.labels.len()];
    let (interval, (baseline, difference)) = against(arm, metric, &decided, lower_level)?;
    Some(Chance { metric: name.to_owned(), baseline, difference, interval })
}

/// The arm compared with a file that gives all classes the same probability and decides `decided`.
fn against(
    arm: &ArmRuns,
    metric: &Metric,
    decided: &[usize],
    lower_level: f64,
) -> Option<(Interval, (f64, f64))> {
    let rows = arm.first_rows()?;
    let classes = rows.classes.len();
    let flat = vec![vec![1.0 / classes as f64; classes]; rows.labels.len()];
    let nothing = Items {
        positive: arm.positive(),
        clusters: rows.clusters.as_deref(),
        ..Items::new(&rows.labels, decided, &flat, classes)
    };
    beside(arm, metric, nothing, lower_level)
}

/// The arm compared with a file of the same items whose score is known.
fn beside(
    arm: &ArmRuns,
    metric: &Metric,
    nothing: Items<'_>,
    lower_level: f64,
) -> Option<(Interval, (f64, f64))> {
    let candidate = arm.items();
    // As many copies as the arm has seeds: they are all alike, so they add no variance.
    let baseline = vec![nothing; candidate.len()];
    let rule = Rule { metric, margin: 0.0, lower_level, paired_seeds: false };
    let found = rule.compare(&baseline, &candidate).ok()?;
    Some((improvement(metric, &found).1, (found.baseline, found.difference)))
}
