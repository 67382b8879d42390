//! Scaled dot-product attention (Vaswani et al., 2017):
//! `softmax(Q Kᵀ / √d + mask) V`, with dropout on the probabilities.
//!
//! `Q` `[batch, heads, queries, d]`, `K`, `V` `[batch, heads, tokens, d]`. Masked keys get the smallest finite value, so a row
//! of none but masked keys is uniform and never NaN.

use candle_core::Tensor;

use crate::dropout::{Dropout, dropout_attention};
use crate::error::Result;
use crate::real::contiguous;
use crate::softmax::{masked_softmax, masked_softmax_composed};

/// Attention of `query` `[batch, heads, queries, head_width]` to `key` and `value`
/// `[batch, heads, tokens, head_width]`. `attention_mask` `[batch, tokens]`, or
/// `[batch, queries, tokens]` where queries read different keys: 1 for keys that are read, 0 for
/// padding and what comes later. Result `[batch, heads, queries, head_width]`. Dropout takes the queries for
/// the first of the tokens.
///
/// # Errors
/// Shapes that do not fit.
pub fn attention(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    attention_mask: Option<&Tensor>,
    dropout: Option<&Dropout>,
) -> Result<Tensor> {
    let head_width = query.dim(candle_core::D::Minus1)?;
    let scale = 1.0 / (head_width as f64).sqrt();
    let scores = contiguous(query)?.matmul(&contiguous(key)?.t()?)?; // [batch, heads, queries, tokens]
    let mut probabilities = masked_softmax(&scores, scale, attention_mask)?;
    if let Some(dropout) = dropout {
        probabilities = dropout_attention(&probabilities, dropout)?;
    }
    Ok(probabilities.matmul(&contiguous(value)?)?)
}

/// [`attention`] from candle's own operations, without dropout.
pub(crate) fn attention_composed(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    attention_mask: Option<&Tensor>,
) -> Result<Tensor> {
    let head_width = query.dim(candle_core::D::Minus1)?;
    let scores = query.contiguous()?.matmul(&key.t()?.contiguous()?)?;
    let scale = 1.0 / (head_width as f64).sqrt();
    let probabilities = masked_softmax_composed(&scores, scale, attention_mask)?;
    Ok(probabilities.matmul(&value.contiguous()?)?)
}
