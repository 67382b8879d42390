//! CSV and JSONL files as rows of named values, with the line of each.

use std::fmt;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

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
        "csv" => read_csv,
        "jsonl" => read_jsonl,
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

/// What to say of a column or field that is not there.
pub(crate) fn absent_column(name: &str, others: &[String], flag: &str) -> String {
    let near = nearest(name, others.iter().map(String::as_str))
        .map(|near| format!("; did you mean `{near}`? Then give `{flag} {near}`"))
        .unwrap_or_else(|| format!("; add it, or name the one to use with `{flag}`"));
    format!(
        "no column `{name}`; the others are {}{near}",
        listed(others.iter().map(String::as_str))
    )
}

const NOT_UTF8: &str = "the text is not UTF-8; save the file as UTF-8";

fn read_jsonl(path: &Path, body: &[u8], wanted: &[&str]) -> Result<RawTable, DataError> {
    let end = body.iter().rposition(|byte| !byte.is_ascii_whitespace()).map_or(0, |last| last + 1);
    if end == 0 {
        return Err(DataError::file(path, "the file is empty; check that it was copied whole"));
    }
    let rows = body[..end]
        .split(|&byte| byte == b'\n')
        .enumerate()
        .map(|(index, line)| read_object(path, index + 1, line, wanted))
        .collect();
    Ok(RawTable { rows, present: vec![true; wanted.len()], others: Vec::new() })
}

fn read_object(
    path: &Path,
    line: usize,
    bytes: &[u8],
    wanted: &[&str],
) -> Result<RawRow, DataError> {
    let bad = |problem: String| DataError::row(path, line, "", problem);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        bad(format!("{NOT_UTF8} (byte {} of the line)", error.valid_up_to() + 1))
    })?;
    if text.trim().is_empty() {
        return Err(bad("the line is blank; remove it".to_owned()));
    }
    let object: Object<'_> = serde_json::from_str(text).map_err(|error| {
        if error.is_eof() {
            bad("the line ends inside a JSON object; the file may be cut short, copy it again"
                .to_owned())
        } else {
            let (message, column) = (error.to_string(), error.column());
            let message = message.split(" at line ").next().unwrap_or_default();
            bad(format!("not one JSON object ({message}, column {column}); fix the line"))
        }
    })?;
    let mut values = vec![Value::Absent; wanted.len()];
    let mut others = Vec::new();
    for (key, value) in object.0 {
        match wanted.iter().position(|column| *column == key) {
            Some(index) => values[index] = read_value(value.get()),
            None => others.push(key),
        }
    }
    Ok(RawRow { line, values, others })
}

fn read_value(raw: &str) -> Value {
    match raw.as_bytes().first() {
        Some(b'n') => Value::Absent,
        Some(b'[' | b'{') => Value::Nested,
        // The value has been parsed once as JSON, so a string that cannot be decoded has a lone
        // surrogate: kept as written.
        Some(b'"') => Value::Text(serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned())),
        _ => Value::Bare(raw.to_owned()),
    }
}

/// A JSON object whose keys differ, in the order of the file.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs: Vec<(String, &RawValue)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    if pairs.iter().any(|(earlier, _)| *earlier == key) {
                        return Err(A::Error::custom(format!("the key `{key}` occurs twice")));
                    }
                    pairs.push((key, value));
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Pairs).map(Object)
    }
}

