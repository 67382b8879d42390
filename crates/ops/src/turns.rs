//! Sums of gradients that several threads add to, each part of a step in its turn.
//!
//! A sum in floating point depends on its order. So the parts of a step, which threads compute side
//! by side, are added in the order of their numbers: the part whose turn it is adds as
//! [`Gradients::add`] does, the others keep what they have until the turn is theirs. Whoever computes
//! a part, and whenever, the sums are the same bit for bit.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use candle_core::backprop::GradStore;
use candle_core::{Tensor, TensorId, bail};

use crate::buffer::Buffer;
use crate::contribution::{Active, lend};
use crate::error::Result;
use crate::gradients::Gradients;
use crate::in_place::in_place;
use crate::matrix::Into;
use crate::real::Real;
use crate::threads::add_slices;

/// Sums that are handed from one part of a step to the next.
#[derive(Debug)]
pub struct Turns {
    hand: Arc<Hand>,
}

/// Who may add, and what to.
#[derive(Debug)]
pub(crate) struct Hand {
    state: Mutex<State>,
    changed: Condvar,
    pub(crate) places: Arc<HashMap<TensorId, usize>>,
}

#[derive(Debug)]
struct State {
    /// Absent while the part whose turn it is has them.
    gradients: Option<Gradients>,
    /// The part whose turn it is.
    next: usize,
    /// The first part that failed: none behind it gets its turn.
    failed: Option<usize>,
}

/// A part of a step, on the thread that computes it.
pub(crate) struct Turn {
    pub(crate) hand: Arc<Hand>,
    part: usize,
    /// What waits for the turn, in the order in which it came: the parameter's place, and what adds
    /// its gradient.
    waiting: Vec<(usize, Addition)>,
}

type Addition = Box<dyn FnOnce(&Tensor, Into) -> candle_core::Result<()>>;

impl Gradients {
    /// Lets `work` add from several threads, in turns; part 0 has the first.
    ///
    /// [`Turns::add`] waits for the parts before, and it cannot know of one that nobody computes. So
    /// parts are numbered from 0 without gaps, each number is added once, and for one that comes to
    /// nothing [`Turns::fail`] is called. Whoever waits must not stand in the way of those it waits
    /// for:
    ///
    /// - The lowest part that is not added yet is always being computed. A thread that computes
    ///   several takes them in the order of their numbers.
    /// - Parts that are computed at the same time share no rayon pool. A thread of a pool that waits
    ///   for its own work takes up another task; were that a part behind, it would wait, on the same
    ///   stack, for the one that it interrupted, for ever. So `add` is called on threads of no pool, or
    ///   each time inside a pool that no other part is in (`ThreadPool::install`).
    pub fn in_turns<R>(&mut self, work: impl FnOnce(&Turns) -> R) -> R {
        let gradients = std::mem::take(self);
        let places = Arc::clone(&gradients.places);
        let state = State { gradients: Some(gradients), next: 0, failed: None };
        let hand = Hand { state: Mutex::new(state), changed: Condvar::new(), places };
        let shared = Shared { owner: self, turns: Turns { hand: Arc::new(hand) } };
        work(&shared.turns)
    }
}

/// Sums that several threads add to. They go back to their owner at the end, be it a panic; each part
/// has given them back then, since none outlives the work.
struct Shared<'a> {
    owner: &'a mut Gradients,
    turns: Turns,
}

impl Drop for Shared<'_> {
    fn drop(&mut self) {
        if let Some(gradients) = self.turns.hand.lock().gradients.take() {
            *self.owner = gradients;
        }
    }
}

impl Turns {
    /// Adds the gradients of `loss`, a scalar, as part number `part` of the step, and says which
    /// parameter they did not reach, if there is one. Returns when they are added: after those of all
    /// parts before.
    ///
    /// # Errors
    /// As [`Gradients::add`], where a part before failed, and, at once, where this one was added
    /// already. Parts behind then fail too.
    pub fn add(&self, part: usize, loss: &Tensor) -> Result<Option<usize>> {
        let (adding, rest) = self.computed(part, loss)?;
        Ok(adding.finish(rest)?)
    }

