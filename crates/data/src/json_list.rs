//! A list within one large JSON object, with the line of each of its elements.

use std::marker::PhantomData;
use std::path::PathBuf;

use rayon::prelude::*;
use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::DataError;
use crate::source::Source;

/// Elements that are parsed at once: what is parsed takes more room than its text.
const CHUNK: usize = 1 << 14;

/// The text of a file, and where its list lies.
pub(crate) struct JsonList {
    path: PathBuf,
    text: String,
    key: &'static str,
}

/// An element with the line on which it begins, where it could be parsed.
pub(crate) type Element<T> = Result<(usize, T), DataError>;

impl JsonList {
    /// Reads a file whose list is called `key`.
    pub(crate) fn read(source: &Source, key: &'static str) -> Result<Self, DataError> {
        let (path, bytes) = (source.path(), source.read()?);
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let line = line_of(&error.as_bytes()[..valid]);
            DataError::row(path, line, "", "not UTF-8; save the file as UTF-8, or copy it again")
        })?;
        Ok(Self { path: path.to_owned(), text, key })
    }

    /// Parses the elements in parallel and gives them in turn, a chunk of them in memory at a time.
    pub(crate) fn for_each<'a, T: Deserialize<'a> + Send>(
        &'a self,
        mut each: impl FnMut(Element<T>),
    ) -> Result<(), DataError> {
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        if text.trim().is_empty() {
            let problem = "the file is empty; check that it was copied whole";
            return Err(DataError::file(&self.path, problem));
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        let list = serde::de::DeserializeSeed::deserialize(Wanted(self.key), &mut reader)
            .and_then(|list| reader.end().map(|()| list))
            .map_err(|error| {
                let mark = if error.line() == 1 { self.text.len() - text.len() } else { 0 };
                self.fault((error.line(), error.column() + mark), None, &error)
            })?;
        let Some(list) = list else {
            let problem = format!("no list `{}` in this file; is it the right one?", self.key);
            return Err(DataError::row(&self.path, 1, self.key, problem));
        };
        let start = self.text.as_ptr() as usize;
        // Where the last element began, on which line, and where that line began.
        let (mut at, mut line, mut line_start) = (0, 1, 0);
        let mut number = 0;
        for chunk in list.chunks(CHUNK) {
            let parsed: Vec<Result<T, serde_json::Error>> =
                chunk.par_iter().map(|raw| serde_json::from_str(raw.get())).collect();
            for (raw, parsed) in chunk.iter().zip(parsed) {
                let here = raw.get().as_ptr() as usize - start;
                let between = &self.text.as_bytes()[at..here];
                line += count_lines(between);
                if let Some(last) = between.iter().rposition(|byte| *byte == b'\n') {
                    line_start = at + last + 1;
                }
                at = here;
                number += 1;
                each(parsed.map(|parsed| (line, parsed)).map_err(|error| {
                    let before = if error.line() == 1 { here - line_start } else { 0 };
                    let place = (line + error.line().saturating_sub(1), before + error.column());
                    self.fault(place, Some(number), &error)
                }));
            }
        }
        Ok(())
    }

    /// What is wrong at a line and column (in bytes) of the file, in the list's element of a number.
    fn fault(
        &self,
        (line, column): (usize, usize),
        number: Option<usize>,
        error: &serde_json::Error,
    ) -> DataError {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        let problem = if error.is_eof() {
            "the file ends inside a JSON value; it may be cut short, copy it again".to_owned()
        } else {
            let entry = number.map(|number| format!(", in entry {number} of `{}`", self.key));
            let entry = entry.unwrap_or_default();
            format!("{message} in column {column}{entry}; fix the entry, or copy the file again")
        };
        DataError::row(&self.path, line, "", problem)
    }
}

fn count_lines(bytes: &[u8]) -> usize {
    bytes.split(|byte| *byte == b'\n').count() - 1
}

fn line_of(before: &[u8]) -> usize {
    count_lines(before) + 1
}

