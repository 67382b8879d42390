//! CSV, JSONL and Parquet files as rows of named values, with the line of each.

mod cells;
mod csv_file;
mod jsonl_file;
mod kept;
mod parquet_file;

pub(crate) use cells::{Cell, cell};
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Cursor};
use std::path::Path;
use std::str::Utf8Error;

use crate::error::{listed, nearest};
use crate::source::{Source, UNREADABLE};
use crate::{DataError, Packed};

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
    /// A picture's own bytes, in a Parquet table.
    Bytes(Packed),
}

/// The values of the wanted columns in one row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RawRow {
    /// The line of the file, or the row of a Parquet table, from 1.
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

/// The rows of a file, read as they are asked for.
pub(crate) struct OpenTable {
    /// As in [`RawTable`].
    pub(crate) present: Vec<bool>,
    /// As in [`RawTable`].
    pub(crate) others: Vec<String>,
    pub(crate) rows: Box<dyn Iterator<Item = Result<RawRow, DataError>> + Send>,
}

/// Where the bytes of a file come from.
type Body = Box<dyn BufRead + Send>;

/// Reads a file whole and keeps the `wanted` columns; one that is `unread` is left unread where the
/// format allows it.
pub(crate) fn read_rows(
    source: &Source,
    wanted: &[&str],
    unread: Option<&str>,
) -> Result<RawTable, DataError> {
    let path = source.path();
    let rows = match format_of(path)? {
        Format::Parquet => parquet_file::open(source, wanted, unread)?,
        Format::Lines(open) => {
            let bytes = source.read()?;
            open(path, without_mark(path, Box::new(Cursor::new(bytes)))?, wanted)?
        }
    };
    Ok(RawTable { rows: rows.rows.collect(), present: rows.present, others: rows.others })
}

/// Opens a file for its `wanted` columns, to be read a row at a time.
pub(crate) fn open_rows(source: &Source, wanted: &[&str]) -> Result<OpenTable, DataError> {
    let path = source.path();
    let open = match format_of(path)? {
        Format::Parquet => return parquet_file::open(source, wanted, None),
        Format::Lines(open) => open,
    };
    open(path, without_mark(path, Box::new(BufReader::new(source.open()?)))?, wanted)
}

/// How a file is read.
enum Format {
    /// From its first byte to its last, by this function.
    Lines(fn(&Path, Body, &[&str]) -> Result<OpenTable, DataError>),
    /// By columns.
    Parquet,
}

fn format_of(path: &Path) -> Result<Format, DataError> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension {
        "csv" => Ok(Format::Lines(csv_file::open)),
        "jsonl" => Ok(Format::Lines(jsonl_file::open)),
        "parquet" => Ok(Format::Parquet),
        _ => {
            let problem = "expected a file that ends in `.csv`, `.jsonl` or `.parquet`; rename or \
                           convert it";
            Err(DataError::file(path, problem))
        }
    }
}

/// How files begin that are no lines of text, and what to do with them.
const OTHER_FORMATS: &[(&[u8], &str)] = &[
    (b"PAR1", "a Parquet table (call it `.parquet`)"),
    (b"PK\x03\x04", "a zip archive or a spreadsheet (unpack it, or save it as CSV)"),
    (b"\xD0\xCF\x11\xE0", "an old spreadsheet (save it as CSV)"),
    (b"\x1F\x8B", "compressed with gzip (unpack it)"),
    (b"\x28\xB5\x2F\xFD", "compressed with zstd (unpack it)"),
    (b"BZh", "compressed with bzip2 (unpack it)"),
    (b"%PDF", "a PDF document (save its table as CSV)"),
    (b"\x89PNG", "a picture (put the table of rows in its place)"),
    (b"\xFF\xD8\xFF", "a picture (put the table of rows in its place)"),
    (b"GIF8", "a picture (put the table of rows in its place)"),
];

/// The body behind the mark that says it is UTF-8, where there is one.
fn without_mark(path: &Path, mut body: Body) -> Result<Body, DataError> {
    let start = body.fill_buf().map_err(DataError::io(path, UNREADABLE))?;
    let mark = b"\xEF\xBB\xBF";
    let length = if start.starts_with(mark) { mark.len() } else { 0 };
    let rest = &start[length..];
    if rest.starts_with(b"\xFF\xFE") || rest.starts_with(b"\xFE\xFF") {
        return Err(DataError::file(path, "the file is UTF-16; save it as UTF-8"));
    }
    if let Some((_, what)) = OTHER_FORMATS.iter().find(|(mark, _)| rest.starts_with(mark)) {
        return Err(DataError::file(path, format!("the file is {what}, whatever its name says")));
    }
    body.consume(length);
    Ok(body)
}

/// Names that are written out.
const LISTED: usize = 20;

/// What to say of a column or field that is not there; `flag` names another, where there is one.
pub(crate) fn absent_column(name: &str, others: &[String], flag: &str) -> String {
    let names = || others.iter().map(String::as_str);
    if let Some(padded) = names().find(|other| other.trim() == name) {
        return format!(
            "no column `{name}`, but one with white space around it, `{padded}`; take that out of the file"
        );
    }
    let remedy = match nearest(name, names()) {
        Some(near) => format!("did you mean `{near}`? Then give `{flag} {near}`"),
        None if others.is_empty() => "add it".to_owned(),
        None => format!("add it, or name the one to use with `{flag}`"),
    };
    if others.is_empty() {
        return format!("no column `{name}`, and none that could be meant for it; {remedy}");
    }
    let more = others.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let known = listed(names().take(LISTED));
    format!("no column `{name}`; the others are {known}{more}; {remedy}")
}

/// What to say of a row without a value that it must have, though the file may have the column.
pub(crate) fn absent_value(name: &str, others: &[String], flag: &str) -> String {
    if nearest(name, others.iter().map(String::as_str)).is_some() {
        return absent_column(name, others, flag);
    }
    format!("the row has no `{name}`, or `null` in it; give it one, \"\" where it is empty")
}

/// The first name that an earlier one equals.
fn repeated<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let count = names.clone().count();
    // Most have few, of which hashing would be the greater part of the work.
    if count <= FEW {
        return names.clone().enumerate().find_map(|(index, name)| {
            names.clone().take(index).any(|earlier| earlier == name).then_some(name)
        });
    }
    let mut seen = HashSet::with_capacity(count);
    names.into_iter().find(|name| !seen.insert(*name))
}

/// Names that are compared with one another.
const FEW: usize = 16;

/// What to say of bytes that are no text.
fn not_utf8(error: Utf8Error) -> String {
    format!("not UTF-8 (from its byte {}); save the file as UTF-8", error.valid_up_to() + 1)
}
