//! `mmc`, the command-line program: parse, call, print. All that it does is in the libraries.
#![allow(clippy::print_stderr, reason = "a program talks to its user")]

mod checkpoint;
mod cli;
mod clusters;
mod compare;
mod data;
mod diagnose;
mod diagnosis_words;
mod embed;
mod evaluate;
mod failure;
mod fetch;
mod inputs;
mod lengths;
mod output;
mod partial;
mod plan;
mod power;
mod predict;
mod progress;
mod ranks;
mod report;
mod scored;
mod split;
mod train;
mod vectors;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    progress::start_logs(cli.log_format);
    let outcome = match cli.command {
        Command::Train(typed) => train::run(*typed),
        Command::Evaluate(typed) => evaluate::run(&typed),
        Command::Predict(typed) => predict::run(&typed),
        Command::Embed(typed) => embed::run(&typed),
        Command::Compare(typed) => compare::run(&typed),
        Command::Power(typed) => power::run(&typed),
        Command::Diagnose(typed) => diagnose::run(&typed),
        Command::Report(typed) => report::run(&typed),
        Command::Fetch(typed) => fetch::run(&typed),
        Command::Data(typed) => data::run(&typed.command),
        Command::Plan(typed) => plan::run(&typed),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit_code()
        }
    }
}
