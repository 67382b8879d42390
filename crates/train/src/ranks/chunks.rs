//! Chunks of a split that go through a model, each at one rank, with what comes out at all.

use std::time::Instant;

use bytemuck::{cast_slice, pod_collect_to_vec};
use candle_core::Tensor;
use mmc_data::Split;
use mmc_preprocess::{Batch, Loader};
use serde::{Deserialize, Serialize};

use super::{Ranks, unreadable};
use crate::TrainError;

/// Chunks that a rank computes, at most, before all tell each other what they found: so many that a slow
/// one does not count.
const LONGEST_BUNCH: usize = 32;

/// Bunches become shorter where they take longer: within one nobody is asked whether to stop.
const BUNCH_MILLISECONDS: u64 = 1000;

/// What came out of a chunk.
#[derive(Serialize, Deserialize)]
pub(crate) struct Chunk {
    /// Which of the split's it is.
    pub(crate) number: usize,
    /// The places in the split of the items that could be prepared.
    pub(crate) items: Vec<usize>,
    /// Texts of theirs that were cut.
    pub(crate) cut_texts: usize,
    /// Numbers of each row.
    pub(crate) width: usize,
    /// `[items, width]`; behind the JSON.
    #[serde(skip)]
    pub(crate) values: Vec<f32>,
}

impl Chunk {
    /// The row of each item.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks(self.width.max(1))
    }
}

/// Whether there is more to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Goes,
    Stops,
}

/// Lets `compute` make `[rows, width]` of each of this rank's chunks, which `loader` prepares, and gives
/// `take` those of all ranks, a bunch at a time, in the order of the split; of a chunk without a usable
/// item too. Stops where `take` says so, which has to say the same at each rank; once all chunks were taken
/// there is nothing left to stop.
pub(crate) fn share_chunks(
    ranks: &Ranks,
    (split, chunks): (&Split, &[Vec<usize>]),
    mut loader: Loader,
    compute: &mut dyn FnMut(&Batch) -> Result<Tensor, TrainError>,
    take: &mut dyn FnMut(Vec<Chunk>) -> Result<Next, TrainError>,
) -> Result<Next, TrainError> {
    let share = ranks.share();
    let rounds = chunks.len().div_ceil(ranks.count());
    let mut pending = None;
    let (mut begin, mut length) = (0, 1);
    while begin < rounds {
        let end = begin + length;
        let began = Instant::now();
        let mut own = Vec::new();
        loop {
            if pending.is_none() {
                pending = loader.next().transpose()?.zip(loader.shard());
            }
            let Some((batch, nth)) = pending.take_if(|(_, nth)| *nth < end) else { break };
            let number = share.number(nth);
            let items = present(split, &chunks[number], &batch.ids);
            let rows = compute(&batch)?;
            let (width, values) = (rows.dim(1)?, rows.flatten_all()?.to_vec1::<f32>()?);
            own.push(Chunk { number, items, cut_texts: loader.cut_texts(), width, values });
        }
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (mut found, mut slowest) = (Vec::new(), 0);
        for message in ranks.gather_bytes(message(&own, took)?)? {
            let (own, took) = read(&message)?;
            found.extend(own);
            slowest = took.max(slowest);
        }
        found.sort_by_key(|chunk| chunk.number);
        let mut found = found.into_iter().peekable();
        let numbers = begin * ranks.count()..chunks.len().min(end * ranks.count());
        let empty = |number| Chunk {
            number,
            items: Vec::new(),
            cut_texts: 0,
            width: 0,
            values: Vec::new(),
        };
        let whole = numbers.map(|number| {
            found.next_if(|chunk| chunk.number == number).unwrap_or_else(|| empty(number))
        });
        if take(whole.collect())? == Next::Stops && end < rounds {
            return Ok(Next::Stops);
        }
        (begin, length) = (end, next_length(length, slowest));
    }
    Ok(Next::Goes)
}

/// How many chunks of each rank the next bunch has, after one of `length` that took the slowest rank this
/// long. It decides when ranks meet, and nothing of what they find.
fn next_length(length: usize, milliseconds: u64) -> usize {
    if milliseconds > BUNCH_MILLISECONDS {
        (length / 2).max(1)
    } else if milliseconds <= BUNCH_MILLISECONDS / 2 {
        (2 * length).min(LONGEST_BUNCH)
    } else {
        length
    }
}

/// The items of a chunk that are in its batch.
pub(crate) fn present(split: &Split, chunk: &[usize], ids: &[String]) -> Vec<usize> {
    let mut ids = ids.iter().peekable();
    let is_there = |item: &usize| ids.next_if(|id| **id == split.samples[*item].id).is_some();
    chunk.iter().copied().filter(is_there).collect()
}

/// Chunks, with the milliseconds that they took, as JSON, its length before it, their values behind it.
fn message(chunks: &[Chunk], milliseconds: u64) -> Result<Vec<u8>, TrainError> {
    let json = serde_json::to_vec(&(chunks, milliseconds)).map_err(|error| unreadable(&error))?;
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend(json);
    for chunk in chunks {
        bytes.extend_from_slice(cast_slice(&chunk.values));
    }
    Ok(bytes)
}

fn read(message: &[u8]) -> Result<(Vec<Chunk>, u64), TrainError> {
    let cut = || TrainError::Transport { problem: "a message between ranks is cut".to_owned() };
    let (length, rest) = message.split_first_chunk().ok_or_else(cut)?;
    let length = u64::from_le_bytes(*length) as usize;
    let (json, mut values) = rest.split_at_checked(length).ok_or_else(cut)?;
    let (mut chunks, milliseconds): (Vec<Chunk>, u64) =
        serde_json::from_slice(json).map_err(|error| unreadable(&error))?;
    for chunk in &mut chunks {
        let bytes = chunk.items.len() * chunk.width * size_of::<f32>();
        let own;
        (own, values) = values.split_at_checked(bytes).ok_or_else(cut)?;
        chunk.values = pod_collect_to_vec(own);
    }
    Ok((chunks, milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bunches that are slow become single chunks, fast ones as long as they may.
    #[test]
    fn a_bunch_takes_about_a_second() {
        let lengths = |milliseconds_a_chunk: u64| {
            let mut length = 1;
            let mut next = || {
                length = next_length(length, milliseconds_a_chunk * length as u64);
                length
            };
            (0..8).map(|_| next()).collect::<Vec<_>>()
        };
        assert_eq!(lengths(1), [2, 4, 8, 16, 32, 32, 32, 32]);
        assert_eq!(lengths(100), [2, 4, 8, 8, 8, 8, 8, 8]);
        assert_eq!(lengths(9_000), [1; 8]);
        assert_eq!(next_length(32, 2_000), 16);
    }
}
