//! Results on stdout, and the files that a verb writes beside a run.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::failure::Failure;

/// Prints a result. A reader that has seen enough, such as `head`, is no error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let end: &[u8] = if text.ends_with('\n') { b"" } else { b"\n" };
    let written = [text.as_bytes(), end].iter().try_for_each(|part| out.write_all(part));
    let written = written.and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::work(format!("stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints one JSON object.
pub(crate) fn print_json<T: Serialize>(value: &T) -> Result<(), Failure> {
    print(&serde_json::to_string_pretty(value)?)
}

/// Refuses a file to write that is there already, lies in no folder, or has another ending than
/// those of `endings`.
pub(crate) fn check_out(path: &Path, endings: &[&str]) -> Result<(), Failure> {
    let shown = path.display();
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if !endings.contains(&ending) {
        let known: Vec<String> = endings.iter().map(|ending| format!("`.{ending}`")).collect();
        return Err(Failure::usage(format!(
            "{shown}: the file to write ends in {}, not `.{ending}`",
            known.join(", ")
        )));
    }
    check_folder(path)?;
    if path.exists() {
        return Err(Failure::usage(format!(
            "{shown}: is there already and is not overwritten; remove it or give another --out"
        )));
    }
    Ok(())
}

/// Refuses a file to write in a folder that is not there.
pub(crate) fn check_folder(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => Err(Failure::work(format!(
            "{}: no such folder to write {} into; make it first",
            folder.display(),
            path.display()
        ))),
        _ => Ok(()),
    }
}

/// Columns of text, each as wide as its widest cell, two spaces apart.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_have_no_trailing_space() {
        let row = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
        let shown = table(&[row(&["a", "bb", ""]), row(&["ccc", "d", "e"])]);
        assert_eq!(shown, "a    bb\nccc  d   e\n");
    }

    #[test]
    fn an_existing_file_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out.jsonl");
        check_out(&file, &["jsonl"]).unwrap();
        std::fs::write(&file, "kept").unwrap();
        assert!(check_out(&file, &["jsonl"]).unwrap_err().to_string().contains("not overwritten"));
        assert!(check_out(&folder.path().join("out.txt"), &["jsonl"]).is_err());
        assert!(check_out(&folder.path().join("absent/out.jsonl"), &["jsonl"]).is_err());
    }
}
