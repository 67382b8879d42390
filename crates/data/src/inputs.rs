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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Folder;

    fn message(folder: &Folder, name: &str) -> String {
        let error = read_inputs(&folder.path().join(name), folder.path()).unwrap_err();
        error.to_string().replace(&format!("{}/", folder.path().display()), "")
    }

    #[test]
    fn inputs_are_read_without_labels() {
        let folder = Folder::with(&[
            ("in.csv", "image,text,label\na.png,one,ignored\n,two,\n"),
            ("in.jsonl", "{\"text\":\"one\",\"image\":\"a.png\"}\n{\"text\":\"two\"}\n"),
        ]);
        folder.picture("a.png", 1);
        let csv = read_inputs(&folder.path().join("in.csv"), folder.path()).unwrap();
        let jsonl = read_inputs(&folder.path().join("in.jsonl"), folder.path()).unwrap();
        assert_eq!(csv, jsonl);
        let ids: Vec<&str> = csv.iter().map(|sample| sample.id.as_str()).collect();
        assert_eq!(ids, ["input:1", "input:2"]);
        assert!(csv[0].image.is_some() && csv[1].image.is_none());
        assert!(csv.iter().all(|sample| sample.target.is_none()));
    }

    #[test]
    fn bad_inputs_are_named() {
        let folder = Folder::with(&[
            ("twice.csv", "id,text\n1,a\n1,b\n"),
            ("gone.csv", "id,text,image\n1,a,gone.png\n"),
            ("out.csv", "id,text,image\n1,a,../x.png\n"),
            ("none.csv", "id,text\n"),
            ("rows.txt", "id,text\n1,a\n"),
            ("header.csv", "id,image\n1,a.png\n"),
        ]);
        assert_eq!(
            message(&folder, "twice.csv"),
            "twice.csv:3: the id `1` is that of line 2 already; change one"
        );
        for (name, part) in [
            ("gone.csv", "gone.csv:2: the picture `gone.png` is missing"),
            ("out.csv", "out.csv:2: the picture `../x.png` has `..` in its path"),
            ("none.csv", "none.csv: no row in this file"),
            ("rows.txt", "rows.txt: expected a file that ends in `.csv` or `.jsonl`"),
            ("header.csv", "header.csv:1: no column `text`"),
            ("absent.csv", "absent.csv: No such file"),
        ] {
            assert!(message(&folder, name).starts_with(part), "{}", message(&folder, name));
        }
    }
}
