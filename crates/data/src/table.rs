//! Tables of one's own: `train`, `val` and `test` as CSV, JSONL or Parquet, with the columns `id`, `text`,
//! `image` and `label`.

use std::collections::BTreeSet;
use std::path::Path;

use crate::columns::Columns;
use crate::dataset::Request;
use crate::error::listed;
use crate::place::Place;
use crate::rows::RawTable;
use crate::scan::{Collector, Labels, Scan};
use crate::source::Source;
use crate::{DataError, demo};

const EXTENSIONS: [&str; 3] = ["csv", "jsonl", "parquet"];

/// The one file of a split.
pub(crate) fn locate(place: &Place, split: &str) -> Result<Source, DataError> {
    let mut files: Vec<Source> = Vec::new();
    for extension in EXTENSIONS {
        files.extend(place.file(&format!("{split}.{extension}"), None)?);
    }
    match files.as_slice() {
        [file] => Ok(file.clone()),
        [] => Err(DataError::file(
            place.root(),
            format!(
                "the split `{split}` has no file; expected `{split}.csv`, `{split}.jsonl` or `{split}.parquet`"
            ),
        )),
        [first, second, ..] => Err(DataError::file(
            second.path(),
            format!(
                "the split `{split}` is also in {}; remove one of them",
                first.path().display()
            ),
        )),
    }
}

/// Reads one split; the classes are those of the training file unless they were given.
pub(crate) fn scan(request: &Request<'_>) -> Result<Scan, DataError> {
    let source = locate(request.place, request.split)?;
    let path = source.path();
    let columns = Columns::new(request.options)?;
    let table = columns.read(&source)?;
    let names = class_names(request, path, &columns, &table)?;
    let remedy = if request.options.labels.is_some() {
        "the classes are those of the checkpoint or of `mmc train --labels`: fix the row or drop it"
    } else {
        "the classes are those of the training file: fix the row, drop it, or name all \
         classes with `mmc train --labels`"
    };
    let labels = Labels { codes: names.clone(), names, remedy };
    let mut collector = Collector::new(request, path, labels);
    collector.notes.extend(demo::note(request.place)?);
    for row in table.rows {
        collector.add(row, |row| columns.fields(row));
    }
    collector.finish()
}

/// The classes in order: those given, else those of the training file.
fn class_names(
    request: &Request<'_>,
    path: &Path,
    columns: &Columns<'_>,
    table: &RawTable,
) -> Result<Vec<String>, DataError> {
    if let Some(given) = &request.options.labels {
        let distinct: BTreeSet<&String> = given.iter().collect();
        if distinct.len() < given.len() || given.iter().any(String::is_empty) || given.len() < 2 {
            return Err(DataError::Setting(format!(
                "the labels {} are not two or more different names; fix `--labels`",
                listed(given.iter().map(String::as_str))
            )));
        }
        return Ok(given.clone());
    }
    let train = request.dataset.train;
    if request.split == train {
        return Ok(ordered_labels(columns, table));
    }
    match locate(request.place, train) {
        Ok(file) => Ok(ordered_labels(columns, &columns.read_labels(&file)?)),
        Err(error) if ordered_labels(columns, table).is_empty() => {
            // Without labels there is nothing to name; but two training files stay an error.
            let is_absent = |end: &&str| {
                let file = request.place.file(&format!("{train}.{end}"), None);
                matches!(file, Ok(None))
            };
            if EXTENSIONS.iter().all(is_absent) { Ok(Vec::new()) } else { Err(error) }
        }
        Err(_) => Err(DataError::file(
            path,
            format!(
                "the classes are not known, since the split `{train}` has no file beside this \
                 one; put it there, or name them with `mmc train --labels`"
            ),
        )),
    }
}

