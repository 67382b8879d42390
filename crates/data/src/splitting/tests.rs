use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::*;
use crate::fixture::Folder;
use crate::{Arm, ReadOptions, Split, dataset};

/// 200 rows of two classes, three to one; every picture in two rows, some under two names.
fn table() -> (Folder, String) {
    let folder = Folder::with(&[]);
    for picture in 0..100_u8 {
        folder.picture(&format!("img/{picture}.png"), picture);
        folder.picture(&format!("copy/{picture}.png"), picture);
    }
    let mut csv = "id,author,text,image,label\n".to_owned();
    for row in 0..200_usize {
        let (picture, label) = (row % 100, if (row % 100) % 4 == 0 { "cat" } else { "dog" });
        let place = if row < 100 || picture < 50 { "img" } else { "copy" };
        let author = row / 4;
        write!(csv, "{row},w{author},\"a, \"\"b\"\"\n{row}\",{place}/{picture}.png,{label}\n")
            .unwrap();
    }
    folder.file("all.csv", &csv);
    (folder, csv)
}

fn split_of(folder: &Path, input: &str, out: &str, options: &SplitOptions) -> SplitCounts {
    write_splits(&folder.join(input), &folder.join(out), options).unwrap()
}

fn read(folder: &Path, name: &str) -> Split {
    // Some rows have no picture.
    let options = ReadOptions { arm: Arm::Text, ..ReadOptions::default() };
    dataset("table").unwrap().read(folder, name, &options).unwrap()
}

#[test]
fn proportions_are_kept_and_no_picture_is_in_two_splits() {
    let (folder, _) = table();
    let counts = split_of(folder.path(), "all.csv", ".", &SplitOptions::default());
    assert_eq!((counts.rows, counts.groups), ([160, 20, 20], 100));
    // Groups are pairs, so a class is at most one pair from its share.
    for (class, of) in &counts.classes {
        let size: usize = of.iter().sum();
        assert_eq!(size, if class == "cat" { 50 } else { 150 });
        for (count, fraction) in of.iter().zip([0.8, 0.1, 0.1]) {
            assert!((*count as f64 - fraction * size as f64).abs() <= 2.0, "{class} {of:?}");
        }
    }
    assert!(counts.notes.is_empty(), "{:?}", counts.notes);
    let splits = NAMES.map(|name| read(folder.path(), name));
    let mut seen = BTreeMap::new();
    for split in &splits {
        for sample in split {
            let pixels = crate::decode(sample.image.as_ref().unwrap()).unwrap().into_raw();
            assert_eq!(seen.entry(pixels).or_insert(&split.name), &&split.name, "{}", sample.id);
            assert_eq!(sample.text, format!("a, \"b\"\n{}", sample.id), "copied as it is");
        }
    }
    let rows: usize = splits.iter().map(Split::len).sum();
    assert_eq!((seen.len(), rows), (100, 200));
}

#[test]
fn the_same_seed_writes_the_same_files_and_another_does_not() {
    let (folder, _) = table();
    let bytes = |out: &str, seed: u64| {
        let options = SplitOptions { seed, ..SplitOptions::default() };
        let counts = split_of(folder.path(), "all.csv", out, &options);
        counts.files.map(|file| fs::read(file).unwrap())
    };
    let first = bytes("a", 3);
    assert_eq!(first, bytes("b", 3));
    assert_ne!(first, bytes("c", 4));
}

#[test]
fn values_of_a_column_stay_together_too() {
    let (folder, _) = table();
    let options = SplitOptions { group: Some("author".to_owned()), ..SplitOptions::default() };
    // Authors have four rows in a line, and their pictures come again 25 authors later.
    let counts = split_of(folder.path(), "all.csv", "out", &options);
    assert_eq!(counts.groups, 25);
    let mut seen = BTreeMap::new();
    for file in &counts.files {
        let mut reader = csv::Reader::from_path(file).unwrap();
        for record in reader.records() {
            let author = record.unwrap().get(1).unwrap().to_owned();
            assert_eq!(seen.entry(author).or_insert(file), &file);
        }
    }
    assert_eq!(seen.len(), 50);
    assert!(counts.notes[0].starts_with("pictures are named relative to "), "{:?}", counts.notes);
}

#[test]
fn every_format_is_split_alike() {
    let (folder, _) = table();
    let csv = split_of(folder.path(), "all.csv", "csv", &SplitOptions::default());
    let mut reader = csv::Reader::from_path(folder.path().join("all.csv")).unwrap();
    let mut jsonl = String::new();
    for record in reader.deserialize::<BTreeMap<String, String>>() {
        jsonl += &serde_json::to_string(&record.unwrap()).unwrap();
        jsonl.push('\n');
    }
    folder.file("all.jsonl", jsonl.trim_end());
    let json = split_of(folder.path(), "all.jsonl", "json", &SplitOptions::default());
    assert_eq!((&json.rows, &json.classes), (&csv.rows, &csv.classes));
    let lines: Vec<String> =
        json.files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    assert_eq!(lines[1].lines().count(), csv.rows[1]);
    let mut all: Vec<&str> = lines.iter().flat_map(|text| text.lines()).collect();
    let mut expected: Vec<&str> = jsonl.lines().collect();
    all.sort_unstable();
    expected.sort_unstable();
    assert_eq!(all, expected, "every line once, as it was");
}

