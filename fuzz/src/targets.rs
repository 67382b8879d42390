//! What is done with the bytes of one input: they are put where a reader looks for them, and read.

use std::fs;
use std::io::Cursor;
use std::ops::Range;
use std::path::Path;

use mmc_data::splitting::{SplitOptions, write_splits};
use mmc_data::{
    Arm, DataError, Decoded, ImageSource, Inputs, Least, ReadOptions, Rows, Shape, check, dataset,
    decode, decode_at_least, decode_rows,
};
use mmc_run::{Experiment, PartialSettings, Predictions, Published};

/// One kind of input.
pub struct Target {
    /// Its name, and that of its folder in `fuzz/corpus`.
    pub name: &'static str,
    /// How its memory is counted.
    pub memory: Memory,
    /// Reads the input, with an empty folder to write to.
    pub read: fn(&Path, &[u8]),
}

/// Which memory is held to the limit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// All that is allocated.
    Allocated,
    /// What was ever written to. The Parquet library reserves as much as the header of a page claims,
    /// finds that the page has less, and gives it back untouched: an error, and no memory spent.
    Written,
}

use Memory::{Allocated, Written};

/// Every kind.
pub const TARGETS: &[Target] = &[
    Target { name: "picture", memory: Allocated, read: picture },
    Target { name: "csv", memory: Allocated, read: csv },
    Target { name: "jsonl", memory: Allocated, read: jsonl },
    Target { name: "parquet", memory: Written, read: parquet },
    Target { name: "vqa", memory: Allocated, read: vqa },
    Target { name: "archive", memory: Allocated, read: archive },
    Target { name: "predictions", memory: Written, read: predictions },
    Target { name: "config", memory: Allocated, read: config },
];

/// Pixels above which a picture takes longer by right; how large it may be is tested elsewhere.
const MOST_PIXELS: u64 = 4 << 20;

fn picture(folder: &Path, bytes: &[u8]) {
    let reader = image::ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let size = reader.ok().and_then(|reader| reader.into_dimensions().ok());
    if size.is_some_and(|(width, height)| u64::from(width) * u64::from(height) > MOST_PIXELS) {
        return;
    }
    let path = folder.join("a.png");
    put(&path, bytes);
    let source = ImageSource::File(path);
    let whole = decode(&source);
    if bytes.starts_with(&[0xFF, 0xD8])
        && size.is_some_and(|(width, height)| width * height <= SMALL)
    {
        let quarter = |(width, height): (usize, usize)| (width.div_ceil(4), height.div_ceil(4));
        comes_in_rows(&source, None, whole.map(Decoded::from));
        comes_in_rows(&source, Some(&quarter), decode_at_least(&source, &quarter));
    }
}

/// Pixels of a picture that is decoded in all ways.
const SMALL: u32 = 1 << 19;

/// A picture is the same whether it comes at once or in rows, and in the columns that are looked at alone.
fn comes_in_rows(
    source: &ImageSource,
    least: Option<Least<'_>>,
    expected: Result<Decoded, DataError>,
) {
    let mut middle = Middle::default();
    let found = decode_rows(source, least, &mut middle);
    assert_eq!(found.is_ok(), expected.is_ok(), "{found:?} in rows, {expected:?} at once");
    let Ok(Decoded { picture, .. }) = expected else { return };
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    assert_eq!((middle.width, middle.rows.len()), (width, 3 * width * height));
    let (found, expected) = (middle.rows.chunks(3 * width), picture.as_raw().chunks(3 * width));
    let looked_at = 3 * middle.columns.start..3 * middle.columns.end;
    for (found, expected) in found.zip(expected) {
        assert_eq!(found[looked_at.clone()], expected[looked_at.clone()]);
    }
}

/// Looks at the middle of every row.
#[derive(Default)]
struct Middle {
    width: usize,
    columns: Range<usize>,
    rows: Vec<u8>,
}

