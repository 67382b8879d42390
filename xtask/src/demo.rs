//! Where real data or weights are missing: what to run instead, and how that is said.

use std::fs;
use std::path::Path;

use mmc_data::demo::{DemoSet, Truth, manifest, write};
use mmc_run::DemoPlan;
use serde::Deserialize;

use crate::failure::Failure;

/// What `mmc plan --grid FILE --json` prints.
#[derive(Debug, Deserialize)]
pub(crate) struct InPlace {
    /// Whether all is there.
    pub(crate) in_place: bool,
    /// What is not.
    pub(crate) missing: Vec<Missing>,
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

impl InPlace {
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

/// Generates the demo set in `folder`, unless just this one is there already.
pub(crate) fn generate(plan: &DemoPlan, truth: Truth, folder: &Path) -> Result<(), Failure> {
    let (train, dev, test) = (plan.train, plan.dev, plan.test);
    let wanted = DemoSet { truth, seed: 0, train, dev, test };
    let there = manifest(folder)?.map(|found| DemoSet {
        truth: found.truth,
        seed: found.seed,
        train: found.train,
        dev: found.dev,
        test: found.test,
    });
    if there == Some(wanted) {
        return Ok(());
    }
    if there.is_some() {
        fs::remove_dir_all(folder)?;
    }
    write(&wanted, folder)?;
    Ok(())
}
