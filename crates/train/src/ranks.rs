//! Several processes that share one run, such as `mpirun` starts.
//!
//! Every rank holds all weights and computes its share of the shards of a step. Rank 0 writes the run's
//! folder and tells what happens; the others have a folder of their own that is thrown away. A
//! [`Transport`] moves bytes between them, in the order in which they were given, and adds nothing up:
//! who adds, and in which order, is said in `ranks/ordered_sum.rs`.

mod agreement;
#[cfg(feature = "nccl")]
mod all_reduce;
mod chunks;
mod files;
mod ordered_sum;
mod session;
mod shared_predict;
mod state;
mod threads;
mod told;

#[cfg_attr(not(feature = "mpi"), path = "ranks/without_mpi.rs")]
mod mpi;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(feature = "nccl")]
pub(crate) use all_reduce::AllReduce;
pub(crate) use chunks::{Next, present, share_chunks};
pub(crate) use files::share_folder;
pub(crate) use ordered_sum::OrderedSum;
pub use session::Session;
pub(crate) use shared_predict::predict_among;
pub(crate) use state::{check_source, check_weights, share_state};
pub(crate) use threads::connect;

use crate::TrainError;

/// What moves bytes between the ranks of a run. Each call is made by all of them, in the same order,
/// with buffers of the same size, and returns when this rank has what it is given.
pub trait Transport: fmt::Debug + Send + Sync {
    /// The number of this rank, from 0.
    fn rank(&self) -> usize;

    /// How many ranks there are.
    fn count(&self) -> usize;

    /// Gives every rank the bytes that rank 0 has.
    ///
    /// # Errors
    /// Where the bytes cannot be moved.
    fn broadcast(&self, bytes: &mut [u8]) -> Result<(), TrainError>;

    /// Gives every rank the bytes of all: `all` is `count` times as long as `own` and has them in the
    /// order of the ranks.
    ///
    /// # Errors
    /// As [`Transport::broadcast`].
    fn all_gather(&self, own: &[u8], all: &mut [u8]) -> Result<(), TrainError>;

    /// Cuts `sent` into as many equal parts as there are ranks and gives rank i the part i; `received`
    /// then has the parts for this rank, in the order of the ranks that sent them.
    ///
    /// # Errors
    /// As [`Transport::broadcast`].
    fn all_to_all(&self, sent: &[u8], received: &mut [u8]) -> Result<(), TrainError>;
}

/// Bytes that are moved at once: long enough that what a message costs by itself does not count.
const PIECE: usize = 4 << 20;

/// Who shares a run; by default nobody but this process.
#[derive(Clone, Debug, Default)]
pub struct Ranks {
    /// Absent for one rank.
    transport: Option<Arc<dyn Transport>>,
}

/// Which shards are a rank's: those whose number it has as the remainder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) rank: usize,
    pub(crate) count: usize,
}

impl Share {
    /// All of them.
    #[cfg(test)]
    pub(crate) const WHOLE: Self = Self { rank: 0, count: 1 };

    pub(crate) fn takes(self, number: usize) -> bool {
        number % self.count == self.rank
    }

    /// The number of the `nth` that is its own, from 0.
    pub(crate) fn number(self, nth: usize) -> usize {
        self.rank + nth * self.count
    }

    /// Those of some shards that are its own.
    pub(crate) fn own<T>(self, all: &[T]) -> impl Iterator<Item = &T> {
        all.iter().skip(self.rank).step_by(self.count)
    }

    /// How many of so many are its own.
    pub(crate) fn of(self, numbers: usize) -> usize {
        (numbers + self.count - 1 - self.rank) / self.count
    }
}

impl Ranks {
    /// The ranks that this transport connects.
    #[must_use]
    pub fn of(transport: Arc<dyn Transport>) -> Self {
        Self { transport: (transport.count() > 1).then_some(transport) }
    }

