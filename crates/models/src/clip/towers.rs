//! The two towers of CLIP: pre-norm transformers whose last block computes one token alone, the
//! one that is projected.

use candle_core::{DType, Tensor};
use mmc_ops::{embedding, gelu, linear, quick_gelu};
use mmc_preprocess::{ImageInput, TextInput};

use crate::clip::{TextConfig, VisionConfig};
use crate::interpolation::Interpolation;
use crate::layers::{Context, Linear, Norm, Positions, SelfAttention, Sizes, first_token};
use crate::parameters::{Kind, Parameters};
use crate::patches::PatchGrid;
use crate::{ModelError, Pass};

/// The activation of feed-forward layers, `hidden_act`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// `x σ(1.702 x)`: the checkpoints of OpenAI.
    QuickGelu,
    /// The exact one: checkpoints of others.
    Gelu,
}

/// The end token that published files name though their texts end with another, the one with the
/// largest id.
const END_OF_OLD: u32 = 2;

/// The text tower: each token sees those before it.
pub(crate) struct TextTower {
    tokens: Tensor,    // [vocabulary, hidden]
    positions: Tensor, // [positions, hidden]
    encoder: Encoder,
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
            encoder: Encoder::new(parameters, "text_model", &sizes, config.activation)?,
            norm: Norm::new(parameters, "text_model.final_layer_norm", sizes.hidden, sizes.eps)?,
            projection: project(parameters, "text_projection", projection, &sizes)?,
            end: config.end,
        })
    }

    /// `[batch, projection]`.
    pub(crate) fn forward(&self, text: &TextInput, pass: &Pass) -> Result<Tensor, ModelError> {
        let (batch, tokens) = text.token_ids.dims2()?;
        let longest = self.positions.dim(0)?;
        if tokens > longest {
            return Err(ModelError::TooLong { tokens, positions: longest });
        }
        let states = embedding(&text.token_ids, &self.tokens)?; // [batch, tokens, hidden]
        let states = states.broadcast_add(&self.positions.narrow(0, 0, tokens)?)?;

        let ends = self.ends(text)?;
        let places: Vec<u32> =
            ends.iter().enumerate().map(|(row, end)| (row * tokens + end) as u32).collect();
        let places = Tensor::from_vec(places, (batch, 1), states.device())?;
        let at_end = |x: &Tensor| -> Result<Tensor, ModelError> {
            let width = x.dim(2)?;
            Ok(embedding(&places, &x.reshape((batch * tokens, width))?)?) // [batch, 1, width]
        };
        let mask = causal(text)?; // [batch, tokens, tokens]
        let last_mask = at_end(&mask)?;
        let positions: Positions = (0..tokens as u32).collect();
        let context = Context { attention_mask: &mask, positions: &positions, pass };
        let last = Context { attention_mask: &last_mask, ..context };
        let state = self.encoder.forward(states, &context, &last, at_end)?; // [batch, 1, hidden]
        Ok(linear(&self.norm.forward(&state.squeeze(1)?)?, &self.projection, None)?)
    }

    /// The place of each text's end token: the first with its id, or with the largest id where the
    /// configuration names [`END_OF_OLD`]. A text without one is pooled at its first token.
    fn ends(&self, text: &TextInput) -> Result<Vec<usize>, ModelError> {
        let rows = text.token_ids.to_vec2::<u32>()?;
        let of_row = |(ids, &length): (&Vec<u32>, &usize)| {
            let ids = &ids[..length.min(ids.len())];
            let largest = ids.iter().max().copied().unwrap_or_default();
            let end = if self.end == END_OF_OLD { largest } else { self.end };
            ids.iter().position(|&id| id == end).unwrap_or(0)
        };
        Ok(rows.iter().zip(&text.lengths).map(of_row).collect())
    }
}

/// Which keys each query reads, `[batch, queries, keys]`: those up to itself that are no padding.
fn causal(text: &TextInput) -> Result<Tensor, ModelError> {
    let (batch, tokens) = text.token_ids.dims2()?;
    let past: Vec<f32> = (0..tokens * tokens)
        .map(|index| f32::from(u8::from(index % tokens <= index / tokens)))
        .collect();
    let past = Tensor::from_vec(past, (1, tokens, tokens), text.token_ids.device())?;
    let kept = text.attention_mask.to_dtype(DType::F32)?.reshape((batch, 1, tokens))?;
    Ok(kept.broadcast_mul(&past)?)
}

