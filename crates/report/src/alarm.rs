//! What a reader must be warned of: runs that failed, did not train, or say one thing only.

mod budget;
mod builds;
mod distrust;
mod leak;

use std::collections::BTreeMap;

use mmc_data::Arm;
use mmc_metrics::Metric;
use mmc_run::Freeze;

use crate::arm::ArmRuns;
use crate::beside::{Beside, below_published};
use crate::document::plain;
use crate::score::ArmScore;
use crate::{Results, RunResult};

/// A training loss above this part of ln(classes), the loss of knowing nothing, has not left it.
const PLATEAU: f64 = 0.9;
/// The same for two classes of a generated set with 5 % wrong labels, in nats.
const DEMO_PLATEAU: f64 = 0.5;

/// What the alarms are drawn from beside the results themselves.
pub(crate) struct Grounds<'a> {
    pub(crate) scores: &'a [ArmScore],
    pub(crate) beside: &'a [Beside],
    pub(crate) primary: &'a Metric,
    pub(crate) margin: f64,
}

/// All warnings, the gravest first.
pub(crate) fn alarms(results: &Results, arms: &[ArmRuns], grounds: &Grounds) -> Vec<String> {
    let mut lines: Vec<String> =
        results.failed.iter().map(|run| in_one_line(&run.to_string())).collect();
    lines.extend(budget::unfair(results, grounds.primary));
    lines.extend(leak::leaks(results, arms));
    lines.extend(builds::mixed(results));
    lines.extend(grounds.scores.iter().filter_map(below_chance));
    lines.extend(below_published(grounds.beside));
    lines.extend(distrust::collapsed(arms, grounds.primary, grounds.margin));
    for arm in arms {
        lines.extend(distrust::unmoved(arm));
        lines.extend(untrained(results, arm));
        lines.extend(unseen(arm));
        lines.extend(foreign(arm));
    }
    lines.extend(constant(arms));
    lines.extend(distrust::loader_bound(arms));
    lines.extend(results.notes.iter().map(|note| in_one_line(note)));
    lines
}

/// Words of ours, whose code stays code.
fn in_one_line(note: &str) -> String {
    note.replace(['\n', '\r'], " ")
}

fn below_chance(score: &ArmScore) -> Option<String> {
    let chance = score.chance.as_ref().filter(|chance| chance.is_below())?;
    let why = match chance.metric.as_str() {
        "vqa_accuracy" => "one answer to every question does better; it may have learned nothing",
        _ => "labels or the positive class may be swapped",
    };
    Some(format!(
        "{} ({}) is below chance ({} {:.3} under {:.3}): {why}",
        score.model, score.arm, chance.metric, -chance.difference, chance.baseline
    ))
}

/// Runs whose loss stayed where it began, though the same arm learns with another seed, or must be
/// able to since the truth of the generated set is known.
fn untrained(results: &Results, arm: &ArmRuns) -> Vec<String> {
    let classes = arm
        .runs
        .iter()
        .find_map(|run| run.test.as_ref())
        .map_or(2, |predictions| predictions.classes.len());
    let is_probe = |run: &&RunResult| run.config.settings.freeze == Freeze::Backbone;
    // The loss of answers has no level of knowing nothing, and a head alone may come no further.
    if classes == 0 || arm.runs.iter().any(is_probe) {
        return Vec::new();
    }
    let demo = results.record.demo.as_ref();
    let plateau = match demo {
        Some(_) if classes == 2 => DEMO_PLATEAU,
        _ => PLATEAU * (classes as f64).ln(),
    };
    let stayed = |loss: f64| loss.is_nan() || loss > plateau;
    let losses: Vec<_> =
        arm.runs.iter().filter_map(|run| Some((&run.id, run.final_loss?))).collect();
    let others_learn = losses.iter().any(|(_, loss)| !stayed(*loss));
    let learnable = demo.is_some_and(|demo| learnable(&demo.truth, arm.arm));
    if !others_learn && !learnable {
        return Vec::new();
    }
    losses
        .into_iter()
        .filter(|(_, loss)| stayed(*loss))
        .map(|(id, loss)| {
            format!(
                "{id} did not train: its loss ended at {loss:.3}, above {plateau:.3}; it is in all \
                 figures"
            )
        })
        .collect()
}

/// Whether a generated set of this truth can be learned from what the arm shows.
fn learnable(truth: &str, arm: Arm) -> bool {
    match truth {
        "interaction" => arm == Arm::Both,
        "image" => arm.uses_image(),
        "text" => arm.uses_text(),
        "redundant" => true,
        _ => false,
    }
}

/// What an arm's models did not see: ends of texts that were cut, items that were left out.
fn unseen(arm: &ArmRuns) -> Vec<String> {
    let Some(first) = arm.runs.first() else { return Vec::new() };
    let data = &first.config.data;
    let count = |of: fn(&mmc_run::Cost) -> &BTreeMap<String, usize>| -> Option<String> {
        let parts: Vec<String> = data
            .iter()
            .filter_map(|(_, split)| {
                // Seeds differ only where training ended within its first epoch.
                let counts = arm.runs.iter().filter_map(|run| of(&run.cost).get(&split.split));
                let most = counts.max().copied().filter(|count| *count > 0)?;
                Some(format!("{most} of {} in `{}`", split.items, split.split))
            })
            .collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    };
    let (model, name, length) = (arm.model, arm.arm, first.config.settings.max_length);
    let cut = count(|cost| &cost.cut_texts).map(|counts| {
        format!("{model} ({name}): texts longer than {length} tokens were cut: {counts}")
    });
    let skipped = count(|cost| &cost.skipped_items).map(|counts| {
        format!("{model} ({name}): items that could not be used were left out: {counts}")
    });
    cut.into_iter().chain(skipped).collect()
}

/// Texts in a language that the model's published weights were not trained on.
fn foreign(arm: &ArmRuns) -> Option<String> {
    let words = arm.runs.iter().find_map(|run| run.config.language.as_ref()?.warning())?;
    Some(format!("{} ({}): {words}", arm.model, arm.arm))
}

/// Runs that give every test item the same class, by arm.
fn constant(arms: &[ArmRuns]) -> Option<String> {
    let only_class = |run: &&RunResult| {
        let rows = &run.test.as_ref()?.rows;
        let first = &rows.first()?.prediction;
        let same = rows.len() > 1 && rows.iter().all(|row| row.prediction == *first);
        same.then(|| format!("`{}` with seed {}", plain(first), run.id.seed))
    };
    let of_arm = |arm: &ArmRuns| {
        let found: Vec<String> = arm.runs.iter().filter_map(only_class).collect();
        (!found.is_empty()).then(|| {
            format!(
                "{} in {} of {} ({})",
                arm.name(),
                found.len(),
                arm.runs.len(),
                found.join(", ")
            )
        })
    };
    let found: Vec<String> = arms.iter().filter_map(of_arm).collect();
    (!found.is_empty())
        .then(|| format!("runs predict one class for every test item: {}", found.join("; ")))
}