#[test]
fn a_parquet_table_keeps_its_columns_and_pictures() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parquet/hugging_face");
    let folder = Folder::with(&[]);
    let options = SplitOptions { fractions: [0.5, 0.25, 0.25], ..SplitOptions::default() };
    let counts = write_splits(&place.join("train.parquet"), folder.path(), &options).unwrap();
    // The rows `a` and `d` show one picture.
    assert_eq!((counts.rows, counts.groups), ([2, 1, 1], 1));
    let whole = read(&place, "train");
    let train = read(folder.path(), "train");
    assert_eq!([&train.samples[0].id, &train.samples[1].id], ["a", "d"]);
    let picture = |sample: &crate::Sample| crate::decode(sample.image.as_ref().unwrap()).unwrap();
    assert_eq!(picture(&train.samples[1]), picture(&whole.samples[3]));
    let table = crate::columnar::Columnar::open(&counts.files[1]).unwrap();
    let names: Vec<&String> = table.schema().fields().iter().map(|field| field.name()).collect();
    assert_eq!(names, ["id", "image", "text", "label"]);
    assert!(table.schema().metadata().contains_key("huggingface"));
}

#[test]
fn nothing_is_overwritten_and_nothing_half_is_left() {
    let (folder, _) = table();
    let input = folder.path().join("all.csv");
    folder.file("out/val.jsonl", "kept");
    let words = |out: &str, options: &SplitOptions| {
        write_splits(&input, &folder.path().join(out), options).unwrap_err().to_string()
    };
    let message = words("out", &SplitOptions::default());
    assert!(message.contains("val.jsonl: is there already"), "{message}");
    assert_eq!(fs::read_dir(folder.path().join("out")).unwrap().count(), 1);
    folder.file("file", "in the way");
    assert!(words("file", &SplitOptions::default()).contains("file: "));
    let tiny = SplitOptions { fractions: [0.999, 0.0005, 0.0005], ..SplitOptions::default() };
    assert!(words("new", &tiny).contains("the split `val` would have no row"));
    assert!(!folder.path().join("new").exists());
}

#[test]
fn what_makes_no_sense_is_said() {
    let (folder, _) = table();
    let words = |options: &SplitOptions| {
        let out = folder.path().join("out");
        let error = write_splits(&folder.path().join("all.csv"), &out, options).unwrap_err();
        assert!(!out.exists());
        error
    };
    for fractions in [[0.8, 0.1, 0.2], [1.0, 0.0, 0.0], [1.2, -0.1, -0.1], [f64::NAN, 0.5, 0.5]] {
        let error = words(&SplitOptions { fractions, ..SplitOptions::default() });
        assert!(matches!(error, DataError::Setting(_)), "{fractions:?}: {error}");
    }
    let named = |column: &str| Some(column.to_owned());
    let error = words(&SplitOptions { group: named("autor"), ..SplitOptions::default() });
    assert!(
        error.to_string().contains("did you mean `author`? Then give `--group author`"),
        "{error}"
    );
    let error = words(&SplitOptions { stratify: named("id"), ..SplitOptions::default() });
    assert!(error.to_string().contains("`id` has 200 different values in 200 rows"), "{error}");
    folder.file("bad.csv", "text,label\nx\n");
    let error =
        write_splits(&folder.path().join("bad.csv"), folder.path(), &SplitOptions::default());
    assert!(error.unwrap_err().to_string().contains("bad.csv:2: 1 values"));
}

#[test]
fn pictures_that_are_not_there_are_told_apart_by_path() {
    let folder = Folder::with(&[]);
    let mut rows = String::new();
    for row in 0..40 {
        writeln!(rows, "x{row},gone/{}.png,{}", row / 2, row / 2 % 2).unwrap();
    }
    folder.file("all.csv", format!("text,image,label\n{rows}"));
    let counts = split_of(folder.path(), "all.csv", ".", &SplitOptions::default());
    assert_eq!((counts.rows, counts.groups), ([32, 4, 4], 20));
    assert!(counts.notes[0].starts_with("40 of 40 pictures cannot be read"), "{:?}", counts.notes);
}

#[test]
fn a_column_of_pictures_by_another_name_is_pointed_out() {
    let (folder, csv) = table();
    folder.file("foto.csv", csv.replacen(",image,", ",foto,", 1));
    let counts = split_of(folder.path(), "foto.csv", "out", &SplitOptions::default());
    assert_eq!(
        counts.notes,
        [
            "there is no column `image`, so rows with the same picture may come into different splits; \
             `foto` looks like pictures: name the column with `--image-column`"
        ]
    );
    let named = SplitOptions { image: Some("foto".to_owned()), ..SplitOptions::default() };
    let counts = split_of(folder.path(), "foto.csv", "named", &named);
    assert_eq!(counts.groups, 100);
    // Texts alone, of which one happens to name a file.
    let mut texts = "id,text,label\n0,look at a.png,x\n".to_owned();
    for row in 1..40 {
        writeln!(texts, "{row},text {row},x").unwrap();
    }
    folder.file("texts.csv", texts);
    let counts = split_of(folder.path(), "texts.csv", "texts", &SplitOptions::default());
    assert!(counts.notes.is_empty(), "{:?}", counts.notes);
}

#[test]
fn rows_may_have_fields_of_their_own() {
    let mut rows = String::new();
    for row in 0..1_000 {
        writeln!(rows, "{{\"text\": \"a\", \"label\": \"x\", \"key {row}\": 1}}").unwrap();
    }
    let folder = Folder::with(&[("all.jsonl", &rows)]);
    let counts = split_of(folder.path(), "all.jsonl", "out", &SplitOptions::default());
    assert_eq!(counts.rows, [800, 100, 100]);
}