/// All labels of a table: by value if all are whole numbers, else by bytes. The order of the rows
/// has no part in it.
fn ordered_labels(columns: &Columns<'_>, table: &RawTable) -> Vec<String> {
    let labels: BTreeSet<String> =
        table.rows.iter().flatten().filter_map(|row| columns.fields(row).ok()?.label).collect();
    let mut numbers: Vec<(i128, String)> =
        labels.iter().filter_map(|label| Some((label.parse().ok()?, label.clone()))).collect();
    if numbers.len() < labels.len() {
        return labels.into_iter().collect();
    }
    numbers.sort();
    numbers.into_iter().map(|(_, label)| label).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::Folder;
    use crate::{ReadOptions, Target};

    fn options() -> ReadOptions {
        ReadOptions::default()
    }

    const TRAIN: &str = "id,text,image,label\na,one,,cat\nb,two,,dog\n";

    #[test]
    fn csv_and_jsonl_say_the_same() {
        let csv = Folder::with(&[("train.csv", "text,id,label\n\"a, \"\"b\"\"\nc\",7,1\n,8,0\n")]);
        let json = concat!(
            "{\"id\": 7, \"text\": \"a, \\\"b\\\"\\nc\", \"label\": 1, \"image\": null}\n",
            "{\"id\": \"8\", \"text\": \"\", \"label\": \"0\", \"extra\": [1, {\"x\": 2}]}\n"
        );
        let json = Folder::with(&[("train.jsonl", json)]);
        let (csv, json) =
            (csv.read("table", "train", &options()), json.read("table", "train", &options()));
        let (csv, json) = (csv.unwrap(), json.unwrap());
        assert_eq!(csv.samples, json.samples);
        assert_eq!(csv.labels, json.labels);
        assert_eq!(csv.samples[0].text, "a, \"b\"\nc");
        assert_eq!(csv.samples[0].target, Some(Target::Class(1)));
        assert_eq!(csv.fingerprint(), json.fingerprint());
    }

    #[test]
    fn absent_ids_are_split_and_row() {
        let folder =
            Folder::with(&[("train.csv", "text,label\nx,0\ny,1\n"), ("val.csv", "text\nz\n")]);
        let split = folder.read("table", "train", &options()).unwrap();
        let ids: Vec<&str> = split.iter().map(|sample| sample.id.as_str()).collect();
        assert_eq!(ids, ["train:1", "train:2"]);
        let split = folder.read("table", "val", &options()).unwrap();
        assert_eq!(split.samples[0].id, "val:1");
        assert_eq!((split.is_labelled(), split.labels.len()), (false, 2));
    }

    #[test]
    fn classes_are_the_training_files_by_number_or_by_bytes() {
        for (labels, expected) in [
            (&["10", "9", "-1"][..], &["-1", "9", "10"][..]),
            (&["10", "9", "x"], &["10", "9", "x"]),
            (&["b", "B", "a", "é"], &["B", "a", "b", "é"]),
            (&["true", "false", "1", "0"], &["0", "1", "false", "true"]),
        ] {
            let rows = format!("x,{}\n", labels.join("\nx,"));
            let last = format!("text,label\nx,{}\n", labels[0]);
            let folder =
                Folder::with(&[("train.csv", &format!("text,label\n{rows}")), ("val.csv", &last)]);
            assert_eq!(folder.read("table", "train", &options()).unwrap().labels, expected);
            // The same classes for a split that has only one of them.
            assert_eq!(folder.read("table", "val", &options()).unwrap().labels, expected);
        }
    }

    #[test]
    fn an_unseen_label_is_an_error_with_its_row() {
        let folder =
            Folder::with(&[("train.csv", TRAIN), ("val.csv", "text,label\nx,cat\ny,Cat\n")]);
        assert_eq!(
            folder.message("table", "val", &options()),
            "val.csv:3: `label` is `Cat`, did you mean `cat`?; expected `cat`, `dog`; the classes \
             are those of the training file: fix the row, drop it, or name all classes with `mmc \
             train --labels`"
        );
        let labels = Some(["dog", "cat", "Cat"].map(str::to_owned).to_vec());
        let given = ReadOptions { labels, ..options() };
        let split = folder.read("table", "val", &given).unwrap();
        assert_eq!(split.labels, ["dog", "cat", "Cat"]);
        assert_eq!(split.class_counts(), [0, 1, 1]);
    }

    #[test]
    fn without_a_training_file_the_classes_must_be_given() {
        let folder = Folder::with(&[("test.csv", "text,label\nx,cat\n")]);
        assert!(
            folder
                .message("table", "test", &options())
                .contains("name them with `mmc train --labels`")
        );
        let labels = Some(["cat", "dog"].map(str::to_owned).to_vec());
        let given = ReadOptions { labels, ..options() };
        assert_eq!(folder.read("table", "test", &given).unwrap().class_counts(), [1, 0]);
        for labels in [&["cat"][..], &["cat", "cat"], &["cat", ""]] {
            let labels = Some(labels.iter().copied().map(str::to_owned).collect());
            let wrong = ReadOptions { labels, ..options() };
            assert!(folder.message("table", "test", &wrong).contains("fix `--labels`"));
        }
    }

    #[test]
    fn columns_may_have_other_names() {
        let folder = Folder::with(&[("train.csv", "key,headline,label\n1,hello,0\n")]);
        let message = folder.message("table", "train", &options());
        assert!(message.starts_with("train.csv:1: no column `text`; the others are `key`"));
        let named = ReadOptions {
            id_column: Some("key".to_owned()),
            text_column: Some("headline".to_owned()),
            ..options()
        };
        let split = folder.read("table", "train", &named).unwrap();
        assert_eq!((split.samples[0].id.as_str(), split.samples[0].text.as_str()), ("1", "hello"));
        let absent = ReadOptions { image_column: Some("Label".to_owned()), ..named.clone() };
        assert!(folder.message("table", "train", &absent).contains("no column `Label`"));
        let twice = ReadOptions { label_column: Some("key".to_owned()), ..named };
        assert_eq!(
            folder.message("table", "train", &twice),
            "`--id-column` and `--label-column` both name the column `key`; give each its own"
        );
    }

    #[test]
    fn a_near_miss_of_a_column_is_suggested() {
        let folder = Folder::with(&[("train.jsonl", "{\"Text\": \"x\", \"label\": 1}\n")]);
        let message = folder.message("table", "train", &options());
        assert_eq!(
            message,
            "train.jsonl:1: no column `text`; the others are `Text`; did you mean `Text`? Then \
             give `--text-column Text`"
        );
    }

    #[test]
    fn a_split_has_one_file() {
        let folder = Folder::with(&[("train.csv", TRAIN), ("train.jsonl", "{}")]);
        let message = folder.message("table", "train", &options());
        assert!(message.starts_with("train.jsonl: the split `train` is also in "), "{message}");
        let message = folder.message("table", "val", &options());
        assert!(message.contains("the split `val` has no file; expected `val.csv`"), "{message}");
        let message = folder.message("table", "valid", &options());
        assert!(message.contains("unknown split `valid`"), "{message}");
        let folder = Folder::with(&[("train.parquet", "PAR1")]);
        let message = folder.message("table", "train", &options());
        assert_eq!(
            message,
            "train.parquet: not a Parquet file that can be read (it has 4 bytes, too few); save it anew, \
             compressed with Snappy or not at all"
        );
    }

    #[test]
    fn a_missing_root_says_how_to_get_the_data() {
        let error = crate::dataset("news").unwrap().read(Path::new("nowhere"), "train", &options());
        let message = error.unwrap_err().to_string();
        assert!(message.starts_with("nowhere: no such folder"), "{message}");
        assert!(message.contains("`data/news/`"), "{message}");
    }

    #[test]
    fn a_split_of_no_row_is_an_error() {
        for (name, text) in [
            ("train.csv", ""),
            ("train.csv", "id,text\n"),
            ("train.jsonl", "\n\n"),
            ("train.jsonl", ""),
        ] {
            let folder = Folder::with(&[(name, text)]);
            let message = folder.message("table", "train", &options());
            assert!(
                message.contains("check that it was copied whole"),
                "{name} {text:?}: {message}"
            );
        }
    }

    proptest! {
        /// Whatever bytes a file holds: a split or an error, and never a panic.
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for name in ["train.csv", "train.jsonl"] {
                let folder = Folder::with(&[]);
                folder.file(name, &bytes);
                if let Ok(split) = folder.read("table", "train", &options()) {
                    prop_assert!(!split.is_empty());
                }
            }
        }

        /// Whatever is written by a correct CSV writer is read back.
        #[test]
        fn written_rows_are_read_back(texts in proptest::collection::vec("[a-z,\"\n\r é]{0,12}", 1..8)) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["text", "label"]).unwrap();
            for (index, text) in texts.iter().enumerate() {
                writer.write_record([text.as_str(), ["a", "b"][index % 2]]).unwrap();
            }
            let folder = Folder::with(&[]);
            folder.file("train.csv", writer.into_inner().unwrap());
            let split = folder.read("table", "train", &options()).unwrap();
            let read: Vec<&str> = split.iter().map(|sample| sample.text.as_str()).collect();
            prop_assert_eq!(read, texts);
        }
    }
}
