//! Sums of gradients over several backward passes, with one set of buffers.
//!
//! `Tensor::backward` gives every parameter a new tensor, first zeroed, then added to. Here the
//! operations of this crate add a parameter's gradient to its sum as soon as they have it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor, TensorId, bail};

use crate::buffer::Buffer;
use crate::error::Result;
use crate::in_place::in_place;
use crate::matrix::{Into, Matrix, MatrixMut, adds_at_once, product};
use crate::real::{Real, are_native, hold, tensor_of};
use crate::threads::add_slices;
use crate::turns::Turn;

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

thread_local! {
    /// What a backward pass on this thread adds to.
    static ACTIVE: RefCell<Option<Active>> = const { RefCell::new(None) };
}

/// What a backward pass adds to: sums that are its own, or that come to it in its turn.
#[derive(Default)]
pub(crate) struct Active {
    /// Absent before its turn.
    pub(crate) gradients: Option<Gradients>,
    pub(crate) turn: Option<Turn>,
}

/// Runs `work` with what this thread adds to, and takes that back, also where an operation panics.
pub(crate) fn lend<R>(active: &mut Active, work: impl FnOnce() -> R) -> R {
    struct Lent<'a>(&'a mut Active, Option<Active>);
    impl Drop for Lent<'_> {
        fn drop(&mut self) {
            if let Some(back) = ACTIVE.replace(self.1.take()) {
                *self.0 = back;
            }
        }
    }
    let mine = std::mem::take(active);
    let _lent = Lent(active, ACTIVE.replace(Some(mine)));
    work()
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
    /// What an operation's backward finds. Sums may then hold a part of this pass: only
    /// [`Gradients::reset`] makes sense of them again.
    pub fn add(&mut self, loss: &Tensor) -> Result<()> {
        self.begin_pass();
        let mut active = Active { gradients: Some(std::mem::take(self)), turn: None };
        let outcome = lend(&mut active, || loss.backward());
        *self = active.gradients.take().unwrap_or_default();
        self.take_rest(&mut outcome?)?;
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

/// Whether the gradient of an operand goes to sums that are being made, if it is asked for, and not
/// through candle's own backward.
pub(crate) fn is_summed(operand: &Tensor) -> bool {
    operand.is_variable() && ACTIVE.with_borrow(Option::is_some)
}

/// Whether backward shall compute the gradient of a parameter.
///
/// # Errors
/// Where `Tensor::backward` was called instead of [`Gradients::add`], which would lose it.
pub(crate) fn is_wanted(parameter: &Tensor) -> candle_core::Result<bool> {
    if !parameter.track_op() {
        return Ok(false);
    }
    ACTIVE.with_borrow(|active| match active {
        Some(active) => Ok(active.place(parameter).is_some()),
        None => bail!("this operation gives its gradients to `mmc_ops::Gradients::add` alone"),
    })
}

/// Adds what `compute` puts into a buffer of the parameter's size, which holds anything before, to
/// the parameter's sum. Where the gradient is not wanted, nothing is computed.
pub(crate) fn contribute<T: Real>(
    parameter: &Tensor,
    compute: impl FnOnce(&mut [T]),
) -> candle_core::Result<()> {
    if !is_wanted(parameter)? {
        return Ok(());
    }
    match begin(parameter, false)? {
        Begun::Now(sum, Into::Replace) => in_place(&sum, compute),
        Begun::Now(sum, Into::Add) => {
            let mut gradient = Buffer::of(sum.elem_count());
            compute(&mut gradient);
            in_place(&sum, |sum: &mut [T]| add_slices(sum, &gradient))
        }
        Begun::Later(place) => {
            let mut gradient = Buffer::of(parameter.elem_count());
            compute(&mut gradient);
            ACTIVE.with_borrow_mut(|active| match active {
                Some(active) => {
                    active.keep(place, gradient);
                    Ok(())
                }
                None => bail!("a backward pass ended before its operations"),
            })
        }
    }
}

/// [`contribute`] where the gradient `[rows, columns]` is `a b` with `a` `[rows, inner]`, which is added
/// without a buffer where that gives the same sum.
pub(crate) fn contribute_product<T: Real>(
    parameter: &Tensor,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
) -> candle_core::Result<()> {
    if !is_wanted(parameter)? {
        return Ok(());
    }
    let (rows, inner, columns) = (a.rows(), a.columns(), b.columns());
    if adds_at_once(rows, columns, inner)
        && let Begun::Now(sum, into) = begin(parameter, false)?
    {
        return in_place(&sum, |sum: &mut [T]| {
            product(MatrixMut::new(sum, rows, columns), a, b, into);
        });
    }
    contribute(parameter, |output: &mut [T]| {
        product(MatrixMut::new(output, rows, columns), a, b, Into::Replace);
    })
}

/// The gradient of an operand of an operation: added to its sum where it is a parameter and sums are
/// made, else a tensor for candle's own backward. `compute` puts it into a buffer of the operand's
/// size, which holds anything before.
pub(crate) fn gradient_of<T: Real>(
    operand: &Tensor,
    compute: impl FnOnce(&mut [T]),
) -> candle_core::Result<Option<Tensor>> {
    if !operand.track_op() {
        return Ok(None);
    }
    if is_summed(operand) {
        contribute(operand, compute)?;
        return Ok(None);
    }
    let mut gradient = vec![T::default(); operand.elem_count()];
    compute(&mut gradient);
    tensor_of(T::storage(gradient), operand.shape()).map(Some)
}

/// [`contribute`] where the gradient is made as a tensor, wherever it lies. Nobody else may have it.
#[cfg(feature = "cuda")]
pub(crate) fn contribute_tensor(
    parameter: &Tensor,
    compute: impl FnOnce() -> candle_core::Result<Tensor>,
) -> candle_core::Result<()> {
    if !is_wanted(parameter)? {
        return Ok(());
    }
    let gradient = compute()?;
    ACTIVE.with_borrow_mut(|active| {
        let entry = active.as_mut().and_then(|active| {
            let place = active.place(parameter)?;
            active.gradients.as_mut()?.entries.get_mut(place)
        });
        match entry {
            Some(entry) => entry.add(&gradient),
            None => bail!("no gradient of this parameter is asked for, or sums are shared"),
        }
    })
}

/// [`gradient_of`] likewise.
#[cfg(feature = "cuda")]
pub(crate) fn gradient_tensor_of(
    operand: &Tensor,
    compute: impl FnOnce() -> candle_core::Result<Tensor>,
) -> candle_core::Result<Option<Tensor>> {
    if !operand.track_op() {
        return Ok(None);
    }
    if is_summed(operand) {
        contribute_tensor(operand, compute)?;
        return Ok(None);
    }
    compute().map(Some)
}

/// Adds to some elements of a parameter's sum, which are 0 where nothing was added to them yet.
pub(crate) fn contribute_sparse<T: Real>(
    parameter: &Tensor,
    add: impl FnOnce(&mut [T]),
) -> candle_core::Result<()> {
    if !is_wanted(parameter)? {
        return Ok(());
    }
    // Few wait here: embeddings come last in a backward pass.
    let Begun::Now(sum, into) = begin(parameter, true)? else {
        bail!("a turn that was waited for did not come");
    };
    in_place(&sum, |sum: &mut [T]| {
        if into == Into::Replace {
            sum.fill(T::default());
        }
        add(sum);
    })
}

/// Adds what candle's own operations gave in a backward pass within the one in hand.
pub(crate) fn contribute_rest(rest: &mut GradStore) -> candle_core::Result<()> {
    ACTIVE.with_borrow_mut(|active| {
        let Some(active) = active else {
            bail!("this operation gives its gradients to `mmc_ops::Gradients::add` alone")
        };
        let is_asked_for = |id: &TensorId| active.places().is_some_and(|all| all.contains_key(id));
        if !rest.get_ids().any(is_asked_for) {
            return Ok(());
        }
        active.claim(true)?;
        match &mut active.gradients {
            Some(gradients) => gradients.take_rest(rest),
            None => bail!("a turn that was waited for did not come"),
        }
    })
}

/// Where a gradient goes.
enum Begun {
    /// Into this buffer.
    Now(Tensor, Into),
    /// To the parameter at this place, when it is this pass's turn.
    Later(usize),
}

/// Where the gradient of a wanted parameter goes; `waits`: not before it can be added.
fn begin(parameter: &Tensor, waits: bool) -> candle_core::Result<Begun> {
    ACTIVE.with_borrow_mut(|active| {
        let found = active.as_mut().and_then(|active| Some((active.place(parameter)?, active)));
        let Some((place, active)) = found else {
            bail!("no gradient of this parameter is asked for")
        };
        active.claim(waits)?;
        match &mut active.gradients {
            Some(gradients) => gradients.begin(place).map(|(sum, into)| Begun::Now(sum, into)),
            None => Ok(Begun::Later(place)),
        }
    })
}

impl Active {
    /// The places of those whose gradients are asked for.
    fn places(&self) -> Option<&HashMap<TensorId, usize>> {
        match (&self.gradients, &self.turn) {
            (Some(gradients), _) => Some(&gradients.places),
            (None, Some(turn)) => Some(&turn.hand.places),
            (None, None) => None,
        }
    }

    fn place(&self, parameter: &Tensor) -> Option<usize> {
        self.places()?.get(&parameter.id()).copied()
    }
}
