//! Gradients of shards that several ranks compute, added in the order of the shards.
//!
//! A sum in floating point depends on its order, and the sum of each rank's own sum would depend on how
//! many ranks there are. So each shard's gradient goes by itself: every rank owns an equal part of the
//! gradient, gets that part of all ranks' shards, and adds them in the order of the shards; at the end
//! of the step all get all parts. The sums are the bytes that one process makes.
//!
//! With one shard a rank this moves as many bytes as a ring that adds up (Patarasuk and Yuan, 2009): a
//! reduce-scatter and an all-gather, 2 (n − 1)/n times the gradient to and from each of n ranks. Each
//! further shard of a rank takes half as many again.

use std::iter::Peekable;

use mmc_ops::Gradients;

use super::Ranks;
use super::told::{Told, total};
use crate::TrainError;
use crate::step::{Shard, ShardWork, Summed};

/// Numbers that are exchanged at once: 16 MiB.
const BUCKET: usize = 4 << 20;

/// A rank of [`OrderedSum::add`] has a shard in this round.
const HAS_ONE: u8 = 1;
/// It will have another.
const HAS_MORE: u8 = 2;

/// What a rank needs to add shards with others.
#[derive(Debug)]
pub(crate) struct OrderedSum {
    ranks: Ranks,
    bucket: usize,
    /// This rank's part of the sums: its part of each bucket, one after the other.
    part: Vec<f32>,
    sent: Vec<f32>,
    received: Vec<f32>,
}

impl OrderedSum {
    pub(crate) fn new(ranks: &Ranks) -> Self {
        Self::with_bucket(ranks, BUCKET)
    }

    pub(crate) fn with_bucket(ranks: &Ranks, bucket: usize) -> Self {
        let (part, sent, received) = (Vec::new(), Vec::new(), Vec::new());
        Self { ranks: ranks.clone(), bucket, part, sent, received }
    }

    /// Computes this rank's shards of a step and puts the sums over all ranks' into `gradients`; what
    /// they sum up to beside. All ranks have the same after it.
    pub(crate) fn add(
        &mut self,
        gradients: &mut Gradients,
        work: &ShardWork<'_>,
        shards: impl Iterator<Item = Result<Shard, TrainError>>,
    ) -> Result<Summed, TrainError> {
        let share = self.ranks.share();
        let (mut shards, mut told, mut any) = (shards.peekable(), Vec::new(), false);
        for round in 0.. {
            let number = share.number(round);
            let shard = numbered(&mut shards, number)?;
            let mut flags = 0;
            if let Some(shard) = shard {
                gradients.reset();
                told.push(Told::of(number, work.add_to(gradients, shard)?));
                flags |= HAS_ONE;
            }
            if shards.peek().is_some() {
                flags |= HAS_MORE;
            }
            let all = self.ranks.gather_flags(flags)?;
            if all.iter().any(|flags| flags & HAS_ONE != 0) {
                self.add_round(gradients, &all, any)?;
                any = true;
            }
            if all.iter().all(|flags| flags & HAS_MORE == 0) {
                break;
            }
        }
        if any {
            self.collect(gradients)?;
        }
        Ok(total(self.ranks.gather(&told)?.into_iter().flatten().collect()))
    }

    /// Adds this rank's part of the shards of a round; `begun`: to what is there.
    fn add_round(
        &mut self,
        gradients: &Gradients,
        flags: &[u8],
        begun: bool,
    ) -> Result<(), TrainError> {
        let (elements, count) = (gradients.elements(), self.ranks.count());
        let has_one = |rank: usize| flags[rank] & HAS_ONE != 0;
        let mut at = 0;
        for from in (0..elements).step_by(self.bucket) {
            let length = self.bucket.min(elements - from);
            let width = length.div_ceil(count);
            self.sent.clear();
            self.sent.resize(width * count, 0.0);
            self.received.resize(width * count, 0.0);
            if has_one(self.ranks.rank()) {
                gradients.copy_to(from, &mut self.sent[..length])?;
            }
            self.ranks.all_to_all(&self.sent, &mut self.received)?;
            if self.part.len() < at + width {
                self.part.resize(at + width, 0.0);
            }
            let part = &mut self.part[at..at + width];
            let mut begun = begun;
            for (rank, one) in self.received.chunks(width).enumerate() {
                if !has_one(rank) {
                    continue;
                }
                if begun {
                    part.iter_mut().zip(one).for_each(|(sum, more)| *sum += more);
                } else {
                    part.copy_from_slice(one);
                }
                begun = true;
            }
            at += width;
        }
        Ok(())
    }

    /// Gives every rank all parts.
    fn collect(&mut self, gradients: &mut Gradients) -> Result<(), TrainError> {
        let (elements, count) = (gradients.elements(), self.ranks.count());
        let mut at = 0;
        for from in (0..elements).step_by(self.bucket) {
            let length = self.bucket.min(elements - from);
            let width = length.div_ceil(count);
            self.received.resize(width * count, 0.0);
            self.ranks.all_gather(&self.part[at..at + width], &mut self.received)?;
            gradients.copy_from(from, &self.received[..length])?;
            at += width;
        }
        Ok(())
    }
}

/// The shard with this number, if it comes next; one may be absent, since its items were left out.
fn numbered(
    shards: &mut Peekable<impl Iterator<Item = Result<Shard, TrainError>>>,
    number: usize,
) -> Result<Option<Shard>, TrainError> {
    shards.next_if(|next| next.as_ref().map_or(true, |shard| shard.number == number)).transpose()
}

/// Numbers between ranks.
impl Ranks {
    fn all_to_all(&self, sent: &[f32], received: &mut [f32]) -> Result<(), TrainError> {
        if let Some(transport) = &self.transport {
            let (sent, received) = (bytemuck::cast_slice(sent), bytemuck::cast_slice_mut(received));
            return transport.all_to_all(sent, received);
        }
        received.copy_from_slice(sent);
        Ok(())
    }

    fn all_gather(&self, own: &[f32], all: &mut [f32]) -> Result<(), TrainError> {
        if let Some(transport) = &self.transport {
            return transport.all_gather(bytemuck::cast_slice(own), bytemuck::cast_slice_mut(all));
        }
        all.copy_from_slice(own);
        Ok(())
    }
}
