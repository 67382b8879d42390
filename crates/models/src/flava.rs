//! FLAVA (Singh et al., 2022) with a linear head on the multimodal encoder's own token.
//!
//! A text tower and an image tower run alone; the multimodal encoder then reads its own token, the
//! picture's states and the text's, each through a projection. These states are the towers' last,
//! *before* the towers' final norms. An arm leaves out a tower, never the multimodal encoder. All
//! blocks are pre-norm. Nothing but the towers' positions tells the tokens of the multimodal
//! encoder apart.

use candle_core::{Device, Tensor};
use mmc_data::Arm;
use mmc_preprocess::Batch;

use self::config::{FlavaConfig, ImageConfig, TextConfig};
use crate::block::{Blocks, Context};
use crate::config::ConfigFile;
use crate::depth::Stack;
use crate::interpolation::Interpolation;
use crate::layers::{DropoutSite, Linear, Norm, Pooler};
use crate::packing::{PackedText, Part, picked};
use crate::parameters::{Kind, Parameters};
use crate::patches::{PatchEmbeddings, PatchGrid};
use crate::pre_norm;
use crate::states::{PICTURE_WIDTHS, TEXT_WIDTHS};
use crate::text::{TextEmbeddings, text_of};
use crate::{Classifier, Logits, ModelError, Pairing, Parameter, Pass, States};

pub(crate) mod config;
mod pairs;
mod tiny;

pub(crate) use self::tiny::blueprint;

/// The name of its head.
pub(crate) const HEAD: &str = "linear";

/// What serves pretraining alone, and what reads an input that the arm does not show.
pub(crate) fn off_path(arm: Arm) -> &'static [&'static str] {
    match arm {
        Arm::Both => &[
            "text_model.layernorm.",
            "text_model.pooler.",
            "image_model.embeddings.mask_token",
            "image_model.layernorm.",
            "image_model.pooler.",
            "multimodal_model.pooler.",
            "text_projection.",
            "image_projection.",
            "logit_scale",
        ],
        Arm::Text => &[
            "text_model.layernorm.",
            "text_model.pooler.",
            "image_model.",
            "multimodal_model.pooler.",
            "text_projection.",
            "image_projection.",
            "image_to_mm_projection.",
            "logit_scale",
        ],
        Arm::Image => &[
            "text_model.",
            "image_model.embeddings.mask_token",
            "image_model.layernorm.",
            "image_model.pooler.",
            "multimodal_model.pooler.",
            "text_projection.",
            "text_to_mm_projection.",
            "image_projection.",
            "logit_scale",
        ],
    }
}

/// The multimodal encoder, and below it the towers, each by its own number of layers. What feeds the
/// multimodal encoder (its own token, the projections of the towers' states) counts as its
/// embeddings, on one level with the towers' last layers.
pub(crate) fn stacks(file: &ConfigFile) -> Result<Vec<Stack>, ModelError> {
    let layers = |tower, default| file.tower(tower)?.count("num_hidden_layers", default);
    let above = layers("multimodal", 6)?;
    Ok(vec![
        Stack {
            layer: "multimodal_model.encoder.layer.",
            embeddings: &[
                "multimodal_model.cls_token",
                "text_to_mm_projection.",
                "image_to_mm_projection.",
            ],
            layers: above,
            above: 0,
        },
        Stack {
            layer: "text_model.encoder.layer.",
            embeddings: &["text_model.embeddings."],
            layers: layers("text", 12)?,
            above,
        },
        Stack {
            layer: "image_model.encoder.layer.",
            embeddings: &["image_model.embeddings."],
            layers: layers("image", 12)?,
            above,
        },
    ])
}

/// A FLAVA classifier.
pub(crate) struct Flava {
    config: FlavaConfig,
    arm: Arm,
    classes: usize,
    parameters: Vec<Parameter>,
    device: Device,
    text: TextTower,
    image: ImageTower,
    own_token: Tensor, // [1, 1, hidden]
    encoder: Blocks,
    norm: Norm,
    head_dropout: DropoutSite,
    head: Linear,
}

