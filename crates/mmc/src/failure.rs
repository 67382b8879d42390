//! How a command ends when it does not end well.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use mmc_data::DataError;
use mmc_metrics::MetricError;
use mmc_models::ModelError;
use mmc_run::RunError;
use mmc_train::TrainError;

/// What is printed after `error: `, and which of the two exit codes it gets.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The work failed.
    Work,
    /// It was asked for wrongly.
    Usage,
}

impl Failure {
    /// The work failed: exit code 1.
    pub(crate) fn work(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: Kind::Work }
    }

    /// It was asked for wrongly: exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: Kind::Usage }
    }

    /// What is printed after `error: `.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// 1 or 2.
    pub(crate) fn code(&self) -> u8 {
        match self.kind {
            Kind::Work => 1,
            Kind::Usage => 2,
        }
    }

    /// The same as a program returns it.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "error: {}", self.message.replace('\n', "\n  "))
    }
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let kind = if is_usage(&error) { Kind::Usage } else { Kind::Work };
        Self { message: flattened(&error), kind }
    }
}

/// Whether what was asked for makes no sense, rather than having failed.
fn is_usage(error: &(dyn Error + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<TrainError>() {
        return error.is_usage();
    }
    if let Some(error) = error.downcast_ref::<ModelError>() {
        return error.is_usage();
    }
    if let Some(error) = error.downcast_ref::<RunError>() {
        return matches!(
            error,
            RunError::Config { .. }
                | RunError::Settings { .. }
                | RunError::Unknown { .. }
                | RunError::Occupied { .. }
        );
    }
    if let Some(error) = error.downcast_ref::<DataError>() {
        return matches!(error, DataError::Unknown { .. } | DataError::Setting(_));
    }
    matches!(
        error.downcast_ref::<MetricError>(),
        Some(MetricError::UnknownMetric { .. } | MetricError::Setting { .. })
    )
}

/// The message and those of its causes that it does not hold already.
fn flattened(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        source = cause.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let source = std::io::Error::other("no room");
        let failure = Failure::from(RunError::Io { path: "run".into(), source });
        assert_eq!(failure.to_string(), "error: run: no room");
        assert_eq!(failure.kind, Kind::Work);
    }

    #[test]
    fn names_outside_a_closed_set_are_usage_errors() {
        let failure = Failure::from("liner".parse::<mmc_run::Schedule>().unwrap_err());
        assert_eq!(failure.kind, Kind::Usage);
        let failure = Failure::from(mmc_data::dataset("tabel").unwrap_err());
        assert_eq!(failure.kind, Kind::Usage);
        let failure = Failure::from(mmc_metrics::metric("acuracy").unwrap_err());
        assert_eq!(failure.kind, Kind::Usage);
    }
}
