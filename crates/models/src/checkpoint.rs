//! Folders in Hugging Face layout: in and out.

mod adapter;
mod head;
mod pickle;
mod save;
mod source;
mod state_dict;
mod tensor_file;
mod weights;

use std::cell::Cell;
use std::fmt;
use std::path::Path;

use candle_core::Device;
use mmc_data::Arm;
use mmc_ops::OpsError;

use crate::architecture::{Architecture, Build, HEAD};
use crate::config::ConfigFile;
use crate::parameters::{Initialiser, Parameters};
use crate::{Classifier, ModelError, Trained, preset};

pub use self::adapter::save_adapter;
pub(crate) use self::head::check_labels;
use self::head::{Wanted, head_for};
pub use self::save::save;
pub(crate) use self::save::{
    CARRIED, Notes, describe, write_file, write_folder, write_json, write_parameters,
};
pub(crate) use self::source::Source;
use self::source::{CheckpointTensors, model_names};
use self::weights::WeightFiles;
pub(crate) use self::weights::{WEIGHTS, part_names};

/// What to load, and how.
#[derive(Clone, Copy, Debug)]
pub struct LoadRequest<'a> {
    /// The checkpoint.
    pub folder: &'a Path,
    /// The classes, in the order that the logits shall have; empty: the checkpoint's own.
    pub labels: &'a [String],
    /// What the model shall read. `None`: what its `mmc.json` says, else all that it can.
    pub arm: Option<Arm>,
    /// The kind of head, one of [`Preset::heads`](crate::Preset::heads). `None`: what its
    /// `mmc.json` says, else the architecture's default.
    pub head: Option<&'a str>,
    /// Whether a head may be made where the checkpoint has none that fits.
    pub fresh_head: FreshHead,
    /// Every dropout of the model; `None`: what its `config.json` says.
    pub dropout: Option<f64>,
    /// Where the parameters shall lie.
    pub device: &'a Device,
}

/// What the model of a folder can read, the default first: of a tower of CLIP that was saved alone,
/// its own arm.
///
/// # Errors
/// [`ModelError`] where `config.json` is absent, malformed or of another architecture.
pub fn arms_of(folder: &Path) -> Result<&'static [Arm], ModelError> {
    Ok(Architecture::of(&ConfigFile::read(folder)?)?.arms)
}

/// The classes that a folder's `config.json` names; `None` where it names none, or only numbers them
/// (`LABEL_0`, …).
///
/// # Errors
/// A `config.json` that cannot be read.
pub fn named_classes(folder: &Path) -> Result<Option<Vec<String>>, ModelError> {
    let named = ConfigFile::read(folder)?.classes()?;
    let is_number = |name: &String| {
        name.strip_prefix("LABEL_").is_some_and(|number| number.parse::<usize>().is_ok())
    };
    Ok(named.filter(|names| names.len() > 1 && !names.iter().all(is_number)))
}

/// Whether a head may be made where the checkpoint has none that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreshHead {
    /// Yes, from this seed.
    Allowed {
        /// The run's seed.
        seed: u64,
    },
    /// No: that is an error.
    Refused,
}

/// A model that was read from a folder.
pub struct Loaded {
    /// The model.
    pub model: Box<dyn Classifier>,
    /// What became of the checkpoint's tensors.
    pub report: LoadReport,
    /// The preset that `mmc.json` names, else the architecture's first.
    pub preset: String,
    /// The classes, in the order of the logits.
    pub labels: Vec<String>,
}

/// What became of each tensor of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Parameters taken from the checkpoint.
    pub taken: Vec<String>,
    /// Parameters that it lacks and that were made.
    pub fresh: Vec<String>,
    /// Tensors that a classifier has no use for: heads of language models, buffers, and a head
    /// that does not fit.
    pub dropped: Vec<String>,
    /// Tensors that nothing is known about.
    pub left_over: Vec<String>,
    /// The kind of head.
    pub head_kind: String,
    /// Where the head comes from.
    pub head: HeadOrigin,
}

/// Where a model's head comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HeadOrigin {
    /// From the checkpoint, classes matched by name.
    #[default]
    ByName,
    /// From the checkpoint, whose classes have no names: matched by index.
    ByIndex,
    /// It was made.
    Fresh {
        /// Why the checkpoint's own does not do.
        why: String,
    },
}

impl fmt::Display for LoadReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} tensors taken from the checkpoint", self.taken.len())?;
        for (names, what) in [
            (&self.fresh, "freshly initialised"),
            (&self.dropped, "dropped"),
            (&self.left_over, "left over"),
        ] {
            if !names.is_empty() {
                write!(formatter, "; {} {what} (`{}`", names.len(), names[0])?;
                write!(formatter, "{})", if names.len() > 1 { ", …" } else { "" })?;
            }
        }
        write!(formatter, "; head `{}`: ", self.head_kind)?;
        match &self.head {
            HeadOrigin::ByName => write!(formatter, "classes matched by name"),
            HeadOrigin::ByIndex => write!(formatter, "classes matched by index"),
            HeadOrigin::Fresh { why } => {
                write!(
                    formatter,
                    "the head is new, since the checkpoint has none that fits ({why})"
                )
            }
        }
    }
}

