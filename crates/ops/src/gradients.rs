//! Sums of gradients over several backward passes, with one set of buffers.
//!
//! `Tensor::backward` gives every parameter a new tensor, first zeroed, then added to. Here the
//! operations of this crate add a parameter's gradient to its sum as soon as they have it.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor, TensorId, bail};

use crate::contribution::{Active, lend};
use crate::error::Result;
use crate::in_place::in_place;
use crate::matrix::Into;
use crate::real::{are_native, hold};
use crate::threads::add_slices;

/// Sums of the gradients of some parameters.
///
/// [`Gradients::add`] is called once for each part of a step; each part's gradient is computed
/// whole before it is added, so a sum over parts does not depend on who computed them.
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use mmc_ops::{Gradients, linear};
///
/// let weight = Var::new(&[[0.5_f32, -0.5]], &Device::Cpu)?;
/// let x = Tensor::new(&[[1.0_f32, 2.0]], &Device::Cpu)?;
/// let mut gradients = Gradients::of([weight.as_tensor()]);
/// for _ in 0..2 {
///     gradients.add(&linear(&x, &weight, None)?.sum_all()?)?;
/// }
/// assert_eq!(gradients.sum(0).unwrap().to_vec2::<f32>()?, [[2.0, 4.0]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Gradients {
    entries: Vec<Entry>,
    pub(crate) places: Arc<HashMap<TensorId, usize>>,
}

#[derive(Debug)]
struct Entry {
    parameter: Tensor,
    sum: Option<Tensor>,
    /// What the sum holds.
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing of this step.
    Stale,
    /// Gradients of this step, but none of the pass in hand.
    Waiting,
    /// The gradient of the pass in hand too.
    Reached,
}

impl Gradients {
    /// No gradients yet, of these parameters: tensors of variables. Others get none.
    pub fn of<'a>(parameters: impl IntoIterator<Item = &'a Tensor>) -> Self {
        let entry = |parameter: &Tensor| Entry {
            parameter: parameter.clone(),
            sum: None,
            state: State::Stale,
        };
        let entries: Vec<Entry> = parameters.into_iter().map(entry).collect();
        let places = entries.iter().enumerate().map(|(at, entry)| (entry.parameter.id(), at));
        Self { places: Arc::new(places.collect()), entries }
    }

    /// Adds the gradients of `loss`, a scalar.
    ///
    /// # Errors
    /// What an operation's backward finds. Sums may then hold a part of this pass, as behind a panic:
    /// only [`Gradients::reset`] makes sense of them again.
    pub fn add(&mut self, loss: &Tensor) -> Result<()> {
        self.begin_pass();
        let mut rest = OnLoan::of(self).backward(loss)?;
        self.take_rest(&mut rest)?;
        Ok(())
    }

    /// Nothing of the pass that begins is there yet.
    pub(crate) fn begin_pass(&mut self) {
        for entry in &mut self.entries {
            if entry.state == State::Reached {
                entry.state = State::Waiting;
            }
        }
    }

    /// Adds what candle's own operations gave.
    pub(crate) fn take_rest(&mut self, rest: &mut GradStore) -> candle_core::Result<()> {
        for entry in &mut self.entries {
            if let Some(gradient) = rest.remove(&entry.parameter) {
                entry.add(&gradient)?;
            }
        }
        Ok(())
    }

    /// The buffer of the parameter at this place, and what the next gradient does with what it
    /// holds. Nothing stays borrowed while the gradient is computed.
    pub(crate) fn begin(&mut self, place: usize) -> candle_core::Result<(Tensor, Into)> {
        let Some(entry) = self.entries.get_mut(place) else { bail!("no such parameter") };
        let into = entry.way();
        let sum = entry.buffer()?.clone();
        entry.state = State::Reached;
        Ok((sum, into))
    }

    /// Adds a gradient that is there as a tensor, which nobody else has.
    #[cfg(feature = "cuda")]
    pub(crate) fn add_at(&mut self, place: usize, gradient: &Tensor) -> candle_core::Result<()> {
        match self.entries.get_mut(place) {
            Some(entry) => entry.add(gradient),
            None => bail!("no such parameter"),
        }
    }

    /// The sum for parameter `index`; `None` where no gradient reached it since the last reset.
    #[must_use]
    pub fn sum(&self, index: usize) -> Option<&Tensor> {
        let entry = self.entries.get(index)?;
        if entry.state == State::Stale { None } else { entry.sum.as_ref() }
    }

    /// The sum for this parameter, likewise.
    #[must_use]
    pub fn get(&self, parameter: &Tensor) -> Option<&Tensor> {
        self.sum(*self.places.get(&parameter.id())?)
    }

    /// The sums of all parameters, zero where nothing was added, for whoever changes them where they lie.
    ///
    /// # Errors
    /// Where there is no memory for one.
    #[cfg(feature = "nccl")]
    pub fn all_sums(&mut self) -> Result<Vec<Tensor>> {
        let sums = self.entries.iter_mut().map(Entry::begun);
        Ok(sums.collect::<candle_core::Result<_>>()?)
    }

    /// The first parameter that the last pass did not reach.
    #[must_use]
    pub fn unreached(&self) -> Option<usize> {
        self.entries.iter().position(|entry| entry.state != State::Reached)
    }

    /// Begins anew, in the same buffers.
    pub fn reset(&mut self) {
        for entry in &mut self.entries {
            entry.state = State::Stale;
        }
    }
}

