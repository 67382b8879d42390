//! Comparison, verdict and report of a finished experiment.
//!
//! [`read_results`] reads a results folder, [`verdict()`] draws the verdict from its predictions,
//! [`write()`] writes `report.md`, `runs.csv` and `verdict.json`. A report is made from files only:
//! whoever has the folder can make it again, with another margin if they like.
//!
//! ```
//! use mmc_report::{Answer, read_results, verdict, write};
//! use mmc_run::{ExperimentRecord, Grid, ResultsFolder};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let place = tempfile::tempdir()?;
//! # let path = place.path().join("results/memes");
//! # ResultsFolder::new(&path).write_record(&ExperimentRecord {
//! #     name: "memes".to_owned(),
//! #     command: "cargo xtask experiment memes".to_owned(),
//! #     dataset: "hateful_memes".to_owned(),
//! #     primary_metric: "auroc".to_owned(),
//! #     metrics: vec![],
//! #     margin: 0.02,
//! #     missing: vec![],
//! #     demo: None,
//! #     grid: Grid {
//! #         text_models: vec!["bert".to_owned()],
//! #         multimodal_models: vec!["vilt".to_owned()],
//! #         arms: vec![mmc_data::Arm::Both],
//! #         seeds: vec![0, 1],
//! #     },
//! # })?;
//! // Of four planned runs none has been started, and the report says so.
//! let results = read_results(&path)?;
//! let verdict = verdict(&results, results.record.margin)?;
//! assert_eq!(verdict.verdict, Answer::Undecided);
//! assert_eq!(verdict.alarms.len(), 4);
//! write(&results, &verdict, &path)?;
//! assert!(std::fs::read_to_string(path.join("report.md"))?.contains("\nverdict: undecided\n"));
//! # Ok(())
//! # }
//! ```
//!
//! Not here: training, prediction, scores of a single file (`mmc-metrics`).

mod advice;
mod alarm;
mod arm;
mod caption;
mod compare;
mod cost;
mod diagnoses;
mod diagnosis;
mod diagnosis_page;
mod error;
mod export;
mod figure;
mod gallery;
mod gallery_page;
mod ledger;
mod markdown;
mod page;
mod read;
mod reading;
mod score;
mod verdict;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use mmc_run::{RunError, write_atomically};

pub use advice::Advice;
pub use compare::{ALPHA, Finding, Gain};
pub use cost::{ArmCost, Quantity};
pub use diagnosis::{DiagnosisFiles, DiagnosisTerms, ModelDiagnosis, ScoreDrop, diagnosis};
pub use error::ReportError;
pub use gallery::gallery;
pub use ledger::{LedgerPart, LedgerParts};
pub use read::{FailedRun, Results, RunResult, read_results};
pub use reading::CAUTIONS;
pub use score::{ArmScore, Chance};
pub use verdict::{Answer, LedgerEntry, MarginRange, Verdict, judge, verdict};

/// Writes `report.md`, `runs.csv` and `verdict.json` into `folder`, each whole or not at all.
///
/// # Errors
/// [`ReportError`] naming the file.
pub fn write(results: &Results, verdict: &Verdict, folder: &Path) -> Result<(), ReportError> {
    fs::create_dir_all(folder)
        .map_err(|source| RunError::Io { path: folder.to_path_buf(), source })?;
    let text = report(results, verdict)?;
    let files = [
        ("runs.csv", export::runs_csv(results)?),
        ("verdict.json", export::verdict_json(verdict)?),
        ("report.md", text.into_bytes()),
    ];
    for (name, bytes) in files {
        let path = folder.join(name);
        write_atomically(&path, |out| {
            out.write_all(&bytes).map_err(|source| RunError::Io { path: path.clone(), source })
        })?;
    }
    Ok(())
}

/// The text of `report.md`.
///
/// # Errors
/// [`ReportError::Write`] where the text cannot be built.
pub fn report(results: &Results, verdict: &Verdict) -> Result<String, ReportError> {
    markdown::render(&page::page(results, verdict))
        .map_err(|error| ReportError::Write { file: "report.md", problem: error.to_string() })
}
