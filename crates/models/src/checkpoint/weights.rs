//! The files of weights of a folder, in either format, read tensor by tensor.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use serde_json::Value;

use super::state_dict::StateDict;
use super::tensor_file::TensorFile;
use crate::ModelError;
use crate::config::read_object;

/// The weights of a folder: shapes by name, tensors on demand.
pub(crate) struct WeightFiles {
    /// The file to name in errors: the weights, or the index of their parts.
    path: PathBuf,
    shapes: BTreeMap<String, Vec<usize>>,
    /// Of all files together.
    bytes: u64,
    format: Format,
}

/// The files, and which of them holds a tensor.
enum Format {
    Safetensors(BTreeMap<String, usize>, Vec<TensorFile>),
    Pickle(BTreeMap<String, usize>, Vec<StateDict>),
}

/// What a folder may hold, in the order of preference.
pub(crate) const WHOLE: &str = "model.safetensors";
const PARTS: &str = "model.safetensors.index.json";
const OLD_WHOLE: &str = "pytorch_model.bin";
const OLD_PARTS: &str = "pytorch_model.bin.index.json";

/// All of them.
pub(crate) const WEIGHTS: [&str; 4] = [WHOLE, PARTS, OLD_WHOLE, OLD_PARTS];

/// A head that transformers has no class for, beside the backbone.
pub(crate) const HEAD_FILE: &str = "mmc_head.safetensors";

impl WeightFiles {
    /// Opens `model.safetensors`, its parts, `pytorch_model.bin` or its parts, the first that is
    /// there; with the first two also `mmc_head.safetensors`, if there is one.
    pub(crate) fn open(folder: &Path) -> Result<Self, ModelError> {
        for name in WEIGHTS {
            let path = folder.join(name);
            if !path.is_file() {
                continue;
            }
            let in_parts = name == PARTS || name == OLD_PARTS;
            let files = if in_parts { parts(folder, &path)? } else { vec![path.clone()] };
            return if name == WHOLE || name == PARTS {
                let head = Some(folder.join(HEAD_FILE)).filter(|head| head.is_file());
                let files: Vec<_> = files.into_iter().chain(head).collect();
                Self::safetensors(path, &files)
            } else {
                Self::pickles(path, &files)
            };
        }
        let file = format!("`{WHOLE}`, `{PARTS}`, `{OLD_WHOLE}` or `{OLD_PARTS}`");
        Err(ModelError::NoFile { folder: folder.to_owned(), file })
    }

    fn safetensors(path: PathBuf, files: &[PathBuf]) -> Result<Self, ModelError> {
        let (mut shapes, mut places, mut opened) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for file in files {
            let file = TensorFile::open(file)?;
            for (name, shape) in file.shapes() {
                if let Some(_other) = shapes.insert(name.clone(), shape) {
                    return Err(twice(&path, &name));
                }
                places.insert(name, opened.len());
            }
            opened.push(file);
        }
        let bytes = opened.iter().map(TensorFile::bytes).sum();
        Ok(Self { path, shapes, bytes, format: Format::Safetensors(places, opened) })
    }

    fn pickles(path: PathBuf, files: &[PathBuf]) -> Result<Self, ModelError> {
        let (mut shapes, mut places, mut pickles) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for file in files {
            let pickle = StateDict::open(file)?;
            for (name, shape) in pickle.shapes() {
                if let Some(_other) = shapes.insert(name.clone(), shape.clone()) {
                    return Err(twice(&path, name));
                }
                places.insert(name.clone(), pickles.len());
            }
            pickles.push(pickle);
        }
        let bytes = size_of(files)?;
        Ok(Self { path, shapes, bytes, format: Format::Pickle(places, pickles) })
    }

    /// The bytes of all files together.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The file to name in errors.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// All names, in order of bytes.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.shapes.keys()
    }

    /// The shape of a tensor.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.shapes.get(name).map(Vec::as_slice)
    }

    /// The tensor of this name, in the file's type.
    pub(crate) fn read(&self, name: &str) -> Result<Tensor, ModelError> {
        let tensor = match &self.format {
            Format::Safetensors(places, files) => {
                match places.get(name).and_then(|&place| files.get(place)) {
                    Some(file) => file.read(name)?,
                    None => None,
                }
            }
            Format::Pickle(places, pickles) => {
                match places.get(name).and_then(|&place| pickles.get(place)) {
                    Some(pickle) => pickle.read(name)?,
                    None => None,
                }
            }
        };
        tensor.ok_or_else(|| ModelError::MissingTensor {
            path: self.path.clone(),
            name: name.to_owned(),
        })
    }
}

fn size_of(files: &[PathBuf]) -> Result<u64, ModelError> {
    files.iter().try_fold(0, |sum, file| match fs::metadata(file) {
        Ok(data) => Ok(data.len() + sum),
        Err(source) => Err(ModelError::Read { path: file.clone(), source }),
    })
}

fn twice(path: &Path, name: &str) -> ModelError {
    ModelError::Weights {
        path: path.to_owned(),
        problem: format!(
            "tensor `{name}` is in two of its files; remove files that do not belong to the \
             checkpoint, or take a new copy"
        ),
    }
}

/// Files that an index names, each once, in order of bytes.
fn parts(folder: &Path, index: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let mut files = Vec::new();
    for file in part_names(index)? {
        let path = folder.join(&file);
        if !path.is_file() {
            let (folder, file) = (folder.to_owned(), format!("`{file}`"));
            return Err(ModelError::NoFile { folder, file });
        }
        files.push(path);
    }
    Ok(files)
}

/// The names of files in an index, each once, in order of bytes.
pub(crate) fn part_names(index: &Path) -> Result<Vec<String>, ModelError> {
    let problem = |problem: &str| ModelError::Weights {
        path: index.to_owned(),
        problem: format!("{problem}; take a new copy of the checkpoint"),
    };
    let object = read_object(index)?.unwrap_or_default();
    let map = object.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| problem("there is no object `weight_map`"))?;
    let mut files = Vec::new();
    for file in map.values() {
        let file = file.as_str().ok_or_else(|| problem("`weight_map` holds more than names"))?;
        if Path::new(file).file_name().and_then(|name| name.to_str()) != Some(file) {
            return Err(problem(&format!("`{file}` is no file beside it")));
        }
        files.push(file.to_owned());
    }
    files.sort();
    files.dedup();
    Ok(files)
}
