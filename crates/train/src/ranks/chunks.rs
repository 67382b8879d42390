//! Chunks of a split that go through a model, each at one rank, with what comes out at all.

use bytemuck::{cast_slice, pod_collect_to_vec};
use candle_core::Tensor;
use mmc_data::Split;
use mmc_preprocess::{Batch, Loader};
use serde::{Deserialize, Serialize};

use super::{Ranks, unreadable};
use crate::TrainError;

/// Chunks that a rank computes before all tell each other what they found.
const BUNCH: usize = 32;

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
/// item too. Ends early where `take` says so, which has to say the same at each rank.
pub(crate) fn share_chunks(
    ranks: &Ranks,
    (split, chunks): (&Split, &[Vec<usize>]),
    mut loader: Loader,
    compute: &mut dyn FnMut(&Batch) -> Result<Tensor, TrainError>,
    take: &mut dyn FnMut(Vec<Chunk>) -> Result<Next, TrainError>,
) -> Result<(), TrainError> {
    let share = ranks.share();
    let rounds = chunks.len().div_ceil(ranks.count());
    let mut pending = None;
    for bunch in (0..rounds).step_by(BUNCH) {
        let end = bunch + BUNCH;
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
        let mut found = Vec::new();
        for message in ranks.gather_bytes(message(&own)?)? {
            found.extend(read(&message)?);
        }
        found.sort_by_key(|chunk| chunk.number);
        let mut found = found.into_iter().peekable();
        let numbers = bunch * ranks.count()..chunks.len().min(end * ranks.count());
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
        if take(whole.collect())? == Next::Stops {
            break;
        }
    }
    Ok(())
}

/// The items of a chunk that are in its batch.
pub(crate) fn present(split: &Split, chunk: &[usize], ids: &[String]) -> Vec<usize> {
    let mut ids = ids.iter().peekable();
    let is_there = |item: &usize| ids.next_if(|id| **id == split.samples[*item].id).is_some();
    chunk.iter().copied().filter(is_there).collect()
}

/// Chunks as JSON, its length before it, their values behind it.
fn message(chunks: &[Chunk]) -> Result<Vec<u8>, TrainError> {
    let json = serde_json::to_vec(chunks).map_err(|error| unreadable(&error))?;
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend(json);
    for chunk in chunks {
        bytes.extend_from_slice(cast_slice(&chunk.values));
    }
    Ok(bytes)
}

fn read(message: &[u8]) -> Result<Vec<Chunk>, TrainError> {
    let cut = || TrainError::Transport { problem: "a message between ranks is cut".to_owned() };
    let (length, rest) = message.split_first_chunk().ok_or_else(cut)?;
    let length = u64::from_le_bytes(*length) as usize;
    let (json, mut values) = rest.split_at_checked(length).ok_or_else(cut)?;
    let mut chunks: Vec<Chunk> =
        serde_json::from_slice(json).map_err(|error| unreadable(&error))?;
    for chunk in &mut chunks {
        let bytes = chunk.items.len() * chunk.width * size_of::<f32>();
        let own;
        (own, values) = values.split_at_checked(bytes).ok_or_else(cut)?;
        chunk.values = pod_collect_to_vec(own);
    }
    Ok(chunks)
}
