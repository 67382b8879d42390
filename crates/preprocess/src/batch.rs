//! One sample prepared ([`Example`]) and several laid out for a model ([`Batch`]).

use candle_core::{Device, Tensor};
use mmc_data::Target;

use crate::PreprocessError;

/// One sample as a model reads it. An input that the arm leaves out is absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The sample's id.
    pub id: String,
    /// What ties it to other samples, such as a shared picture.
    pub group: Option<String>,
    /// Its label, where known.
    pub target: Option<Target>,
    /// Its text.
    pub text: Option<Tokens>,
    /// Its picture.
    pub image: Option<Pixels>,
}

/// A tokenized text, special tokens included, not padded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Indices into the vocabulary.
    pub ids: Vec<u32>,
    /// Segment of each token: 0 in a single text.
    pub type_ids: Vec<u32>,
    /// Tokens before truncation, special tokens included: above `ids.len()` if the text was cut.
    pub full_length: usize,
}

impl Tokens {
    /// Whether the text was longer than the limit, so that its end is missing.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.full_length > self.ids.len()
    }
}

/// A picture, resized and normalised, not padded.
#[derive(Clone, Debug, PartialEq)]
pub struct Pixels {
    /// `[3, height, width]`, row by row.
    pub values: Vec<f32>,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// Some examples as tensors on one device.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The id of each row.
    pub ids: Vec<String>,
    /// The group of each row.
    pub groups: Vec<Option<String>>,
    /// The texts, unless the arm leaves them out.
    pub text: Option<TextInput>,
    /// The pictures, unless the arm leaves them out.
    pub image: Option<ImageInput>,
    /// The labels, where **every** row has one.
    pub targets: Option<Targets>,
}

/// Texts of a batch, padded on the right.
#[derive(Clone, Debug)]
pub struct TextInput {
    /// `[batch, tokens]`, `u32`; the tokenizer's pad id behind each text's end.
    pub token_ids: Tensor,
    /// `[batch, tokens]`, `u32`; 0 behind each text's end.
    pub type_ids: Tensor,
    /// `[batch, tokens]`, `f32`: 1 on the text, 0 behind its end, for models of other crates. Made
    /// from the lengths: CLIP's pad id is also the id that ends each text.
    pub attention_mask: Tensor,
    /// Tokens of each row without padding: what the models of mmc go by.
    pub lengths: Vec<usize>,
}

/// Pictures of a batch, padded right and bottom with zeros (after normalising).
#[derive(Clone, Debug)]
pub struct ImageInput {
    /// `[batch, 3, height, width]`, `f32`.
    pub pixel_values: Tensor,
    /// Real `(height, width)` of each picture.
    pub sizes: Vec<(usize, usize)>,
}

/// Labels of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// One class a row.
    Classes(Vec<u32>),
    /// Scores over an answer vocabulary, a row: `(answer, score)`; answers not named score 0.
    Soft(Vec<Vec<(u32, f32)>>),
}

/// Bytes of a batch beside its numbers and letters, and of each of its rows.
const HEADS: usize = 1024;
const HEADS_OF_A_ROW: usize = 128;

impl Batch {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    /// About the bytes that it takes: of short texts the heads of its parts are the greater share.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |tensor: &Tensor| tensor.elem_count() * tensor.dtype().size_in_bytes();
        let text =
            self.text.iter().flat_map(|one| [&one.token_ids, &one.type_ids, &one.attention_mask]);
        let pixels = self.image.iter().map(|one| &one.pixel_values);
        let tensors: usize = text.chain(pixels).map(bytes).sum();
        let ids: usize = self.ids.iter().chain(self.groups.iter().flatten()).map(String::len).sum();
        tensors + ids + HEADS_OF_A_ROW * self.rows() + HEADS
    }

    /// The same batch with its tensors on `device`.
    ///
    /// # Errors
    /// [`PreprocessError::Tensor`] if the device refuses, for want of memory for instance.
    pub fn to_device(&self, device: &Device) -> Result<Self, PreprocessError> {
        let text = match &self.text {
            Some(text) => Some(TextInput {
                token_ids: text.token_ids.to_device(device)?,
                type_ids: text.type_ids.to_device(device)?,
                attention_mask: text.attention_mask.to_device(device)?,
                lengths: text.lengths.clone(),
            }),
            None => None,
        };
        let image = match &self.image {
            Some(image) => Some(ImageInput {
                pixel_values: image.pixel_values.to_device(device)?,
                sizes: image.sizes.clone(),
            }),
            None => None,
        };
        Ok(Self {
            ids: self.ids.clone(),
            groups: self.groups.clone(),
            text,
            image,
            targets: self.targets.clone(),
        })
    }
}
