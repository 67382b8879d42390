//! Resized pictures equal Pillow 12.0's in every pixel.

use crate::{fixture, json};
use image::RgbImage;
use mmc_preprocess::{Filter, resize};

fn read(name: &str) -> RgbImage {
    let path = fixture(name);
    image::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into_rgb8()
}

#[test]
fn every_pixel_equals_pillows() {
    let cases = json("resized.json");
    let cases = cases.as_array().unwrap();
    assert!(cases.len() >= 40, "{} cases", cases.len());
    for case in cases {
        let picture = read(&format!("pictures/{}.png", case["picture"].as_str().unwrap()));
        let filter = match case["filter"].as_str().unwrap() {
            "box" => Filter::Box,
            "bilinear" => Filter::Bilinear,
            "hamming" => Filter::Hamming,
            "bicubic" => Filter::Bicubic,
            "lanczos" => Filter::Lanczos,
            other => panic!("unknown filter {other}"),
        };
        let file = case["file"].as_str().unwrap();
        let expected = read(file);
        let (width, height) = expected.dimensions();
        let ours = resize(&picture, width, height, filter);
        let off = ours.as_raw().iter().zip(expected.as_raw()).filter(|(a, b)| a != b).count();
        assert_eq!(off, 0, "{file}: {off} of {} values differ", expected.as_raw().len());
    }
}
