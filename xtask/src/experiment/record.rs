//! What a results folder says of itself: the experiment, and the command that makes it again.

use std::fs;

use mmc_run::{DemoRecord, Experiment, ExperimentRecord, Grid, ResultsFolder, Search};

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
    let mut words = vec![format!("{COMMAND}{}", options.name)];
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
    // The report finds its own folder behind this one, so it comes last.
    if let Some(out) = &options.out {
        words.push(format!("--out {}", out.display()));
    }
    ExperimentRecord {
        name: options.results_name(),
        command: words.join(" "),
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
    let name = there.command.strip_prefix(COMMAND).and_then(|rest| rest.split(" --").next());
    let probes = |name: &str| name.ends_with(PROBES);
    let kind_of_run = |is_probe| if is_probe { "probes" } else { "models trained whole" };
    let (is_probe, was_probe) = (options.probe, probes(&there.name));
    let (holds, this) = match name {
        _ if is_probe != was_probe => {
            (kind_of_run(was_probe).to_owned(), kind_of_run(is_probe).to_owned())
        }
        Some(name) if !is_same(name, &options.name) => {
            (format!("`{name}`"), format!("`{}`", options.name))
        }
        _ if is_demo != was_demo => (kind(was_demo).to_owned(), kind(is_demo).to_owned()),
        _ => return Ok(()),
    };
    Err(Failure::usage(format!(
        "{} holds the results of {holds}, and this is {this}: give another folder with `--out \
         DIR`, or move that one away",
        results.root().display()
    )))
}

/// Whether two names are of one file; so are those of a file that is no longer found.
fn is_same(one: &str, other: &str) -> bool {
    let file = |name| config_path(&workspace(), name).ok().and_then(|at| fs::canonicalize(at).ok());
    one == other || file(one).zip(file(other)).is_none_or(|(one, other)| one == other)
}
