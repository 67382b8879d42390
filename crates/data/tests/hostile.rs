//! Input that is broken or made to do harm: what every reader and decoder says of it. The table in
//! `docs/data.md` lists all of it; what is tested beside the code itself is not repeated here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use mmc_data::{Arm, ImageSource, ReadOptions, dataset, decode, read_inputs};

const VQA_QUESTIONS: &str = "v2_OpenEnded_mscoco_train2014_questions.json";
const VQA_ANNOTATIONS: &str = "v2_mscoco_train2014_annotations.json";

/// A folder that is removed in the end, and what readers say of its files.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let place = Self::new();
        place.file(name, bytes);
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// What reading the training split of a data set says.
    fn says(&self, name: &str) -> String {
        let read = dataset(name).unwrap().read(self.path(), "train", &ReadOptions::default());
        self.short(&read.expect_err(name).to_string())
    }

    /// What is said of a file of rows to predict.
    fn inputs_say(&self, name: &str) -> String {
        let read = read_inputs(&self.path().join(name), self.path(), Arm::Both);
        self.short(&read.expect_err(name).to_string())
    }

    fn short(&self, message: &str) -> String {
        message.replace(&format!("{}/", self.path().display()), "")
    }
}

/// Each reader of lines with a row of its own, in which `TEXT` stands for the text and `ID` for the
/// id: data set, file, what comes before the row, the row.
const LINES: [(&str, &str, &str, &str); 4] = [
    ("table", "train.csv", "id,text,label\n0,a,x\n", "ID,TEXT,x\n"),
    (
        "table",
        "train.jsonl",
        "{\"id\":\"0\",\"text\":\"a\",\"label\":\"x\"}\n",
        "{\"id\":\"ID\",\"text\":\"TEXT\",\"label\":\"x\"}\n",
    ),
    (
        "hateful_memes",
        "train.jsonl",
        "{\"id\":0,\"img\":\"a.png\",\"text\":\"a\",\"label\":0}\n",
        "{\"id\":\"ID\",\"img\":\"a.png\",\"text\":\"TEXT\",\"label\":0}\n",
    ),
    (
        "snli_ve",
        "snli_ve_train.jsonl",
        "{\"pairID\":\"1.jpg#0r1n\",\"gold_label\":\"neutral\",\"sentence2\":\"a\"}\n",
        "{\"pairID\":\"ID\",\"Flickr30K_ID\":\"1\",\"gold_label\":\"neutral\",\"sentence2\":\"TEXT\"}\n",
    ),
];

/// A place with the rows of one of [`LINES`] and the pictures that they name.
fn lines((name, before, row): (&str, &str, &str), id: &str, text: &str) -> Place {
    let place = Place::with("a.png", "");
    place.file("flickr30k_images/1.jpg", "");
    let row = row.replace("ID,", &format!("{id},")).replace("\"ID\"", &format!("\"{id}\""));
    place.file(name, format!("{before}{}", row.replace("TEXT", text)));
    place
}

fn vqa(question: &str, answer: &str) -> Place {
    let answers = format!("{{\"answer\":\"{answer}\"}},{{\"answer\":\"b\"}}");
    let place = Place::with("train2014/COCO_train2014_000000000009.jpg", "");
    place.file(
        VQA_QUESTIONS,
        format!("{{\"questions\":[\n{{\"image_id\":9,\"question\":\"{question}\",\"question_id\":9000}}]}}"),
    );
    place.file(
        VQA_ANNOTATIONS,
        format!(
            "{{\"annotations\":[\n{{\"question_id\":9000,\"image_id\":9,\"question_type\":\"t\",\
             \"answer_type\":\"other\",\"multiple_choice_answer\":\"b\",\"answers\":[{answers}]}}]}}"
        ),
    );
    place
}

