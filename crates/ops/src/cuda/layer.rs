//! A transformer's layer: what `encoder_layer` describes, from kernels and products.

use candle_core::{Result, Tensor};

use super::attention::{self, Read};
use super::kernels::{
    activate, activate_backward, add_residual, add_residual_norm, add_to, column_sums, gather,
    norm, norm_backward, norm_parameters, scatter,
};
use super::mask::DeviceMask;
use super::node::node;
use super::operations::plain;
use super::product::{add_product, by_transposed, product, transposed_by};
use crate::attention::AttentionPlan;
use crate::contribution::{contribute_tensor, is_wanted};
use crate::encoder_layer::{Affine, EncoderLayer, Norms, StateDropouts};

/// What backward needs of the forward pass.
struct Saved {
    x: Tensor,       // [tokens, hidden]
    read: Read,      // of attention
    context: Tensor, // [queries, hidden]
    middle: Tensor,  // [queries, hidden], the sum of the attention half
    inner: Tensor,   // [queries, inner], before bias and activation
    /// The sum of the feed-forward half, where it is normalised.
    last: Option<Tensor>,
    masks: [Option<DeviceMask>; 2],
}

/// The new states of those who read. `learning`: a parameter that stands in the graph for all.
pub(crate) fn layer(
    layer: &EncoderLayer,
    x: &Tensor,
    learning: &Tensor,
    plan: &AttentionPlan,
    dropouts: StateDropouts,
) -> Result<Tensor> {
    let (output, saved) = forward(layer, plain(x)?, plan, dropouts)?;
    let (layer, plan, x_is_tracked) = (layer.clone(), plan.clone(), x.track_op());
    let backward = Box::new(move |gradient: &Tensor| {
        Ok([backward(&layer, &plan, saved, x_is_tracked, gradient)?, None, None])
    });
    node("encoder-layer", &[x, learning], output, backward)
}

fn forward(
    layer: &EncoderLayer,
    x: Tensor,
    plan: &AttentionPlan,
    dropouts: StateDropouts,
) -> Result<(Tensor, Saved)> {
    let before = layer.norms == Norms::Before;
    let hidden = x.dim(1)?;
    let mask = |dropout: Option<_>| {
        dropout.map(|it| DeviceMask::of_states(&it, plan.queries(), hidden, &x)).transpose()
    };
    let masks = [mask(dropouts.attention_output)?, mask(dropouts.output)?];
    let input = if before { normed(&x, &layer.attention_norm, layer.eps)? } else { x.clone() };
    let query = times(&readers_of(&input, plan)?, &layer.query)?;
    let (key, value) = (times(&input, &layer.key)?, times(&input, &layer.value)?);
    let biases = [&layer.query, &layer.key, &layer.value].map(|map| map.bias.detach());
    let [q, k, v] = &biases;
    let (context, read) = attention::forward(plan, [&query, &key, &value], Some([q, k, v]))?;
    drop((input, query, key, value));

    let middle = times(&context, &layer.attention_output)?;
    let residual = readers_of(&x, plan)?;
    let bias = layer.attention_output.bias.detach();
    let norm = plain_pair(between(layer));
    let (middle, states) = add_residual_norm(
        (&middle, &bias),
        masks[0].as_ref(),
        &residual,
        (&norm.0, &norm.1),
        layer.eps,
    )?;
    let inner = times(&states, &layer.inner)?;
    let active = activate(layer.activation, &inner, Some(&layer.inner.bias.detach()))?;
    let output = times(&active, &layer.output)?;
    drop(active);
    let (bias, mask) = (layer.output.bias.detach(), masks[1].as_ref());
    let (output, last) = if before {
        (add_residual(&output, &bias, mask, &middle)?, None)
    } else {
        let norm = plain_pair(&layer.output_norm);
        let norm = (&norm.0, &norm.1);
        let (last, output) = add_residual_norm((&output, &bias), mask, &states, norm, layer.eps)?;
        (output, Some(last))
    };
    Ok((output, Saved { x, read, context, middle, inner, last, masks }))
}

