//! Rows to predict or embed: no data set, no labels.

use std::path::Path;

use crate::place::Place;
use crate::scan::group_shared_content;
use crate::table::Columns;
use crate::{DataError, ReadOptions, Sample};

/// Reads the rows of a CSV or JSONL file with the columns `id` (optional), `text` and `image`
/// (optional). Pictures are relative to `image_root`; an absent id is `input:ROW`, with rows
/// counted from 1. Other columns are passed over.
///
/// # Errors
///
/// The first thing wrong, with file and line: see [`DataError`].
pub fn read_inputs(file: &Path, image_root: &Path) -> Result<Vec<Sample>, DataError> {
    let options = ReadOptions::default();
    let columns = Columns::new(&options)?;
    let place = Place::new(image_root)?;
    let mut samples = Vec::new();
    let mut lines_of_ids = std::collections::BTreeMap::new();
    for (index, row) in columns.read(file)?.rows.into_iter().enumerate() {
        let row = row?;
        let bad = |field: &str, words: String| DataError::row(file, row.line, field, words);
        let fields = columns.fields(&row).map_err(|(field, words)| bad(&field, words))?;
        let id = fields.id.unwrap_or_else(|| format!("input:{}", index + 1));
        if let Some(earlier) = lines_of_ids.insert(id.clone(), row.line) {
            let words = format!("the id `{id}` is that of line {earlier} already; change one");
            return Err(bad("id", words));
        }
        let image = fields
            .image
            .map(|relative| place.picture(&relative, true))
            .transpose()
            .map_err(|(_, words)| bad("image", format!("{words} (id `{id}`)")))?;
        samples.push(Sample { id, text: fields.text, image, target: None, group: None });
    }
    if samples.is_empty() {
        return Err(DataError::file(file, "no row in this file; check that it was copied whole"));
    }
    group_shared_content(&mut samples);
    Ok(samples)
}
