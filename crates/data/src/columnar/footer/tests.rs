use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use parquet::arrow::ARROW_SCHEMA_META_KEY;
use parquet::file::metadata::KeyValue;

use super::*;

/// Files that pandas and others wrote, with columns of all kinds.
const WRITTEN: [&str; 3] = ["types", "pandas", "hugging_face"];

/// The footer of such a file.
fn footer(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parquet").join(name);
    let file = std::fs::read(path.join("train.parquet")).unwrap();
    let tail = file.len() - FOOTER_SIZE;
    let length = FooterTail::try_from(&file[tail..]).unwrap().metadata_length();
    file[tail - length..tail].to_vec()
}

/// What is said of a file that is nothing but this footer.
fn problem(footer: &[u8]) -> Option<String> {
    let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
    let file = [b"PAR1", footer, &length, b"PAR1"].concat();
    read(&Contents::Held(Bytes::from(file))).err().map(|error| error.to_string())
}

/// The footer with one more field, numbered 100, of this type.
fn with_field(kind: u8, value: &[u8]) -> Vec<u8> {
    let mut footer = footer("pandas");
    assert_eq!(footer.pop(), Some(0));
    [&footer[..], &[kind, 200, 1], value, &[0]].concat()
}

/// 2 147 483 647, the most that a list can have.
const MOST: [u8; 5] = [0xff, 0xff, 0xff, 0xff, 0x07];

#[test]
fn booleans_in_fields_that_nobody_knows_are_refused_before_they_are_counted() {
    let list = [&[0xf1], &MOST[..]].concat();
    let map = [&MOST[..], &[0x12]].concat();
    let nested = [&[0x29], &[0x02][..], &list].concat();
    for footer in [with_field(9, &list), with_field(11, &map), with_field(9, &nested)] {
        let problem = problem(&footer).unwrap();
        assert!(problem.contains("a footer claims 2147483647 booleans"), "{problem}");
    }
}

#[test]
fn other_fields_that_nobody_knows_are_passed_over() {
    let structure = [0x15, 2, 0x18, 3, b'a', b'b', b'c', 0x11, 0];
    let fields: [(u8, &[u8]); 9] = [
        (1, &[]),
        (3, &[7]),
        (5, &[0x80, 1]),
        (7, &[0; 8]),
        (8, b"\x03abc"),
        (9, &[0x02]),
        (9, &[0x35, 1, 2, 3]),
        (11, &[1, 0x58, 2, 2, b'a', b'b']),
        (12, &structure),
    ];
    for (kind, value) in fields {
        assert_eq!(problem(&with_field(kind, value)), None, "type {kind}");
    }
    for cut in [1, 2, 5] {
        let mut footer = with_field(8, b"\x03abc");
        footer.truncate(footer.len() - cut);
        assert!(problem(&footer).unwrap().contains("a footer is damaged"));
    }
}

#[test]
fn page_headers_are_looked_through_as_they_are_read() {
    let header = [&[0x15, 0, 0x15, 2, 0x15, 2, 0x09, 200, 1, 0xf2], &MOST[..], &[0]].concat();
    let contents = Contents::Held(Bytes::from(header));
    let mut reader = contents.get_read(0).unwrap();
    let problem = reader.read(&mut [0]).unwrap_err().to_string();
    assert!(problem.contains("a page header claims 2147483647 booleans"), "{problem}");
    let contents = Contents::Held(Bytes::from_static(&[0x15, 0, 0x15, 2, 0x15, 2, 0, 9]));
    let mut all = Vec::new();
    contents.get_read(0).unwrap().read_to_end(&mut all).unwrap();
    assert_eq!(all, [0x15, 0, 0x15, 2, 0x15, 2, 0, 9]);
}

