//! A model as a folder that transformers reads.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use mmc_data::Arm;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::weights::{HEAD_FILE, WHOLE};
use crate::architecture::{Architecture, HEAD};
use crate::config::{ConfigFile, read_object};
use crate::lora::is_factor;
use crate::{Classifier, ModelError, Parameter};

/// Files of a checkpoint's tokenizer and processor, carried over as they are.
pub(crate) const CARRIED: &[&str] = &[
    "added_tokens.json",
    "merges.txt",
    "preprocessor_config.json",
    "processor_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
];

/// What `mmc.json` says about a checkpoint beside what transformers' files say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notes {
    pub(crate) preset: String,
    pub(crate) arm: Arm,
    pub(crate) head: String,
    pub(crate) classes: Vec<String>,
}

impl Notes {
    /// The notes of a folder, if it has any.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, ModelError> {
        let path = folder.join("mmc.json");
        let Some(object) = read_object(&path)? else { return Ok(None) };
        let notes = serde_json::from_value(Value::Object(object));
        notes.map(Some).map_err(|error| ModelError::Json {
            path,
            line: 1,
            problem: error.to_string(),
        })
    }
}

/// Writes a model as a folder in Hugging Face layout: `config.json`, `model.safetensors` (f32), the
/// tokenizer's and processor's files of `source`, and `mmc.json`. The head of an architecture that
/// transformers knows without one is in `mmc_head.safetensors`.
///
/// The folder is written aside and then put in the place of `destination`, so that it is whole or
/// not there.
///
/// # Errors
/// [`ModelError::Classes`] where `labels` are not one a class of the model; files that cannot be
/// read or written.
pub fn save(
    model: &dyn Classifier,
    source: &Path,
    labels: &[String],
    preset: &str,
    destination: &Path,
) -> Result<(), ModelError> {
    if labels.len() != model.classes() {
        let problem = format!("the model has {} classes", model.classes());
        return Err(ModelError::Classes { classes: labels.to_vec(), problem });
    }
    let config = ConfigFile::read(source)?;
    let architecture = Architecture::of(&config)?;
    let mut object = config.object().clone();
    describe(&mut object, architecture, labels);
    let notes = Notes {
        preset: preset.to_owned(),
        arm: model.arm(),
        head: model.head().to_owned(),
        classes: labels.to_vec(),
    };
    write_folder(destination, |folder| {
        for name in CARRIED {
            let path = source.join(name);
            match fs::read(&path) {
                Ok(bytes) => write_file(&folder.join(name), &bytes)?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(ModelError::Read { path, source }),
            }
        }
        write_json(&folder.join("config.json"), &object)?;
        write_json(&folder.join("mmc.json"), &notes)?;
        write_parameters(folder, architecture, model.parameters())
    })
}

/// Puts class names, architecture and type of the weights into a configuration; all else stays.
pub(crate) fn describe(
    config: &mut Map<String, Value>,
    architecture: &Architecture,
    labels: &[String],
) {
    let names = labels.iter().enumerate();
    let id2label: Map<String, Value> =
        names.clone().map(|(id, label)| (id.to_string(), json!(label))).collect();
    let label2id: Map<String, Value> =
        names.map(|(id, label)| (label.clone(), json!(id))).collect();
    config.insert("architectures".to_owned(), json!([architecture.class]));
    config.insert("id2label".to_owned(), Value::Object(id2label));
    config.insert("label2id".to_owned(), Value::Object(label2id));
    // Both would contradict what is written here.
    config.shift_remove("num_labels");
    config.shift_remove("_num_labels");
    // Version 5 of transformers writes `dtype`, version 4 `torch_dtype`.
    let old = config.contains_key("torch_dtype") && !config.contains_key("dtype");
    config.insert(if old { "torch_dtype" } else { "dtype" }.to_owned(), json!("float32"));
    if !old && config.contains_key("torch_dtype") {
        config.insert("torch_dtype".to_owned(), json!("float32"));
    }
}

