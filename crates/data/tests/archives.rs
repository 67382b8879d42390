//! Archives in which every name begins with `./`, as `tar cf set.tar ./` and some programs for zip write
//! them, held to the folder that they hold.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;

use mmc_data::check::{CheckReport, check};
use mmc_data::{ImageSource, ReadOptions, Sample, dataset, decode};
use zip::write::SimpleFileOptions;

/// A small table with a picture a row, as the files of its folder.
fn set() -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for (at, split) in ["train", "val", "test"].into_iter().enumerate() {
        let mut rows = vec!["id,text,image,label".to_owned()];
        for row in 0..4 {
            let (picture, label) = (format!("img/{split}{row}.png"), ["x", "y"][row % 2]);
            rows.push(format!("{split}{row},{split} text {row},{picture},{label}"));
            let pixel = image::Rgb([10 * at as u8, 40 * row as u8, 7]);
            let mut png = Cursor::new(Vec::new());
            image::RgbImage::from_pixel(4, 3, pixel)
                .write_to(&mut png, image::ImageFormat::Png)
                .unwrap();
            files.push((picture, png.into_inner()));
        }
        files.push((format!("{split}.csv"), rows.join("\n").into_bytes()));
    }
    files
}

/// The names that stand in an archive, a folder for the whole first.
fn named<'a>(
    files: &'a [(String, Vec<u8>)],
    before: &dyn Fn(usize) -> &'static str,
) -> Vec<(String, &'a [u8])> {
    let folder = (before(0).to_owned(), &[][..]);
    let named = files.iter().enumerate();
    let named = named.map(|(at, (name, bytes))| (format!("{}{name}", before(at)), &bytes[..]));
    [folder].into_iter().filter(|(name, _)| !name.is_empty()).chain(named).collect()
}

fn zip(entries: &[(String, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in entries {
        if name.ends_with('/') {
            archive.add_directory(name.as_str(), stored).unwrap();
        } else {
            archive.start_file(name.as_str(), stored).unwrap();
            archive.write_all(bytes).unwrap();
        }
    }
    archive.finish().unwrap().into_inner()
}

fn tar(entries: &[(String, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        let is_folder = name.ends_with('/');
        let kind = if is_folder { tar::EntryType::Directory } else { tar::EntryType::Regular };
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        archive.append(&header, *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

fn has(archive: &[u8], name: &str) -> bool {
    archive.windows(name.len()).any(|window| window == name.as_bytes())
}

/// What of a sample does not depend on where it lies.
fn content(sample: &Sample) -> (String, String, Vec<u8>, String) {
    let pixels = decode(sample.image.as_ref().unwrap()).unwrap().into_raw();
    (sample.id.clone(), sample.text.clone(), pixels, format!("{:?}", sample.target))
}

fn contents(root: &Path) -> Vec<(String, String, Vec<u8>, String)> {
    let table = dataset("table").unwrap();
    let read = |name| table.read(root, name, &ReadOptions::default()).unwrap();
    let splits = ["train", "val", "test"].map(read);
    splits.iter().flat_map(|split| split.samples.iter().map(content)).collect()
}

fn checked(root: &Path) -> CheckReport {
    check(dataset("table").unwrap(), root, &ReadOptions::default()).unwrap()
}

fn write(root: &Path, files: &[(String, Vec<u8>)]) {
    for (name, bytes) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn a_set_whose_names_begin_with_a_dot_is_read_as_its_folder() {
    let (place, files) = (tempfile::tempdir().unwrap(), set());
    let folder = place.path().join("folder");
    write(&folder, &files);
    let (expected, report) = (contents(&folder), checked(&folder));
    assert!(report.is_usable() && expected.len() == 12, "{report}");
    // At the top; in a folder; and some names with it and others without.
    let befores: [(&str, &dyn Fn(usize) -> &'static str); 3] = [
        ("./train.csv", &|_| "./"),
        ("./set/train.csv", &|_| "./set/"),
        ("./train.csv", &|at| if at % 5 == 0 || at == 4 { "./" } else { "" }),
    ];
    for (number, (name, before)) in befores.into_iter().enumerate() {
        let entries = named(&files, before);
        for (kind, bytes) in [("zip", zip(&entries)), ("tar", tar(&entries))] {
            let what = format!("{number}.{kind}");
            assert!(has(&bytes, name), "{what}: {name}");
            let archive = place.path().join(&what);
            fs::write(&archive, bytes).unwrap();
            assert_eq!(contents(&archive), expected, "{what}");
            let found = checked(&archive);
            assert!(found.is_usable(), "{what}: {found}");
            assert_eq!(found.overlaps, report.overlaps, "{what}");
            assert_eq!(found.splits[0].pictures_read, 4, "{what}");
        }
    }
}

#[test]
fn pictures_whose_names_begin_with_a_dot_are_found() {
    let files = set();
    let (pictures, tables): (Vec<_>, Vec<_>) =
        files.iter().cloned().partition(|(name, _)| name.starts_with("img/"));
    let inner: Vec<(String, Vec<u8>)> = pictures
        .iter()
        .map(|(name, bytes)| (name["img/".len()..].to_owned(), bytes.clone()))
        .collect();
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("folder");
    write(&folder, &files);
    let expected = contents(&folder);
    // `img.zip` in place of the folder `img`, with that folder in it or without.
    for (number, entries) in
        [named(&pictures, &|_| "./"), named(&inner, &|_| "./")].into_iter().enumerate()
    {
        for (kind, bytes) in [("zip", zip(&entries)), ("tar", tar(&entries))] {
            let root = place.path().join(format!("{number}-{kind}"));
            write(&root, &tables);
            fs::write(root.join(format!("img.{kind}")), bytes).unwrap();
            assert_eq!(contents(&root), expected, "{number} {kind}");
            let table = dataset("table").unwrap();
            let split = table.read(&root, "train", &ReadOptions::default()).unwrap();
            assert!(matches!(split.samples[0].image, Some(ImageSource::Packed(_))));
        }
    }
}
