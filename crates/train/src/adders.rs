//! Who computes the shards of a step and adds their gradients.

use mmc_ops::Gradients;

#[cfg(feature = "nccl")]
use crate::ranks::AllReduce;
use crate::ranks::OrderedSum;
use crate::replicas::Replicas;
use crate::step::{Shard, ShardWork, Summed};
use crate::{Plan, Progress, TrainError};

/// One of four. All but the last add in the order of the shards, and give the same bytes on the CPU.
pub(crate) enum Adders {
    /// One device, a shard after the other.
    One,
    /// Several CPU devices of this process.
    Devices(Replicas),
    /// Several ranks, through the memory of their processes.
    Ranks(Box<OrderedSum>),
    /// Several ranks with a CUDA device each, by NCCL, in its order.
    #[cfg(feature = "nccl")]
    AllReduce(AllReduce),
}

impl Adders {
    pub(crate) fn of(plan: &Plan) -> Result<Self, TrainError> {
        if plan.ranks.is_alone() {
            return Self::devices(plan.cpu_devices);
        }
        #[cfg(feature = "nccl")]
        if let Some(all_reduce) = AllReduce::among(&plan.ranks, &plan.device)? {
            return Ok(Self::AllReduce(all_reduce));
        }
        Ok(Self::Ranks(Box::new(OrderedSum::new(&plan.ranks))))
    }

    /// This many CPU devices of this process.
    pub(crate) fn devices(count: usize) -> Result<Self, TrainError> {
        Ok(Replicas::new(count)?.map_or(Self::One, Self::Devices))
    }

    /// Says how gradients of several CUDA devices are added; that it is slow is a warning.
    pub(crate) fn tell(&self, plan: &Plan, progress: &mut dyn FnMut(Progress<'_>)) {
        let devices = plan.ranks.count();
        if plan.device.is_cpu() || devices == 1 {
            return;
        }
        match self {
            #[cfg(feature = "nccl")]
            Self::AllReduce(_) => progress(Progress::Note(&format!(
                "gradients of {devices} devices are added by NCCL"
            ))),
            _ => progress(Progress::Warning(&format!(
                "gradients of {devices} devices are added in the order of the shards, through the \
                 memory of the CPU: that is slow; `--devices cuda:0` may be faster, and so is a build with \
                 the feature `nccl`, where each device is another (docs/cuda.md)"
            ))),
        }
    }

    /// Adds the gradients of all shards to `gradients`, which are reset; what they sum up to beside.
    pub(crate) fn add(
        &mut self,
        gradients: &mut Gradients,
        work: &ShardWork<'_>,
        shards: impl Iterator<Item = Result<Shard, TrainError>>,
    ) -> Result<Summed, TrainError> {
        match self {
            Self::One => {
                let mut total = Summed::default();
                for shard in shards {
                    total.append(work.add_to(gradients, shard?)?);
                }
                Ok(total)
            }
            Self::Devices(replicas) => replicas.add(gradients, work, shards),
            Self::Ranks(sum) => sum.add(gradients, work, shards),
            #[cfg(feature = "nccl")]
            Self::AllReduce(all_reduce) => all_reduce.add(gradients, work, shards),
        }
    }
}
