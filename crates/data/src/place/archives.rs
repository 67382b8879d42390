//! Data sets in archives, held to the same sets in folders.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;

use crate::archive::tests::{Zipped, plain, tar, zip};
use crate::check::{check, info};
use crate::demo::{DemoSet, Format, Truth, write};
use crate::fixture::Folder;
use crate::{DataError, ImageSource, ReadOptions, Sample, Split, dataset, decode};

/// Every file below a folder, by its path in it.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(below) = folders.pop() {
        for entry in fs::read_dir(below).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().replace('\\', "/");
            found.push((name, fs::read(path).unwrap()));
        }
    }
    found.sort();
    found
}

/// A zip of files, compressed, each name after `before`.
fn zipped(files: &[(String, Vec<u8>)], before: &str) -> Vec<u8> {
    let named: Vec<(String, &[u8])> =
        files.iter().map(|(name, bytes)| (format!("{before}{name}"), bytes.as_slice())).collect();
    let entries: Vec<Zipped<'_>> =
        named.iter().map(|(name, bytes)| plain(name, bytes, 8)).collect();
    zip(&entries)
}

/// What of a sample does not depend on where it lies, with its pixels.
fn content(sample: &Sample) -> (&str, &str, Option<Vec<u8>>, String) {
    let pixels = sample.image.as_ref().map(|image| decode(image).unwrap().into_raw());
    (&sample.id, &sample.text, pixels, format!("{:?} {:?}", sample.target, sample.group))
}

fn assert_same(found: &Split, expected: &Split, what: &str) {
    assert_eq!(found.fingerprint(), expected.fingerprint(), "{what}");
    assert_eq!(found.labels, expected.labels, "{what}");
    assert_eq!(found.notes.len(), expected.notes.len(), "{what}: {:?}", found.notes);
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(content(found), content(expected), "{what}");
    }
}

fn demo(name: &str, folder: &Folder) -> std::path::PathBuf {
    let root = folder.path().join("set");
    let format: Format = name.parse().unwrap();
    write(&DemoSet::of(format, Truth::Interaction, 0).with_items(60), &root).unwrap();
    root
}

#[test]
fn every_set_reads_from_an_archive_as_from_its_folder() {
    let options = ReadOptions::default();
    for name in Format::names() {
        let folder = Folder::with(&[]);
        let (set, root) = (dataset(name).unwrap(), demo(name, &folder));
        let packed = files(&root);
        let mut inner = packed.clone();
        inner.push(("__MACOSX/._train".to_owned(), b"not ours".to_vec()));
        let rows: Vec<(&str, &[u8])> =
            packed.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        let archives = [
            folder.file("flat.zip", zipped(&packed, "")),
            // As a folder is packed, once and twice.
            folder.file("nested.zip", zipped(&inner, "data/set-1.0/")),
            folder.file("flat.tar", tar(&rows)),
        ];
        for archive in &archives {
            for split in [set.train, set.selection, set.test] {
                let what = format!("{name} {split} in {}", archive.display());
                let expected = set.read(&root, split, &options).unwrap();
                let found = set.read(archive, split, &options).unwrap();
                assert_same(&found, &expected, &what);
                assert!(found.path.starts_with(archive), "{}", found.path.display());
                assert!(set.split_file(archive, split).unwrap().starts_with(archive), "{what}");
                let image = found.samples[0].image.as_ref().unwrap();
                assert!(matches!(image, ImageSource::Packed(_)), "{what}");
            }
            let report = check(set, archive, &options).unwrap();
            let expected = check(set, &root, &options).unwrap();
            assert!(report.is_usable(), "{report}");
            assert_eq!(
                (&report.overlaps, &report.warnings),
                (&expected.overlaps, &expected.warnings)
            );
            let found = info(set, archive, &options).unwrap();
            assert!(found.splits.iter().any(|split| split.present), "{found}");
        }
    }
}

/// The archives that VQA v2 and COCO are published in, side by side.
#[test]
fn vqa_reads_as_it_is_downloaded() {
    let folder = Folder::with(&[]);
    let (set, root) = (dataset("vqa_v2").unwrap(), demo("vqa_v2", &folder));
    let packed = files(&root);
    for (archive, wanted) in [
        ("v2_Questions_Train_mscoco.zip", "v2_OpenEnded_mscoco_train2014_questions.json"),
        ("v2_Annotations_Train_mscoco.zip", "v2_mscoco_train2014_annotations.json"),
        ("v2_Questions_Val_mscoco.zip", "v2_OpenEnded_mscoco_val2014_questions.json"),
        ("v2_Annotations_Val_mscoco.zip", "v2_mscoco_val2014_annotations.json"),
        ("train2014.zip", "train2014/"),
        ("val2014.zip", "val2014/"),
    ] {
        let some: Vec<(String, Vec<u8>)> =
            packed.iter().filter(|(name, _)| name.starts_with(wanted)).cloned().collect();
        assert!(!some.is_empty(), "{wanted}");
        folder.file(&format!("down/{archive}"), zipped(&some, ""));
    }
    fs::copy(root.join("demo.json"), folder.path().join("down/demo.json")).unwrap();
    let options = ReadOptions::default();
    for split in ["train", "held_out", "val"] {
        let expected = set.read(&root, split, &options).unwrap();
        let found = set.read(&folder.path().join("down"), split, &options).unwrap();
        assert_same(&found, &expected, split);
    }
}

