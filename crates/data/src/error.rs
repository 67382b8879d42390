//! What can be wrong with a data set, in words that name the place and the remedy.

use std::io;
use std::path::{Path, PathBuf};

/// An error of this crate. Each message says what happened, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// One row of a file is not as it should be.
    #[error("{}:{line}: {problem}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line on which the row begins, counted from 1.
        line: usize,
        /// The field or column concerned, where there is one.
        field: Option<String>,
        /// What is wrong and what to do, in words.
        problem: String,
    },
    /// A file or a folder as a whole is not as it should be.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong and what to do, in words.
        problem: String,
    },
    /// The operating system refused to read or write.
    #[error("{}: {source}; {remedy}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What to do.
        remedy: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// A picture cannot be used.
    #[error("{}: {problem}", path.display())]
    Picture {
        /// The picture's file.
        path: PathBuf,
        /// What is wrong and what to do, in words.
        problem: String,
    },
    /// The folder for temporary files cannot hold what has to be unpacked: no item's fault.
    #[error("{}: {problem}", folder.display())]
    NoRoom {
        /// The folder.
        folder: PathBuf,
        /// What is wrong and what to do, in words.
        problem: String,
    },
    /// A name is not in a closed list.
    #[error("unknown {what} `{value}`{}; expected {known}", suggestion(near.as_deref()))]
    Unknown {
        /// What the name stands for, such as `data set`.
        what: &'static str,
        /// The name that was given.
        value: String,
        /// The names there are, in backticks, ready to print.
        known: String,
        /// The nearest of them, if one is near.
        near: Option<String>,
    },
    /// A setting makes no sense on its own.
    #[error("{0}")]
    Setting(String),
}

fn suggestion(near: Option<&str>) -> String {
    near.map(|name| format!(", did you mean `{name}`?")).unwrap_or_default()
}

impl DataError {
    /// An error of one row; `field` may be empty.
    pub(crate) fn row(path: &Path, line: usize, field: &str, problem: impl Into<String>) -> Self {
        let field = (!field.is_empty()).then(|| field.to_owned());
        Self::Row { path: path.to_owned(), line, field, problem: problem.into() }
    }

    /// An error of a whole file or folder.
    pub(crate) fn file(path: &Path, problem: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), problem: problem.into() }
    }

    /// An error of one picture.
    pub(crate) fn picture(path: &Path, problem: impl Into<String>) -> Self {
        Self::Picture { path: path.to_owned(), problem: problem.into() }
    }

    /// For `map_err` after a file operation.
    pub(crate) fn io(path: &Path, remedy: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, remedy, source }
    }

    /// A name outside a closed list, with the nearest member as a suggestion.
    pub(crate) fn unknown(what: &'static str, value: &str, known: &[&str]) -> Self {
        Self::Unknown {
            what,
            value: value.to_owned(),
            known: listed(known.iter().copied()),
            near: nearest(value, known.iter().copied()).map(str::to_owned),
        }
    }
}

/// Names in backticks, separated by commas.
pub(crate) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if quoted.is_empty() { "nothing".to_owned() } else { quoted.join(", ") }
}

/// Bytes of a name that is compared with others: the work grows with the square of it.
const LONGEST_NAME: usize = 100;

/// The name most like `value`, if one is near enough to be what was meant.
pub(crate) fn nearest<'a>(value: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if value.len() > LONGEST_NAME {
        return None;
    }
    let value = value.to_lowercase();
    names
        .filter(|name| name.len() <= LONGEST_NAME)
        .map(|name| (strsim::jaro_winkler(&value, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_list_is_listed_and_the_near_miss_is_suggested() {
        let error = DataError::unknown("split", "dev-unseen", &["train", "dev_unseen"]);
        assert_eq!(
            error.to_string(),
            "unknown split `dev-unseen`, did you mean `dev_unseen`?; expected `train`, `dev_unseen`"
        );
        let error = DataError::unknown("arm", "zzz", &["both", "text"]);
        assert_eq!(error.to_string(), "unknown arm `zzz`; expected `both`, `text`");
    }

    #[test]
    fn a_row_error_names_file_and_line() {
        let error = DataError::row(Path::new("train.jsonl"), 41, "label", "`label` is `2`");
        assert_eq!(error.to_string(), "train.jsonl:41: `label` is `2`");
    }
}
