//! The table of models.

use mmc_data::Arm;

use crate::ModelError;
use crate::architecture::ARCHITECTURES;

/// One row of [`CATALOG`].
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its architecture, the `model_type` of its `config.json`.
    pub architecture: &'static str,
    /// Where its weights are on the Hugging Face hub; `None` for a model made from scratch.
    pub hub_id: Option<&'static str>,
    /// What it can be given, the default first.
    pub arms: &'static [Arm],
    /// Whether it is small and made from scratch.
    pub tiny: bool,
    /// Whether its texts keep their accents: letters of Spanish, bytes like others to RoBERTa.
    pub accents: bool,
    /// The languages of the texts that its published weights were trained on, by their English
    /// names; none for a model whose vocabulary comes from the texts at hand.
    pub languages: &'static [&'static str],
    /// What holds where neither a flag nor a configuration file says otherwise.
    pub defaults: Defaults,
    /// Where sizes in its published `config.json` are not the architecture's defaults: the keys and
    /// their values, a JSON object. `{}` for a tiny model too, whose sizes come from its blueprint.
    pub config: &'static str,
    /// Beginnings of the names of the parameters that an arm leaves out: no gradient reaches
    /// them. A suite over this table checks that the list is exact.
    pub off_path: fn(Arm) -> &'static [&'static str],
}

/// How a model is trained unless told otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Defaults {
    /// Tokens of a text, special tokens included.
    pub max_length: usize,
    /// Items of a batch.
    pub batch_size: usize,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Passes over the training split.
    pub epochs: u64,
    /// Part of the steps over which the learning rate rises.
    pub warmup_ratio: f64,
    /// Decay of weights, none on biases and norms.
    pub weight_decay: f64,
}

/// A published checkpoint, fine-tuned.
const FINE_TUNED: Defaults = Defaults {
    max_length: 128,
    batch_size: 16,
    learning_rate: 2e-5,
    epochs: 10,
    warmup_ratio: 0.0,
    weight_decay: 0.01,
};

/// A tiny model, trained from scratch.
const TINY: Defaults = Defaults {
    max_length: 40,
    batch_size: 32,
    learning_rate: 2e-3,
    epochs: 3,
    warmup_ratio: 0.1,
    weight_decay: 0.01,
};

const TEXT: &[Arm] = &[Arm::Text];
const EVERY: &[Arm] = &[Arm::Both, Arm::Text, Arm::Image];

const ENGLISH: &[&str] = &["English"];
const SPANISH: &[&str] = &["Spanish"];
const NONE: &[&str] = &[];

/// Twice as deep and a third wider than ViT-B/32, with smaller patches.
const CLIP_LARGE: &str = r#"{
    "projection_dim": 768,
    "text_config": {"hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072},
    "vision_config": {
        "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
        "intermediate_size": 4096, "patch_size": 14
    }
}"#;

