//! Rows to predict or embed: no data set, no labels.

use std::path::Path;

use crate::place::Place;
use crate::rows::{RawTable, Value};
use crate::scan::group_shared_content;
use crate::table::Columns;
use crate::{Arm, DataError, Sample};

/// Reads the rows of a CSV or JSONL file with the columns `id` (optional), `text` and `image`
/// (optional; `img` where there is no `image`, as in Hateful Memes). What `arm` does not show may
/// be absent: the column of texts, the files of pictures. Pictures are relative to `image_root`;
/// an absent id is `input:ROW`, with rows counted from 1. Other columns are passed over.
///
/// # Errors
///
/// The first thing wrong, with file and line: see [`DataError`].
pub fn read_inputs(file: &Path, image_root: &Path, arm: Arm) -> Result<Vec<Sample>, DataError> {
    let mut columns = Columns::of_inputs("image", arm.uses_text());
    let mut table = columns.read(file)?;
    if has_only_img(&table) {
        columns = Columns::of_inputs("img", arm.uses_text());
        table = columns.read(file)?;
    }
    let place = Place::new(image_root)?;
    let mut samples = Vec::new();
    let mut lines_of_ids = std::collections::BTreeMap::new();
    for (index, row) in table.rows.into_iter().enumerate() {
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
            .map(|relative| place.picture(&relative, arm.uses_image()))
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

/// Whether pictures are in `img`: no row has an `image`, and one has that.
fn has_only_img(table: &RawTable) -> bool {
    let img = "img".to_owned();
    let mut rows = table.rows.iter().flatten();
    let none = rows.all(|row| row.values.get(IMAGE) == Some(&Value::Absent));
    let mut rows = table.rows.iter().flatten();
    none && (table.others.contains(&img) || rows.any(|row| row.others.contains(&img)))
}

/// The place of pictures among the wanted columns.
const IMAGE: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Folder;

    fn message(folder: &Folder, name: &str) -> String {
        let error = read_inputs(&folder.path().join(name), folder.path(), Arm::Both).unwrap_err();
        error.to_string().replace(&format!("{}/", folder.path().display()), "")
    }

    #[test]
    fn inputs_are_read_without_labels() {
        let folder = Folder::with(&[
            ("in.csv", "image,text,label\na.png,one,ignored\n,two,\n"),
            ("in.jsonl", "{\"text\":\"one\",\"image\":\"a.png\"}\n{\"text\":\"two\"}\n"),
        ]);
        folder.picture("a.png", 1);
        let read = |name: &str| read_inputs(&folder.path().join(name), folder.path(), Arm::Both);
        let (csv, jsonl) = (read("in.csv").unwrap(), read("in.jsonl").unwrap());
        assert_eq!(csv, jsonl);
        let ids: Vec<&str> = csv.iter().map(|sample| sample.id.as_str()).collect();
        assert_eq!(ids, ["input:1", "input:2"]);
        assert!(csv[0].image.is_some() && csv[1].image.is_none());
        assert!(csv.iter().all(|sample| sample.target.is_none()));
    }

    #[test]
    fn pictures_may_be_named_as_in_hateful_memes() {
        let folder = Folder::with(&[
            ("in.csv", "id,img,text\n1,a.png,one\n"),
            ("in.jsonl", "{\"id\":1,\"img\":\"a.png\",\"text\":\"one\"}\n"),
        ]);
        folder.picture("a.png", 1);
        for name in ["in.csv", "in.jsonl"] {
            let found = read_inputs(&folder.path().join(name), folder.path(), Arm::Both).unwrap();
            assert!(found[0].image.is_some(), "{name}");
        }
    }

    #[test]
    fn what_a_model_is_not_shown_may_be_absent() {
        let folder =
            Folder::with(&[("in.csv", "id,image\n1,a.png\n"), ("t.csv", "text,image\nx,b.png\n")]);
        folder.picture("a.png", 1);
        let read = |name: &str, arm| read_inputs(&folder.path().join(name), folder.path(), arm);
        assert_eq!(read("in.csv", Arm::Image).unwrap()[0].text, "");
        assert!(read("in.csv", Arm::Both).is_err());
        assert_eq!(read("t.csv", Arm::Text).unwrap()[0].text, "x");
        assert!(read("t.csv", Arm::Both).is_err());
    }

    #[test]
    fn bad_inputs_are_named() {
        let folder = Folder::with(&[
            ("twice.csv", "id,text\n1,a\n1,b\n"),
            ("gone.csv", "id,text,image\n1,a,gone.png\n"),
            ("out.csv", "id,text,image\n1,a,../x.png\n"),
            ("none.csv", "id,text\n"),
            ("break.csv", "text,id\na,\"1\nb,\"\n"),
            ("rows.txt", "id,text\n1,a\n"),
            ("header.csv", "id,image\n1,a.png\n"),
            ("txet.csv", "id,txet\n1,a\n"),
        ]);
        assert_eq!(
            message(&folder, "twice.csv"),
            "twice.csv:3: the id `1` is that of line 2 already; change one"
        );
        for (name, part) in [
            ("gone.csv", "gone.csv:2: the picture `gone.png` is missing"),
            ("out.csv", "out.csv:2: the picture `../x.png` has `..` in its path"),
            ("none.csv", "none.csv: no row in this file"),
            ("break.csv", "break.csv:2: `id` has a line break"),
            ("rows.txt", "rows.txt: expected a file that ends in `.csv` or `.jsonl`"),
            (
                "header.csv",
                "header.csv:1: no column `text`, nor any other that is not known; add it",
            ),
            (
                "txet.csv",
                "txet.csv:1: no column `text`; the others are `txet`; did you mean `txet`? Then rename it",
            ),
            ("absent.csv", "absent.csv: No such file"),
        ] {
            assert!(message(&folder, name).starts_with(part), "{}", message(&folder, name));
        }
    }
}
