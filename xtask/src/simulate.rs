//! How often the verdict is right: whole decisions on simulated experiments whose truth is known.

mod bars;
mod cell;
mod page;
mod world;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use crate::failure::{Failure, workspace};
use bars::Judged;

pub(crate) const EXAMPLES: &str = "\
Examples:
  cargo xtask simulate
  cargo xtask simulate --experiments 200 --out verdict.md

Draws predictions of a text and a multimodal model from the binormal model and decides on them with
the functions that decide on real runs. Writes how often each verdict came and whether that is within
its bar. Exit code 1 where a bar is missed. The same seed gives the same page on one kind of machine.";

/// How much to simulate.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Experiments of each cell
    #[arg(long, value_name = "N", default_value_t = 1000)]
    experiments: u64,
    /// The seed of all draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The page to write [default: docs/verdict.md]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Simulates every cell, writes the page, and fails where a bar is missed.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    if options.experiments == 0 {
        return Err(Failure::usage("`--experiments` is `0`, expected 1 or more".to_owned()));
    }
    let started = Instant::now();
    let mut judged = Vec::new();
    for cell in cell::all() {
        let shares = cell.simulate(options.experiments, options.seed)?;
        let row = Judged::new(cell, shares);
        say!("{}", page::row(&row));
        judged.push(row);
    }
    let text = page::page(&judged, options.experiments, options.seed);
    let path = options.out.clone().unwrap_or_else(|| workspace().join("docs/verdict.md"));
    fs::write(&path, text)?;
    let missed = judged.iter().filter(|row| !row.passes()).count();
    say!(
        "{}: {} cells of {} experiments in {:.0} s, {missed} bars missed",
        path.display(),
        judged.len(),
        options.experiments,
        started.elapsed().as_secs_f64()
    );
    if missed == 0 {
        return Ok(());
    }
    Err(Failure::work(format!("{missed} cells miss a bar; see {}", path.display())))
}
