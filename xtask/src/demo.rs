//! Where real data or weights are missing: what to run instead, and how that is said.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mmc_data::demo::{DemoSet, Format, Truth, manifest, write};
use mmc_run::{DemoPlan, Experiment};
use serde::Deserialize;

use crate::failure::Failure;

/// What `mmc plan --grid FILE --json` prints.
#[derive(Debug, Deserialize)]
pub(crate) struct Found {
    /// Whether all is there.
    pub(crate) in_place: bool,
    /// The models of the grid.
    pub(crate) models: Vec<Model>,
    /// What is not there.
    pub(crate) missing: Vec<Missing>,
    /// What runs of the program record of it.
    pub(crate) versions: BTreeMap<String, String>,
}

/// A model of the grid.
#[derive(Debug, Deserialize)]
pub(crate) struct Model {
    /// Whether it is small and made from scratch.
    pub(crate) tiny: bool,
}

/// Something that the study's protocol needs and that is not there.
#[derive(Debug, Deserialize)]
pub(crate) struct Missing {
    /// What it is.
    pub(crate) what: String,
    /// Where it was looked for.
    #[serde(rename = "where")]
    pub(crate) place: String,
    /// How to get it and where to put it.
    pub(crate) how: String,
}

impl Found {
    /// All that is missing, for someone who wants the real thing.
    pub(crate) fn instructions(&self) -> String {
        let lines = self.missing.iter().map(|missing| {
            format!("  {}\n    looked for in {}\n    {}", missing.what, missing.place, missing.how)
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// What is missing, in a line.
    pub(crate) fn names(&self) -> Vec<String> {
        self.missing.iter().map(|missing| missing.what.clone()).collect()
    }
}

/// The demo set of an experiment.
pub(crate) fn wanted(
    experiment: &Experiment,
    plan: &DemoPlan,
    truth: Truth,
) -> Result<DemoSet, Failure> {
    let format: Format = experiment.dataset.parse()?;
    Ok(DemoSet { format, truth, seed: 0, train: plan.train, dev: plan.dev, test: plan.test })
}

/// Whether just this set is in `folder`.
pub(crate) fn holds(wanted: &DemoSet, folder: &Path) -> Result<bool, Failure> {
    let there = manifest(folder)?.map(|found| {
        let set = DemoSet {
            format: wanted.format,
            truth: found.truth,
            seed: found.seed,
            train: found.train,
            dev: found.dev,
            test: found.test,
        };
        (found.dataset, set)
    });
    Ok(there == Some((wanted.format.dataset().to_owned(), *wanted)))
}

/// Generates the demo set in `folder`, in place of another, unless it is there already.
pub(crate) fn generate(wanted: &DemoSet, folder: &Path) -> Result<(), Failure> {
    if holds(wanted, folder)? {
        return Ok(());
    }
    if manifest(folder)?.is_some() {
        fs::remove_dir_all(folder)?;
    }
    write(wanted, folder)?;
    Ok(())
}