/// Every model, in the order in which they are listed to users.
pub const CATALOG: &[Preset] = &[
    Preset {
        name: "bert",
        architecture: "bert",
        hub_id: Some("google-bert/bert-base-uncased"),
        arms: TEXT,
        tiny: false,
        accents: false,
        languages: ENGLISH,
        defaults: FINE_TUNED,
        config: "{}",
        off_path: crate::bert::off_path,
    },
    Preset {
        name: "roberta",
        architecture: "roberta",
        hub_id: Some("FacebookAI/roberta-base"),
        arms: TEXT,
        tiny: false,
        accents: true,
        languages: ENGLISH,
        defaults: FINE_TUNED,
        config: r#"{"max_position_embeddings": 514, "type_vocab_size": 1}"#,
        off_path: crate::roberta::off_path,
    },
    Preset {
        name: "beto",
        architecture: "bert",
        hub_id: Some("dccuchile/bert-base-spanish-wwm-cased"),
        arms: TEXT,
        tiny: false,
        accents: true,
        languages: SPANISH,
        defaults: FINE_TUNED,
        config: r#"{"vocab_size": 31002}"#,
        off_path: crate::bert::off_path,
    },
    Preset {
        name: "clip",
        architecture: "clip",
        hub_id: Some("openai/clip-vit-base-patch32"),
        arms: EVERY,
        tiny: false,
        accents: false,
        languages: ENGLISH,
        defaults: Defaults { max_length: 77, ..FINE_TUNED },
        config: "{}",
        off_path: crate::clip::off_path,
    },
    Preset {
        name: "clip-l14",
        architecture: "clip",
        hub_id: Some("openai/clip-vit-large-patch14"),
        arms: EVERY,
        tiny: false,
        accents: false,
        languages: ENGLISH,
        defaults: Defaults { max_length: 77, ..FINE_TUNED },
        config: CLIP_LARGE,
        off_path: crate::clip::off_path,
    },
    Preset {
        name: "flava",
        architecture: "flava",
        hub_id: Some("facebook/flava-full"),
        arms: EVERY,
        tiny: false,
        accents: false,
        languages: ENGLISH,
        defaults: Defaults { max_length: 77, ..FINE_TUNED },
        config: "{}",
        off_path: crate::flava::off_path,
    },
    Preset {
        name: "vilt",
        architecture: "vilt",
        hub_id: Some("dandelin/vilt-b32-mlm"),
        arms: EVERY,
        tiny: false,
        accents: false,
        languages: ENGLISH,
        defaults: Defaults { max_length: 40, ..FINE_TUNED },
        config: "{}",
        off_path: crate::vilt::off_path,
    },
    Preset {
        name: "bert-tiny",
        architecture: "bert",
        hub_id: None,
        arms: TEXT,
        tiny: true,
        accents: false,
        languages: NONE,
        defaults: TINY,
        config: "{}",
        off_path: crate::bert::off_path,
    },
    Preset {
        name: "roberta-tiny",
        architecture: "roberta",
        hub_id: None,
        arms: TEXT,
        tiny: true,
        accents: true,
        languages: NONE,
        defaults: TINY,
        config: "{}",
        off_path: crate::roberta::off_path,
    },
    Preset {
        name: "beto-tiny",
        architecture: "bert",
        hub_id: None,
        arms: TEXT,
        tiny: true,
        accents: true,
        languages: NONE,
        defaults: TINY,
        config: "{}",
        off_path: crate::bert::off_path,
    },
    Preset {
        name: "clip-tiny",
        architecture: "clip",
        hub_id: None,
        arms: EVERY,
        tiny: true,
        accents: false,
        languages: NONE,
        defaults: TINY,
        config: "{}",
        off_path: crate::clip::off_path,
    },
    Preset {
        name: "flava-tiny",
        architecture: "flava",
        hub_id: None,
        arms: EVERY,
        tiny: true,
        accents: false,
        languages: NONE,
        defaults: TINY,
        config: "{}",
        off_path: crate::flava::off_path,
    },
    Preset {
        name: "vilt-tiny",
        architecture: "vilt",
        hub_id: None,
        arms: EVERY,
        tiny: true,
        accents: false,
        languages: NONE,
        defaults: TINY,
        config: "{}",
        off_path: crate::vilt::off_path,
    },
];

/// The row of this name.
///
/// # Errors
/// [`ModelError::UnknownPreset`], which lists all names and suggests the nearest.
pub fn preset(name: &str) -> Result<&'static Preset, ModelError> {
    CATALOG.iter().find(|row| row.name == name).ok_or_else(|| {
        let known: Vec<&str> = CATALOG.iter().map(|row| row.name).collect();
        ModelError::UnknownPreset {
            name: name.to_owned(),
            known: known.join("`, `"),
            suggestion: nearest(name, &known)
                .map_or_else(String::new, |near| format!("; did you mean `{near}`")),
        }
    })
}

/// The known name that takes the fewest edits, if there are few.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let edits = |candidate: &&&str| strsim::damerau_levenshtein(name, candidate);
    known.iter().min_by_key(edits).filter(|best| edits(best) <= 2).copied()
}

impl Preset {
    /// The arm to use where none is asked for: all that the model can see.
    #[must_use]
    pub fn default_arm(&self) -> Arm {
        self.arms.first().copied().unwrap_or_default()
    }

    /// The heads that it can have, the default first.
    #[must_use]
    pub fn heads(&self) -> Vec<&'static str> {
        let row = ARCHITECTURES.iter().find(|row| row.name == self.architecture);
        row.map_or_else(Vec::new, |row| row.heads.iter().map(|head| head.name).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_near_misses_suggested() {
        assert_eq!(preset("vilt").unwrap().architecture, "vilt");
        let error = preset("vlit").unwrap_err().to_string();
        assert!(error.contains("did you mean `vilt`"), "{error}");
        for row in CATALOG {
            assert_eq!(row.tiny, row.hub_id.is_none());
            assert_eq!(row.tiny, row.name.ends_with("-tiny"));
            assert_eq!(row.tiny, row.languages.is_empty());
            assert_eq!(CATALOG.iter().filter(|other| other.name == row.name).count(), 1);
        }
    }
}
