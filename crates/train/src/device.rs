//! What computes: the CPU, or a CUDA device.

use std::fmt;
use std::str::FromStr;

use candle_core::{Device, DeviceLocation};

use crate::TrainError;

/// What computes a run, as it is typed: `cpu`, `cuda:0`, `cuda:1`, …
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ComputeDevice {
    /// The CPU, with as many threads as rayon has.
    #[default]
    Cpu,
    /// The CUDA device of this number.
    Cuda(usize),
}

impl fmt::Display for ComputeDevice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => formatter.write_str("cpu"),
            Self::Cuda(index) => write!(formatter, "cuda:{index}"),
        }
    }
}

impl FromStr for ComputeDevice {
    type Err = TrainError;

    fn from_str(text: &str) -> Result<Self, TrainError> {
        if text == "cpu" {
            return Ok(Self::Cpu);
        }
        if let Some(Ok(index)) = text.strip_prefix("cuda:").map(str::parse) {
            return Ok(Self::Cuda(index));
        }
        let problem = if text.contains(',') {
            "one device computes here; name one, such as `cpu` or `cuda:0`"
        } else {
            "expected `cpu` or `cuda:N`, such as `cuda:0`"
        };
        Err(device_error(text, problem))
    }
}

/// What computes a run, as it is typed: several devices share the shards of each step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Devices {
    /// The CPU as so many devices (`cpu,cpu`), which share its threads.
    Cpu(usize),
    /// The CUDA devices of these numbers (`cuda:0,cuda:1`), of which each has the whole model.
    Cuda(Vec<usize>),
}

impl From<ComputeDevice> for Devices {
    fn from(device: ComputeDevice) -> Self {
        match device {
            ComputeDevice::Cpu => Self::Cpu(1),
            ComputeDevice::Cuda(index) => Self::Cuda(vec![index]),
        }
    }
}

impl fmt::Display for Devices {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.each().iter().map(ToString::to_string).collect();
        formatter.write_str(&names.join(","))
    }
}

/// Devices of a run: each has threads of its own.
const MOST_DEVICES: usize = 256;

impl FromStr for Devices {
    type Err = TrainError;

    fn from_str(text: &str) -> Result<Self, TrainError> {
        let named: Vec<ComputeDevice> =
            text.split(',').map(str::parse).collect::<Result<_, TrainError>>()?;
        let cuda = |device: &ComputeDevice| match device {
            ComputeDevice::Cpu => None,
            ComputeDevice::Cuda(index) => Some(*index),
        };
        let indices: Vec<usize> = named.iter().filter_map(cuda).collect();
        match (named.len(), indices.len()) {
            (all, _) if all > MOST_DEVICES => Err(device_error(
                "cpu,…",
                "more devices than any machine has threads for; name as many as it has, or fewer",
            )),
            (all, 0) => Ok(Self::Cpu(all)),
            (all, on_cuda) if all == on_cuda => Ok(Self::Cuda(indices)),
            _ => Err(device_error(
                text,
                "a run is computed by CUDA devices or by the CPU, not by both; name either, such as `cuda:0`, \
                 `cuda:0,cuda:1` or `cpu,cpu`",
            )),
        }
    }
}

impl Devices {
    /// The devices of a run that names none: all CUDA devices of a build for CUDA, else the CPU.
    ///
    /// # Errors
    /// [`TrainError::Device`] where a build for CUDA finds no device.
    pub fn usual() -> Result<Self, TrainError> {
        match ComputeDevice::usual()? {
            ComputeDevice::Cpu => Ok(Self::Cpu(1)),
            first @ ComputeDevice::Cuda(_) => Ok(Self::Cuda((0..count(first)?).collect())),
        }
    }

    /// Each of them, in the order in which they are typed.
    #[must_use]
    pub fn each(&self) -> Vec<ComputeDevice> {
        match self {
            Self::Cpu(count) => vec![ComputeDevice::Cpu; *count],
            Self::Cuda(indices) => {
                indices.iter().map(|&index| ComputeDevice::Cuda(index)).collect()
            }
        }
    }

    /// The one of a rank that has so many below it on its machine; those who outnumber the devices
    /// share them in turn.
    #[must_use]
    pub fn of_rank(&self, below: usize) -> ComputeDevice {
        let all = self.each();
        all.get(below % all.len().max(1)).copied().unwrap_or_default()
    }
}

impl ComputeDevice {
    /// The device of a command that names none and takes one: the first CUDA device of a build for
    /// CUDA, else the CPU.
    ///
    /// # Errors
    /// [`TrainError::Device`] where a build for CUDA finds no device.
    pub fn usual() -> Result<Self, TrainError> {
        if cfg!(feature = "cuda") {
            return match count(Self::Cuda(0))? {
                0 => Err(device_error(
                    "cuda:0",
                    "this build is for CUDA, and the machine has no CUDA device; use `--devices \
                     cpu`",
                )),
                _ => Ok(Self::Cuda(0)),
            };
        }
        Ok(Self::Cpu)
    }

