//! Runs of more than one build of the program in one report.

use mmc_run::builds;

use crate::Results;
use crate::document::plain;

/// Says so where the runs were not all made by one build: what differs between them may be the code.
pub(super) fn mixed(results: &Results) -> Option<String> {
    let builds = builds(results.runs.iter().map(|run| &run.config));
    if builds.len() < 2 {
        return None;
    }
    let each: Vec<String> =
        builds.iter().map(|(build, runs)| format!("{runs} by {}", plain(build))).collect();
    Some(format!(
        "the runs were made by more than one build: {}; differences between them may come from the code \
         alone, so make those of all builds but one anew",
        each.join(", ")
    ))
}
