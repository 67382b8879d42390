//! `pytorch_model.bin`: a zip archive that holds a pickle, which describes the tensors, and their
//! numbers in files of their own, uncompressed. Tensors are read from where they lie, one by one.
//!
//! What the pickle says of a tensor is held to the size of its file before anything is allocated.

mod archive;
mod stored;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use candle_core::Tensor;

use self::archive::Archive;
use self::stored::Stored;
use super::pickle::{Node, Pickle};
use crate::ModelError;

/// The tensors of one file.
pub(super) struct StateDict {
    path: PathBuf,
    tensors: BTreeMap<String, Stored>,
}

impl StateDict {
    /// Opens a file and reads what it says about its tensors, which may lie under the key
    /// `state_dict`.
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        let tensors = tensors_of(path).map_err(|problem| damaged(path, &problem))?;
        Ok(Self { path: path.to_owned(), tensors })
    }

    /// Names and shapes, in order of bytes.
    pub(super) fn shapes(&self) -> impl Iterator<Item = (&String, &Vec<usize>)> {
        self.tensors.iter().map(|(name, stored)| (name, &stored.shape))
    }

    /// The tensor of this name, in the file's type.
    pub(super) fn read(&self, name: &str) -> Result<Option<Tensor>, ModelError> {
        let Some(stored) = self.tensors.get(name) else { return Ok(None) };
        let problem = |problem: String| damaged(&self.path, &format!("tensor `{name}`: {problem}"));
        let mut file = File::open(&self.path).map_err(|error| problem(error.to_string()))?;
        stored.read(&mut file).map(Some).map_err(problem)
    }
}

fn damaged(path: &Path, problem: &str) -> ModelError {
    let problem = format!("{problem}; take a new copy, or save it again as safetensors");
    ModelError::Weights { path: path.to_owned(), problem }
}

fn tensors_of(path: &Path) -> Result<BTreeMap<String, Stored>, String> {
    let mut archive = Archive::open(path)?;
    let bytes = archive.pickle()?;
    let pickle = Pickle::read(&bytes)?;
    let Node::Dict(items) = pickle.root() else {
        return Err("it holds no dict of tensors".to_owned());
    };
    let mut tensors = of_dict(&pickle, items, &mut archive)?;
    if tensors.is_empty() {
        let nested = items.iter().find(|(key, _)| pickle.node(*key) == &Node::Text("state_dict"));
        if let Some(Node::Dict(items)) = nested.map(|(_, value)| pickle.node(*value)) {
            tensors = of_dict(&pickle, items, &mut archive)?;
        }
    }
    if tensors.is_empty() {
        return Err("it holds no tensors".to_owned());
    }
    Ok(tensors)
}

/// The tensors among a dict's values; what else it holds, such as a number of steps, is none.
fn of_dict(
    pickle: &Pickle<'_>,
    items: &[(usize, usize)],
    archive: &mut Archive,
) -> Result<BTreeMap<String, Stored>, String> {
    let mut tensors = BTreeMap::new();
    for &(key, value) in items {
        let &Node::Text(name) = pickle.node(key) else { continue };
        let stored = Stored::of(pickle, value, archive);
        if let Some(stored) = stored.map_err(|problem| format!("tensor `{name}`: {problem}"))? {
            tensors.insert(name.to_owned(), stored);
        }
    }
    Ok(tensors)
}
