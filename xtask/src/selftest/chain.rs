//! One experiment on one generated set, on the path of `cargo xtask experiment`: the same grid,
//! child processes, files and verdict.

use std::fs;
use std::path::PathBuf;

use mmc_data::demo::{DemoSet, Truth, write};
use mmc_run::{DemoRecord, Experiment, ExperimentRecord, Grid, PartialSettings, ResultsFolder};

use super::{EXPERIMENT, pictures};
use crate::demo;
use crate::diagnose;
use crate::failure::Failure;
use crate::grid::{self, Run, State};
use crate::launch::Launch;

/// What becomes of a generated set's pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pictures {
    /// Each row has its own.
    Own,
    /// Shuffled among the rows that are trained on.
    Shuffled,
}

/// What is run, and where.
pub(super) struct Chain<'a> {
    /// Whose metric, margin and demo settings are used.
    pub(super) experiment: &'a Experiment,
    /// Models, arms and seeds.
    pub(super) grid: Grid,
    /// The set.
    pub(super) set: DemoSet,
    /// What becomes of its pictures.
    pub(super) pictures: Pictures,
    /// The folder of its results.
    pub(super) out: PathBuf,
    /// The command that makes them.
    pub(super) command: &'static str,
    /// Further arguments of `mmc diagnose`.
    pub(super) diagnosis: &'static [&'static str],
}

/// The set of an experiment's demo, of another truth and seed.
pub(super) fn demo_set(
    experiment: &Experiment,
    truth: Truth,
    seed: u64,
) -> Result<DemoSet, Failure> {
    let plan = experiment.demo.as_ref().ok_or_else(no_demo)?;
    let format = experiment.dataset.parse()?;
    Ok(DemoSet { format, truth, seed, train: plan.train, dev: plan.dev, test: plan.test })
}

/// What the experiment's demo sets every run to.
pub(super) fn settings(experiment: &Experiment) -> Result<&PartialSettings, Failure> {
    Ok(&experiment.demo.as_ref().ok_or_else(no_demo)?.settings)
}

pub(super) fn no_demo() -> Failure {
    Failure::work(format!("configs/{EXPERIMENT}.toml has no `[demo]`"))
}

impl Chain<'_> {
    /// Makes the data, trains what is not there yet and diagnoses it. How many of these steps failed
    /// is returned.
    pub(super) fn execute(&self, launch: &Launch<'_>) -> Result<usize, Failure> {
        let results = ResultsFolder::new(&self.out);
        let data = self.data()?;
        results.write_record(&self.record())?;
        let place = PartialSettings {
            dataset: Some(self.experiment.dataset.clone()),
            data_root: Some(std::path::absolute(data)?.display().to_string()),
            ..PartialSettings::default()
        };
        let settings = settings(self.experiment)?.clone().merge(place);
        let splits = grid::data_splits(&settings)?;
        let mut runs: Vec<(Run, State)> = Vec::new();
        for id in self.grid.runs() {
            let run = Run::new(&results, id, &settings);
            let state = run.state(&splits)?;
            runs.push((run, state));
        }
        let failed = grid::execute(&runs, launch, "run").all();
        Ok(failed + diagnose::execute_with(&runs, launch, self.diagnosis))
    }

    /// The folder of the set, made unless it is there. It appears whole, pictures shuffled or not.
    fn data(&self) -> Result<PathBuf, Failure> {
        let folder = self.out.join("demo-data");
        if demo::holds(&self.set, &folder)? {
            return Ok(folder);
        }
        let fresh = self.out.join("demo-data.new");
        for old in [&folder, &fresh] {
            if old.exists() {
                fs::remove_dir_all(old)?;
            }
        }
        fs::create_dir_all(&self.out)?;
        write(&self.set, &fresh)?;
        if self.pictures == Pictures::Shuffled {
            pictures::shuffle(&fresh)?;
        }
        fs::rename(&fresh, &folder)?;
        Ok(folder)
    }

    fn record(&self) -> ExperimentRecord {
        let truth = match self.pictures {
            Pictures::Own => self.set.truth.to_string(),
            Pictures::Shuffled => {
                format!("{}, with pictures shuffled in training", self.set.truth)
            }
        };
        ExperimentRecord {
            name: "selftest".to_owned(),
            command: self.command.to_owned(),
            file: None,
            out: None,
            dataset: self.experiment.dataset.clone(),
            primary_metric: self.experiment.primary_metric.clone(),
            metrics: self.experiment.metrics.clone(),
            margin: self.experiment.margin,
            missing: Vec::new(),
            prices: self.experiment.prices(),
            demo: Some(DemoRecord { truth }),
            grid: self.grid.clone(),
            search: None,
        }
    }
}
