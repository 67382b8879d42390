//! The files of weights of a folder, in either format, read tensor by tensor.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::pickle::PthTensors;
use candle_core::safetensors::MmapedSafetensors;
use candle_core::{Device, Tensor};
use serde_json::Value;

use crate::ModelError;
use crate::config::read_object;

/// The weights of a folder: shapes by name, tensors on demand.
pub(crate) struct WeightFiles {
    /// The file to name in errors: the weights, or the index of their parts.
    path: PathBuf,
    shapes: BTreeMap<String, Vec<usize>>,
    format: Format,
}

enum Format {
    Safetensors(MmapedSafetensors),
    Pickle(BTreeMap<String, usize>, Vec<PthTensors>),
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
        // SAFETY: the map is read while it lives and never written. Another process that cuts the
        // file short meanwhile would fault this one: checkpoints are replaced by renaming, never
        // in place, and the map is dropped when loading ends.
        #[allow(unsafe_code, reason = "memory mapping, the one use in this crate")]
        let mapped = unsafe { MmapedSafetensors::multi(files) };
        let mapped = mapped.map_err(|error| damaged(&path, &error))?;
        let shapes = mapped
            .tensors()
            .into_iter()
            .map(|(name, view)| (name, view.shape().to_vec()))
            .collect();
        Ok(Self { path, shapes, format: Format::Safetensors(mapped) })
    }

    fn pickles(path: PathBuf, files: &[PathBuf]) -> Result<Self, ModelError> {
        let (mut shapes, mut places, mut pickles) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for file in files {
            let pickle = open_pickle(file)?;
            for (name, info) in tensors_of(&pickle) {
                shapes.insert(name.clone(), info);
                places.insert(name, pickles.len());
            }
            pickles.push(pickle);
        }
        Ok(Self { path, shapes, format: Format::Pickle(places, pickles) })
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
            Format::Safetensors(mapped) => mapped.load(name, &Device::Cpu).map(Some),
            Format::Pickle(places, pickles) => {
                match places.get(name).and_then(|&place| pickles.get(place)) {
                    Some(pickle) => pickle.get(name),
                    None => Ok(None),
                }
            }
        };
        let missing =
            || ModelError::MissingTensor { path: self.path.clone(), name: name.to_owned() };
        tensor.map_err(|error| damaged(&self.path, &error))?.ok_or_else(missing)
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

/// A pickle, whose tensors may lie under the key `state_dict`.
fn open_pickle(path: &Path) -> Result<PthTensors, ModelError> {
    let unreadable = |problem: String| ModelError::Weights {
        path: path.to_owned(),
        problem: format!(
            "{problem}; files from before PyTorch 1.6 have to be saved again as safetensors, \
             others are damaged"
        ),
    };
    let plain = PthTensors::new(path, None).map_err(|error| unreadable(first_line(&error)))?;
    if !plain.tensor_infos().is_empty() {
        return Ok(plain);
    }
    match PthTensors::new(path, Some("state_dict")) {
        Ok(nested) if !nested.tensor_infos().is_empty() => Ok(nested),
        _ => Err(unreadable("it holds no tensors".to_owned())),
    }
}

fn tensors_of(pickle: &PthTensors) -> BTreeMap<String, Vec<usize>> {
    #[allow(clippy::iter_over_hash_type, reason = "collected into a map that is in order")]
    let shapes = pickle
        .tensor_infos()
        .iter()
        .map(|(name, info)| (name.clone(), info.layout.dims().to_vec()));
    shapes.collect()
}

fn damaged(path: &Path, error: &candle_core::Error) -> ModelError {
    let problem = format!("it cannot be read ({}); take a new copy", first_line(error));
    ModelError::Weights { path: path.to_owned(), problem }
}

/// An error without the stack trace that candle may put behind it.
fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
