//! Softmax over the last dimension: `p = exp(x − max x) / Σ exp(x − max x)`.
//!
//! Backward: `dx = p (g − Σ g p)`. candle-nn's `softmax_last_dim` has none: its result is cut from
//! the graph.

use candle_core::{CpuStorage, CustomOp1, D, Layout, Shape, Tensor};

use crate::attention::normalise_rows;
use crate::error::{OpsError, Result};
use crate::real::{Real, are_native, contiguous, elements, read, sum, tensor_of, with_type};
use crate::recording::applied1;
use crate::threads::for_row_blocks;
use crate::vector::vectorised;

/// Softmax over the last dimension of `x`, with its graph.
///
/// # Errors
/// A scalar, no elements, or a type without fractions.
pub fn softmax_last(x: &Tensor) -> Result<Tensor> {
    check(x, None)?;
    if are_native(&[x]) {
        return Ok(applied1(&contiguous(x)?, Softmax)?);
    }
    masked_softmax_composed(x, 1.0, None)
}

/// Softmax over the last dimension of `scale · scores` from candle's own operations, where keys that
/// `keep` `[batch, keys]` or `[batch, queries, keys]` marks with 0 get the smallest finite value, so
/// that a row of none but masked keys is uniform and never NaN. `scores` `[batch, …, queries, keys]`.
pub(crate) fn masked_softmax_composed(
    scores: &Tensor,
    scale: f64,
    keep: Option<&Tensor>,
) -> Result<Tensor> {
    check(scores, keep)?;
    let mut scaled = (scores * scale)?;
    if let Some(keep) = keep {
        let lowest = match scores.dtype() {
            candle_core::DType::F64 => f64::MIN,
            candle_core::DType::F16 => -65504.0,
            candle_core::DType::BF16 => -3.389_531_389_251_535_5e38,
            _ => f64::from(f32::MIN),
        };
        // 0 where kept, the smallest finite value elsewhere.
        let bias = (keep.to_dtype(scores.dtype())?.affine(-1.0, 1.0)? * lowest)?;
        let mut shape = vec![1; scores.rank()];
        shape[0] = scores.dim(0)?;
        shape[scores.rank() - 1] = scores.dim(D::Minus1)?;
        if keep.rank() == 3 {
            shape[scores.rank() - 2] = scores.dim(D::Minus2)?;
        }
        scaled = scaled.broadcast_add(&bias.reshape(shape)?)?;
    }
    let highest = scaled.detach().max_keepdim(D::Minus1)?;
    let powers = scaled.broadcast_sub(&highest)?.exp()?;
    Ok(powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)?)
}

fn check(scores: &Tensor, keep: Option<&Tensor>) -> Result<()> {
    let wanted = match scores.dims() {
        [] => None,
        [.., keys] if *keys == 0 => None,
        [batch, .., keys] => Some([*batch, *keys]),
        [keys] => Some([1, *keys]),
    };
    let error = |argument, tensor: &Tensor, expected| {
        let found = tensor.dims().to_vec();
        Err(OpsError::Shape { operation: "softmax", argument, found, expected })
    };
    match (wanted, keep) {
        (None, _) => error("scores", scores, "[…, keys], and at least one key".to_owned()),
        (Some([batch, keys]), Some(keep)) => match (keep.dims(), scores.dims()) {
            (&[rows, columns], _) if [rows, columns] == [batch, keys] => Ok(()),
            (&[rows, each, columns], &[_, .., queries, _])
                if scores.rank() > 2 && [rows, each, columns] == [batch, queries, keys] =>
            {
                Ok(())
            }
            _ => error("mask", keep, format!("[{batch}, {keys}] or [{batch}, queries, {keys}]")),
        },
        _ => Ok(()),
    }
}

struct Softmax;

fn forward<T: Real>(x: &[T], width: usize) -> Vec<T> {
    let mut output = x.to_vec();
    for_row_blocks(&mut output, width, |_, block| {
        normalise_rows(block, width, None);
    });
    output
}

fn backward<T: Real>(p: &[T], gradient: &[T], width: usize) -> Vec<T> {
    let mut output = vec![T::default(); p.len()];
    for_row_blocks(&mut output, width, |first, block| {
        let start = first * width;
        backward_of_rows(&p[start..], &gradient[start..], block, width);
    });
    output
}

vectorised! {
    fn backward_of_rows<'k, T>(p: &'k [T], gradient: &'k [T], output: &'k mut [T], width: usize) {
        let rows = p.chunks_exact(width).zip(gradient.chunks_exact(width));
        for (output, (p, gradient)) in output.chunks_exact_mut(width).zip(rows) {
            let mean = sum(width, |i| p[i] * gradient[i]);
            for (i, output) in output.iter_mut().enumerate() {
                *output = p[i] * (gradient[i] - mean);
            }
        }
    }
}

impl CustomOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let width = layout.dims().last().copied().unwrap_or(1);
        let output = with_type!(x, T => T::storage(forward::<T>(elements(x, layout)?, width)));
        Ok((output, layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let width = x.dim(D::Minus1)?;
        let storage = read([result, gradient], |[(p, p_layout), (gradient, layout)]| {
            Ok(with_type!(p, T => T::storage(backward::<T>(
                elements(p, p_layout)?,
                elements(gradient, layout)?,
                width,
            ))))
        })?;
        tensor_of(storage, x.shape()).map(Some)
    }
}
