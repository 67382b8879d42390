//! JSONL: one JSON object a line.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::{Body, OpenTable, RawRow, Value, not_utf8, repeated};
use crate::DataError;

/// Opens the `body` of the file at `path`.
pub(super) fn open(path: &Path, body: Body, wanted: &[&str]) -> Result<OpenTable, DataError> {
    let names = wanted.iter().map(|&name| name.to_owned()).collect();
    let bytes = Vec::new();
    let path = path.to_owned();
    let mut lines = Lines { path, body, wanted: names, bytes, at: 0, next: 1, ended: false };
    lines.advance()?;
    if lines.ended {
        let problem = "the file is empty; check that it was copied whole";
        return Err(DataError::file(&lines.path, problem));
    }
    let (present, others) = (vec![true; wanted.len()], Vec::new());
    Ok(OpenTable { present, others, rows: Box::new(lines) })
}

/// The lines of a file. Blank ones are errors where another follows.
struct Lines {
    path: PathBuf,
    body: Body,
    wanted: Vec<String>,
    /// The last line that was read and is not blank, and its number.
    bytes: Vec<u8>,
    at: usize,
    /// The number of the line to give next.
    next: usize,
    ended: bool,
}

impl Lines {
    /// Reads up to the next line that is not blank.
    fn advance(&mut self) -> Result<(), DataError> {
        loop {
            self.bytes.clear();
            let read = self.body.read_until(b'\n', &mut self.bytes);
            if read.map_err(DataError::io(&self.path, "copy it again"))? == 0 {
                self.ended = true;
                return Ok(());
            }
            self.at += 1;
            if !self.bytes.iter().all(u8::is_ascii_whitespace) {
                return Ok(());
            }
        }
    }
}

impl Iterator for Lines {
    type Item = Result<RawRow, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next > self.at
            && !self.ended
            && let Err(error) = self.advance()
        {
            self.ended = true;
            return Some(Err(error));
        }
        if self.ended {
            return None;
        }
        let line = self.next;
        self.next += 1;
        let is_blank = line < self.at;
        let bytes = if is_blank { &[] } else { self.bytes.trim_ascii_end() };
        Some(read_object(&self.path, line, bytes, &self.wanted))
    }
}

fn read_object(
    path: &Path,
    line: usize,
    bytes: &[u8],
    wanted: &[impl AsRef<str>],
) -> Result<RawRow, DataError> {
    let bad = |problem: String| DataError::row(path, line, "", problem);
    let text = std::str::from_utf8(bytes).map_err(|error| bad(not_utf8(error)))?;
    if text.trim().is_empty() {
        return Err(bad("the line is blank; remove it".to_owned()));
    }
    if text.trim_start().starts_with('[') {
        let problem = "the line begins with `[`, as a JSON array does; write each of its objects in a line of \
                       its own, without `[`, `]` and the commas between them";
        return Err(bad(problem.to_owned()));
    }
    if let Some(first) = text.trim_start().chars().next().filter(|first| *first != '{') {
        return Err(bad(format!(
            "the line begins with `{first}`, expected a JSON object; write one object in each line, or \
             call a file of values between commas `.csv`"
        )));
    }
    let object: Object<'_> = serde_json::from_str(text).map_err(|error| bad(describe(&error)))?;
    let mut values = vec![Value::Absent; wanted.len()];
    let mut others = Vec::new();
    for (key, value) in object.0 {
        match wanted.iter().position(|column| column.as_ref() == key) {
            Some(index) => {
                values[index] = read_value(value.get()).map_err(|error| {
                    DataError::row(path, line, &key, format!("`{key}`: {}", describe(&error)))
                })?;
            }
            None => others.push(key),
        }
    }
    Ok(RawRow { line, values, others })
}

fn describe(error: &serde_json::Error) -> String {
    let (message, column) = (error.to_string(), error.column());
    let message = message.split(" at line ").next().unwrap_or_default();
    match error.classify() {
        Category::Eof => {
            "the line ends inside a JSON object; write the whole object in one line, or \
                          copy the file again if it is cut short"
                .to_owned()
        }
        Category::Data => format!("not one JSON object: {message}; fix the line"),
        _ => format!("not JSON: {message} in column {column}; fix the line"),
    }
}

