//! Layer normalisation (Ba, Kiros and Hinton, 2016): `y = (x − mean) / √(var + ε) · γ + β`, with
//! the biased variance, over the last dimension.
//!
//! `x` `[…, width]`, `γ`, `β` `[width]`. Backward, with `x̂ = (x − mean)/σ` and `h = g γ`:
//! `dx = (h − mean(h) − x̂ mean(h x̂)) / σ`, `dγ = Σ g x̂`, `dβ = Σ g` over rows.

use candle_core::{CpuStorage, CustomOp3, D, DType, Layout, Shape, Tensor};

use crate::contribution::gradient_of;
use crate::error::{OpsError, Result};
use crate::real::{Real, are_native, contiguous, elements, hold, sum, tensor_of, with_type};
use crate::recording::applied3;
use crate::threads::{for_row_blocks, sum_over_rows};
use crate::vector::vectorised;

/// Normalises the last dimension of `x` `[…, width]`, then scales by `weight` and shifts by
/// `bias`, both `[width]`.
///
/// # Errors
/// Shapes that do not fit.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    check(x, weight, bias)?;
    #[cfg(feature = "cuda")]
    if crate::cuda::takes(&[x, weight, bias]) {
        return Ok(crate::cuda::layer_norm(x, weight, bias, eps)?);
    }
    if are_native(&[x, weight, bias]) {
        let (x, weight, bias) = (contiguous(x)?, contiguous(weight)?, contiguous(bias)?);
        return Ok(applied3(&x, &weight, &bias, LayerNorm { eps })?);
    }
    layer_norm_composed(x, weight, bias, eps)
}

/// [`layer_norm`] from candle's own operations.
fn layer_norm_composed(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
    Ok(centred.broadcast_div(&deviation)?.broadcast_mul(weight)?.broadcast_add(bias)?)
}

fn check(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<()> {
    let width = x.dims().last().copied().unwrap_or(0);
    for (argument, tensor) in [("weight", weight), ("bias", bias)] {
        if width == 0 || tensor.dims() != [width] {
            return Err(OpsError::Shape {
                operation: "layer_norm",
                argument,
                found: tensor.dims().to_vec(),
                expected: format!("[{width}], and at least one element"),
            });
        }
    }
    Ok(())
}

/// Mean and 1 / σ of a row.
#[inline(always)]
fn statistics<T: Real>(row: &[T], eps: f64) -> (T, T) {
    let count = T::of_f64(row.len() as f64);
    let mean = sum(row.len(), |i| row[i]) / count;
    let variance = sum(row.len(), |i| (row[i] - mean) * (row[i] - mean)) / count;
    (mean, T::of_f64(1.0) / (variance + T::of_f64(eps)).sqrt())
}

/// The normalised rows of `x`, into `output`.
pub(crate) fn forward<T: Real>(x: &[T], (weight, bias): (&[T], &[T]), eps: f64, output: &mut [T]) {
    let width = weight.len();
    for_row_blocks(output, width, |first, block| {
        normalise_rows(&x[first * width..], weight, bias, eps, block);
    });
}

vectorised! {
    /// Rows of `x`, normalised, into `output`.
    fn normalise_rows<'k, T>(x: &'k [T], weight: &'k [T], bias: &'k [T], eps: f64, output: &'k mut [T]) {
        let width = weight.len();
        for (output, x) in output.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
            let (mean, inverse) = statistics(x, eps);
            for i in 0..width {
                output[i] = (x[i] - mean) * inverse * weight[i] + bias[i];
            }
        }
    }
}

/// The gradient by `x`, into `by_x`, which holds that by the result.
pub(crate) fn backward_in_place<T: Real>(x: &[T], weight: &[T], eps: f64, by_x: &mut [T]) {
    let width = weight.len();
    for_row_blocks(by_x, width, |first, block| {
        backward_of_rows(&x[first * width..], weight, eps, block);
    });
}

vectorised! {
    /// The gradients by rows of `x`, in the place of those by their results.
    fn backward_of_rows<'k, T>(x: &'k [T], weight: &'k [T], eps: f64, output: &'k mut [T]) {
        let width = weight.len();
        let count = T::of_f64(width as f64);
        for (output, x) in output.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
            let (mean, inverse) = statistics(x, eps);
            let level = sum(width, |i| output[i] * weight[i]) / count;
            let tilt = sum(width, |i| output[i] * weight[i] * ((x[i] - mean) * inverse)) / count;
            for i in 0..width {
                let normal = (x[i] - mean) * inverse;
                output[i] = inverse * (output[i] * weight[i] - level - normal * tilt);
            }
        }
    }
}

/// The gradients by `γ` and `β`, one behind the other, given that by the result.
pub(crate) fn parameter_gradients<T: Real>(
    x: &[T],
    gradient: &[T],
    width: usize,
    eps: f64,
) -> Vec<T> {
    let rows = x.len() / width.max(1);
    sum_over_rows(rows, 2 * width, T::default(), |rows, sums| {
        let place = rows.start * width..rows.end * width;
        add_parameter_gradients(&x[place.clone()], &gradient[place], eps, sums);
    })
}

vectorised! {
    /// Adds what some rows give to the gradients by `γ` and `β`, one behind the other.
    fn add_parameter_gradients<'k, T>(x: &'k [T], gradient: &'k [T], eps: f64, sums: &'k mut [T]) {
        let width = sums.len() / 2;
        let (by_weight, by_bias) = sums.split_at_mut(width);
        for (x, gradient) in x.chunks_exact(width).zip(gradient.chunks_exact(width)) {
            let (mean, inverse) = statistics(x, eps);
            for i in 0..width {
                by_weight[i] += gradient[i] * ((x[i] - mean) * inverse);
                by_bias[i] += gradient[i];
            }
        }
    }
}

struct LayerNorm {
    eps: f64,
}

impl LayerNorm {
    fn backward<T: Real>(
        &self,
        [x, weight, bias]: [&Tensor; 3],
        gradient: &[T],
    ) -> candle_core::Result<[Option<Tensor>; 3]> {
        let (held_x, held_weight) = (hold(x), hold(weight));
        let (values, scales) = (held_x.values::<T>()?, held_weight.values::<T>()?);
        let width = scales.len();
        let by_x = if x.track_op() {
            let mut output = gradient.to_vec();
            backward_in_place(values, scales, self.eps, &mut output);
            Some(tensor_of(T::storage(output), x.shape())?)
        } else {
            None
        };
        if !weight.track_op() && !bias.track_op() {
            return Ok([by_x, None, None]);
        }
        let sums = parameter_gradients(values, gradient, width, self.eps);
        let by_weight = gradient_of(weight, |output: &mut [T]| {
            output.copy_from_slice(&sums[..width]);
        })?;
        let by_bias = gradient_of(bias, |output: &mut [T]| {
            output.copy_from_slice(&sums[width..]);
        })?;
        Ok([by_x, by_weight, by_bias])
    }
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let output = with_type!(x, T => {
            let x = elements::<T>(x, x_layout)?;
            let affine = (elements(weight, weight_layout)?, elements(bias, bias_layout)?);
            let mut output = vec![T::default(); x.len()];
            forward(x, affine, self.eps, &mut output);
            T::storage(output)
        });
        Ok((output, x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = contiguous(gradient)?;
        let held = hold(&gradient);
        let [by_x, by_weight, by_bias] = match gradient.dtype() {
            DType::F64 => self.backward::<f64>([x, weight, bias], held.values()?)?,
            _ => self.backward::<f32>([x, weight, bias], held.values()?)?,
        };
        Ok((by_x, by_weight, by_bias))
    }
}