/// The list of one key of an object, its elements unparsed.
struct Wanted(&'static str);

impl<'de> serde::de::DeserializeSeed<'de> for Wanted {
    type Value = Option<Vec<&'de RawValue>>;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        struct Object<'de>(&'static str, PhantomData<&'de ()>);
        impl<'de> Visitor<'de> for Object<'de> {
            type Value = Option<Vec<&'de RawValue>>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "an object with a list `{}`", self.0)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut found = None;
                while let Some(key) = map.next_key::<String>()? {
                    if key != self.0 {
                        map.next_value::<IgnoredAny>()?;
                    } else if found.is_some() {
                        return Err(A::Error::custom(format!("the key `{key}` occurs twice")));
                    } else {
                        found = Some(map.next_value()?);
                    }
                }
                Ok(found)
            }
        }
        from.deserialize_map(Object(self.0, PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Folder;

    #[derive(Deserialize)]
    struct Named {
        name: String,
    }

    /// Line and name of an element, or what is said of it.
    type Found = Result<(usize, String), String>;

    fn read(text: &str) -> Result<Vec<Found>, String> {
        let folder = Folder::with(&[("x.json", text)]);
        let message = |error: DataError| {
            error.to_string().replace(&format!("{}/", folder.path().display()), "")
        };
        let list = JsonList::read(&Source::file(&folder.path().join("x.json")), "list")
            .map_err(message)?;
        let mut found = Vec::new();
        list.for_each(|element: Element<Named>| {
            found.push(element.map(|(line, named)| (line, named.name)).map_err(message));
        })
        .map_err(message)?;
        Ok(found)
    }

    #[test]
    fn elements_have_their_lines() {
        let text = "\u{feff}{\"info\": {\"list\": [1]},\n \"list\": [\n{\"name\": \"a\", \"x\": 1},\n\n\
                    {\"name\":\n\"b\"}, {\"nam\": 1}, {\"name\":\n 7}\n]}\n";
        let found = read(text).unwrap();
        assert_eq!(found[0], Ok((3, "a".to_owned())));
        assert_eq!(found[1], Ok((5, "b".to_owned())));
        let message = found[2].as_ref().unwrap_err();
        assert!(message.starts_with("x.json:6: missing field `name`"), "{message}");
        let message = found[3].as_ref().unwrap_err();
        assert!(message.starts_with("x.json:7: invalid type"), "{message}");
    }

    #[test]
    fn a_fault_is_where_it_is_in_the_file() {
        // Published files are one line.
        for (text, place) in [
            ("{\"list\": [{\"name\": \"a\"}, {\"nam\": 1}, {\"name\": 7}]}", [(1, 35), (1, 47)]),
            (
                "\u{feff}{\"list\": [{\"name\": \"a\"}, {\"nam\": 1}, {\"name\": 7}]}",
                [(1, 38), (1, 50)],
            ),
            ("{\"list\": [{\"name\": \"a\"},\n{\"nam\": 1}, {\"name\":\n 7}]}", [(2, 10), (3, 2)]),
        ] {
            let found = read(text).unwrap();
            let entries =
                (2..).zip(["missing field `name`", "invalid type: integer `7`, expected a string"]);
            for ((found, (line, column)), (entry, words)) in
                found[1..].iter().zip(place).zip(entries)
            {
                let expected = format!(
                    "x.json:{line}: {words} in column {column}, in entry {entry} of `list`; fix the \
                     entry, or copy the file again"
                );
                assert_eq!(found.as_ref().unwrap_err(), &expected);
            }
        }
        let message = read("\u{feff}{\"list\": [1,]}").unwrap_err();
        assert!(message.contains(" in column 16; fix"), "{message}");
    }

    #[test]
    fn what_is_no_such_file_is_named() {
        for (text, expected) in [
            ("", "x.json: the file is empty"),
            ("{\"other\": []}", "x.json:1: no list `list` in this file"),
            ("[1, 2]", "x.json:1: invalid type: sequence, expected an object with a list `list`"),
            ("{\"list\": [\n{\"name\": \"a\"},\n{\"na", "x.json:3: the file ends inside a JSON"),
            ("{\"list\": [],\n\"list\": []}", "x.json:2: the key `list` occurs twice"),
        ] {
            let message = read(text).unwrap_err();
            assert!(message.starts_with(expected), "{message}");
        }
        // As deep as a stack is not.
        let deep = format!("{{\"list\": [{}]}}", "[".repeat(100_000));
        assert!(read(&deep).is_err());
    }
}
