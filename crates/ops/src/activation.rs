//! Elementwise activations.
//!
//! ```text
//! gelu(x)       = x Φ(x) = x/2 (1 + erf(x/√2))        gelu'(x) = Φ(x) + x φ(x)
//! quick_gelu(x) = x σ(1.702 x)                        quick_gelu'(x) = σ + 1.702 x σ (1 − σ)
//! tanh
//! ```
//!
//! GELU: Hendrycks and Gimpel (2016), the exact form that configurations call `gelu`. candle's own
//! backward of it uses constants of six digits; here it is exact.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};

use crate::error::Result;
use crate::real::{Real, are_native, contiguous, elements, read, tensor_of, with_type};
use crate::recording::applied1;
use crate::threads::{for_row_block_pairs, for_row_blocks};
use crate::vector::vectorised;

/// What stands between the two linear maps of a feed-forward layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// [`gelu`].
    Gelu,
    /// [`quick_gelu`].
    QuickGelu,
}

impl Activation {
    /// The activation of `x`, elementwise.
    ///
    /// # Errors
    /// A type without fractions.
    pub fn forward(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Gelu => gelu(x),
            Self::QuickGelu => quick_gelu(x),
        }
    }

    /// The activation and its derivative.
    #[inline(always)]
    fn both<T: Real>(self, x: T) -> (T, T) {
        match self {
            Self::Gelu => {
                let (cumulative, density) = x.normal();
                (x * cumulative, cumulative + x * density)
            }
            Self::QuickGelu => {
                let factor = T::of_f64(1.702);
                let sigmoid = (factor * x).sigmoid();
                let slope = factor * x * sigmoid * (T::of_f64(1.0) - sigmoid);
                (x * sigmoid, sigmoid + slope)
            }
        }
    }

    /// The activation of rows of `x + bias`, into `output`.
    pub(crate) fn of_rows<T: Real>(self, x: &[T], bias: &[T], output: &mut [T]) {
        let width = bias.len();
        for_row_blocks(output, width, |first, block| {
            values_of_rows(self, &x[first * width..], bias, block);
        });
    }

    /// The same, and the derivative at `x + bias` in the place of `x`.
    pub(crate) fn of_rows_with_slope<T: Real>(self, x: &mut [T], bias: &[T], output: &mut [T]) {
        let width = bias.len();
        for_row_block_pairs(x, output, width, |x, output| {
            values_and_slopes_of_rows(self, x, bias, output);
        });
    }
}

vectorised! {
    fn values_of_rows<'k, T>(activation: Activation, x: &'k [T], bias: &'k [T], output: &'k mut [T]) {
        for (output, x) in output.chunks_exact_mut(bias.len()).zip(x.chunks_exact(bias.len())) {
            for ((output, &x), &bias) in output.iter_mut().zip(x).zip(bias) {
                *output = activation.both(x + bias).0;
            }
        }
    }
}

vectorised! {
    fn values_and_slopes_of_rows<'k, T>(activation: Activation, x: &'k mut [T], bias: &'k [T], output: &'k mut [T]) {
        let rows = x.chunks_exact_mut(bias.len()).zip(output.chunks_exact_mut(bias.len()));
        for (x, output) in rows {
            for ((x, output), &bias) in x.iter_mut().zip(output).zip(bias) {
                (*output, *x) = activation.both(*x + bias);
            }
        }
    }
}

vectorised! {
    fn values_in_place<'k, T>(activation: Activation, x: &'k mut [T]) {
        for x in x.iter_mut() {
            *x = activation.both(*x).0;
        }
    }
}

vectorised! {
    fn multiply_by_slopes<'k, T>(activation: Activation, gradient: &'k mut [T], x: &'k [T]) {
        for (gradient, &x) in gradient.iter_mut().zip(x) {
            *gradient *= activation.both(x).1;
        }
    }
}

/// `x Φ(x)`, elementwise: the exact GELU, not its tanh approximation.
///
/// # Errors
/// A type without fractions.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if crate::cuda::takes(&[x]) {
        return Ok(crate::cuda::activation(Activation::Gelu, x)?);
    }
    if are_native(&[x]) {
        return Ok(applied1(&contiguous(x)?, Elementwise(Activation::Gelu))?);
    }
    let cumulative = ((x * std::f64::consts::FRAC_1_SQRT_2)?.erf()? * 0.5)?;
    Ok((x * (cumulative + 0.5)?)?)
}

/// `x σ(1.702 x)`, elementwise: CLIP's activation.
///
/// # Errors
/// A type without fractions.
pub fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if crate::cuda::takes(&[x]) {
        return Ok(crate::cuda::activation(Activation::QuickGelu, x)?);
    }
    if are_native(&[x]) {
        return Ok(applied1(&contiguous(x)?, Elementwise(Activation::QuickGelu))?);
    }
    // σ(z) = (1 + tanh(z/2)) / 2, which cannot overflow.
    Ok((x * (((x * (1.702 / 2.0))?.tanh()? + 1.0)? * 0.5)?)?)
}

/// The hyperbolic tangent, elementwise.
///
/// # Errors
/// A type without fractions.
pub fn tanh(x: &Tensor) -> Result<Tensor> {
    Ok(x.tanh()?)
}

struct Elementwise(Activation);

/// Elements that count as a row where there are none.
const RUN: usize = 64;

impl CustomOp1 for Elementwise {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let output = with_type!(x, T => {
            let mut output = elements::<T>(x, layout)?.to_vec();
            for_row_blocks(&mut output, RUN, |_, block| values_in_place(self.0, block));
            T::storage(output)
        });
        Ok((output, layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let storage = read([x, gradient], |[(x, x_layout), (gradient, layout)]| {
            Ok(with_type!(x, T => {
                let x = elements::<T>(x, x_layout)?;
                let mut output = elements::<T>(gradient, layout)?.to_vec();
                for_row_blocks(&mut output, RUN, |first, block| {
                    multiply_by_slopes(self.0, block, &x[first * RUN..]);
                });
                T::storage(output)
            }))
        })?;
        tensor_of(storage, x.shape()).map(Some)
    }
}