    /// Makes the device ready.
    ///
    /// # Errors
    /// [`TrainError::Device`] for a CUDA device in a build without CUDA, one that is not there, or
    /// one that the driver refuses.
    pub fn open(self) -> Result<Device, TrainError> {
        let Self::Cuda(index) = self else { return Ok(Device::Cpu) };
        let count = count(self)?;
        if index >= count {
            let problem = match count {
                0 => "this machine has no CUDA device; use `--devices cpu`".to_owned(),
                1 => "this machine has one CUDA device, `cuda:0`".to_owned(),
                _ => format!(
                    "this machine has {count} CUDA devices, `cuda:0` to `cuda:{}`",
                    count - 1
                ),
            };
            return Err(device_error(&self.to_string(), problem));
        }
        open(index)
    }

    /// The most bytes that tensors took at one time on a CUDA device, over the life of this
    /// process; `None` for the CPU.
    #[must_use]
    pub fn memory_bytes(self) -> Option<u64> {
        match self {
            Self::Cpu => None,
            Self::Cuda(index) => peak_of(index),
        }
    }
}

fn device_error(device: &str, problem: impl Into<String>) -> TrainError {
    TrainError::Device { device: device.to_owned(), problem: problem.into() }
}

#[cfg(not(feature = "cuda"))]
const NOT_BUILT: &str = "this build is for the CPU alone; build it with `cargo build --release -p mmc \
                         --features cuda` (docs/cuda.md), or use `--devices cpu`";

#[cfg(not(feature = "cuda"))]
fn count(device: ComputeDevice) -> Result<usize, TrainError> {
    Err(device_error(&device.to_string(), NOT_BUILT))
}

#[cfg(feature = "cuda")]
fn count(device: ComputeDevice) -> Result<usize, TrainError> {
    let silent = |error| device_error(&device.to_string(), format!("{error}; use `--devices cpu`"));
    mmc_ops::cuda::count().map_err(silent)
}

#[cfg(not(feature = "cuda"))]
fn open(index: usize) -> Result<Device, TrainError> {
    Err(device_error(&ComputeDevice::Cuda(index).to_string(), NOT_BUILT))
}

#[cfg(feature = "cuda")]
fn open(index: usize) -> Result<Device, TrainError> {
    let refused = |error: candle_core::Error| {
        let words = error.to_string();
        let first = words.lines().next().unwrap_or_default();
        device_error(&format!("cuda:{index}"), format!("{first}; use `--devices cpu`"))
    };
    mmc_ops::cuda::open(index).map_err(refused)
}

#[cfg(not(feature = "cuda"))]
fn peak_of(_index: usize) -> Option<u64> {
    None
}

#[cfg(feature = "cuda")]
fn peak_of(index: usize) -> Option<u64> {
    mmc_ops::cuda::memory(index).ok().map(|memory| memory.peak_used_bytes)
}

/// [`ComputeDevice::memory_bytes`] of the open device on which that is the most.
pub(crate) fn peak_device_memory_bytes<'a>(
    devices: impl IntoIterator<Item = &'a Device>,
) -> Option<u64> {
    devices.into_iter().filter_map(peak_on).max()
}

fn peak_on(device: &Device) -> Option<u64> {
    match device.location() {
        DeviceLocation::Cuda { gpu_id } => ComputeDevice::Cuda(gpu_id).memory_bytes(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_as_they_are_typed() {
        for device in [ComputeDevice::Cpu, ComputeDevice::Cuda(0), ComputeDevice::Cuda(13)] {
            assert_eq!(device.to_string().parse::<ComputeDevice>().unwrap(), device);
        }
        for wrong in ["gpu", "cuda", "cuda:", "cuda:x", "cpu:0", ""] {
            let error = wrong.parse::<ComputeDevice>().unwrap_err();
            assert!(error.is_usage() && error.to_string().contains("`cuda:0`"), "{error}");
        }
        let error = "cpu,cpu".parse::<ComputeDevice>().unwrap_err();
        assert!(error.to_string().contains("one device"), "{error}");
        for typed in ["cpu", "cpu,cpu,cpu", "cuda:3", "cuda:1,cuda:0"] {
            let devices = typed.parse::<Devices>().unwrap();
            assert_eq!(devices.to_string(), typed);
            assert_eq!(devices.each().len(), typed.split(',').count());
        }
        let several: Devices = "cuda:1,cuda:0".parse().unwrap();
        let of_ranks: Vec<String> = (0..3).map(|at| several.of_rank(at).to_string()).collect();
        assert_eq!(of_ranks, ["cuda:1", "cuda:0", "cuda:1"]);
        for wrong in ["cpu,cuda:0", "cpu,", "cpu,gpu", "cuda:0,"] {
            let error = wrong.parse::<Devices>().unwrap_err();
            assert!(error.is_usage() && error.to_string().contains("`cuda:0`"), "{error}");
        }
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_build_without_cuda_says_how_to_get_one() {
        assert_eq!(ComputeDevice::usual().unwrap(), ComputeDevice::Cpu);
        let error = ComputeDevice::Cuda(0).open().unwrap_err();
        assert!(error.is_usage() && error.to_string().contains("--features cuda"), "{error}");
        let error = ComputeDevice::Cuda(1).open().unwrap_err().to_string();
        assert!(error.contains("`cuda:1`"), "as it was typed: {error}");
    }
}
