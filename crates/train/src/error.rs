//! What can go wrong in a run.

use std::path::PathBuf;

use mmc_data::DataError;
use mmc_metrics::MetricError;
use mmc_models::ModelError;
use mmc_preprocess::PreprocessError;
use mmc_run::RunError;

/// An error of this crate, or of one beneath it as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Preparing an item.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
    /// The model or its checkpoint.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The loss.
    #[error(transparent)]
    Ops(#[from] mmc_ops::OpsError),
    /// The files of the run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A score.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// A tensor operation.
    #[error("a tensor operation was refused: {0}; please report it with the run's `config.toml`")]
    Tensor(#[from] candle_core::Error),
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A setting does not fit the model or the data.
    #[error("{problem}")]
    Setting {
        /// The setting, as in configuration files.
        setting: &'static str,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The folder holds a run that this one may not go on with.
    #[error(
        "{}: cannot be resumed with what is asked for now:\n{}\ngive the run's own values, or \
         another folder", path.display(), differences.join("\n")
    )]
    Differs {
        /// The run's folder.
        path: PathBuf,
        /// What differs, a line each.
        differences: Vec<String>,
    },
    /// The loss of a step is no longer a number.
    #[error(
        "step {step}: the loss is `{loss}`; the items are {}; lower `--learning-rate` or \
         `--clip-norm`, or look at these items; the state before it is kept",
        listed(ids)
    )]
    Loss {
        /// The step, from 1.
        step: u64,
        /// What the loss was.
        loss: f64,
        /// The items of the shard.
        ids: Vec<String>,
    },
    /// The gradient of a step is no longer a number.
    #[error(
        "step {step}: the gradient of `{parameter}` is not finite; the items are {}; lower \
         `--learning-rate`, or look at these items; the state before it is kept",
        listed(ids)
    )]
    Gradient {
        /// The step, from 1.
        step: u64,
        /// The first parameter concerned.
        parameter: String,
        /// The items of the step.
        ids: Vec<String>,
    },
    /// A parameter that should learn got no gradient.
    #[error(
        "step {step}: no gradient reached `{parameter}`, though the arm uses it; the items are \
         {}; this is a defect of the model's code, please report it",
        listed(ids)
    )]
    NoGradient {
        /// The step, from 1.
        step: u64,
        /// The first parameter concerned.
        parameter: String,
        /// The items of the shard.
        ids: Vec<String>,
    },
    /// All items of a step had to be left out.
    #[error(
        "step {step}: each of its items had to be skipped; the first are {}; repair or drop \
         these rows",
        listed(ids)
    )]
    EmptyStep {
        /// The step, from 1.
        step: u64,
        /// Items that were left out.
        ids: Vec<String>,
    },
    /// A batch that should be learned from has no answers.
    #[error(
        "step {step}: an item among {} has no label; label the training rows or drop those \
             without",
        listed(ids)
    )]
    NoTarget {
        /// The step, from 1.
        step: u64,
        /// The items of the shard.
        ids: Vec<String>,
    },
    /// A model's answer for an item is not one finite number a class.
    #[error(
        "item `{id}`: {found} logits for {classes} classes, or one that is not finite; the model \
         diverged in training, or its checkpoint is damaged"
    )]
    Logits {
        /// The item.
        id: String,
        /// How many logits there are.
        found: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// A device on which this part does not work.
    #[error("training on `{device}` is not in place; use `--devices cpu`")]
    Device {
        /// The device.
        device: String,
    },
}

impl TrainError {
    /// Whether what was asked for makes no sense, rather than having failed: programs exit with 2.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        if let Self::Model(error) = self {
            return error.is_usage();
        }
        matches!(
            self,
            Self::Setting { .. }
                | Self::Differs { .. }
                | Self::Data(DataError::Unknown { .. } | DataError::Setting(_))
                | Self::Preprocess(PreprocessError::Arm { .. })
                | Self::Run(
                    RunError::Config { .. }
                        | RunError::Settings { .. }
                        | RunError::Unknown { .. }
                        | RunError::Occupied { .. }
                )
        )
    }

    pub(crate) fn setting(setting: &'static str, problem: impl Into<String>) -> Self {
        Self::Setting { setting, problem: problem.into() }
    }

    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// The first ids in backticks, and how many more there are.
fn listed(ids: &[String]) -> String {
    let shown: Vec<String> = ids.iter().take(8).map(|id| format!("`{id}`")).collect();
    match ids.len().checked_sub(shown.len()) {
        Some(more) if more > 0 => format!("{} and {more} more", shown.join(", ")),
        _ => shown.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_named_and_counted() {
        let ids: Vec<String> = (0..10).map(|id| id.to_string()).collect();
        let error = TrainError::Gradient { step: 3, parameter: "w".to_owned(), ids };
        assert_eq!(
            error.to_string(),
            "step 3: the gradient of `w` is not finite; the items are `0`, `1`, `2`, `3`, `4`, \
             `5`, `6`, `7` and 2 more; lower `--learning-rate`, or look at these items; the state \
             before it is kept"
        );
    }

    #[test]
    fn differences_are_usage_errors() {
        let differs = TrainError::Differs { path: "run".into(), differences: vec!["a".to_owned()] };
        assert!(differs.is_usage());
        assert!(!TrainError::Device { device: "x".to_owned() }.is_usage());
    }
}
