//! What can be wrong with the files of a run.

use std::fmt;
use std::path::{Path, PathBuf};

/// An error in reading or writing the files of a run or of an experiment.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A run may not be written over something else.
    #[error("{}: {why}; give another folder, or `--resume` to go on with a run", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
        /// What was found in it.
        why: String,
    },
    /// Another process works on the run.
    #[error(
        "{}: another process is at work on this run; wait until it has ended, or give another \
         folder", path.display()
    )]
    Busy {
        /// The run's folder.
        path: PathBuf,
    },
    /// A file of ours is not what it should be.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A line or row of a file is wrong.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its line, or its row in a Parquet file, from 1.
        line: usize,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A configuration file has one or more mistakes.
    #[error("{}", lines(path, problems))]
    Config {
        /// The file.
        path: PathBuf,
        /// Every mistake that was found, in the order of the file.
        problems: Vec<ConfigProblem>,
    },
    /// A value that is not one of a closed set.
    #[error("unknown {what} `{given}`, expected {}{}", listed(known), suggestion(given, known))]
    Unknown {
        /// What the value stands for.
        what: &'static str,
        /// What was given.
        given: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Settings that nobody gave, or values that cannot be.
    #[error("{}", problems.join("\n"))]
    Settings {
        /// Every mistake, one a line.
        problems: Vec<String>,
    },
    /// A table cannot be read.
    #[error(transparent)]
    Table(#[from] mmc_data::DataError),
    /// Two files of predictions do not fit together.
    #[error("{problem}")]
    Pairing {
        /// What differs.
        problem: String,
    },
}

/// One mistake in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
}

impl RunError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn file(path: &Path, problem: impl fmt::Display) -> Self {
        Self::File { path: path.to_path_buf(), problem: problem.to_string() }
    }

    pub(crate) fn line(path: &Path, line: usize, problem: impl fmt::Display) -> Self {
        Self::Line { path: path.to_path_buf(), line, problem: problem.to_string() }
    }

    pub(crate) fn unknown(what: &'static str, given: &str, known: &[&str]) -> Self {
        let known = known.iter().map(|&name| name.to_owned()).collect();
        Self::Unknown { what, given: given.to_owned(), known }
    }
}

/// The member of `known` that was probably meant.
pub(crate) fn nearest<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let folded = given.to_lowercase().replace('-', "_");
    let mut best = (0.8, None);
    for name in known {
        let likeness = strsim::jaro_winkler(&folded, &name.to_lowercase().replace('-', "_"));
        if likeness > best.0 {
            best = (likeness, Some(name));
        }
    }
    best.1
}

/// `a`, `b` or `c`.
pub(crate) fn listed(known: &[String]) -> String {
    match known.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => format!("`{last}`"),
        Some((last, rest)) => {
            let rest: Vec<String> = rest.iter().map(|name| format!("`{name}`")).collect();
            format!("{} or `{last}`", rest.join(", "))
        }
    }
}

fn suggestion(given: &str, known: &[String]) -> String {
    nearest(given, known.iter().map(String::as_str))
        .map(|name| format!("; did you mean `{name}`?"))
        .unwrap_or_default()
}

fn lines(path: &Path, problems: &[ConfigProblem]) -> String {
    let lines: Vec<String> = problems
        .iter()
        .map(|at| format!("{}:{}:{}: {}", path.display(), at.line, at.column, at.problem))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_sets_list_their_members_and_suggest() {
        let error = RunError::unknown("schedule", "Liner", &["linear", "cosine", "constant"]);
        assert_eq!(
            error.to_string(),
            "unknown schedule `Liner`, expected `linear`, `cosine` or `constant`; \
             did you mean `linear`?"
        );
        let error = RunError::unknown("schedule", "warm", &["linear", "cosine"]);
        assert_eq!(error.to_string(), "unknown schedule `warm`, expected `linear` or `cosine`");
    }

    #[test]
    fn every_message_says_where_and_what() {
        let path = Path::new("run/cost.json");
        let missing = std::io::Error::other("no such file");
        let problems = vec![
            ConfigProblem { line: 1, column: 2, problem: "one".to_owned() },
            ConfigProblem { line: 3, column: 4, problem: "two".to_owned() },
        ];
        let cases = [
            (RunError::io(path)(missing), "run/cost.json: no such file"),
            (
                RunError::Occupied { path: path.to_path_buf(), why: "holds a run".to_owned() },
                "run/cost.json: holds a run; give another folder, or `--resume` to go on with a run",
            ),
            (RunError::file(path, "is empty"), "run/cost.json: is empty"),
            (RunError::line(path, 7, "is empty"), "run/cost.json:7: is empty"),
            (
                RunError::Config { path: path.to_path_buf(), problems },
                "run/cost.json:1:2: one\nrun/cost.json:3:4: two",
            ),
            (RunError::Settings { problems: vec!["one".to_owned(), "two".to_owned()] }, "one\ntwo"),
            (RunError::Pairing { problem: "differ".to_owned() }, "differ"),
        ];
        for (error, expected) in cases {
            assert_eq!(error.to_string(), expected);
        }
    }
}
