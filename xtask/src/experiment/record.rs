//! What a results folder says of itself: the experiment, and the command that makes it again.

use std::fs;

use mmc_run::{DemoRecord, Experiment, ExperimentRecord, Grid, ResultsFolder, Search, shell_word};

use super::{Mode, Options};
use crate::failure::{Failure, workspace};
use crate::place::config_path;

const COMMAND: &str = "cargo xtask experiment ";
/// What the names of results of probes end in.
pub(super) const PROBES: &str = "_probe";

pub(super) fn record(
    options: &Options,
    experiment: &Experiment,
    mode: &Mode,
    (grid, search): (Grid, Option<Search>),
) -> ExperimentRecord {
    let mut words = vec![format!("{COMMAND}{}", shell_word(&options.name))];
    let (missing, demo) = match mode {
        Mode::Study { .. } => (Vec::new(), None),
        Mode::Demo { truth, missing } => {
            words.push(format!("--truth {truth}"));
            (missing.clone(), Some(DemoRecord { truth: truth.to_string() }))
        }
    };
    if options.probe {
        words.push("--probe".to_owned());
    }
    if !options.features.is_empty() {
        words.push(format!("--features {}", options.features.join(",")));
    }
    let out = options.out.as_ref().map(|out| out.display().to_string());
    if let Some(out) = &out {
        words.push(format!("--out {}", shell_word(out)));
    }
    ExperimentRecord {
        name: options.results_name(),
        command: words.join(" "),
        file: file(&options.name),
        out,
        dataset: experiment.dataset.clone(),
        primary_metric: experiment.primary_metric.clone(),
        metrics: experiment.metrics.clone(),
        margin: experiment.margin,
        missing,
        prices: experiment.prices(),
        demo,
        grid,
        search,
    }
}

/// Refuses a folder whose results are of another experiment or of the other kind: a demo must not
/// take a study's place, nor its runs be left beside those of one.
pub(super) fn check_out(
    results: &ResultsFolder,
    options: &Options,
    mode: &Mode,
) -> Result<(), Failure> {
    if !results.record_path().exists() {
        return Ok(());
    }
    let there = results.record()?;
    let kind = |is_demo| if is_demo { "a demo" } else { "a study on real data" };
    let (is_demo, was_demo) = (matches!(mode, Mode::Demo { .. }), there.is_demo());
    let probes = |name: &str| name.ends_with(PROBES);
    let kind_of_run = |is_probe| if is_probe { "probes" } else { "models trained whole" };
    let (is_probe, was_probe) = (options.probe, probes(&there.name));
    let (holds, this) = if is_probe != was_probe {
        (kind_of_run(was_probe).to_owned(), kind_of_run(is_probe).to_owned())
    } else if let Some(other) = other_experiment(&there, &options.name) {
        (format!("`{other}`"), format!("`{}`", options.name))
    } else if is_demo != was_demo {
        (kind(was_demo).to_owned(), kind(is_demo).to_owned())
    } else {
        return Ok(());
    };
    Err(Failure::usage(format!(
        "{} holds the results of {holds}, and this is {this}: give another folder with `--out \
         DIR`, or move that one away",
        results.root().display()
    )))
}

/// What a folder's results are of, where that is another file than `name`'s.
fn other_experiment(there: &ExperimentRecord, name: &str) -> Option<String> {
    if let Some(recorded) = &there.file {
        return (file(name).as_ref() != Some(recorded)).then(|| recorded.clone());
    }
    // Results of before the file was recorded: the command names it as it was typed.
    let typed = there.command.strip_prefix(COMMAND)?.split(" --").next()?;
    let is_same = typed == name || (file(typed).is_some() && file(typed) == file(name));
    (!is_same).then(|| typed.to_owned())
}

/// The file of an experiment as it is recorded: relative to the workspace, which may move, where it is in
/// it; `None` where it is not found.
fn file(name: &str) -> Option<String> {
    let root = fs::canonicalize(workspace()).ok()?;
    let path = fs::canonicalize(config_path(&root, name).ok()?).ok()?;
    Some(path.strip_prefix(&root).unwrap_or(&path).display().to_string())
}
