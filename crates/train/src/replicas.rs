//! Several CPU devices in one process: threads that share the shards of a step.
//!
//! All read the same parameters, so that none holds a copy. A device computes one shard at a time on
//! threads of its own; the gradients of shards are added in the order of the shards
//! ([`mmc_ops::Turns`]), so that the number of devices changes no bit.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use mmc_ops::{Gradients, Turns};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::TrainError;
use crate::step::{Shard, ShardWork, Summed};

/// The threads of each device.
#[derive(Debug)]
pub(crate) struct Replicas {
    pools: Vec<ThreadPool>,
}

/// What became of a shard: its number, its loss, and what it held.
struct Done {
    number: usize,
    outcome: Result<Summed, TrainError>,
}

impl Replicas {
    /// This many devices, which share the threads of this one; `None` for one device, which has
    /// them all anyway.
    pub(crate) fn new(devices: usize) -> Result<Option<Self>, TrainError> {
        if devices < 2 {
            return Ok(None);
        }
        let threads = rayon::current_num_threads();
        let pool = |device: usize| {
            let share = threads_of(device, devices, threads);
            let name = move |thread| format!("cpu {device}, thread {thread}");
            let built = ThreadPoolBuilder::new().num_threads(share).thread_name(name).build();
            built.map_err(|error| without_thread(&error))
        };
        Ok(Some(Self { pools: (0..devices).map(pool).collect::<Result<_, _>>()? }))
    }

    /// Adds the gradients of all shards to `gradients`; what they sum up to, or the error of the
    /// first that failed, as on one device; or that a device's thread cannot be started.
    pub(crate) fn add(
        &self,
        gradients: &mut Gradients,
        work: &ShardWork<'_>,
        shards: impl Iterator<Item = Result<Shard, TrainError>>,
    ) -> Result<Summed, TrainError> {
        // A shard is prepared ahead for whoever is free next, no more.
        let (sender, receiver) = sync_channel::<(usize, Shard)>(0);
        let receiver = Arc::new(Mutex::new(receiver));
        let mut unread = None;
        let done = gradients.in_turns(|turns| {
            std::thread::scope(|scope| {
                let mut devices = Vec::with_capacity(self.pools.len());
                for pool in &self.pools {
                    let receiver = Arc::clone(&receiver);
                    let take = move || pool.install(|| take_shards(&receiver, turns, work));
                    let started = std::thread::Builder::new().spawn_scoped(scope, take);
                    // Where one does not start, those that did end with the sender.
                    devices.push(started.map_err(|error| without_thread(&error))?);
                }
                drop(receiver); // it goes with the last device
                for (number, shard) in shards.enumerate() {
                    let sent = match shard {
                        Ok(shard) => sender.send((number, shard)).is_ok(),
                        Err(error) => {
                            unread = Some(Done { number, outcome: Err(error) });
                            false
                        }
                    };
                    if !sent {
                        break;
                    }
                }
                drop(sender);
                Ok::<Vec<Done>, TrainError>(devices.into_iter().flat_map(joined).collect())
            })
        });
        let mut done = done?;
        done.extend(unread);
        done.sort_by_key(|done| done.number);
        let mut total = Summed::default();
        for Done { outcome, .. } in done {
            total.append(outcome?);
        }
        Ok(total)
    }
}

/// How many of `threads` threads a device gets: an equal share, the first ones one more, one at least.
fn threads_of(device: usize, devices: usize, threads: usize) -> usize {
    (threads / devices + usize::from(device < threads % devices)).max(1)
}

/// The system gives a device no thread.
fn without_thread(error: &dyn std::fmt::Display) -> TrainError {
    TrainError::Device {
        device: "cpu".to_owned(),
        problem: format!("its threads cannot be started: {error}; name fewer devices"),
    }
}

/// What a device did; its panic goes on here.
fn joined(device: std::thread::ScopedJoinHandle<'_, Vec<Done>>) -> Vec<Done> {
    device.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Takes shards until there are no more; behind one that failed, without computing them.
fn take_shards(
    receiver: &Mutex<Receiver<(usize, Shard)>>,
    turns: &Turns,
    work: &ShardWork<'_>,
) -> Vec<Done> {
    let mut all = Vec::new();
    let mut failed = false;
    loop {
        // One device at a time waits for a shard, so that numbers are handed out in order.
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, shard)) = next else { return all };
        if failed {
            continue;
        }
        let panicked = Panicked { turns, number };
        let outcome = work.add(shard, |loss| turns.add(number, loss));
        std::mem::forget(panicked);
        if outcome.is_err() {
            failed = true;
            turns.fail(number);
        }
        all.push(Done { number, outcome });
    }
}

/// Lets the other devices not wait for a shard that ended in a panic.
struct Panicked<'a> {
    turns: &'a Turns,
    number: usize,
}

impl Drop for Panicked<'_> {
    fn drop(&mut self) {
        self.turns.fail(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_share_the_threads() {
        let shares = |devices, threads| -> Vec<usize> {
            (0..devices).map(|device| threads_of(device, devices, threads)).collect()
        };
        assert_eq!(shares(2, 2), [1, 1]);
        assert_eq!(shares(3, 8), [3, 3, 2]);
        assert_eq!(shares(4, 2), [1, 1, 1, 1]);
        assert!(Replicas::new(1).unwrap().is_none());
        assert_eq!(Replicas::new(3).unwrap().unwrap().pools.len(), 3);
    }
}
