//! Mistakes that people make with files, and what they are told to do about each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::fs;

use mmc_data::{ImageSource, ReadOptions, check, dataset, decode};

/// What reading a table says whose training file has this name and these bytes.
fn table_says(name: &str, bytes: &[u8]) -> String {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("other.png"), b"").unwrap();
    fs::create_dir(place.path().join("folder.png")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc/hostname", place.path().join("link.png")).unwrap();
    fs::write(place.path().join(name), bytes).unwrap();
    let read = dataset("table").unwrap().read(place.path(), "train", &ReadOptions::default());
    let message = read.expect_err(name).to_string();
    message.replace(&format!("{}/", place.path().display()), "")
}

#[test]
fn a_file_under_a_wrong_name_is_called_by_what_it_is() {
    let json = "{\"id\": \"1\", \"text\": \"a\", \"label\": \"x\"}\n";
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    for (name, bytes, said) in [
        ("train.csv", json.as_bytes(), "train.csv:1: the line is JSON; call a file with an object"),
        ("train.csv", &png[..], "train.csv: the file is a picture (put the table"),
        ("train.jsonl", b"\xFF\xD8\xFF\xE0", "train.jsonl: the file is a picture (put the table"),
        ("train.jsonl", b"id,text,label\n1,a,x\n", "train.jsonl:1: the line begins with `i`, "),
        (
            "train.jsonl",
            b"[\n{\"id\": 1}\n]\n",
            "train.jsonl:1: the line begins with `[`, as a JSON array does",
        ),
        ("train.jsonl", b"{\n  \"id\": 1\n}\n", "write the whole object in one line"),
        (
            "train.csv",
            b"id,text,label\n1,\"a,x\n2,b,y\n",
            "train.csv:2: a quote is opened and never closed",
        ),
    ] {
        let message = table_says(name, bytes);
        assert!(message.contains(said), "{said}: {message}");
    }
}

#[test]
fn a_picture_that_cannot_be_had_comes_with_a_way_out() {
    let skip =
        ", or skip such rows (`--on-bad-item skip` of `mmc train` and `mmc evaluate`) (id `1`)";
    let mut cases = vec![
        ("gone.png", format!("is missing; put it at gone.png{skip}")),
        ("folder.png", format!("is not a file; name one{skip}")),
        ("https://x.org/a.png", format!("download it and write the path of its file{skip}")),
    ];
    if cfg!(unix) {
        let slashes = format!("write `/` between its folders, from the data folder on{skip}");
        cases.push((r"img\a.png", slashes));
        let link =
            "is a link that leads out of the data folder; copy what it leads to in its place";
        cases.push(("link.png", link.to_owned()));
    }
    for (name, said) in cases {
        let rows = format!("id,text,image,label\n1,a,{name},x\n2,b,other.png,y\n");
        let message = table_says("train.csv", rows.as_bytes());
        assert!(message.starts_with(&format!("train.csv:2: the picture `{name}` ")), "{message}");
        assert!(message.contains(&said), "{said}: {message}");
    }
}

#[test]
fn a_file_that_is_no_picture_says_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    for (name, bytes, said) in [
        ("empty.png", &b""[..], "empty.png: the file is empty; copy the picture again"),
        ("page.png", b"<html>404</html>", "page.png: the file holds neither PNG, JPEG nor WebP; "),
        (
            "a.gif",
            b"GIF89a\x01\0\x01\0\0\0\0;",
            "a.gif: Gif files are not read; convert the picture",
        ),
        ("a.tif", b"II*\0\x08\0\0\0", "a.tif: Tiff files are not read; convert the picture"),
    ] {
        let path = place.path().join(name);
        fs::write(&path, bytes).unwrap();
        let message = decode(&ImageSource::File(path)).unwrap_err().to_string();
        assert!(message.contains(said), "{said}: {message}");
    }
}

#[test]
fn columns_and_values_that_are_nearly_there_are_found() {
    for (name, bytes, said) in [
        ("train.csv", "id, text, label\n1,a,x\n", "with white space around it, ` text`; take that"),
        (
            "train.jsonl",
            "{\"text\": null, \"label\": \"x\"}\n",
            "train.jsonl:1: the row has no `text`, or `null` in it; give it one",
        ),
    ] {
        let message = table_says(name, bytes.as_bytes());
        assert!(message.contains(said), "{said}: {message}");
    }
}

/// `mmc data check` and `info` say what a run would say of rows that the set's own rules leave out.
#[test]
fn what_readers_note_is_noted() {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("flickr30k_images")).unwrap();
    fs::write(place.path().join("flickr30k_images/1.jpg"), b"").unwrap();
    for split in ["train", "dev", "test"] {
        let row = |id: u8, label: &str| {
            format!(
                "{{\"Flickr30K_ID\": \"1\", \"gold_label\": \"{label}\", \"pairID\": \"{id}\", \
                 \"sentence2\": \"a\"}}\n"
            )
        };
        let rows = row(1, "entailment") + &row(2, "-");
        fs::write(place.path().join(format!("snli_ve_{split}.jsonl")), rows).unwrap();
    }
    let (set, options) = (dataset("snli_ve").unwrap(), ReadOptions::default());
    let checked = check::check(set, place.path(), &options).unwrap().notes;
    let told = check::info(set, place.path(), &options).unwrap().notes;
    for notes in [checked, told] {
        let counted = |note: &&String| note.contains("1 of 2 rows left out: their label is `-`");
        assert_eq!(notes.iter().filter(counted).count(), 3, "{notes:?}");
    }
}