fn read_csv(path: &Path, body: &[u8], wanted: &[&str]) -> Result<RawTable, DataError> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(body);
    let mut lines = LineCounter { body, at: 0, line: 1 };
    let mut record = csv::ByteRecord::new();
    let mut header: Option<Header> = None;
    let mut rows = Vec::new();
    while reader
        .read_byte_record(&mut record)
        .map_err(|error| DataError::file(path, format!("not a CSV file ({error}); save it anew")))?
    {
        let start = record.position().map_or(0, |position| position.byte() as usize);
        let (line, blank) = lines.begin(start);
        let Some(header) = &header else {
            header = Some(Header::new(path, line, &record, wanted)?);
            continue;
        };
        let end = (reader.position().byte() as usize).min(body.len());
        if let Some(blank) = blank {
            rows.push(Err(DataError::row(path, blank, "", "the line is blank; remove it")));
        }
        rows.push(read_record(path, line, &record, header).and_then(|row| {
            let quotes = body[start..end].iter().filter(|byte| **byte == b'"').count();
            if end == body.len() && quotes % 2 == 1 {
                let problem = "a quote is opened and never closed; close it, or write `\"\"` for \
                               a quote within a quoted value";
                return Err(DataError::row(path, line, "", problem));
            }
            Ok(row)
        }));
    }
    let Some(header) = header else {
        return Err(DataError::file(path, "the file is empty; check that it was copied whole"));
    };
    let present = header.places.iter().map(Option::is_some).collect();
    let wanted_names = |name: &&String| !wanted.contains(&name.as_str());
    let others = header.names.iter().filter(wanted_names).cloned().collect();
    Ok(RawTable { rows, present, others })
}

/// The first line of a CSV file.
struct Header {
    names: Vec<String>,
    /// Where each wanted column is.
    places: Vec<Option<usize>>,
}

impl Header {
    fn new(
        path: &Path,
        line: usize,
        record: &csv::ByteRecord,
        wanted: &[&str],
    ) -> Result<Self, DataError> {
        let bad = |field: &str, problem: String| DataError::row(path, line, field, problem);
        let names = record
            .iter()
            .map(|name| std::str::from_utf8(name).map(str::to_owned))
            .collect::<Result<Vec<String>, _>>()
            .map_err(|_| bad("", NOT_UTF8.to_owned()))?;
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                return Err(bad(name, format!("the column `{name}` occurs twice; rename one")));
            }
        }
        for (separator, called) in [(';', "`;`"), ('\t', "tabs")] {
            if let [only] = names.as_slice()
                && only.split(separator).any(|name| wanted.contains(&name.trim_matches('"')))
                && only.contains(separator)
            {
                let problem = format!("the columns are separated by {called}; save with commas");
                return Err(bad("", problem));
            }
        }
        let places =
            wanted.iter().map(|column| names.iter().position(|name| name == column)).collect();
        Ok(Self { names, places })
    }
}

fn read_record(
    path: &Path,
    line: usize,
    record: &csv::ByteRecord,
    header: &Header,
) -> Result<RawRow, DataError> {
    let (found, expected) = (record.len(), header.names.len());
    if found != expected {
        let problem = format!(
            "{found} values where the header has {expected} columns; put values that hold commas \
             or line breaks in quotes"
        );
        return Err(DataError::row(path, line, "", problem));
    }
    let mut values = Vec::with_capacity(header.places.len());
    for place in &header.places {
        values.push(match place.and_then(|place| record.get(place)) {
            None => Value::Absent,
            Some(bytes) => {
                let field = place.map_or("", |place| header.names[place].as_str());
                let text = std::str::from_utf8(bytes).map_err(|_| {
                    DataError::row(path, line, field, format!("`{field}`: {NOT_UTF8}"))
                })?;
                Value::Text(text.to_owned())
            }
        });
    }
    Ok(RawRow { line, values, others: Vec::new() })
}

/// Lines of a CSV file, counted on the bytes themselves: the reader passes over blank lines and
/// takes the second half of a CRLF for the next record's.
struct LineCounter<'a> {
    body: &'a [u8],
    at: usize,
    line: usize,
}

impl LineCounter<'_> {
    /// The line of the record that the reader found at `start`, and of the first blank line
    /// before it.
    fn begin(&mut self, start: usize) -> (usize, Option<usize>) {
        self.advance(start);
        if start > 0 && self.body.get(start - 1..=start) == Some(b"\r\n") {
            self.advance(start + 1);
        }
        let mut blank = None;
        while let Some(b'\r' | b'\n') = self.body.get(self.at) {
            if self.body[self.at] == b'\n' {
                blank = blank.or(Some(self.line));
            }
            self.advance(self.at + 1);
        }
        (self.line, blank)
    }

    fn advance(&mut self, to: usize) {
        let passed = self.body.get(self.at..to).unwrap_or_default();
        self.line += passed.iter().filter(|byte| **byte == b'\n').count();
        self.at = self.at.max(to);
    }
}
