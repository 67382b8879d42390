use std::time::Instant;

use image::{ExtendedColorType, ImageEncoder};
use proptest::prelude::*;

use super::*;
use crate::fixture::Folder;

fn decoded(bytes: &[u8]) -> Result<RgbImage, String> {
    // A name that lies: the content decides.
    let folder = Folder::with(&[]);
    let path = folder.file("picture.txt", bytes);
    decode(&ImageSource::File(path))
        .map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

fn png(pixels: &[u8], width: u32, height: u32, colour: ExtendedColorType) -> Vec<u8> {
    let mut bytes = Vec::new();
    image::codecs::png::PngEncoder::new(&mut bytes)
        .write_image(pixels, width, height, colour)
        .unwrap();
    bytes
}

/// A JPEG of 16 x 8 pixels: left half dark, right half bright.
fn jpeg() -> Vec<u8> {
    let picture =
        image::GrayImage::from_fn(16, 8, |x, _| image::Luma([if x < 8 { 20 } else { 230 }]));
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 95)
        .encode_image(&picture)
        .unwrap();
    bytes
}

/// The same with an EXIF orientation (EXIF 2.3, tag 0x0112).
fn rotated_jpeg(orientation: u8) -> Vec<u8> {
    let mut exif =
        b"\xFF\xE1\0\x22Exif\0\0MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let plain = jpeg();
    [&plain[..2], &exif, &plain[2..]].concat()
}

/// A PNG chunk with its checksum (RFC 2083, section 3 and appendix).
fn chunk(kind: &[u8], body: &[u8]) -> Vec<u8> {
    let covered = [kind, body].concat();
    let sum = !covered.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ if sum & 1 == 1 { 0xEDB8_8320 } else { 0 }
        })
    });
    let length = (body.len() as u32).to_be_bytes();
    [&length[..], &covered, &sum.to_be_bytes()].concat()
}

/// The start of a PNG: bit depth 8 and this colour type.
fn png_header(width: u32, height: u32, colour_type: u8) -> Vec<u8> {
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let header = [&size[..], &[8, colour_type, 0, 0, 0]].concat();
    [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &header)].concat()
}

#[test]
fn alpha_is_dropped_and_hidden_colours_appear() {
    let rgba = png(&[200, 100, 50, 0, 1, 2, 3, 255], 2, 1, ExtendedColorType::Rgba8);
    assert_eq!(decoded(&rgba).unwrap().into_raw(), [200, 100, 50, 1, 2, 3]);
    let grey_alpha = png(&[77, 0], 1, 1, ExtendedColorType::La8);
    assert_eq!(decoded(&grey_alpha).unwrap().into_raw(), [77, 77, 77]);
}

#[test]
fn grey_is_copied_and_sixteen_bits_are_scaled() {
    let grey = png(&[9, 200], 2, 1, ExtendedColorType::L8);
    assert_eq!(decoded(&grey).unwrap().into_raw(), [9, 9, 9, 200, 200, 200]);
    // 0x8080 of 0xFFFF is 128 of 255; Pillow would clip it to 255.
    let deep = png(&0x8080_u16.to_ne_bytes(), 1, 1, ExtendedColorType::L16);
    assert_eq!(decoded(&deep).unwrap().into_raw(), [128, 128, 128]);
}

#[test]
fn a_palette_gives_its_colours_even_where_transparent() {
    // Two pixels, entries 1 and 0, in an uncompressed zlib block (RFC 1950, RFC 1951).
    let zlib = [0x78, 1, 1, 3, 0, 0xFC, 0xFF, 0, 1, 0, 0, 6, 0, 2];
    let bytes = [
        png_header(2, 1, 3),
        chunk(b"PLTE", &[10, 20, 30, 40, 50, 60]),
        chunk(b"tRNS", &[0]),
        chunk(b"IDAT", &zlib),
        chunk(b"IEND", &[]),
    ]
    .concat();
    assert_eq!(decoded(&bytes).unwrap().into_raw(), [40, 50, 60, 10, 20, 30]);
}

