//! Gradients that ranks add up by NCCL, each on its own CUDA device.
//!
//! Each rank adds its own shards in their order; NCCL adds what the ranks have, in an order that depends
//! on how many there are and how they are connected. All get the same bits, since each number is added up
//! at one place.

use std::collections::HashSet;

use candle_core::Device;
use mmc_ops::Gradients;
use mmc_ops::cuda::{Collective, identity};

use super::Ranks;
use super::told::{Told, total};
use crate::TrainError;
use crate::step::{Shard, ShardWork, Summed};

/// A rank's part in it. It stays on the thread that made it.
#[derive(Debug)]
pub(crate) struct AllReduce {
    ranks: Ranks,
    collective: Collective,
}

impl AllReduce {
    /// Connects the devices of all ranks, which all call this; `None` where ranks compute on the CPU or
    /// share a device, which NCCL does not serve.
    pub(crate) fn among(ranks: &Ranks, device: &Device) -> Result<Option<Self>, TrainError> {
        if device.is_cpu() {
            return Ok(None);
        }
        let all = ranks.gather_bytes(identity(device)?.to_vec())?;
        if all.iter().collect::<HashSet<_>>().len() < all.len() {
            return Ok(None);
        }
        let mut id = if ranks.is_first() { Collective::id()? } else { [0; 128] };
        ranks.broadcast(&mut id)?;
        let collective = Collective::join(device, (ranks.rank(), ranks.count()), id)?;
        Ok(Some(Self { ranks: ranks.clone(), collective }))
    }

    /// Computes this rank's shards of a step and puts the sums over all ranks' into `gradients`; what
    /// they sum up to beside. All ranks have the same after it.
    pub(crate) fn add(
        &self,
        gradients: &mut Gradients,
        work: &ShardWork<'_>,
        shards: impl Iterator<Item = Result<Shard, TrainError>>,
    ) -> Result<Summed, TrainError> {
        let mut told = Vec::new();
        for shard in shards {
            let shard = shard?;
            told.push(Told::of(shard.number, work.add_to(gradients, shard)?));
        }
        let sums = gradients.all_sums()?;
        // A rank that failed has ended: the others learn of it here, and not in NCCL, which waits for ever.
        let told: Vec<Told> = self.ranks.gather(&told)?.into_iter().flatten().collect();
        if !told.is_empty() {
            self.collective.add(&sums)?;
        }
        Ok(total(told))
    }
}
