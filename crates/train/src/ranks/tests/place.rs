//! A small table with pictures, and runs beside it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use mmc_run::PartialSettings;
use tempfile::TempDir;

/// A folder of its own, gone when dropped: 27 rows to train on, 12 to select and 12 to test on.
pub(super) struct Place {
    folder: TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        let emoji = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/emoji/img");
        let mut pictures: Vec<PathBuf> =
            fs::read_dir(emoji).unwrap().map(|entry| entry.unwrap().path()).collect();
        pictures.sort();
        let mut pictures = pictures.iter();
        for (split, rows) in [("train", 27), ("val", 12), ("test", 12)] {
            let mut table = String::from("id,text,image,label\n");
            for row in 0..rows {
                let label = if row % 3 == 0 { "down" } else { "up" };
                let text = format!("a thing number {row}{}", " and more of it".repeat(row % 4));
                let name = Self::picture(split, row);
                writeln!(table, "{split}-{row},{text},{name},{label}").unwrap();
                let copy = place.path(&format!("data/{name}"));
                fs::create_dir_all(copy.parent().unwrap()).unwrap();
                fs::copy(pictures.next().unwrap(), copy).unwrap();
            }
            fs::write(place.path(&format!("data/{split}.csv")), table).unwrap();
        }
        place
    }

    fn picture(split: &str, row: usize) -> String {
        format!("img/{split}{row}.png")
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Cuts a picture short.
    pub(super) fn break_picture(&self, split: &str, row: usize) {
        let path = self.path(&format!("data/{}", Self::picture(split, row)));
        fs::write(&path, &fs::read(&path).unwrap()[..60]).unwrap();
    }

    /// Replaces the first of a text in a file of the data.
    pub(super) fn edit(&self, name: &str, old: &str, new: &str) {
        let path = self.path(&format!("data/{name}"));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{name} has no `{old}`");
        fs::write(path, text.replacen(old, new, 1)).unwrap();
    }

    /// Three epochs of steps of four shards; the last of an epoch has three, the last of them short.
    pub(super) fn asked(&self, model: &str) -> PartialSettings {
        PartialSettings {
            model: Some(model.to_owned()),
            dataset: Some("table".to_owned()),
            data_root: Some(self.path("data").display().to_string()),
            epochs: Some(3),
            batch_size: Some(16),
            shard_rows: Some(4),
            learning_rate: Some(0.003),
            dropout: Some(0.1),
            workers: Some(1),
            max_length: Some(16),
            save_every: Some(2),
            ..PartialSettings::default()
        }
    }
}