    /// The backward pass of a part, which adds as soon as it can and keeps until then what can wait.
    fn computed(&self, part: usize, loss: &Tensor) -> candle_core::Result<(Adding<'_>, GradStore)> {
        let turn = Turn { hand: Arc::clone(&self.hand), part, waiting: Vec::new() };
        let active = Active { gradients: None, turn: Some(turn) };
        let mut adding = Adding { turns: self, part, active, is_whole: false };
        self.hand.lock().check(part)?;
        let rest = lend(&mut adding.active, || loss.backward())?;
        Ok((adding, rest))
    }

    /// Says that `part` will not be added: parts behind it, which would wait for it, fail.
    pub fn fail(&self, part: usize) {
        let mut state = self.hand.lock();
        state.failed = Some(state.failed.map_or(part, |other| other.min(part)));
        drop(state);
        self.hand.changed.notify_all();
    }
}

/// A part that is being added. At its end, be it an error or a panic, the sums go to the next part, and
/// nobody waits for one that is not whole.
struct Adding<'a> {
    turns: &'a Turns,
    part: usize,
    active: Active,
    /// Whether all of its gradients were added.
    is_whole: bool,
}

impl Adding<'_> {
    /// Adds what is left when the turn comes; the first parameter that the part did not reach.
    fn finish(mut self, mut rest: GradStore) -> candle_core::Result<Option<usize>> {
        self.active.claim(true)?;
        let Some(gradients) = &mut self.active.gradients else { bail!("a turn without sums") };
        gradients.take_rest(&mut rest)?;
        let unreached = gradients.unreached();
        self.is_whole = true;
        Ok(unreached)
    }
}

impl Drop for Adding<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.hand.lock();
        if let Some(gradients) = self.active.gradients.take() {
            state.gradients = Some(gradients);
            if self.is_whole {
                state.next = self.part + 1;
            }
        }
        drop(state);
        if self.is_whole {
            self.turns.hand.changed.notify_all();
        } else {
            self.turns.fail(self.part);
        }
    }
}

impl State {
    /// Whether this part can still have its turn.
    fn check(&self, part: usize) -> candle_core::Result<()> {
        if let Some(failed) = self.failed.filter(|&failed| failed < part) {
            bail!("part {part} of a step is not added, since part {failed} failed");
        }
        if part < self.next {
            bail!("part {part} of a step was added already; give each part a number of its own");
        }
        Ok(())
    }
}

impl Hand {
    /// A panic elsewhere leaves the state whole: it is changed by assignments alone.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sums, if it is this part's turn, or when it is.
    fn claim(&self, part: usize, waits: bool) -> candle_core::Result<Option<Gradients>> {
        let mut state = self.lock();
        loop {
            state.check(part)?;
            if state.next == part && state.gradients.is_some() {
                return Ok(state.gradients.take());
            }
            if !waits {
                return Ok(None);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Active {
    /// Gets the sums, where it is this part's turn or, if asked so, when it is, and adds what waited.
    /// Whether it has them.
    pub(crate) fn claim(&mut self, waits: bool) -> candle_core::Result<bool> {
        if self.gradients.is_some() {
            return Ok(true);
        }
        let Some(turn) = &mut self.turn else { return Ok(false) };
        let Some(gradients) = turn.hand.claim(turn.part, waits)? else { return Ok(false) };
        // They are its own before anything is added that could panic.
        let gradients = self.gradients.insert(gradients);
        gradients.begin_pass();
        for (place, add) in std::mem::take(&mut turn.waiting) {
            let (sum, into) = gradients.begin(place)?;
            add(&sum, into)?;
        }
        Ok(true)
    }

    /// Keeps a gradient until the turn comes.
    pub(crate) fn keep<T: Real>(&mut self, place: usize, gradient: Buffer<T>) {
        self.keep_addition(
            place,
            Box::new(move |sum, into| {
                in_place(sum, |sum: &mut [T]| match into {
                    Into::Replace => sum.copy_from_slice(&gradient),
                    Into::Add => add_slices(sum, &gradient),
                })
            }),
        );
    }

    fn keep_addition(&mut self, place: usize, add: Addition) {
        if let Some(turn) = &mut self.turn {
            turn.waiting.push((place, add));
        }
    }
}

#[cfg(test)]
mod tests;
