//! Sums of gradients over several backward passes, with one set of buffers.
//!
//! `Tensor::backward` gives every parameter a new tensor, first zeroed, then added to. Here the
//! operations of this crate add a parameter's gradient to its sum as soon as they have it.

use std::cell::RefCell;
use std::collections::HashMap;

use candle_core::{CpuStorage, DType, InplaceOp1, Layout, Tensor, TensorId, bail};

use crate::buffer::Buffer;
use crate::error::Result;
use crate::matrix::{Into, Matrix, MatrixMut, adds_at_once, product};
use crate::real::{Real, are_native, hold, tensor_of};
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
    places: HashMap<TensorId, usize>,
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
    /// Those that a backward pass on this thread adds to.
    static ACTIVE: RefCell<Option<Gradients>> = const { RefCell::new(None) };
}

/// Gradients lent to this thread, and what it had before; taken back also where an operation panics.
struct Lent<'a>(&'a mut Gradients, Option<Gradients>);

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(back) = ACTIVE.replace(self.1.take()) {
            *self.0 = back;
        }
    }
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
        Self { places: places.collect(), entries }
    }

    /// Adds the gradients of `loss`, a scalar.
    ///
    /// # Errors
    /// What an operation's backward finds. Sums may then hold a part of this pass: only
    /// [`Gradients::reset`] makes sense of them again.
    pub fn add(&mut self, loss: &Tensor) -> Result<()> {
        for entry in &mut self.entries {
            if entry.state == State::Reached {
                entry.state = State::Waiting;
            }
        }
        let mut rest = {
            let mine = std::mem::take(self);
            let _lent = Lent(self, ACTIVE.replace(Some(mine)));
            loss.backward()?
        };
        // What candle's own operations gave.
        for entry in &mut self.entries {
            if let Some(gradient) = rest.remove(&entry.parameter) {
                entry.add(&gradient)?;
            }
        }
        Ok(())
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
        Some(gradients) => Ok(gradients.places.contains_key(&parameter.id())),
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
    let (sum, into) = begin(parameter)?;
    match into {
        Into::Replace => in_place(&sum, compute)?,
        Into::Add => {
            let mut gradient = Buffer::of(sum.elem_count());
            compute(&mut gradient);
            in_place(&sum, |sum: &mut [T]| add_slices(sum, &gradient))?;
        }
    }
    Ok(())
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
    if adds_at_once(rows, columns, inner) {
        let (sum, into) = begin(parameter)?;
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
        let entry = active.as_mut().and_then(|gradients| {
            let place = *gradients.places.get(&parameter.id())?;
            gradients.entries.get_mut(place)
        });
        match entry {
            Some(entry) => entry.add(&gradient),
            None => bail!("no gradient of this parameter is asked for"),
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
    let (sum, into) = begin(parameter)?;
    in_place(&sum, |sum: &mut [T]| {
        if into == Into::Replace {
            sum.fill(T::default());
        }
        add(sum);
    })
}

/// The buffer of a wanted parameter and what to do with what it holds. Nothing stays borrowed while
/// the gradient is computed.
fn begin(parameter: &Tensor) -> candle_core::Result<(Tensor, Into)> {
    ACTIVE.with_borrow_mut(|active| {
        let entry = active.as_mut().and_then(|gradients| {
            let place = *gradients.places.get(&parameter.id())?;
            gradients.entries.get_mut(place)
        });
        let Some(entry) = entry else { bail!("no gradient of this parameter is asked for") };
        let into = entry.way();
        let sum = entry.buffer()?.clone();
        entry.state = State::Reached;
        Ok((sum, into))
    })
}

/// Lets `work` change the elements of a contiguous f32 tensor on the CPU where they lie, such as a
/// variable that is optimised; gives what `work` gives.
///
/// # Errors
/// A tensor of another type, elsewhere or not contiguous.
pub fn in_place_f32<R>(tensor: &Tensor, work: impl FnOnce(&mut [f32]) -> R) -> Result<R> {
    let mut given = None;
    in_place(tensor, |values| given = Some(work(values)))?;
    given.ok_or_else(|| candle_core::Error::Msg("an update was not run".to_owned()).into())
}

/// Lets `work` change the elements of a contiguous tensor where they lie.
pub(crate) fn in_place<T: Real>(
    tensor: &Tensor,
    work: impl FnOnce(&mut [T]),
) -> candle_core::Result<()> {
    struct Work<F>(RefCell<Option<F>>);
    impl<T: Real, F: FnOnce(&mut [T])> InplaceOp1 for Wrapped<T, F> {
        fn name(&self) -> &'static str {
            "in-place"
        }
        fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
            let Some((start, end)) = layout.contiguous_offsets() else {
                bail!("a sum of gradients is not contiguous");
            };
            let (Some(values), Some(work)) = (T::slice_mut(storage), self.0.0.take()) else {
                bail!("a sum of gradients has another type than its gradient");
            };
            work(&mut values[start..end]);
            Ok(())
        }
    }
    struct Wrapped<T, F>(Work<F>, std::marker::PhantomData<T>);
    tensor.inplace_op1(&Wrapped(Work(RefCell::new(Some(work))), std::marker::PhantomData::<T>))
}