/// Writes a folder aside, then puts it in the place of `destination`.
pub(crate) fn write_folder(
    destination: &Path,
    fill: impl FnOnce(&Path) -> Result<(), ModelError>,
) -> Result<(), ModelError> {
    let error = |path: &Path| write_error(path);
    let name = destination.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.ok_or_else(|| ModelError::Write {
        path: destination.to_owned(),
        source: std::io::ErrorKind::InvalidInput.into(),
    })?;
    let beside =
        |kind: &str| destination.with_file_name(format!(".{name}.{}.{kind}", std::process::id()));
    let (partial, replaced) = (beside("partial"), beside("replaced"));
    if let Some(parent) = destination.parent() {
        fs::create_dir_all(parent).map_err(error(parent))?;
    }
    let aside = Aside { path: partial };
    remove(&aside.path)?;
    fs::create_dir(&aside.path).map_err(error(&aside.path))?;
    fill(&aside.path)?;
    sync_folder(&aside.path)?;
    if destination.exists() {
        remove(&replaced)?;
        fs::rename(destination, &replaced).map_err(error(destination))?;
    }
    fs::rename(&aside.path, destination).map_err(error(destination))?;
    if let Some(parent) = destination.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        sync_folder(parent)?;
    }
    remove(&replaced)
}

/// A folder that is removed if it is still there when this is dropped.
struct Aside {
    path: PathBuf,
}

impl Drop for Aside {
    fn drop(&mut self) {
        // After the renaming there is nothing to remove; after an error, the error matters more.
        drop(fs::remove_dir_all(&self.path));
    }
}

fn remove(folder: &Path) -> Result<(), ModelError> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(ModelError::Write { path: folder.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Makes the names in a folder durable, where the system can.
fn sync_folder(folder: &Path) -> Result<(), ModelError> {
    if cfg!(unix) {
        let sync = fs::File::open(folder).and_then(|folder| folder.sync_all());
        sync.map_err(write_error(folder))?;
    }
    Ok(())
}

fn write_error(path: &Path) -> impl FnOnce(std::io::Error) -> ModelError + use<> {
    let path = path.to_owned();
    move |source| ModelError::Write { path, source }
}

/// Writes a file and makes it durable.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    let write = || {
        let mut file = fs::File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(write_error(path))
}

/// Writes a value as JSON, two spaces a level, with a line end.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ModelError> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| write_error(path)(std::io::Error::other(error)))?;
    bytes.push(b'\n');
    write_file(path, &bytes)
}

/// Writes the backbone, LoRA's changes merged into it, and, in a file of its own where transformers
/// has no class for it, the head.
pub(crate) fn write_parameters(
    folder: &Path,
    architecture: &Architecture,
    parameters: &[Parameter],
) -> Result<(), ModelError> {
    let mut weights = Vec::new();
    for parameter in parameters.iter().filter(|parameter| !is_factor(&parameter.name)) {
        let weight = parameter.var.as_detached_tensor();
        let weight = match &parameter.low_rank {
            Some(low_rank) => low_rank.merged(&weight)?,
            None => weight,
        };
        weights.push((parameter.name.clone(), weight));
    }
    let (head, backbone): (Vec<_>, Vec<_>) = weights
        .into_iter()
        .partition(|(name, _)| architecture.head_apart && name.starts_with(HEAD));
    write_weights(&folder.join(WHOLE), &backbone)?;
    if head.is_empty() { Ok(()) } else { write_weights(&folder.join(HEAD_FILE), &head) }
}

/// Writes tensors as safetensors, f32, with the metadata that transformers asks for.
pub(super) fn write_weights(path: &Path, weights: &[(String, Tensor)]) -> Result<(), ModelError> {
    let error = |error: safetensors::SafeTensorError| {
        write_error(path)(std::io::Error::other(error.to_string()))
    };
    // One after the other they become bytes: a second set of all would be what a run's memory peaks
    // at.
    let mut views = Vec::with_capacity(weights.len());
    for (name, weight) in weights {
        views.push((name.as_str(), weight.to_device(&Device::Cpu)?.to_dtype(DType::F32)?));
    }
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    // The library puts one in its place that only its owner can read.
    let as_others = fs::File::create(path).and_then(|file| file.metadata());
    let permissions = as_others.map_err(write_error(path))?.permissions();
    safetensors::serialize_to_file(views, Some(metadata), path).map_err(error)?;
    fs::set_permissions(path, permissions).map_err(write_error(path))?;
    let sync = fs::File::open(path).and_then(|file| file.sync_all());
    sync.map_err(write_error(path))
}
