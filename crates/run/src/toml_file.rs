//! Reading our own TOML files so that every mistake is found at once and has a line, a column
//! and, where a key is misspelt, the key that was meant.

use std::path::Path;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use crate::RunError;
use crate::error::{ConfigProblem, nearest};

/// The keys that the table at a dotted path (`""`: the file itself) may have.
pub(crate) type Known<'a> = &'a dyn Fn(&str) -> Vec<&'static str>;

/// Reads `text`, the contents of `path`, as a `T`.
///
/// # Errors
/// [`RunError::Config`] with every mistake.
pub(crate) fn parse<T: DeserializeOwned>(
    text: &str,
    path: &Path,
    known: Known,
) -> Result<T, RunError> {
    let mut found = Vec::new();
    let (root, syntax) = DeTable::parse_recoverable(text);
    for error in &syntax {
        found.push((error.span().map_or(0, |span| span.start), error.message().to_owned()));
    }
    if syntax.is_empty() {
        unknown_keys(root.get_ref(), "", known, &mut found);
        if let Some(value) = typed(root, &mut found)
            && found.is_empty()
        {
            return Ok(value);
        }
    }
    found.sort();
    let problems = found
        .into_iter()
        .map(|(offset, problem)| {
            let (line, column) = position(text, offset);
            ConfigProblem { line, column, problem }
        })
        .collect();
    Err(RunError::Config { path: path.to_path_buf(), problems })
}

/// `root` as a `T`. A value of the wrong type is noted and taken out, and the rest is tried
/// again, so that one mistake does not hide the next.
fn typed<T: DeserializeOwned>(
    mut root: toml::Spanned<DeTable<'_>>,
    found: &mut Vec<(usize, String)>,
) -> Option<T> {
    let mut taken_out = Vec::new();
    loop {
        let deserializer = toml::de::Deserializer::from(root.clone());
        let mut track = serde_path_to_error::Track::new();
        let tracked = serde_path_to_error::Deserializer::new(deserializer, &mut track);
        let error = match T::deserialize(tracked) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let at = track.path();
        let keys: Vec<String> = at
            .iter()
            .filter_map(|segment| match segment {
                serde_path_to_error::Segment::Map { key } => Some(key.clone()),
                _ => None,
            })
            .collect();
        let message = in_words(error.message());
        // A value that was taken out above is then reported as missing, which is not news.
        let echo = taken_out.iter().any(|key: &String| message.contains(&format!("`{key}`")));
        if !(echo && message.starts_with("missing field")) {
            let start = error.span().map_or(0, |span| span.start);
            let place = if keys.is_empty() { String::new() } else { format!("`{at}`: ") };
            found.push((start, format!("{place}{message}")));
        }
        if !take_out(root.get_mut(), &keys) {
            return None;
        }
        taken_out.extend(keys.last().cloned());
    }
}

/// A file of ours, as `toml` found it wrong: with its place, and in words.
pub(crate) fn fault(text: &str, path: &Path, error: &toml::de::Error) -> RunError {
    let (line, column) = position(text, error.span().map_or(0, |span| span.start));
    let problem = in_words(error.message());
    RunError::Config {
        path: path.to_path_buf(),
        problems: vec![ConfigProblem { line, column, problem }],
    }
}

/// A message with the names of Rust's types replaced by what they hold.
fn in_words(message: &str) -> String {
    let message = message.trim_end();
    let Some((before, expected)) = message.rsplit_once("expected ") else {
        return message.to_owned();
    };
    let words = match expected {
        "u64" | "usize" | "u32" => "a whole number, 0 or above",
        "i64" => "a whole number",
        "f64" | "f32" => "a number",
        "a boolean" => "`true` or `false`",
        "a string" => "text in quotation marks",
        "a sequence" => "a list in brackets",
        "a map" => "a table",
        other => other,
    };
    format!("{before}expected {words}")
}

