//! CSV as RFC 4180 has it: commas, quotes, a header.

use std::path::{Path, PathBuf};

use super::kept::Kept;
use super::{Body, OpenTable, RawRow, Value, not_utf8, repeated};
use crate::DataError;

/// Opens the `body` of the file at `path`.
pub(super) fn open(path: &Path, body: Body, wanted: &[&str]) -> Result<OpenTable, DataError> {
    let reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(Kept::new(body));
    let mut lines = LineCounter { at: 0, line: 1 };
    let mut scanner = Scanner { path: path.to_owned(), reader, record: csv::ByteRecord::new() };
    if !scanner.read()? {
        return Err(DataError::file(path, "the file is empty; check that it was copied whole"));
    }
    let (line, _) = lines.begin(scanner.start(), scanner.reader.get_ref());
    let header = Header::new(path, line, &scanner.record, wanted)?;
    let present = header.places.iter().map(Option::is_some).collect();
    let wanted_names = |name: &&String| !wanted.contains(&name.as_str());
    let others = header.names.iter().filter(wanted_names).cloned().collect();
    let rows = Records { scanner, lines, header, second: None, ended: false };
    Ok(OpenTable { present, others, rows: Box::new(rows) })
}

/// The records of a file, and the bytes of the last one.
struct Scanner {
    path: PathBuf,
    reader: csv::Reader<Kept>,
    record: csv::ByteRecord,
}

impl Scanner {
    /// Reads the next record; false where there is none.
    fn read(&mut self) -> Result<bool, DataError> {
        self.reader.read_byte_record(&mut self.record).map_err(|error| {
            DataError::file(&self.path, format!("not a CSV file ({error}); save it anew"))
        })
    }

    fn start(&self) -> usize {
        self.record.position().map_or(0, |position| position.byte() as usize)
    }

    /// Refuses quotes that the record's reader lets pass.
    fn check_quotes(&mut self, line: usize) -> Result<(), DataError> {
        let (start, end) = (self.start(), self.reader.position().byte() as usize);
        let bad = |path: &Path, problem: &str| Err(DataError::row(path, line, "", problem));
        let is_odd = count(self.reader.get_ref().slice(start, end), b'"') % 2 == 1;
        if is_odd
            && self
                .reader
                .get_mut()
                .ends_at(end)
                .map_err(DataError::io(&self.path, "copy it again"))?
        {
            let problem = "a quote is opened and never closed; close it, or write `\"\"` for a \
                           quote within a quoted value";
            return bad(&self.path, problem);
        }
        if has_text_after_quote(self.reader.get_ref().slice(start, end)) {
            let problem = "text follows a closing quote: a quote before it is one too many, or \
                           was never closed; write `\"\"` for a quote within a quoted value";
            return bad(&self.path, problem);
        }
        Ok(())
    }
}

/// The rows below the header.
struct Records {
    scanner: Scanner,
    lines: LineCounter,
    header: Header,
    /// What comes after the blank line that was given instead.
    second: Option<Result<RawRow, DataError>>,
    ended: bool,
}

impl Records {
    fn read(&mut self) -> Result<Option<Result<RawRow, DataError>>, DataError> {
        if !self.scanner.read()? {
            return Ok(None);
        }
        let (line, blank) = self.lines.begin(self.scanner.start(), self.scanner.reader.get_ref());
        // A quote that is open swallows the rows below it, so how many values there are says nothing.
        let row = self.scanner.check_quotes(line);
        let Scanner { path, record, .. } = &self.scanner;
        let row = row.and_then(|()| read_record(path, line, record, &self.header));
        self.scanner.reader.get_mut().forget(self.lines.at);
        let Some(blank) = blank else { return Ok(Some(row)) };
        self.second = Some(row);
        let problem = "the line is blank; remove it";
        Ok(Some(Err(DataError::row(&self.scanner.path, blank, "", problem))))
    }
}

impl Iterator for Records {
    type Item = Result<RawRow, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.second.is_some() || self.ended {
            return self.second.take();
        }
        let row = self.read().transpose();
        self.ended = !matches!(row, Some(Ok(_)));
        row.map(|row| row.and_then(|row| row))
    }
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
            .map_err(|error| bad("", not_utf8(error)))?;
        if let Some(name) = repeated(names.iter().map(String::as_str)) {
            return Err(bad(name, format!("the column `{name}` occurs twice; rename one")));
        }
        if names.first().is_some_and(|name| name.trim_start().starts_with(['{', '['])) {
            let problem = "the line is JSON; call a file with an object in each line `.jsonl`";
            return Err(bad("", problem.to_owned()));
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
                let text = std::str::from_utf8(bytes).map_err(|error| {
                    DataError::row(path, line, field, format!("`{field}`: {}", not_utf8(error)))
                })?;
                Value::Text(text.to_owned())
            }
        });
    }
    Ok(RawRow { line, values, others: Vec::new() })
}

/// Lines of a CSV file, counted on the bytes themselves: the reader passes over blank lines and
/// takes the second half of a CRLF for the next record's.
struct LineCounter {
    at: usize,
    line: usize,
}

impl LineCounter {
    /// The line of the record that the reader found at `start`, and of the first blank line
    /// before it.
    fn begin(&mut self, start: usize, body: &Kept) -> (usize, Option<usize>) {
        self.advance(start, body);
        if start > 0 && body.slice(start - 1, start + 1) == b"\r\n" {
            self.advance(start + 1, body);
        }
        let mut blank = None;
        while let Some(byte @ (b'\r' | b'\n')) = body.get(self.at) {
            if byte == b'\n' {
                blank = blank.or(Some(self.line));
            }
            self.advance(self.at + 1, body);
        }
        (self.line, blank)
    }

