//! Who computes the shards of a step and adds their gradients, always in the order of the shards.

use mmc_ops::Gradients;

use crate::ranks::OrderedSum;
use crate::replicas::Replicas;
use crate::step::{Shard, ShardWork, Summed};
use crate::{Plan, TrainError};

/// One of three, which give the same bytes on the CPU.
pub(crate) enum Adders {
    /// One device, a shard after the other.
    One,
    /// Several devices of this process.
    Devices(Replicas),
    /// Several processes.
    Ranks(Box<OrderedSum>),
}

impl Adders {
    pub(crate) fn of(plan: &Plan) -> Result<Self, TrainError> {
        if !plan.ranks.is_alone() {
            return Ok(Self::Ranks(Box::new(OrderedSum::new(&plan.ranks))));
        }
        Self::devices(plan.devices)
    }

    /// This many devices of this process.
    pub(crate) fn devices(count: usize) -> Result<Self, TrainError> {
        Ok(Replicas::new(count)?.map_or(Self::One, Self::Devices))
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
        }
    }
}