/// A footer of no rows with these columns: name, number of columns in it.
fn schema(columns: &[(&str, u32)]) -> Vec<u8> {
    fn number(mut number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number > 0x7f {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    }
    let mut footer = [&[0x15, 2, 0x19, 0xfc], &number(columns.len() as u64)[..]].concat();
    for (at, (name, children)) in columns.iter().enumerate() {
        footer.extend(match (at, children) {
            (0, _) => vec![0x48],
            (_, 0) => vec![0x15, 12, 0x25, 2, 0x18],
            _ => vec![0x35, 2, 0x18],
        });
        footer.extend(number(name.len() as u64));
        footer.extend(name.bytes());
        if *children > 0 {
            footer.push(0x15);
            footer.extend(number(u64::from(*children) << 1));
        }
        footer.push(0);
    }
    [&footer[..], &[0x16, 0, 0x19, 0x0c, 0]].concat()
}

#[test]
fn schemas_are_held_to_their_nodes_their_depth_and_their_names() {
    assert_eq!(problem(&schema(&[("r", 2), ("a", 1), ("b", 0), ("c", 0)])), None);
    let claims = problem(&schema(&[("r", 2), ("a", i32::MAX as u32), ("b", 0)])).unwrap();
    assert!(claims.contains("claims 2147483647 columns in it, with 1 left"), "{claims}");
    let roots = problem(&schema(&[("r", 1), ("a", 0), ("b", 0)])).unwrap();
    assert!(roots.contains("more than one root"), "{roots}");
    let nested = |depth: usize| {
        let mut columns = vec![("a", 1); depth - 1];
        columns.push(("b", 0));
        problem(&schema(&columns))
    };
    assert_eq!(nested(DEEPEST), None);
    assert!(nested(DEEPEST + 1).unwrap().contains("more than 100 deep"));
    assert!(nested(100_000).unwrap().contains("more than 100 deep"));
    let long = "x".repeat(1 << 20);
    let wide = |columns: usize| {
        let mut all = vec![("r", 1), (&long[..], columns as u32)];
        all.extend(vec![("y", 0); columns]);
        problem(&schema(&all))
    };
    assert_eq!(wide(10), None);
    assert!(wide(70).unwrap().contains("come to more than 64 MiB"));
}

/// The bytes of a message of Arrow that is a schema of columns by one name, all with the same children, where
/// `widths` has how many; in the tree that it stands for each of them has its own.
fn shared_schema(widths: &[u32], name: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let put = |bytes: &mut Vec<u8>, numbers: &[u32]| {
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    };
    // Sizes of a table and of the list of its fields' places, then those places.
    let place = |bytes: &mut Vec<u8>, numbers: &[u16]| {
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    };
    let point = |bytes: &mut Vec<u8>, at: usize| {
        let offset = (bytes.len() - at) as u32;
        bytes[at..at + 4].copy_from_slice(&offset.to_le_bytes());
    };
    put(&mut bytes, &[0]);
    place(&mut bytes, &[10, 12, 8, 10, 4]);
    point(&mut bytes, 0);
    let table = bytes.len() as u32;
    put(&mut bytes, &[table - 4, 0, 0x0001_0004]);
    let header = bytes.len() - 8;
    place(&mut bytes, &[8, 8, 0, 4]);
    point(&mut bytes, header);
    put(&mut bytes, &[8, 0]);
    let field = bytes.len();
    let mut pending = field - 4;
    place(&mut bytes, &[16, 20, 4, 0, 16, 8, 0, 12]);
    for (level, width) in widths.iter().chain(&[0]).enumerate() {
        point(&mut bytes, pending);
        put(&mut bytes, &[*width]);
        let slots = bytes.len();
        for at in 0..*width as usize {
            put(&mut bytes, &[4 * (*width - at as u32)]);
        }
        if *width == 0 {
            break;
        }
        let table = bytes.len();
        assert_eq!(table, slots + 4 * *width as usize);
        let kind = if level + 1 == widths.len() { 5 } else { 13 };
        put(&mut bytes, &[(table - field) as u32, 0, 0, 0, kind]);
        place(&mut bytes, &[4, 4]);
        point(&mut bytes, table + 8);
        put(&mut bytes, &[4]);
        point(&mut bytes, table + 4);
        put(&mut bytes, &[name.len() as u32]);
        bytes.extend(name);
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        pending = table + 12;
    }
    bytes
}

#[test]
fn arrow_schemas_are_held_to_what_their_bytes_can_stand_for() {
    let said = |widths: &[u32], name: &[u8]| {
        let message = shared_schema(widths, name);
        let told = [&[0xff; 4], &(message.len() as u32).to_le_bytes()[..], &message].concat();
        let value = BASE64_STANDARD.encode(told);
        hint::check(&[KeyValue::new(ARROW_SCHEMA_META_KEY.to_owned(), value)])
    };
    assert_eq!(said(&[1], b"id"), Ok(()));
    assert_eq!(said(&[3, 2], b"id"), Ok(()));
    let problem = said(&[1, 900, 400], &[b'x'; 1700]).unwrap_err();
    assert!(problem.contains("bytes of Arrow schema in its footer stand for over"), "{problem}");
}

/// What the library reads the walk lets pass, whichever byte is another one.
#[test]
fn the_walk_refuses_nothing_that_the_library_reads() {
    let (mut both, mut neither) = (0, 0);
    for name in WRITTEN {
        let footer = footer(name);
        assert!(walk(&footer[..], FOOTER, "footer").is_ok(), "{name}");
        for (at, flip) in (0..footer.len()).flat_map(|at| [1, 2, 8, 16, 128].map(|bit| (at, bit))) {
            let mut footer = footer.clone();
            footer[at] ^= flip;
            match walk(&footer[..], FOOTER, "footer") {
                Ok(_) => both += 1,
                Err(error) if error.to_string().contains("booleans") => {}
                Err(error) => {
                    neither += 1;
                    let read = ParquetMetaDataReader::decode_metadata(&footer);
                    assert!(read.is_err(), "{name}, byte {at} by {flip}: {error}");
                }
            }
        }
    }
    assert!(both > 1000 && neither > 1000, "{both} and {neither}");
}
