//! `tensorboard/`: what a run records of its steps and evaluations, as TensorBoard reads it.
//!
//! The file is made from `train.jsonl` and `eval.jsonl` whenever a sitting begins, so it holds each
//! step once, like these; later records are added as they arise. The format is that of TensorFlow's
//! event files: `Event` messages (`tensorflow/core/util/event.proto`), each between its length and
//! checksums (`tensorflow/core/lib/io/record_writer.h`).

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use crate::{EvalRecord, RunError, RunFolder, StepRecord, write_atomically};

/// What every event file begins with.
const VERSION: &str = "brain.Event:2";
/// `SessionLog.START`: what was shown of an earlier file, which this one replaces, is void.
const START: i32 = 1;

/// The event file of a run that is going on.
#[derive(Debug)]
pub struct EventLog {
    file: File,
    path: PathBuf,
}

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

impl EventLog {
    /// Begins `tensorboard/` of a run anew from its records. When a step was taken is known of those
    /// that an earlier event file holds; of others it is now.
    ///
    /// # Errors
    /// [`RunError`] naming the file: a record that cannot be read, a folder that cannot be written.
    pub fn begin(run: &RunFolder) -> Result<Self, RunError> {
        let folder = run.tensorboard();
        fs::create_dir_all(&folder).map_err(RunError::io(&folder))?;
        let old = event_files(&folder)?;
        let times: HashMap<i64, f64> = old
            .iter()
            .flat_map(|path| events(&fs::read(path).unwrap_or_default()))
            .filter(|event| event.summary.is_some())
            .map(|event| (event.step, event.wall_time))
            .collect();
        let at = |event: Event| {
            let wall_time = times.get(&event.step).copied().unwrap_or(event.wall_time);
            Event { wall_time, ..event }
        };
        let mut all = vec![
            Event { file_version: Some(VERSION.to_owned()), ..now(0) },
            Event { session_log: Some(SessionLog { status: START }), ..now(0) },
        ];
        // Readers want steps that do not fall.
        let mut evaluations = run.evaluations()?.into_iter().peekable();
        for step in run.steps()? {
            all.push(at(step_event(&step)));
            while let Some(found) = evaluations.next_if(|found| found.step <= step.step) {
                all.push(at(evaluation_event(&found)));
            }
        }
        all.extend(evaluations.map(|found| at(evaluation_event(&found))));
        let path = fresh_name(&folder, &old);
        write_atomically(&path, |out| {
            all.iter()
                .try_for_each(|event| out.write_all(&framed(event)).map_err(RunError::io(&path)))
        })?;
        for other in old.iter().filter(|other| **other != path) {
            fs::remove_file(other).map_err(RunError::io(other))?;
        }
        let file = File::options().append(true).open(&path).map_err(RunError::io(&path))?;
        Ok(Self { file, path })
    }

    /// Adds a step.
    ///
    /// # Errors
    /// [`RunError::Io`] naming the file.
    pub fn step(&mut self, record: &StepRecord) -> Result<(), RunError> {
        self.add(&step_event(record))
    }

    /// Adds an evaluation.
    ///
    /// # Errors
    /// [`RunError::Io`] naming the file.
    pub fn evaluation(&mut self, record: &EvalRecord) -> Result<(), RunError> {
        self.add(&evaluation_event(record))
    }

    fn add(&mut self, event: &Event) -> Result<(), RunError> {
        self.file.write_all(&framed(event)).map_err(RunError::io(&self.path))
    }
}

/// The event files of a folder, the oldest first.
fn event_files(folder: &Path) -> Result<Vec<PathBuf>, RunError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(RunError::io(folder))? {
        let path = entry.map_err(RunError::io(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.contains(".tfevents.") {
            files.push(path);
        } else if name.starts_with(".writing-") {
            fs::remove_file(&path).map_err(RunError::io(&path))?; // of a sitting that was killed
        }
    }
    files.sort();
    Ok(files)
}

/// A name that sorts behind those of before: TensorBoard goes from one file to the next by name.
fn fresh_name(folder: &Path, old: &[PathBuf]) -> PathBuf {
    let name = |seconds: u64| folder.join(format!("events.out.tfevents.{seconds:010}.mmc"));
    let mut seconds = now(0).wall_time as u64;
    while old.last().is_some_and(|last| *last >= name(seconds)) && seconds < 9_999_999_999 {
        seconds += 1;
    }
    name(seconds)
}

fn now(step: u64) -> Event {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    Event { wall_time: since.as_secs_f64(), step, ..Event::default() }
}

/// An event of those values that are there.
fn event(step: u64, values: impl IntoIterator<Item = (String, Option<f64>)>) -> Event {
    let value = |(tag, value): (String, Option<f64>)| {
        value.map(|value| Value { tag, simple_value: Some(value as f32) })
    };
    let value = values.into_iter().filter_map(value).collect();
    Event { summary: Some(Summary { value }), ..now(step) }
}

/// Tags `train/…`; of a level below the head `train/grad_norm/below_head_N`, the head's level 0.
fn step_event(record: &StepRecord) -> Event {
    let named = |name: &str, value| (format!("train/{name}"), value);
    let levels = |name: &'static str, values: &[f64]| {
        let one = |(level, &value)| (format!("train/{name}/below_head_{level}"), Some(value));
        values.iter().enumerate().map(one).collect::<Vec<_>>()
    };
    let values = [
        named("loss", record.loss),
        named("learning_rate", Some(record.learning_rate)),
        named("grad_norm", record.grad_norm),
        named("samples_per_second", Some(record.samples_per_second)),
        named("loader_wait_seconds", Some(record.loader_wait_seconds)),
        named("loss_scale", record.loss_scale),
        named("skipped", record.skipped.map(|skipped| skipped as f64)),
    ];
    let levels = levels("learning_rate", &record.learning_rates)
        .into_iter()
        .chain(levels("grad_norm", &record.grad_norms));
    event(record.step, values.into_iter().chain(levels))
}

/// Tags `SPLIT/METRIC`.
fn evaluation_event(record: &EvalRecord) -> Event {
    let named = |name: &str, value| (format!("{}/{name}", record.split), value);
    let scores = record.scores.iter().map(|(name, value)| named(name, *value));
    event(record.step, [named("loss", record.loss)].into_iter().chain(scores))
}

/// Length, its checksum, the message, its checksum.
fn framed(event: &Event) -> Vec<u8> {
    let message = event.encode_to_vec();
    let length = (message.len() as u64).to_le_bytes();
    let parts = [&length[..], &checksum(&length), &message, &checksum(&message)];
    parts.concat()
}

/// CRC-32C, masked so that a checksum of data with checksums in it is no weaker.
fn checksum(data: &[u8]) -> [u8; 4] {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// The whole events at the beginning of a file.
fn events(bytes: &[u8]) -> Vec<Event> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some((event, behind)) = split(rest) {
        found.push(event);
        rest = behind;
    }
    found
}

/// The first event and what is behind it; `None` where there is none, or it is damaged.
fn split(bytes: &[u8]) -> Option<(Event, &[u8])> {
    let (length, rest) = bytes.split_at_checked(8)?;
    let (length_sum, rest) = rest.split_at_checked(4)?;
    if length_sum != checksum(length) {
        return None;
    }
    let length = u64::from_le_bytes(length.try_into().ok()?);
    let (message, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    let (sum, rest) = rest.split_at_checked(4)?;
    if sum != checksum(message) {
        return None;
    }
    Some((Event::decode(message).ok()?, rest))
}

#[cfg(test)]
mod tests;
