//! What can keep a report from being made.

use mmc_metrics::MetricError;
use mmc_run::RunError;

/// An error in reading results or writing a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A file of the results cannot be read, or one of the report cannot be written.
    #[error(transparent)]
    File(#[from] RunError),
    /// The data of the experiment cannot be read.
    #[error(transparent)]
    Data(#[from] mmc_data::DataError),
    /// The data is not that of the experiment.
    #[error("{}: not the split that the runs were tested on; put that one back", path.display())]
    OtherData {
        /// The split's file.
        path: std::path::PathBuf,
    },
    /// The metric or the margin of the experiment cannot be used.
    #[error("the experiment's {what}: {source}")]
    Setting {
        /// Which setting.
        what: &'static str,
        /// What is wrong with it.
        source: MetricError,
    },
    /// The margin is not one.
    #[error("the margin is `{given}`, expected a number above 0 in units of the metric")]
    Margin {
        /// What was given.
        given: f64,
    },
    /// Some value cannot be written down.
    #[error("{file}: {problem}")]
    Write {
        /// The file of the report.
        file: &'static str,
        /// What the writer said.
        problem: String,
    },
}
