//! Folders in Hugging Face layout: in and out.

use std::path::{Path, PathBuf};

use candle_core::Device;
use mmc_data::Arm;

use crate::{Classifier, ModelError, Preset};

/// What to load, and how.
#[derive(Clone, Copy, Debug)]
pub struct LoadRequest<'a> {
    /// The checkpoint.
    pub folder: &'a Path,
    /// The classes, in the order that the logits shall have; empty: the checkpoint's own.
    pub labels: &'a [String],
    /// What the model shall read. `None`: what its `mmc.json` says, else all that it can.
    pub arm: Option<Arm>,
    /// Whether a head may be made where the checkpoint has none that fits.
    pub fresh_head: FreshHead,
    /// Every dropout of the model; `None`: what its `config.json` says.
    pub dropout: Option<f64>,
    /// Where the parameters shall lie.
    pub device: &'a Device,
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
    /// Tensors that are known to be of no use to a classifier, such as language-model heads.
    pub dropped: Vec<String>,
    /// Tensors that nothing is known about.
    pub left_over: Vec<String>,
}

/// Where a model's parameters come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointSource {
    /// A folder in Hugging Face layout.
    Folder(PathBuf),
    /// They are made: see [`create`].
    FromScratch,
}

/// Reads a model from a folder.
///
/// # Errors
/// Files that are absent, malformed or do not belong together, with their names.
pub fn load(request: &LoadRequest<'_>) -> Result<Loaded, ModelError> {
    Err(ModelError::NoFile { folder: request.folder.to_owned(), file: "`config.json`".to_owned() })
}

/// Writes a model as a folder in Hugging Face layout.
///
/// # Errors
/// Where a file cannot be read or written.
pub fn save(
    model: &dyn Classifier,
    source: &Path,
    labels: &[String],
    preset: &str,
    destination: &Path,
) -> Result<(), ModelError> {
    let _ = (model, labels, preset, destination);
    Err(ModelError::NoFile { folder: source.to_owned(), file: "`config.json`".to_owned() })
}

/// Makes a tiny model from scratch and writes it as a folder.
///
/// # Errors
/// A preset that is not tiny; a folder that cannot be written.
pub fn create(
    preset: &Preset,
    texts: &[&str],
    labels: &[String],
    seed: u64,
    destination: &Path,
) -> Result<(), ModelError> {
    let _ = (texts, labels, seed, destination);
    Err(ModelError::NotTiny { preset: preset.name.to_owned(), remedy: String::new() })
}

/// Finds the weights of a preset.
///
/// # Errors
/// [`ModelError::NotFound`] with the places that were searched and how to get the weights.
pub fn locate(preset: &Preset, given: Option<&str>) -> Result<CheckpointSource, ModelError> {
    let _ = given;
    Err(ModelError::NotTiny { preset: preset.name.to_owned(), remedy: String::new() })
}
