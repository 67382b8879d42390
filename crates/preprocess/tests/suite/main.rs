//! Compares this crate with Pillow and transformers, whose outputs `tests/references/processors.py`
//! writes to `tests/fixtures/`, and tests what needs a whole checkpoint folder. A missing fixture
//! is a failure.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod loader;
mod pixels;
mod processor;
mod resize;
mod scaled;
mod stored;
mod tokens;

use std::fs;
use std::path::{Path, PathBuf};

use mmc_data::{ImageSource, Sample};
use serde_json::Value;

/// A file or folder of the fixtures.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A JSON file of the fixtures.
fn json(name: &str) -> Value {
    let path = fixture(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; run tests/references/processors.py", path.display())
    });
    serde_json::from_str(&text).unwrap()
}

/// The whole numbers of a JSON array.
fn numbers(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap() as u32).collect()
}

/// A sample of this text and of a picture of the fixtures.
fn sample(id: &str, text: &str, picture: Option<&str>) -> Sample {
    Sample {
        id: id.to_owned(),
        text: text.to_owned(),
        image: picture
            .map(|name| ImageSource::File(fixture("pictures").join(format!("{name}.png")))),
        target: None,
        group: None,
    }
}
