//! The state of a run between two steps, on disk: whole or not at all, and checked when read.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use mmc_models::Parameter;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::TrainError;
use crate::loss_scale::LossScaler;

const PARAMETERS: &str = "parameters.safetensors";
const MOMENTS: &str = "moments.safetensors";
const COUNTERS: &str = "counters.json";
const CHECKSUMS: &str = "checksums.json";
const UNFINISHED: &str = ".writing-";
/// What the name of a state begins with while another of its step takes its place.
const REPLACED: &str = ".replaced-";

/// Where a run is, beside its tensors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counters {
    /// Optimiser steps done.
    pub(crate) step: u64,
    /// The evaluation whose model is in `checkpoint/`.
    pub(crate) best: Option<Best>,
    /// Evaluations since then.
    pub(crate) since_best: u64,
    /// The evaluation after this step was stopped, and has to be made before the next one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) evaluation_due: bool,
    /// Seconds of work so far, over all sittings.
    pub(crate) seconds: f64,
    /// The largest resident memory of any sitting.
    pub(crate) peak_memory_bytes: u64,
    /// The most memory that tensors took on a CUDA device, of any sitting on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) peak_device_memory_bytes: Option<u64>,
    /// Texts of the first epoch that were cut, so far.
    #[serde(default)]
    pub(crate) cut_texts: usize,
    /// Items of the first epoch that had to be left out, so far.
    #[serde(default)]
    pub(crate) skipped_items: usize,
    /// Steps without a usable item: the optimiser did not take them.
    #[serde(default)]
    pub(crate) empty_steps: u64,
    /// The scale of the loss, where it is scaled, and how many steps it made the optimiser skip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) loss_scaler: Option<LossScaler>,
    /// [`checksum_of_frozen`](crate::variant::checksum_of_frozen) of the model, whose values are not in the state.
    #[serde(default)]
    pub(crate) frozen: Option<String>,
}

impl Counters {
    /// Steps that the optimiser took: not those without an item or with a gradient that was not finite.
    pub(crate) fn steps_taken(&self) -> u64 {
        let skipped = self.loss_scaler.map_or(0, |scaler| scaler.skipped);
        self.step.saturating_sub(self.empty_steps + skipped)
    }
}

/// The best evaluation so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    /// The step after which it was made.
    pub(crate) step: u64,
    /// The selection metric; `None` where it was undefined, which ranks last.
    pub(crate) value: Option<f64>,
}

/// A state read back from disk; the parameters are still to be set.
pub(crate) struct State {
    pub(crate) counters: Counters,
    parameters: HashMap<String, Tensor>,
    moments: HashMap<String, Tensor>,
}

/// `checksums.json`: hex SHA-256 of each other file of the state, by name.
type Checksums = BTreeMap<String, String>;

/// Writes the state after `counters.step` steps into `folder/step-N/` and leaves the `keep` newest
/// states there. It is written aside, brought to the disk and renamed, so a process that ends at
/// any moment leaves the states before it as they were.
pub(crate) fn save(
    folder: &Path,
    parameters: &[Parameter],
    moments: &[(&str, &Tensor)],
    counters: &Counters,
    keep: usize,
) -> Result<(), TrainError> {
    fs::create_dir_all(folder).map_err(TrainError::io(folder))?;
    let aside = folder.join(format!("{UNFINISHED}{}", counters.step));
    remove(&aside)?;
    // On a full disk half a state would be in the way of what comes next.
    write(&aside, parameters, moments, counters).inspect_err(|_| drop(remove(&aside)))?;
    let place = folder.join(format!("step-{}", counters.step));
    let replaced = folder.join(format!("{REPLACED}{}", counters.step));
    if place.is_dir() {
        // Of the same step, before an evaluation was made up: there is always one of the two.
        remove(&replaced)?;
        fs::rename(&place, &replaced).map_err(TrainError::io(&place))?;
    }
    fs::rename(&aside, &place).map_err(TrainError::io(&place))?;
    sync(folder)?;
    remove(&replaced)?;
    for (_, old) in states(folder)?.into_iter().skip(keep.max(1)) {
        remove(&old)?;
    }
    Ok(())
}

