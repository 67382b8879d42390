//! What text models share before their blocks: sizes, and embeddings of tokens.

use candle_core::{DType, Tensor};
use mmc_data::Arm;
use mmc_ops::embedding;
use mmc_preprocess::{Batch, TextInput};

use crate::ModelError;
use crate::config::ConfigFile;
use crate::layers::Sizes;
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

    /// `[batch, tokens, hidden]`, where token i has position i.
    pub(crate) fn forward(&self, text: &TextInput) -> Result<Tensor, ModelError> {
        let tokens = self.check_length(text, 0)?;
        let positions = self.positions.narrow(0, 0, tokens)?;
        Ok(self.words_and_segments(text)?.broadcast_add(&positions)?)
    }

    /// `[batch, tokens, hidden]`, where positions count the tokens that are not `pad_id`, from
    /// `pad_id + 1`, and each `pad_id` has its own number: fairseq's habit.
    ///
    /// The ids decide and not the attention mask, as in transformers.
    pub(crate) fn forward_behind_pad(
        &self,
        text: &TextInput,
        pad_id: u32,
    ) -> Result<Tensor, ModelError> {
        self.check_length(text, pad_id as usize + 1)?;
        let is_token = text.token_ids.ne(pad_id)?.to_dtype(DType::F32)?; // [batch, tokens]
        let count = (is_token.cumsum(1)? * is_token)?;
        let positions = (count + f64::from(pad_id))?.to_dtype(DType::U32)?;
        Ok((self.words_and_segments(text)? + embedding(&positions, &self.positions)?)?)
    }

    fn words_and_segments(&self, text: &TextInput) -> Result<Tensor, ModelError> {
        let words = embedding(&text.token_ids, &self.words)?;
        Ok((words + embedding(&text.type_ids, &self.segments)?)?)
    }

    /// The number of tokens, if there are positions for them behind the first `taken`.
    fn check_length(&self, text: &TextInput, taken: usize) -> Result<usize, ModelError> {
        let tokens = text.token_ids.dim(1)?;
        let positions = self.positions.dim(0)?.saturating_sub(taken);
        if tokens > positions {
            return Err(ModelError::TooLong { tokens, positions });
        }
        Ok(tokens)
    }
}
