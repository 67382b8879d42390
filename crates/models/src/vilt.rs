//! ViLT (Kim, Son and Kim, 2021) with the head of transformers' `ViltForQuestionAnswering`.
//!
//! One sequence: text tokens, the image's class token, patches in reading order. Patches under the
//! padding of a smaller picture are left out; transformers shuffles patches, which changes the
//! pooled output by rounding alone. Pre-norm blocks: `x ← x + f(norm(x))`. The pooler reads the
//! text's `[CLS]`, so the last block computes that token alone.

mod pairs;

use candle_core::{Device, Tensor};
use mmc_data::Arm;
use mmc_ops::gelu;
use mmc_preprocess::Batch;

use crate::block::{Blocks, Context};
use crate::config::ConfigFile;
use crate::depth::Stack;
use crate::interpolation::Interpolation;
use crate::layers::{DropoutSite, Linear, Norm, Pooler, Sizes};
use crate::packing::{PackedText, Part};
use crate::parameters::{Kind, Parameters};
use crate::patches::{PatchEmbeddings, PatchGrid};
use crate::pre_norm;
use crate::states::{PICTURE_WIDTHS, TEXT_WIDTHS};
use crate::text::{TextEmbeddings, encoder_sizes, text_of};
use crate::{Classifier, Logits, ModelError, Pairing, Parameter, Pass, States};

/// What the text arm leaves out: all that reads the picture. The modality table stays, since its
/// row 0 marks the text.
pub(crate) fn off_path(arm: Arm) -> &'static [&'static str] {
    match arm {
        Arm::Text => &[
            "vilt.embeddings.cls_token",
            "vilt.embeddings.position_embeddings",
            "vilt.embeddings.patch_embeddings.projection.weight",
            "vilt.embeddings.patch_embeddings.projection.bias",
        ],
        Arm::Both | Arm::Image => &[],
    }
}

/// The encoder, whose embeddings are those of the text and of the picture.
pub(crate) fn stacks(file: &ConfigFile) -> Result<Vec<Stack>, ModelError> {
    let layers = file.count("num_hidden_layers", 12)?;
    let (layer, embeddings): (_, &[_]) = ("vilt.encoder.layer.", &["vilt.embeddings."]);
    Ok(vec![Stack { layer, embeddings, layers, above: 0 }])
}

/// The name of its head.
pub(crate) const HEAD: &str = "mlp";

/// How many times its shorter side the longer side of a prepared picture is at most.
const LONGEST: f64 = 1333.0 / 800.0;

/// The norm of the head keeps PyTorch's ε, whatever the configuration says.
const HEAD_EPS: f64 = 1e-5;

/// What `config.json` says, with transformers' defaults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ViltConfig {
    sizes: Sizes,
    vocabulary: usize,
    positions: usize,
    segments: usize,
    modalities: usize,
    /// Patches along a side of the position table.
    grid: usize,
    patch: usize,
}

impl ViltConfig {
    pub(crate) fn read(file: &ConfigFile, dropout: Option<f64>) -> Result<Self, ModelError> {
        file.only("hidden_act", "gelu")?;
        if !file.switch("qkv_bias", true)? {
            return Err(file.unsupported("qkv_bias", "`true`"));
        }
        if file.count("num_channels", 3)? != 3 {
            return Err(file.unsupported("num_channels", "3"));
        }
        let (side, patch) = (file.side("image_size", 384)?, file.side("patch_size", 32)?);
        if side < patch {
            return Err(file.unsupported("patch_size", &format!("at most `image_size`, {side}")));
        }
        let modalities = file.count("modality_type_vocab_size", 2)?;
        if modalities < 2 {
            return Err(file.unsupported("modality_type_vocab_size", "2 or more"));
        }
        Ok(Self {
            sizes: encoder_sizes(file, 0.0, dropout)?,
            vocabulary: file.count("vocab_size", 30_522)?,
            positions: file.count("max_position_embeddings", 40)?,
            segments: file.count("type_vocab_size", 2)?,
            modalities,
            grid: side / patch,
            patch,
        })
    }
}

