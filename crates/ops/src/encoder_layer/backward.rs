//! The backward pass of a layer on slices. Gradients of parameters are added to their sums as they
//! arise.

use std::ops::DerefMut;

use super::forward::{Pair, Saved, Weights, gathered, normed};
use super::{Affine, Layer, Norms};
use crate::buffer::Buffer;
use crate::contribution::{contribute, contribute_product, is_wanted};
use crate::dropout::Dropout;
use crate::layer_norm;
use crate::linear::column_sums;
use crate::mask::{Mask, keep_rows};
use crate::matrix::{Into, Matrix, MatrixMut, product};
use crate::real::Real;
use crate::threads::{add_slices, for_row_blocks};
use crate::vector::vectorised;

/// The gradient by `x` `[tokens, hidden]`, where it is tracked, given that by the new states.
pub(super) fn backward<T: Real>(
    op: &Layer,
    weights: &Weights<'_, T>,
    saved: Saved<T>,
    (x, x_is_tracked): (&[T], bool),
    gradient: &[T],
) -> candle_core::Result<Option<Vec<T>>> {
    let (layer, hidden) = (&op.parts, weights.query.1.len());
    let before = layer.norms == Norms::Before;
    let Saved { query, key, value, context, middle, inner, last } = saved;

    // The feed-forward half: from the new states to `by_middle`, by the sum of the attention half.
    let mut by_sum = Buffer::of(gradient.len());
    by_sum.copy_from_slice(gradient);
    if let Some(last) = last {
        through_norm(&last, weights.output_norm.0, layer.eps, &layer.output_norm, &mut by_sum)?;
    }
    let norm = if before { weights.output_norm } else { weights.attention_norm };
    let states = normed(&middle, norm, layer.eps);
    let by_states = {
        let dropped = dropped(&by_sum, op.masks.output.as_ref(), hidden);
        let by_output = dropped.as_deref().unwrap_or(&by_sum);
        feed_backward(op, weights, inner, &states, by_output)?
    };
    let mut by_middle = by_states;
    if before {
        through_norm(&middle, norm.0, layer.eps, &layer.output_norm, &mut by_middle)?;
        add_slices(&mut by_middle, &by_sum);
    } else {
        add_slices(&mut by_middle, &by_sum);
        through_norm(&middle, norm.0, layer.eps, &layer.attention_norm, &mut by_middle)?;
    }
    drop((by_sum, states, middle));

    // The attention half.
    let by_context = {
        let dropped = dropped(&by_middle, op.masks.attention_output.as_ref(), hidden);
        let by_read = dropped.as_deref().unwrap_or(&by_middle);
        map_gradients(&layer.attention_output, &context, by_read)?;
        times_weight(by_read, weights.attention_output, Buffer::of(context.len()), Into::Replace)
    };
    drop(context);
    let heads = op.masks.heads.as_deref();
    let [by_query, by_key, by_value] = op.plan.backward((&query, &key, &value), heads, &by_context);
    drop((query, key, value, by_context));

    let normed_x = before.then(|| normed(x, weights.attention_norm, layer.eps));
    let input = normed_x.as_deref().unwrap_or(x);
    let readers = op.plan.readers.as_deref();
    let picked = readers.map(|readers| gathered(input, readers, hidden));
    map_gradients(&layer.query, picked.as_deref().unwrap_or(input), &by_query)?;
    map_gradients(&layer.key, input, &by_key)?;
    map_gradients(&layer.value, input, &by_value)?;
    drop((normed_x, picked));
    let norm_reads_x = before && norm_is_wanted(&layer.attention_norm)?;
    if !(x_is_tracked || norm_reads_x) {
        return Ok(None);
    }
    let by_input = vec![T::default(); x.len()]; // a tensor will own it
    let by_input = times_weight(&by_key, weights.key, by_input, Into::Replace);
    let by_input = times_weight(&by_value, weights.value, by_input, Into::Add);
    let mut by_x = if let Some(readers) = readers {
        let by_readers = Buffer::of(by_query.len());
        let by_readers = times_weight(&by_query, weights.query, by_readers, Into::Replace);
        let mut by_input = by_input;
        scatter(&by_readers, readers, &mut by_input, hidden);
        by_input
    } else {
        times_weight(&by_query, weights.query, by_input, Into::Add)
    };
    if before {
        through_norm(x, weights.attention_norm.0, layer.eps, &layer.attention_norm, &mut by_x)?;
    }
    match readers {
        Some(readers) => scatter(&by_middle, readers, &mut by_x, hidden),
        None => add_slices(&mut by_x, &by_middle),
    }
    Ok(x_is_tracked.then_some(by_x))
}