/// Sums that a backward pass adds to. They go back to their owner at its end, be it a panic.
struct OnLoan<'a> {
    owner: &'a mut Gradients,
    active: Active,
}

impl<'a> OnLoan<'a> {
    fn of(owner: &'a mut Gradients) -> Self {
        let active = Active { gradients: Some(std::mem::take(owner)), turn: None };
        Self { owner, active }
    }

    fn backward(mut self, loss: &Tensor) -> candle_core::Result<GradStore> {
        lend(&mut self.active, || loss.backward())
    }
}

impl Drop for OnLoan<'_> {
    fn drop(&mut self) {
        if let Some(gradients) = self.active.gradients.take() {
            *self.owner = gradients;
        }
    }
}

impl Entry {
    /// The buffer to add to, as long as the parameter.
    fn buffer(&mut self) -> candle_core::Result<&Tensor> {
        if self.sum.is_none() {
            self.sum = Some(self.parameter.zeros_like()?.contiguous()?);
        }
        match &self.sum {
            Some(sum) => Ok(sum),
            None => bail!("a buffer that was just made is gone"),
        }
    }

    /// The sum, zero where nothing was added.
    #[cfg(feature = "nccl")]
    fn begun(&mut self) -> candle_core::Result<Tensor> {
        if self.state == State::Stale {
            self.sum = None;
            self.state = State::Waiting;
        }
        self.buffer().cloned()
    }

    /// What the next gradient does with what is there.
    fn way(&self) -> Into {
        if self.state == State::Stale { Into::Replace } else { Into::Add }
    }

    /// Adds a gradient that is there as a tensor.
    fn add(&mut self, gradient: &Tensor) -> candle_core::Result<()> {
        if self.state == State::Stale {
            // Backward made it for this parameter alone, so it may become the sum.
            self.sum = Some(gradient.contiguous()?);
        } else if are_native(&[gradient]) {
            let gradient = gradient.contiguous()?;
            let held = hold(&gradient);
            let sum = self.buffer()?;
            if gradient.dtype() == DType::F64 {
                let gradient = held.values::<f64>()?;
                in_place(sum, |sum: &mut [f64]| add_slices(sum, gradient))?;
            } else {
                let gradient = held.values::<f32>()?;
                in_place(sum, |sum: &mut [f32]| add_slices(sum, gradient))?;
            }
        } else {
            self.add_elsewhere(gradient)?;
        }
        self.state = State::Reached;
        Ok(())
    }

    /// Adds a gradient that is not on the CPU, or of another type than the hand-written forms take.
    fn add_elsewhere(&mut self, gradient: &Tensor) -> candle_core::Result<()> {
        #[cfg(feature = "cuda")]
        if crate::cuda::takes(&[gradient]) {
            return crate::cuda::add_to(self.buffer()?, &gradient.contiguous()?);
        }
        self.sum = Some((self.buffer()? + gradient)?);
        Ok(())
    }
}

mod flat;
#[cfg(test)]
pub(crate) mod tests;
