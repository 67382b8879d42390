use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use crate::fixture::Folder;
use crate::place::Place;
use crate::{ImageSource, decode, picture::bytes_of};

/// An entry of a zip archive as it is written: name, contents, method (0 or 8), what it claims.
#[derive(Clone, Copy)]
pub(crate) struct Zipped<'a> {
    pub(crate) name: &'a str,
    pub(crate) bytes: &'a [u8],
    pub(crate) method: u16,
    pub(crate) length: Option<u32>,
    pub(crate) flags: u16,
}

pub(crate) fn plain<'a>(name: &'a str, bytes: &'a [u8], method: u16) -> Zipped<'a> {
    Zipped { name, bytes, method, length: None, flags: 0 }
}

/// A zip archive by its specification (PKWARE's APPNOTE, 4.3): the crate here cannot deflate.
pub(crate) fn zip(entries: &[Zipped<'_>]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let mut crc = flate2::Crc::new();
        crc.update(entry.bytes);
        let stored = if entry.method == 8 {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(entry.bytes).unwrap();
            encoder.finish().unwrap()
        } else {
            entry.bytes.to_vec()
        };
        let length = entry.length.unwrap_or(entry.bytes.len() as u32);
        let mut shared = Vec::new();
        for half in [20, entry.flags, entry.method, 0, 0] {
            shared.extend(half.to_le_bytes());
        }
        for word in [crc.sum(), stored.len() as u32, length] {
            shared.extend(word.to_le_bytes());
        }
        shared.extend((entry.name.len() as u16).to_le_bytes());
        shared.extend(0_u16.to_le_bytes());
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&shared);
        directory.extend([0; 10]); // comment, disk, attributes
        directory.extend((file.len() as u32).to_le_bytes());
        directory.extend(entry.name.as_bytes());
        file.extend(b"PK\x03\x04");
        file.extend(&shared);
        file.extend(entry.name.as_bytes());
        file.extend(stored);
    }
    let (start, count) = (file.len() as u32, entries.len() as u16);
    file.extend(&directory);
    file.extend(b"PK\x05\x06\x00\x00\x00\x00");
    for half in [count, count] {
        file.extend(half.to_le_bytes());
    }
    for word in [directory.len() as u32, start] {
        file.extend(word.to_le_bytes());
    }
    file.extend([0, 0]);
    file
}

pub(crate) fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn pictures_are_read_from_zip_and_tar_as_from_a_folder() {
    let folder = Folder::with(&[]);
    folder.picture("plain/a.png", 7);
    let bytes = std::fs::read(folder.path().join("plain/a.png")).unwrap();
    folder.file("p.zip", zip(&[plain("x/a.png", &bytes, 8), plain("b.png", &bytes, 0)]));
    folder.file("sub/q.tar", tar(&[("./x/a.png", &bytes), (&"l/".repeat(90), b"x")]));
    let place = Place::new(folder.path()).unwrap();
    let expected = decode(&place.picture("plain/a.png", true).unwrap()).unwrap();
    for path in ["p.zip/x/a.png", "./p.zip/./b.png", "sub/q.tar/x/a.png"] {
        let source = place.picture(path, true).unwrap();
        assert!(matches!(source, ImageSource::Packed(_)), "{path}");
        assert_eq!(decode(&source).unwrap(), expected, "{path}");
        assert_eq!(crate::picture::length_of(&source), Some(bytes.len() as u64), "{path}");
    }
    let source = place.picture("p.zip/x/a.png", true).unwrap();
    assert_eq!(source.key(), folder.path().join("p.zip/x/a.png"));
    assert_eq!(source, place.picture("./p.zip/x/a.png", true).unwrap());
    assert_ne!(source, place.picture("p.zip/b.png", true).unwrap());
}

#[test]
fn many_threads_read_one_archive() {
    let folder = Folder::with(&[]);
    let contents: Vec<(String, Vec<u8>)> =
        (0..40_u8).map(|n| (format!("{n}.bin"), vec![n; 5000 + usize::from(n)])).collect();
    let zipped: Vec<Zipped<'_>> = contents
        .iter()
        .enumerate()
        .map(|(index, (name, bytes))| plain(name, bytes, if index % 2 == 0 { 8 } else { 0 }))
        .collect();
    folder.file("p.zip", zip(&zipped));
    let rows: Vec<(&str, &[u8])> =
        contents.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    folder.file("p.tar", tar(&rows));
    let place = Place::new(folder.path()).unwrap();
    std::thread::scope(|scope| {
        for archive in ["p.zip", "p.tar", "p.zip", "p.tar"] {
            let (place, contents) = (&place, &contents);
            scope.spawn(move || {
                for (name, bytes) in contents {
                    let source = place.picture(&format!("{archive}/{name}"), true).unwrap();
                    assert_eq!(&*bytes_of(&source).unwrap(), bytes, "{archive}/{name}");
                }
            });
        }
    });
}