#[test]
fn nul_characters_are_named_with_their_row() {
    for (name, file, before, row) in LINES {
        let nul = if file == "train.csv" { "\0" } else { "\\u0000" };
        let line = before.lines().count() + 1;
        for (id, text) in [("1", format!("a{nul}b")), (&format!("1{nul}"), "a".to_owned())] {
            let message = lines((file, before, row), id, &text).says(name);
            let start = format!("{file}:{line}: `");
            assert!(message.starts_with(&start), "{message}");
            assert!(message.contains("` has a NUL character; "), "{message}");
        }
    }
    let message = vqa("a\\u0000b", "b").says("vqa_v2");
    assert!(message.starts_with(&format!("{VQA_QUESTIONS}:2: `question` has a NUL")), "{message}");
    let message = vqa("a", "b\\u0000").says("vqa_v2");
    assert!(message.starts_with(&format!("{VQA_ANNOTATIONS}:2: `answer` has a NUL")), "{message}");
    let place = Place::with("in.csv", "id,text\n0,a\n1,b\0\n");
    assert!(place.inputs_say("in.csv").starts_with("in.csv:3: `text` has a NUL character"));
    let row = "{\"text\":\"a\",\"label\":\"x\",\"image\":\"a.png\\u0000.txt\"}\n";
    let message = Place::with("train.jsonl", row).says("table");
    assert!(message.starts_with("train.jsonl:1: `image` has a NUL character"), "{message}");
    // A raw NUL is no JSON at all.
    let place = Place::with("train.jsonl", "{\"text\":\"a\0\",\"label\":1}\n");
    assert!(place.says("table").starts_with("train.jsonl:1: not JSON: control character"));
}

#[test]
fn deep_json_is_an_error_and_no_overflow() {
    let (open, close) = ("[".repeat(200_000), "]".repeat(200_000));
    for (name, file, before, row) in LINES.into_iter().skip(1) {
        let line = before.lines().count() + 1;
        let key = row.split("TEXT").next().unwrap().rsplit('"').nth(2).unwrap();
        for (text, said) in [
            (
                format!("{open}{close}"),
                format!("`{key}` is a list or an object, expected a string"),
            ),
            (open.clone(), "not JSON: expected value".to_owned()),
        ] {
            let row = row.replace("\"TEXT\"", &text);
            let message = lines((file, before, &row), "1", "").says(name);
            assert!(message.starts_with(&format!("{file}:{line}: ")), "{message:.200}");
            assert!(message.contains(&said), "{name}: {message:.200}");
        }
    }
    for file in [VQA_QUESTIONS, VQA_ANNOTATIONS] {
        let place = vqa("a", "b");
        let text = fs::read_to_string(place.path().join(file)).unwrap();
        for (from, to) in [
            ("\"image_id\":9,", format!("\"image_id\":{open}{close},")),
            ("\"image_id\":9,", format!("\"image_id\":9,\"more\":{open},")),
        ] {
            place.file(file, text.replace(from, &to));
            let message = place.says("vqa_v2");
            assert!(message.starts_with(&format!("{file}:")), "{message:.200}");
        }
    }
}

