//! What can go wrong in an operation.

/// An error of this crate: what happened, where, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpsError {
    /// The tensor library refused: shapes that do not fit, or no memory.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// An argument has a shape that the operation does not take.
    #[error("{operation}: {argument} has shape {found:?}, expected {expected}")]
    Shape {
        /// The operation.
        operation: &'static str,
        /// The argument.
        argument: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// The shapes that fit.
        expected: String,
    },
    /// There is not one target a row.
    #[error("the batch has {rows} rows of logits and {targets} targets; give one a row")]
    Rows {
        /// Rows of logits.
        rows: usize,
        /// Targets.
        targets: usize,
    },
    /// A target names a class that has no logit.
    #[error("row {row}: the target is class {class}, expected one of 0 to {}", .classes.saturating_sub(1))]
    Class {
        /// The row, from 0.
        row: usize,
        /// The class that was named.
        class: u32,
        /// How many there are.
        classes: usize,
    },
    /// A setting lies outside its range.
    #[error("`{setting}` is `{value}`, expected {expected}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// Its value.
        value: String,
        /// The values that are allowed.
        expected: String,
    },
    /// The objective cannot be computed from targets of this kind.
    #[error("the objective takes {expected}, the batch holds {found}; choose the other objective")]
    TargetKind {
        /// What the batch holds.
        found: &'static str,
        /// What the objective takes.
        expected: &'static str,
    },
}

impl OpsError {
    /// As operations within candle's graph report it.
    pub(crate) fn into_candle(self) -> candle_core::Error {
        match self {
            Self::Tensor(error) => error,
            other => candle_core::Error::Msg(other.to_string()),
        }
    }
}

/// What every function here returns.
pub(crate) type Result<T> = std::result::Result<T, OpsError>;
