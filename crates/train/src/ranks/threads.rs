//! Ranks that are threads of one process: its CUDA devices, and those of the tests.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{Ranks, Transport};
use crate::TrainError;

/// Where they meet: a round is over when each has given something.
#[derive(Debug)]
struct Hub {
    state: Mutex<State>,
    changed: Condvar,
    count: usize,
}

#[derive(Debug, Default)]
struct State {
    round: u64,
    /// What each has given in this round.
    given: Vec<Option<Vec<u8>>>,
    /// What was given in the round before.
    before: Arc<Vec<Vec<u8>>>,
    /// A rank has ended: the others need not wait for it.
    ended: bool,
}

#[derive(Debug)]
struct Thread {
    hub: Arc<Hub>,
    rank: usize,
}

/// Ends the wait of the others when this rank has ended, be it in a panic.
#[derive(Debug)]
pub(crate) struct Ended(Arc<Hub>);

impl Hub {
    /// A panic elsewhere leaves the state whole: it is changed by assignments alone.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Thread {
    /// What all give, in their order.
    fn meet(&self, own: &[u8]) -> Result<Arc<Vec<Vec<u8>>>, TrainError> {
        let mut state = self.hub.lock();
        let round = state.round;
        state.given[self.rank] = Some(own.to_vec());
        if state.given.iter().all(Option::is_some) {
            state.before = Arc::new(state.given.iter_mut().filter_map(Option::take).collect());
            state.round += 1;
            self.hub.changed.notify_all();
        }
        while state.round == round {
            if state.ended {
                return Err(TrainError::RankEnded);
            }
            state = self.hub.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(Arc::clone(&state.before))
    }
}

impl Transport for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.hub.count
    }

    fn broadcast(&self, bytes: &mut [u8]) -> Result<(), TrainError> {
        let own: &[u8] = if self.rank == 0 { bytes } else { &[] };
        bytes.copy_from_slice(&self.meet(own)?[0]);
        Ok(())
    }

    fn all_gather(&self, own: &[u8], all: &mut [u8]) -> Result<(), TrainError> {
        let given = self.meet(own)?;
        for (place, one) in all.chunks_mut(own.len().max(1)).zip(given.iter()) {
            place.copy_from_slice(one);
        }
        Ok(())
    }

    fn all_to_all(&self, sent: &[u8], received: &mut [u8]) -> Result<(), TrainError> {
        let all = self.meet(sent)?;
        let width = sent.len() / all.len();
        for (place, one) in received.chunks_mut(width.max(1)).zip(all.iter()) {
            place.copy_from_slice(&one[self.rank * width..][..width]);
        }
        Ok(())
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.changed.notify_all();
    }
}

/// So many ranks, each for a thread of its own, with what that thread drops last.
pub(crate) fn connect(count: usize) -> Vec<(Ranks, Ended)> {
    let state = State { given: vec![None; count], ..State::default() };
    let hub = Arc::new(Hub { state: Mutex::new(state), changed: Condvar::new(), count });
    let one = |rank| {
        let transport = Arc::new(Thread { hub: Arc::clone(&hub), rank });
        (Ranks::of(transport), Ended(Arc::clone(&hub)))
    };
    (0..count).map(one).collect()
}
