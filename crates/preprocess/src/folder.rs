//! Foreign JSON files of a checkpoint folder, read key by key with errors that name the key.
//!
//! Unknown keys are allowed, as are absent ones and `null`; a known key with a value that is not
//! supported is an error.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::PreprocessError;

/// One object of a JSON file.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    path: PathBuf,
    /// Where in the file: empty, or `image_processor.`.
    prefix: String,
    object: Map<String, Value>,
}

impl Config {
    /// The object that a file holds, `None` if there is no such file.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, PreprocessError> {
        let Some(bytes) = read_file(path)? else { return Ok(None) };
        let malformed =
            |line, problem| PreprocessError::Json { path: path.to_owned(), line, problem };
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(object)) => {
                Ok(Some(Self { path: path.to_owned(), prefix: String::new(), object }))
            }
            Ok(_) => Err(malformed(1, "the file holds no JSON object".to_owned())),
            Err(error) => Err(malformed(error.line(), error.to_string())),
        }
    }

    pub(crate) fn into_object(self) -> Map<String, Value> {
        self.object
    }

    /// The value of a key; absent and `null` are the same.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    /// The value of a key as a `T`, described by `expected` where it is another.
    pub(crate) fn typed<T: DeserializeOwned>(
        &self,
        key: &str,
        expected: &str,
    ) -> Result<Option<T>, PreprocessError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => T::deserialize(value)
                .map(Some)
                .map_err(|error| self.unsupported(key, &format!("{expected} ({error})"))),
        }
    }

    /// A switch, `default` where the key is absent.
    pub(crate) fn switch(&self, key: &str, default: bool) -> Result<bool, PreprocessError> {
        Ok(self.typed(key, "`true` or `false`")?.unwrap_or(default))
    }

    /// A whole number.
    pub(crate) fn count(&self, key: &str) -> Result<Option<usize>, PreprocessError> {
        self.typed(key, "a whole number, 0 or more")
    }

    /// The object under a key.
    pub(crate) fn nested(&self, key: &str) -> Result<Option<Self>, PreprocessError> {
        Ok(self.typed(key, "an object")?.map(|object| Self {
            path: self.path.clone(),
            prefix: format!("{}{key}.", self.prefix),
            object,
        }))
    }

    /// The error for a key whose value is not supported.
    pub(crate) fn unsupported(&self, key: &str, expected: &str) -> PreprocessError {
        PreprocessError::Value {
            path: self.path.clone(),
            key: format!("{}{key}", self.prefix),
            value: self.get(key).map_or_else(|| "null".to_owned(), Value::to_string),
            expected: expected.to_owned(),
        }
    }

    /// The error for a key that has to be there.
    pub(crate) fn missing(&self, key: &str, expected: &str) -> PreprocessError {
        PreprocessError::NoKey {
            path: self.path.clone(),
            key: format!("{}{key}", self.prefix),
            expected: expected.to_owned(),
        }
    }
}

/// The bytes of a file, `None` if there is no such file.
pub(crate) fn read_file(path: &Path) -> Result<Option<Vec<u8>>, PreprocessError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PreprocessError::Read { path: path.to_owned(), source }),
    }
}
