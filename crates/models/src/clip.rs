//! CLIP (Radford et al., 2021) as a classifier: two towers that never see each other, and a head
//! of our own over what they project.
//!
//! A text is the state of its end token and a picture that of its class token, each projected to
//! `projection_dim` numbers `t` and `v` without being normalised: the features that transformers'
//! `get_text_features` and `get_image_features` give. The head is described in
//! [`head`]. An arm computes its own tower alone.

pub(crate) mod alone;
pub(crate) mod head;
mod pairs;
mod tiny;
mod towers;

use candle_core::{Device, Tensor};
use mmc_data::Arm;
use mmc_ops::Activation;
use mmc_preprocess::Batch;

use self::head::ClipHead;
pub(crate) use self::tiny::blueprint;
use self::towers::{TextTower, VisionTower};
use crate::config::ConfigFile;
use crate::depth::Stack;
use crate::layers::Sizes;
use crate::parameters::{Kind, Parameters};
use crate::states::PICTURE_WIDTHS;
use crate::text::text_of;
use crate::{Classifier, Logits, ModelError, Pairing, Parameter, Pass, States};

/// The factor of contrastive logits, which no classifier uses, and the tower that an arm lacks.
pub(crate) fn off_path(arm: Arm) -> &'static [&'static str] {
    match arm {
        Arm::Both => &["logit_scale"],
        Arm::Text => &["logit_scale", "vision_model.", "visual_projection."],
        Arm::Image => &["logit_scale", "text_model.", "text_projection."],
    }
}

/// The towers, each by its own number of layers.
pub(crate) fn stacks(file: &ConfigFile) -> Result<Vec<Stack>, ModelError> {
    Ok(vec![text_stack(&file.tower("text")?)?, vision_stack(&file.tower("vision")?)?])
}

fn text_stack(tower: &ConfigFile) -> Result<Stack, ModelError> {
    Ok(Stack {
        layer: "text_model.encoder.layers.",
        embeddings: &["text_model.embeddings."],
        layers: tower.count("num_hidden_layers", 12)?,
        above: 0,
    })
}

fn vision_stack(tower: &ConfigFile) -> Result<Stack, ModelError> {
    Ok(Stack {
        layer: "vision_model.encoder.layers.",
        embeddings: &["vision_model.embeddings.", "vision_model.pre_layrnorm."],
        layers: tower.count("num_hidden_layers", 12)?,
        above: 0,
    })
}

/// What `config.json` says, with transformers' defaults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClipConfig {
    /// The width of both projections.
    pub(crate) projection: usize,
    /// `None` where the other tower was saved alone.
    pub(crate) text: Option<TextConfig>,
    /// `None` where the other tower was saved alone.
    pub(crate) vision: Option<VisionConfig>,
}

/// The text tower's part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextConfig {
    pub(crate) sizes: Sizes,
    pub(crate) activation: Activation,
    pub(crate) vocabulary: usize,
    pub(crate) positions: usize,
    /// The end token; published files say 2, which no text holds.
    pub(crate) end: u32,
}

/// The picture tower's part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VisionConfig {
    pub(crate) sizes: Sizes,
    pub(crate) activation: Activation,
    /// Patches along a side of the position table.
    pub(crate) grid: usize,
    pub(crate) patch: usize,
}

impl ClipConfig {
    pub(crate) fn read(file: &ConfigFile, dropout: Option<f64>) -> Result<Self, ModelError> {
        Ok(Self {
            projection: projection(file)?,
            text: Some(TextConfig::read(&file.tower("text")?, dropout)?),
            vision: Some(VisionConfig::read(&file.tower("vision")?, dropout)?),
        })
    }
}

impl TextConfig {
    /// Reads the tower's own configuration.
    fn read(text: &ConfigFile, dropout: Option<f64>) -> Result<Self, ModelError> {
        let end = text.count("eos_token_id", 49_407)?;
        Ok(Self {
            sizes: sizes(text, [512, 8, 2048], dropout)?,
            activation: activation(text)?,
            vocabulary: text.count("vocab_size", 49_408)?,
            positions: text.count("max_position_embeddings", 77)?,
            end: u32::try_from(end).map_err(|_too_large| {
                text.unsupported("eos_token_id", "a token of the vocabulary")
            })?,
        })
    }
}

impl VisionConfig {
    /// Reads the tower's own configuration.
    fn read(vision: &ConfigFile, dropout: Option<f64>) -> Result<Self, ModelError> {
        if vision.count("num_channels", 3)? != 3 {
            return Err(vision.unsupported("num_channels", "3"));
        }
        let (side, patch) = (vision.side("image_size", 224)?, vision.side("patch_size", 32)?);
        if side < patch {
            return Err(vision.unsupported("patch_size", &format!("at most `image_size`, {side}")));
        }
        Ok(Self {
            sizes: sizes(vision, [768, 12, 3072], dropout)?,
            activation: activation(vision)?,
            grid: side / patch,
            patch,
        })
    }
}

/// The width of what each tower gives the head.
pub(crate) fn projection(file: &ConfigFile) -> Result<usize, ModelError> {
    file.count("projection_dim", 512)
}

