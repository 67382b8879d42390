//! The two towers of CLIP: pre-norm transformers whose last block computes one token alone, the
//! one that is projected.

use candle_core::{Device, Tensor};
use mmc_ops::{Activation, Norms, embedding, linear};
use mmc_preprocess::{ImageInput, TextInput};

use crate::block::{BlockNames, Blocks, Context};
use crate::clip::{TextConfig, VisionConfig};
use crate::interpolation::Interpolation;
use crate::layers::{Norm, Sizes};
use crate::packing::{PackedText, picked};
use crate::parameters::{Kind, Parameters};
use crate::patches::{PatchGrid, position_rows};
use crate::{ModelError, Pass};

/// The parts of `encoder.layers.N`.
const NAMES: BlockNames = BlockNames {
    attention: "self_attn",
    query: "q_proj",
    key: "k_proj",
    value: "v_proj",
    attention_output: "self_attn.out_proj",
    attention_dropout: "self_attn.out_proj",
    attention_norm: "layer_norm1",
    inner: "mlp.fc1",
    output: "mlp.fc2",
    output_dropout: "mlp",
    output_norm: "layer_norm2",
};

/// `tower.encoder.layers.0`, `tower.encoder.layers.1`, …
fn blocks(
    parameters: &mut Parameters<'_>,
    tower: &str,
    sizes: &Sizes,
    activation: Activation,
) -> Result<Blocks, ModelError> {
    let layers = format!("{tower}.encoder.layers");
    Blocks::new(parameters, &layers, &NAMES, sizes, (Norms::Before, activation))
}

/// The end token that published files name though their texts end with another, the one with the
/// largest id.
const END_OF_OLD: u32 = 2;

/// The text tower: each token sees those before it.
pub(crate) struct TextTower {
    tokens: Tensor,    // [vocabulary, hidden]
    positions: Tensor, // [positions, hidden]
    encoder: Blocks,
    norm: Norm,
    projection: Tensor, // [projection, hidden]
    end: u32,
}

impl TextTower {
    /// `text_model` and `text_projection`.
    pub(crate) fn new(
        parameters: &mut Parameters<'_>,
        config: TextConfig,
        projection: usize,
    ) -> Result<Self, ModelError> {
        let TextConfig { sizes, vocabulary, positions, .. } = config;
        let mut table = |name, rows| {
            let name = format!("text_model.embeddings.{name}_embedding.weight");
            parameters.take(&name, &[rows, sizes.hidden], Kind::Weight)
        };
        let (tokens, positions) = (table("token", vocabulary)?, table("position", positions)?);
        Ok(Self {
            tokens,
            positions,
            encoder: blocks(parameters, "text_model", &sizes, config.activation)?,
            norm: Norm::new(parameters, "text_model.final_layer_norm", sizes.hidden, sizes.eps)?,
            projection: project(parameters, "text_projection", projection, &sizes)?,
            end: config.end,
        })
    }

    /// `[batch, projection]`.
    pub(crate) fn forward(&self, text: &TextInput, pass: &Pass) -> Result<Tensor, ModelError> {
        let text = PackedText::of(text)?;
        let (longest, positions) =
            (text.lengths.iter().copied().max().unwrap_or(0), self.positions.dim(0)?);
        if longest > positions {
            return Err(ModelError::TooLong { tokens: longest, positions });
        }
        let sequences = text.sequences(0)?;
        let ids = Tensor::new(text.token_ids.as_slice(), &Device::Cpu)?;
        let states = embedding(&ids, &self.tokens)?;
        let places = Tensor::new(sequences.positions(), &Device::Cpu)?;
        let states = (states + embedding(&places, &self.positions)?)?; // [tokens, hidden]
        let context = Context { sequences: &sequences, causal: true, pass };
        let state = self.encoder.tokens(states, &self.ends(&text), &context)?; // [batch, hidden]
        Ok(linear(&self.norm.forward(&state)?, &self.projection, None)?)
    }