impl Flava {
    /// Builds the model from `parameters`, whose list it keeps.
    pub(crate) fn new(
        config: FlavaConfig,
        arm: Arm,
        classes: usize,
        parameters: &mut Parameters<'_>,
    ) -> Result<Self, ModelError> {
        let sizes = config.multimodal;
        let hidden = sizes.hidden;
        let text = TextTower::new(parameters, &config.text, hidden)?;
        let image = ImageTower::new(parameters, &config.image, hidden)?;
        let prefix = "multimodal_model";
        let own_token =
            parameters.take(&format!("{prefix}.cls_token"), &[1, 1, hidden], Kind::Weight)?;
        let encoder = pre_norm::blocks(parameters, &format!("{prefix}.encoder"), &sizes)?;
        let norm = Norm::new(parameters, &format!("{prefix}.layernorm"), hidden, sizes.eps)?;
        // Off the path of every arm: kept to be saved as they are.
        Pooler::new(parameters, &format!("{prefix}.pooler"), hidden)?;
        let (text_width, image_width) = (config.text.sizes.hidden, config.image.sizes.hidden);
        Linear::new(parameters, "text_projection", text_width, config.projection)?;
        Linear::new(parameters, "image_projection", image_width, config.projection)?;
        parameters.take("logit_scale", &[], Kind::LogitScale)?;
        Ok(Self {
            text,
            image,
            own_token,
            encoder,
            norm,
            head_dropout: DropoutSite::new("classifier", config.head_dropout),
            head: Linear::new(parameters, "classifier", hidden, classes)?,
            config,
            arm,
            classes,
            device: parameters.device.clone(),
            parameters: std::mem::take(&mut parameters.list),
        })
    }

    /// What the multimodal encoder reads of the texts.
    fn text_part(&self, batch: &Batch, pass: &Pass) -> Result<Part, ModelError> {
        self.text.forward(batch, self.arm, 1, pass)
    }

    /// What the multimodal encoder reads of the pictures.
    fn image_part(&self, batch: &Batch, pass: &Pass) -> Result<Part, ModelError> {
        // Behind all that a text could have.
        let first = 1 + self.config.text.positions as u32;
        self.image.forward(batch, self.arm, first, pass)
    }

    /// The multimodal encoder's own token `[batch, hidden]` behind the picture and the text.
    fn fuse(&self, rows: usize, mut parts: Vec<Part>, pass: &Pass) -> Result<Tensor, ModelError> {
        let own_token = self.own_token.squeeze(0)?; // [1, hidden]
        parts.insert(0, Part::of_vectors(picked(&own_token, &vec![0; rows])?)?);
        let Part { states, sequences } = Part::join(&parts)?;
        let context = Context { sequences: &sequences, causal: false, pass };
        let states = self.encoder.first_tokens(states, &context)?; // [batch, hidden]
        self.norm.forward(&states)
    }
}

impl Classifier for Flava {
    fn encode(&self, batch: &Batch, pass: &Pass) -> Result<Tensor, ModelError> {
        let mut parts = Vec::new();
        if self.arm.uses_image() {
            parts.push(self.image_part(batch, pass)?);
        }
        if self.arm.uses_text() {
            parts.push(self.text_part(batch, pass)?);
        }
        self.fuse(batch.rows(), parts, pass)
    }

    fn classify(&self, pooled: &Tensor, pass: &Pass) -> Result<Logits, ModelError> {
        let pooled = self.head_dropout.forward_pooled(pooled, pass)?;
        Ok(Logits(self.head.forward(&pooled)?)) // [batch, classes]
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn arm(&self) -> Arm {
        self.arm
    }

    fn head(&self) -> &'static str {
        HEAD
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn flops(&self, text_tokens: f64, image_tokens: f64) -> f64 {
        let FlavaConfig { text, image, multimodal, .. } = &self.config;
        let hidden = multimodal.hidden as f64;
        let (mut tokens, mut operations) = (1.0, 2.0 * hidden * self.classes as f64);
        if self.arm.uses_text() {
            tokens += text_tokens;
            let projection = 2.0 * text_tokens * text.sizes.hidden as f64 * hidden;
            operations += text.sizes.flops_of_all(text_tokens) + projection;
        }
        if self.arm.uses_image() {
            tokens += image_tokens;
            let (width, pixels) = (image.sizes.hidden as f64, (3 * image.patch.pow(2)) as f64);
            let patches = 2.0 * pixels * width * (image_tokens - 1.0).max(0.0);
            let projection = 2.0 * image_tokens * width * hidden;
            operations += image.sizes.flops_of_all(image_tokens) + patches + projection;
        }
        operations + multimodal.flops(tokens)
    }

    fn image_tokens(&self, height: usize, width: usize) -> usize {
        let patch = self.config.image.patch;
        if self.arm.uses_image() { 1 + (height / patch) * (width / patch) } else { 0 }
    }

    fn picture(&self, _aspect: f64) -> Option<(usize, usize)> {
        let side = self.config.image.grid * self.config.image.patch;
        self.arm.uses_image().then_some((side, side))
    }

    fn states(&self, text_tokens: usize, picture: Option<(usize, usize)>) -> States {
        let FlavaConfig { text, image, multimodal, .. } = &self.config;
        let (mut states, mut tokens) = (States::default(), 1);
        if let Some((height, width)) = picture.filter(|_| self.arm.uses_image()) {
            let image_tokens = self.image_tokens(height, width);
            tokens += image_tokens;
            states.picture((height, width));
            states.outside += PICTURE_WIDTHS * image.sizes.hidden * image_tokens;
            states.encoder(&image.sizes, (image_tokens, image_tokens), false);
        }
        if self.arm.uses_text() {
            tokens += text_tokens;
            states.longest_text = text.positions;
            states.outside += TEXT_WIDTHS * text.sizes.hidden * text_tokens;
            states.encoder(&text.sizes, (text_tokens, text_tokens), false);
        }
        // Each token's projection, all in one tensor, and in the order of the rows.
        states.outside += 3 * multimodal.hidden * tokens;
        states.encoder(multimodal, (tokens, 1), false);
        states
    }

    fn pairing(&self) -> Option<&dyn Pairing> {
        (self.arm == Arm::Both).then_some(self)
    }
}

/// The text tower and its way into the multimodal encoder.
struct TextTower {
    embeddings: TextEmbeddings,
    embedding_norm: Norm,
    embedding_dropout: DropoutSite,
    encoder: Blocks,
    projection: Linear,
}

impl TextTower {
    fn new(
        parameters: &mut Parameters<'_>,
        config: &TextConfig,
        outputs: usize,
    ) -> Result<Self, ModelError> {
        let (sizes, prefix) = (config.sizes, "text_model.embeddings");
        let tables = [config.vocabulary, config.positions, config.segments];
        let norm = format!("{prefix}.LayerNorm");
        let tower = Self {
            embeddings: TextEmbeddings::new(parameters, prefix, tables, sizes.hidden)?,
            embedding_norm: Norm::new(parameters, &norm, sizes.hidden, sizes.eps)?,
            embedding_dropout: DropoutSite::new(prefix, sizes.hidden_dropout),
            encoder: pre_norm::blocks(parameters, "text_model.encoder", &sizes)?,
            projection: Linear::new(parameters, "text_to_mm_projection", sizes.hidden, outputs)?,
        };
        Norm::new(parameters, "text_model.layernorm", sizes.hidden, sizes.eps)?;
        Pooler::new(parameters, "text_model.pooler", sizes.hidden)?;
        Ok(tower)
    }

