//! How an operation gives the gradient of a parameter to the sums of the backward pass in hand.

use std::cell::RefCell;
use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, TensorId, bail};

use crate::buffer::Buffer;
use crate::gradients::Gradients;
use crate::in_place::in_place;
use crate::matrix::{Into, Matrix, MatrixMut, adds_at_once, product};
use crate::real::{Real, tensor_of};
use crate::threads::add_slices;
use crate::turns::Turn;

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

/// Runs `work` as on a thread that adds to nothing.
pub(crate) fn adding_nowhere<R>(work: impl FnOnce() -> R) -> R {
    struct Restore(Option<Active>);
    impl Drop for Restore {
        fn drop(&mut self) {
            ACTIVE.set(self.0.take());
        }
    }
    let _restore = Restore(ACTIVE.take());
    work()
}

/// Lets `work` change what this thread adds to. Meanwhile it lies nowhere else: `work` may share its
/// own work among threads, and a backward pass that this one takes from another while it waits finds
/// nothing here rather than what is being changed.
fn with_active<R>(
    work: impl FnOnce(&mut Active) -> candle_core::Result<R>,
) -> candle_core::Result<R> {
    struct Taken(Option<Active>);
    impl Drop for Taken {
        fn drop(&mut self) {
            ACTIVE.set(self.0.take());
        }
    }
    match &mut Taken(ACTIVE.take()).0 {
        Some(active) => work(active),
        None => bail!("this operation gives its gradients to `mmc_ops::Gradients::add` alone"),
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
            with_active(|active| {
                active.keep(place, gradient);
                Ok(())
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
    with_active(|active| {
        let Some(place) = active.place(parameter) else {
            bail!("no gradient of this parameter is asked for")
        };
        match &mut active.gradients {
            Some(gradients) => gradients.add_at(place, &gradient),
            None => bail!("sums of gradients on a CUDA device are not shared"),
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
    with_active(|active| {
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
    with_active(|active| {
        let Some(place) = active.place(parameter) else {
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

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::linear;

    /// As where a thread that waits for its part of an addition takes up a task of another.
    #[test]
    fn another_pass_may_be_taken_while_sums_change() {
        let [mine, other] = [0.5_f32, 2.0].map(|at| Var::new(&[[at]], &Device::Cpu).unwrap());
        let loss = linear(&Tensor::new(&[[3.0_f32]], &Device::Cpu).unwrap(), &other, None);
        let (mut sums, loss) = (Gradients::of([other.as_tensor()]), loss.unwrap());
        let gradients = Some(Gradients::of([mine.as_tensor()]));
        let mut active = Active { gradients, turn: None };
        lend(&mut active, || {
            with_active(|_| sums.add(&loss.sum_all()?).map_err(crate::OpsError::into_candle))
                .unwrap();
            assert!(is_wanted(&mine).unwrap(), "what was being changed is back");
            assert!(!is_wanted(&other).unwrap());
        });
        assert_eq!(sums.sum(0).unwrap().to_vec2::<f32>().unwrap(), [[3.0]]);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            lend(&mut active, || with_active(|_| -> candle_core::Result<()> { panic!("here") }))
        }));
        assert!(panicked.is_err() && active.gradients.is_some());
    }
}