/// Removes the value at `keys`; says whether there was one.
fn take_out(table: &mut DeTable<'_>, keys: &[String]) -> bool {
    match keys {
        [] => false,
        [key] => table.remove(key.as_str()).is_some(),
        [key, rest @ ..] => match table.get_mut(key.as_str()).map(toml::Spanned::get_mut) {
            Some(DeValue::Table(inner)) => take_out(inner, rest),
            _ => table.remove(key.as_str()).is_some(),
        },
    }
}

fn unknown_keys(table: &DeTable<'_>, place: &str, known: Known, found: &mut Vec<(usize, String)>) {
    let expected = known(place);
    for (key, value) in table {
        let name: &str = key.get_ref();
        let inner = if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") };
        if !expected.contains(&name) {
            let hint = match nearest(name, expected.iter().copied()) {
                Some(meant) => format!(", did you mean `{meant}`?"),
                None => format!("; known keys: {}", expected.join(", ")),
            };
            found.push((key.span().start, format!("unknown key `{inner}`{hint}")));
        } else if !known(&inner).is_empty() {
            for deeper in tables(value.get_ref()) {
                unknown_keys(deeper, &inner, known, found);
            }
        }
    }
}

/// The table that a value is, or the tables that its list holds.
fn tables<'a, 'b>(value: &'a DeValue<'b>) -> Vec<&'a DeTable<'b>> {
    match value {
        DeValue::Table(table) => vec![table],
        DeValue::Array(items) => items.iter().flat_map(|item| tables(item.get_ref())).collect(),
        _ => Vec::new(),
    }
}

/// Line and column, from 1, of a byte of `text`; columns count characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct File {
        epochs: u64,
        name: String,
        inner: Inner,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Inner {
        seeds: Vec<u64>,
    }

    fn read(text: &str) -> Result<File, RunError> {
        parse(text, Path::new("f.toml"), &|table| match table {
            "" => vec!["epochs", "name", "inner"],
            "inner" => vec!["seeds"],
            _ => Vec::new(),
        })
    }

    #[test]
    fn a_good_file_is_read() {
        let file = read("epochs = 3\nname = \"a\"\n[inner]\nseeds = [1, 2]\n").unwrap();
        assert_eq!((file.epochs, file.name.as_str(), file.inner.seeds), (3, "a", vec![1, 2]));
    }

    #[test]
    fn types_are_named_in_plain_words() {
        let message = read("epochs = -1\n").unwrap_err().to_string();
        assert!(message.ends_with("`-1`, expected a whole number, 0 or above"), "{message}");
        let message = read("[inner]\nseeds = true\n").unwrap_err().to_string();
        assert!(message.ends_with("expected a list in brackets"), "{message}");
    }

    #[test]
    fn positions_count_characters() {
        let message = read("name = \"é\" ; epochs\n").unwrap_err().to_string();
        assert!(message.starts_with("f.toml:1:12: "), "{message}");
        assert_eq!(position("ab\nç d", 6), (2, 3));
    }

    #[test]
    fn every_mistake_is_listed_in_the_order_of_the_file_with_the_nearest_key() {
        let message = read("epohcs = 3\nname = 4\n[inner]\nseed = 1\nseeds = [1, \"x\"]\n")
            .unwrap_err()
            .to_string();
        let lines: Vec<&str> = message.lines().collect();
        assert_eq!(lines[0], "f.toml:1:1: unknown key `epohcs`, did you mean `epochs`?");
        assert_eq!(
            lines[1],
            "f.toml:2:8: `name`: invalid type: integer `4`, expected text in quotation marks"
        );
        assert_eq!(lines[2], "f.toml:4:1: unknown key `inner.seed`, did you mean `seeds`?");
        assert!(lines[3].starts_with("f.toml:5:13: `inner.seeds[1]`: invalid type"), "{message}");
        assert_eq!(lines.len(), 4, "{message}");
    }
}
