//! Parquet tables as other programs write them, made by `tests/references/parquet.py`.

use std::fs;
use std::path::{Path, PathBuf};

use mmc_data::{
    Arm, ImageSource, ReadOptions, Split, Target, dataset, decode, read_inputs, shared,
};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parquet").join(name)
}

fn read(folder: &Path) -> Result<Split, mmc_data::DataError> {
    // Some rows have no picture.
    let options = ReadOptions { arm: Arm::Text, ..ReadOptions::default() };
    dataset("table")?.read(folder, "train", &options)
}

#[test]
fn every_writer_says_the_same() {
    let table = tempfile::tempdir().unwrap();
    let rows = "id,text,image,label\na,one,x.png,1\nb,\"zwei, \"\"drei\"\"\",y.png,0\nc,,,1\n\
                d,\"quatre\nfünf\",x.png,0\n";
    fs::write(table.path().join("train.csv"), rows).unwrap();
    for name in ["x.png", "y.png"] {
        fs::write(table.path().join(name), "").unwrap();
    }
    let csv = read(table.path()).unwrap();
    for name in ["hugging_face", "pandas", "types"] {
        let split = read(&folder(name)).unwrap();
        assert_eq!(split.labels, ["0", "1"], "{name}");
        assert_eq!(split.fingerprint(), csv.fingerprint(), "{name}");
        let classes: Vec<_> = split.iter().map(|sample| sample.target.clone()).collect();
        assert_eq!(classes, [1, 0, 1, 0].map(|class| Some(Target::Class(class))), "{name}");
        // One picture in two rows ties them, as one path would.
        let groups: Vec<_> = split.iter().map(|sample| sample.group.as_deref()).collect();
        assert_eq!(groups, [Some("a"), None, None, Some("a")], "{name}");
        let images: Vec<Option<&ImageSource>> =
            split.iter().map(|sample| sample.image.as_ref()).collect();
        assert_eq!(images[0], images[3], "{name}");
        assert!(images[2].is_none(), "{name}");
        // Read again one by one, in any order.
        for (row, level) in [(3, 10), (1, 20), (0, 10)] {
            let picture = decode(images[row].unwrap()).unwrap();
            assert_eq!(picture.dimensions(), (4, 3), "{name}");
            assert_eq!(picture.get_pixel(2, 1).0, [level, 0, 255 - level], "{name}");
        }
    }
}

#[test]
fn rows_to_predict_and_shared_pictures_are_found_too() {
    let file = folder("hugging_face").join("train.parquet");
    let samples = read_inputs(&file, &folder("hugging_face"), Arm::Both).unwrap();
    assert_eq!(samples.len(), 4);
    assert_eq!(samples[3].group.as_deref(), Some("a"));
    let (one, other) = (read(&folder("types")).unwrap(), read(&folder("pandas")).unwrap());
    assert_eq!(shared(&one, &other).pictures, 3);
}

#[test]
fn damaged_tables_and_pictures_are_named() {
    let place = tempfile::tempdir().unwrap();
    let whole = fs::read(folder("types").join("train.parquet")).unwrap();
    let file = place.path().join("train.parquet");
    // A byte of each part turned over, and the file cut anywhere: an error, or another table, and
    // never a panic.
    let mut failures = 0;
    for at in (0..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xFF;
        fs::write(&file, &damaged).unwrap();
        match read(place.path()) {
            Ok(split) => {
                split.iter().filter_map(|sample| sample.image.as_ref()).for_each(|image| {
                    failures += usize::from(decode(image).is_err());
                });
            }
            Err(error) => {
                failures += 1;
                assert!(error.to_string().contains("train.parquet"), "{error}");
            }
        }
        fs::write(&file, &whole[..at]).unwrap();
        assert!(read(place.path()).is_err(), "cut at {at}");
    }
    assert!(failures > 100, "{failures}");
    // A picture that is none, with its file and row.
    let mut damaged = whole.clone();
    for (at, bytes) in whole.windows(8).enumerate() {
        if bytes == b"\x89PNG\r\n\x1a\n" {
            damaged[at + 1] = b'X'; // in the pages, and where their statistics repeat it
        }
    }
    fs::write(&file, damaged).unwrap();
    let split = read(place.path()).unwrap();
    let message = decode(split.samples[0].image.as_ref().unwrap()).unwrap_err().to_string();
    assert!(message.contains("train.parquet:1: "), "{message}");
}