/// Writes all files of a state into a new folder and brings them to the disk.
fn write(
    aside: &Path,
    parameters: &[Parameter],
    moments: &[(&str, &Tensor)],
    counters: &Counters,
) -> Result<(), TrainError> {
    fs::create_dir(aside).map_err(TrainError::io(aside))?;
    let active = parameters.iter().filter(|parameter| parameter.active);
    let values = active.map(|parameter| (&*parameter.name, parameter.var.as_tensor()));
    for (name, tensors) in [(PARAMETERS, values.collect()), (MOMENTS, moments.to_vec())] {
        let tensors: HashMap<&str, Tensor> = tensors
            .into_iter()
            .map(|(name, tensor): (&str, &Tensor)| (name, tensor.clone()))
            .collect();
        let path = aside.join(name);
        candle_core::safetensors::save(&tensors, &path)
            .map_err(|error| TrainError::io(&path)(std::io::Error::other(error.to_string())))?;
    }
    write_json(&aside.join(COUNTERS), counters)?;
    let mut checksums = Checksums::new();
    for name in [PARAMETERS, MOMENTS, COUNTERS] {
        let path = aside.join(name);
        sync(&path)?;
        checksums.insert(name.to_owned(), checksum(&path)?);
    }
    write_json(&aside.join(CHECKSUMS), &checksums)?;
    sync(&aside.join(CHECKSUMS))?;
    sync(aside)
}

/// The newest state that is whole and of which `usable` finds nothing amiss, and what was amiss
/// with newer ones, in words.
pub(crate) fn newest(
    folder: &Path,
    usable: impl Fn(&State) -> Result<(), String>,
) -> Result<(Option<State>, Vec<String>), TrainError> {
    let mut problems = Vec::new();
    let mut found = None;
    for (step, path) in states(folder)? {
        let checked = read(&path).map_err(|error| error.to_string()).and_then(|state| {
            if state.counters.step != step {
                return Err(format!("it is the state of step {}", state.counters.step));
            }
            usable(&state).map(|()| state)
        });
        match checked {
            Ok(state) => {
                found = Some(state);
                break;
            }
            Err(problem) => problems.push((path, problem)),
        }
    }
    let instead = match &found {
        Some(state) => format!("the run goes on from the state of step {}", state.counters.step),
        None => "no other can be used, so the run begins again at its first step".to_owned(),
    };
    let warning = |(path, problem): (PathBuf, String)| {
        format!("{}: this state cannot be used: {problem}; {instead}", path.display())
    };
    Ok((found, problems.into_iter().map(warning).collect()))
}

/// The step of the newest state, usable or not.
pub(crate) fn newest_step(folder: &Path) -> Option<u64> {
    states(folder).ok()?.first().map(|(step, _)| *step)
}

impl State {
    /// Says what of `parameters` it lacks, or holds in another shape. `frozen`: their
    /// [`checksum_of_frozen`](crate::variant::checksum_of_frozen).
    pub(crate) fn fits(&self, parameters: &[Parameter], frozen: &str) -> Result<(), String> {
        let same = self.counters.frozen.as_deref() == Some(frozen);
        for parameter in parameters {
            let name = &parameter.name;
            let dims = parameter.var.dims();
            match self.parameters.get(name) {
                None if !parameter.active && same => {}
                None if !parameter.active => {
                    return Err("what does not train is not what the run began with; put the \
                                checkpoint back that it began with"
                        .to_owned());
                }
                None => return Err(format!("it lacks the parameter `{name}`")),
                Some(found) if found.dims() != dims => {
                    return Err(format!("`{name}` is {:?}, expected {dims:?}", found.dims()));
                }
                Some(_) => {}
            }
            let elements = parameter.var.elem_count();
            if parameter.active
                && self.moments.get(name).is_none_or(|found| found.dims() != [2, elements])
            {
                return Err(format!("it lacks the moments of `{name}`"));
            }
        }
        Ok(())
    }

