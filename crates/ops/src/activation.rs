//! Elementwise activations.
//!
//! ```text
//! gelu(x)       = x Φ(x) = x/2 (1 + erf(x/√2))        gelu'(x) = Φ(x) + x φ(x)
//! quick_gelu(x) = x σ(1.702 x)
//! tanh
//! ```
//!
//! GELU: Hendrycks and Gimpel (2016), the exact form that configurations call `gelu`. candle's own
//! backward of it uses constants of six digits; here it is exact.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};

use crate::error::Result;
use crate::real::{Real, are_native, contiguous, elements, read, tensor_of, with_type};
use crate::threads::for_row_blocks;

/// `x Φ(x)`, elementwise: the exact GELU, not its tanh approximation.
///
/// # Errors
/// A type without fractions.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    if are_native(&[x]) { Ok(contiguous(x)?.apply_op1(Gelu)?) } else { gelu_composed(x) }
}

/// [`gelu`] from candle's own operations, whose `erf` has an exact gradient.
pub(crate) fn gelu_composed(x: &Tensor) -> Result<Tensor> {
    let cumulative = ((x * std::f64::consts::FRAC_1_SQRT_2)?.erf()? * 0.5)?;
    Ok((x * (cumulative + 0.5)?)?)
}

/// `x σ(1.702 x)`, elementwise: CLIP's activation.
///
/// # Errors
/// A type without fractions.
pub fn quick_gelu(x: &Tensor) -> Result<Tensor> {
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

struct Gelu;

/// Φ(x), the standard normal distribution function.
#[inline]
fn cumulative<T: Real>(x: T) -> T {
    T::of_f64(0.5) * (T::of_f64(1.0) + (x * T::of_f64(std::f64::consts::FRAC_1_SQRT_2)).erf())
}

/// φ(x), the standard normal density.
#[inline]
fn density<T: Real>(x: T) -> T {
    const PEAK: f64 = 0.398_942_280_401_432_7; // 1/√(2π)
    T::of_f64(PEAK) * (T::of_f64(-0.5) * x * x).exp()
}

/// Elements that count as a row where there are none.
const RUN: usize = 64;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let output = with_type!(x, T => {
            let x = elements::<T>(x, layout)?;
            let mut output = x.to_vec();
            for_row_blocks(&mut output, RUN, |_, block| {
                for x in block.iter_mut() {
                    *x *= cumulative(*x);
                }
            });
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
                    for (gradient, &x) in block.iter_mut().zip(&x[first * RUN..]) {
                        *gradient *= cumulative(x) + x * density(x);
                    }
                });
                T::storage(output)
            }))
        })?;
        tensor_of(storage, x.shape()).map(Some)
    }
}
