//! What `config.json` says about a model, as far as its inputs depend on it.

use std::path::Path;

use crate::PreprocessError;
use crate::folder::Config;

/// The architectures whose inputs can be prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModelKind {
    Bert,
    Roberta,
    Clip,
    Flava,
    Vilt,
}

impl ModelKind {
    /// The kind of a checkpoint folder, and the most tokens its position table allows.
    pub(crate) fn from_folder(folder: &Path) -> Result<(Self, usize), PreprocessError> {
        let path = folder.join("config.json");
        let config = Config::read(&path)?.ok_or(PreprocessError::Missing {
            path,
            purpose: "to know the model",
            remedy: "give the folder of a checkpoint in Hugging Face layout",
        })?;
        Self::of(&config)
    }

    /// The same of what a `config.json` says.
    pub(crate) fn of(config: &Config) -> Result<(Self, usize), PreprocessError> {
        let expected = "`bert`, `roberta`, `clip`, `flava` or `vilt`";
        let Some(name) = config.typed::<String>("model_type", expected)? else {
            return Err(config.missing("model_type", expected));
        };
        let kind = match name.as_str() {
            "bert" => Self::Bert,
            "roberta" => Self::Roberta,
            // A tower that was saved alone has the whole's files beside it.
            "clip" | "clip_text_model" | "clip_vision_model" => Self::Clip,
            "flava" => Self::Flava,
            "vilt" => Self::Vilt,
            _ => return Err(config.unsupported("model_type", expected)),
        };
        Ok((kind, kind.positions(config)?))
    }

    /// `model_type`, as `config.json` writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::Roberta => "roberta",
            Self::Clip => "clip",
            Self::Flava => "flava",
            Self::Vilt => "vilt",
        }
    }

    /// Whether the model has a part that sees pictures.
    pub(crate) fn sees_pictures(self) -> bool {
        matches!(self, Self::Clip | Self::Flava | Self::Vilt)
    }

    /// Whether its vocabulary is one of word pieces, which `vocab.txt` tells in full.
    pub(crate) fn has_word_pieces(self) -> bool {
        matches!(self, Self::Bert | Self::Flava | Self::Vilt)
    }

    /// The padding token where no file names it.
    pub(crate) fn pad_token(self) -> &'static str {
        match self {
            Self::Bert | Self::Flava | Self::Vilt => "[PAD]",
            Self::Roberta => "<pad>",
            Self::Clip => "<|endoftext|>",
        }
    }

    fn positions(self, config: &Config) -> Result<usize, PreprocessError> {
        let key = "max_position_embeddings";
        let (positions, taken) = match self {
            Self::Bert => (config.count(key)?.unwrap_or(512), 0),
            Self::Vilt => (config.count(key)?.unwrap_or(40), 0),
            // Positions start behind the pad id (fairseq's habit).
            Self::Roberta => {
                let pad_id = config.count("pad_token_id")?.unwrap_or(1);
                (config.count(key)?.unwrap_or(512), pad_id.saturating_add(1))
            }
            Self::Clip => {
                let nested = nested_positions(config, key)?;
                (
                    nested
                        .map_or_else(|| config.count(key), |count| Ok(Some(count)))?
                        .unwrap_or(77),
                    0,
                )
            }
            Self::Flava => (nested_positions(config, key)?.unwrap_or(512), 0),
        };
        let limit = positions.saturating_sub(taken);
        if limit < 2 {
            let expected = "room for at least the two special tokens of a text";
            return Err(config.unsupported(key, expected));
        }
        Ok(limit)
    }
}

/// The position count of the text tower. Old files hold `text_config_dict` too, and it wins.
fn nested_positions(config: &Config, key: &str) -> Result<Option<usize>, PreprocessError> {
    for tower in ["text_config_dict", "text_config"] {
        if let Some(tower) = config.nested(tower)?
            && let Some(positions) = tower.count(key)?
        {
            return Ok(Some(positions));
        }
    }
    Ok(None)
}