    /// The text's part, whose positions in the multimodal encoder begin with `first`.
    fn forward(
        &self,
        batch: &Batch,
        arm: Arm,
        first: u32,
        pass: &Pass,
    ) -> Result<Part, ModelError> {
        let text = PackedText::of(text_of(batch, arm)?)?;
        let sequences = text.sequences(first)?;
        let states = self.embedding_norm.forward(&self.embeddings.forward(&text)?)?;
        let states = self.embedding_dropout.forward(states, pass, &sequences)?;
        let context = Context { sequences: &sequences, causal: false, pass };
        let states = self.encoder.all_tokens(states, &context)?;
        Ok(Part { states: self.projection.forward(&states)?, sequences })
    }
}

/// The image tower and its way into the multimodal encoder.
struct ImageTower {
    patch: usize,
    embeddings: PatchEmbeddings,
    embedding_dropout: DropoutSite,
    encoder: Blocks,
    projection: Linear,
}

impl ImageTower {
    fn new(
        parameters: &mut Parameters<'_>,
        config: &ImageConfig,
        outputs: usize,
    ) -> Result<Self, ModelError> {
        let (sizes, prefix) = (config.sizes, "image_model.embeddings");
        let tower = Self {
            patch: config.patch,
            embeddings: PatchEmbeddings::new(
                parameters,
                prefix,
                sizes.hidden,
                config.grid,
                config.patch,
                Interpolation::Bicubic,
            )?,
            embedding_dropout: DropoutSite::new(prefix, sizes.hidden_dropout),
            encoder: pre_norm::blocks(parameters, "image_model.encoder", &sizes)?,
            projection: Linear::new(parameters, "image_to_mm_projection", sizes.hidden, outputs)?,
        };
        if config.mask_token {
            let name = format!("{prefix}.mask_token");
            parameters.take(&name, &[1, 1, sizes.hidden], Kind::Weight)?;
        }
        Norm::new(parameters, "image_model.layernorm", sizes.hidden, sizes.eps)?;
        Pooler::new(parameters, "image_model.pooler", sizes.hidden)?;
        Ok(tower)
    }

    /// The picture's part, whose positions in the multimodal encoder begin with `first`.
    fn forward(
        &self,
        batch: &Batch,
        arm: Arm,
        first: u32,
        pass: &Pass,
    ) -> Result<Part, ModelError> {
        let image = batch.image.as_ref().ok_or(ModelError::NoInput { input: "picture", arm })?;
        let grid = PatchGrid::of(image, self.patch)?;
        let sequences = grid.sequences(first)?;
        let states = self.embeddings.forward(image, &grid)?; // [tokens, hidden]
        let states = self.embedding_dropout.forward(states, pass, &sequences)?;
        let context = Context { sequences: &sequences, causal: false, pass };
        let states = self.encoder.all_tokens(states, &context)?;
        Ok(Part { states: self.projection.forward(&states)?, sequences })
    }
}
