//! Encoders of pre-norm blocks, `x ← x + f(norm(x))`, with the names that transformers gives them
//! in ViLT and FLAVA.

use candle_core::Tensor;

use crate::ModelError;
use crate::layers::{
    Context, DropoutSite, FeedForward, Linear, Norm, SelfAttention, Sizes, first_token,
};
use crate::parameters::Parameters;

/// A stack of pre-norm blocks; the norm behind the last is the model's.
pub(crate) struct Encoder {
    blocks: Vec<Block>,
}

impl Encoder {
    /// `prefix.layer.0`, `prefix.layer.1`, …
    pub(crate) fn new(
        parameters: &mut Parameters<'_>,
        prefix: &str,
        sizes: &Sizes,
    ) -> Result<Self, ModelError> {
        let blocks = (0..sizes.layers)
            .map(|layer| Block::new(parameters, &format!("{prefix}.layer.{layer}"), sizes))
            .collect::<Result<_, _>>()?;
        Ok(Self { blocks })
    }

    /// The states `[batch, tokens, hidden]` of all tokens.
    pub(crate) fn all_tokens(
        &self,
        mut states: Tensor,
        context: &Context<'_>,
    ) -> Result<Tensor, ModelError> {
        for block in &self.blocks {
            states = block.forward(&states, false, context)?;
        }
        Ok(states)
    }

    /// The state `[batch, 1, hidden]` of the first token, all that the last block computes.
    pub(crate) fn first_token(
        &self,
        mut states: Tensor,
        context: &Context<'_>,
    ) -> Result<Tensor, ModelError> {
        let last = self.blocks.len() - 1;
        for (layer, block) in self.blocks.iter().enumerate() {
            states = block.forward(&states, layer == last, context)?;
        }
        Ok(states)
    }
}

/// A pre-norm block.
struct Block {
    norm_before: Norm,
    attention: SelfAttention,
    attention_output: Linear,
    attention_dropout: DropoutSite,
    norm_after: Norm,
    feed_forward: FeedForward,
    output_dropout: DropoutSite,
}

impl Block {
    fn new(
        parameters: &mut Parameters<'_>,
        prefix: &str,
        sizes: &Sizes,
    ) -> Result<Self, ModelError> {
        let hidden = sizes.hidden;
        let output = format!("{prefix}.attention.output");
        let core = format!("{prefix}.attention.attention");
        Ok(Self {
            attention: SelfAttention::new(parameters, &core, sizes)?,
            attention_output: Linear::new(parameters, &format!("{output}.dense"), hidden, hidden)?,
            attention_dropout: DropoutSite::new(&output, sizes.hidden_dropout),
            feed_forward: FeedForward::new(parameters, prefix, sizes)?,
            output_dropout: DropoutSite::new(&format!("{prefix}.output"), sizes.hidden_dropout),
            norm_before: Norm::new(
                parameters,
                &format!("{prefix}.layernorm_before"),
                hidden,
                sizes.eps,
            )?,
            norm_after: Norm::new(
                parameters,
                &format!("{prefix}.layernorm_after"),
                hidden,
                sizes.eps,
            )?,
        })
    }

    /// The new states of `states` `[batch, tokens, hidden]`, or of the first token alone.
    fn forward(
        &self,
        states: &Tensor,
        first_only: bool,
        context: &Context<'_>,
    ) -> Result<Tensor, ModelError> {
        let Context { positions, pass, .. } = context;
        let normed = self.norm_before.forward(states)?;
        let (states, queries) = if first_only {
            (first_token(states)?, first_token(&normed)?)
        } else {
            (states.clone(), normed.clone())
        };
        let read = self.attention.forward(&queries, &normed, context)?;
        let read = self.attention_output.forward(&read)?;
        let states = (states + self.attention_dropout.forward(read, pass, positions)?)?;
        let output = self.feed_forward.forward(&self.norm_after.forward(&states)?)?;
        Ok((states + self.output_dropout.forward(output, pass, positions)?)?)
    }
}