#[test]
fn nothing_leaves_an_archive_and_bombs_do_not_go_off() {
    let folder = Folder::with(&[("a.zip/readme", "a folder of that name"), ("broken.zip", "PK")]);
    let zeros = vec![0; 1 << 20];
    let (over, under) = (Some(u32::MAX - 1), Some(1000));
    folder.file(
        "p.zip",
        zip(&[
            plain("../up.png", b"x", 0),
            Zipped { length: over, ..plain("claims.png", b"x", 8) },
            Zipped { length: under, ..plain("hides.png", &zeros, 8) },
            Zipped { length: Some(9), ..plain("short.png", b"x", 0) },
            Zipped { flags: 1, ..plain("secret.png", b"x", 0) },
            plain("odd.png", b"x", 12),
            plain("folder/", b"", 0),
        ]),
    );
    let place = Place::new(folder.path()).unwrap();
    let problem = |path: &str| {
        place
            .picture(path, true)
            .map_err(|(_, words)| words)
            .and_then(|source| bytes_of(&source).map_err(|error| error.to_string()))
    };
    for (path, words) in [
        ("p.zip/../up.png", "has `..` in its path"),
        ("p.zip/up.png", "has no file `up.png`"),
        ("p.zip/claims.png", "has 4294967294 bytes, more than 536870912"),
        ("p.zip/hides.png", "not of the 1000 bytes"),
        ("p.zip/short.png", "not of the 9 bytes"),
        ("p.zip/secret.png", "is encrypted"),
        ("p.zip/odd.png", "pack the archive anew with Deflate"),
        ("p.zip/folder", "has no file `folder`"),
        ("broken.zip/a.png", "not a zip archive that can be read"),
        ("a.zip/b.png", "is missing"),
        ("p.zip", "not a file"),
    ] {
        match problem(path) {
            // An archive is a file like another where it is named whole.
            Ok(_) => assert_eq!(path, "p.zip"),
            Err(found) => assert!(found.contains(words), "{path}: {found}"),
        }
    }
}

#[test]
fn damage_is_found() {
    let folder = Folder::with(&[]);
    let mut file = zip(&[plain("a.png", b"some bytes", 0)]);
    let at = file.windows(10).position(|window| window == b"some bytes").unwrap();
    file[at] = b'S';
    folder.file("p.zip", file);
    let whole = tar(&[("a.png", &[1; 2000])]);
    folder.file("cut.tar", &whole[..1500]);
    folder.file("p.tar.gz", &whole);
    let place = Place::new(folder.path()).unwrap();
    let source = place.picture("p.zip/a.png", true).unwrap();
    let message = bytes_of(&source).unwrap_err().to_string();
    assert!(message.contains("p.zip/a.png: ") && message.contains("checksum"), "{message}");
    let (_, words) = place.picture("cut.tar/a.png", true).unwrap_err();
    assert!(words.contains("`a.png` is cut short"), "{words}");
    // Behind a header of 512 bytes and data of four such blocks the end of a tar is missing.
    folder.file("ends.tar", &whole[..5 * 512]);
    let (_, words) = place.picture("ends.tar/a.png", true).unwrap_err();
    assert!(words.contains("it ends in its midst"), "{words}");
    folder.file("whole.tar", &whole[..6 * 512]);
    assert!(place.picture("whole.tar/a.png", true).is_ok(), "an empty block is an end");
}

#[cfg(unix)]
#[test]
fn links_in_a_tar_are_no_pictures_and_archives_stay_inside() {
    let folder = Folder::with(&[("root/x", "")]);
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "a.png", "/etc/passwd").unwrap();
    folder.file("root/p.tar", builder.into_inner().unwrap());
    folder.file("out.tar", tar(&[("a.png", b"x")]));
    std::os::unix::fs::symlink("../out.tar", folder.path().join("root/out.tar")).unwrap();
    let place = Place::new(&folder.path().join("root")).unwrap();
    let words = |path| place.picture(path, true).unwrap_err().1;
    assert!(words("p.tar/a.png").contains("has no file `a.png`"));
    assert!(words("out.tar/a.png").contains("is a link that leads out of the data folder"));
}
