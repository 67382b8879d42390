//! Pictures kept on disk: they change nothing, whatever becomes of the folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::SystemTime;

use image::{Rgb, RgbImage};
use mmc_data::{Arm, ImageSource, Sample};
use mmc_preprocess::{Augmentation, Example, PictureStore, Processor};

use crate::fixture;

/// The folder of a store, and pictures of 60 × 45 pixels.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(pictures: usize) -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        for number in 0..pictures {
            bench.write(number, 0);
        }
        bench
    }

    fn picture(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("{number}.png"))
    }

    fn write(&self, number: usize, shade: u8) {
        let level = |x: u32, y: u32| Rgb([x as u8 * 4, y as u8 * 5, number as u8 * 9 + shade]);
        RgbImage::from_fn(60, 45, level).save(self.picture(number)).unwrap();
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// A processor of 32 × 32 pixels, whose entries are 3,072 bytes and a head.
    fn processor(&self, limit: u64) -> Processor {
        plain("clip-small").with_picture_store(PictureStore::open(&self.store(), limit).unwrap())
    }

    fn sample(&self, number: usize) -> Sample {
        let image = Some(ImageSource::File(self.picture(number)));
        let id = number.to_string();
        Sample { id, text: String::new(), image, target: None, group: None }
    }

    fn examples(&self, processor: &Processor, pictures: usize) -> Vec<Example> {
        (0..pictures).map(|number| processor.prepare(&self.sample(number)).unwrap()).collect()
    }

    /// The entries, and their bytes.
    fn entries(&self) -> Vec<(PathBuf, u64)> {
        let folders = fs::read_dir(self.store()).unwrap().map(|it| it.unwrap().path());
        let files =
            folders.filter(|path| path.is_dir()).flat_map(|path| fs::read_dir(path).unwrap());
        let mut entries: Vec<_> = files
            .map(|it| it.unwrap())
            .map(|it| (it.path(), it.metadata().unwrap().len()))
            .collect();
        entries.sort();
        entries
    }

    fn bytes(&self) -> u64 {
        self.entries().iter().map(|(_, bytes)| bytes).sum()
    }
}

/// Nothing is kept in memory, so that what comes from disk is seen.
fn plain(folder: &str) -> Processor {
    let processor = Processor::from_folder(&fixture("pixels").join(folder), Arm::Image).unwrap();
    processor.with_cache_bytes(0)
}

const MUCH: u64 = 1 << 30;

#[test]
fn what_is_kept_comes_back_without_being_decoded() {
    let bench = Bench::new(3);
    let expected = bench.examples(&plain("clip-small"), 3);
    assert_eq!(bench.examples(&bench.processor(MUCH), 3), expected);
    assert_eq!(bench.entries().len(), 3);
    // Rubbish of the same length and time: who decoded it would fail.
    let path = bench.picture(1);
    let about = fs::metadata(&path).unwrap();
    fs::write(&path, vec![0; about.len() as usize]).unwrap();
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(about.modified().unwrap())
        .unwrap();
    let later = bench.processor(MUCH);
    assert_eq!(bench.examples(&later, 3), expected);
    assert!(later.warnings().is_empty());
}

#[test]
fn another_file_and_another_way_are_other_entries() {
    let bench = Bench::new(1);
    let before = bench.examples(&bench.processor(MUCH), 1);
    bench.write(0, 100);
    let file = File::options().write(true).open(bench.picture(0)).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let after = bench.examples(&bench.processor(MUCH), 1);
    assert_ne!(before, after);
    assert_eq!(after, bench.examples(&plain("clip-small"), 1));
    let store = || PictureStore::open(&bench.store(), MUCH).unwrap();
    for folder in ["flava-small", "vilt-small", "clip-crop"] {
        let other = plain(folder).with_picture_store(store());
        assert_eq!(bench.examples(&other, 1), bench.examples(&plain(folder), 1), "{folder}");
    }
    let scaled = plain("clip-small").with_jpeg_scaling(true).with_picture_store(store());
    bench.examples(&scaled, 1);
    assert_eq!(bench.entries().len(), 2 + 3 + 1);
}

#[test]
fn augmented_pictures_are_cut_from_stored_ones() {
    let bench = Bench::new(1);
    let draw = |epoch| Augmentation::LIGHT.draw(0, epoch, "0");
    let stored = bench.processor(MUCH);
    for epoch in 1..4 {
        let expected =
            plain("clip-small").prepare_augmented(&bench.sample(0), draw(epoch)).unwrap();
        assert_eq!(stored.prepare_augmented(&bench.sample(0), draw(epoch)).unwrap(), expected);
    }
    assert_eq!(bench.entries().len(), 1, "the whole picture, once");
}