#[test]
fn files_of_another_format_are_called_by_it() {
    let parquet =
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parquet/pandas/train.parquet"))
            .unwrap();
    for (bytes, said) in [
        (parquet.as_slice(), "a Parquet table (call it `.parquet`)"),
        (b"PK\x03\x04\x14\0", "a zip archive or a spreadsheet"),
        (b"\x1F\x8B\x08\0", "compressed with gzip (unpack it)"),
        (b"\xD0\xCF\x11\xE0\xA1", "an old spreadsheet"),
        (b"\x28\xB5\x2F\xFD", "compressed with zstd"),
    ] {
        for (name, file) in [
            ("table", "train.csv"),
            ("table", "train.jsonl"),
            ("hateful_memes", "train.jsonl"),
            ("snli_ve", "snli_ve_train.jsonl"),
        ] {
            let message = Place::with(file, bytes).says(name);
            assert!(message.starts_with(&format!("{file}: the file is {said}")), "{message}");
        }
        let message = Place::with("in.csv", bytes).inputs_say("in.csv");
        assert!(message.starts_with(&format!("in.csv: the file is {said}")), "{message}");
    }
    for (file, bytes, said) in [
        ("train.parquet", &b"id,text,label\n1,a,x\n"[..], "train.parquet: not a Parquet file"),
        (
            "train.jsonl",
            b"id,text,label\n1,a,x\n",
            "train.jsonl:1: the line begins with `i`, expected a JSON object",
        ),
        (
            "train.jsonl",
            b"[{\"text\": \"a\", \"label\": 1}]\n",
            "train.jsonl:1: the line begins with `[`, as a JSON array does",
        ),
        ("train.csv", b"\x89PNG\r\n\x1a\n\0\0", "train.csv: the file is a picture"),
    ] {
        let message = Place::with(file, bytes).says("table");
        assert!(message.starts_with(said), "{message}");
    }
    let message = Place::with(VQA_QUESTIONS, b"PK\x03\x04\xFF").says("vqa_v2");
    assert!(message.contains("train2014"), "{message}");
}

#[cfg(unix)]
#[test]
fn no_reader_follows_a_path_or_a_link_out_of_its_folder() {
    let outside = Place::with("a.png", "");
    outside.file("flickr30k_images/1.jpg", "");
    outside.file("train2014/COCO_train2014_000000000009.jpg", "");
    for (name, file, before, row) in LINES {
        if file == "train.csv" {
            continue; // its row has no picture
        }
        let place = lines((file, before, row), "1", "a");
        for link in ["a.png", "flickr30k_images"] {
            let path = place.path().join(link);
            if path.is_dir() {
                fs::remove_dir_all(&path).unwrap();
            } else {
                fs::remove_file(&path).unwrap();
            }
            std::os::unix::fs::symlink(outside.path().join(link), path).unwrap();
        }
        if name != "table" {
            let message = place.says(name);
            assert!(message.contains("is a link that leads out of the data folder"), "{message}");
        }
        for path in ["/etc/hostname", "../a.png", "x/../../a.png", "a.png"] {
            let rows = format!("{{\"text\":\"a\",\"label\":\"x\",\"image\":\"{path}\"}}\n");
            place.file("train.jsonl", &rows);
            place.file("in.jsonl", rows);
            for message in [place.says("table"), place.inputs_say("in.jsonl")] {
                assert!(message.contains("jsonl:1: the picture `"), "{message}");
                let said =
                    ["has an absolute path", "has `..` in its path", "is a link that leads out"];
                assert!(said.iter().any(|said| message.contains(said)), "{message}");
            }
        }
    }
    let place = vqa("a", "b");
    fs::remove_dir_all(place.path().join("train2014")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("train2014"), place.path().join("train2014"))
        .unwrap();
    let message = place.says("vqa_v2");
    assert!(message.contains("is a link that leads out of the data folder"), "{message}");
}

fn picture(name: &str) -> Result<image::RgbImage, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile").join(name);
    decode(&ImageSource::File(path)).map_err(|error| error.to_string())
}

#[test]
fn moving_pictures_are_refused_and_still_ones_are_not() {
    for name in ["animated.png", "animated.webp"] {
        let message = picture(name).unwrap_err();
        assert!(message.contains(&format!("{name}: the picture is animated; ")), "{message}");
    }
    let message = picture("animated.gif").unwrap_err();
    assert!(message.contains("convert the picture to PNG, JPEG or WebP"), "{message}");
    assert_eq!(picture("still.webp").unwrap().get_pixel(2, 2).0, [200, 30, 60]);
    assert_eq!(picture("grey_16.png").unwrap().get_pixel(2, 2).0, [128; 3]);
}

