//! What can be wrong with scored rows, and what to do about it.

use thiserror::Error;

/// A result whose error is [`MetricError`] unless said otherwise.
pub type Result<T, E = MetricError> = std::result::Result<T, E>;

/// Why there is no number.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum MetricError {
    /// The score, interval or test has no value on these rows.
    #[error("`{metric}` is undefined: {why}")]
    Undefined {
        /// The quantity's name.
        metric: String,
        /// What is missing from the rows.
        why: String,
    },
    /// There is nothing to score.
    #[error("no items to score; give at least one labelled row")]
    Empty,
    /// Two inputs that belong together differ in length.
    #[error("`{what}` has {found} entries, expected {expected}; give one for each item")]
    Lengths {
        /// The input of the wrong length.
        what: &'static str,
        /// The length it should have.
        expected: usize,
        /// The length it has.
        found: usize,
    },
    /// An input is NaN or infinite.
    #[error("`{what}` of item {index} is not a finite number; the model that wrote it diverged")]
    NotFinite {
        /// The input: scores, probabilities, logits, …
        what: &'static str,
        /// The item, from 0.
        index: usize,
    },
    /// A label or prediction is not one of the classes.
    #[error("`{what}` of item {index} is class {value}, expected a class below {classes}")]
    Label {
        /// `labels` or `predictions`.
        what: &'static str,
        /// The item, from 0.
        index: usize,
        /// The class it names.
        value: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// A probability lies outside `[0, 1]`.
    #[error("probability of item {index} is `{value}`, expected a number from 0 to 1")]
    Probability {
        /// The item, from 0.
        index: usize,
        /// What was given.
        value: f64,
    },
    /// The probabilities of an item do not sum to 1.
    #[error("probabilities of item {index} sum to `{sum}`, expected 1 within 0.001")]
    RowSum {
        /// The item, from 0.
        index: usize,
        /// Their sum.
        sum: f64,
    },
    /// No metric has this name.
    #[error("no metric is called `{name}`{}; there are {known}", hint(suggestion.as_deref()))]
    UnknownMetric {
        /// What was asked for.
        name: String,
        /// All names, in the order of `METRICS`.
        known: String,
        /// The nearest name, where one is near.
        suggestion: Option<String>,
    },
    /// A setting lies outside its range.
    #[error("`{what}` is `{value}`, expected {expected}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// What was given.
        value: f64,
        /// What is allowed.
        expected: &'static str,
    },
    /// Two files of one comparison are not about the same items.
    #[error(
        "`{what}` of item {index} differ between the compared files; \
         compare files of the same items in the same order"
    )]
    Mismatch {
        /// `labels` or `clusters`.
        what: &'static str,
        /// The first item that differs, from 0.
        index: usize,
    },
    /// Too few of something to estimate its spread.
    #[error("{found} {what}, expected at least {expected}")]
    TooFew {
        /// What there are too few of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many are needed.
        expected: usize,
    },
    /// Most resamples of a bootstrap had no score.
    #[error(
        "{redrawn} resamples were redrawn for {replicates} replicates because `{metric}` was \
         undefined on them, more than 5 %; the rarest class has too few items"
    )]
    Degenerate {
        /// The score.
        metric: String,
        /// Resamples thrown away.
        redrawn: usize,
        /// Replicates asked for.
        replicates: usize,
    },
}

impl MetricError {
    pub(crate) fn undefined(metric: &str, why: impl Into<String>) -> Self {
        Self::Undefined { metric: metric.to_owned(), why: why.into() }
    }
}

fn hint(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// Errs unless `found` equals `expected`.
pub(crate) fn same_length(what: &'static str, expected: usize, found: usize) -> Result<()> {
    if expected == found { Ok(()) } else { Err(MetricError::Lengths { what, expected, found }) }
}

/// Errs at the first value that is NaN or infinite.
pub(crate) fn finite(what: &'static str, values: &[f64]) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(MetricError::NotFinite { what, index }),
        None => Ok(()),
    }
}

/// Errs unless `level` is a confidence level.
pub(crate) fn confidence(what: &'static str, level: f64) -> Result<()> {
    if level > 0.0 && level < 1.0 {
        Ok(())
    } else {
        Err(MetricError::Setting { what, value: level, expected: "a number between 0 and 1" })
    }
}
