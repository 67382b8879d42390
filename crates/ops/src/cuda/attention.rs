//! Attention within each of some sequences, which are padded to the longest here and nowhere else.

use candle_core::{Result, Tensor};

use super::kernels::{merge_heads, softmax, softmax_backward, split_heads};
use super::mask::DeviceMask;
use super::node::node;
use super::operations::plain;
use super::product::{by_transposed, product, transposed_by};
use crate::attention::AttentionPlan;

/// What backward needs, `[sequences · heads, longest, width]` each but the last two.
pub(super) struct Read {
    query: Tensor,
    key: Tensor,
    value: Tensor,
    probabilities: Tensor, // [sequences · heads, longest query, longest key], before dropout
    mask: Option<DeviceMask>,
}

/// What each query reads, `[queries, hidden]`. Biases are added to the three where they are given.
pub(super) fn forward(
    plan: &AttentionPlan,
    [query, key, value]: [&Tensor; 3],
    biases: Option<[&Tensor; 3]>,
) -> Result<(Tensor, Read)> {
    let bias = |at: usize| biases.map(|biases| biases[at]);
    let query = split_heads(query, bias(0), &plan.queries, plan.heads)?;
    let key = split_heads(key, bias(1), &plan.sequences, plan.heads)?;
    let value = split_heads(value, bias(2), &plan.sequences, plan.heads)?;
    let mask = DeviceMask::of_heads(plan, &query)?;
    let probabilities = by_transposed(&query, &key)?;
    let dropped = softmax(&probabilities, plan, mask.as_ref())?;
    let context = product(&dropped, &value)?;
    let context = merge_heads(&context, &plan.queries, plan.heads)?;
    Ok((context, Read { query, key, value, probabilities, mask }))
}

/// The gradients by queries, keys and values, given that by what was read.
pub(super) fn backward(
    plan: &AttentionPlan,
    read: Read,
    by_context: &Tensor,
) -> Result<[Tensor; 3]> {
    let Read { query, key, value, probabilities, mask } = read;
    let by_context = split_heads(by_context, None, &plan.queries, plan.heads)?;
    let by_scores = by_transposed(&by_context, &value)?;
    let scale = 1.0 / (plan.width as f32).sqrt();
    softmax_backward(&by_scores, &probabilities, mask.as_ref(), scale)?;
    let by_value = transposed_by(&probabilities, &by_context)?;
    drop((probabilities, by_context, value));
    let by_query = product(&by_scores, &key)?;
    let by_key = transposed_by(&by_scores, &query)?;
    Ok([
        merge_heads(&by_query, &plan.queries, plan.heads)?,
        merge_heads(&by_key, &plan.sequences, plan.heads)?,
        merge_heads(&by_value, &plan.sequences, plan.heads)?,
    ])
}

/// [`attention`](crate::attention()) as an operation of its own.
pub(crate) fn attention(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    plan: &AttentionPlan,
) -> Result<Tensor> {
    let operands = [plain(query)?, plain(key)?, plain(value)?];
    let [q, k, v] = &operands;
    let (context, read) = forward(plan, [q, k, v], None)?;
    let plan = plan.clone();
    let backward = Box::new(move |gradient: &Tensor| {
        let [by_query, by_key, by_value] = backward(&plan, read, gradient)?;
        Ok([Some(by_query), Some(by_key), Some(by_value)])
    });
    node("attention", &[query, key, value], context, backward)
}
