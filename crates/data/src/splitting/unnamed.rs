//! Columns of pictures that a table has by another name than the usual one.

use std::path::Path;

use crate::picture::bytes_of;
use crate::rows::{Value, open_rows};
use crate::source::Source;
use crate::{ImageSource, error::listed};

/// How many rows are looked at, and how many columns.
const ROWS: usize = 100;
const COLUMNS: usize = 1000;

/// How the names of pictures end.
const ENDINGS: [&str; 9] =
    [".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"];

/// What to say of a table without a named column of pictures whose `others` may be such: most of the
/// values in its first rows are pictures, or are called like one. The table was read whole before, so
/// what is wrong with it was said.
pub(super) fn note(input: &Path, others: &[String]) -> Option<String> {
    let names: Vec<&str> = others.iter().map(String::as_str).take(COLUMNS).collect();
    let table = open_rows(&Source::file(input), &names).ok()?;
    let mut values = vec![0_usize; names.len()];
    let mut pictures = values.clone();
    for row in table.rows.take(ROWS).filter_map(Result::ok) {
        for (column, value) in row.values.iter().enumerate() {
            values[column] += usize::from(!is_empty(value));
            pictures[column] += usize::from(is_picture(value));
        }
    }
    let are_pictures = |column: &usize| pictures[*column] * 2 > values[*column];
    let found: Vec<&str> =
        (0..names.len()).filter(are_pictures).map(|column| names[column]).collect();
    let verb = if found.len() == 1 { "looks like pictures" } else { "look like pictures" };
    (!found.is_empty()).then(|| {
        format!(
            "there is no column `image`, so rows with the same picture may come into different \
             splits; {} {verb}: name the column with `--image-column`",
            listed(found.into_iter())
        )
    })
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Absent => true,
        Value::Text(text) => text.trim().is_empty(),
        Value::Bare(_) | Value::Nested | Value::Bytes(_) => false,
    }
}

fn is_picture(value: &Value) -> bool {
    match value {
        Value::Text(text) => {
            let name = text.trim().to_lowercase();
            ENDINGS.iter().any(|ending| name.ends_with(ending))
        }
        Value::Bytes(packed) => bytes_of(&ImageSource::Packed(packed.clone()))
            .is_ok_and(|bytes| image::guess_format(&bytes).is_ok()),
        Value::Absent | Value::Bare(_) | Value::Nested => false,
    }
}
