//! `mmc plan`: what a run or an experiment will take, and what of it is in place.

mod figures;
mod found;
mod size;

use std::path::Path;

use mmc_data::{Arm, ReadOptions, dataset};
use mmc_models::preset;
use mmc_run::{Experiment, PartialSettings};
use mmc_train::Amount;
use serde::Serialize;

use self::figures::{Figures, Known, Speed, figures};
use self::found::{Found, Looked};
use crate::cli::PlanArgs;
use crate::failure::Failure;
use crate::output::{print, print_json, table};

/// Plans what was asked for.
pub(crate) fn run(typed: &PlanArgs) -> Result<(), Failure> {
    let known = known(typed)?;
    match (&typed.grid, &typed.model) {
        (Some(path), _) => grid(path, typed, known),
        (None, Some(model)) => single(model, typed, known),
        (None, None) => Err(Failure::usage("give `--model NAME` or `--grid FILE`")),
    }
}

/// What the flags say of machine and data.
fn known(typed: &PlanArgs) -> Result<Known, Failure> {
    let speed = match typed.flops_per_second {
        Some(speed) if speed > 0.0 && speed.is_finite() => Speed::Stated(speed),
        Some(speed) => {
            return Err(Failure::usage(format!(
                "`--flops-per-second {speed}`: expected a number above 0, such as 2e11"
            )));
        }
        None if typed.measure => Speed::Measured,
        None => Speed::Unknown,
    };
    if !(typed.aspect >= 1.0 && typed.aspect.is_finite()) {
        let aspect = typed.aspect;
        return Err(Failure::usage(format!(
            "`--aspect {aspect}`: expected 1 or more, such as 1.5"
        )));
    }
    let limit = typed.memory.as_deref().map(size::bytes).transpose()?;
    let amount = typed.items.map(|train| Amount { train, each_epoch: 0, at_end: 0 });
    Ok(Known { aspect: typed.aspect, limit, amount, speed })
}

/// A run of one model.
fn single(model: &str, typed: &PlanArgs, mut known: Known) -> Result<(), Failure> {
    let preset = preset(model)?;
    let mut classes = typed.classes.map(|classes| classes as usize);
    if let Some(name) = &typed.dataset {
        let arm = typed.arm.unwrap_or(preset.default_arm());
        let (amount, labels) = rows(name, typed.data_root.as_deref(), arm)?;
        known.amount = Some(amount);
        classes = classes.or(Some(labels));
    }
    let place = (preset, typed.checkpoint.as_deref(), classes.unwrap_or(2));
    let figures = figures(place, typed.settings(), &known)?;
    if typed.json { print_json(&figures) } else { print(&figures::words(&figures)) }
}

/// The rows of a data set's splits that a model of this arm can use, and its classes.
fn rows(name: &str, root: Option<&Path>, arm: Arm) -> Result<(Amount, usize), Failure> {
    let dataset = dataset(name)?;
    let root = dataset.root(root);
    let splits = dataset.resolve_splits(&root)?;
    let mut options = ReadOptions { arm, ..ReadOptions::default() };
    let train = dataset.read(&root, &splits.train, &options)?;
    train.check_pictures(arm)?;
    options.keep_answers(dataset, &train.labels);
    // A run leaves out a split that is not there; one that cannot be read ends it.
    let count = |name: &str| -> Result<usize, Failure> {
        if dataset.split_file(&root, name).is_err() {
            return Ok(0);
        }
        Ok(dataset.read(&root, name, &options)?.len())
    };
    let each_epoch = count(&splits.selection)?;
    let at_end = each_epoch + count(&splits.test)?;
    Ok((Amount { train: train.len(), each_epoch, at_end }, train.labels.len()))
}

/// An experiment: what is in place, and what each kind of run takes.
#[derive(Serialize)]
struct Planned {
    #[serde(flatten)]
    found: Found,
    runs: Vec<Kind>,
    /// Of all runs; null where it is not known of each.
    hours: Option<f64>,
    /// Why `hours` is null.
    hours_missing: Option<String>,
}

/// The runs of one model in one arm.
#[derive(Serialize)]
struct Kind {
    #[serde(flatten)]
    figures: Figures,
    seeds: usize,
}

fn grid(path: &Path, typed: &PlanArgs, mut known: Known) -> Result<(), Failure> {
    let experiment = Experiment::read(path)?;
    let Looked { found, amount, classes } = found::look(&experiment)?;
    known.amount = known.amount.or(amount);
    let mut runs: Vec<Kind> = Vec::new();
    for run in experiment.grid.runs() {
        let same =
            |kind: &&mut Kind| kind.figures.model == run.model && kind.figures.arm == run.arm;
        if let Some(kind) = runs.iter_mut().find(same) {
            kind.seeds += 1;
            continue;
        }
        let preset = preset(&run.model)?;
        let folder = found.models.iter().find(|model| model.model == run.model);
        let folder = folder.and_then(|model| model.folder.as_deref()).map(Path::new);
        let asked = settings_of(&experiment, run.arm).merge(typed.settings());
        let figures = figures((preset, folder, classes), asked, &known)?;
        runs.push(Kind { figures, seeds: 1 });
    }
    let hours = runs.iter().map(|kind| Some(kind.figures.hours? * kind.seeds as f64)).sum();
    let hours_missing = runs.iter().find_map(|kind| kind.figures.hours_missing.clone());
    let planned = Planned { found, runs, hours, hours_missing };
    if typed.json { print_json(&planned) } else { print(&words(&planned)) }
}

/// What the experiment sets for a run of this arm.
fn settings_of(experiment: &Experiment, arm: Arm) -> PartialSettings {
    let asked = experiment.settings.clone();
    PartialSettings { arm: Some(arm), ..asked }
}

/// The same for people.
fn words(planned: &Planned) -> String {
    let mut rows = vec![Figures::heads()];
    rows.extend(planned.runs.iter().map(|kind| kind.figures.row(kind.seeds)));
    let hours = match (planned.hours, &planned.hours_missing) {
        (Some(hours), _) => format!("time of all runs: {}", size::duration(hours)),
        (None, Some(why)) => format!("time: {why}"),
        (None, None) => String::new(),
    };
    format!("{}\n\n{}{hours}", found::words(&planned.found), table(&rows))
}
