//! Gradient checkpointing (Chen et al., 2016): a part of a network of which the graph keeps the input
//! alone. The backward pass computes the part again.
//!
//! What is computed twice must be a function of its input and of fixed values; then its gradients are
//! those of the plain part bit for bit. Dropout of this crate is such: its masks are a function of
//! the step and the place.

use std::sync::{Mutex, PoisonError};

use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Shape, Storage, Tensor, Var, bail};

use crate::contribution::contribute_rest;
use crate::error::{OpsError, Result};
use crate::precision::{Precision, products, with_products_in};
use crate::recording::{
    applied2, is_composing, is_recording, with_composed_forms, without_gradient,
};

/// A part of a network, on the state it reads.
type Part = Box<dyn Fn(&Tensor) -> Result<Tensor> + Send + Sync>;

/// What `part` makes of `x`, with a graph that keeps `x` and computes the rest again for the
/// gradients, which [`Gradients::add`](crate::Gradients::add) alone takes. `learning` is any
/// parameter of the part that learns, if there is one; with it the part is in the graph also where
/// `x` is not.
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use mmc_ops::{Gradients, gelu, linear, recompute};
///
/// let weight = Var::new(&[[0.5_f32, -0.5], [0.25, 1.0]], &Device::Cpu)?;
/// let x = Tensor::new(&[[1.0_f32, 2.0]], &Device::Cpu)?;
/// let mut sums = Vec::new();
/// for again in [false, true] {
///     let held = weight.as_tensor().clone();
///     let part = move |x: &Tensor| gelu(&linear(x, &held, None)?);
///     let y = if again { recompute(&x, Some(&weight), part)? } else { part(&x)? };
///     let mut gradients = Gradients::of([weight.as_tensor()]);
///     gradients.add(&y.sum_all()?)?;
///     sums.push(gradients.sum(0).unwrap().to_vec2::<f32>()?);
/// }
/// assert_eq!(sums[0], sums[1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of `part`.
pub fn recompute(
    x: &Tensor,
    learning: Option<&Tensor>,
    part: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    let tracked = x.track_op() || learning.is_some_and(Tensor::track_op);
    if !tracked || !is_recording() {
        return part(x);
    }
    let y = without_gradient(|| part(&x.detach()))?.detach();
    let op = Recomputed {
        y: Mutex::new(Some(y)),
        part: Box::new(part),
        precision: products(),
        composed: is_composing(),
    };
    Ok(applied2(x, learning.unwrap_or(x), op)?)
}

/// A part on its way through a graph.
struct Recomputed {
    /// Its result, until the graph's tensor has it.
    y: Mutex<Option<Tensor>>,
    part: Part,
    /// How it was computed.
    precision: Precision,
    composed: bool,
}

impl Recomputed {
    fn result(&self) -> candle_core::Result<Tensor> {
        let y = self.y.lock().unwrap_or_else(PoisonError::into_inner).take();
        y.ok_or_else(|| candle_core::Error::Msg("a part of a network is computed twice".to_owned()))
    }

    /// The part again, as it was computed.
    fn again(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let part = || with_products_in(self.precision, || (self.part)(x));
        let y = if self.composed { with_composed_forms(part) } else { part() };
        y.map_err(OpsError::into_candle)
    }
}

/// A scalar whose gradient by what it is made of is the one that is given: the sum of the products of the
/// two would have it too, and take several more of that size.
struct Given(Tensor);

impl CustomOp1 for Given {
    fn name(&self) -> &'static str {
        "given-gradient"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        _layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        scalar_beside(storage)
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        storage: &candle_core::CudaStorage,
        _layout: &Layout,
    ) -> candle_core::Result<(candle_core::CudaStorage, Shape)> {
        scalar_beside(storage)
    }

    fn bwd(
        &self,
        _y: &Tensor,
        _scalar: &Tensor,
        _one: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        Ok(Some(self.0.clone()))
    }
}

/// A zero on the device and of the type of a storage.
fn scalar_beside<S>(storage: &S) -> candle_core::Result<(S, Shape)>
where
    S: BackendStorage,
    S::Device: BackendDevice<Storage = S>,
{
    let shape = Shape::from(());
    Ok((storage.device().zeros_impl(&shape, storage.dtype())?, shape))
}

/// The elements that a tensor shows of a storage, which may hold others before, between and behind them,
/// side by side in one of their own.
fn elements_of<S>(storage: &S, layout: &Layout) -> candle_core::Result<S>
where
    S: BackendStorage,
    S::Device: BackendDevice<Storage = S>,
{
    let mut own = storage.device().zeros_impl(layout.shape(), storage.dtype())?;
    storage.copy_strided_src(&mut own, 0, layout)?;
    Ok(own)
}

impl CustomOp2 for Recomputed {
    fn name(&self) -> &'static str {
        "recompute"
    }

    fn cpu_fwd(
        &self,
        _x: &CpuStorage,
        _layout: &Layout,
        _learning: &CpuStorage,
        _learning_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let y = self.result()?;
        let (storage, layout) = y.storage_and_layout();
        match &*storage {
            Storage::Cpu(storage) => Ok((elements_of(storage, layout)?, layout.shape().clone())),
            _ => bail!("a part of a network left the CPU"),
        }
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        _x: &candle_core::CudaStorage,
        _layout: &Layout,
        _learning: &candle_core::CudaStorage,
        _learning_layout: &Layout,
    ) -> candle_core::Result<(candle_core::CudaStorage, Shape)> {
        let y = self.result()?;
        let (storage, layout) = y.storage_and_layout();
        match &*storage {
            Storage::Cuda(storage) => Ok((elements_of(storage, layout)?, layout.shape().clone())),
            _ => bail!("a part of a network left the CUDA device"),
        }
    }

    fn bwd(
        &self,
        x: &Tensor,
        _learning: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        // A variable stands for the input. What operations see is no variable: theirs are parameters,
        // whose gradients go to their sums.
        let input = Var::from_tensor(&x.detach())?;
        let seen = if x.track_op() { input.as_tensor().copy()? } else { x.detach() };
        let y = self.again(&seen)?;
        let mut rest = y.apply_op1(Given(gradient.detach()))?.backward()?;
        let by_x = if x.track_op() { rest.remove(input.as_tensor()) } else { None };
        contribute_rest(&mut rest)?;
        Ok((by_x, None))
    }
}

#[cfg(test)]
mod tests;
