//! `config.json` of a checkpoint, read key by key with errors that name the key.
//!
//! Unknown keys are allowed, absent ones and `null` have the architecture's default; a known key
//! with a value that is not supported is an error.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::ModelError;

/// The largest count that is read: products of two stay whole numbers of 64 bits.
const MOST: u64 = 1 << 30;

/// The longest side of a picture or patch that is read: its square is such a count.
const MOST_SIDE: u64 = 1 << 15;

/// The largest JSON file that is read; a `config.json` of 20,000 classes has 1 MiB.
pub(crate) const MOST_JSON_BYTES: u64 = 4 << 20;

/// The object in a JSON file.
#[derive(Clone, Debug)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    /// Before each key in errors: empty, or `text_config.` for a tower.
    scope: String,
    object: Map<String, Value>,
}

impl ConfigFile {
    /// Reads `folder/config.json`.
    pub(crate) fn read(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join("config.json");
        match read_object(&path)? {
            Some(object) => Ok(Self { path, scope: String::new(), object }),
            None => Err(ModelError::NoFile {
                folder: folder.to_owned(),
                file: "`config.json`".to_owned(),
            }),
        }
    }

    /// The same as if it had been read from `path`.
    pub(crate) fn of(path: PathBuf, object: Map<String, Value>) -> Self {
        Self { path, scope: String::new(), object }
    }

    pub(crate) fn object(&self) -> &Map<String, Value> {
        &self.object
    }

    /// The configuration of a tower such as `text`: the object `text_config`.
    ///
    /// Old files hold `text_config_dict` too. It wins, and for what it leaves out there are the
    /// architecture's defaults, not `text_config`: so transformers reads them.
    pub(crate) fn tower(&self, name: &str) -> Result<Self, ModelError> {
        let keys = [format!("{name}_config_dict"), format!("{name}_config")];
        let key = keys.iter().find(|key| self.get(key).is_some()).unwrap_or(&keys[1]);
        let object = match self.get(key) {
            None => Map::new(),
            Some(Value::Object(object)) => object.clone(),
            Some(_) => return Err(self.unsupported(key, "an object")),
        };
        Ok(Self { path: self.path.clone(), scope: format!("{}{key}.", self.scope), object })
    }

    /// The value of a key; absent and `null` are the same.
    fn get(&self, key: &str) -> Option<&Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    /// A whole number above 0, at most [`MOST`].
    pub(crate) fn count(&self, key: &str, default: usize) -> Result<usize, ModelError> {
        self.check_most(key, MOST)?;
        self.read_as(key, default, "a whole number above 0", |value| {
            value.as_u64().filter(|&count| count > 0).and_then(|count| count.try_into().ok())
        })
    }

    /// Refuses whole numbers, alone or in a list, above `most`.
    fn check_most(&self, key: &str, most: u64) -> Result<(), ModelError> {
        let value = self.get(key);
        let listed = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let largest = value.into_iter().chain(listed).filter_map(Value::as_u64).max();
        match largest {
            Some(largest) if largest > most => {
                Err(self.unsupported(key, &format!("at most {most}")))
            }
            _ => Ok(()),
        }
    }

    /// A number, 0 or more.
    pub(crate) fn number(&self, key: &str, default: f64) -> Result<f64, ModelError> {
        self.read_as(key, default, "a number, 0 or more", |value| {
            value.as_f64().filter(|number| number.is_finite() && *number >= 0.0)
        })
    }

    /// A probability of dropout.
    pub(crate) fn dropout(&self, key: &str, default: f64) -> Result<f64, ModelError> {
        self.read_as(key, default, "a number, 0 or more and less than 1", |value| {
            value.as_f64().filter(|number| (0.0..1.0).contains(number))
        })
    }

    /// The side of a square: a number, or a pair of equal ones.
    pub(crate) fn side(&self, key: &str, default: usize) -> Result<usize, ModelError> {
        self.check_most(key, MOST_SIDE)?;
        self.read_as(key, default, "a whole number above 0, or a pair of equal ones", |value| {
            let one = |value: &Value| value.as_u64().filter(|&side| side > 0);
            let side = match value.as_array().map(Vec::as_slice) {
                Some([first, second]) => one(first).filter(|_| first == second),
                _ => one(value),
            };
            side.and_then(|side| side.try_into().ok())
        })
    }

