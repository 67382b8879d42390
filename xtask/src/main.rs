//! Tasks of the workspace, run as `cargo xtask TASK`.
//!
//! Everything here starts other programs and reads the files they leave; the arithmetic is in the
//! crates.
#![allow(clippy::print_stderr, reason = "a program talks to its user")]

/// Prints a line. A reader that has seen enough, such as `head`, stops nothing.
macro_rules! say {
    ($($part:tt)*) => { drop(std::io::Write::write_all(
        &mut std::io::stdout(), (format!($($part)*) + "\n").as_bytes(),
    )) };
}

mod bench;
mod checkpoints;
mod ci;
mod conclusion;
mod demo;
mod diagnose;
mod experiment;
mod failure;
mod fuzz;
mod grid;
mod kills;
mod launch;
mod mpi;
mod place;
mod processor_time;
mod readme;
mod references;
mod search;
mod selftest;
mod simulate;
mod size;
mod slurm;
mod source;
mod study;
mod tidy;
mod versions;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of the mmc workspace
#[derive(Parser, Debug)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    /// The task.
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand, Debug)]
enum Task {
    /// Run a grid of models, arms and seeds, write its report and print the verdict
    #[command(after_help = experiment::EXAMPLES)]
    Experiment(experiment::Options),
    /// Remake the reference numbers of tests/references with their pinned Python libraries
    #[command(after_help = REFERENCES)]
    References {
        /// The script's name without .py; absent: all but those in tests/references/long
        name: Option<String>,
    },
    /// Measure time and memory beside PyTorch, transformers and scikit-learn, in turns, and write
    /// docs/benchmarks.md
    #[command(after_help = bench::EXAMPLES)]
    Bench(bench::Options),
    /// Measure how often the verdict is right, on simulated experiments, and write docs/verdict.md
    #[command(after_help = simulate::EXAMPLES)]
    Simulate(simulate::Options),
    /// Kill runs at random moments, go on with them, and compare what they end in with runs that nobody
    /// killed
    #[command(after_help = kills::EXAMPLES)]
    Kills(kills::Options),
    /// Share runs among ranks that mpirun starts, and end some of them: the same bytes, no rank left
    /// behind
    #[command(after_help = mpi::EXAMPLES)]
    Mpi,
    /// Look for inputs that make a reader or decoder panic, hang or take too much memory
    #[command(after_help = fuzz::EXAMPLES)]
    Fuzz(fuzz::Options),
    /// Show that the whole chain can say yes and no: two controls, trained for real
    #[command(after_help = selftest::EXAMPLES)]
    Selftest(selftest::Options),
    /// Train the checkpoints in data/checkpoints anew
    #[command(after_help = CHECKPOINTS)]
    Checkpoints,
    /// Copy the excerpt of the last report on Hateful Memes into README.md
    #[command(after_help = README)]
    Readme,
    /// Check the house rules on all sources and print how long files and functions are
    #[command(after_help = TIDY)]
    Tidy,
    /// Run what a change must pass, step by step
    #[command(after_help = CI)]
    Ci {
        /// Also what takes long: the references in Python, the demo on all five truths, the
        /// controls of selftest, 20,000 cases a property test, each package by itself, the code
        /// for CUDA, coverage
        #[arg(long)]
        full: bool,
    },
}

const REFERENCES: &str = "\
Examples:
  cargo xtask references
  cargo xtask references metrics
  cargo xtask references true_size

Makes a Python environment in .python with the versions of tests/references/requirements.txt.
The scripts in tests/references/long take longer than five minutes and run by name alone:
true_size (every architecture at its published size, about half an hour, 10 GB of memory) and
minilm (a pretrained checkpoint from embedding to fine-tuning, about a quarter of an hour). So do
notebook and page, which check what an experiment left in results/: analysis.ipynb run by Jupyter's
own tool, report.html opened in Chromium.";

const CHECKPOINTS: &str = "\
Example:
  cargo xtask checkpoints

Takes about a quarter of a minute on two cores after the build. On one kind of CPU it writes the same bytes each time.";

const README: &str = "\
Example:
  cargo xtask experiment hateful_memes && cargo xtask readme";

const TIDY: &str = "\
Example:
  cargo xtask tidy

Exit code 1 where a rule is broken; each is named with its file and line.";

const CI: &str = "\
Examples:
  cargo xtask ci
  cargo xtask ci --full

Every step is run, says its time and, if it failed, the command that repeats it. The last line
counts the tests.";

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Experiment(options) => experiment::run(&options),
        Task::References { name } => references::remake(name.as_deref()),
        Task::Bench(options) => bench::run(&options),
        Task::Simulate(options) => simulate::run(&options),
        Task::Kills(options) => kills::run(&options),
        Task::Mpi => mpi::run(),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Selftest(options) => selftest::run(&options),
        Task::Checkpoints => checkpoints::remake(),
        Task::Readme => readme::refresh(),
        Task::Tidy => tidy::check(),
        Task::Ci { full } => ci::run(full),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
