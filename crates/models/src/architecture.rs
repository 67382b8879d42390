//! The table of architectures: what loading and saving need to know of each.

use mmc_data::Arm;

use crate::bert::{self, Bert, BertConfig};
use crate::config::ConfigFile;
use crate::parameters::Parameters;
use crate::vilt::{self, Vilt, ViltConfig};
use crate::{Classifier, ModelError};

/// How a model is built from its configuration.
pub(crate) struct Build<'a> {
    pub(crate) config: &'a ConfigFile,
    pub(crate) dropout: Option<f64>,
    pub(crate) arm: Arm,
    pub(crate) classes: usize,
}

/// A parameter's name and shape.
type NamedShape = (&'static str, Vec<usize>);

/// Builds a model from its parameters.
type Builder = fn(&Build<'_>, &mut Parameters<'_>) -> Result<Box<dyn Classifier>, ModelError>;

/// One row of [`ARCHITECTURES`].
pub(crate) struct Architecture {
    /// `model_type` in `config.json`.
    pub(crate) name: &'static str,
    /// Before every name of the backbone.
    pub(crate) prefix: &'static str,
    /// The first parts of the backbone's names where the prefix is left out.
    pub(crate) parts: &'static [&'static str],
    /// The class of transformers that has this head.
    pub(crate) class: &'static str,
    /// The kind of head, as `mmc.json` says it.
    pub(crate) head: &'static str,
    /// What the model can read, the default first.
    pub(crate) arms: &'static [Arm],
    /// The head's layer whose rows are the classes.
    pub(crate) output: &'static str,
    /// What checkpoints may lack: it is made.
    pub(crate) optional: &'static [&'static str],
    /// The shapes of the head, from the hidden width and the classes.
    pub(crate) head_shapes: fn(usize, usize) -> Vec<NamedShape>,
    pub(crate) off_path: fn(Arm) -> &'static [&'static str],
    pub(crate) build: Builder,
}

/// The prefix of every head's names.
pub(crate) const HEAD: &str = "classifier.";

pub(crate) const ARCHITECTURES: &[Architecture] = &[
    Architecture {
        name: "bert",
        prefix: "bert.",
        parts: &["embeddings.", "encoder.", "pooler."],
        class: "BertForSequenceClassification",
        head: "linear",
        arms: &[Arm::Text],
        output: "classifier.",
        optional: &["bert.pooler."],
        head_shapes: |hidden, classes| {
            vec![("classifier.weight", vec![classes, hidden]), ("classifier.bias", vec![classes])]
        },
        off_path: bert::off_path,
        build: |build, parameters| {
            let config = BertConfig::read(build.config, build.dropout)?;
            Ok(Box::new(Bert::new(config, build.classes, parameters)?))
        },
    },
    Architecture {
        name: "vilt",
        prefix: "vilt.",
        parts: &["embeddings.", "encoder.", "layernorm.", "pooler."],
        class: "ViltForQuestionAnswering",
        head: "mlp",
        arms: &[Arm::Both, Arm::Text, Arm::Image],
        output: "classifier.3.",
        optional: &[],
        head_shapes: |hidden, classes| {
            let inner = 2 * hidden;
            vec![
                ("classifier.0.weight", vec![inner, hidden]),
                ("classifier.0.bias", vec![inner]),
                ("classifier.1.weight", vec![inner]),
                ("classifier.1.bias", vec![inner]),
                ("classifier.3.weight", vec![classes, inner]),
                ("classifier.3.bias", vec![classes]),
            ]
        },
        off_path: vilt::off_path,
        build: |build, parameters| {
            let config = ViltConfig::read(build.config, build.dropout)?;
            Ok(Box::new(Vilt::new(config, build.arm, build.classes, parameters)?))
        },
    },
];

impl Architecture {
    /// The architecture that a configuration names.
    pub(crate) fn of(config: &ConfigFile) -> Result<&'static Self, ModelError> {
        let name = config.word("model_type")?.unwrap_or_default();
        ARCHITECTURES.iter().find(|row| row.name == name).ok_or_else(|| {
            let names: Vec<String> =
                ARCHITECTURES.iter().map(|row| format!("`{}`", row.name)).collect();
            config.unsupported("model_type", &format!("one of {}", names.join(", ")))
        })
    }

    /// Checks that the model can read what an arm shows.
    pub(crate) fn check_arm(&self, arm: Arm) -> Result<(), ModelError> {
        if self.arms.contains(&arm) {
            return Ok(());
        }
        let arms: Vec<String> = self.arms.iter().map(|arm| format!("`{arm}`")).collect();
        let (architecture, expected) = (self.name.to_owned(), arms.join(", "));
        Err(ModelError::Arm { architecture, arm, expected })
    }
}
