//! Encoders of texts with post-norm blocks, `x ← norm(x + dropout(f(x)))`, and the names that
//! transformers gives them in BERT and RoBERTa.

use candle_core::Tensor;
use mmc_ops::{Activation, Norms};
use mmc_preprocess::TextInput;

use crate::block::{BlockNames, Blocks, Context};
use crate::config::ConfigFile;
use crate::layers::{DropoutSite, Norm, Sizes};
use crate::packing::PackedText;
use crate::parameters::Parameters;
use crate::states::TEXT_WIDTHS;
use crate::text::{TextEmbeddings, encoder_sizes};
use crate::{ModelError, Pass, States};

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

impl EncoderConfig {
    /// The longest text that there are positions for.
    fn longest_text(&self) -> usize {
        match self.numbering {
            Numbering::FromZero => self.positions,
            Numbering::BehindPad(pad_id) => self.positions.saturating_sub(pad_id as usize + 1),
        }
    }

    /// The states of a classifier of texts of so many tokens, which reads the first token of the last
    /// layer.
    pub(crate) fn states(&self, text_tokens: usize) -> States {
        let longest_text = self.longest_text();
        let outside = TEXT_WIDTHS * self.sizes.hidden * text_tokens;
        let mut states = States { outside, longest_text, ..States::default() };
        states.encoder(&self.sizes, (text_tokens, 1), true);
        states
    }
}

/// The parts of `encoder.layer.N`.
const NAMES: BlockNames = BlockNames {
    attention: "attention.self",
    query: "query",
    key: "key",
    value: "value",
    attention_output: "attention.output.dense",
    attention_dropout: "attention.output",
    attention_norm: "attention.output.LayerNorm",
    inner: "intermediate.dense",
    output: "output.dense",
    output_dropout: "output",
    output_norm: "output.LayerNorm",
};

/// Embeddings and blocks.
pub(crate) struct Encoder {
    embeddings: TextEmbeddings,
    norm: Norm,
    dropout: DropoutSite,
    blocks: Blocks,
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
        let (layers, kind) = (format!("{prefix}.encoder.layer"), (Norms::After, Activation::Gelu));
        Ok(Self {
            embeddings,
            norm,
            dropout: DropoutSite::new(&name, sizes.hidden_dropout),
            blocks: Blocks::new(parameters, &layers, &NAMES, &sizes, kind)?,
            numbering: config.numbering,
        })
    }

    /// The state `[batch, hidden]` of each text's first token, all that the last block computes.
    pub(crate) fn first_token(&self, text: &TextInput, pass: &Pass) -> Result<Tensor, ModelError> {
        let text = PackedText::of(text)?;
        let embedded = match self.numbering {
            Numbering::FromZero => self.embeddings.forward(&text)?,
            Numbering::BehindPad(pad_id) => self.embeddings.forward_behind_pad(&text, pad_id)?,
        };
        let sequences = text.sequences(0)?;
        let states = self.norm.forward(&embedded)?;
        let states = self.dropout.forward(states, pass, &sequences)?;
        let context = Context { sequences: &sequences, causal: false, pass };
        self.blocks.first_tokens(states, &context)
    }
}