    fn advance(&mut self, to: usize, body: &Kept) {
        self.line += count(body.slice(self.at, to), b'\n');
        self.at = self.at.max(to);
    }
}

/// Whether a quoted value goes on after its closing quote, as one does that took in the rows up
/// to another value's opening quote.
fn has_text_after_quote(record: &[u8]) -> bool {
    let begin = record.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let mut bytes = record[begin..].iter().peekable();
    let (mut at_start, mut quoted) = (true, false);
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if quoted && bytes.next_if_eq(&&b'"').is_none() => {
                quoted = false;
                if !matches!(bytes.peek(), None | Some(b',' | b'\r' | b'\n')) {
                    return true;
                }
            }
            b'"' if at_start => quoted = true,
            _ => {}
        }
        at_start = *byte == b',' && !quoted;
    }
    false
}

fn count(bytes: &[u8], wanted: u8) -> usize {
    bytes.split(|byte| *byte == wanted).count() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Line and first wanted value of a row, or what is said of it.
    type Found = Result<(usize, Value), String>;

    fn rows(body: &[u8]) -> Result<Vec<Found>, String> {
        let message = |error: DataError| error.to_string();
        let body = Box::new(std::io::Cursor::new(body.to_vec()));
        let table = open(Path::new("t"), body, &["text", "label"]).map_err(message)?;
        let value = |row: RawRow| (row.line, row.values[0].clone());
        Ok(table.rows.map(|row| row.map(value).map_err(message)).collect())
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn lines_are_those_of_an_editor() {
        for end in ["\n", "\r\n"] {
            let body = ["label,text", "0,\"a", "b", "c\"", "1,d", "1,e"].join(end);
            let first = text(&["a", "b", "c"].join(end));
            let expected = vec![Ok((2, first)), Ok((5, text("d"))), Ok((6, text("e")))];
            assert_eq!(rows(body.as_bytes()).unwrap(), expected);
            // Blank lines at the end are no rows.
            assert_eq!(rows(format!("{body}{end}{end}").as_bytes()).unwrap(), expected);
        }
    }

    #[test]
    fn a_bad_row_is_named_by_its_line() {
        for (body, expected) in [
            (
                &b"text,label\r\na,b\r\nx\r\n"[..],
                "t:3: 1 values where the header has 2 columns; put values that hold commas or \
                 line breaks in quotes",
            ),
            (
                b"text,label\na,b\nx,y,z\n",
                "t:3: 3 values where the header has 2 columns; put values that hold commas or \
                 line breaks in quotes",
            ),
            (b"text,label\na,b\n\nx,y\n", "t:3: the line is blank; remove it"),
            (b"text,label\r\na,b\r\n\r\nx,y\r\n", "t:3: the line is blank; remove it"),
            (
                b"text,label\na,b\nx\xFF,y\n",
                "t:3: `text`: not UTF-8 (from its byte 2); save the file as UTF-8",
            ),
            (
                b"text,label\na,b\n\"x,0\ny,1\n\"z\",0\nw,1\n",
                "t:3: text follows a closing quote: a quote before it is one too many, or was \
                 never closed; write `\"\"` for a quote within a quoted value",
            ),
            (
                b"text,label\na,b\nx,\"y\nz,0\n",
                "t:3: a quote is opened and never closed; close it, or write `\"\"` for a quote \
                 within a quoted value",
            ),
        ] {
            let found = rows(body).unwrap();
            let errors: Vec<&String> = found.iter().filter_map(|row| row.as_ref().err()).collect();
            assert_eq!(errors, [expected]);
            assert_eq!(found[0], Ok((2, text("a"))));
        }
    }

    #[test]
    fn quotes_that_are_well_written_are_no_errors() {
        for body in [
            &b"text,label\n\"a \"\"b\"\"\",0\n"[..],
            b"text,label\r\n\"\",0\r\n\"a,\"\"\",\"1\"\r\n",
            b"text,label\na 5\" disk,0\n\"\"\"\",1",
        ] {
            assert!(rows(body).unwrap().iter().all(Result::is_ok), "{body:?}");
        }
    }

    #[test]
    fn a_bad_header_is_named() {
        for (body, expected) in [
            (
                &b"id;text;label\n1;a;b\n"[..],
                "t:1: the columns are separated by `;`; save with commas",
            ),
            (
                b"id\ttext\tlabel\n1\ta\tb\n",
                "t:1: the columns are separated by tabs; save with commas",
            ),
            (b"text,label,text\n", "t:1: the column `text` occurs twice; rename one"),
            (b"te\xFFxt,label\n", "t:1: not UTF-8 (from its byte 3); save the file as UTF-8"),
            (b"", "t: the file is empty; check that it was copied whole"),
        ] {
            assert_eq!(rows(body).unwrap_err(), expected);
        }
    }

    #[test]
    fn the_bytes_before_the_header_may_say_what_they_are() {
        let folder = crate::fixture::Folder::with(&[("t.csv", "\u{feff}text\nx\n")]);
        let table = super::super::read_rows(
            &crate::source::Source::file(&folder.path().join("t.csv")),
            &["text"],
            None,
        )
        .unwrap();
        assert_eq!(table.rows[0].as_ref().unwrap().values, [text("x")]);
        folder.file("t.csv", b"\xFF\xFEt\0e\0x\0t\0");
        let error = super::super::read_rows(
            &crate::source::Source::file(&folder.path().join("t.csv")),
            &["text"],
            None,
        )
        .unwrap_err();
        assert!(error.to_string().ends_with("the file is UTF-16; save it as UTF-8"));
    }
}