    /// A switch.
    pub(crate) fn switch(&self, key: &str, default: bool) -> Result<bool, ModelError> {
        self.read_as(key, default, "`true` or `false`", Value::as_bool)
    }

    /// A word, if there is one.
    pub(crate) fn word(&self, key: &str) -> Result<Option<&str>, ModelError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(word)) => Ok(Some(word)),
            Some(_) => Err(self.unsupported(key, "a string")),
        }
    }

    /// Checks that a key is absent or has the one word that is supported.
    pub(crate) fn only(&self, key: &str, supported: &str) -> Result<(), ModelError> {
        match self.word(key)? {
            Some(word) if word != supported => {
                Err(self.unsupported(key, &format!("`{supported}`")))
            }
            _ => Ok(()),
        }
    }

    /// The classes that `id2label` names, in order; `None` where there is no such key.
    pub(crate) fn classes(&self) -> Result<Option<Vec<String>>, ModelError> {
        let key = "id2label";
        let Some(value) = self.get(key) else { return Ok(None) };
        let expected = "an object with a name for each of `0`, `1`, …";
        let names = value.as_object().ok_or_else(|| self.unsupported(key, expected))?;
        (0..names.len())
            .map(|id| {
                let name = names.get(&id.to_string()).and_then(Value::as_str);
                name.map(str::to_owned).ok_or_else(|| self.unsupported(key, expected))
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// The error for a key whose value is not supported.
    pub(crate) fn unsupported(&self, key: &str, expected: &str) -> ModelError {
        ModelError::Value {
            path: self.path.clone(),
            key: format!("{}{key}", self.scope),
            value: self.get(key).map_or_else(|| "null".to_owned(), shown),
            expected: expected.to_owned(),
        }
    }

    fn read_as<T>(
        &self,
        key: &str,
        default: T,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T, ModelError> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => read(value).ok_or_else(|| self.unsupported(key, expected)),
        }
    }
}

/// A value as it stands in the file, strings without their quotes; the beginning of long ones.
fn shown(value: &Value) -> String {
    let whole = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match whole.char_indices().nth(200) {
        Some((end, _)) => format!("{} …", &whole[..end]),
        None => whole,
    }
}

/// The object that a JSON file holds, `None` if there is no such file.
pub(crate) fn read_object(path: &Path) -> Result<Option<Map<String, Value>>, ModelError> {
    let unreadable = |source| ModelError::Read { path: path.to_owned(), source };
    let malformed = |line, problem| ModelError::Json { path: path.to_owned(), line, problem };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(unreadable(source)),
    };
    let mut bytes = Vec::new();
    file.take(MOST_JSON_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_JSON_BYTES {
        let problem = format!("the file has more than {MOST_JSON_BYTES} bytes");
        return Err(malformed(1, problem));
    }
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(object)) => Ok(Some(object)),
        Ok(_) => Err(malformed(1, "the file holds no JSON object".to_owned())),
        Err(error) => Err(malformed(error.line(), error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> ConfigFile {
        let object = serde_json::from_str(text).unwrap();
        ConfigFile { path: "config.json".into(), scope: String::new(), object }
    }

    #[test]
    fn the_older_object_of_a_tower_wins() {
        let old = r#"{"text_config": {"a": 1, "b": 2}, "text_config_dict": {"a": 3}}"#;
        let tower = config(old).tower("text").unwrap();
        assert_eq!(tower.count("a", 9).unwrap(), 3);
        assert_eq!(tower.count("b", 9).unwrap(), 9);
        let new = r#"{"text_config": {"a": 1}, "text_config_dict": null}"#;
        assert_eq!(config(new).tower("text").unwrap().count("a", 9).unwrap(), 1);
        assert_eq!(config("{}").tower("text").unwrap().count("a", 9).unwrap(), 9);
    }

    #[test]
    fn a_key_is_named_with_its_tower() {
        let tower = config(r#"{"text_config": {"a": "b"}}"#).tower("text").unwrap();
        let error = tower.count("a", 1).unwrap_err().to_string();
        assert_eq!(error, "config.json: `text_config.a` is `b`, expected a whole number above 0");
        assert!(config(r#"{"text_config": 1}"#).tower("text").is_err());
    }
}
