//! What the architectures share exactly: linear maps, norms, attention, dropout, the pooler.

use std::sync::Arc;

use candle_core::Tensor;
use mmc_ops::{Dropout, attention, dropout, gelu, layer_norm, linear, tanh};

use crate::lora::LowRank;
use crate::parameters::{Kind, Parameters};
use crate::{ModelError, Pass};

/// A linear map with a bias.
pub(crate) struct Linear {
    weight: Tensor, // [out, in]
    bias: Tensor,   // [out]
    low_rank: Option<LowRank>,
}

impl Linear {
    /// `prefix.weight` `[outputs, inputs]` and `prefix.bias` `[outputs]`.
    pub(crate) fn new(
        parameters: &mut Parameters<'_>,
        prefix: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            weight: parameters.take(
                &format!("{prefix}.weight"),
                &[outputs, inputs],
                Kind::Weight,
            )?,
            bias: parameters.take(&format!("{prefix}.bias"), &[outputs], Kind::Bias)?,
            low_rank: None,
        })
    }

    /// The same, one of the maps that LoRA changes where the model is trained so.
    fn adaptable(
        parameters: &mut Parameters<'_>,
        prefix: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, ModelError> {
        let plain = Self::new(parameters, prefix, inputs, outputs)?;
        Ok(Self { low_rank: parameters.adapt(prefix, inputs, outputs)?, ..plain })
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        let y = linear(x, &self.weight, Some(&self.bias))?;
        match &self.low_rank {
            Some(low_rank) => Ok((y + low_rank.forward(x)?)?),
            None => Ok(y),
        }
    }
}

/// Layer normalisation.
pub(crate) struct Norm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl Norm {
    /// `prefix.weight` and `prefix.bias`, both `[width]`.
    pub(crate) fn new(
        parameters: &mut Parameters<'_>,
        prefix: &str,
        width: usize,
        eps: f64,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            weight: parameters.take(&format!("{prefix}.weight"), &[width], Kind::Scale)?,
            bias: parameters.take(&format!("{prefix}.bias"), &[width], Kind::Bias)?,
            eps,
        })
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        Ok(layer_norm(x, &self.weight, &self.bias, self.eps)?)
    }
}

/// A number for each token of a batch that does not depend on padding: what keys dropout masks.
pub(crate) type Positions = Arc<[u32]>;

/// A place where dropout acts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DropoutSite {
    probability: f64,
    layer: u64,
}

impl DropoutSite {
    pub(crate) fn new(name: &str, probability: f64) -> Self {
        Self { probability, layer: Dropout::layer(name) }
    }

    /// Dropout on `x` `[rows, tokens, width]` whose tokens are the first of `positions`, or on
    /// `[rows, width]` with one.
    pub(crate) fn forward(
        &self,
        x: Tensor,
        pass: &Pass,
        positions: &Positions,
    ) -> Result<Tensor, ModelError> {
        let Some(mut settings) = pass.dropout(self.probability, self.layer, positions) else {
            return Ok(x);
        };
        let tokens = if x.rank() == 2 { 1 } else { x.dim(1)? };
        if tokens < positions.len() {
            settings.positions = positions[..tokens].into();
        }
        Ok(dropout(&x, &settings)?)
    }
}

/// Sizes of an encoder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) hidden: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) intermediate: usize,
    pub(crate) eps: f64,
    pub(crate) hidden_dropout: f64,
    pub(crate) attention_dropout: f64,
}

impl Sizes {
    /// Operations of the encoder's matrix products on a sequence of this length, whose last layer
    /// computes the first token alone.
    pub(crate) fn flops(&self, tokens: f64) -> f64 {
        self.flops_of(tokens, 1.0)
    }

    /// The same where the last layer computes all tokens.
    pub(crate) fn flops_of_all(&self, tokens: f64) -> f64 {
        self.flops_of(tokens, tokens)
    }

    /// The last layer computes the first `last` tokens.
    fn flops_of(&self, tokens: f64, last: f64) -> f64 {
        let (hidden, intermediate) = (self.hidden as f64, self.intermediate as f64);
        // Per query: query and output maps, scores and their sum over values, feed-forward.
        let query = 4.0 * hidden * hidden + 4.0 * tokens * hidden + 4.0 * hidden * intermediate;
        // Per token: key and value maps.
        let key = 4.0 * hidden * hidden;
        let queries = (self.layers as f64 - 1.0).max(0.0) * tokens + last;
        queries * query + self.layers as f64 * tokens * key
    }
}

