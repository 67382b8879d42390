//! The table of architectures: what loading and saving need to know of each.

use mmc_data::Arm;

use crate::bert::{self, Bert};
use crate::clip::{self, Clip, ClipConfig};
use crate::config::ConfigFile;
use crate::depth::Stack;
use crate::flava::config::FlavaConfig;
use crate::flava::{self, Flava};
use crate::parameters::Parameters;
use crate::roberta::{self, Roberta};
use crate::scratch::{self, Blueprint, CreateRequest};
use crate::vilt::{self, Vilt, ViltConfig};
use crate::{Classifier, ModelError};

/// How a model is built from its configuration.
pub(crate) struct Build<'a> {
    pub(crate) config: &'a ConfigFile,
    pub(crate) dropout: Option<f64>,
    pub(crate) arm: Arm,
    /// The name of one of the architecture's heads.
    pub(crate) head: &'static str,
    pub(crate) classes: usize,
}

/// A head that an architecture can have.
pub(crate) struct Head {
    /// As `mmc.json` and `--head` say it.
    pub(crate) name: &'static str,
    /// The layer whose rows are the classes.
    pub(crate) output: &'static str,
    /// The names and shapes of its parameters.
    pub(crate) shapes: fn(&HeadSize) -> Vec<NamedShape>,
}

/// What the shapes of a head depend on.
pub(crate) struct HeadSize {
    /// Of one representation that it reads.
    pub(crate) width: usize,
    pub(crate) arm: Arm,
    pub(crate) classes: usize,
}

/// A parameter's name and shape.
pub(crate) type NamedShape = (&'static str, Vec<usize>);

/// Builds a model from its parameters.
type Builder = fn(&Build<'_>, &mut Parameters<'_>) -> Result<Box<dyn Classifier>, ModelError>;

/// One row of [`ARCHITECTURES`].
pub(crate) struct Architecture {
    /// `model_type` in `config.json`; of a tower alone, that of the whole.
    pub(crate) name: &'static str,
    /// Before every name of the backbone.
    pub(crate) prefix: &'static str,
    /// Before these names in the files of larger models, which hold the backbone as one part.
    pub(crate) outer: &'static str,
    /// The first parts of the backbone's names where the prefix is left out.
    pub(crate) parts: &'static [&'static str],
    /// The class of transformers that has this head, or the backbone alone.
    pub(crate) class: &'static str,
    /// The heads that it can have, the default first.
    pub(crate) heads: &'static [Head],
    /// Whether the head is in a file of its own, since no class of transformers has it.
    pub(crate) head_apart: bool,
    /// The width of one representation that the head reads.
    pub(crate) width: fn(&ConfigFile) -> Result<usize, ModelError>,
    /// What the model can read, the default first.
    pub(crate) arms: &'static [Arm],
    /// What checkpoints may lack: it is made.
    pub(crate) optional: &'static [&'static str],
    /// Beginnings of the names that an arm leaves out.
    pub(crate) off_path: fn(Arm) -> &'static [&'static str],
    /// Its stacks of layers, which decide how far below the head a parameter lies.
    pub(crate) stacks: fn(&ConfigFile) -> Result<Vec<Stack>, ModelError>,
    pub(crate) build: Builder,
    /// A tiny model, but for its parameters.
    pub(crate) blueprint: fn(&CreateRequest<'_>) -> Result<Blueprint, ModelError>,
}

/// The prefix of every head's names.
pub(crate) const HEAD: &str = "classifier.";

