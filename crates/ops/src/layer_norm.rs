//! Layer normalisation (Ba, Kiros and Hinton, 2016): `y = (x − mean) / √(var + ε) · γ + β`, with
//! the biased variance, over the last dimension.
//!
//! `x` `[…, width]`, `γ`, `β` `[width]`. Backward, with `x̂ = (x − mean)/σ` and `h = g γ`:
//! `dx = (h − mean(h) − x̂ mean(h x̂)) / σ`, `dγ = Σ g x̂`, `dβ = Σ g` over rows.

use candle_core::{CpuStorage, CustomOp3, D, Layout, Shape, Tensor};

use crate::error::{OpsError, Result};
use crate::real::{Real, are_native, contiguous, elements, read, sum, tensor_of, with_type};
use crate::threads::{for_row_blocks, sum_over_rows};

/// Normalises the last dimension of `x` `[…, width]`, then scales by `weight` and shifts by
/// `bias`, both `[width]`.
///
/// # Errors
/// Shapes that do not fit.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    check(x, weight, bias)?;
    if are_native(&[x, weight, bias]) {
        let (x, weight, bias) = (contiguous(x)?, contiguous(weight)?, contiguous(bias)?);
        return Ok(x.apply_op3(&weight, &bias, LayerNorm { eps })?);
    }
    layer_norm_composed(x, weight, bias, eps)
}

/// [`layer_norm`] from candle's own operations.
pub(crate) fn layer_norm_composed(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    eps: f64,
) -> Result<Tensor> {
    check(x, weight, bias)?;
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

struct LayerNorm {
    eps: f64,
}

impl LayerNorm {
    /// Mean and 1 / σ of a row.
    #[inline]
    fn statistics<T: Real>(&self, row: &[T]) -> (T, T) {
        let count = T::of_f64(row.len() as f64);
        let mean = sum(row.len(), |i| row[i]) / count;
        let variance = sum(row.len(), |i| (row[i] - mean) * (row[i] - mean)) / count;
        (mean, T::of_f64(1.0) / (variance + T::of_f64(self.eps)).sqrt())
    }

    fn forward<T: Real>(&self, x: &[T], weight: &[T], bias: &[T]) -> Vec<T> {
        let width = weight.len();
        let mut output = vec![T::default(); x.len()];
        for_row_blocks(&mut output, width, |first, block| {
            for (row, output) in block.chunks_exact_mut(width).enumerate() {
                let x = &x[(first + row) * width..][..width];
                let (mean, inverse) = self.statistics(x);
                for (i, output) in output.iter_mut().enumerate() {
                    *output = (x[i] - mean) * inverse * weight[i] + bias[i];
                }
            }
        });
        output
    }

    /// dx, dγ, dβ.
    fn backward<T: Real>(&self, x: &[T], weight: &[T], gradient: &[T]) -> [Vec<T>; 3] {
        let width = weight.len();
        let count = T::of_f64(width as f64);
        let rows = x.len() / width;
        let mut by_x = vec![T::default(); x.len()];
        for_row_blocks(&mut by_x, width, |first, block| {
            for (row, output) in block.chunks_exact_mut(width).enumerate() {
                let start = (first + row) * width;
                let (x, gradient) = (&x[start..][..width], &gradient[start..][..width]);
                let (mean, inverse) = self.statistics(x);
                let normal = |i: usize| (x[i] - mean) * inverse;
                let scaled = |i: usize| gradient[i] * weight[i];
                let level = sum(width, scaled) / count;
                let tilt = sum(width, |i| scaled(i) * normal(i)) / count;
                for (i, output) in output.iter_mut().enumerate() {
                    *output = inverse * (scaled(i) - level - normal(i) * tilt);
                }
            }
        });
        let mut sums = sum_over_rows(rows, 2 * width, T::default(), |row, sums| {
            let (x, gradient) = (&x[row * width..][..width], &gradient[row * width..][..width]);
            let (mean, inverse) = self.statistics(x);
            let (by_weight, by_bias) = sums.split_at_mut(width);
            for i in 0..width {
                by_weight[i] += gradient[i] * ((x[i] - mean) * inverse);
                by_bias[i] += gradient[i];
            }
        });
        let by_bias = sums.split_off(width);
        [by_x, sums, by_bias]
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
        let output = with_type!(x, T => T::storage(self.forward::<T>(
            elements(x, x_layout)?,
            elements(weight, weight_layout)?,
            elements(bias, bias_layout)?,
        )));
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
        let gradients = read([x, weight, gradient], |[(x, xl), (weight, wl), (gradient, gl)]| {
            Ok(with_type!(x, T => self
                .backward::<T>(elements(x, xl)?, elements(weight, wl)?, elements(gradient, gl)?)
                .map(T::storage)))
        })?;
        let [by_x, by_weight, by_bias] = gradients;
        Ok((
            Some(tensor_of(by_x, x.shape())?),
            Some(tensor_of(by_weight, weight.shape())?),
            Some(tensor_of(by_bias, bias.shape())?),
        ))
    }
}