#[test]
fn the_orientation_is_applied() {
    let upright = decoded(&jpeg()).unwrap();
    assert_eq!(upright.dimensions(), (16, 8));
    assert!(upright.get_pixel(0, 0).0[0] < 60);
    // 6: to be turned clockwise, so what was left is on top.
    let turned = decoded(&rotated_jpeg(6)).unwrap();
    assert_eq!(turned.dimensions(), (8, 16));
    assert!(turned.get_pixel(4, 0).0[0] < 60 && turned.get_pixel(4, 15).0[0] > 190);
    // 3: upside down, so what was left is right.
    let turned = decoded(&rotated_jpeg(3)).unwrap();
    assert!(turned.get_pixel(0, 0).0[0] > 190 && turned.get_pixel(15, 0).0[0] < 60);
}

#[test]
fn a_huge_claim_is_refused_at_once() {
    let start = Instant::now();
    for (width, height) in [(60_000, 60_000), (20_001, 1), (1, u32::MAX >> 1), (19_999, 19_999)] {
        let idat = chunk(b"IDAT", &[0x78, 1, 1, 0, 0, 0xFF, 0xFF, 0, 0, 0, 1]);
        let bytes = [png_header(width, height, 6), idat, chunk(b"IEND", &[])].concat();
        let message = decoded(&bytes).unwrap_err();
        assert!(message.starts_with("picture.txt: "), "{message}");
        assert!(message.contains("too large") || message.contains("too many"), "{message}");
    }
    assert!(start.elapsed().as_secs() < 5);
}

#[test]
fn a_file_that_is_cut_short_is_an_error() {
    let pixels: Vec<u8> = (0..=255).collect();
    let png = png(&pixels, 16, 16, ExtendedColorType::L8);
    assert!(decoded(&png).is_ok());
    // Without its last chunk (12 bytes) and one more.
    for length in 0..png.len() - 13 {
        assert!(decoded(&png[..length]).is_err(), "PNG of {length} bytes");
    }
    for jpeg in [jpeg(), rotated_jpeg(6)] {
        for length in 0..jpeg.len() {
            assert!(decoded(&jpeg[..length]).is_err(), "JPEG of {length} bytes");
        }
        assert!(decoded(&[&jpeg[..], b"what a camera adds"].concat()).is_ok());
    }
}

/// It may have no end, or wait for one.
#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_opened() {
    for path in ["/dev/null", "/"] {
        let error = decode(&ImageSource::File(path.into())).unwrap_err().to_string();
        assert!(error.contains("this is not a file"), "{error}");
    }
}

#[test]
fn what_is_no_picture_is_named() {
    for (bytes, expected) in [
        (&b""[..], "the file is empty; copy the picture again"),
        (b"GIF89a\x01\0\x01\0", "convert the picture to PNG, JPEG or WebP"),
        (b"<html>not found</html>", "neither PNG, JPEG nor WebP; convert the picture"),
        (b"\x89PNG\r\n\x1a\nrubbish", "damaged or cut short"),
    ] {
        let message = decoded(bytes).unwrap_err();
        assert!(message.contains(expected), "{message}");
    }
    let error = decode(&ImageSource::File("nowhere/x.png".into())).unwrap_err().to_string();
    assert!(error.starts_with("nowhere/x.png: ") && error.ends_with("drop its row"), "{error}");
}

proptest! {
    /// A damaged file is a picture or an error, and never a panic.
    #[test]
    fn damage_is_survived(at in 0.0..1.0, value: u8, first in 0_usize..2) {
        let pixels: Vec<u8> = (0..=255).collect();
        let mut bytes = [jpeg(), png(&pixels, 16, 16, ExtendedColorType::L8)][first].clone();
        let index = (at * bytes.len() as f64) as usize;
        bytes[index] = value;
        drop(decoded(&bytes));
    }
}