#[test]
fn damaged_entries_are_made_again_and_counted() {
    let bench = Bench::new(4);
    let expected = bench.examples(&bench.processor(MUCH), 4);
    let entries = bench.entries();
    let damage = |at: usize, change: fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(&entries[at].0).unwrap();
        change(&mut bytes);
        fs::write(&entries[at].0, bytes).unwrap();
    };
    damage(0, |bytes| bytes.truncate(100));
    damage(1, |bytes| *bytes.last_mut().unwrap() ^= 4);
    damage(2, Vec::clear);
    let processor = bench.processor(MUCH);
    assert_eq!(bench.examples(&processor, 4), expected);
    let warnings = processor.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("3 damaged entries were"), "{warnings:?}");
    assert!(processor.warnings().is_empty(), "it is said once");
    let again = bench.processor(MUCH);
    assert_eq!(bench.examples(&again, 4), expected);
    assert!(again.warnings().is_empty() && bench.entries().len() == 4, "they are whole again");
}

#[test]
fn a_store_keeps_to_its_limit_whoever_writes_to_it() {
    let bench = Arc::new(Bench::new(24));
    let limit = 10 * 3200;
    let expected = bench.examples(&plain("clip-small"), 24);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let bench = Arc::clone(&bench);
            std::thread::spawn(move || {
                let processor = bench.processor(limit);
                (bench.examples(&processor, 24), processor.warnings())
            })
        })
        .collect();
    for thread in threads {
        let (examples, warnings) = thread.join().unwrap();
        assert_eq!(examples, expected);
        assert!(warnings.len() <= 1, "{warnings:?}");
    }
    let last = bench.processor(limit);
    assert_eq!(bench.examples(&last, 24), expected);
    assert!(last.warnings()[0].contains("are full"));
    let bytes = bench.bytes();
    assert!(bytes <= limit && bytes > limit / 2, "{bytes} of {limit}");
    // More room is used.
    bench.examples(&bench.processor(MUCH), 24);
    assert_eq!(bench.entries().len(), 24);
}

#[test]
fn what_a_killed_process_leaves_does_no_harm() {
    let bench = Bench::new(2);
    let expected = bench.examples(&bench.processor(MUCH), 2);
    let store = bench.store();
    fs::write(store.join(".mmc-bytes"), "12").unwrap(); // the number was cut short
    fs::write(store.join(".aside-1"), vec![0; 5000]).unwrap();
    let old = store.join(".aside-2");
    fs::write(&old, vec![0; 5000]).unwrap();
    File::options().write(true).open(&old).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let processor = bench.processor(bench.bytes() + 5000 + 3200);
    assert_eq!(bench.examples(&processor, 2), expected);
    assert!(store.join(".aside-1").exists() && !old.exists());
    bench.write(0, 7);
    bench.examples(&processor, 2);
    assert_eq!(bench.entries().len(), 3, "there was room for one more");
    bench.write(0, 9);
    bench.examples(&processor, 2);
    assert_eq!((bench.entries().len(), processor.warnings().len()), (3, 1));
}

#[test]
fn a_folder_that_cannot_be_is_an_error() {
    let bench = Bench::new(1);
    let error = PictureStore::open(&bench.picture(0).join("store"), MUCH).unwrap_err().to_string();
    assert!(error.contains("0.png/store: ") && error.contains("`--picture-cache`"), "{error}");
}

/// The child of the next test.
#[test]
#[ignore = "started by another test in a process that cannot write long files"]
fn child_on_a_full_disk() {
    let Some(root) = std::env::var_os("MMC_STORE_TEST") else { return };
    let image = Some(ImageSource::File(Path::new(&root).join("0.png")));
    let sample =
        Sample { id: "0".to_owned(), text: String::new(), image, target: None, group: None };
    let store = PictureStore::open(&Path::new(&root).join("store"), MUCH).unwrap();
    let processor = plain("clip-small").with_picture_store(store);
    let found = processor.prepare(&sample).unwrap();
    assert_eq!(found, plain("clip-small").prepare(&sample).unwrap());
    assert_eq!(processor.prepare(&sample).unwrap(), found);
    let warnings = processor.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("too large"), "{warnings:?}");
}

/// Writes that fail in the middle of a file, as on a full disk.
#[test]
fn a_full_disk_ends_the_keeping_and_nothing_else() {
    let bench = Bench::new(1);
    let script = "trap '' XFSZ; ulimit -f 4; exec \"$@\"";
    let mut child = Command::new("sh");
    child.args(["-c", script, "sh"]).arg(std::env::current_exe().unwrap());
    child.args(["--exact", "stored::child_on_a_full_disk", "--ignored"]);
    let ran = child.env("MMC_STORE_TEST", bench.folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
    assert!(bench.entries().is_empty());
    assert_eq!(fs::read_dir(bench.store()).unwrap().count(), 1, "the counter alone is left");
}
