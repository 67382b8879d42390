//! Foreign JSON files of a checkpoint folder, read key by key with errors that name the key.
//!
//! Unknown keys are allowed, as are absent ones and `null`; a known key with a value that is not
//! supported is an error.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::PreprocessError;

/// The largest file that is read but for vocabularies; a `config.json` of 20,000 classes has 1 MiB.
const MOST_BYTES: u64 = 4 << 20;

/// The largest vocabulary that is read, in either form; RoBERTa's has 2 MiB.
pub(crate) const MOST_VOCABULARY_BYTES: u64 = 32 << 20;

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
        Self::read_up_to(path, MOST_BYTES)
    }

    /// The same for a file of at most `most` bytes.
    pub(crate) fn read_up_to(path: &Path, most: u64) -> Result<Option<Self>, PreprocessError> {
        let Some(bytes) = read_file(path, most)? else { return Ok(None) };
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

    /// The same as if it had been read from `path`.
    pub(crate) fn of(path: &Path, object: Map<String, Value>) -> Self {
        Self { path: path.to_owned(), prefix: String::new(), object }
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
            value: self.get(key).map_or_else(|| "null".to_owned(), shown),
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

/// A value as it stands in the file, the beginning of long ones.
fn shown(value: &Value) -> String {
    let whole = value.to_string();
    match whole.char_indices().nth(200) {
        Some((end, _)) => format!("{} …", &whole[..end]),
        None => whole,
    }
}

/// The bytes of a file of at most `most`, `None` if there is no such file.
pub(crate) fn read_file(path: &Path, most: u64) -> Result<Option<Vec<u8>>, PreprocessError> {
    let unreadable = |source| PreprocessError::Read { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(unreadable(source)),
    };
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > most {
        let problem = format!("the file has more than {most} bytes");
        return Err(PreprocessError::Json { path: path.to_owned(), line: 1, problem });
    }
    Ok(Some(bytes))
}