#[test]
fn a_folder_of_pictures_may_be_an_archive_with_it_or_without() {
    for before in ["", "img/"] {
        let folder = Folder::with(&[]);
        let (set, root) = (dataset("hateful_memes").unwrap(), demo("hateful_memes", &folder));
        let options = ReadOptions::default();
        let expected = set.read(&root, "train", &options).unwrap();
        let texts: Vec<String> =
            expected.iter().map(|sample| format!("{:?}", content(sample))).collect();
        let pictures = files(&root.join("img"));
        fs::remove_dir_all(root.join("img")).unwrap();
        folder.file("set/img.zip", zipped(&pictures, before));
        let found = set.read(&root, "train", &options).unwrap();
        let read: Vec<String> =
            found.iter().map(|sample| format!("{:?}", content(sample))).collect();
        assert_eq!(read, texts, "{before:?}");
        // One that is not in it is missing as one of a folder is.
        folder.file("set/img.zip", zipped(&pictures[1..], before));
        let error = set.read(&root, "train", &options).unwrap_err().to_string();
        assert!(error.contains("is missing: ") && error.contains("img.zip has no file"), "{error}");
    }
}

#[test]
fn a_parquet_table_reads_from_an_archive_stored_or_compressed() {
    let folder = Folder::with(&[]);
    let picture = fs::read(folder.picture("a.png", 7)).unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("text", Arc::new(StringArray::from(vec!["one", "two"]))),
        ("image", Arc::new(BinaryArray::from(vec![picture.as_slice(), picture.as_slice()]))),
        ("label", Arc::new(StringArray::from(vec!["x", "y"]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    let table = writer.into_inner().unwrap();
    folder.file("plain/train.parquet", &table);
    let set = dataset("table").unwrap();
    let options = ReadOptions::default();
    let expected = set.read(&folder.path().join("plain"), "train", &options).unwrap();
    for method in [0, 8] {
        let archive = folder.file("t.zip", zip(&[plain("train.parquet", &table, method)]));
        assert_same(&set.read(&archive, "train", &options).unwrap(), &expected, "parquet");
    }
}

#[test]
fn hostile_archives_are_refused_with_their_place() {
    let rows = b"id,text,label\n1,a,x\n2,b,y\n";
    let many = [b"id,text,label\n".to_vec(), vec![b'\n'; 2 << 20]].concat();
    let good = plain("train.csv", rows, 8);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "up.zip",
            zip(&[plain("../train.csv", rows, 8), plain("x", b"", 0)]),
            "the split `train` has no file",
        ),
        (
            "absolute.zip",
            zip(&[plain("/train.csv", rows, 8), plain("x", b"", 0)]),
            "the split `train` has no file",
        ),
        (
            "bomb.zip",
            zip(&[plain("train.csv", &many, 8)]),
            "over 50 times as many; if that is right, unpack",
        ),
        ("more.zip", zip(&[Zipped { length: Some(9), ..good }]), "it is not of the 9 bytes"),
        ("less.zip", zip(&[Zipped { length: Some(99), ..good }]), "it is not of the 99 bytes"),
        ("secret.zip", zip(&[Zipped { flags: 1, ..good }]), "is encrypted"),
        ("odd.zip", zip(&[Zipped { method: 12, ..good }]), "pack the archive anew with Deflate"),
        ("cut.zip", zip(&[good])[..60].to_vec(), "not a zip archive that can be read"),
        ("set.tar.gz", b"\x1f\x8b".to_vec(), "neither a folder nor an archive"),
        ("set.csv", rows.to_vec(), "neither a folder nor an archive"),
    ];
    let folder = Folder::with(&[]);
    let set = dataset("table").unwrap();
    for (name, bytes, words) in cases {
        let archive = folder.file(name, bytes);
        let error = set.read(&archive, "train", &ReadOptions::default()).unwrap_err();
        assert!(error.to_string().contains(words) && error.to_string().contains(name), "{error}");
        assert!(!matches!(error, DataError::Setting(_)), "{error}");
    }
    // Bytes that were changed after they were packed.
    let mut changed = zip(&[Zipped { method: 0, ..good }]);
    let at = changed.windows(3).position(|window| window == b"1,a").unwrap();
    changed[at] = b'7';
    let archive = folder.file("changed.zip", changed);
    let error = set.read(&archive, "train", &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("its checksum is wrong"), "{error}");
    // Pictures of a table in an archive stay in it.
    let rows = b"id,text,image,label\n1,a,../a.png,x\n";
    let archive = folder.file("out.zip", zip(&[plain("train.csv", rows, 8)]));
    let error = set.read(&archive, "train", &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("has `..` in its path"), "{error}");
}

#[cfg(unix)]
#[test]
fn an_archive_in_place_of_a_folder_is_no_link_out() {
    let folder = Folder::with(&[("root/train.csv", "text,image,label\na,img/a.png,x\n")]);
    folder.file("img.zip", zip(&[plain("a.png", b"x", 0)]));
    std::os::unix::fs::symlink("../img.zip", folder.path().join("root/img.zip")).unwrap();
    let error = dataset("table").unwrap().read(
        &folder.path().join("root"),
        "train",
        &ReadOptions::default(),
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("is a link out of the data folder"), "{error}");
}
