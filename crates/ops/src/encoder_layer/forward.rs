//! The forward pass of a layer on slices.

use std::ops::Deref;

use candle_core::Storage;

use super::{Layer, Norms};
use crate::buffer::Buffer;
use crate::dropout::Dropout;
use crate::layer_norm;
use crate::linear::add_bias;
use crate::mask::{Mask, keep};
use crate::matrix::{Into, Matrix, MatrixMut, product};
use crate::real::{Held, Real};
use crate::threads::for_row_blocks;
use crate::vector::vectorised;

/// A weight and a bias.
pub(super) type Pair<'a, T> = (&'a [T], &'a [T]);

/// The parameters of a layer.
pub(super) struct Weights<'a, T> {
    pub(super) query: Pair<'a, T>,
    pub(super) key: Pair<'a, T>,
    pub(super) value: Pair<'a, T>,
    pub(super) attention_output: Pair<'a, T>,
    pub(super) attention_norm: Pair<'a, T>,
    pub(super) inner: Pair<'a, T>,
    pub(super) output: Pair<'a, T>,
    pub(super) output_norm: Pair<'a, T>,
}

impl<'a, T: Real> Weights<'a, T> {
    /// From weights and biases in turn.
    pub(super) fn of<G>(held: &'a [Held<'_, G>; 16]) -> candle_core::Result<Self>
    where
        G: Deref<Target = Storage>,
    {
        let pair = |at: usize| -> candle_core::Result<Pair<'a, T>> {
            Ok((held[2 * at].values()?, held[2 * at + 1].values()?))
        };
        Ok(Self {
            query: pair(0)?,
            key: pair(1)?,
            value: pair(2)?,
            attention_output: pair(3)?,
            attention_norm: pair(4)?,
            inner: pair(5)?,
            output: pair(6)?,
            output_norm: pair(7)?,
        })
    }
}

/// What backward needs of the forward pass.
pub(super) struct Saved<T: Real> {
    pub(super) query: Buffer<T>,   // [queries, hidden]
    pub(super) key: Buffer<T>,     // [tokens, hidden]
    pub(super) value: Buffer<T>,   // [tokens, hidden]
    pub(super) context: Buffer<T>, // [queries, hidden], what was read
    pub(super) middle: Buffer<T>,  // [queries, hidden], the sum of the attention half
    pub(super) inner: Buffer<T>,   // [queries, inner], before bias and activation
    /// The sum of the feed-forward half, `[queries, hidden]`, where it is normalised.
    pub(super) last: Option<Buffer<T>>,
}

/// The new states, and what backward needs.
pub(super) fn forward<T: Real>(
    op: &Layer,
    weights: &Weights<'_, T>,
    x: &[T],
) -> (Vec<T>, Saved<T>) {
    let hidden = weights.query.1.len();
    let before = op.parts.norms == Norms::Before;
    let normed = before.then(|| normed(x, weights.attention_norm, op.parts.eps));
    let input = normed.as_deref().unwrap_or(x);
    let readers = op.plan.readers.as_deref();
    let picked = readers.map(|readers| gathered(input, readers, hidden));

    let query = mapped(picked.as_deref().unwrap_or(input), weights.query);
    let (key, value) = (mapped(input, weights.key), mapped(input, weights.value));
    drop((normed, picked));
    let context = op.plan.forward((&query, &key, &value), op.masks.heads.as_deref());

    let mut middle = multiplied(&context, weights.attention_output.0, hidden);
    let picked = readers.map(|readers| gathered(x, readers, hidden));
    let residual = picked.as_deref().unwrap_or(x);
    let mask = op.masks.attention_output.as_ref();
    add_residual(&mut middle, weights.attention_output.1, mask, residual);

    let norm = if before { weights.output_norm } else { weights.attention_norm };
    let states = self::normed(&middle, norm, op.parts.eps);
    let inner = multiplied(&states, weights.inner.0, hidden);
    let mut active = Buffer::of(inner.len());
    op.parts.activation.of_rows(&inner, weights.inner.1, &mut active);
    // What a tensor will own is no loan.
    let mut output = vec![T::default(); middle.len()];
    let mask = op.masks.output.as_ref();
    let last = if before {
        multiply(&active, weights.output.0, weights.inner.1.len(), &mut output);
        add_residual(&mut output, weights.output.1, mask, &middle);
        None
    } else {
        let mut last = multiplied(&active, weights.output.0, weights.inner.1.len());
        add_residual(&mut last, weights.output.1, mask, &states);
        layer_norm::forward(&last, weights.output_norm, op.parts.eps, &mut output);
        Some(last)
    };
    (output, Saved { query, key, value, context, middle, inner, last })
}

/// Normalised rows.
pub(super) fn normed<T: Real>(x: &[T], norm: Pair<'_, T>, eps: f64) -> Buffer<T> {
    let mut output = Buffer::of(x.len());
    layer_norm::forward(x, norm, eps, &mut output);
    output
}

/// Some rows of `x` `[…, width]`.
pub(super) fn gathered<T: Real>(x: &[T], rows: &[u32], width: usize) -> Buffer<T> {
    let mut output = Buffer::of(rows.len() * width);
    for (output, &row) in output.chunks_exact_mut(width).zip(rows) {
        output.copy_from_slice(&x[row as usize * width..][..width]);
    }
    output
}

/// `x Wᵀ` for `x` `[…, inputs]` and `W` `[outputs, inputs]`, into `output`.
fn multiply<T: Real>(x: &[T], weight: &[T], inputs: usize, output: &mut [T]) {
    let (rows, outputs) = (x.len() / inputs, weight.len() / inputs);
    let (x, weight) = (Matrix::new(x, rows, inputs), Matrix::new(weight, outputs, inputs));
    product(MatrixMut::new(output, rows, outputs), x, weight.t(), Into::Replace);
}

/// `x Wᵀ`, likewise.
fn multiplied<T: Real>(x: &[T], weight: &[T], inputs: usize) -> Buffer<T> {
    let mut output = Buffer::of(x.len() / inputs * (weight.len() / inputs));
    multiply(x, weight, inputs, &mut output);
    output
}

/// `x Wᵀ + b`.
fn mapped<T: Real>(x: &[T], (weight, bias): Pair<'_, T>) -> Buffer<T> {
    let mut output = multiplied(x, weight, weight.len() / bias.len());
    add_bias(&mut output, bias);
    output
}

/// `rows ← residual + drop(rows + bias)`.
fn add_residual<T: Real>(
    rows: &mut [T],
    bias: &[T],
    mask: Option<&(Mask, Dropout)>,
    residual: &[T],
) {
    let width = bias.len();
    let mask = mask.map(|(mask, dropout)| (mask, dropout.scale()));
    for_row_blocks(rows, width, |first, block| {
        let mask = mask.map(|(mask, scale)| (mask, first, scale));
        add_residual_rows(block, bias, mask, &residual[first * width..]);
    });
}

vectorised! {
    /// Some rows of it; the first has this line of the mask.
    fn add_residual_rows<'k, T>(rows: &'k mut [T], bias: &'k [T], mask: Option<(&'k Mask, usize, T)>, residual: &'k [T]) {
        let width = bias.len();
        let pairs = rows.chunks_exact_mut(width).zip(residual.chunks_exact(width));
        for (row, (values, residual)) in pairs.enumerate() {
            for (value, bias) in values.iter_mut().zip(bias) {
                *value += *bias;
            }
            if let Some((mask, first, scale)) = mask {
                keep(values, mask.line(first + row), scale);
            }
            for (value, residual) in values.iter_mut().zip(residual) {
                *value += *residual;
            }
        }
    }
}
