//! Tensors of a checkpoint by the names that the model has for them.

use std::cell::Cell;
use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use super::weights::WeightFiles;
use crate::architecture::{Architecture, HEAD};
use crate::parameters::Initialiser;
use crate::{LoadReport, ModelError};

/// Where a model's parameters come from as it is built.
pub(crate) enum Source<'a> {
    /// All are made.
    Scratch(Initialiser),
    /// They are 0, in memory that the system gives when it is written to: an outline.
    Nothing,
    /// They are taken from a checkpoint by name.
    Checkpoint(CheckpointTensors<'a>),
}

/// The tensors of a checkpoint under the model's own names.
pub(crate) struct CheckpointTensors<'a> {
    pub(crate) weights: &'a WeightFiles,
    pub(crate) architecture: &'static Architecture,
    /// The model's name → the file's name.
    pub(crate) names: BTreeMap<String, String>,
    /// What the head is made of.
    pub(crate) head: HeadPlan,
    /// The head's layer whose rows are the classes.
    pub(crate) output: &'static str,
    /// For what the checkpoint lacks; `None`: nothing may be made.
    pub(crate) initialiser: Option<Initialiser>,
    /// Bytes of the parameters that were asked for.
    pub(crate) asked: Cell<u64>,
}

/// Parameters, in f32, may take this many times the bytes of the files of weights: numbers of one
/// byte become four.
const MOST_TIMES: u64 = 4;

/// And this much beside, for what is made: a head, a pooler.
const MOST_MADE: u64 = 64 << 20;

/// Where the head comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeadPlan {
    /// From the checkpoint; row i of the model's last layer is row `order[i]` of the file's.
    Taken { order: Vec<u32> },
    /// It is made.
    Fresh,
}

impl Source<'_> {
    /// The tensor of this name from the checkpoint; `None` where it is to be made.
    pub(crate) fn read(&self, name: &str, shape: &[usize]) -> Result<Option<Tensor>, ModelError> {
        match self {
            Self::Scratch(_) | Self::Nothing => Ok(None),
            Self::Checkpoint(tensors) => tensors.read(name, shape),
        }
    }

    /// How tensors that the checkpoint lacks are made.
    pub(crate) fn initialiser(&self, name: &str) -> Result<Initialiser, ModelError> {
        match self {
            Self::Scratch(initialiser) => Ok(*initialiser),
            Self::Nothing => Ok(Initialiser { seed: 0, range: 0.0, truncated: false }),
            Self::Checkpoint(tensors) => tensors.initialiser.ok_or_else(|| tensors.missing(name)),
        }
    }
}

impl CheckpointTensors<'_> {
    /// Counts a parameter before memory is taken for it: files may name the same numbers many
    /// times, and `config.json` may say any width for what is made.
    fn count(&self, name: &str, shape: &[usize]) -> Result<(), ModelError> {
        let numbers = shape.iter().try_fold(1u64, |count, &side| count.checked_mul(side as u64));
        let asked = numbers.and_then(|count| count.checked_mul(4)?.checked_add(self.asked.get()));
        let most = self.weights.bytes().saturating_mul(MOST_TIMES).saturating_add(MOST_MADE);
        let asked = asked.filter(|asked| *asked <= most).ok_or_else(|| ModelError::Weights {
            path: self.weights.path().to_owned(),
            problem: format!(
                "with `{name}` {shape:?} the model would take more than {most} bytes, far more \
                 than the files hold; take a new copy of them and of `config.json`"
            ),
        })?;
        self.asked.set(asked);
        Ok(())
    }

    fn read(&self, name: &str, shape: &[usize]) -> Result<Option<Tensor>, ModelError> {
        let order = match &self.head {
            HeadPlan::Fresh if name.starts_with(HEAD) => return self.made(name, shape),
            HeadPlan::Taken { order } if name.starts_with(self.output) => Some(order),
            _ => None,
        };
        let Some(raw) = self.names.get(name) else {
            let optional = self.architecture.optional.iter().any(|part| name.starts_with(part));
            return if optional { self.made(name, shape) } else { Err(self.missing(name)) };
        };
        let found = self.weights.shape(raw).unwrap_or_default();
        let grows = name == MODALITIES && grows_by_a_row(found, shape);
        if found != shape && !grows {
            return Err(ModelError::Shape {
                path: self.weights.path().to_owned(),
                name: raw.clone(),
                found: found.to_vec(),
                expected: shape.to_vec(),
            });
        }
        self.count(name, shape)?;
        let mut tensor = self.weights.read(raw)?;
        if grows {
            tracing::warn!("`{name}`: its row for the second picture begins as the first one's");
            tensor = Tensor::cat(&[&tensor, &tensor.narrow(0, 1, 1)?], 0)?;
        }
        Ok(Some(match order {
            Some(order) => tensor.index_select(&Tensor::new(order.as_slice(), &Device::Cpu)?, 0)?,
            None => tensor,
        }))
    }

    /// Leave to make a parameter.
    fn made(&self, name: &str, shape: &[usize]) -> Result<Option<Tensor>, ModelError> {
        self.count(name, shape)?;
        Ok(None)
    }

    fn missing(&self, name: &str) -> ModelError {
        ModelError::MissingTensor { path: self.weights.path().to_owned(), name: name.to_owned() }
    }
}

/// ViLT's table of modalities: text, picture, and the second picture of a pair.
const MODALITIES: &str = "vilt.embeddings.token_type_embeddings.weight";

/// Whether a table of text and picture is to be one of two pictures, which ViLT's authors begin
/// with a copy of the first one's row.
fn grows_by_a_row(found: &[usize], wanted: &[usize]) -> bool {
    matches!((found, wanted), (&[2, width], &[3, same]) if width == same)
}

/// Beginnings of names that a classifier has no use for: heads of language models and of
/// pretraining, and the pooler that RoBERTa's classifier does not read.
const DROPPED: &[&str] = &[
    "cls.predictions.",
    "cls.seq_relationship.",
    "lm_head.",
    "mlm_score.",
    "itm_score.",
    "rank_output.",
    "roberta.pooler.",
    "image_codebook.",
    "mim_head.",
    "mlm_head.",
    "itm_head.",
    "mmm_image_head.",
    "mmm_text_head.",
];

/// Ends of names of buffers that old files hold.
const BUFFERS: &[&str] = &["position_ids", "token_type_ids", "num_batches_tracked"];

/// The model's names of a file's tensors. What no part of a classifier has is put into the report.
pub(crate) fn model_names(
    weights: &WeightFiles,
    architecture: &Architecture,
    report: &mut LoadReport,
) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for raw in weights.names() {
        // Names of 2018: the scale and the shift of a norm.
        let name = raw
            .replace("LayerNorm.gamma", "LayerNorm.weight")
            .replace("LayerNorm.beta", "LayerNorm.bias");
        let name = name.strip_prefix(architecture.outer).unwrap_or(&name).to_owned();
        let name = if architecture.parts.iter().any(|part| name.starts_with(part)) {
            format!("{}{name}", architecture.prefix)
        } else {
            name
        };
        if DROPPED.iter().any(|part| name.starts_with(part))
            || BUFFERS.iter().any(|part| name.ends_with(part))
        {
            report.dropped.push(raw.clone());
            continue;
        }
        let known = architecture.has(&name) || name.starts_with(HEAD);
        if known && !names.contains_key(&name) {
            names.insert(name, raw.clone());
        } else {
            report.left_over.push(raw.clone());
        }
    }
    names
}