#[test]
fn a_webp_file_is_whole_or_an_error() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pillow/turned_6.webp");
    let whole = fs::read(path).unwrap();
    let place = Place::new();
    let said = |bytes: &[u8]| {
        decode(&ImageSource::File(place.file("a.webp", bytes))).map_err(|error| error.to_string())
    };
    assert!(said(&whole).is_ok());
    assert!(said(&[&whole[..], b"what is no part of it"].concat()).is_ok());
    for length in 0..whole.len() {
        assert!(said(&whole[..length]).is_err(), "{length}");
    }
    // A chunk of EXIF that claims four gigabytes, which the decoder would take.
    let mut claims = whole.clone();
    let at = claims.windows(4).position(|window| window == b"EXIF").unwrap();
    claims[at + 4..at + 8].copy_from_slice(&0xFFFF_FFF0_u32.to_le_bytes());
    assert!(said(&claims).unwrap_err().contains("cut short"));
    // And one right behind the end of the file, where the decoder still looks.
    let behind = [&whole[..], b"ICCP\xf0\xff\xff\xff"].concat();
    assert!(said(&behind).unwrap_err().contains("cut short"));
}

/// A chunk of a PNG file with its checksum (RFC 2083, section 3).
fn chunk(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut sum = flate2::Crc::new();
    sum.update(&kind);
    sum.update(body);
    [&(body.len() as u32).to_be_bytes()[..], &kind, body, &sum.sum().to_be_bytes()].concat()
}

fn png(width: u32, height: u32, more: &[u8], pixels: &[u8]) -> Vec<u8> {
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let header = [&size[..], &[8, 0, 0, 0, 0]].concat();
    let start = [b"\x89PNG\r\n\x1a\n", &chunk(*b"IHDR", &header)[..], more].concat();
    [start, chunk(*b"IDAT", pixels), chunk(*b"IEND", &[])].concat()
}

fn zeros(bytes: usize) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![0; bytes]).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn small_files_do_not_become_large_pictures() {
    // Grey pixels take a third of what they become.
    let grey = png(20_000, 9_000, &[], &zeros(1000));
    // A lossless WebP of 16,383 x 16,383 (RFC 9649, section 3.4).
    let webp = b"RIFF\x1e\0\0\0WEBPVP8L\x11\0\0\0\x2f\xfe\xbf\xff\x0f\0\0\0\0\0\0\0\0\0\0\0\0\0";
    // The headers of a JPEG of 65,500 x 65,500 (ITU T.81, annex B.2.2 and B.2.3).
    let jpeg =
        b"\xFF\xD8\xFF\xC0\0\x11\x08\xFF\xDC\xFF\xDC\x03\x01\x22\0\x02\x11\x01\x03\x11\x01\xFF\xDA\0\x0C\x03\x01\0\x02\0\x03\0\0\x3F\0\xFF\xD9";
    for bytes in [&grey[..], webp, jpeg] {
        let place = Place::new();
        let source = ImageSource::File(place.file("bomb", bytes));
        let message = place.short(&decode(&source).unwrap_err().to_string());
        assert!(message.starts_with("bomb: "), "{message}");
        assert!(message.contains("too large") || message.contains("too many"), "{message}");
    }
    // Much more data than one pixel needs, and a colour profile of 200 MB.
    let profile = [b"x\0\0", &zeros(200 << 20)[..]].concat();
    for bytes in
        [png(1, 1, &[], &zeros(200 << 20)), png(1, 1, &chunk(*b"iCCP", &profile), &zeros(2))]
    {
        let place = Place::new();
        let source = ImageSource::File(place.file("bomb", bytes));
        if let Ok(picture) = decode(&source) {
            assert_eq!(picture.dimensions(), (1, 1));
        }
    }
}

#[test]
fn few_bytes_of_parquet_do_not_fill_the_memory() {
    for name in ["rows", "text"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile").join(name);
        let read = dataset("table").unwrap().read(&root, "train", &ReadOptions::default());
        let message = read.unwrap_err().to_string();
        assert!(
            message.contains("/train.parquet:") && message.contains("few bytes stand for all"),
            "{message}"
        );
    }
}

