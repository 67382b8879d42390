//! Where the file of an experiment is, and what the experiment is called.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The file of the experiment that was asked for: one of configs/, or a file of one's own.
pub(crate) fn config_path(root: &Path, name: &str) -> Result<PathBuf, Failure> {
    if is_file_name(name) {
        return Ok(std::path::absolute(name)?);
    }
    let folder = root.join("configs");
    let path = folder.join(format!("{name}.toml"));
    if path.is_file() {
        return Ok(path);
    }
    let mut known = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            known.push(format!("`{stem}`"));
        }
    }
    known.sort();
    Err(Failure::usage(format!("no experiment `{name}`, expected one of {}", known.join(", "))))
}

/// The file of an experiment, in words.
pub(crate) fn file_of(name: &str) -> String {
    if is_file_name(name) { name.to_owned() } else { format!("configs/{name}.toml") }
}

/// The experiment's name: of a file of one's own, that of the file.
pub(crate) fn stem(name: &str) -> String {
    let stem = Path::new(name).file_stem().filter(|_| is_file_name(name));
    stem.map_or_else(|| name.to_owned(), |stem| stem.to_string_lossy().into_owned())
}

fn is_file_name(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "toml")
}
