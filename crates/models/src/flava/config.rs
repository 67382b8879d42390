//! What `config.json` says of a FLAVA model, with transformers' defaults.

use crate::ModelError;
use crate::config::ConfigFile;
use crate::layers::Sizes;
use crate::text::encoder_sizes;

/// The three encoders.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlavaConfig {
    pub(super) text: TextConfig,
    pub(super) image: ImageConfig,
    pub(super) multimodal: Sizes,
    /// The width of the projections that pretraining compares.
    pub(super) projection: usize,
    pub(super) head_dropout: f64,
}

/// The text tower.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextConfig {
    pub(super) sizes: Sizes,
    pub(super) vocabulary: usize,
    pub(super) positions: usize,
    pub(super) segments: usize,
}

/// The image tower.
#[derive(Clone, Copy, Debug)]
pub(super) struct ImageConfig {
    pub(super) sizes: Sizes,
    /// Patches along a side of the position table.
    pub(super) grid: usize,
    /// Pixels along a side of a patch.
    pub(super) patch: usize,
    /// Whether there is a token for masked patches.
    pub(super) mask_token: bool,
}

impl FlavaConfig {
    pub(crate) fn read(file: &ConfigFile, dropout: Option<f64>) -> Result<Self, ModelError> {
        let multimodal = file.tower("multimodal")?;
        if !multimodal.switch("use_cls_token", true)? {
            return Err(multimodal.unsupported("use_cls_token", "`true`"));
        }
        let sizes = Sizes {
            layers: multimodal.count("num_hidden_layers", 6)?,
            ..tower_sizes(&multimodal, dropout)?
        };
        let head_dropout = file.dropout("classifier_dropout", sizes.hidden_dropout)?;
        Ok(Self {
            text: TextConfig::read(&file.tower("text")?, dropout)?,
            image: ImageConfig::read(&file.tower("image")?, dropout)?,
            multimodal: sizes,
            projection: file.count("projection_dim", 768)?,
            head_dropout: dropout.unwrap_or(head_dropout),
        })
    }

    /// The width of what the head reads.
    pub(crate) fn width(file: &ConfigFile) -> Result<usize, ModelError> {
        file.tower("multimodal")?.count("hidden_size", 768)
    }
}

impl TextConfig {
    fn read(file: &ConfigFile, dropout: Option<f64>) -> Result<Self, ModelError> {
        Ok(Self {
            sizes: tower_sizes(file, dropout)?,
            vocabulary: file.count("vocab_size", 30_522)?,
            positions: file.count("max_position_embeddings", 512)?,
            segments: file.count("type_vocab_size", 2)?,
        })
    }
}

impl ImageConfig {
    fn read(file: &ConfigFile, dropout: Option<f64>) -> Result<Self, ModelError> {
        if file.count("num_channels", 3)? != 3 {
            return Err(file.unsupported("num_channels", "3"));
        }
        let (side, patch) = (file.side("image_size", 224)?, file.side("patch_size", 16)?);
        if side < patch {
            return Err(file.unsupported("patch_size", &format!("at most `image_size`, {side}")));
        }
        Ok(Self {
            sizes: tower_sizes(file, dropout)?,
            grid: side / patch,
            patch,
            mask_token: file.switch("mask_token", true)?,
        })
    }
}

/// What the three have in common; 12 layers where the file does not say.
fn tower_sizes(file: &ConfigFile, dropout: Option<f64>) -> Result<Sizes, ModelError> {
    file.only("hidden_act", "gelu")?;
    if !file.switch("qkv_bias", true)? {
        return Err(file.unsupported("qkv_bias", "`true`"));
    }
    encoder_sizes(file, 0.0, dropout)
}