/// A zip archive of one stored entry with these file attributes (PKWARE's APPNOTE, 4.3 and 4.4.15).
fn zip(name: &str, bytes: &[u8], mode: u32) -> Vec<u8> {
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    let mut shared =
        [20_u16, 0, 0, 0, 0].iter().flat_map(|half| half.to_le_bytes()).collect::<Vec<u8>>();
    for word in [sum.sum(), bytes.len() as u32, bytes.len() as u32] {
        shared.extend(word.to_le_bytes());
    }
    shared.extend((name.len() as u32).to_le_bytes()); // and no extra field
    let local = [b"PK\x03\x04", &shared[..], name.as_bytes(), bytes].concat();
    let mut entry = [b"PK\x01\x02\x14\x03", &shared[..], &[0; 6]].concat();
    entry.extend((mode << 16).to_le_bytes());
    entry.extend([0; 4]);
    entry.extend(name.as_bytes());
    let mut end = b"PK\x05\x06\0\0\0\0\x01\0\x01\0".to_vec();
    end.extend((entry.len() as u32).to_le_bytes());
    end.extend((local.len() as u32).to_le_bytes());
    end.extend([0, 0]);
    [local, entry, end].concat()
}

/// What the table says of a picture in an archive: of finding it, or of decoding it.
fn packed(archive: &str, bytes: &[u8]) -> String {
    let place = Place::with(archive, bytes);
    let rows = format!("text,image,label\na,{archive}/a.png,x\nb,{archive}/a.png,y\n");
    place.file("train.csv", rows);
    let read = dataset("table").unwrap().read(place.path(), "train", &ReadOptions::default());
    let found = read.and_then(|split| decode(split.samples[0].image.as_ref().unwrap()).map(drop));
    found.map_or_else(|error| place.short(&error.to_string()), |()| "nothing".to_owned())
}

#[test]
fn archives_that_are_cut_short_or_hold_links_are_named() {
    let picture = png(1, 1, &[], &zeros(2));
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(picture.len() as u64);
    builder.append_data(&mut header, "a.png", &picture[..]).unwrap();
    let tar = builder.into_inner().unwrap();
    let zip_file = zip("a.png", &picture, 0o100_644);
    for (archive, whole, needed) in [
        ("p.zip", &zip_file, zip_file.len()),
        ("p.tar", &tar, 512 + picture.len()), // the rest is padding
    ] {
        assert_eq!(packed(archive, whole), "nothing");
        for length in (0..needed).step_by(7) {
            let message = packed(archive, &whole[..length]);
            let (row, entry) = ("train.csv:2: the picture `", format!("{archive}/a.png: "));
            assert!(message.starts_with(row) || message.starts_with(&entry), "{length}: {message}");
        }
    }
    let message = packed("p.zip", &zip("a.png", b"/etc/passwd", 0o120_777));
    assert!(message.contains("is a folder or a link within its archive"), "{message}");
    for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Fifo] {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        builder.append_link(&mut header, "a.png", "/etc/passwd").unwrap();
        let message = packed("p.tar", &builder.into_inner().unwrap());
        assert!(
            message.starts_with("train.csv:2: ") && message.contains("has no file `a.png`"),
            "{message}"
        );
    }
    // An entry that claims more bytes than a disk has.
    let mut lying = tar.clone();
    lying[124..136].copy_from_slice(b"77777777777\0");
    let sum: u32 = lying[..512]
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
        .sum();
    lying[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert!(
        packed("p.tar", &lying).contains("`a.png` is cut short"),
        "{}",
        packed("p.tar", &lying)
    );
    for (archive, bytes) in [("p.zip", &tar), ("p.tar", &zip_file)] {
        let message = packed(archive, bytes);
        assert!(message.contains("archive that can be read"), "{message}");
    }
}
