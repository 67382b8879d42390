//! How large the states of a forward pass are, for those who plan memory.

use crate::layers::Sizes;

/// What a forward in training makes of one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct States {
    /// The encoders, in the order in which they are computed.
    pub encoders: Vec<EncoderStates>,
    /// Numbers of states outside encoders that are there until the backward pass: embeddings, their
    /// sums, pixels cut into patches, what encoders read together.
    pub outside: usize,
    /// The longest text in tokens that the model has positions for; 0 where it reads no texts.
    pub longest_text: usize,
    /// Numbers of a prepared picture.
    pub pixels: usize,
}

/// The states of one encoder for one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderStates {
    /// Its layers.
    pub layers: usize,
    /// Tokens that each layer reads.
    pub tokens: usize,
    /// Tokens that the last layer computes.
    pub last_tokens: usize,
    /// Width of a token's state.
    pub hidden: usize,
    /// Width inside the feed-forward network.
    pub inner: usize,
    /// Heads of attention.
    pub heads: usize,
    /// Whether layers normalise behind the residual sums (BERT) and not before (ViT): then they keep
    /// those of the feed-forward half too.
    pub norms_after: bool,
}

/// Widths a token of text embeddings: three tables, two sums, the norm, dropout or what marks the
/// modality.
pub(crate) const TEXT_WIDTHS: usize = 7;

/// Widths a token of a picture's: patches, the class token beside them, both in order, positions,
/// the sum, and the norm or what marks the modality.
pub(crate) const PICTURE_WIDTHS: usize = 6;

impl States {
    /// Adds an encoder whose last layer computes so many tokens.
    pub(crate) fn encoder(
        &mut self,
        sizes: &Sizes,
        (tokens, last_tokens): (usize, usize),
        norms_after: bool,
    ) {
        let Sizes { layers, hidden, intermediate: inner, heads, .. } = *sizes;
        let last_tokens = last_tokens.min(tokens);
        self.encoders.push(EncoderStates {
            layers,
            tokens,
            last_tokens,
            hidden,
            inner,
            heads,
            norms_after,
        });
    }

    /// Adds a picture: its pixels, and the same in the order of patches, which stay for the gradient
    /// of their projection.
    pub(crate) fn picture(&mut self, (height, width): (usize, usize)) {
        self.pixels = 3 * height * width;
        self.outside += self.pixels;
    }
}