/// A value that has been found to be JSON; a string may still have half a surrogate pair.
fn read_value(raw: &str) -> Result<Value, serde_json::Error> {
    Ok(match raw.as_bytes().first() {
        Some(b'n') => Value::Absent,
        Some(b'[' | b'{') => Value::Nested,
        Some(b'"') => Value::Text(serde_json::from_str(raw)?),
        _ => Value::Bare(raw.to_owned()),
    })
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
                while let Some(pair) = map.next_entry::<String, &RawValue>()? {
                    pairs.push(pair);
                }
                match repeated(pairs.iter().map(|(key, _)| key.as_str())) {
                    Some(key) => Err(A::Error::custom(format!("the key `{key}` occurs twice"))),
                    None => Ok(pairs),
                }
            }
        }
        deserializer.deserialize_map(Pairs).map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(bytes: &[u8]) -> Result<RawRow, String> {
        read_object(Path::new("t"), 4, bytes, &["id", "text"]).map_err(|error| error.to_string())
    }

    #[test]
    fn values_are_kept_as_the_file_writes_them() {
        for (json, expected) in [
            (r#"{"id": 00012345678901234567890}"#, None),
            (
                r#"{"id": 12345678901234567890123}"#,
                Some(Value::Bare("12345678901234567890123".into())),
            ),
            (r#"{"id": 1.50}"#, Some(Value::Bare("1.50".into()))),
            (r#"{"id": "01235"}"#, Some(Value::Text("01235".into()))),
            (r#"{"id": "\u00e9\n"}"#, Some(Value::Text("é\n".into()))),
            (r#"{"id": true}"#, Some(Value::Bare("true".into()))),
            (r#"{"id": null}"#, Some(Value::Absent)),
            (r#"{"id": {"a": 1, "a": 2}}"#, Some(Value::Nested)),
            ("{}", Some(Value::Absent)),
        ] {
            assert_eq!(
                row(json.as_bytes()).ok().map(|row| row.values[0].clone()),
                expected,
                "{json}"
            );
        }
    }

    #[test]
    fn a_bad_line_is_named() {
        for (bytes, expected) in [
            (&b""[..], "t:4: the line is blank; remove it"),
            (b"  \r", "t:4: the line is blank; remove it"),
            (
                b"{\"id\": 1, \"te",
                "t:4: the line ends inside a JSON object; write the whole object in one line, or copy \
                 the file again if it is cut short",
            ),
            (b"{\"id\": \"\xFF\"}", "t:4: not UTF-8 (from its byte 9); save the file as UTF-8"),
            (
                b"{\"a\": 1, \"a\": 1}",
                "t:4: not one JSON object: the key `a` occurs twice; fix the line",
            ),
            (
                b"{\"a\": 1} {\"a\": 1}",
                "t:4: not JSON: trailing characters in column 10; fix the line",
            ),
        ] {
            assert_eq!(row(bytes).unwrap_err(), expected);
        }
        let half = row(br#"{"id": "\ud800x"}"#).unwrap_err();
        assert!(half.starts_with("t:4: `id`: not JSON: "), "{half}");
        let array = row(b"[{\"a\": 1},").unwrap_err();
        assert!(
            array.contains("as a JSON array does; write each of its objects in a line"),
            "{array}"
        );
        for (line, first) in [(&b"id,text"[..], "i"), (b"1", "1")] {
            let said = format!("t:4: the line begins with `{first}`, expected a JSON object; ");
            assert!(row(line).unwrap_err().starts_with(&said));
        }
    }

    #[test]
    fn blank_lines_are_errors_within_and_not_at_the_end() {
        let body = b"{\"id\": 1}\n\n{\"id\": 2}\n\n \n";
        let body = Box::new(std::io::Cursor::new(body));
        let rows: Vec<_> = open(Path::new("t"), body, &["id"]).unwrap().rows.collect();
        assert_eq!(rows.len(), 3);
        let message = rows[1].as_ref().unwrap_err().to_string();
        assert_eq!(message, "t:2: the line is blank; remove it");
        assert_eq!(rows[2].as_ref().unwrap().line, 3);
    }
}
