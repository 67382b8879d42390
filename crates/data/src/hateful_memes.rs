//! Hateful Memes (Kiela et al., 2020): one JSON object a line with `id`, `img`, `label`, `text`.

use crate::dataset::Request;
use crate::error::listed;
use crate::place::Place;
use crate::rows::{RawRow, read_rows};
use crate::scan::{Collector, FieldError, Fields, Labels, Scan};
use crate::source::Source;
use crate::values::{name_of, text_of};
use crate::{DataError, demo};

const COLUMNS: [&str; 4] = ["id", "img", "text", "label"];

/// The file of a split.
pub(crate) fn locate(place: &Place, split: &str) -> Result<Source, DataError> {
    let name = format!("{split}.jsonl");
    let absent = || {
        let problem = format!("the split `{split}` has no file; put it there as it was released");
        DataError::file(&place.root().join(&name), problem)
    };
    place.file(&name, None)?.ok_or_else(absent)
}

/// Reads one split.
pub(crate) fn scan(request: &Request<'_>) -> Result<Scan, DataError> {
    let source = locate(request.place, request.split)?;
    let classes = request.dataset.classes.unwrap_or_default();
    let labels = Labels {
        names: classes.iter().copied().map(str::to_owned).collect(),
        codes: (0..classes.len()).map(|class| class.to_string()).collect(),
        remedy: "fix the row or drop it",
    };
    let labels = labels.in_order_of(request.options.labels.as_deref())?;
    let mut collector = Collector::new(request, source.path(), labels);
    collector.notes.extend(demo::note(request.place)?);
    for row in read_rows(&source, &COLUMNS, None)?.rows {
        collector.add(row, fields);
    }
    collector.finish()
}