    /// The number of this rank, from 0.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.transport.as_ref().map_or(0, |transport| transport.rank())
    }

    /// How many ranks there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.transport.as_ref().map_or(1, |transport| transport.count())
    }

    /// Whether this is the rank that writes and tells.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Whether this is the only one.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.transport.is_none()
    }

    pub(crate) fn share(&self) -> Share {
        Share { rank: self.rank(), count: self.count() }
    }

    /// A number of each rank, from 0 to 255.
    pub(crate) fn gather_flags(&self, own: u8) -> Result<Vec<u8>, TrainError> {
        let mut all = vec![own; self.count()];
        if let Some(transport) = &self.transport {
            transport.all_gather(&[own], &mut all)?;
        }
        Ok(all)
    }

    /// Whether any rank says so. Nobody goes on before all have said it.
    pub(crate) fn any(&self, own: bool) -> Result<bool, TrainError> {
        Ok(self.gather_flags(own.into())?.contains(&1))
    }

    /// What each rank gives, in their order.
    pub(crate) fn gather<T>(&self, own: &T) -> Result<Vec<T>, TrainError>
    where
        T: Serialize + DeserializeOwned,
    {
        let own = serde_json::to_vec(own).map_err(|error| unreadable(&error))?;
        let all = self.gather_bytes(own)?;
        all.iter()
            .map(|one| serde_json::from_slice(one).map_err(|error| unreadable(&error)))
            .collect()
    }

    /// The bytes that each rank gives, be they more or fewer than another's.
    pub(crate) fn gather_bytes(&self, own: Vec<u8>) -> Result<Vec<Vec<u8>>, TrainError> {
        let Some(transport) = &self.transport else { return Ok(vec![own]) };
        let mut lengths = vec![0; 8 * self.count()];
        transport.all_gather(&(own.len() as u64).to_le_bytes(), &mut lengths)?;
        let length =
            |bytes: &[u8]| bytes.iter().rev().fold(0, |sum, &byte| (sum << 8) | usize::from(byte));
        let lengths: Vec<usize> = lengths.chunks(8).map(length).collect();
        let longest = lengths.iter().copied().max().unwrap_or_default();
        let mut all: Vec<Vec<u8>> =
            lengths.iter().map(|&length| Vec::with_capacity(length)).collect();
        for start in (0..longest).step_by(PIECE) {
            let width = PIECE.min(longest - start);
            let mut piece =
                own.get(start..own.len().min(start + width)).unwrap_or_default().to_vec();
            piece.resize(width, 0);
            let mut received = vec![0; width * all.len()];
            transport.all_gather(&piece, &mut received)?;
            for ((one, piece), length) in all.iter_mut().zip(received.chunks(width)).zip(&lengths) {
                one.extend_from_slice(&piece[..width.min(length - one.len())]);
            }
        }
        Ok(all)
    }

    /// Gives every rank what rank 0 has.
    pub(crate) fn broadcast_value<T>(&self, own: T) -> Result<T, TrainError>
    where
        T: Serialize + DeserializeOwned,
    {
        let Some(transport) = &self.transport else { return Ok(own) };
        let mut bytes = serde_json::to_vec(&own).map_err(|error| unreadable(&error))?;
        let mut length = (bytes.len() as u64).to_le_bytes();
        transport.broadcast(&mut length)?;
        bytes.resize(u64::from_le_bytes(length) as usize, 0);
        self.broadcast(&mut bytes)?;
        serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))
    }

    /// Gives every rank the bytes of rank 0, of which all know the number.
    pub(crate) fn broadcast(&self, bytes: &mut [u8]) -> Result<(), TrainError> {
        let Some(transport) = &self.transport else { return Ok(()) };
        bytes.chunks_mut(PIECE).try_for_each(|piece| transport.broadcast(piece))
    }
}

/// What another rank sent cannot be read, or this one's not be written down.
fn unreadable(error: &serde_json::Error) -> TrainError {
    TrainError::Transport { problem: format!("a message between ranks cannot be read: {error}") }
}
