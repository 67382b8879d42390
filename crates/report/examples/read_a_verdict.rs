//! What do these results say, and what would they say to somebody with another margin?
//!
//! `cargo run -p mmc-report --example read_a_verdict -- results/hateful_memes`, after
//! `cargo xtask experiment hateful_memes` has made them.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;
use std::path::PathBuf;

use mmc_report::{read_results, verdict};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).unwrap_or("results/hateful_memes".to_owned());
    let results = read_results(&PathBuf::from(folder))?;
    println!("{} complete runs, {} failed", results.runs.len(), results.failed.len());

    let judged = verdict(&results, results.record.margin)?;
    println!("verdict: {} (margin {})", judged.verdict, judged.margin);
    for gain in &judged.gains {
        println!("{} against {}: {}", gain.candidate, gain.baseline, gain.finding.words());
    }
    for range in &judged.by_margin {
        match range.to {
            Some(to) => println!("  {} with a margin up to {to:.3}", range.verdict),
            None => println!("  {} with a margin above {:.3}", range.verdict, range.from),
        }
    }
    Ok(())
}
