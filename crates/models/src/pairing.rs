//! A model of text and picture, cut where the two meet: each is encoded once, and any text can then
//! be classified with any picture.
//!
//! It serves questions about the model that take many pairs of the same items, such as the additive
//! part of its logits (EMAP; Hessel and Lee 2020). What is left to do for a pair depends on the
//! model: the head alone for two towers, the multimodal encoder on top of towers, all blocks where
//! text and picture are one sequence from the start.

use candle_core::Tensor;
use mmc_preprocess::Batch;

use crate::packing::Part;
use crate::{Logits, ModelError};

/// What [`Classifier::pairing`](crate::Classifier::pairing) gives of a model of text and picture.
///
/// Evaluation only: no dropout. The pair of an item's own text and picture has the logits of
/// [`Classifier::forward`](crate::Classifier::forward) but for rounding.
pub trait Pairing {
    /// The texts of a batch, as far as no picture changes them.
    ///
    /// # Errors
    /// As [`Classifier::forward`](crate::Classifier::forward).
    fn encode_texts(&self, batch: &Batch) -> Result<Encoded, ModelError>;

    /// The pictures of a batch, as far as no text changes them.
    ///
    /// # Errors
    /// As [`Classifier::forward`](crate::Classifier::forward).
    fn encode_images(&self, batch: &Batch) -> Result<Encoded, ModelError>;

    /// The logits `[pairs, classes]` of pairs of a row of `texts` with a row of `images`.
    ///
    /// # Errors
    /// [`ModelError::Input`] for a row that is not there.
    fn classify_pairs(
        &self,
        texts: &Encoded,
        images: &Encoded,
        pairs: &[(usize, usize)],
    ) -> Result<Logits, ModelError>;

    /// Floating-point operations of one pair with this many text and image tokens beside those of
    /// the two encodings, counted as by [`Classifier::flops`](crate::Classifier::flops).
    fn pair_flops(&self, text_tokens: f64, image_tokens: f64) -> f64;
}

/// The texts, or the pictures, of some items, encoded by [`Pairing`].
pub struct Encoded {
    part: Part,
}

impl Encoded {
    pub(crate) fn new(part: Part) -> Self {
        Self { part }
    }

    /// Vectors `[rows, width]`, one an item.
    pub(crate) fn of_vectors(vectors: Tensor) -> Result<Self, ModelError> {
        Ok(Self { part: Part::of_vectors(vectors)? })
    }

    /// How many items.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.part.sequences.count()
    }

    /// How many states are kept of all items together: tokens, or one vector an item.
    #[must_use]
    pub fn states(&self) -> usize {
        self.part.sequences.tokens()
    }

    /// Items behind one another.
    ///
    /// # Errors
    /// [`ModelError::Input`] for nothing; states of different width.
    pub fn cat(pieces: &[Self]) -> Result<Self, ModelError> {
        let parts: Vec<&Part> = pieces.iter().map(|piece| &piece.part).collect();
        Ok(Self { part: Part::stack(&parts)? })
    }

    /// The texts and the pictures of pairs, one of each a pair.
    pub(crate) fn meet(
        texts: &Self,
        images: &Self,
        pairs: &[(usize, usize)],
    ) -> Result<(Part, Part), ModelError> {
        let text = texts.rows_at(pairs.iter().map(|pair| pair.0))?;
        Ok((text, images.rows_at(pairs.iter().map(|pair| pair.1))?))
    }

    /// The states of these rows, which may be named more than once.
    fn rows_at(&self, rows: impl Iterator<Item = usize>) -> Result<Part, ModelError> {
        let rows: Vec<usize> = rows.collect();
        let count = self.rows();
        if let Some(row) = rows.iter().find(|&&row| row >= count) {
            let problem = format!("row {row} of {count} encoded items is asked for");
            return Err(ModelError::Input { problem });
        }
        self.part.rows_at(&rows)
    }
}
