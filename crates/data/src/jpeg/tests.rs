//! Beside scipy: `tests/references/jpeg.py` writes `tests/jpeg/`.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::{ImageSource, decode_at_least};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jpeg")
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(folder().join(name)).unwrap()
}

/// To so many eighths.
fn reduced(bytes: &[u8], eighths: usize) -> Option<RgbImage> {
    let mut collected = Collected::default();
    decode(bytes, &Header::read(bytes)?, eighths, &mut collected)?;
    Some(collected.finish()?.picture)
}

fn reference() -> Value {
    serde_json::from_slice(&bytes("expected.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn blocks_are_those_of_the_cosine_transform() {
    let reference = reference();
    // A colour is off by more than its rounding where a component lies between two levels.
    for (name, channels, allowed) in [("grey.jpg", 1, 0.56), ("444.jpg", 3, 2.3)] {
        for eighths in FEWER {
            let picture = reduced(&bytes(name), eighths).unwrap();
            let size = (6 * eighths as u32, 5 * eighths as u32);
            assert_eq!(picture.dimensions(), size, "{name}");
            let expected = numbers(&reference["whole"][name][eighths.to_string()]);
            let levels = picture.as_raw().iter().step_by(if channels == 1 { 3 } else { 1 });
            assert_eq!(levels.len(), expected.len());
            let mut between = 0;
            for (at, (&level, expected)) in levels.zip(&expected).enumerate() {
                let off = (f64::from(level) - expected).abs();
                assert!(off <= allowed, "{name}, {eighths} eighths, {at}: {level}, {expected}");
                between += usize::from(off > 0.56);
            }
            assert!(between * 25 <= expected.len(), "{name}, {eighths} eighths: {between}");
        }
    }
    assert_eq!(reduced(&bytes("optimised.jpg"), 3), reduced(&bytes("444.jpg"), 3));
}

/// A mean of pixels is another low pass than waves left out, so the mean difference is bounded.
#[test]
fn subsampled_colours_fall_on_their_pixels() {
    let reference = reference();
    for name in ["420.jpg", "422.jpg"] {
        let picture = reduced(&bytes(name), 4).unwrap();
        assert_eq!(picture.dimensions(), (45, 38), "90 x 75");
        let expected = numbers(&reference["half"][name]);
        let compared = picture.as_raw().iter().zip(&expected);
        let sum: f64 = compared.map(|(&level, it)| (f64::from(level) - it).abs()).sum();
        let mean = sum / expected.len() as f64;
        assert!(expected.len() == 45 * 37 * 3 && mean < 1.5, "{name}: {mean}");
        for eighths in [1, 2, 3] {
            assert!(reduced(&bytes(name), eighths).is_some(), "{name}, {eighths}");
        }
    }
}

/// Blocks, smoothed colours and their conversion, at all borders.
#[test]
fn every_level_of_the_whole_is_pillows() {
    for name in ["grey", "444", "420", "422", "440", "odd"] {
        let (found, _) = decode_whole(&bytes(&format!("{name}.jpg"))).unwrap();
        let expected = image::open(folder().join(format!("{name}.png"))).unwrap().into_rgb8();
        assert_eq!(found.dimensions(), expected.dimensions(), "{name}");
        for (x, y, pixel) in found.enumerate_pixels() {
            assert_eq!(pixel, expected.get_pixel(x, y), "{name}, {x}, {y}");
        }
    }
    let restarts = decode_whole(&bytes("restarts.jpg")).unwrap();
    assert_eq!(restarts, decode_whole(&bytes("420.jpg")).unwrap());
    assert_eq!(decode_whole(&bytes("optimised.jpg")), decode_whole(&bytes("444.jpg")));
}

/// The file with another size in its frame's header.
fn resized(file: &[u8], width: u8, height: u8) -> Vec<u8> {
    let mut file = file.to_vec();
    let frame = file.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
    file[frame + 5..frame + 9].copy_from_slice(&[0, height, 0, width]);
    file
}

fn unhex(text: &Value) -> Vec<u8> {
    let digits = text.as_str().unwrap().as_bytes().chunks_exact(2);
    digits.map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

/// Colours of one or two levels across are repeated and not smoothed; what lies beyond a border is not seen.
#[test]
fn every_level_of_a_small_one_is_pillows() {
    let ways: Value = serde_json::from_slice(&bytes("small.json")).unwrap();
    for (name, widest, highest) in [("4:2:0", 10, 10), ("4:2:2", 10, 8), ("4:4:0", 8, 10)] {
        let file = unhex(&ways[name]["file"]);
        for (width, height) in (1..=widest).flat_map(|at| (1..=highest).map(move |it| (at, it))) {
            let expected = unhex(&ways[name]["levels"][format!("{width}x{height}")]);
            let (found, _) = decode_whole(&resized(&file, width, height)).unwrap();
            assert_eq!(found.dimensions(), (width.into(), height.into()));
            assert_eq!(found.into_raw(), expected, "{name}, {width} x {height}");
        }
    }
}

/// Of half the height and the whole width: no inverse transform makes such blocks smaller.
#[test]
fn tall_colours_are_decoded_whole() {
    let file = bytes("440.jpg");
    assert!(reduced(&file, 2).is_none());
    let mut rows = Collected::default();
    decode_rows(&file, Some(&|_| (3, 3)), &mut rows).unwrap();
    let decoded = rows.finish().unwrap();
    assert_eq!((decoded.eighths, decoded.full), (8, (45, 155)));
    assert_eq!(decoded.picture, decode_whole(&file).unwrap().0);
}

/// Looks at some columns of what [`Collected`] keeps.
struct Window(Collected, Range<usize>);

impl Rows for Window {
    fn begin(&mut self, shape: &Shape) -> Range<usize> {
        self.0.begin(shape);
        self.1.clone()
    }

    fn take(&mut self, rows: &[u8]) {
        self.0.take(rows);
    }
}

/// Columns that nobody looks at are not made, and change nothing of the others.
#[test]
fn a_window_has_the_levels_of_the_whole() {
    for name in ["grey.jpg", "444.jpg", "420.jpg", "422.jpg", "440.jpg", "odd.jpg", "restarts.jpg"]
    {
        let file = bytes(name);
        for eighths in [1, 3, 4, 8] {
            let least = |(width, height): (usize, usize)| {
                ((width * eighths).div_ceil(8), (height * eighths).div_ceil(8))
            };
            let windowed = |columns| {
                let mut rows = Window(Collected::default(), columns);
                decode_rows(&file, Some(&least), &mut rows).unwrap();
                rows.0.finish().unwrap().picture
            };
            let whole = windowed(0..usize::MAX);
            let width = whole.width();
            for (start, end) in (0..=width).flat_map(|at| [1, 2, 17].map(|more| (at, at + more))) {
                let window = windowed(start as usize..end as usize);
                assert_eq!(window.dimensions(), whole.dimensions());
                for (x, y, pixel) in window.enumerate_pixels() {
                    if (start..end).contains(&x) {
                        assert_eq!(pixel, whole.get_pixel(x, y), "{name}, {eighths}, {x}, {y}");
                    }
                }
            }
        }
    }
}

#[test]
fn restart_markers_change_nothing() {
    assert!(Header::read(&bytes("restarts.jpg")).unwrap().restart > 0);
    for eighths in FEWER {
        let expected = reduced(&bytes("420.jpg"), eighths).unwrap();
        assert_eq!(reduced(&bytes("restarts.jpg"), eighths).unwrap(), expected);
    }
}

#[test]
fn no_more_is_left_out_than_may_be() {
    let eighths = |width, height| {
        decode_reduced(&bytes("420.jpg"), &|full| {
            assert_eq!(full, (90, 75));
            (width, height)
        })
        .map(|(decoded, _)| decoded.eighths)
    };
    assert_eq!(eighths(1, 1), Some(1));
    assert_eq!(eighths(12, 10), Some(1));
    assert_eq!(eighths(12, 11), Some(2));
    assert_eq!(eighths(24, 5), Some(3));
    assert_eq!(eighths(45, 38), Some(4));
    assert_eq!(eighths(46, 38), None, "the whole is needed");
}

#[test]
fn what_only_a_whole_decoder_reads_is_left_to_it() {
    for name in ["progressive.jpg", "cmyk.jpg"] {
        assert!(reduced(&bytes(name), 2).is_none(), "{name}");
        assert!(decode_whole(&bytes(name)).is_none(), "{name}");
        let source = ImageSource::File(folder().join(name));
        let decoded = decode_at_least(&source, &|_| (3, 3)).unwrap();
        assert_eq!(decoded.eighths, 8);
        assert_eq!(decoded.picture, crate::decode(&source).unwrap());
    }
}

/// The same pictures turned: sizes are asked of the upright one, and it comes upright.
#[test]
fn the_orientation_is_applied() {
    let exif = |orientation: u8| {
        let mut exif =
            b"\xFF\xE1\0\x22Exif\0\0MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
        exif
    };
    let plain = bytes("420.jpg");
    let files = tempfile::tempdir().unwrap();
    for orientation in 1..=8 {
        let path = files.path().join("turned.jpg");
        fs::write(&path, [&plain[..2], &exif(orientation), &plain[2..]].concat()).unwrap();
        let source = ImageSource::File(path);
        let whole = crate::decode(&source).unwrap().dimensions();
        let decoded = decode_at_least(&source, &|(width, height)| {
            assert_eq!((width as u32, height as u32), whole);
            (width / 2, height / 2)
        })
        .unwrap();
        assert_eq!((decoded.full.0 as u32, decoded.full.1 as u32), whole);
        assert_eq!(decoded.eighths, 4);
        let size = (whole.0.div_ceil(2), whole.1.div_ceil(2));
        assert_eq!(decoded.picture.dimensions(), size, "{orientation}");
    }
}

#[test]
fn a_file_that_is_cut_short_is_an_error() {
    let files = tempfile::tempdir().unwrap();
    let whole = bytes("restarts.jpg");
    let path = files.path().join("short.jpg");
    for length in (0..whole.len()).step_by(37) {
        assert!(reduced(&whole[..length], 2).is_none(), "{length} bytes");
        fs::write(&path, &whole[..length]).unwrap();
        let source = ImageSource::File(path.clone());
        assert!(decode_at_least(&source, &|_| (9, 9)).is_err(), "{length} bytes");
    }
}

proptest! {
    /// A damaged file is a picture or left to the whole decoder, and never a panic.
    #[test]
    fn damage_is_survived(
        places in prop::collection::vec((0.0..1.0, any::<u8>()), 1..4),
        name in prop::sample::select(&["grey.jpg", "420.jpg", "422.jpg", "440.jpg", "restarts.jpg"][..]),
        eighths in 1_usize..5,
    ) {
        let mut bytes = bytes(name);
        for (at, value) in places {
            let index = (at * bytes.len() as f64) as usize;
            bytes[index] = value;
        }
        drop((reduced(&bytes, eighths), decode_whole(&bytes)));
    }

    /// What is behind the headers may be anything.
    #[test]
    fn rubbish_is_survived(rubbish: Vec<u8>, eighths in 1_usize..5) {
        let file = bytes("420.jpg");
        let data = Header::read(&file).unwrap().data;
        let bytes = [&file[..data], &rubbish, &[0xFF, 0xD9]].concat();
        drop((reduced(&bytes, eighths), decode_whole(&bytes)));
    }
}
