//! JSON files and files of JSON lines, as runs write them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{RunError, write_atomically};

/// Writes a value as indented JSON, whole or not at all.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), RunError> {
    write_atomically(path, |out| {
        serde_json::to_writer_pretty(&mut *out, value)
            .map_err(|error| RunError::file(path, error))?;
        out.write_all(b"\n").map_err(RunError::io(path))
    })
}

/// Writes a value as JSON of one line, whole or not at all: for what is large and for programs.
pub(crate) fn write_json_line<T: Serialize>(path: &Path, value: &T) -> Result<(), RunError> {
    write_atomically(path, |out| {
        serde_json::to_writer(&mut *out, value).map_err(|error| RunError::file(path, error))?;
        out.write_all(b"\n").map_err(RunError::io(path))
    })
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, RunError> {
    let text = fs::read_to_string(path).map_err(RunError::io(path))?;
    serde_json::from_str(&text).map_err(|error| {
        let remedy = "restore it, or let `mmc train --resume` make it again";
        RunError::file(path, format!("not what a run writes ({error}); {remedy}"))
    })
}

/// One write of one whole line, so that an interruption can only tear the last.
pub(crate) fn append<T: Serialize>(path: &Path, record: &T) -> Result<(), RunError> {
    let mut line = serde_json::to_vec(record).map_err(|error| RunError::file(path, error))?;
    line.push(b'\n');
    let mut file =
        fs::OpenOptions::new().create(true).append(true).open(path).map_err(RunError::io(path))?;
    file.write_all(&line).map_err(RunError::io(path))
}

/// The records of a file, and whether its last line was torn by an interruption (and left out).
pub(crate) fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<(Vec<T>, bool), RunError> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((vec![], false)),
        Err(error) => return Err(RunError::io(path)(error)),
    };
    let mut reader = BufReader::new(file);
    let mut records = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(RunError::io(path))? == 0 {
            return Ok((records, false));
        }
        if line.last() != Some(&b'\n') {
            return Ok((records, true));
        }
        let record = serde_json::from_slice(&line).map_err(|error| {
            let remedy = "restore the file, or run anew in another folder";
            let problem = format!("not a record of a run ({error}); {remedy}");
            RunError::line(path, records.len() + 1, problem)
        })?;
        records.push(record);
    }
}

pub(crate) fn truncate<T: Serialize + DeserializeOwned>(
    path: &Path,
    keep: impl Fn(&T) -> bool,
) -> Result<(), RunError> {
    let (records, torn) = read_lines::<T>(path)?;
    if !torn && records.iter().all(&keep) {
        return Ok(());
    }
    write_lines(path, records.iter().filter(|record| keep(record)))
}

/// Writes records, a line each, whole or not at all.
pub(crate) fn write_lines<'a, T: Serialize + 'a>(
    path: &Path,
    records: impl IntoIterator<Item = &'a T>,
) -> Result<(), RunError> {
    write_atomically(path, |out| {
        for record in records {
            serde_json::to_writer(&mut *out, record)
                .map_err(|error| RunError::file(path, error))?;
            out.write_all(b"\n").map_err(RunError::io(path))?;
        }
        Ok(())
    })
}
