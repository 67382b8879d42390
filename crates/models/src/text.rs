//! What text models share before their blocks: sizes, and embeddings of tokens.

use candle_core::{Device, Tensor};
use mmc_data::Arm;
use mmc_ops::embedding;
use mmc_preprocess::{Batch, TextInput};

use crate::ModelError;
use crate::config::ConfigFile;
use crate::layers::Sizes;
use crate::packing::PackedText;
use crate::parameters::{Kind, Parameters};

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

    /// `[tokens, hidden]`, where the i-th token of a text has position i.
    pub(crate) fn forward(&self, text: &PackedText) -> Result<Tensor, ModelError> {
        self.check_length(text, 0)?;
        let positions: Vec<u32> =
            text.lengths.iter().flat_map(|&length| 0..length as u32).collect();
        self.sum(text, &positions)
    }

    /// `[tokens, hidden]`, where positions count the tokens that are not `pad_id`, from
    /// `pad_id + 1`, and each `pad_id` has its own number: fairseq's habit.
    ///
    /// The ids decide and not the attention mask, as in transformers.
    pub(crate) fn forward_behind_pad(
        &self,
        text: &PackedText,
        pad_id: u32,
    ) -> Result<Tensor, ModelError> {
        self.check_length(text, pad_id as usize + 1)?;
        let mut positions = Vec::with_capacity(text.token_ids.len());
        let mut ids = text.token_ids.iter();
        for &length in &text.lengths {
            let mut count = pad_id;
            for &id in ids.by_ref().take(length) {
                count += u32::from(id != pad_id);
                positions.push(if id == pad_id { pad_id } else { count });
            }
        }
        self.sum(text, &positions)
    }

    /// The sum of the three embeddings of each token.
    fn sum(&self, text: &PackedText, positions: &[u32]) -> Result<Tensor, ModelError> {
        let rows = |ids: &[u32], table| -> Result<Tensor, ModelError> {
            Ok(embedding(&Tensor::new(ids, &Device::Cpu)?, table)?)
        };
        let words = rows(&text.token_ids, &self.words)?;
        let words = (words + rows(&text.type_ids, &self.segments)?)?;
        Ok((words + rows(positions, &self.positions)?)?)
    }

    /// Refuses a text for whose tokens there are no positions behind the first `taken`.
    fn check_length(&self, text: &PackedText, taken: usize) -> Result<(), ModelError> {
        let tokens = text.lengths.iter().copied().max().unwrap_or(0);
        let positions = self.positions.dim(0)?.saturating_sub(taken);
        if tokens > positions {
            return Err(ModelError::TooLong { tokens, positions });
        }
        Ok(())
    }
}