/// A ViLT classifier.
pub(crate) struct Vilt {
    config: ViltConfig,
    arm: Arm,
    classes: usize,
    parameters: Vec<Parameter>,
    device: Device,
    text: TextEmbeddings,
    text_norm: Norm,
    text_dropout: DropoutSite,
    patches: PatchEmbeddings,
    patch_dropout: DropoutSite,
    modalities: Tensor, // [modalities, hidden]: row 0 text, row 1 picture
    encoder: Blocks,
    norm: Norm,
    pooler: Pooler,
    head: Head,
}

impl Vilt {
    /// Builds the model from `parameters`, whose list it keeps.
    pub(crate) fn new(
        config: ViltConfig,
        arm: Arm,
        classes: usize,
        parameters: &mut Parameters<'_>,
    ) -> Result<Self, ModelError> {
        let (sizes, hidden) = (config.sizes, config.sizes.hidden);
        let tables = [config.vocabulary, config.positions, config.segments];
        let text_prefix = "vilt.embeddings.text_embeddings";
        let patches = PatchEmbeddings::new(
            parameters,
            "vilt.embeddings",
            hidden,
            config.grid,
            config.patch,
            Interpolation::AlignedBilinear,
        )?;
        let text = TextEmbeddings::new(parameters, text_prefix, tables, hidden)?;
        let text_norm =
            Norm::new(parameters, &format!("{text_prefix}.LayerNorm"), hidden, sizes.eps)?;
        let modalities = parameters.take(
            "vilt.embeddings.token_type_embeddings.weight",
            &[config.modalities, hidden],
            Kind::Weight,
        )?;
        let encoder = pre_norm::blocks(parameters, "vilt.encoder", &sizes)?;
        Ok(Self {
            patches,
            text,
            text_norm,
            text_dropout: DropoutSite::new(text_prefix, sizes.hidden_dropout),
            patch_dropout: DropoutSite::new("vilt.embeddings", sizes.hidden_dropout),
            modalities,
            encoder,
            norm: Norm::new(parameters, "vilt.layernorm", hidden, sizes.eps)?,
            pooler: Pooler::new(parameters, "vilt.pooler", hidden)?,
            head: Head::new(parameters, hidden, classes)?,
            config,
            arm,
            classes,
            device: parameters.device.clone(),
            parameters: std::mem::take(&mut parameters.list),
        })
    }

    /// What the encoder reads of the texts.
    fn text_part(&self, batch: &Batch, pass: &Pass) -> Result<Part, ModelError> {
        let text = PackedText::of(text_of(batch, self.arm)?)?;
        let sequences = text.sequences(0)?;
        let states = self.text_norm.forward(&self.text.forward(&text)?)?;
        let states = self.text_dropout.forward(states, pass, &sequences)?;
        let states = states.broadcast_add(&self.modality(0)?)?;
        Ok(Part { states, sequences })
    }

    /// What the encoder reads of the pictures.
    fn image_part(&self, batch: &Batch, pass: &Pass) -> Result<Part, ModelError> {
        let image =
            batch.image.as_ref().ok_or(ModelError::NoInput { input: "picture", arm: self.arm })?;
        let grid = PatchGrid::of(image, self.config.patch)?;
        let sequences = grid.sequences(self.config.positions as u32)?;
        let patches = self.patches.forward(image, &grid)?; // [tokens, hidden]
        let patches = self.patch_dropout.forward(patches, pass, &sequences)?;
        let states = patches.broadcast_add(&self.modality(1)?)?;
        Ok(Part { states, sequences })
    }

