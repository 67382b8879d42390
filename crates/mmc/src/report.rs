//! `mmc report`: a results folder to its report and verdict.

use mmc_report::{read_results, verdict, write};
use mmc_run::Prices;

use crate::cli::ReportArgs;
use crate::failure::Failure;
use crate::output::print;

/// Writes the report again from the folder's files.
pub(crate) fn run(typed: &ReportArgs) -> Result<(), Failure> {
    let given = Prices {
        price_per_hour: typed.price_per_hour,
        watts: typed.watts,
        value_per_correct: typed.value_per_correct,
    };
    let problems = given.problems();
    if !problems.is_empty() {
        return Err(Failure::usage(problems.join("; ").replace('_', "-")));
    }
    let mut results = read_results(&typed.results)?;
    results.record.prices = given.or(results.record.prices);
    if results.runs.is_empty() {
        let failed = results.failed.iter().map(|run| format!("\n{} {}", run.id, run.why));
        return Err(Failure::work(format!(
            "{}: no run is complete, so there is nothing to report; `{}` runs them{}",
            typed.results.display(),
            results.record.command,
            failed.collect::<String>()
        )));
    }
    let verdict = verdict(&results, results.record.margin)?;
    write(&results, &verdict, &typed.results)?;
    for note in &results.notes {
        tracing::warn!("{note}");
    }
    let failed = &results.failed;
    let failed = failed.iter().map(|run| format!("not in these figures: {} {}", run.id, run.why));
    let mut lines: Vec<String> = failed.chain(verdict.reasons.iter().cloned()).collect();
    lines.push(format!("report: {}", typed.results.join("report.md").display()));
    lines.push(format!("page: {}", typed.results.join("report.html").display()));
    lines.push(format!("verdict: {}", verdict.verdict));
    print(&lines.join("\n"))
}
