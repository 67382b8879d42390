//! The trials of a search, and which of them is the best for each model and arm: by the selection
//! split alone, since a trial never met the test split.

use std::collections::BTreeMap;
use std::path::Path;

use mmc_data::Arm;
use mmc_metrics::{Evaluation, Metric, metric};
use mmc_run::{
    ArmSearch, ExperimentRecord, PartialSettings, ResultsFolder, RunError, RunFolder, RunId,
    SearchRecord, SplitRecord, Trial,
};

use crate::ReportError;
use crate::read::last_words;

/// Reads the trials of the search in a results folder and chooses for every (model, arm) the one
/// whose checkpoint scores best in the primary metric on the selection split, the first of equals.
/// A trial that did not finish, or that has met the test split, can not be chosen. `None` where the
/// experiment has no search.
///
/// # Errors
/// [`ReportError::File`] where there is no `experiment.toml`; [`ReportError::Setting`] for a metric
/// that does not exist.
pub fn choose(root: &Path) -> Result<Option<SearchRecord>, ReportError> {
    let folder = ResultsFolder::new(root);
    let record = folder.record()?;
    let Some(search) = &record.search else { return Ok(None) };
    let primary = metric(&record.primary_metric)
        .map_err(|source| ReportError::Setting { what: "primary metric", source })?;
    let (seed, points) = (search.seed(&record.grid.seeds), search.points(&record.grid.seeds));
    let mut split: Option<SplitRecord> = None;
    let mut arms = Vec::new();
    for (model, arm) in arms_of(&record) {
        let id = RunId { model, arm, seed };
        let mut trials = Vec::new();
        for (at, settings) in points.iter().enumerate() {
            let path = folder.trial(at + 1).run_path(&id);
            let (score, failed) = match read(&path, primary, &mut split) {
                Ok(found) => (Some(found), None),
                Err(why) => (None, Some(why)),
            };
            trials.push(Trial {
                trial: at + 1,
                settings: settings.clone(),
                score: score.map(|(score, _)| score),
                failed,
                wall_seconds: score.map(|(_, seconds)| seconds),
            });
        }
        let RunId { model, arm, .. } = id;
        arms.push(ArmSearch { chosen: best(&trials, primary), model, arm, trials });
    }
    Ok(Some(SearchRecord {
        metric: primary.name.to_owned(),
        seed,
        trials: search.trials,
        split,
        arms,
    }))
}

/// Every (model, arm) of the grid, in its order.
fn arms_of(record: &ExperimentRecord) -> Vec<(String, Arm)> {
    let mut found: Vec<(String, Arm)> = Vec::new();
    for RunId { model, arm, .. } in record.grid.runs() {
        if !found.iter().any(|at| (&at.0, at.1) == (&model, arm)) {
            found.push((model, arm));
        }
    }
    found
}

/// The number of the trial with the best score, the first of equals.
pub(crate) fn best(trials: &[Trial], primary: &Metric) -> Option<usize> {
    let sign = if primary.higher_is_better { 1.0 } else { -1.0 };
    let mut best: Option<(usize, f64)> = None;
    for (number, score) in trials.iter().filter_map(|at| Some((at.trial, sign * at.score?))) {
        if best.is_none_or(|(_, other)| score > other) {
            best = Some((number, score));
        }
    }
    best.map(|(number, _)| number)
}

/// The score of a trial on the selection split and its seconds, or why it may not be chosen. All
/// trials must have met the same `split`.
fn read(
    path: &Path,
    primary: &Metric,
    split: &mut Option<SplitRecord>,
) -> Result<(f64, f64), String> {
    let folder = match RunFolder::open(path) {
        Ok(folder) if folder.has_ended() => folder,
        Ok(_) => return Err(format!("did not finish{}", last_words(path))),
        Err(_) => return Err(format!("was not started{}", last_words(path))),
    };
    let fault = |error: RunError| format!("cannot be read: {error}");
    let data = folder.config().map_err(fault)?.data;
    if let Some(test) = data.test {
        return Err(format!("has met the test split `{}`, so it may choose nothing", test.split));
    }
    let selection = data.selection.ok_or("has no selection split to be scored on")?;
    let scores: BTreeMap<String, Evaluation> = folder.scores().map_err(fault)?;
    let score = scores.get(&selection.split).and_then(|scores| scores.value(primary.name));
    let score =
        score.ok_or_else(|| format!("has no `{}` on `{}`", primary.name, selection.split))?;
    let cost = folder.cost().map_err(fault)?;
    match split {
        Some(split) if *split != selection => {
            Err(format!("was scored on another `{}` than trials before it", selection.split))
        }
        known => {
            *known = Some(selection);
            Ok((score, cost.wall_seconds))
        }
    }
}

/// Settings in the words of a report.
pub(crate) fn words(settings: &PartialSettings) -> String {
    let parts: Vec<String> =
        values(settings).iter().map(|(name, value)| format!("`{name}` {value}")).collect();
    parts.join(", ")
}

/// The settings that are set, with their values as text.
pub(crate) fn values(settings: &PartialSettings) -> BTreeMap<String, String> {
    let value = serde_json::to_value(settings).unwrap_or_default();
    let set = value.as_object().into_iter().flatten();
    set.map(|(name, value)| (name.clone(), value_words(value))).collect()
}

/// A value as one writes it: small numbers as `2e-5`.
pub(crate) fn value_words(value: &serde_json::Value) -> String {
    match (value.as_str(), value.as_f64()) {
        (Some(word), _) => word.to_owned(),
        (None, Some(number)) if number != 0.0 && number.abs() < 1e-2 => format!("{number:e}"),
        _ => value.to_string(),
    }
}