fn fields(row: &RawRow) -> Result<Fields, FieldError> {
    let [id, image, text, label] = row.values.as_slice() else {
        return Err((String::new(), "the row has no columns".to_owned()));
    };
    let missing = |field: &str| {
        let others = listed(row.others.iter().map(String::as_str));
        let words = format!(
            "no `{field}`; a row has `id`, `img`, `text` and, unless the split is unlabelled, \
             `label`, and this one has also {others}; fix the row or drop it"
        );
        (field.to_owned(), words)
    };
    Ok(Fields {
        id: Some(name_of("id", id)?.ok_or_else(|| missing("id"))?),
        text: text_of("text", text)?.ok_or_else(|| missing("text"))?,
        image: Some(
            text_of("img", image)?
                .filter(|path| !path.is_empty())
                .ok_or_else(|| missing("img"))?
                .into(),
        ),
        label: name_of("label", label)?,
        group: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::fixture::Folder;
    use crate::{Arm, ImageSource, OnBadItem, ReadOptions, Target, dataset, decode};

    const GOOD: &str = concat!(
        r#"{"id":42953,"img":"img/42953.png","label":0,"text":"its their character"}"#,
        "\n",
        r#"{"id":"01235","img":"img/01235.png","label":1,"text":"don't\nbe \"afraid\""}"#,
        "\n"
    );

    /// A set whose `train` has the two good rows and then this one, all pictures present.
    fn with_row(row: &str) -> Folder {
        let folder = Folder::with(&[("train.jsonl", &format!("{GOOD}{row}\n"))]);
        for name in ["42953", "01235", "3"] {
            folder.picture(&format!("img/{name}.png"), 9);
        }
        folder
    }

    fn message(row: &str) -> String {
        with_row(row).message("hateful_memes", "train", &ReadOptions::default())
    }

    #[test]
    fn rows_are_read_as_they_are_written() {
        let folder = with_row("");
        let split = folder.read("hateful_memes", "train", &ReadOptions::default()).unwrap();
        assert_eq!(split.labels, ["not_hateful", "hateful"]);
        let ids: Vec<&str> = split.iter().map(|sample| sample.id.as_str()).collect();
        assert_eq!(ids, ["42953", "01235"]);
        assert_eq!(split.samples[1].text, "don't\nbe \"afraid\"");
        assert_eq!(split.samples[1].target, Some(Target::Class(1)));
        let picture = ImageSource::File(folder.path().join("img/01235.png"));
        assert_eq!(split.samples[1].image, Some(picture));
        assert_eq!(split.class_counts(), [1, 1]);
        assert!(split.notes.is_empty());
    }

    #[test]
    fn the_last_line_may_lack_its_end_and_lines_may_end_as_on_windows() {
        let folder = with_row("");
        let expected = folder.read("hateful_memes", "train", &ReadOptions::default()).unwrap();
        for text in [GOOD.trim_end().to_owned(), format!("\u{feff}{}", GOOD.replace('\n', "\r\n"))]
        {
            folder.file("train.jsonl", text);
            let split = folder.read("hateful_memes", "train", &ReadOptions::default()).unwrap();
            assert_eq!(split, expected);
        }
    }

    #[test]
    fn a_bad_row_is_named_with_line_field_and_remedy() {
        for (row, expected) in [
            (
                r#"{"id":3,"img":"img/3.png","label":2,"text":"x"}"#,
                "train.jsonl:3: `label` is `2`; expected `0`, `1`; fix the row or drop it",
            ),
            (
                r#"{"id":3,"img":"img/3.png","text":"x"}"#,
                "train.jsonl:3: no `label` (id `3`), though 2 other rows have one; add it, or \
                 leave it out of every row",
            ),
            (
                r#"{"id":42953,"img":"img/3.png","label":1,"text":"x"}"#,
                "train.jsonl:3: the id `42953` is that of line 1 already; ids name predictions, \
                 so give each row its own",
            ),
            (
                r#"{"id":3,"image":"img/3.png","label":1,"text":"x"}"#,
                "train.jsonl:3: no `img`; a row has `id`, `img`, `text` and, unless the split is \
                 unlabelled, `label`, and this one has also `image`; fix the row or drop it",
            ),
            (
                r#"{"id":3,"img":"img/3.png","label":1,"text":7}"#,
                "train.jsonl:3: `text` is `7`, expected a string in quotes",
            ),
            (
                r#"{"id":3,"img":["img/3.png"],"label":1,"text":"x"}"#,
                "train.jsonl:3: `img` is a list or an object, expected a string in quotes",
            ),
            (
                r#"{"id":3,"img":"img/3.png","label":1,"te"#,
                "train.jsonl:3: the line ends inside a JSON object; write the whole object in one \
                 line, or copy the file again if it is cut short",
            ),
            (
                r#"{"id":3,"img":"img/3.png","label":1,"label":0,"text":"x"}"#,
                "train.jsonl:3: not one JSON object: the key `label` occurs twice; fix the line",
            ),
        ] {
            assert_eq!(message(row), expected, "{row}");
        }
    }

    #[test]
    fn pictures_stay_below_the_root() {
        for (path, why) in [
            ("../../etc/passwd", "has `..` in its path"),
            ("img/../../x.png", "has `..` in its path"),
            ("/etc/passwd", "has an absolute path"),
        ] {
            let message = message(&format!(r#"{{"id":3,"img":"{path}","label":1,"text":"x"}}"#));
            let start = format!("train.jsonl:3: the picture `{path}` {why}; write its path");
            assert!(message.starts_with(&start), "{message}");
            assert!(message.ends_with("(id `3`)"), "{message}");
        }
    }

    #[test]
    fn missing_pictures_stop_or_are_skipped_and_counted() {
        let folder = with_row(r#"{"id":4,"img":"img/4.png","label":1,"text":"x"}"#);
        let stop = ReadOptions::default();
        let message = folder.message("hateful_memes", "train", &stop);
        assert_eq!(
            message,
            "train.jsonl:3: the picture `img/4.png` is missing; put it at img/4.png, or skip \
             such rows (`--on-bad-item skip` of `mmc train` and `mmc evaluate`) (id `4`)"
        );
        let skip = ReadOptions { on_bad_item: OnBadItem::Skip, ..ReadOptions::default() };
        let split = folder.read("hateful_memes", "train", &skip).unwrap();
        assert_eq!(split.len(), 3, "who needs the picture skips its row");
        assert!(split.notes[0].ends_with("1 of 3 rows will be skipped: their picture is missing"));
        assert!(decode(split.samples[2].image.as_ref().unwrap()).is_err());
        // The text arm does not need it, and its split is the same one.
        let text = ReadOptions { arm: Arm::Text, ..ReadOptions::default() };
        let texts = folder.read("hateful_memes", "train", &text).unwrap();
        assert_eq!((texts.len(), texts.fingerprint()), (3, split.fingerprint()));
    }

    #[test]
    fn skipping_is_for_missing_pictures_alone() {
        let skip = ReadOptions { on_bad_item: OnBadItem::Skip, ..ReadOptions::default() };
        for row in ["{}", r#"{"id":3,"img":"../3.png","label":1,"text":"x"}"#] {
            assert!(with_row(row).read("hateful_memes", "train", &skip).is_err(), "{row}");
        }
    }

    #[test]
    fn classes_have_the_order_that_is_asked_for() {
        let folder = with_row("");
        let asked = |names: &[&str]| ReadOptions {
            labels: Some(names.iter().map(|&name| name.to_owned()).collect()),
            ..ReadOptions::default()
        };
        let split =
            folder.read("hateful_memes", "train", &asked(&["hateful", "not_hateful"])).unwrap();
        assert_eq!(split.labels, ["hateful", "not_hateful"]);
        let targets: Vec<Option<Target>> =
            split.iter().map(|sample| sample.target.clone()).collect();
        assert_eq!(targets, [1, 0].map(|class| Some(Target::Class(class))));
        for names in [&["a", "b"][..], &["hateful"], &["hateful", "hateful"]] {
            let message = folder.message("hateful_memes", "train", &asked(names));
            assert!(message.contains("`not_hateful`, `hateful`"), "{message}");
        }
    }

    #[test]
    fn a_split_without_labels_is_read_as_such() {
        let unlabelled = GOOD.replace(r#""label":0,"#, "").replace(r#""label":1,"#, "");
        let folder = with_row("");
        folder.file("test_unseen.jsonl", unlabelled);
        let split = folder.read("hateful_memes", "test_unseen", &ReadOptions::default()).unwrap();
        assert!(!split.is_labelled());
        assert_eq!(split.len(), 2);
        assert!(split.iter().all(|sample| sample.target.is_none()));
    }

    #[test]
    fn the_first_release_stands_in_with_a_note() {
        let memes = dataset("hateful_memes").unwrap();
        let folder =
            Folder::with(&[("train.jsonl", "{}"), ("dev.jsonl", "{}"), ("test.jsonl", "{}")]);
        let splits = memes.resolve_splits(folder.path()).unwrap();
        assert_eq!((splits.selection.as_str(), splits.test.as_str()), ("dev", "test"));
        assert_eq!(splits.notes.len(), 2);
        folder.file("dev_unseen.jsonl", "{}");
        folder.file("test_unseen.jsonl", "{}");
        let splits = memes.resolve_splits(folder.path()).unwrap();
        assert_eq!(
            (splits.selection.as_str(), splits.test.as_str()),
            ("dev_unseen", "test_unseen")
        );
        assert!(splits.notes.is_empty());
    }
}