/// Multi-head attention up to the concatenated heads; the output map is the block's.
pub(crate) struct SelfAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    heads: usize,
    dropout: DropoutSite,
}

impl SelfAttention {
    /// `prefix.query`, `prefix.key` and `prefix.value`.
    pub(crate) fn new(
        parameters: &mut Parameters<'_>,
        prefix: &str,
        sizes: &Sizes,
    ) -> Result<Self, ModelError> {
        Self::named(parameters, prefix, ["query", "key", "value"], sizes)
    }

    /// Under `prefix`, the maps of these names: query, key, value.
    pub(crate) fn named(
        parameters: &mut Parameters<'_>,
        prefix: &str,
        [query, key, value]: [&str; 3],
        sizes: &Sizes,
    ) -> Result<Self, ModelError> {
        let hidden = sizes.hidden;
        let named = |name| format!("{prefix}.{name}");
        Ok(Self {
            query: Linear::adaptable(parameters, &named(query), hidden, hidden)?,
            key: Linear::new(parameters, &named(key), hidden, hidden)?,
            value: Linear::adaptable(parameters, &named(value), hidden, hidden)?,
            heads: sizes.heads,
            dropout: DropoutSite::new(prefix, sizes.attention_dropout),
        })
    }

    /// Attention of `queries` `[batch, queries, hidden]` to `tokens` `[batch, tokens, hidden]`.
    pub(crate) fn forward(
        &self,
        queries: &Tensor,
        tokens: &Tensor,
        context: &Context<'_>,
    ) -> Result<Tensor, ModelError> {
        let (batch, length, hidden) = queries.dims3()?;
        let split = |x: Tensor| -> Result<Tensor, ModelError> {
            let length = x.dim(1)?;
            Ok(x.reshape((batch, length, self.heads, hidden / self.heads))?.transpose(1, 2)?)
        }; // [batch, heads, length, head width]
        let DropoutSite { probability, layer } = self.dropout;
        let dropout = context.pass.dropout(probability, layer, context.positions);
        let read = attention(
            &split(self.query.forward(queries)?)?,
            &split(self.key.forward(tokens)?)?,
            &split(self.value.forward(tokens)?)?,
            Some(context.attention_mask),
            dropout.as_ref(),
        )?;
        Ok(read.transpose(1, 2)?.reshape((batch, length, hidden))?)
    }
}

/// What all blocks of a forward need beside the states.
pub(crate) struct Context<'a> {
    /// `[batch, tokens]`, or `[batch, queries, tokens]`: 1 for tokens that are read, 0 for others.
    pub(crate) attention_mask: &'a Tensor,
    pub(crate) positions: &'a Positions,
    pub(crate) pass: &'a Pass,
}

/// `dense₂(gelu(dense₁(x)))`.
pub(crate) struct FeedForward {
    intermediate: Linear,
    output: Linear,
}

impl FeedForward {
    /// `prefix.intermediate.dense` and `prefix.output.dense`.
    pub(crate) fn new(
        parameters: &mut Parameters<'_>,
        prefix: &str,
        sizes: &Sizes,
    ) -> Result<Self, ModelError> {
        let (hidden, inner) = (sizes.hidden, sizes.intermediate);
        Ok(Self {
            intermediate: Linear::new(
                parameters,
                &format!("{prefix}.intermediate.dense"),
                hidden,
                inner,
            )?,
            output: Linear::new(parameters, &format!("{prefix}.output.dense"), inner, hidden)?,
        })
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        self.output.forward(&gelu(&self.intermediate.forward(x)?)?)
    }
}

/// `tanh(dense(first token))`.
pub(crate) struct Pooler {
    dense: Linear,
}

impl Pooler {
    /// `prefix.dense`.
    pub(crate) fn new(
        parameters: &mut Parameters<'_>,
        prefix: &str,
        hidden: usize,
    ) -> Result<Self, ModelError> {
        let dense = Linear::new(parameters, &format!("{prefix}.dense"), hidden, hidden)?;
        Ok(Self { dense })
    }

    /// From states `[batch, tokens, hidden]` to `[batch, hidden]`.
    pub(crate) fn forward(&self, states: &Tensor) -> Result<Tensor, ModelError> {
        Ok(tanh(&self.dense.forward(&first_token(states)?.squeeze(1)?)?)?)
    }
}

/// The first token of `[batch, tokens, hidden]`: `[batch, 1, hidden]`.
pub(crate) fn first_token(states: &Tensor) -> Result<Tensor, ModelError> {
    if states.dim(1)? == 1 { Ok(states.clone()) } else { Ok(states.narrow(1, 0, 1)?) }
}
