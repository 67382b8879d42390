//! BERT (Devlin et al., 2019) with the classification head of transformers'
//! `BertForSequenceClassification`. BETO is this architecture with Spanish weights.
//!
//! Post-norm blocks: `x ← norm(x + dropout(f(x)))`. The pooler reads the first token, so the last
//! block computes that token alone.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use mmc_data::Arm;
use mmc_ops::embedding;
use mmc_preprocess::{Batch, TextInput};

use crate::config::ConfigFile;
use crate::layers::{
    Context, DropoutSite, FeedForward, Linear, Norm, Pooler, Positions, SelfAttention, Sizes,
    first_token,
};
use crate::parameters::{Kind, Parameters};
use crate::{Classifier, Logits, ModelError, Parameter, Pass};

/// The text arm, the only one, uses every parameter.
pub(crate) fn off_path(_arm: Arm) -> &'static [&'static str] {
    &[]
}

/// What `config.json` says, with transformers' defaults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BertConfig {
    sizes: Sizes,
    vocabulary: usize,
    positions: usize,
    segments: usize,
    head_dropout: f64,
}

impl BertConfig {
    pub(crate) fn read(file: &ConfigFile, dropout: Option<f64>) -> Result<Self, ModelError> {
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
            vocabulary: file.count("vocab_size", 30_522)?,
            positions: file.count("max_position_embeddings", 512)?,
            segments: file.count("type_vocab_size", 2)?,
            head_dropout: dropout.unwrap_or(head_dropout),
        })
    }
}

/// The keys that every encoder of this family has.
pub(crate) fn encoder_sizes(
    file: &ConfigFile,
    default_dropout: f64,
    dropout: Option<f64>,
) -> Result<Sizes, ModelError> {
    let hidden_dropout = file.dropout("hidden_dropout_prob", default_dropout)?;
    let attention_dropout = file.dropout("attention_probs_dropout_prob", default_dropout)?;
    let sizes = Sizes {
        hidden: file.count("hidden_size", 768)?,
        layers: file.count("num_hidden_layers", 12)?,
        heads: file.count("num_attention_heads", 12)?,
        intermediate: file.count("intermediate_size", 3072)?,
        eps: file.number("layer_norm_eps", 1e-12)?,
        hidden_dropout: dropout.unwrap_or(hidden_dropout),
        attention_dropout: dropout.unwrap_or(attention_dropout),
    };
    if sizes.hidden.is_multiple_of(sizes.heads) {
        Ok(sizes)
    } else {
        Err(file.unsupported("num_attention_heads", &format!("a divisor of {}", sizes.hidden)))
    }
}

/// A BERT classifier.
pub(crate) struct Bert {
    config: BertConfig,
    classes: usize,
    parameters: Vec<Parameter>,
    device: Device,
    embeddings: TextEmbeddings,
    embedding_norm: Norm,
    embedding_dropout: DropoutSite,
    blocks: Vec<Block>,
    pooler: Pooler,
    head_dropout: DropoutSite,
    head: Linear,
}

impl Bert {
    /// Builds the model from `parameters`, whose list it keeps.
    pub(crate) fn new(
        config: BertConfig,
        classes: usize,
        parameters: &mut Parameters<'_>,
    ) -> Result<Self, ModelError> {
        let sizes = config.sizes;
        let tables = [config.vocabulary, config.positions, config.segments];
        let embeddings = TextEmbeddings::new(parameters, "bert.embeddings", tables, sizes.hidden)?;
        let embedding_norm =
            Norm::new(parameters, "bert.embeddings.LayerNorm", sizes.hidden, sizes.eps)?;
        let blocks = (0..sizes.layers)
            .map(|layer| Block::new(parameters, &format!("bert.encoder.layer.{layer}"), &sizes))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            embeddings,
            embedding_norm,
            embedding_dropout: DropoutSite::new("bert.embeddings", sizes.hidden_dropout),
            blocks,
            pooler: Pooler::new(parameters, "bert.pooler", sizes.hidden)?,
            head_dropout: DropoutSite::new("classifier", config.head_dropout),
            head: Linear::new(parameters, "classifier", sizes.hidden, classes)?,
            config,
            classes,
            device: parameters.device.clone(),
            parameters: std::mem::take(&mut parameters.list),
        })
    }
}

impl Classifier for Bert {
    fn forward(&self, batch: &Batch, pass: &Pass) -> Result<Logits, ModelError> {
        let pooled = self.encode(batch, pass)?; // [batch, hidden]
        let pooled = self.head_dropout.forward(pooled, pass, &Arc::from([0]))?;
        Ok(Logits(self.head.forward(&pooled)?)) // [batch, classes]
    }

    fn encode(&self, batch: &Batch, pass: &Pass) -> Result<Tensor, ModelError> {
        let text = text_of(batch, Arm::Text)?;
        let positions: Positions = (0..text.token_ids.dim(1)? as u32).collect();
        let states = self.embedding_norm.forward(&self.embeddings.forward(text)?)?;
        let mut states = self.embedding_dropout.forward(states, pass, &positions)?;
        let context = Context { attention_mask: &text.attention_mask, positions: &positions, pass };
        let last = self.blocks.len() - 1;
        for (layer, block) in self.blocks.iter().enumerate() {
            let queries = if layer == last { first_token(&states)? } else { states.clone() };
            states = block.forward(&queries, &states, &context)?; // [batch, queries, hidden]
        }
        self.pooler.forward(&states)
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn arm(&self) -> Arm {
        Arm::Text
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn flops(&self, text_tokens: f64, _image_tokens: f64) -> f64 {
        let hidden = self.config.sizes.hidden as f64;
        self.config.sizes.flops(text_tokens) + 2.0 * hidden * (hidden + self.classes as f64)
    }

    fn image_tokens(&self, _height: usize, _width: usize) -> usize {
        0
    }
}

/// The text of a batch.
pub(crate) fn text_of(batch: &Batch, arm: Arm) -> Result<&TextInput, ModelError> {
    batch.text.as_ref().ok_or(ModelError::NoInput { input: "text", arm })
}

/// Sums of word, segment and position embeddings, before their norm.
pub(crate) struct TextEmbeddings {
    words: Tensor,     // [vocabulary, hidden]
    positions: Tensor, // [positions, hidden]
    segments: Tensor,  // [segments, hidden]
}

impl TextEmbeddings {
    /// `prefix.{word,position,token_type}_embeddings.weight`; `tables`: the entries of each.
    pub(crate) fn new(
        parameters: &mut Parameters<'_>,
        prefix: &str,
        tables: [usize; 3],
        hidden: usize,
    ) -> Result<Self, ModelError> {
        let mut table = |name, entries| {
            let name = format!("{prefix}.{name}_embeddings.weight");
            parameters.take(&name, &[entries, hidden], Kind::Weight)
        };
        let [words, positions, segments] = tables;
        Ok(Self {
            words: table("word", words)?,
            positions: table("position", positions)?,
            segments: table("token_type", segments)?,
        })
    }

    /// `[batch, tokens, hidden]`.
    pub(crate) fn forward(&self, text: &TextInput) -> Result<Tensor, ModelError> {
        let tokens = text.token_ids.dim(1)?;
        let positions = self.positions.dim(0)?;
        if tokens > positions {
            return Err(ModelError::TooLong { tokens, positions });
        }
        let words = embedding(&text.token_ids, &self.words)?;
        let segments = embedding(&text.type_ids, &self.segments)?;
        Ok((words + segments)?.broadcast_add(&self.positions.narrow(0, 0, tokens)?)?)
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
