//! `cargo xtask selftest`: whether the whole chain, from pictures to a verdict, can say yes and no.

mod bars;
mod chain;
mod control;
mod page;
mod pictures;
mod record;
mod sets;

use std::path::PathBuf;

use clap::Args;
use mmc_run::Experiment;

use crate::experiment::build;
use crate::failure::{Failure, workspace};
use crate::launch::Launch;

pub(crate) const EXAMPLES: &str = "\
Examples:
  cargo xtask selftest
  cargo xtask selftest --sets 20

Without --sets, two controls, trained for real on the demo set of configs/hateful_memes.toml: as it
is, where only text and picture together tell the label, the verdict must be `multimodal`; with the
pictures shuffled among the items that are trained on, it must not. A few minutes on two cores.

With --sets N, N generated sets of each of the five truths, three seeds of bert-tiny and vilt-tiny
each, and docs/trained_verdicts.md with all bars. About half an hour of two cores for 20. What is
finished is kept: the same command goes on where it was stopped.

Exit code 1 where a control fails or a bar is missed.";

/// The experiment whose demo is put to the test, as every user gets it.
const EXPERIMENT: &str = "hateful_memes";

/// What `cargo xtask selftest` is asked for.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Generated sets of each truth: how often is the verdict right?
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=99))]
    sets: Option<u64>,
    /// Runs side by side, one thread each [default: one a core, at most 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Where runs and what was found go [default: results/selftest]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The page to write with --sets, its raw rows in a folder of the same name beside it
    /// [default: the docs' page on trained verdicts]
    #[arg(long, value_name = "FILE", requires = "sets")]
    page: Option<PathBuf>,
}

/// Runs the controls, or the sets, and fails where one is not as expected.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let root = workspace();
    let experiment = Experiment::read(&root.join(format!("configs/{EXPERIMENT}.toml")))?;
    let mmc = build(&root, "dev")?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = options.jobs.map_or(cores.min(4), usize::from);
    let launch = Launch { mmc: &mmc, jobs, threads: 1, slurm: None, visible: Vec::new() };
    let out = options.out.clone().unwrap_or_else(|| root.join("results/selftest"));
    let Some(sets) = options.sets else {
        return control::run(&experiment, &out, &launch);
    };
    let page = options.page.clone().unwrap_or_else(|| root.join("docs/trained_verdicts.md"));
    sets::run(&experiment, &sets::Plan { sets, out: &out, page: &page }, &launch)
}
