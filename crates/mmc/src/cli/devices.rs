//! `--devices`: what computes.

use clap::Args;
use mmc_train::{ComputeDevice, Devices};

use crate::failure::Failure;

/// What computes, as it is explained: a build says what it can.
const ONE: &str = if cfg!(feature = "cuda") {
    "What computes: `cpu`, with as many threads as RAYON_NUM_THREADS says, or one CUDA device, \
     `cuda:N` [default: cuda:0]"
} else {
    "What computes; in this build the CPU alone, with as many threads as RAYON_NUM_THREADS says"
};

/// The same of a run.
const SEVERAL: &str = if cfg!(feature = "cuda") {
    "What computes: CUDA devices, `cuda:0` or `cuda:0,cuda:1`, each with the whole model, which share \
     the shards of each step; or the CPU as one device, `cpu`, or several, `cpu,cpu`, which share its \
     threads and those shards: each more of them takes memory for one shard's states and one set of \
     gradients, and changes no bit. Of several ranks each takes one of them [default: all CUDA devices]"
} else {
    "What computes: the CPU as one device, `cpu`, with as many threads as RAYON_NUM_THREADS says, \
     or as several, `cpu,cpu`, which share its threads and the shards of each step; each more of \
     them takes memory for one shard's states and one set of gradients, and changes no bit \
     [default: cpu]"
};

/// One device.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct DeviceFlags {
    /// Explained by the build.
    #[arg(long = "devices", value_name = if cfg!(feature = "cuda") { "cpu|cuda:N" } else { "cpu" })]
    #[arg(help_heading = "Running", help = ONE)]
    devices: Option<ComputeDevice>,
}

impl DeviceFlags {
    /// The device that was asked for, or the usual one of this build.
    pub(crate) fn device(self) -> Result<ComputeDevice, Failure> {
        Ok(self.devices.map_or_else(ComputeDevice::usual, Ok)?)
    }
}

/// The devices of a run.
#[derive(Args, Clone, Debug)]
pub(crate) struct TrainDeviceFlags {
    /// Explained by the build.
    #[arg(long = "devices", value_name = if cfg!(feature = "cuda") { "cpu,…|cuda:N,…" } else { "cpu,…" })]
    #[arg(help_heading = "Running", help = SEVERAL)]
    devices: Option<Devices>,
}

impl TrainDeviceFlags {
    /// The devices that were asked for, or the usual one of this build.
    pub(crate) fn devices(self) -> Result<Devices, Failure> {
        match self.devices {
            Some(devices) => Ok(devices),
            None => Ok(Devices::usual()?),
        }
    }
}