/// The picture tower: a class token and patches.
pub(crate) struct VisionTower {
    class_token: Tensor, // [hidden]
    positions: Tensor,   // [1 + grid², hidden]
    patches: Tensor,     // [hidden, 3, patch, patch]
    norm_before: Norm,
    encoder: Encoder,
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
            encoder: Encoder::new(parameters, "vision_model", &sizes, activation)?,
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
        let mask = grid.mask(states.device())?; // [batch, 1 + patches]
        let positions = grid.positions(0);
        let context = Context { attention_mask: &mask, positions: &positions, pass };
        let state = self.encoder.forward(states, &context, &context, first_token)?;
        Ok(linear(&self.norm_after.forward(&state.squeeze(1)?)?, &self.projection, None)?)
    }

    /// The class token and the patches, with their positions: `[batch, 1 + patches, hidden]`.
    fn embed(&self, image: &ImageInput, grid: &PatchGrid) -> Result<Tensor, ModelError> {
        let hidden = self.class_token.dim(0)?;
        let batch = image.pixel_values.dim(0)?;
        let pixels = grid.cut(&image.pixel_values, self.patch)?; // [batch, patches, 3 · patch²]
        let weight = self.patches.reshape((hidden, 3 * self.patch * self.patch))?;
        let patches = linear(&pixels, &weight, None)?;

        let resize = grid.interpolation(self.grid, Interpolation::Bicubic, pixels.device())?;
        let (pictures, places, cells) = resize.dims3()?;
        let table = self.positions.narrow(0, 1, cells)?; // [grid², hidden]
        let positions = resize.reshape((pictures * places, cells))?.matmul(&table)?;
        let patches = patches.broadcast_add(&positions.reshape((pictures, places, hidden))?)?;

        let class_token = (&self.class_token + self.positions.narrow(0, 0, 1)?.squeeze(0)?)?;
        let class_token = class_token.broadcast_as((batch, 1, hidden))?;
        Ok(Tensor::cat(&[class_token, patches], 1)?)
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

/// A stack of pre-norm blocks.
struct Encoder {
    blocks: Vec<Block>,
}

impl Encoder {
    /// `tower.encoder.layers.0`, `tower.encoder.layers.1`, …
    fn new(
        parameters: &mut Parameters<'_>,
        tower: &str,
        sizes: &Sizes,
        activation: Activation,
    ) -> Result<Self, ModelError> {
        let block = |layer| {
            Block::new(parameters, &format!("{tower}.encoder.layers.{layer}"), sizes, activation)
        };
        Ok(Self { blocks: (0..sizes.layers).map(block).collect::<Result<_, _>>()? })
    }

    /// The state `[batch, 1, hidden]` of the token that `pick` takes from `[batch, tokens, hidden]`,
    /// all that the last block, with a context of its own, computes.
    fn forward(
        &self,
        mut states: Tensor,
        context: &Context<'_>,
        last_context: &Context<'_>,
        pick: impl Fn(&Tensor) -> Result<Tensor, ModelError>,
    ) -> Result<Tensor, ModelError> {
        let Some((last, blocks)) = self.blocks.split_last() else { return pick(&states) };
        for block in blocks {
            states = block.forward(&states, &states, context)?;
        }
        last.forward(&pick(&states)?, &states, last_context)
    }
}

/// `x ← x + attention(norm(x))`, then `x ← x + mlp(norm(x))`.
struct Block {
    norm_before: Norm,
    attention: SelfAttention,
    attention_output: Linear,
    norm_after: Norm,
    inner: Linear,
    output: Linear,
    activation: Activation,
}

impl Block {
    fn new(
        parameters: &mut Parameters<'_>,
        prefix: &str,
        sizes: &Sizes,
        activation: Activation,
    ) -> Result<Self, ModelError> {
        let (hidden, inner) = (sizes.hidden, sizes.intermediate);
        let attention = format!("{prefix}.self_attn");
        let maps = ["q_proj", "k_proj", "v_proj"];
        let mut norm = |name| Norm::new(parameters, &format!("{prefix}.{name}"), hidden, sizes.eps);
        let (norm_before, norm_after) = (norm("layer_norm1")?, norm("layer_norm2")?);
        let mut map = |name: &str, inputs, outputs| {
            Linear::new(parameters, &format!("{prefix}.{name}"), inputs, outputs)
        };
        Ok(Self {
            norm_before,
            norm_after,
            attention_output: map("self_attn.out_proj", hidden, hidden)?,
            inner: map("mlp.fc1", hidden, inner)?,
            output: map("mlp.fc2", inner, hidden)?,
            attention: SelfAttention::named(parameters, &attention, maps, sizes)?,
            activation,
        })
    }

    /// The new states of `queries` `[batch, queries, hidden]`, which are among `tokens`.
    fn forward(
        &self,
        queries: &Tensor,
        tokens: &Tensor,
        context: &Context<'_>,
    ) -> Result<Tensor, ModelError> {
        let normed = self.norm_before.forward(tokens)?;
        let read = if queries.id() == tokens.id() {
            self.attention.forward(&normed, &normed, context)?
        } else {
            self.attention.forward(&self.norm_before.forward(queries)?, &normed, context)?
        };
        let states = (queries + self.attention_output.forward(&read)?)?;
        let inner = self.inner.forward(&self.norm_after.forward(&states)?)?;
        let inner = match self.activation {
            Activation::QuickGelu => quick_gelu(&inner)?,
            Activation::Gelu => gelu(&inner)?,
        };
        Ok((&states + self.output.forward(&inner)?)?)
    }
}
