//! CSV and JSONL files as rows of named values, with the line of each.

mod csv_file;
mod jsonl_file;

use std::fs;
use std::path::Path;
use std::str::Utf8Error;

use crate::DataError;
use crate::error::{listed, nearest};

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// No such field, or JSON's `null`.
    Absent,
    /// A string; of CSV every value is one.
    Text(String),
    /// A number or a truth value of JSON, as the file writes it.
    Bare(String),
    /// An array or an object of JSON.
    Nested,
}

/// The values of the wanted columns in one row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RawRow {
    pub(crate) line: usize,
    /// In the order of the columns asked for.
    pub(crate) values: Vec<Value>,
    /// Names of the fields that were not asked for.
    pub(crate) others: Vec<String>,
}

/// All rows of a file; a row that cannot be parsed is an error in its place.
#[derive(Debug)]
pub(crate) struct RawTable {
    pub(crate) rows: Vec<Result<RawRow, DataError>>,
    /// Whether each wanted column is in the header of a CSV file (`true` throughout for JSONL,
    /// where each row has its own).
    pub(crate) present: Vec<bool>,
    /// The header's columns that were not asked for.
    pub(crate) others: Vec<String>,
}

/// Reads a `.csv` or `.jsonl` file and keeps the `wanted` columns.
pub(crate) fn read_rows(path: &Path, wanted: &[&str]) -> Result<RawTable, DataError> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let read = match extension {
        "csv" => csv_file::read,
        "jsonl" => jsonl_file::read,
        "parquet" => {
            let problem = "Parquet tables cannot be read; save the table as CSV or JSONL";
            return Err(DataError::file(path, problem));
        }
        _ => {
            let problem = "expected a file that ends in `.csv` or `.jsonl`; rename or convert it";
            return Err(DataError::file(path, problem));
        }
    };
    let bytes =
        fs::read(path).map_err(DataError::io(path, "check the path and its permissions"))?;
    let body = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    if body.starts_with(b"\xFF\xFE") || body.starts_with(b"\xFE\xFF") {
        return Err(DataError::file(path, "the file is UTF-16; save it as UTF-8"));
    }
    read(path, body, wanted)
}

/// What to say of a column or field that is not there; `flag` names another, where there is one.
pub(crate) fn absent_column(name: &str, others: &[String], flag: Option<&str>) -> String {
    let names = || others.iter().map(String::as_str);
    let remedy = match (nearest(name, names()), flag) {
        (Some(near), Some(flag)) => format!("did you mean `{near}`? Then give `{flag} {near}`"),
        (Some(near), None) => format!("did you mean `{near}`? Then rename it"),
        (None, _) if others.is_empty() => "add it".to_owned(),
        (None, Some(flag)) => format!("add it, or name the one to use with `{flag}`"),
        (None, None) => "add it, or rename the one to use".to_owned(),
    };
    match others {
        [] => format!("no column `{name}`, nor any other that is not known; {remedy}"),
        _ => format!("no column `{name}`; the others are {}; {remedy}", listed(names())),
    }
}

/// What to say of bytes that are no text.
fn not_utf8(error: Utf8Error) -> String {
    format!("not UTF-8 (from its byte {}); save the file as UTF-8", error.valid_up_to() + 1)
}
