//! Comparison, verdict and report of a finished experiment.
//!
//! [`read_results`] reads a results folder, [`verdict()`] draws the verdict from its predictions,
//! [`write()`] writes `report.md` and, of the same document, `report.html` with its figures; the runs
//! as `runs.csv` and `runs.parquet`, a notebook that works on them, and `verdict.json`. A report is
//! made from files only: whoever has the folder can make it again, with another margin if they like.
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
//! #     file: None,
//! #     out: None,
//! #     dataset: "hateful_memes".to_owned(),
//! #     primary_metric: "auroc".to_owned(),
//! #     metrics: vec![],
//! #     margin: 0.02,
//! #     missing: vec![],
//! #     prices: mmc_run::Prices::default(),
//! #     demo: None,
//! #     grid: Grid {
//! #         text_models: vec!["bert".to_owned()],
//! #         multimodal_models: vec!["vilt".to_owned()],
//! #         arms: vec![mmc_data::Arm::Both],
//! #         seeds: vec![0, 1],
//! #     },
//! #     search: None,
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
mod benefit;
mod beside;
mod caption;
mod compare;
mod cost;
mod curve;
mod data_page;
mod diagnoses;
mod diagnosis;
mod diagnosis_page;
mod document;
mod error;
mod export;
mod figure;
mod gallery;
mod html;
mod ledger;
mod markdown;
mod notebook;
mod overlap;
mod page;
mod parts;
mod plot;
mod read;
mod reading;
mod score;
mod search;
mod verdict;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use mmc_run::{RunError, write_atomically};

pub use advice::Advice;
pub use benefit::{Benefit, BreakEven, PerExtra, Range};
pub use beside::{Beside, JudgedClaim, Judgement};
pub use compare::{ALPHA, Finding, Gain};
pub use cost::{ArmCost, Quantity};
pub use curve::{ArmCalibration, Learning};
pub use data_page::data_page;
pub use diagnosis::{DiagnosisFiles, DiagnosisTerms, ModelDiagnosis, ScoreDrop, diagnosis};
pub use error::ReportError;
pub use gallery::gallery;
pub use ledger::{LedgerPart, LedgerParts};
pub use overlap::overlap;
pub use parts::{Change, ClassScore, Subgroup};
pub use read::{FailedRun, PUBLISHED, Results, RunResult, read_results};
pub use reading::CAUTIONS;
pub use score::{ArmScore, Chance};
pub use search::choose;
pub use verdict::{Answer, LedgerEntry, MarginRange, Verdict, judge, verdict};

/// Writes `report.md`, `report.html`, `runs.csv`, `runs.parquet`, `analysis.ipynb`,
/// `verdict.json` and, of a search, `search.csv` into `folder`, each whole or not at all.
///
/// # Errors
/// [`ReportError`] naming the file.
pub fn write(results: &Results, verdict: &Verdict, folder: &Path) -> Result<(), ReportError> {
    fs::create_dir_all(folder)
        .map_err(|source| RunError::Io { path: folder.to_path_buf(), source })?;
    let page = page::page(results, verdict);
    let runs = export::runs(results)?;
    let files = [
        ("runs.csv", export::csv(&runs)?),
        ("runs.parquet", export::parquet(runs)?),
        ("analysis.ipynb", notebook::notebook(verdict)?),
        ("verdict.json", export::verdict_json(verdict)?),
        ("report.html", html::render(&page).into_bytes()),
        ("report.md", in_markdown(&page)?.into_bytes()),
    ];
    let search = verdict.search.as_ref().map(export::search_csv).transpose()?;
    for (name, bytes) in files.into_iter().chain(search.map(|bytes| ("search.csv", bytes))) {
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
    in_markdown(&page::page(results, verdict))
}

/// The text of `report.html`: the same document, with its figures.
#[must_use]
pub fn html_report(results: &Results, verdict: &Verdict) -> String {
    html::render(&page::page(results, verdict))
}

fn in_markdown(page: &[document::Block]) -> Result<String, ReportError> {
    markdown::render(page)
        .map_err(|error| ReportError::Write { file: "report.md", problem: error.to_string() })
}
