//! The devices of a plan.

use candle_core::Device;
use mmc_run::PartialSettings;

use crate::{ComputeDevice, Devices, Plan, TrainError};

/// Devices that are ready.
pub(super) struct Opened {
    /// The first.
    pub(super) device: Device,
    /// The other CUDA devices.
    pub(super) beside: Vec<Device>,
    /// As how many the CPU computes, where it does.
    pub(super) cpu_devices: usize,
    /// Whether each CUDA device gets its share of a step as one shard.
    pub(super) cuts_by_devices: bool,
}

impl Opened {
    pub(super) fn of(devices: &Devices, asked: &PartialSettings) -> Result<Self, TrainError> {
        let mut opened = devices.each().into_iter().map(ComputeDevice::open);
        let device = opened.next().unwrap_or(Ok(Device::Cpu))?;
        let (beside, cpu_devices) = match devices {
            Devices::Cpu(count) => (Vec::new(), (*count).max(1)),
            Devices::Cuda(_) => (opened.collect::<Result<_, _>>()?, 1),
        };
        let cuts_by_devices = device.is_cuda() && asked.shard_rows.is_none();
        Ok(Self { device, beside, cpu_devices, cuts_by_devices })
    }
}

impl Plan {
    /// The devices of this process.
    pub(crate) fn opened(&self) -> impl Iterator<Item = &Device> {
        std::iter::once(&self.device).chain(&self.beside)
    }

    /// On CUDA, gives each of so many devices its share of a step as one shard, unless rows were asked
    /// for.
    pub(crate) fn cut_by(&mut self, devices: usize) {
        if self.cuts_by_devices {
            self.settings.shard_rows = self.settings.items_per_step().div_ceil(devices);
        }
    }

    /// How many shards a full step has.
    pub(crate) fn shards_per_step(&self) -> usize {
        let rows = self.settings.items_per_step().min(self.train.len());
        rows.div_ceil(self.settings.shard_rows.max(1))
    }

    /// Cuts a step for the devices of this process; one without a shard costs memory for nothing.
    pub(super) fn settle_devices(&mut self) {
        let devices = 1 + self.beside.len();
        self.cut_by(devices);
        let shards = self.shards_per_step();
        if devices > shards {
            let rows = self.settings.shard_rows;
            self.notes.push(format!(
                "a step has {shards} shards of `--shard-rows {rows}` rows, so that {} of {devices} \
                 devices have nothing to do; name fewer, or raise `--batch-size`",
                devices - shards
            ));
        }
    }
}
