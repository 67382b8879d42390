//! `decode` against Pillow, the decoder behind the reference processors. The pictures and what
//! Pillow sees in them are made by `pillow/make.py`.

use std::fs;
use std::path::Path;

use mmc_data::{ImageSource, decode};
use serde_json::Value;

/// Lossless formats and plain JPEG files agree exactly. Progressive and CMYK files are decoded by
/// `image`, whose inverse cosine transform and colour conversion round otherwise.
const JPEG_LEVELS: u8 = 3;

#[test]
fn pixels_are_those_of_pillow() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pillow");
    let expected = fs::read_to_string(folder.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let pictures = expected["pictures"].as_object().unwrap();
    assert_eq!(pictures.len(), 22);
    for (name, reference) in pictures {
        let picture = decode(&ImageSource::File(folder.join(name))).unwrap();
        let size = [&reference["width"], &reference["height"]].map(|side| side.as_u64().unwrap());
        assert_eq!([picture.width(), picture.height()].map(u64::from), size, "{name}");
        let pixels = reference["pixels"].as_str().unwrap();
        assert_eq!(pixels.len(), 2 * picture.as_raw().len(), "{name}");
        let is_plain = !["progressive.jpg", "cmyk.jpg"].contains(&name.as_str());
        let allowed = if is_plain { 0 } else { JPEG_LEVELS };
        for (index, ours) in picture.as_raw().iter().enumerate() {
            let theirs = u8::from_str_radix(&pixels[2 * index..2 * index + 2], 16).unwrap();
            assert!(ours.abs_diff(theirs) <= allowed, "{name}: byte {index}: {ours} {theirs}");
        }
    }
}