/// The gradient by `x`, where it is tracked, given that by the new states.
fn backward(
    layer: &EncoderLayer,
    plan: &AttentionPlan,
    saved: Saved,
    x_is_tracked: bool,
    gradient: &Tensor,
) -> Result<Option<Tensor>> {
    let before = layer.norms == Norms::Before;
    let Saved { x, read, context, middle, inner, last, masks } = saved;

    // The feed-forward half: from the new states to `by_middle`, by the sum of the attention half.
    let by_sum = match last {
        Some(last) => through_norm(&last, &layer.output_norm, layer.eps, gradient)?,
        None => gradient.clone(),
    };
    let states = normed(&middle, between(layer), layer.eps)?;
    let by_states = feed_backward(layer, &inner, &states, &dropped(&by_sum, masks[1].as_ref())?)?;
    drop((inner, states));
    let by_middle = if before {
        let by_middle = through_norm(&middle, &layer.output_norm, layer.eps, &by_states)?;
        add_to(&by_middle, &by_sum)?;
        by_middle
    } else {
        add_to(&by_states, &by_sum)?;
        through_norm(&middle, &layer.attention_norm, layer.eps, &by_states)?
    };
    drop((by_sum, by_states, middle));

    // The attention half.
    let by_context = {
        let by_read = dropped(&by_middle, masks[0].as_ref())?;
        map_gradients(&layer.attention_output, &context, &by_read)?;
        product(&by_read, &layer.attention_output.weight.detach())?
    };
    drop(context);
    let [by_query, by_key, by_value] = attention::backward(plan, read, &by_context)?;
    drop(by_context);
    let input = if before { normed(&x, &layer.attention_norm, layer.eps)? } else { x.clone() };
    map_gradients(&layer.query, &readers_of(&input, plan)?, &by_query)?;
    map_gradients(&layer.key, &input, &by_key)?;
    map_gradients(&layer.value, &input, &by_value)?;
    drop(input);
    let norm_reads_x = before && norm_is_wanted(&layer.attention_norm)?;
    if !(x_is_tracked || norm_reads_x) {
        return Ok(None);
    }
    let by_input = product(&by_key, &layer.key.weight.detach())?;
    add_product(&by_input, &by_value, &layer.value.weight.detach())?;
    let query = layer.query.weight.detach();
    match &plan.readers {
        Some(readers) => scatter(&by_input, &product(&by_query, &query)?, readers)?,
        None => add_product(&by_input, &by_query, &query)?,
    }
    let by_x = if before {
        through_norm(&x, &layer.attention_norm, layer.eps, &by_input)?
    } else {
        by_input
    };
    add_for_readers(&by_x, &by_middle, plan)?;
    Ok(x_is_tracked.then_some(by_x))
}

/// The gradient by the states that the feed-forward network reads.
fn feed_backward(
    layer: &EncoderLayer,
    inner: &Tensor,
    states: &Tensor,
    by_output: &Tensor,
) -> Result<Tensor> {
    let bias = layer.inner.bias.detach();
    if is_wanted(&layer.output.weight)? || is_wanted(&layer.output.bias)? {
        let active = activate(layer.activation, inner, Some(&bias))?;
        map_gradients(&layer.output, &active, by_output)?;
    }
    let by_active = product(by_output, &layer.output.weight.detach())?;
    let by_inner = activate_backward(layer.activation, &by_active, inner, Some(&bias))?;
    drop(by_active);
    map_gradients(&layer.inner, states, &by_inner)?;
    product(&by_inner, &layer.inner.weight.detach())
}

/// The norm between the two halves.
fn between(layer: &EncoderLayer) -> &Affine {
    match layer.norms {
        Norms::Before => &layer.output_norm,
        Norms::After => &layer.attention_norm,
    }
}

fn plain_pair(affine: &Affine) -> (Tensor, Tensor) {
    (affine.weight.detach(), affine.bias.detach())
}

fn normed(x: &Tensor, affine: &Affine, eps: f64) -> Result<Tensor> {
    let (weight, bias) = plain_pair(affine);
    norm(x, &weight, &bias, eps)
}

/// `x Wᵀ`, without the bias.
fn times(x: &Tensor, map: &Affine) -> Result<Tensor> {
    by_transposed(x, &map.weight.detach())
}

/// The rows of those who read.
fn readers_of(x: &Tensor, plan: &AttentionPlan) -> Result<Tensor> {
    match &plan.readers {
        Some(readers) => gather(x, readers),
        None => Ok(x.clone()),
    }
}

/// Adds rows of those who read to theirs.
fn add_for_readers(sum: &Tensor, rows: &Tensor, plan: &AttentionPlan) -> Result<()> {
    match &plan.readers {
        Some(readers) => scatter(sum, rows, readers),
        None => add_to(sum, rows),
    }
}

fn dropped(gradient: &Tensor, mask: Option<&DeviceMask>) -> Result<Tensor> {
    mask.map_or_else(|| Ok(gradient.clone()), |mask| mask.of(gradient))
}

fn norm_is_wanted(norm: &Affine) -> Result<bool> {
    Ok(is_wanted(&norm.weight)? || is_wanted(&norm.bias)?)
}

/// The gradient by a norm's input, given that by its result; the norm's own are added to their
/// sums.
fn through_norm(x: &Tensor, affine: &Affine, eps: f64, gradient: &Tensor) -> Result<Tensor> {
    let (by_x, statistics) = norm_backward(x, &affine.weight.detach(), gradient, eps)?;
    if norm_is_wanted(affine)? {
        let [by_weight, by_bias] = norm_parameters(x, &statistics, gradient)?;
        contribute_tensor(&affine.weight, || Ok(by_weight))?;
        contribute_tensor(&affine.bias, || Ok(by_bias))?;
    }
    Ok(by_x)
}

/// Adds the gradients of a linear map that read `x` `[rows, in]`, given that by its result
/// `[rows, out]`.
fn map_gradients(map: &Affine, x: &Tensor, gradient: &Tensor) -> Result<()> {
    contribute_tensor(&map.weight, || transposed_by(gradient, x))?;
    contribute_tensor(&map.bias, || column_sums(gradient))
}
