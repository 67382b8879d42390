//! What can go wrong between a sample and a batch.

use std::path::PathBuf;

use mmc_data::{Arm, DataError};

/// An error of this crate: what happened, where, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreprocessError {
    /// A file of the checkpoint folder could not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// A file that the checkpoint folder needs is not there.
    #[error("{}: no such file, needed {purpose}; {remedy}", path.display())]
    Missing {
        /// The file that was looked for.
        path: PathBuf,
        /// What it is needed for.
        purpose: &'static str,
        /// What to do.
        remedy: &'static str,
    },

    /// A file is not JSON, or not an object.
    #[error("{}:{line}: {problem}; replace the file by the checkpoint's own", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser said.
        problem: String,
    },

    /// A key of a configuration file has a value that is not supported.
    #[error("{}: `{key}` is `{value}`, expected {expected}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key, with its path inside the file: `image_processor.size`.
        key: String,
        /// The value as written.
        value: String,
        /// What is supported.
        expected: String,
    },

    /// A key without which the folder cannot be used is absent.
    #[error("{}: `{key}` is missing, expected {expected}", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is supported.
        expected: String,
    },

    /// The tokenizer files contradict themselves or lack a token.
    #[error("{}: {problem}; replace the tokenizer's files by the checkpoint's own", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },

    /// The model has no such input.
    #[error("{}: a `{model_type}` model has no arm `{arm}`, only `text`; use `--arm text` or a \
             model that sees pictures", folder.display())]
    Arm {
        /// The checkpoint folder.
        folder: PathBuf,
        /// `model_type` of its `config.json`.
        model_type: String,
        /// The arm asked for.
        arm: Arm,
    },

    /// The text of a sample could not be tokenized.
    #[error(
        "`{id}`: the text could not be tokenized: {problem}; drop the row or use the \
             checkpoint's own tokenizer"
    )]
    Text {
        /// The sample.
        id: String,
        /// What the tokenizer said.
        problem: String,
    },

    /// A sample lacks the picture that the arm needs.
    #[error(
        "`{id}` has no picture, which the arm `{arm}` needs; add one, drop the row, use \
             `--arm text`, or skip such rows (`--on-bad-item skip` of `mmc train` and `mmc evaluate`)"
    )]
    NoPicture {
        /// The sample.
        id: String,
        /// The arm.
        arm: Arm,
    },

    /// The picture of a sample could not be read.
    #[error(
        "`{id}`: {source}; or skip such items (`--on-bad-item skip` of `mmc train` and `mmc evaluate`); `mmc data check` \
             names all"
    )]
    Picture {
        /// The sample.
        id: String,
        /// Which file and why.
        source: DataError,
    },

    /// A batch was asked for from no examples.
    #[error("a batch of no examples; give at least one")]
    EmptyBatch,

    /// Examples of one batch do not have the same inputs, or an input has the wrong shape.
    #[error("`{id}`: {problem}; prepare all examples of a batch with the same processor")]
    Mixed {
        /// The first example that does not fit.
        id: String,
        /// What does not fit.
        problem: String,
    },

    /// A text is longer than the length to pad to.
    #[error(
        "`{id}` has {tokens} tokens, but texts are padded to {length}; prepare with \
             `with_max_length({length})`"
    )]
    TooLong {
        /// The example.
        id: String,
        /// Its length.
        tokens: usize,
        /// The length of the batch.
        length: usize,
    },

    /// A plan does not fit its split.
    #[error("shard {shard} of the plan {problem}; make the plan for the split that is loaded")]
    Plan {
        /// Index of the shard in the plan.
        shard: usize,
        /// What does not fit.
        problem: String,
    },

    /// Preparing a shard panicked, or its thread could not run: a defect in a library beneath.
    #[error(
        "shard {shard}: preparing it broke down: {problem}; please report it with the items \
             of the shard"
    )]
    Worker {
        /// Index of the shard in the plan.
        shard: usize,
        /// The panic's message.
        problem: String,
    },

    /// The system gives no more threads.
    #[error("no thread for loading could be started: {0}; use fewer `--workers`")]
    Threads(std::io::Error),

    /// The folder of decoded pictures could not be made or read.
    #[error("{}: {source}; give another folder to `--picture-cache`, or leave it out", path.display())]
    Store {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// A tensor could not be made.
    #[error("a batch could not be laid out as tensors: {0}")]
    Tensor(#[from] candle_core::Error),
}

impl PreprocessError {
    /// The id of the item at fault where the error is that of one item, which `--on-bad-item skip`
    /// may leave out; `None` for errors of the checkpoint, the plan or the program.
    #[must_use]
    pub fn bad_item(&self) -> Option<&str> {
        match self {
            Self::Picture { source: DataError::NoRoom { .. }, .. } => None,
            Self::Text { id, .. } | Self::NoPicture { id, .. } | Self::Picture { id, .. } => {
                Some(id)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    /// Every message says where and what, ends in no full stop, and never in "failed to".
    #[test]
    fn messages_read_as_they_should() {
        let path = || PathBuf::from("bert/config.json");
        let id = || "dev:7".to_owned();
        let expected = "`bert` or `clip`".to_owned();
        let key = || "model_type".to_owned();
        let cases = [
            (
                PreprocessError::Read { path: path(), source: Error::from(ErrorKind::TimedOut) },
                "bert/config.json: timed out",
            ),
            (
                PreprocessError::Missing {
                    path: path(),
                    purpose: "to know the model",
                    remedy: "copy it",
                },
                "bert/config.json: no such file, needed to know the model; copy it",
            ),
            (
                PreprocessError::Json { path: path(), line: 3, problem: "no value".to_owned() },
                "bert/config.json:3: no value; replace the file by the checkpoint's own",
            ),
            (
                PreprocessError::Value {
                    path: path(),
                    key: key(),
                    value: "\"t5\"".to_owned(),
                    expected: expected.clone(),
                },
                "bert/config.json: `model_type` is `\"t5\"`, expected `bert` or `clip`",
            ),
            (
                PreprocessError::NoKey { path: path(), key: key(), expected },
                "bert/config.json: `model_type` is missing, expected `bert` or `clip`",
            ),
            (
                PreprocessError::NoPicture { id: id(), arm: Arm::Both },
                "`dev:7` has no picture, which the arm `both` needs; add one, drop the row, use \
                 `--arm text`, or skip such rows (`--on-bad-item skip` of `mmc train` and `mmc evaluate`)",
            ),
            (
                PreprocessError::TooLong { id: id(), tokens: 9, length: 8 },
                "`dev:7` has 9 tokens, but texts are padded to 8; prepare with \
                 `with_max_length(8)`",
            ),
            (
                PreprocessError::Plan { shard: 2, problem: "is empty".to_owned() },
                "shard 2 of the plan is empty; make the plan for the split that is loaded",
            ),
            (
                PreprocessError::Worker { shard: 2, problem: "index".to_owned() },
                "shard 2: preparing it broke down: index; please report it with the items of the \
                 shard",
            ),
            (PreprocessError::EmptyBatch, "a batch of no examples; give at least one"),
        ];
        for (error, message) in cases {
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn a_full_disk_is_no_items_fault() {
        let of = |source: DataError| PreprocessError::Picture { id: "7".to_owned(), source };
        let (folder, problem) = (PathBuf::from("tmp"), "full".to_owned());
        assert_eq!(of(DataError::NoRoom { folder, problem }).bad_item(), None);
        assert_eq!(of(DataError::Setting("cut short".to_owned())).bad_item(), Some("7"));
    }
}
