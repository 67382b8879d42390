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

/// What computes a run, as it is typed: one device, or several of the CPU (`cpu,cpu`), which share
/// the shards of each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Devices {
    /// What each is.
    pub device: ComputeDevice,
    /// How many there are.
    pub count: usize,
}

impl From<ComputeDevice> for Devices {
    fn from(device: ComputeDevice) -> Self {
        Self { device, count: 1 }
    }
}

impl fmt::Display for Devices {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = vec![self.device.to_string(); self.count];
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
        match named.as_slice() {
            &[device] => Ok(device.into()),
            many if many.len() > MOST_DEVICES => Err(device_error(
                "cpu,…",
                "more devices than any machine has threads for; name as many as it has, or fewer",
            )),
            several if several.iter().all(|&device| device == ComputeDevice::Cpu) => {
                Ok(Self { device: ComputeDevice::Cpu, count: several.len() })
            }
            _ => Err(device_error(
                text,
                "a run is computed by one CUDA device, or by the CPU as one or several; name \
                 one, such as `cuda:0`, or write `cpu,cpu`",
            )),
        }
    }
}

impl ComputeDevice {
    /// The device of a run that names none: the first CUDA device of a build for CUDA, else the
    /// CPU.
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

/// [`ComputeDevice::memory_bytes`] of a device that is open.
pub(crate) fn peak_device_memory_bytes(device: &Device) -> Option<u64> {
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
        for typed in ["cpu", "cpu,cpu,cpu", "cuda:3"] {
            let devices = typed.parse::<Devices>().unwrap();
            assert_eq!(devices.to_string(), typed);
            assert_eq!(devices.count, typed.split(',').count());
        }
        for wrong in ["cuda:0,cuda:1", "cpu,cuda:0", "cpu,", "cpu,gpu"] {
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