/// Reads a model from a folder in Hugging Face layout: `config.json`, and `model.safetensors`, its
/// parts, or `pytorch_model.bin`.
///
/// # Errors
/// Files that are absent, malformed or do not belong together, an arm that the model does not
/// have, classes that its head does not have where none may be made: each with file and tensor.
pub fn load(request: &LoadRequest<'_>) -> Result<Loaded, ModelError> {
    load_to_train(request, Trained::Everything)
}

/// [`load`], of which only a part shall train.
///
/// # Errors
/// As [`load`]; [`ModelError::LoraRank`] for a rank that is 0 or more than the maps' width.
pub fn load_to_train(request: &LoadRequest<'_>, trained: Trained) -> Result<Loaded, ModelError> {
    if let Some(dropout) = request.dropout.filter(|dropout| !(0.0..1.0).contains(dropout)) {
        return Err(ModelError::Ops(OpsError::Setting {
            setting: "dropout",
            value: dropout.to_string(),
            expected: "0 or more and less than 1".to_owned(),
        }));
    }
    let config = ConfigFile::read(request.folder)?;
    let architecture = Architecture::of(&config)?;
    let notes = Notes::read(request.folder)?;
    let noted = notes.as_ref().map(|notes| notes.arm);
    let arm = request.arm.or(noted).or(architecture.arms.first().copied()).unwrap_or_default();
    architecture.check_arm(arm)?;
    let kind = request.head.or(notes.as_ref().map(|notes| notes.head.as_str()));
    let kind = architecture.head(kind)?;
    let weights = WeightFiles::open(request.folder)?;
    let mut report = LoadReport { head_kind: kind.name.to_owned(), ..LoadReport::default() };
    let names = model_names(&weights, architecture, &mut report);
    if !names.keys().any(|name| architecture.has(name)) {
        return Err(ModelError::Weights {
            path: weights.path().to_owned(),
            problem: format!(
                "no tensor is of a `{}` model, which `config.json` promises; the two files do not \
                 belong together",
                architecture.name
            ),
        });
    }
    let wanted = Wanted { kind, arm, width: (architecture.width)(&config)? };
    let head = head_for(request, &config, &wanted, &weights)?;
    report.head = head.origin;
    let initialiser = match request.fresh_head {
        FreshHead::Allowed { seed } => {
            let range = config.number("initializer_range", 0.02)?;
            Some(Initialiser { seed, range, truncated: false })
        }
        FreshHead::Refused => None,
    };
    let source = CheckpointTensors {
        weights: &weights,
        architecture,
        names,
        head: head.plan,
        output: kind.output,
        initialiser,
        asked: Cell::new(0),
    };
    let mut parameters = Parameters {
        source: Source::Checkpoint(source),
        off_path: (architecture.off_path)(arm),
        trained,
        stacks: (architecture.stacks)(&config)?,
        device: request.device,
        list: Vec::new(),
        report,
    };
    let (dropout, classes) = (request.dropout, head.labels.len());
    let build = Build { config: &config, dropout, arm, head: kind.name, classes };
    let model = (architecture.build)(&build, &mut parameters)?;
    let report = account(parameters, &weights)?;
    tracing::debug!(folder = %request.folder.display(), %report, "loaded");
    Ok(Loaded { model, report, preset: preset_of(notes, architecture), labels: head.labels })
}

/// What is left of the checkpoint when the model has taken its part. A head that was not taken is
/// dropped; a part of the backbone that was not is an error.
fn account(parameters: Parameters<'_>, weights: &WeightFiles) -> Result<LoadReport, ModelError> {
    let Parameters { source, mut report, .. } = parameters;
    let Source::Checkpoint(CheckpointTensors { names, .. }) = source else { return Ok(report) };
    let taken: std::collections::BTreeSet<&String> = report.taken.iter().collect();
    let left = names.into_iter().filter(|(name, _)| !taken.contains(name));
    let (heads, backbone): (Vec<_>, Vec<_>) = left.partition(|(name, _)| name.starts_with(HEAD));
    if !backbone.is_empty() {
        let names = backbone.into_iter().map(|(_, raw)| raw).collect();
        return Err(ModelError::LeftOver { path: weights.path().to_owned(), names });
    }
    report.dropped.extend(heads.into_iter().map(|(_, raw)| raw));
    Ok(report)
}

fn preset_of(notes: Option<Notes>, architecture: &Architecture) -> String {
    match notes {
        Some(notes) if preset(&notes.preset).is_ok() => notes.preset,
        _ => architecture.name.to_owned(),
    }
}
