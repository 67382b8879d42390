//! How large what is committed beside the sources may grow.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The most that each kind of files may take, in bytes.
const MOST: u64 = 10_000_000;

/// Names each kind of files that takes more than it may.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, Failure> {
    let mut golden = vec![root.join("tests/fixtures")];
    for entry in fs::read_dir(root.join("crates"))? {
        golden.push(entry?.path().join("tests"));
    }
    let kinds =
        [("golden files of tests", golden), ("checkpoints", vec![root.join("data/checkpoints")])];
    let mut problems = Vec::new();
    for (what, folders) in kinds {
        let bytes = bytes(folders)?;
        say!("{what}: {:.1} of {:.1} MB", bytes as f64 / 1e6, MOST as f64 / 1e6);
        if bytes > MOST {
            problems.push(format!("{what} take {bytes} bytes, at most {MOST}; make them smaller"));
        }
    }
    Ok(problems)
}

/// What the files below some folders take, programs and texts of our own left out.
fn bytes(mut folders: Vec<PathBuf>) -> Result<u64, Failure> {
    let mut bytes = 0;
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue }; // a crate without tests
        for entry in entries {
            let path = entry?.path();
            let kind = path.extension().and_then(|kind| kind.to_str());
            if path.is_dir() {
                folders.push(path);
            } else if !matches!(kind, Some("rs" | "snap")) {
                bytes += path.metadata()?.len();
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_is_named() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("crates/a/tests/fixtures");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("a.bin"), vec![0; MOST as usize]).unwrap();
        fs::write(folder.join("b.rs"), "sources do not count").unwrap();
        assert_eq!(check(root.path()).unwrap().len(), 0);
        fs::write(folder.join("c.bin"), "one byte too many").unwrap();
        let problems = check(root.path()).unwrap();
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].starts_with("golden files of tests take 10000017 bytes"),
            "{problems:?}"
        );
    }

    #[test]
    fn the_workspace_is_small_enough() {
        assert_eq!(check(&crate::failure::workspace()).unwrap(), Vec::<String>::new());
    }
}