pub(crate) const ARCHITECTURES: &[Architecture] = &[
    Architecture {
        name: "bert",
        prefix: "bert.",
        outer: "",
        parts: &["embeddings.", "encoder.", "pooler."],
        class: "BertForSequenceClassification",
        heads: &[Head {
            name: bert::HEAD,
            output: "classifier.",
            shapes: |&HeadSize { width, classes, .. }| {
                vec![
                    ("classifier.weight", vec![classes, width]),
                    ("classifier.bias", vec![classes]),
                ]
            },
        }],
        head_apart: false,
        width: hidden_size,
        arms: &[Arm::Text],
        optional: &["bert.pooler."],
        off_path: bert::off_path,
        stacks: bert::stacks,
        build: |build, parameters| {
            let Build { config, dropout, classes, .. } = *build;
            Ok(Box::new(Bert::new(config, dropout, classes, parameters)?))
        },
        blueprint: |request| Ok(scratch::word_pieces(request)),
    },
    Architecture {
        name: "roberta",
        prefix: "roberta.",
        outer: "",
        parts: &["embeddings.", "encoder.", "pooler."],
        class: "RobertaForSequenceClassification",
        heads: &[Head {
            name: roberta::HEAD,
            output: "classifier.out_proj.",
            shapes: |&HeadSize { width, classes, .. }| {
                vec![
                    ("classifier.dense.weight", vec![width, width]),
                    ("classifier.dense.bias", vec![width]),
                    ("classifier.out_proj.weight", vec![classes, width]),
                    ("classifier.out_proj.bias", vec![classes]),
                ]
            },
        }],
        head_apart: false,
        width: hidden_size,
        arms: &[Arm::Text],
        optional: &[],
        off_path: roberta::off_path,
        stacks: roberta::stacks,
        build: |build, parameters| {
            let Build { config, dropout, classes, .. } = *build;
            Ok(Box::new(Roberta::new(config, dropout, classes, parameters)?))
        },
        blueprint: |request| Ok(scratch::byte_pairs(request)),
    },
    Architecture {
        name: "clip",
        prefix: "",
        outer: "",
        parts: &[
            "logit_scale",
            "text_model.",
            "vision_model.",
            "text_projection.",
            "visual_projection.",
        ],
        class: "CLIPModel",
        heads: clip::head::HEADS,
        head_apart: true,
        width: clip::projection,
        arms: &[Arm::Both, Arm::Text, Arm::Image],
        optional: &[],
        off_path: clip::off_path,
        stacks: clip::stacks,
        build: |build, parameters| {
            let config = ClipConfig::read(build.config, build.dropout)?;
            Ok(Box::new(Clip::new(config, build.arm, build.head, build.classes, parameters)?))
        },
        blueprint: clip::blueprint,
    },
    Architecture {
        name: "vilt",
        prefix: "vilt.",
        outer: "",
        parts: &["embeddings.", "encoder.", "layernorm.", "pooler."],
        class: "ViltForQuestionAnswering",
        heads: &[Head {
            name: vilt::HEAD,
            output: "classifier.3.",
            shapes: |&HeadSize { width, classes, .. }| {
                let inner = 2 * width;
                vec![
                    ("classifier.0.weight", vec![inner, width]),
                    ("classifier.0.bias", vec![inner]),
                    ("classifier.1.weight", vec![inner]),
                    ("classifier.1.bias", vec![inner]),
                    ("classifier.3.weight", vec![classes, inner]),
                    ("classifier.3.bias", vec![classes]),
                ]
            },
        }],
        head_apart: false,
        width: hidden_size,
        arms: &[Arm::Both, Arm::Text, Arm::Image],
        optional: &[],
        off_path: vilt::off_path,
        stacks: vilt::stacks,
        build: |build, parameters| {
            let config = ViltConfig::read(build.config, build.dropout)?;
            Ok(Box::new(Vilt::new(config, build.arm, build.classes, parameters)?))
        },
        blueprint: |request| Ok(scratch::word_pieces(request)),
    },
    Architecture {
        name: "flava",
        prefix: "",
        outer: "flava.",
        parts: &[
            "text_model.",
            "image_model.",
            "multimodal_model.",
            "text_projection.",
            "image_projection.",
            "text_to_mm_projection.",
            "image_to_mm_projection.",
            "logit_scale",
        ],
        class: "FlavaModel",
        heads: &[Head {
            name: flava::HEAD,
            output: "classifier.",
            shapes: |&HeadSize { width, classes, .. }| {
                vec![
                    ("classifier.weight", vec![classes, width]),
                    ("classifier.bias", vec![classes]),
                ]
            },
        }],
        head_apart: true,
        width: FlavaConfig::width,
        arms: &[Arm::Both, Arm::Text, Arm::Image],
        optional: &[],
        off_path: flava::off_path,
        stacks: flava::stacks,
        build: |build, parameters| {
            let config = FlavaConfig::read(build.config, build.dropout)?;
            Ok(Box::new(Flava::new(config, build.arm, build.classes, parameters)?))
        },
        blueprint: |request| Ok(flava::blueprint(request)),
    },
];

/// `model_type` of parts that transformers saves alone and that make no classifier, and of the
/// whole.
const TOWERS: &[(&str, &str)] = &[
    ("flava_text_model", "flava"),
    ("flava_image_model", "flava"),
    ("flava_multimodal_model", "flava"),
];

/// The width of an encoder's states.
fn hidden_size(config: &ConfigFile) -> Result<usize, ModelError> {
    config.count("hidden_size", 768)
}

impl Architecture {
    /// The architecture that a configuration names.
    pub(crate) fn of(config: &ConfigFile) -> Result<&'static Self, ModelError> {
        let name = config.word("model_type")?.unwrap_or_default();
        if let Some((_, alone)) = clip::alone::TOWERS.iter().find(|row| row.0 == name) {
            return Ok(alone);
        }
        ARCHITECTURES.iter().find(|row| row.name == name).ok_or_else(|| {
            let names: Vec<String> =
                ARCHITECTURES.iter().map(|row| format!("`{}`", row.name)).collect();
            let tower = TOWERS.iter().find(|(tower, _)| *tower == name);
            let hint = tower.map_or_else(String::new, |(_, whole)| {
                format!("; this is a tower of `{whole}` alone, which is read whole")
            });
            config.unsupported("model_type", &format!("one of {}{hint}", names.join(", ")))
        })
    }

    /// The head of this name, else the default.
    pub(crate) fn head(&self, name: Option<&str>) -> Result<&'static Head, ModelError> {
        let found = match name {
            Some(name) => self.heads.iter().find(|head| head.name == name),
            None => self.heads.first(),
        };
        found.ok_or_else(|| ModelError::UnknownHead {
            architecture: self.name.to_owned(),
            head: name.unwrap_or_default().to_owned(),
            expected: self.heads.iter().map(|head| head.name.to_owned()).collect(),
        })
    }

    /// Whether a tensor of this name is part of the backbone.
    pub(crate) fn has(&self, name: &str) -> bool {
        (!self.prefix.is_empty() && name.starts_with(self.prefix))
            || self.parts.iter().chain(self.optional).any(|part| name.starts_with(part))
    }

    /// Checks that the model can read what an arm shows.
    pub(crate) fn check_arm(&self, arm: Arm) -> Result<(), ModelError> {
        if self.arms.contains(&arm) {
            return Ok(());
        }
        let arms: Vec<String> = self.arms.iter().map(|arm| format!("`{arm}`")).collect();
        // A tower alone has fewer arms than the whole, whose name it shares.
        let is_alone = clip::alone::TOWERS.iter().any(|row| row.1.class == self.class);
        let name = if is_alone { self.class } else { self.name };
        let (architecture, expected) = (name.to_owned(), arms.join(", "));
        Err(ModelError::Arm { architecture, arm, expected })
    }
}
