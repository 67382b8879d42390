//! Gives the crate the fingerprint of the code that runs are computed with: see `src/code.rs`.
#![allow(clippy::print_stdout, reason = "what a build script prints is what cargo is told")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The crates that read a data set, compute a run and score it, this one among them. What only shows
/// results is not among them.
const CRATES: [&str; 8] =
    ["data", "metrics", "models", "ops", "preprocess", "random", "run", "train"];

/// Hex digits: enough to tell builds apart, and few enough to read.
const DIGITS: usize = 12;

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let crates = here.parent().unwrap_or(&here).to_path_buf();
    let mut files = Vec::new();
    for name in CRATES {
        // Of a crate from a registry the others lie elsewhere; their versions then say what they are.
        let sources =
            if name == "train" { here.join("src") } else { crates.join(name).join("src") };
        if sources.is_dir() {
            println!("cargo::rerun-if-changed={}", sources.display());
            collect(&sources, name, &mut files)?;
        }
    }
    // What the crates are built on.
    let lock = crates.join("../Cargo.lock");
    if lock.is_file() {
        println!("cargo::rerun-if-changed={}", lock.display());
        files.push(("Cargo.lock".to_owned(), lock));
    }
    files.sort();
    let mut hash = Sha256::new();
    for (name, path) in &files {
        let mut bytes = fs::read(path)?;
        bytes.retain(|byte| *byte != b'\r'); // a checkout may write lines in its own way
        for part in [name.as_bytes(), &bytes] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    let code = format!("{:x}", hash.finalize());
    println!("cargo::rustc-env=MMC_CODE={}", code.get(..DIGITS).unwrap_or(&code));
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}

/// The files below a folder with their names below `name`, tests apart.
fn collect(
    folder: &Path,
    name: &str,
    files: &mut Vec<(String, PathBuf)>,
) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let file = entry.file_name();
        let file = file.to_string_lossy();
        let (path, below) = (entry.path(), format!("{name}/{file}"));
        let is_source = path.extension().is_some_and(|kind| kind == "rs" || kind == "cu");
        match (file.as_ref(), path.is_dir()) {
            ("tests" | "tests.rs", _) => {}
            (_, true) => collect(&path, &below, files)?,
            (_, false) if is_source => files.push((below, path)),
            (_, false) => {} // what an editor or a merge has left
        }
    }
    Ok(())
}