    /// Sets every parameter and returns the moments of the active ones, in their order.
    pub(crate) fn restore(mut self, parameters: &[Parameter]) -> Result<Vec<Tensor>, TrainError> {
        let mut moments = Vec::new();
        for parameter in parameters {
            if let Some(value) = self.parameters.remove(&parameter.name) {
                parameter.var.set(&value.to_device(parameter.var.device())?)?;
            }
            if parameter.active
                && let Some(moment) = self.moments.remove(&parameter.name)
            {
                moments.push(moment.to_device(parameter.var.device())?);
            }
        }
        Ok(moments)
    }
}

fn read(path: &Path) -> Result<State, TrainError> {
    let checksums: Checksums = read_json(&path.join(CHECKSUMS))?;
    for name in [PARAMETERS, MOMENTS, COUNTERS] {
        let path = path.join(name);
        if checksums.get(name) != Some(&checksum(&path)?) {
            return Err(damaged(&path, &"it is not as it was written (another checksum)"));
        }
    }
    let tensors = |name| candle_core::safetensors::load(path.join(name), &Device::Cpu);
    Ok(State {
        counters: read_json(&path.join(COUNTERS))?,
        parameters: tensors(PARAMETERS)?,
        moments: tensors(MOMENTS)?,
    })
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), TrainError> {
    let text = serde_json::to_vec_pretty(value).map_err(|error| damaged(path, &error))?;
    fs::write(path, text).map_err(TrainError::io(path))
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, TrainError> {
    let text = fs::read(path).map_err(TrainError::io(path))?;
    serde_json::from_slice(&text).map_err(|error| damaged(path, &error))
}

/// The states of a folder, the newest first.
fn states(folder: &Path) -> Result<Vec<(u64, PathBuf)>, TrainError> {
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(TrainError::io(folder)(error)),
    };
    let (mut states, mut left) = (Vec::new(), Vec::new());
    for entry in listing {
        let path = entry.map_err(TrainError::io(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(step) = name.strip_prefix("step-").and_then(|step| step.parse().ok()) {
            states.push((step, path));
        } else if name.starts_with('.') {
            left.push((name.strip_prefix(REPLACED).and_then(|step| step.parse().ok()), path));
        }
    }
    // By a process that was killed while it wrote.
    for (replaced, path) in left {
        match replaced {
            Some(step) if states.iter().all(|(other, _)| *other != step) => {
                let place = folder.join(format!("step-{step}"));
                fs::rename(&path, &place).map_err(TrainError::io(&place))?;
                states.push((step, place));
            }
            _ => remove(&path)?,
        }
    }
    states.sort_by_key(|(step, _)| std::cmp::Reverse(*step));
    Ok(states)
}

fn checksum(path: &Path) -> Result<String, TrainError> {
    let mut file = File::open(path).map_err(TrainError::io(path))?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut hash).map_err(TrainError::io(path))?;
    Ok(digits(hash))
}

/// A hash in hexadecimal digits.
pub(crate) fn digits(hash: Sha256) -> String {
    hash.finalize().iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"))
}

/// Brings a file, or the names in a folder, to the disk.
pub(crate) fn sync(path: &Path) -> Result<(), TrainError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(TrainError::io(path))
}

/// Removes a folder, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), TrainError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(TrainError::io(path)(error))
        }
        _ => Ok(()),
    }
}

fn damaged(path: &Path, problem: &dyn std::fmt::Display) -> TrainError {
    TrainError::Io {
        path: path.to_owned(),
        source: std::io::Error::new(std::io::ErrorKind::InvalidData, problem.to_string()),
    }
}

#[cfg(test)]
mod tests;
