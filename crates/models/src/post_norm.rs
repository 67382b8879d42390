//! Encoders of texts with post-norm blocks, `x ← norm(x + dropout(f(x)))`, and the names that
//! transformers gives them in BERT and RoBERTa.

use candle_core::Tensor;
use mmc_preprocess::TextInput;

use crate::config::ConfigFile;
use crate::layers::{
    Context, DropoutSite, FeedForward, Linear, Norm, Positions, SelfAttention, Sizes, first_token,
};
use crate::parameters::Parameters;
use crate::text::{TextEmbeddings, encoder_sizes};
use crate::{ModelError, Pass};

/// What `config.json` says, with transformers' defaults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EncoderConfig {
    pub(crate) sizes: Sizes,
    vocabulary: usize,
    positions: usize,
    segments: usize,
    /// What positions are counted from.
    numbering: Numbering,
    pub(crate) head_dropout: f64,
}

/// How tokens are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbering {
    /// 0, 1, …
    FromZero,
    /// From this id of padding and one; padding is not counted.
    BehindPad(u32),
}

impl EncoderConfig {
    /// `vocabulary`: its size where the file does not say.
    pub(crate) fn read(
        file: &ConfigFile,
        vocabulary: usize,
        numbering: Numbering,
        dropout: Option<f64>,
    ) -> Result<Self, ModelError> {
        file.only("hidden_act", "gelu")?;
        file.only("position_embedding_type", "absolute")?;
        for switch in ["is_decoder", "add_cross_attention"] {
            if file.switch(switch, false)? {
                return Err(file.unsupported(switch, "`false`"));
            }
        }
        let sizes = encoder_sizes(file, 0.1, dropout)?;
        let head_dropout = file.dropout("classifier_dropout", sizes.hidden_dropout)?;
        Ok(Self {
            sizes,
            vocabulary: file.count("vocab_size", vocabulary)?,
            positions: file.count("max_position_embeddings", 512)?,
            segments: file.count("type_vocab_size", 2)?,
            numbering,
            head_dropout: dropout.unwrap_or(head_dropout),
        })
    }
}

/// Embeddings and blocks.
pub(crate) struct Encoder {
    embeddings: TextEmbeddings,
    norm: Norm,
    dropout: DropoutSite,
    blocks: Vec<Block>,
    numbering: Numbering,
}

impl Encoder {
    /// `prefix.embeddings` and `prefix.encoder`.
    pub(crate) fn new(
        parameters: &mut Parameters<'_>,
        prefix: &str,
        config: &EncoderConfig,
    ) -> Result<Self, ModelError> {
        let (sizes, name) = (config.sizes, format!("{prefix}.embeddings"));
        let tables = [config.vocabulary, config.positions, config.segments];
        let embeddings = TextEmbeddings::new(parameters, &name, tables, sizes.hidden)?;
        let norm = Norm::new(parameters, &format!("{name}.LayerNorm"), sizes.hidden, sizes.eps)?;
        let block = |layer| {
            Block::new(parameters, &format!("{prefix}.encoder.layer.{layer}"), &config.sizes)
        };
        Ok(Self {
            embeddings,
            norm,
            dropout: DropoutSite::new(&name, sizes.hidden_dropout),
            blocks: (0..sizes.layers).map(block).collect::<Result<_, _>>()?,
            numbering: config.numbering,
        })
    }

    /// The state `[batch, 1, hidden]` of the first token, all that the last block computes.
    pub(crate) fn first_token(&self, text: &TextInput, pass: &Pass) -> Result<Tensor, ModelError> {
        let positions: Positions = (0..text.token_ids.dim(1)? as u32).collect();
        let embedded = match self.numbering {
            Numbering::FromZero => self.embeddings.forward(text)?,
            Numbering::BehindPad(pad_id) => self.embeddings.forward_behind_pad(text, pad_id)?,
        };
        let states = self.norm.forward(&embedded)?;
        let mut states = self.dropout.forward(states, pass, &positions)?;
        let context = Context { attention_mask: &text.attention_mask, positions: &positions, pass };
        let last = self.blocks.len() - 1;
        for (layer, block) in self.blocks.iter().enumerate() {
            let queries = if layer == last { first_token(&states)? } else { states.clone() };
            states = block.forward(&queries, &states, &context)?; // [batch, queries, hidden]
        }
        Ok(states)
    }
}

/// A post-norm block.
struct Block {
    attention: SelfAttention,
    attention_output: Linear,
    attention_dropout: DropoutSite,
    attention_norm: Norm,
    feed_forward: FeedForward,
    output_dropout: DropoutSite,
    output_norm: Norm,
}

impl Block {
    fn new(
        parameters: &mut Parameters<'_>,
        prefix: &str,
        sizes: &Sizes,
    ) -> Result<Self, ModelError> {
        let output = format!("{prefix}.attention.output");
        let norm = |parameters: &mut Parameters<'_>, prefix: &str| {
            Norm::new(parameters, &format!("{prefix}.LayerNorm"), sizes.hidden, sizes.eps)
        };
        Ok(Self {
            attention: SelfAttention::new(parameters, &format!("{prefix}.attention.self"), sizes)?,
            attention_output: Linear::new(
                parameters,
                &format!("{output}.dense"),
                sizes.hidden,
                sizes.hidden,
            )?,
            attention_dropout: DropoutSite::new(&output, sizes.hidden_dropout),
            attention_norm: norm(parameters, &output)?,
            feed_forward: FeedForward::new(parameters, prefix, sizes)?,
            output_dropout: DropoutSite::new(&format!("{prefix}.output"), sizes.hidden_dropout),
            output_norm: norm(parameters, &format!("{prefix}.output"))?,
        })
    }

    /// The new states of `queries` `[batch, queries, hidden]`, the first of `tokens`.
    fn forward(
        &self,
        queries: &Tensor,
        tokens: &Tensor,
        context: &Context<'_>,
    ) -> Result<Tensor, ModelError> {
        let Context { positions, pass, .. } = context;
        let read = self.attention.forward(queries, tokens, context)?;
        let read = self.attention_output.forward(&read)?;
        let read = self.attention_dropout.forward(read, pass, positions)?;
        let states = self.attention_norm.forward(&(queries + read)?)?;
        let output = self.feed_forward.forward(&states)?;
        let output = self.output_dropout.forward(output, pass, positions)?;
        self.output_norm.forward(&(states + output)?)
    }
}