    /// The pooled state of each row's first token.
    fn pool(&self, Part { states, sequences }: Part, pass: &Pass) -> Result<Tensor, ModelError> {
        let context = Context { sequences: &sequences, causal: false, pass };
        let states = self.encoder.first_tokens(states, &context)?; // [batch, hidden]
        self.pooler.forward(&self.norm.forward(&states)?)
    }

    /// Operations of the head, 2 a multiply-add.
    fn head_flops(&self) -> f64 {
        let hidden = self.config.sizes.hidden as f64;
        2.0 * hidden * (hidden + 2.0 * hidden + 2.0 * self.classes as f64)
    }

    fn modality(&self, row: usize) -> Result<Tensor, ModelError> {
        Ok(self.modalities.narrow(0, row, 1)?) // [1, hidden]
    }
}

impl Classifier for Vilt {
    fn encode(&self, batch: &Batch, pass: &Pass) -> Result<Tensor, ModelError> {
        let text = self.text_part(batch, pass)?;
        if !self.arm.uses_image() {
            return self.pool(text, pass);
        }
        self.pool(Part::join(&[text, self.image_part(batch, pass)?])?, pass)
    }

    fn classify(&self, pooled: &Tensor, _pass: &Pass) -> Result<Logits, ModelError> {
        Ok(Logits(self.head.forward(pooled)?)) // [batch, classes]
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
        let hidden = self.config.sizes.hidden as f64;
        let image_tokens = if self.arm.uses_image() { image_tokens } else { 0.0 };
        let patch = (3 * self.config.patch * self.config.patch) as f64;
        let projection = 2.0 * patch * hidden * (image_tokens - 1.0).max(0.0);
        self.config.sizes.flops(text_tokens + image_tokens) + projection + self.head_flops()
    }

    fn image_tokens(&self, height: usize, width: usize) -> usize {
        if self.arm.uses_image() {
            1 + (height / self.config.patch) * (width / self.config.patch)
        } else {
            0
        }
    }

    fn picture(&self, aspect: f64) -> Option<(usize, usize)> {
        let shorter = self.config.grid * self.config.patch;
        let longer = (shorter as f64 * aspect.clamp(1.0, LONGEST)) as usize;
        let whole = longer / self.config.patch * self.config.patch;
        self.arm.uses_image().then_some((shorter, whole))
    }

    fn states(&self, text_tokens: usize, picture: Option<(usize, usize)>) -> States {
        let sizes = &self.config.sizes;
        let longest_text = self.config.positions;
        let mut states = States { longest_text, ..States::default() };
        let mut tokens = text_tokens;
        states.outside += TEXT_WIDTHS * sizes.hidden * text_tokens;
        if let Some((height, width)) = picture.filter(|_| self.arm.uses_image()) {
            let image_tokens = self.image_tokens(height, width);
            tokens += image_tokens;
            states.picture((height, width));
            // Both in one tensor, and in the order of the rows.
            states.outside += sizes.hidden * (PICTURE_WIDTHS * image_tokens + 2 * tokens);
        }
        states.encoder(sizes, (tokens, 1), false);
        states
    }

    fn pairing(&self) -> Option<&dyn Pairing> {
        (self.arm == Arm::Both).then_some(self)
    }
}

/// `linear(gelu(norm(linear(x))))`, twice as wide inside.
struct Head {
    inner: Linear,
    norm: Norm,
    output: Linear,
}

impl Head {
    fn new(
        parameters: &mut Parameters<'_>,
        hidden: usize,
        classes: usize,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            inner: Linear::new(parameters, "classifier.0", hidden, 2 * hidden)?,
            norm: Norm::new(parameters, "classifier.1", 2 * hidden, HEAD_EPS)?,
            output: Linear::new(parameters, "classifier.3", 2 * hidden, classes)?,
        })
    }

    fn forward(&self, pooled: &Tensor) -> Result<Tensor, ModelError> {
        let inner = self.norm.forward(&self.inner.forward(pooled)?)?;
        self.output.forward(&gelu(&inner)?)
    }
}
