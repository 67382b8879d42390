//! How far ahead of its caller a loader prepares.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Lets the threads of a loader begin a shard when there is room for it.
///
/// The next `shards` always have room, so that whoever waits is served. Further ones have it while all
/// that is held stays below `bytes`: small batches are taken so fast that a few shards are no reserve.
/// That reserve is filled, used to its half and filled again, since a thread that is woken may take the
/// core of the one that wakes it, which is the caller.
pub(super) struct Ahead {
    shards: usize,
    bytes: usize,
    held: Mutex<Held>,
    room: Condvar,
}

#[derive(Default)]
struct Held {
    /// Shards that the caller has taken.
    taken: usize,
    /// Shards that were begun and are not prepared yet.
    in_hand: usize,
    /// Bytes of the shards that are prepared and not taken yet.
    bytes: usize,
    /// Bytes of the largest shard so far: what one in hand is taken to become.
    largest: usize,
    /// The shards that threads wait for room for.
    awaited: Vec<usize>,
    /// Whether the reserve was full and is not half empty yet.
    enough: bool,
    stopped: bool,
}

impl Ahead {
    pub(super) fn new(shards: usize, bytes: usize) -> Self {
        Self { shards, bytes, held: Mutex::default(), room: Condvar::new() }
    }

    /// Waits until there is room for the shard with this index; whether it may be begun, which it may
    /// not once the loader has stopped.
    pub(super) fn begin(&self, shard: usize) -> bool {
        let mut held = self.held();
        if !self.has_room(&held, shard) {
            held.enough = true;
            held.awaited.push(shard);
            let no_room = |held: &mut Held| !held.stopped && !self.has_room(held, shard);
            held = self.room.wait_while(held, no_room).unwrap_or_else(PoisonError::into_inner);
            held.awaited.retain(|&other| other != shard);
        }
        held.in_hand += 1;
        !held.stopped
    }

    /// Counts a shard as prepared.
    pub(super) fn prepared(&self, bytes: usize) {
        let mut held = self.held();
        held.in_hand -= 1;
        held.bytes += bytes;
        held.largest = held.largest.max(bytes);
    }

    /// Counts a shard of this size as taken.
    pub(super) fn taken(&self, bytes: usize) {
        let mut held = self.held();
        held.taken += 1;
        held.bytes -= bytes;
        held.enough &= held.bytes > self.bytes / 2;
        let room = held.awaited.iter().any(|&shard| self.has_room(&held, shard));
        drop(held);
        if room {
            self.room.notify_all();
        }
    }

    /// Nothing more may be begun.
    pub(super) fn stop(&self) {
        self.held().stopped = true;
        self.room.notify_all();
    }

    fn has_room(&self, held: &Held, shard: usize) -> bool {
        let needed = held.largest.saturating_mul(held.in_hand + 1).saturating_add(held.bytes);
        let reserve = held.largest > 0 && !held.enough && needed <= self.bytes;
        shard < held.taken.saturating_add(self.shards) || reserve
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
