//! Softmax over the last dimension: `p = exp(s − max s) / Σ exp(s − max s)`, with
//! `s = scale · x + mask`.
//!
//! Backward: `dx = scale · p (g − Σ g p)`. candle-nn's `softmax_last_dim` has none: its result is
//! cut from the graph.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, D, Layout, Shape, Tensor};

use crate::error::{OpsError, Result};
use crate::real::{Real, are_native, contiguous, elements, read, sum, tensor_of, with_type};
use crate::threads::for_row_blocks;

/// Softmax over the last dimension of `x`, with its graph.
///
/// # Errors
/// A scalar, or a type without fractions.
pub fn softmax_last(x: &Tensor) -> Result<Tensor> {
    masked_softmax(x, 1.0, None)
}

/// Softmax over the last dimension of `scale · scores`, where keys that `keep` `[batch, keys]` or
/// `[batch, queries, keys]` marks with 0 get the smallest finite value, so that a row of none but masked keys is uniform
/// and never NaN. `scores` `[batch, …, queries, keys]`.
pub(crate) fn masked_softmax(scores: &Tensor, scale: f64, keep: Option<&Tensor>) -> Result<Tensor> {
    check(scores, keep)?;
    if !are_native(&[scores]) {
        return masked_softmax_composed(scores, scale, keep);
    }
    let keep = match keep {
        Some(keep) => Some(Arc::from(keep_flags(keep)?)),
        None => None,
    };
    Ok(contiguous(scores)?.apply_op1(Softmax { scale, keep })?)
}

/// [`masked_softmax`] from candle's own operations.
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

/// Which entries of a mask are not 0.
fn keep_flags(keep: &Tensor) -> candle_core::Result<Vec<bool>> {
    let values = keep.to_dtype(candle_core::DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    Ok(values.into_iter().map(|value| value > 0.0).collect())
}

struct Softmax {
    scale: f64,
    /// `[batch, keys]` or `[batch, queries, keys]`
    keep: Option<Arc<[bool]>>,
}

impl Softmax {
    fn forward<T: Real>(&self, scores: &[T], batch: usize, keys: usize) -> Vec<T> {
        let scale = T::of_f64(self.scale);
        let rows_per_item = (scores.len() / keys / batch.max(1)).max(1);
        // Rows of the mask for an item: 1, or as many as queries, which are the inner dimension.
        let masks = self.keep.as_ref().map_or(1, |keep| keep.len() / keys / batch.max(1)).max(1);
        let mut output = scores.to_vec();
        for_row_blocks(&mut output, keys, |first, block| {
            for (row, values) in block.chunks_exact_mut(keys).enumerate() {
                for value in values.iter_mut() {
                    *value *= scale;
                }
                if let Some(keep) = &self.keep {
                    let row = first + row;
                    let mask = row / rows_per_item * masks + row % masks;
                    let keep = &keep[mask * keys..][..keys];
                    for (value, keep) in values.iter_mut().zip(keep) {
                        *value = if *keep { *value } else { T::LOWEST };
                    }
                }
                normalise(values);
            }
        });
        output
    }

    fn backward<T: Real>(&self, p: &[T], gradient: &[T], keys: usize) -> Vec<T> {
        let scale = T::of_f64(self.scale);
        let mut output = vec![T::default(); p.len()];
        for_row_blocks(&mut output, keys, |first, block| {
            for (row, output) in block.chunks_exact_mut(keys).enumerate() {
                let start = (first + row) * keys;
                let (p, gradient) = (&p[start..][..keys], &gradient[start..][..keys]);
                let mean = sum(keys, |i| p[i] * gradient[i]);
                for (i, output) in output.iter_mut().enumerate() {
                    *output = scale * p[i] * (gradient[i] - mean);
                }
            }
        });
        output
    }
}

#[inline]
fn normalise<T: Real>(values: &mut [T]) {
    let mut highest = T::LOWEST;
    for &value in &*values {
        highest = if value > highest { value } else { highest };
    }
    for value in values.iter_mut() {
        *value = (*value - highest).exp();
    }
    let inverse = T::of_f64(1.0) / sum(values.len(), |i| values[i]);
    for value in values.iter_mut() {
        *value *= inverse;
    }
}

impl CustomOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(
        &self,
        scores: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let dims = layout.dims();
        let (batch, keys) = (if dims.len() > 1 { dims[0] } else { 1 }, dims[dims.len() - 1]);
        let output = with_type!(scores, T => T::storage(
            self.forward::<T>(elements(scores, layout)?, batch, keys)
        ));
        Ok((output, layout.shape().clone()))
    }

    fn bwd(
        &self,
        scores: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let keys = scores.dim(D::Minus1)?;
        let storage = read([result, gradient], |[(p, p_layout), (gradient, layout)]| {
            Ok(with_type!(p, T => T::storage(self.backward::<T>(
                elements(p, p_layout)?,
                elements(gradient, layout)?,
                keys,
            ))))
        })?;
        tensor_of(storage, scores.shape()).map(Some)
    }
}
