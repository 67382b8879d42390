//! Sums of gradients that several threads add to, each part of a step in its turn.
//!
//! A sum in floating point depends on its order. So the parts of a step, which threads compute side
//! by side, are added in the order of their numbers: the part whose turn it is adds as
//! [`Gradients::add`] does, the others keep what they have until the turn is theirs. Whoever computes
//! a part, and whenever, the sums are the same bit for bit.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

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
    pub fn in_turns<R>(&mut self, work: impl FnOnce(&Turns) -> R) -> R {
        let gradients = std::mem::take(self);
        let places = Arc::clone(&gradients.places);
        let state = State { gradients: Some(gradients), next: 0, failed: None };
        let hand = Hand { state: Mutex::new(state), changed: Condvar::new(), places };
        let turns = Turns { hand: Arc::new(hand) };
        let result = work(&turns);
        if let Some(gradients) = turns.hand.lock().gradients.take() {
            *self = gradients;
        }
        result
    }
}

impl Turns {
    /// Adds the gradients of `loss`, a scalar, as part number `part` of the step, and says which
    /// parameter they did not reach, if there is one. Returns when they are added: after those of all
    /// parts before.
    ///
    /// # Errors
    /// As [`Gradients::add`], and where a part before failed. Parts behind then fail too.
    pub fn add(&self, part: usize, loss: &Tensor) -> Result<Option<usize>> {
        let turn = Turn { hand: Arc::clone(&self.hand), part, waiting: Vec::new() };
        let failing = Failing { turns: self, part };
        let mut active = Active { gradients: None, turn: Some(turn) };
        let outcome = lend(&mut active, || loss.backward());
        let finished = outcome.and_then(|mut rest| {
            active.claim(true)?;
            let Some(gradients) = &mut active.gradients else { bail!("a turn without sums") };
            gradients.take_rest(&mut rest)?;
            Ok(gradients.unreached())
        });
        let is_whole = finished.is_ok();
        let mut state = self.hand.lock();
        if let Some(gradients) = active.gradients.take() {
            state.gradients = Some(gradients);
            if is_whole {
                state.next = part + 1;
            }
        }
        drop(state);
        if is_whole {
            std::mem::forget(failing);
        }
        self.hand.changed.notify_all();
        Ok(finished?)
    }

    /// Says that `part` will not be added: parts behind it, which would wait for it, fail.
    pub fn fail(&self, part: usize) {
        let mut state = self.hand.lock();
        state.failed = Some(state.failed.map_or(part, |other| other.min(part)));
        drop(state);
        self.hand.changed.notify_all();
    }
}

/// Lets nobody wait for a part that ended in an error or a panic.
struct Failing<'a> {
    turns: &'a Turns,
    part: usize,
}

impl Drop for Failing<'_> {
    fn drop(&mut self) {
        self.turns.fail(self.part);
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
            if let Some(failed) = state.failed.filter(|&failed| failed < part) {
                bail!("part {part} of a step is not added, since part {failed} failed");
            }
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
        let Some(mut gradients) = turn.hand.claim(turn.part, waits)? else { return Ok(false) };
        gradients.begin_pass();
        let waiting = std::mem::take(&mut turn.waiting);
        let added = waiting.into_iter().try_for_each(|(place, add)| {
            let (sum, into) = gradients.begin(place)?;
            add(&sum, into)
        });
        self.gradients = Some(gradients);
        added.map(|()| true)
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
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::{embedding, linear};

    const PARTS: usize = 12;

    /// A table that is looked up, a weight, and a scale that candle's own operations use.
    fn parameters() -> [Var; 3] {
        let values = |count: usize, shape: (usize, usize)| {
            let values: Vec<f32> = (0..count).map(|at| (at as f32 * 0.7).sin()).collect();
            Var::from_vec(values, shape, &Device::Cpu).unwrap()
        };
        [values(40, (10, 4)), values(12, (3, 4)), values(3, (1, 3))]
    }

    fn loss(parameters: &[Var; 3], part: usize) -> Tensor {
        let [table, weight, scale] = parameters;
        let ids: Vec<u32> = (0..6).map(|at| ((at * 7 + part * 3) % 10) as u32).collect();
        let ids = Tensor::new(ids.as_slice(), &Device::Cpu).unwrap();
        let x = embedding(&ids, table).unwrap();
        let y = linear(&x, weight, None).unwrap().broadcast_mul(scale.as_tensor()).unwrap();
        (y.sqr().unwrap().sum_all().unwrap() * (1.0 + part as f64 / 3.0)).unwrap()
    }

    fn sums(gradients: &Gradients) -> Vec<Vec<f32>> {
        let of = |at| gradients.sum(at).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        (0..3).map(of).collect()
    }

    fn of(parameters: &[Var; 3]) -> Gradients {
        Gradients::of(parameters.iter().map(Var::as_tensor))
    }

    /// Whether each part was added, by `threads` threads; compared with one after the other.
    fn in_turns(parameters: &[Var; 3], threads: usize, fails: Option<usize>) -> Vec<bool> {
        let mut gradients = of(parameters);
        let whole = gradients.in_turns(|turns| {
            std::thread::scope(|scope| {
                let work = |thread: usize| {
                    move || {
                        let mine = (thread..PARTS).step_by(threads);
                        mine.map(|part| {
                            // Those whose turn comes first are ready last.
                            let pause = if part % threads == 0 { 3 } else { 0 };
                            std::thread::sleep(std::time::Duration::from_millis(pause));
                            if fails == Some(part) {
                                turns.fail(part);
                                return (part, false);
                            }
                            (part, turns.add(part, &loss(parameters, part)).is_ok())
                        })
                        .collect::<Vec<_>>()
                    }
                };
                let started: Vec<_> =
                    (0..threads).map(|thread| scope.spawn(work(thread))).collect();
                let mut done: Vec<(usize, bool)> =
                    started.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
                done.sort_unstable();
                done.into_iter().map(|(_, whole)| whole).collect::<Vec<bool>>()
            })
        });
        if fails.is_none() {
            let mut expected = of(parameters);
            for part in 0..PARTS {
                expected.add(&loss(parameters, part)).unwrap();
                assert_eq!(expected.unreached(), None);
            }
            assert_eq!(sums(&gradients), sums(&expected), "{threads} threads");
        }
        whole
    }

    #[test]
    fn sums_do_not_depend_on_who_adds_when() {
        let parameters = parameters();
        for threads in [1, 2, 3, 5] {
            for _ in 0..5 {
                assert_eq!(in_turns(&parameters, threads, None), [true; PARTS]);
            }
        }
    }

    #[test]
    fn nobody_waits_for_a_part_that_failed() {
        let parameters = parameters();
        for failed in [0, 4, PARTS - 1] {
            let whole = in_turns(&parameters, 3, Some(failed));
            let expected: Vec<bool> = (0..PARTS).map(|part| part < failed).collect();
            assert_eq!(whole, expected, "part {failed} fails");
        }
    }
}