impl Rows for Middle {
    fn begin(&mut self, shape: &Shape) -> Range<usize> {
        self.width = shape.width;
        self.columns = shape.width / 4..shape.width.div_ceil(2);
        self.rows.clear();
        self.columns.clone()
    }

    fn take(&mut self, rows: &[u8]) {
        self.rows.extend_from_slice(rows);
    }
}

/// As a table: checked as `mmc data check` does, split, and read as rows to predict.
fn table(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    put(&path, bytes);
    let set = dataset("table").expect("a data set");
    if let Ok(report) = check::check(set, folder, &ReadOptions::default()) {
        let _words = report.to_string();
    }
    drop(set.read(folder, "train", &ReadOptions { arm: Arm::Text, ..ReadOptions::default() }));
    if let Ok(inputs) = Inputs::open(&path, folder, Arm::Text) {
        assert!(inputs.len() > 0);
    }
    let out = folder.join("out");
    drop(write_splits(&path, &out, &SplitOptions::default()));
    drop(fs::remove_dir_all(out));
}

fn csv(folder: &Path, bytes: &[u8]) {
    table(folder, "train.csv", bytes);
}

fn jsonl(folder: &Path, bytes: &[u8]) {
    table(folder, "train.jsonl", bytes);
    put(&folder.join("snli_ve_train.jsonl"), bytes);
    for name in ["hateful_memes", "snli_ve"] {
        read_without_pictures(name, folder);
    }
}

fn parquet(folder: &Path, bytes: &[u8]) {
    table(folder, "train.parquet", bytes);
}

/// One file as questions and as annotations: each reader looks for its own list.
fn vqa(folder: &Path, bytes: &[u8]) {
    put(&folder.join("v2_OpenEnded_mscoco_train2014_questions.json"), bytes);
    put(&folder.join("v2_mscoco_train2014_annotations.json"), bytes);
    read_without_pictures("vqa_v2", folder);
}

fn read_without_pictures(name: &str, folder: &Path) {
    let options = ReadOptions { arm: Arm::Text, ..ReadOptions::default() };
    drop(dataset(name).expect("a data set").read(folder, "train", &options));
}

/// Entries whose names stay what they are in most mutations.
const ENTRIES: [&str; 4] =
    ["a,p.zip/a.png,x", "b,p.tar/a.png,x", "c,p.zip/b/c.jpg,x", "d,p.tar/b/c.jpg,x"];

fn archive(folder: &Path, bytes: &[u8]) {
    for name in ["p.zip", "p.tar"] {
        put(&folder.join(name), bytes);
    }
    for row in ENTRIES {
        put(&folder.join("train.csv"), format!("text,image,label\n{row}\n").as_bytes());
        let set = dataset("table").expect("a data set");
        if let Ok(split) = set.read(folder, "train", &ReadOptions::default()) {
            let source = split.samples.first().and_then(|sample| sample.image.as_ref());
            drop(source.map(decode));
        }
    }
    // And as the data sets themselves.
    for root in ["p.zip", "p.tar"] {
        for set in ["table", "hateful_memes", "vqa_v2"] {
            read_without_pictures(set, &folder.join(root));
        }
    }
}

fn predictions(folder: &Path, bytes: &[u8]) {
    let name = match bytes {
        [b'P', ..] => "p.parquet",
        [b'{', ..] => "p.jsonl",
        _ => "p.csv",
    };
    let path = folder.join(name);
    put(&path, bytes);
    if let Ok(read) = Predictions::read(&path) {
        drop(read.scored());
    }
    drop(Predictions::read_in_parts(&path, |_part| Ok(())));
}

fn config(folder: &Path, bytes: &[u8]) {
    let path = folder.join("c.toml");
    put(&path, bytes);
    drop(PartialSettings::read(&path).map(PartialSettings::resolve));
    drop(Experiment::read(&path));
    drop(Published::read(&path));
}

fn put(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("a folder to write to");
}