/// The sizes of a tower; `defaults`: hidden width, heads, width inside feed-forward layers.
fn sizes(
    tower: &ConfigFile,
    [hidden, heads, intermediate]: [usize; 3],
    dropout: Option<f64>,
) -> Result<Sizes, ModelError> {
    let attention_dropout = tower.dropout("attention_dropout", 0.0)?;
    let sizes = Sizes {
        hidden: tower.count("hidden_size", hidden)?,
        layers: tower.count("num_hidden_layers", 12)?,
        heads: tower.count("num_attention_heads", heads)?,
        intermediate: tower.count("intermediate_size", intermediate)?,
        eps: tower.number("layer_norm_eps", 1e-5)?,
        hidden_dropout: 0.0, // it has none
        attention_dropout: dropout.unwrap_or(attention_dropout),
    };
    if sizes.hidden.is_multiple_of(sizes.heads) {
        Ok(sizes)
    } else {
        Err(tower.unsupported("num_attention_heads", &format!("a divisor of {}", sizes.hidden)))
    }
}

fn activation(tower: &ConfigFile) -> Result<Activation, ModelError> {
    match tower.word("hidden_act")? {
        None | Some("quick_gelu") => Ok(Activation::QuickGelu),
        Some("gelu") => Ok(Activation::Gelu),
        Some(_) => Err(tower.unsupported("hidden_act", "`quick_gelu` or `gelu`")),
    }
}

/// A CLIP classifier.
pub(crate) struct Clip {
    config: ClipConfig,
    arm: Arm,
    classes: usize,
    parameters: Vec<Parameter>,
    device: Device,
    /// `None` where the other tower was saved alone.
    text: Option<TextTower>,
    vision: Option<VisionTower>,
    head: ClipHead,
}

impl Clip {
    /// Builds the model from `parameters`, whose list it keeps; `head` is the name of its head.
    pub(crate) fn new(
        config: ClipConfig,
        arm: Arm,
        head: &'static str,
        classes: usize,
        parameters: &mut Parameters<'_>,
    ) -> Result<Self, ModelError> {
        let ClipConfig { projection, text, vision } = config;
        if text.is_some() && vision.is_some() {
            parameters.take("logit_scale", &[], Kind::LogitScale)?;
        }
        let text = text.map(|text| TextTower::new(parameters, text, projection)).transpose()?;
        let vision =
            vision.map(|vision| VisionTower::new(parameters, vision, projection)).transpose()?;
        Ok(Self {
            text,
            vision,
            head: ClipHead::new(parameters, head, config.projection, arm, classes)?,
            config,
            arm,
            classes,
            device: parameters.device.clone(),
            parameters: std::mem::take(&mut parameters.list),
        })
    }

    /// The text's projection `[batch, projection]`.
    fn text_feature(&self, batch: &Batch, pass: &Pass) -> Result<Tensor, ModelError> {
        let missing = ModelError::NoInput { input: "text", arm: self.arm };
        self.text.as_ref().ok_or(missing)?.forward(text_of(batch, self.arm)?, pass)
    }

    /// The picture's projection `[batch, projection]`.
    fn image_feature(&self, batch: &Batch, pass: &Pass) -> Result<Tensor, ModelError> {
        let missing = || ModelError::NoInput { input: "picture", arm: self.arm };
        let image = batch.image.as_ref().ok_or_else(missing)?;
        self.vision.as_ref().ok_or_else(missing)?.forward(image, pass)
    }
}

impl Classifier for Clip {
    fn encode(&self, batch: &Batch, pass: &Pass) -> Result<Tensor, ModelError> {
        match self.arm {
            Arm::Text => self.text_feature(batch, pass),
            Arm::Image => self.image_feature(batch, pass),
            Arm::Both => {
                let text = self.text_feature(batch, pass)?;
                let image = self.image_feature(batch, pass)?;
                Ok(Tensor::cat(&[text, image], 1)?) // [batch, 2 · projection]
            }
        }
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
        self.head.name()
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn flops(&self, text_tokens: f64, image_tokens: f64) -> f64 {
        let ClipConfig { projection, text, vision } = &self.config;
        let projected = |sizes: &Sizes| 2.0 * (sizes.hidden * projection) as f64;
        let mut operations = self.head.flops();
        if let (true, Some(text)) = (self.arm.uses_text(), text) {
            operations += text.sizes.flops(text_tokens) + projected(&text.sizes);
        }
        if let (true, Some(vision)) = (self.arm.uses_image(), vision) {
            let patch = 2.0 * (3 * vision.patch * vision.patch * vision.sizes.hidden) as f64;
            operations += vision.sizes.flops(image_tokens) + projected(&vision.sizes);
            operations += patch * (image_tokens - 1.0).max(0.0);
        }
        operations
    }

    fn image_tokens(&self, height: usize, width: usize) -> usize {
        match self.config.vision {
            Some(VisionConfig { patch, .. }) if self.arm.uses_image() => {
                1 + (height / patch) * (width / patch)
            }
            _ => 0,
        }
    }

    fn picture(&self, _aspect: f64) -> Option<(usize, usize)> {
        let vision = self.config.vision.filter(|_| self.arm.uses_image())?;
        let side = vision.grid * vision.patch;
        Some((side, side))
    }

    fn states(&self, text_tokens: usize, picture: Option<(usize, usize)>) -> States {
        let mut states = States::default();
        if let (true, Some(text)) = (self.arm.uses_text(), &self.config.text) {
            states.longest_text = text.positions;
            // Two tables and their sum.
            states.outside += 3 * text.sizes.hidden * text_tokens;
            states.encoder(&text.sizes, (text_tokens, 1), false);
        }
        if let (true, Some(vision), Some((height, width))) =
            (self.arm.uses_image(), &self.config.vision, picture)
        {
            let tokens = self.image_tokens(height, width);
            states.picture((height, width));
            states.outside += PICTURE_WIDTHS * vision.sizes.hidden * tokens;
            states.encoder(&vision.sizes, (tokens, 1), false);
        }
        states
    }

    fn pairing(&self) -> Option<&dyn Pairing> {
        (self.arm == Arm::Both).then_some(self)
    }
}
