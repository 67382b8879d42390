//! What can go wrong with a model or its checkpoint.

use std::path::PathBuf;

use mmc_data::Arm;

use crate::hub::Repository;

/// An error of this crate: what happened, where, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file could not be read.
    #[error("{}: {source}; give a folder whose files can be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("{}: {source}; nothing was left half written", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A JSON file is malformed.
    #[error("{}:{line}: {problem}; repair the file or take a new copy", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A key of a JSON file has a value that is not supported.
    #[error("{}: `{key}` is `{value}`, expected {expected}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What would do.
        expected: String,
    },
    /// The folder lacks a file that is needed.
    #[error("{}: no {file}; give a checkpoint folder in Hugging Face layout", folder.display())]
    NoFile {
        /// The folder.
        folder: PathBuf,
        /// The file, or the files of which one is needed.
        file: String,
    },
    /// A file of weights is damaged or of a kind that cannot be read.
    #[error("{}: {problem}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A tensor of the backbone is absent.
    #[error(
        "{}: tensor `{name}` is missing; the file belongs to another architecture or is \
         incomplete, take a new copy", path.display()
    )]
    MissingTensor {
        /// The file of weights.
        path: PathBuf,
        /// The tensor's full name.
        name: String,
    },
    /// A tensor has another shape than `config.json` says.
    #[error(
        "{}: tensor `{name}` has shape {found:?}, expected {expected:?} by `config.json`; the two \
         files do not belong together", path.display()
    )]
    Shape {
        /// The file of weights.
        path: PathBuf,
        /// The tensor's name in it.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that fits.
        expected: Vec<usize>,
    },
    /// The weights hold parts of a backbone that `config.json` does not describe.
    #[error(
        "{}: tensors {} belong to no part of the architecture that `config.json` describes; the \
         two files do not belong together", path.display(), listed(names)
    )]
    LeftOver {
        /// The file of weights.
        path: PathBuf,
        /// The tensors.
        names: Vec<String>,
    },
    /// The checkpoint's architecture is not the preset's.
    #[error(
        "{}: the checkpoint is a `{found}`, `{preset}` is a `{expected}`; choose the model that \
         fits the checkpoint", folder.display()
    )]
    Architecture {
        /// The checkpoint's folder.
        folder: PathBuf,
        /// The preset asked for.
        preset: String,
        /// Its architecture.
        expected: String,
        /// The checkpoint's architecture.
        found: String,
    },
    /// The checkpoint has no head for the classes asked for.
    #[error(
        "{}: the checkpoint has no head for the classes {} ({problem}); train one, or give a \
         checkpoint that was trained on this data set", folder.display(), listed(classes)
    )]
    Head {
        /// The checkpoint's folder.
        folder: PathBuf,
        /// The classes asked for.
        classes: Vec<String>,
        /// What the checkpoint has instead.
        problem: String,
    },
    /// The classes of a model are not usable.
    #[error("the classes {} are not usable: {problem}", listed(classes))]
    Classes {
        /// The classes.
        classes: Vec<String>,
        /// What is wrong.
        problem: String,
    },
    /// A model cannot do with this arm.
    #[error("a `{architecture}` model has no arm `{arm}`, expected {expected}")]
    Arm {
        /// The architecture.
        architecture: String,
        /// The arm asked for.
        arm: Arm,
        /// The arms it has.
        expected: String,
    },
    /// An architecture has no head of this name.
    #[error("a `{architecture}` model has no head `{head}`, expected one of {}", listed(expected))]
    UnknownHead {
        /// The architecture.
        architecture: String,
        /// The head asked for.
        head: String,
        /// The heads it has.
        expected: Vec<String>,
    },
    /// LoRA cannot have this rank.
    #[error(
        "a change of rank {rank} of `{module}` makes no sense, expected 1 to {largest}; lower \
         `--lora-rank`"
    )]
    LoraRank {
        /// The map.
        module: String,
        /// The rank asked for.
        rank: usize,
        /// The map's width, its largest rank.
        largest: usize,
    },
    /// A batch lacks an input that the arm needs.
    #[error("the batch has no {input}, which arm `{arm}` needs; prepare it with the same arm")]
    NoInput {
        /// `text` or `picture`.
        input: &'static str,
        /// The model's arm.
        arm: Arm,
    },
    /// An input does not fit the model.
    #[error("{problem}")]
    Input {
        /// What is wrong, with the id, and what to do.
        problem: String,
    },
    /// A text has more tokens than the model has positions.
    #[error("a text has {tokens} tokens, the model has {positions} positions; cut texts earlier")]
    TooLong {
        /// The text's tokens.
        tokens: usize,
        /// The model's positions.
        positions: usize,
    },
    /// No row of the catalogue has this name.
    #[error("unknown model `{name}`, expected one of `{known}`{suggestion}")]
    UnknownPreset {
        /// The name asked for.
        name: String,
        /// All names.
        known: String,
        /// The nearest name, in words; may be empty.
        suggestion: String,
    },
    /// A checkpoint was not found in any of its places.
    #[error(
        "no weights for `{preset}`: looked for {}; {remedy}", places.join(", ")
    )]
    NotFound {
        /// The preset.
        preset: String,
        /// Where they were looked for.
        places: Vec<String>,
        /// How to get them.
        remedy: String,
    },
    /// A model that is not tiny cannot be made from scratch.
    #[error("`{preset}` cannot be made from scratch; {remedy}")]
    NotTiny {
        /// The preset.
        preset: String,
        /// What to do.
        remedy: String,
    },
    /// The name of a repository is malformed.
    #[error(
        "`{given}` is no repository of the hub, expected `OWNER/NAME` or `OWNER/NAME@REVISION`"
    )]
    HubId {
        /// What was given.
        given: String,
    },
    /// The hub.
    #[error(transparent)]
    Hub(#[from] Box<HubError>),
    /// An operation.
    #[error(transparent)]
    Ops(#[from] mmc_ops::OpsError),
    /// The tensor library refused.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl ModelError {
    /// Whether what was asked for makes no sense, rather than having failed: programs exit with 2.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Arm { .. }
                | Self::UnknownHead { .. }
                | Self::UnknownPreset { .. }
                | Self::LoraRank { .. }
                | Self::NotTiny { .. }
                | Self::Architecture { .. }
                | Self::HubId { .. }
        )
    }
}

/// A repository of the hub, or a file of it, could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{repository}` at `{revision}`{}: {problem}; {remedy}", of_file(file.as_deref()))]
#[non_exhaustive]
pub struct HubError {
    /// The repository's id.
    pub repository: String,
    /// The branch, tag or commit.
    pub revision: String,
    /// The file, where it is about one.
    pub file: Option<String>,
    /// The status of the server's answer, where it was that.
    pub status: Option<u16>,
    /// What happened.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl HubError {
    pub(crate) fn new(repository: &Repository, problem: String, remedy: String) -> Self {
        Self {
            repository: repository.id().to_owned(),
            revision: repository.revision().to_owned(),
            file: None,
            status: None,
            problem,
            remedy,
        }
    }
}

impl From<HubError> for ModelError {
    fn from(error: HubError) -> Self {
        Self::Hub(Box::new(error))
    }
}

/// The file in a sentence about a repository.
fn of_file(file: Option<&str>) -> String {
    file.map_or_else(String::new, |file| format!(", `{file}`"))
}

/// Names in backticks, the first ten of many.
fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(10).map(|name| format!("`{name}`")).collect();
    match names.len().checked_sub(10) {
        Some(more) if more > 0 => format!("{} and {more} more", shown.join(", ")),
        _ => shown.join(", "),
    }
}
