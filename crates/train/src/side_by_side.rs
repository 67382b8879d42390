//! Several CUDA devices in one process: each is a rank of the run, on a thread of its own.
//!
//! A device has a model, an optimiser and one stream, and all that is asked of it is asked by one
//! thread. The first device's is the caller's, which writes the run's folder and tells what happens.

use std::thread::{Builder, ScopedJoinHandle, scope};

use candle_core::Device;
use mmc_run::RunFolder;

use crate::ranks::{Ranks, connect};
use crate::{Outcome, Plan, Progress, TrainError};

/// Lets `train` do each device's part of the plan; what the first found. Where one fails the others end
/// too, and its error is the run's.
pub(crate) fn side_by_side(
    plan: &Plan,
    folder: &RunFolder,
    progress: &mut dyn FnMut(Progress<'_>),
    train: impl Fn(&Plan, &RunFolder, &mut dyn FnMut(Progress<'_>)) -> Result<Outcome, TrainError>
    + Sync,
) -> Result<Outcome, TrainError> {
    let mut connected = connect(1 + plan.beside.len()).into_iter();
    let Some((ranks, ended)) = connected.next() else { return train(plan, folder, progress) };
    let (span, train) = (tracing::Span::current(), &train);
    scope(|scope| {
        let mut started = Vec::new();
        let mut refused = None;
        for ((ranks, ended), device) in connected.zip(&plan.beside) {
            let (plan, span) = (of_device(plan, device, ranks), span.clone());
            let work = move || {
                let _span = span.enter();
                let _ended = ended; // dropped behind the work, be it in a panic
                in_own_folder(|folder| train(&plan, folder, &mut |_| ()))
            };
            let name = format!("device {}", started.len() + 1);
            match Builder::new().name(name).spawn_scoped(scope, work) {
                Ok(thread) => started.push(thread),
                Err(error) => refused = Some(without_thread(&error)),
            }
        }
        let done = match refused {
            Some(error) => Err(error),
            None => train(&of_device(plan, &plan.device, ranks), folder, progress),
        };
        drop(ended);
        first_cause(done, started.into_iter().map(joined).collect())
    })
}

/// The plan of one of the devices.
fn of_device(plan: &Plan, device: &Device, ranks: Ranks) -> Plan {
    Plan { device: device.clone(), ranks, ..plan.clone() }
}

/// A device's part of a run that writes to a folder which is thrown away.
fn in_own_folder(
    work: impl FnOnce(&RunFolder) -> Result<Outcome, TrainError>,
) -> Result<Outcome, TrainError> {
    let place = tempfile::tempdir().map_err(TrainError::io(&std::env::temp_dir()))?;
    work(&RunFolder::create(place.path())?)
}

/// What a device did; its panic goes on here.
fn joined(
    thread: ScopedJoinHandle<'_, Result<Outcome, TrainError>>,
) -> Result<Outcome, TrainError> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// What the first device found; where some failed, why the first of them did, and not only that
/// another had ended.
fn first_cause(
    first: Result<Outcome, TrainError>,
    others: Vec<Result<Outcome, TrainError>>,
) -> Result<Outcome, TrainError> {
    let is_cause = |one: &Result<Outcome, TrainError>| {
        one.as_ref().is_err_and(|error| !matches!(error, TrainError::RankEnded))
    };
    let failed = others.into_iter().find(is_cause);
    if is_cause(&first) { first } else { failed.unwrap_or(first) }
}

/// The system gives a device no thread.
fn without_thread(error: &std::io::Error) -> TrainError {
    TrainError::Device {
        device: "cuda".to_owned(),
        problem: format!("a thread cannot be started: {error}; name fewer devices"),
    }
}
