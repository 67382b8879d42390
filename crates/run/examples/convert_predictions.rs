//! How do I turn a file of predictions into another format?
//!
//! `cargo run -p mmc-run --example convert_predictions -- test.parquet test.csv`; without
//! arguments it writes a small file itself and converts that.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;
use std::path::{Path, PathBuf};

use mmc_run::Predictions;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args().skip(1).map(PathBuf::from).collect();
    if let [from, to] = arguments.as_slice() {
        return convert(from, to);
    }
    let folder = tempfile::tempdir()?;
    let from = folder.path().join("test.csv");
    std::fs::write(&from, "id,label,probability:cat,probability:dog\n1,dog,0.25,0.75\n")?;
    convert(&from, &folder.path().join("test.jsonl"))
}

fn convert(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    let predictions = Predictions::read(from)?;
    predictions.write(to)?;
    println!(
        "{} rows of the classes {} written to {}",
        predictions.rows.len(),
        predictions.classes.join(", "),
        to.display()
    );
    Ok(())
}
