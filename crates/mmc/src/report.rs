//! `mmc report`: a results folder to its report and verdict.

use mmc_report::{read_results, verdict, write};

use crate::cli::ReportArgs;
use crate::failure::Failure;
use crate::output::print;

/// Writes the report again from the folder's files.
pub(crate) fn run(typed: &ReportArgs) -> Result<(), Failure> {
    let results = read_results(&typed.results)?;
    let verdict = verdict(&results, results.record.margin)?;
    write(&results, &verdict, &typed.results)?;
    for note in &results.notes {
        tracing::warn!("{note}");
    }
    let mut lines = verdict.reasons.clone();
    lines.push(format!("report: {}", typed.results.join("report.md").display()));
    lines.push(format!("verdict: {}", verdict.verdict));
    print(&lines.join("\n"))
}
