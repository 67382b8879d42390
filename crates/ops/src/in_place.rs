//! Changing the elements of a tensor where they lie.

use std::cell::RefCell;

use candle_core::{CpuStorage, InplaceOp1, Layout, Tensor, bail};

use crate::error::Result;
use crate::real::Real;

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