/// The gradient by the states that the feed-forward network reads.
fn feed_backward<T: Real>(
    op: &Layer,
    weights: &Weights<'_, T>,
    mut inner: Buffer<T>,
    states: &[T],
    by_output: &[T],
) -> candle_core::Result<Buffer<T>> {
    let layer = &op.parts;
    let mut active = Buffer::of(inner.len());
    layer.activation.of_rows_with_slope(&mut inner, weights.inner.1, &mut active);
    map_gradients(&layer.output, &active, by_output)?;
    let mut by_inner = times_weight(by_output, weights.output, active, Into::Replace);
    for_row_blocks(&mut by_inner, weights.inner.1.len(), |first, block| {
        multiply_all(block, &inner[first * weights.inner.1.len()..]);
    });
    drop(inner);
    map_gradients(&layer.inner, states, &by_inner)?;
    Ok(times_weight(&by_inner, weights.inner, Buffer::of(states.len()), Into::Replace))
}

vectorised! {
    fn multiply_all<'k, T>(values: &'k mut [T], factors: &'k [T]) {
        for (value, &factor) in values.iter_mut().zip(factors) {
            *value *= factor;
        }
    }
}

fn norm_is_wanted(norm: &Affine) -> candle_core::Result<bool> {
    Ok(is_wanted(&norm.weight)? || is_wanted(&norm.bias)?)
}

/// Turns the gradient by a norm's result into that by its input `x`; the norm's own are added to
/// their sums.
fn through_norm<T: Real>(
    x: &[T],
    weight: &[T],
    eps: f64,
    norm: &Affine,
    gradient: &mut [T],
) -> candle_core::Result<()> {
    if norm_is_wanted(norm)? {
        let sums = layer_norm::parameter_gradients(x, gradient, weight.len(), eps);
        let (by_weight, by_bias) = sums.split_at(weight.len());
        contribute(&norm.weight, |output: &mut [T]| output.copy_from_slice(by_weight))?;
        contribute(&norm.bias, |output: &mut [T]| output.copy_from_slice(by_bias))?;
    }
    layer_norm::backward_in_place(x, weight, eps, gradient);
    Ok(())
}

/// Adds the gradients of a linear map that read `x` `[rows, in]`, given that by its result
/// `[rows, out]`.
fn map_gradients<T: Real>(map: &Affine, x: &[T], gradient: &[T]) -> candle_core::Result<()> {
    let (outputs, inputs) = map.weight.dims2()?;
    let rows = x.len() / inputs;
    let by_rows = Matrix::new(gradient, rows, outputs);
    contribute_product(&map.weight, by_rows.t(), Matrix::new(x, rows, inputs))?;
    contribute(&map.bias, |sums: &mut [T]| column_sums(gradient, sums))
}

/// `gradient W`, the gradient by the input of a linear map, into `output` or added to it.
fn times_weight<T: Real, O: DerefMut<Target = [T]>>(
    gradient: &[T],
    (weight, bias): Pair<'_, T>,
    mut output: O,
    into: Into,
) -> O {
    let (outputs, inputs) = (bias.len(), weight.len() / bias.len());
    let rows = gradient.len() / outputs;
    let gradient = Matrix::new(gradient, rows, outputs);
    let length = rows * inputs;
    let destination = MatrixMut::new(&mut output[..length], rows, inputs);
    product(destination, gradient, Matrix::new(weight, outputs, inputs), into);
    output
}

/// The gradient behind dropout; `None` where there is none.
fn dropped<T: Real>(
    gradient: &[T],
    mask: Option<&(Mask, Dropout)>,
    width: usize,
) -> Option<Buffer<T>> {
    let (mask, dropout) = mask?;
    let mut output = Buffer::of(gradient.len());
    output.copy_from_slice(gradient);
    for_row_blocks(&mut output, width, |first, block| {
        keep_rows(block, width, (mask, first), dropout.scale());
    });
    Some(output)
}

/// Adds each row to the row of `output` that `rows` names.
fn scatter<T: Real>(values: &[T], rows: &[u32], output: &mut [T], width: usize) {
    for (values, &row) in values.chunks_exact(width).zip(rows) {
        for (sum, value) in output[row as usize * width..].iter_mut().zip(values) {
            *sum += *value;
        }
    }
}