    /// The end token of each text, by its place among all tokens: the first with its id, or with
    /// the largest id where the configuration names [`END_OF_OLD`]. A text without one is pooled at
    /// its first token.
    fn ends(&self, text: &PackedText) -> Vec<u32> {
        let mut start = 0;
        let of_row = |&length: &usize| {
            let ids = &text.token_ids[start..start + length];
            let largest = ids.iter().max().copied().unwrap_or_default();
            let end = if self.end == END_OF_OLD { largest } else { self.end };
            let place = start + ids.iter().position(|&id| id == end).unwrap_or(0);
            start += length;
            place as u32
        };
        text.lengths.iter().map(of_row).collect()
    }
}

/// The picture tower: a class token and patches.
pub(crate) struct VisionTower {
    class_token: Tensor, // [hidden]
    positions: Tensor,   // [1 + grid², hidden]
    patches: Tensor,     // [hidden, 3, patch, patch]
    norm_before: Norm,
    encoder: Blocks,
    norm_after: Norm,
    projection: Tensor, // [projection, hidden]
    grid: usize,
    patch: usize,
}

impl VisionTower {
    /// `vision_model` and `visual_projection`.
    pub(crate) fn new(
        parameters: &mut Parameters<'_>,
        config: VisionConfig,
        projection: usize,
    ) -> Result<Self, ModelError> {
        let VisionConfig { sizes, activation, grid, patch } = config;
        let hidden = sizes.hidden;
        let mut take = |name: &str, shape: &[usize]| {
            parameters.take(&format!("vision_model.embeddings.{name}"), shape, Kind::Weight)
        };
        let class_token = take("class_embedding", &[hidden])?;
        let patches = take("patch_embedding.weight", &[hidden, 3, patch, patch])?;
        let positions = take("position_embedding.weight", &[1 + grid * grid, hidden])?;
        Ok(Self {
            class_token,
            positions,
            patches,
            // Published checkpoints spell it so.
            norm_before: Norm::new(parameters, "vision_model.pre_layrnorm", hidden, sizes.eps)?,
            encoder: blocks(parameters, "vision_model", &sizes, activation)?,
            norm_after: Norm::new(parameters, "vision_model.post_layernorm", hidden, sizes.eps)?,
            projection: project(parameters, "visual_projection", projection, &sizes)?,
            grid,
            patch,
        })
    }

    /// `[batch, projection]`.
    pub(crate) fn forward(&self, image: &ImageInput, pass: &Pass) -> Result<Tensor, ModelError> {
        let grid = PatchGrid::of(image, self.patch)?;
        let states = self.norm_before.forward(&self.embed(image, &grid)?)?;
        let sequences = grid.sequences(0)?;
        let context = Context { sequences: &sequences, causal: false, pass };
        let state = self.encoder.first_tokens(states, &context)?; // [batch, hidden]
        Ok(linear(&self.norm_after.forward(&state)?, &self.projection, None)?)
    }

    /// The class token and the patches, with their positions: `[tokens, hidden]`.
    fn embed(&self, image: &ImageInput, grid: &PatchGrid) -> Result<Tensor, ModelError> {
        let hidden = self.class_token.dim(0)?;
        let pixels = image.pixel_values.to_device(self.patches.device())?;
        let pixels = grid.cut(&pixels, self.patch)?; // [patches, 3 · patch²]
        let weight = self.patches.reshape((hidden, 3 * self.patch * self.patch))?;
        let patches = linear(&pixels, &weight, None)?;
        let class_token = self.class_token.unsqueeze(0)?; // [1, hidden]
        let states = picked(&Tensor::cat(&[class_token, patches], 0)?, &grid.with_class_token())?;
        let positions = position_rows(&self.positions, grid, self.grid, Interpolation::Bicubic)?;
        Ok((states + positions)?)
    }
}

/// A projection without a bias, `[projection, hidden]`.
fn project(
    parameters: &mut Parameters<'_>,
    name: &str,
    projection: usize,
    sizes: &Sizes,
) -> Result<Tensor, ModelError> {
    parameters.take(&format!("{name}.weight"), &[projection, sizes.hidden], Kind::Weight)
}
