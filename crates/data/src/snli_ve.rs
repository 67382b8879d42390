//! SNLI-VE (Xie et al., 2019): one JSON object a line, a Flickr30k picture as the premise and
//! `sentence2` as the hypothesis.
//!
//! `sentence1`, the caption that stands for the picture in SNLI, is never read: it nearly gives the
//! label away. Rows without a majority among the annotators (`-`) and rows on pictures of Visual
//! Genome (`vg_…`) are no part of the set: they are left out and counted.

use crate::dataset::Request;
use crate::error::listed;
use crate::place::Place;
use crate::rows::{RawRow, Value, open_rows};
use crate::scan::{Collector, FieldError, Fields, Labels, Scan};
use crate::source::Source;
use crate::values::{name_of, text_of};
use crate::{DataError, demo};

/// The picture's name has two spellings; where it is absent, the ids begin with it.
const COLUMNS: [&str; 6] =
    ["pairID", "Flickr30K_ID", "Flikr30kID", "captionID", "sentence2", "gold_label"];

/// What the folder of pictures is called after unpacking.
const PICTURE_FOLDERS: [&str; 3] =
    ["flickr30k_images", "flickr30k-images", "flickr30k_images/flickr30k_images"];

/// The file of a split.
pub(crate) fn locate(place: &Place, split: &str) -> Result<Source, DataError> {
    let name = format!("snli_ve_{split}.jsonl");
    let absent = || {
        let problem = format!(
            "the split `{split}` has no file; put it there as the authors' generator writes it"
        );
        DataError::file(&place.root().join(&name), problem)
    };
    place.file(&name, None)?.ok_or_else(absent)
}

/// Reads one split.
pub(crate) fn scan(request: &Request<'_>) -> Result<Scan, DataError> {
    let source = locate(request.place, request.split)?;
    let path = source.path();
    let names: Vec<String> =
        request.dataset.classes.unwrap_or_default().iter().map(|&name| name.to_owned()).collect();
    let labels = Labels { codes: names.clone(), names, remedy: "fix the row or drop it" };
    let labels = labels.in_order_of(request.options.labels.as_deref())?;
    let folder = picture_folder(request.place);
    let mut collector = Collector::new(request, path, labels);
    collector.notes.extend(demo::note(request.place)?);
    let (mut rows, mut no_majority, mut other_pictures) = (0_usize, 0_usize, 0_usize);
    for row in open_rows(&source, &COLUMNS)?.rows {
        rows += 1;
        match row.as_ref().ok().and_then(outside) {
            Some(Outside::NoMajority) => no_majority += 1,
            Some(Outside::OtherPictures) => other_pictures += 1,
            None => {
                collector.add(row, |row| fields(row, folder));
                continue;
            }
        }
        collector.pass_over();
    }
    for (count, why) in [
        (no_majority, "their label is `-`: no majority of the annotators agreed"),
        (other_pictures, "their picture is of Visual Genome (`vg_`), not of Flickr30k"),
    ] {
        if count > 0 {
            let path = path.display();
            collector.notes.push(format!("{path}: {count} of {rows} rows left out: {why}"));
        }
    }
    collector.finish()
}

/// The folder that is there; the usual one where none is.
fn picture_folder(place: &Place) -> &'static str {
    // The nested one first: an archive that was unpacked into a folder of its own name.
    let found = PICTURE_FOLDERS.iter().rev().find(|folder| place.has_folder(folder));
    found.copied().unwrap_or(PICTURE_FOLDERS[0])
}

/// Why a row of the file is no row of the set.
enum Outside {
    NoMajority,
    OtherPictures,
}

fn outside(row: &RawRow) -> Option<Outside> {
    let is = |column: usize, holds: fn(&str) -> bool| matches!(row.values.get(column), Some(Value::Text(text)) if holds(text));
    if is(5, |label| label == "-") {
        Some(Outside::NoMajority)
    } else if is(0, |id| id.starts_with("vg_")) {
        Some(Outside::OtherPictures)
    } else {
        None
    }
}

fn fields(row: &RawRow, folder: &str) -> Result<Fields, FieldError> {
    let [pair, id, old_id, caption, text, label] = row.values.as_slice() else {
        return Err((String::new(), "the row has no columns".to_owned()));
    };
    let missing = |field: &str| {
        let others = listed(row.others.iter().map(String::as_str));
        let words = format!(
            "no `{field}`; a row has `pairID`, `Flickr30K_ID`, `sentence2` and `gold_label`, and \
             this one has also {others}; fix the row or drop it"
        );
        (field.to_owned(), words)
    };
    let pair = name_of("pairID", pair)?;
    let named = match name_of("Flickr30K_ID", id)? {
        None => name_of("Flikr30kID", old_id)?,
        named => named,
    };
    let caption = name_of("captionID", caption)?;
    let picture = named
        .as_deref()
        .map(|name| name.strip_suffix(".jpg").unwrap_or(name))
        .or_else(|| pair.as_deref().and_then(before_extension))
        .or_else(|| caption.as_deref().and_then(before_extension))
        .filter(|name| !name.is_empty())
        .ok_or_else(|| missing("Flickr30K_ID"))?
        .to_owned();
    Ok(Fields {
        id: pair,
        text: text_of("sentence2", text)?.ok_or_else(|| missing("sentence2"))?,
        image: Some(format!("{folder}/{picture}.jpg").into()),
        label: name_of("gold_label", label)?,
        group: Some(picture),
    })
}

