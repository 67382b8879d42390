//! Faults of a search that make one model better tuned than another, or the test split take part.

use std::collections::BTreeMap;

use mmc_metrics::Metric;
use mmc_run::{ArmSearch, SearchRecord};

use crate::document::plain;
use crate::search::best;
use crate::{Results, RunResult};

/// All that is wrong with the search.
pub(super) fn unfair(results: &Results, primary: &Metric) -> Vec<String> {
    let Some(search) = &results.search else {
        return match results.record.search {
            Some(_) => vec![
                "a search was planned and `search.json` is not there: how the settings were chosen \
                 is not known"
                    .to_owned(),
            ],
            None => Vec::new(),
        };
    };
    let mut lines = budgets(search);
    lines.extend(choices(search, primary));
    lines.extend(other_split(results, search));
    lines.extend(results.runs.iter().filter_map(|run| not_as_chosen(run, search)));
    lines
}

/// Models and arms with fewer scored trials than others.
fn budgets(search: &SearchRecord) -> Vec<String> {
    let name = |at: &ArmSearch| format!("{} ({})", at.model, at.arm);
    let lacking: Vec<String> = search
        .arms
        .iter()
        .filter(|at| at.scored() < search.trials)
        .map(|at| {
            let failed: Vec<String> = at
                .trials
                .iter()
                .filter(|trial| trial.score.is_none())
                .map(|trial| {
                    let why = trial.failed.as_deref().unwrap_or("has no score");
                    format!("trial {} {}", trial.trial, plain(why))
                })
                .collect();
            let scored = at.scored();
            format!("{} {scored} of {}: {}", name(at), search.trials, failed.join("; "))
        })
        .collect();
    if lacking.is_empty() {
        return Vec::new();
    }
    let counts: Vec<usize> = search.arms.iter().map(ArmSearch::scored).collect();
    let words = if counts.iter().all(|count| Some(count) == counts.first()) {
        "trials of the search have no score, the same number of every model and arm"
    } else {
        "tuning budgets are unequal, so a difference may be one of tuning: trials with a score are"
    };
    vec![format!("{words}: {}", lacking.join("; "))]
}

/// Choices that are not the best of their trials.
fn choices(search: &SearchRecord, primary: &Metric) -> Vec<String> {
    let wrong = |at: &&ArmSearch| at.chosen != best(&at.trials, primary);
    let line = |at: &ArmSearch| {
        format!(
            "{} ({}): what `search.json` has chosen is not its best trial on the selection split",
            at.model, at.arm
        )
    };
    search.arms.iter().filter(wrong).map(line).collect()
}

/// A search on other rows than the runs chose their epoch on.
fn other_split(results: &Results, search: &SearchRecord) -> Option<String> {
    let split = search.split.as_ref()?;
    let selection = results.runs.iter().find_map(|run| run.config.data.selection.as_ref())?;
    (selection != split).then(|| {
        format!(
            "the search chose on `{}` ({} items, {:.12}), and the selection split of the runs is \
             `{}` ({} items, {:.12})",
            split.split,
            split.items,
            split.fingerprint,
            selection.split,
            selection.items,
            selection.fingerprint
        )
    })
}

/// A final run with other settings than were chosen for it.
fn not_as_chosen(run: &RunResult, search: &SearchRecord) -> Option<String> {
    let Some(chosen) = search.of(&run.id.model, run.id.arm).and_then(ArmSearch::settings) else {
        return Some(format!("{}: no search has chosen its settings", run.id));
    };
    let has = serde_json::to_value(&run.config.settings).unwrap_or_default();
    let chosen = serde_json::to_value(chosen).unwrap_or_default();
    let others: BTreeMap<&String, String> = chosen
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, value)| has.get(name.as_str()) != Some(value))
        .map(|(name, value)| {
            (name, format!("`{name}` is {}, chosen was {value}", has[name.as_str()]))
        })
        .collect();
    (!others.is_empty()).then(|| {
        let listed: Vec<String> = others.into_values().collect();
        format!("{} was not run with what the search chose: {}", run.id, listed.join(", "))
    })
}
