//! Which of a repository's files make a checkpoint.

use std::ffi::OsStr;
use std::path::Path;

use super::Repository;
use crate::checkpoint::{CARRIED, WEIGHTS};
use crate::{HubError, ModelError};

/// What says which model it is.
pub(super) const CONFIG: &str = "config.json";

/// What a head of ours is kept in, beside the files of transformers.
const OURS: &[&str] = &["mmc.json", "mmc_head.safetensors"];

/// The files to fetch, `config.json` aside.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Needed {
    pub(super) weights: Weights,
    /// Tokenizer and processor.
    pub(super) beside: Vec<String>,
}

/// How the weights are stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Weights {
    Whole(&'static str),
    /// The index that names the parts.
    Parts(&'static str),
}

impl Needed {
    /// Chooses among all that a repository holds.
    pub(super) fn among(files: &[String], repository: &Repository) -> Result<Self, ModelError> {
        let has = |name: &&&'static str| files.iter().any(|file| file == **name);
        if !has(&&CONFIG) {
            let problem = format!("the repository has no `{CONFIG}`");
            return Err(no_checkpoint(repository, CONFIG, problem));
        }
        let Some(&weights) = WEIGHTS.iter().find(has) else {
            let known = WEIGHTS.map(|name| format!("`{name}`")).join(", ");
            let others: Vec<String> = files
                .iter()
                .filter(|file| !is_text(file))
                .map(|file| format!("`{file}`"))
                .take(8)
                .collect();
            let problem = format!("none of {known} is among {}", others.join(", "));
            return Err(no_checkpoint(repository, "weights", problem));
        };
        let weights = if weights.ends_with(".index.json") {
            Weights::Parts(weights)
        } else {
            Weights::Whole(weights)
        };
        let beside = CARRIED.iter().chain(OURS).filter(has);
        Ok(Self { weights, beside: beside.map(|&name| name.to_owned()).collect() })
    }
}

/// Whether a file holds no weights of whatever library.
fn is_text(file: &str) -> bool {
    let ending = Path::new(file).extension().and_then(OsStr::to_str);
    matches!(ending, None | Some("json" | "md" | "py" | "txt"))
}

/// The repository is something else, or holds another library's weights.
fn no_checkpoint(repository: &Repository, file: &str, problem: String) -> ModelError {
    let remedy = "choose a repository with a checkpoint of transformers for PyTorch".to_owned();
    HubError { file: Some(file.to_owned()), ..HubError::new(repository, problem, remedy) }.into()
}

/// The index names a part that the repository does not have.
pub(super) fn no_part(repository: &Repository, index: &str, part: &str) -> ModelError {
    let problem = format!("it names `{part}`, which the repository does not have");
    let remedy = "the repository is incomplete; choose another revision or repository".to_owned();
    HubError { file: Some(index.to_owned()), ..HubError::new(repository, problem, remedy) }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(files: &[&str]) -> Result<Needed, ModelError> {
        let files: Vec<String> = files.iter().map(|&file| file.to_owned()).collect();
        Needed::among(&files, &"a/b".parse().unwrap())
    }

    #[test]
    fn one_format_of_weights_is_taken_and_nothing_of_other_libraries() {
        let all = [
            "README.md",
            "config.json",
            "flax_model.msgpack",
            "model.onnx",
            "model.safetensors",
            "onnx/model.onnx",
            "pytorch_model.bin",
            "rust_model.ot",
            "tf_model.h5",
            "tokenizer.json",
            "vocab.txt",
        ];
        let needed = among(&all).unwrap();
        assert_eq!(needed.weights, Weights::Whole("model.safetensors"));
        assert_eq!(needed.beside, ["tokenizer.json", "vocab.txt"]);
        let parts = ["config.json", "model.safetensors.index.json", "pytorch_model.bin"];
        assert_eq!(among(&parts).unwrap().weights, Weights::Parts("model.safetensors.index.json"));
        let old = among(&["config.json", "pytorch_model.bin"]).unwrap();
        assert_eq!(old.weights, Weights::Whole("pytorch_model.bin"));
    }

    #[test]
    fn what_is_no_checkpoint_is_said() {
        let error = among(&["config.json", "tf_model.h5"]).unwrap_err().to_string();
        assert!(error.contains("`tf_model.h5`") && error.contains("`a/b`"), "{error}");
        let error = among(&["model.safetensors"]).unwrap_err().to_string();
        assert!(error.contains("no `config.json`"), "{error}");
    }
}