/// `1016887272` of `1016887272.jpg#2r1e`.
fn before_extension(id: &str) -> Option<&str> {
    id.split_once(".jpg").map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use crate::fixture::Folder;
    use crate::{Arm, ImageSource, ReadOptions, Target};

    const ROWS: &str = concat!(
        r#"{"Flickr30K_ID":"11","annotator_labels":["neutral"],"captionID":"11.jpg#0","gold_label":"neutral","pairID":"11.jpg#0r1n","sentence1":"a dog","sentence2":"The dog is old."}"#,
        "\n",
        r#"{"Flikr30kID":"11.jpg","gold_label":"entailment","pairID":"11.jpg#0r1e","sentence1":"a dog","sentence2":"An animal."}"#,
        "\n",
        r#"{"Flickr30K_ID":12,"gold_label":"-","pairID":"12.jpg#0r1c","sentence2":"x"}"#,
        "\n",
        r#"{"gold_label":"contradiction","pairID":"12.jpg#0r2c","sentence2":"A cat."}"#,
        "\n",
        r#"{"gold_label":"neutral","pairID":"vg_7#0r2c","sentence2":"A cat."}"#,
        "\n",
        r#"{"captionID":"13.jpg#1","gold_label":"contradiction","sentence2":"A cat."}"#,
        "\n",
    );

    fn folder(pictures: &str) -> Folder {
        let folder = Folder::with(&[("snli_ve_train.jsonl", ROWS)]);
        for name in ["11", "12", "13"] {
            folder.picture(&format!("{pictures}/{name}.jpg"), 9);
        }
        folder
    }

    #[test]
    fn every_spelling_of_the_picture_is_read_and_grouped_by() {
        for pictures in super::PICTURE_FOLDERS {
            let folder = folder(pictures);
            let split = folder.read("snli_ve", "train", &ReadOptions::default()).unwrap();
            assert_eq!(split.labels, ["entailment", "neutral", "contradiction"]);
            let ids: Vec<&str> = split.iter().map(|sample| sample.id.as_str()).collect();
            assert_eq!(ids, ["11.jpg#0r1n", "11.jpg#0r1e", "12.jpg#0r2c", "train:6"]);
            let groups: Vec<&str> =
                split.iter().map(|sample| sample.group.as_deref().unwrap()).collect();
            assert_eq!(groups, ["11", "11", "12", "13"], "never by the text that two rows share");
            let targets: Vec<Option<Target>> =
                split.iter().map(|sample| sample.target.clone()).collect();
            assert_eq!(targets, [1, 0, 2, 2].map(|class| Some(Target::Class(class))));
            assert_eq!(split.samples[0].text, "The dog is old.");
            let picture = ImageSource::File(folder.path().join(pictures).join("12.jpg"));
            assert_eq!(split.samples[2].image, Some(picture));
        }
    }

    #[test]
    fn rows_that_are_no_part_of_the_set_are_counted() {
        let split =
            folder("flickr30k_images").read("snli_ve", "train", &ReadOptions::default()).unwrap();
        assert_eq!(split.notes.len(), 2, "{:?}", split.notes);
        assert!(split.notes[0].contains("1 of 6 rows left out: their label is `-`"));
        assert!(split.notes[1].contains("1 of 6 rows left out: their picture is of Visual Genome"));
    }

    #[test]
    fn a_bad_row_is_named_with_line_field_and_remedy() {
        for (row, expected) in [
            (
                r#"{"Flickr30K_ID":"11","gold_label":"entails","pairID":"x","sentence2":"y"}"#,
                "snli_ve_train.jsonl:1: `label` is `entails`, did you mean `entailment`?",
            ),
            (
                r#"{"Flickr30K_ID":"11","gold_label":"neutral","pairID":"x","sentence_2":"y"}"#,
                "snli_ve_train.jsonl:1: no `sentence2`; a row has",
            ),
            (
                r#"{"gold_label":"neutral","pairID":"x","sentence2":"y"}"#,
                "snli_ve_train.jsonl:1: no `Flickr30K_ID`; a row has",
            ),
            (
                r#"{"Flickr30K_ID":"99","gold_label":"neutral","pairID":"x","sentence2":"y"}"#,
                "snli_ve_train.jsonl:1: the picture `flickr30k_images/99.jpg` is missing",
            ),
            (
                r#"{"Flickr30K_ID":"../99","gold_label":"neutral","pairID":"x","sentence2":"y"}"#,
                "snli_ve_train.jsonl:1: the picture `flickr30k_images/../99.jpg` has `..`",
            ),
        ] {
            let folder = folder("flickr30k_images");
            folder.file("snli_ve_train.jsonl", format!("{row}\n"));
            let message = folder.message("snli_ve", "train", &ReadOptions::default());
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn the_text_arm_needs_no_picture() {
        let folder = Folder::with(&[("snli_ve_train.jsonl", ROWS)]);
        let text = ReadOptions { arm: Arm::Text, ..ReadOptions::default() };
        assert_eq!(folder.read("snli_ve", "train", &text).unwrap().len(), 4);
        let message = folder.message("snli_ve", "train", &ReadOptions::default());
        assert!(message.contains("`flickr30k_images/11.jpg` is missing"), "{message}");
    }
}
