//! What a run tells whoever watches it.

use std::collections::BTreeMap;

use mmc_metrics::Evaluation;
use mmc_run::{Cost, EvalRecord, StepRecord};

/// Something that happened in a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// Something the user should know, in words.
    Note(&'a str),
    /// Something that may make the result other than the user expects, in words.
    Warning(&'a str),
    /// The run goes on after this step.
    Resumed {
        /// Steps done in earlier sittings.
        step: u64,
    },
    /// A step was taken.
    Step {
        /// What is recorded of it.
        record: &'a StepRecord,
        /// Steps in all.
        steps: u64,
        /// Seconds until the last step at the mean pace of this sitting.
        seconds_left: f64,
    },
    /// Some items of a split were predicted.
    Predicted {
        /// The split.
        split: &'a str,
        /// How many are done.
        done: usize,
        /// Of how many.
        items: usize,
    },
    /// The selection split was evaluated.
    Evaluated {
        /// What is recorded of it.
        record: &'a EvalRecord,
        /// Whether it is the best so far.
        best: bool,
    },
    /// The state was saved.
    Saved {
        /// The step after which.
        step: u64,
    },
}

/// How a sitting ended.
#[derive(Debug)]
pub enum Outcome {
    /// The run is complete.
    Finished(Box<Finished>),
    /// The run was complete before; nothing was changed.
    AlreadyComplete,
    /// The run was asked to stop; it goes on from here when resumed.
    Interrupted {
        /// Steps done.
        step: u64,
    },
    /// This rank has done its share; rank 0 has the results.
    Shared,
}

/// What a complete run found.
#[derive(Debug)]
pub struct Finished {
    /// The scores of each labelled split that was predicted, by name.
    pub scores: BTreeMap<String, Evaluation>,
    /// What it took.
    pub cost: Cost,
    /// The step whose model was kept.
    pub kept_step: u64,
}
