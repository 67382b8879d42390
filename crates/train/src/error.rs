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
        "step {step}: the loss is `{loss}`; the items are {}; {}",
        listed(ids), way_out(*saved)
    )]
    Loss {
        /// The step, from 1.
        step: u64,
        /// What the loss was.
        loss: f64,
        /// The items of the shard.
        ids: Vec<String>,
        /// The step of the newest saved state, where there is one.
        saved: Option<u64>,
    },
    /// The gradient of a step is no longer a number.
    #[error(
        "step {step}: the gradient of `{parameter}` is not finite; the items are {}; {}",
        listed(ids), way_out(*saved)
    )]
    Gradient {
        /// The step, from 1.
        step: u64,
        /// The first parameter concerned.
        parameter: String,
        /// The items of the step.
        ids: Vec<String>,
        /// The step of the newest saved state, where there is one.
        saved: Option<u64>,
    },
    /// The gradient of a step with a scaled loss is no number, and a smaller scale would not help.
    #[error(
        "step {step}: the gradient of `{parameter}` is not finite with a loss scale of {scale}, and \
         the scale is fixed or cannot fall further; the items are {}; {}; use `--loss-scale dynamic`, \
         or `--precision bf16` without a scale",
        listed(ids), way_out(*saved)
    )]
    LossScale {
        /// The step, from 1.
        step: u64,
        /// The first parameter concerned.
        parameter: String,
        /// The scale.
        scale: f64,
        /// The items of the step.
        ids: Vec<String>,
        /// The step of the newest saved state, where there is one.
        saved: Option<u64>,
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
    /// All items of the first epoch had to be left out.
    #[error(
        "none of the training items could be used, so nothing was learned; they are {}; \
         `--on-bad-item error` says what is wrong with the first",
        listed(ids)
    )]
    NoItems {
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
    /// So many items share an input that it cannot be exchanged with those of others.
    #[error(
        "{}: its items cannot all be given another's text or picture: {source}; give a split in \
         which no group holds more than half of the items", path.display()
    )]
    NoPartners {
        /// The split's file.
        path: PathBuf,
        /// What is in the way.
        source: Box<MetricError>,
    },
    /// Ranks that were not asked for the same run, or do not have the same data.
    #[error(
        "the ranks cannot share a run, since rank {rank} differs from rank 0:\n{}\ngive all ranks \
         the same command, the same build of mmc, the same data and the same checkpoint",
        differences.join("\n")
    )]
    RanksDiffer {
        /// The first rank that is not as rank 0.
        rank: usize,
        /// What differs, a line each.
        differences: Vec<String>,
    },
    /// Ranks that should have the same weights have not.
    #[error(
        "after step {step} rank {rank} has another `{parameter}` than rank 0, so they no longer train \
         one model; run all ranks with the same checkpoint, the same build of mmc, and on machines \
         with the same kind of processor"
    )]
    RankWeights {
        /// Steps done.
        step: u64,
        /// The first rank that is not as rank 0.
        rank: usize,
        /// The first parameter that differs.
        parameter: String,
    },
    /// Ranks cannot be started, or cannot reach each other.
    #[error("{problem}")]
    Transport {
        /// What is wrong and what to do.
        problem: String,
    },
    /// Another rank of this process has ended before this one; its own error says why.
    #[error("another rank has ended")]
    RankEnded,
    /// A device that cannot compute the run.
    #[error("`{device}`: {problem}")]
    Device {
        /// The device, as it was typed.
        device: String,
        /// What is wrong and what to do.
        problem: String,
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
                | Self::Device { .. }
                | Self::Differs { .. }
                | Self::RanksDiffer { .. }
                | Self::Data(DataError::Unknown { .. } | DataError::Setting(_))
                | Self::Preprocess(PreprocessError::Arm { .. })
                | Self::Run(
                    RunError::Config { .. }
                        | RunError::Settings { .. }
                        | RunError::Unknown { .. }
                        | RunError::Occupied { .. }
                        | RunError::Busy { .. }
                )
        )
    }

    pub(crate) fn setting(setting: &'static str, problem: impl Into<String>) -> Self {
        Self::Setting { setting, problem: problem.into() }
    }

    /// The same error, knowing which state a run that diverged has left.
    pub(crate) fn with_saved(self, newest: impl FnOnce() -> Option<u64>) -> Self {
        match self {
            Self::Loss { step, loss, ids, .. } => Self::Loss { step, loss, ids, saved: newest() },
            Self::Gradient { step, parameter, ids, .. } => {
                Self::Gradient { step, parameter, ids, saved: newest() }
            }
            Self::LossScale { step, parameter, scale, ids, .. } => {
                Self::LossScale { step, parameter, scale, ids, saved: newest() }
            }
            other => other,
        }
    }

    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// What is left of a run that diverged, and what can be done: its own settings lead there again,
/// and others are another run's.
fn way_out(saved: Option<u64>) -> String {
    let kept = match saved {
        Some(step) => format!("the state of step {step} is kept, but `--resume` ends here again"),
        None => "no state was saved yet, and `--resume` ends here again".to_owned(),
    };
    format!(
        "{kept}: look at these items, or train in another folder with a lower `--learning-rate` \
         or `--clip-norm`"
    )
}

/// The first ids in backticks, and how many more there are.
pub(crate) fn listed(ids: &[String]) -> String {
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
        let parameter = "w".to_owned();
        let error = TrainError::Gradient { step: 3, parameter, ids, saved: None };
        assert_eq!(
            error.to_string(),
            "step 3: the gradient of `w` is not finite; the items are `0`, `1`, `2`, `3`, `4`, \
             `5`, `6`, `7` and 2 more; no state was saved yet, and `--resume` ends here again: \
             look at these items, or train in another folder with a lower `--learning-rate` or \
             `--clip-norm`"
        );
        let kept = error.with_saved(|| Some(2)).to_string();
        assert!(kept.contains("the state of step 2 is kept, but `--resume` ends here"), "{kept}");
    }

    #[test]
    fn differences_are_usage_errors() {
        let differs = TrainError::Differs { path: "run".into(), differences: vec!["a".to_owned()] };
        assert!(differs.is_usage());
        assert!(!TrainError::NoItems { ids: Vec::new() }.is_usage());
    }
}
