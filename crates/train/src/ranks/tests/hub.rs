//! Ranks that are threads of one process.

use std::sync::{Arc, Condvar, Mutex};

use crate::TrainError;
use crate::ranks::{Ranks, Transport};

/// Where they meet: a round is over when each has given something.
#[derive(Debug)]
struct Hub {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    round: u64,
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

impl Thread {
    /// What all give, in their order.
    fn meet(&self, own: &[u8]) -> Result<Arc<Vec<Vec<u8>>>, TrainError> {
        let mut state = self.hub.state.lock().unwrap();
        let round = state.round;
        state.given[self.rank] = Some(own.to_vec());
        if state.given.iter().all(Option::is_some) {
            state.before = Arc::new(state.given.iter_mut().filter_map(Option::take).collect());
            state.round += 1;
            self.hub.changed.notify_all();
        }
        while state.round == round {
            if state.ended {
                return Err(TrainError::Transport { problem: "another rank has ended".to_owned() });
            }
            state = self.hub.changed.wait(state).unwrap();
        }
        Ok(Arc::clone(&state.before))
    }
}

impl Transport for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.hub.state.lock().unwrap().given.len()
    }

    fn broadcast(&self, bytes: &mut [u8]) -> Result<(), TrainError> {
        bytes.copy_from_slice(&self.meet(bytes)?[0]);
        Ok(())
    }

    fn all_gather(&self, own: &[u8], all: &mut [u8]) -> Result<(), TrainError> {
        all.copy_from_slice(&self.meet(own)?.concat());
        Ok(())
    }

    fn all_to_all(&self, sent: &[u8], received: &mut [u8]) -> Result<(), TrainError> {
        let all = self.meet(sent)?;
        let width = sent.len() / all.len();
        let parts = all.iter().map(|one| &one[self.rank * width..][..width]);
        received.copy_from_slice(&parts.collect::<Vec<_>>().concat());
        Ok(())
    }
}

/// Does `work` as each of so many ranks, with one thread of rayon each; what came of it, in order.
pub(crate) fn on_ranks<R: Send>(count: usize, work: impl Fn(Ranks) -> R + Sync) -> Vec<R> {
    let (given, before) = (vec![None; count], Arc::default());
    let state = Mutex::new(State { round: 0, given, before, ended: false });
    let hub = Arc::new(Hub { state, changed: Condvar::new() });
    let one = |rank: usize| {
        let transport = Arc::new(Thread { hub: Arc::clone(&hub), rank });
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let done = pool.install(|| work(Ranks::of(transport)));
        hub.state.lock().unwrap().ended = true;
        hub.changed.notify_all();
        done
    };
    std::thread::scope(|scope| {
        let one = &one;
        let started: Vec<_> = (0..count).map(|rank| scope.spawn(move || one(rank))).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
