//! How do I read a table of my own, and what is in it?
//!
//!     cargo run -p mmc-data --example read_my_csv -- data/emoji
//!
//! The folder holds `train.csv`, `val.csv` and `test.csv` with the columns `id`, `text`, `image`
//! and `label`. Without a folder, the example writes a small one.

#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use mmc_data::{ReadOptions, dataset, decode};

fn main() -> Result<(), Box<dyn Error>> {
    let written = tempfile::tempdir()?;
    let root = match std::env::args_os().nth(1) {
        Some(folder) => PathBuf::from(folder),
        None => write_small_table(written.path())?,
    };
    let table = dataset("table")?;
    let train = table.read(&root, "train", &ReadOptions::default())?;
    for (label, count) in train.labels.iter().zip(train.class_counts()) {
        println!("{count:5} {label}");
    }
    for sample in train.iter().take(3) {
        print!("{}: {:?}", sample.id, sample.text);
        if let Some(image) = &sample.image {
            let picture = decode(image)?;
            print!(", {} x {} pixels", picture.width(), picture.height());
        }
        println!();
    }
    // Another split has the same classes in the same order, or says which row does not.
    let test = table.read(&root, "test", &ReadOptions::default())?;
    assert_eq!(test.labels, train.labels);
    println!("{} rows to train on, {} to test on", train.len(), test.len());
    Ok(())
}

fn write_small_table(root: &Path) -> Result<PathBuf, Box<dyn Error>> {
    fs::write(root.join("train.csv"), "text,label\n\"red, ripe\",apple\nyellow,banana\n")?;
    fs::write(root.join("test.csv"), "text,label\ngreen,apple\n")?;
    Ok(root.to_owned())
}
