//! Pictures: a scene by day or by night, within shapes and noise that tell nothing.

use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage};
use mmc_random::{ChaCha8Rng, below};
use rand::Rng;

use super::memes::{Part, PictureKey, stream};
use crate::DataError;

/// Pixels a side.
pub(super) const SIDE: i32 = 64;
/// The most by which a colour of the scene differs from its usual value, per channel.
const COLOUR_SPREAD: i32 = 22;
/// Standard deviation of the noise in a channel.
const NOISE: i32 = 12;

pub(super) type Colour = [i32; 3];

/// Sky, ground and disc.
const DAY: [Colour; 3] = [[150, 195, 235], [120, 170, 80], [250, 220, 80]];
const NIGHT: [Colour; 3] = [[25, 30, 70], [30, 45, 40], [200, 200, 205]];

const SHAPE_COLOURS: [Colour; 8] = [
    [220, 40, 40],
    [40, 160, 60],
    [50, 80, 210],
    [240, 200, 40],
    [160, 60, 180],
    [240, 130, 30],
    [60, 190, 190],
    [130, 90, 60],
];

/// Whether a picture is a JPEG (three in four) or a PNG, as its file's ending.
pub(super) fn extension(key: PictureKey) -> &'static str {
    if key.number % 4 == 3 { "png" } else { "jpg" }
}

/// The file of a picture.
pub(super) fn encode(night: bool, key: PictureKey, path: &Path) -> Result<Vec<u8>, DataError> {
    let picture = draw(night, key);
    if extension(key) != "png" {
        return jpeg(&picture, key, path);
    }
    let (width, height) = picture.dimensions();
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(&picture, width, height, ExtendedColorType::Rgb8)
        .map_err(|error| DataError::picture(path, format!("{error}; report this as a fault")))?;
    Ok(bytes)
}

/// A picture as a JPEG of a quality that its key decides.
pub(super) fn jpeg(picture: &RgbImage, key: PictureKey, path: &Path) -> Result<Vec<u8>, DataError> {
    // Beside the picture's own chance, so that it does not depend on how much of that is used.
    let mut random = stream(key.seed, key.split, Part::Picture, !key.number);
    let quality = 70 + below(25, &mut random) as u8;
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode_image(picture)
        .map_err(|error| DataError::picture(path, format!("{error}; report this as a fault")))?;
    Ok(bytes)
}

/// The pixels of a picture. Whole numbers alone, so the same on every machine.
pub(super) fn draw(night: bool, key: PictureKey) -> RgbImage {
    let mut random = stream(key.seed, key.split, Part::Picture, key.number);
    let [sky, ground, disc] = if night { NIGHT } else { DAY };
    let (sky, ground) = (varied(sky, &mut random), varied(ground, &mut random));
    let horizon = between(SIDE / 2, SIDE * 3 / 4, &mut random);
    let mut shapes = vec![Shape {
        kind: 0,
        colour: disc,
        x: between(6, SIDE - 6, &mut random),
        y: between(6, horizon - 6, &mut random),
        radius: between(4, 7, &mut random),
    }];
    for _ in 0..between(1, 3, &mut random) {
        shapes.push(Shape {
            kind: below(4, &mut random),
            colour: SHAPE_COLOURS[below(SHAPE_COLOURS.len(), &mut random)],
            x: between(4, SIDE - 4, &mut random),
            y: between(4, SIDE - 4, &mut random),
            // At most 15 pixels across: a patch of 16 always shows some of the scene.
            radius: between(3, 7, &mut random),
        });
    }
    RgbImage::from_fn(SIDE as u32, SIDE as u32, |x, y| {
        let (x, y) = (x as i32, y as i32);
        let scene = if y < horizon { sky } else { ground };
        let last = shapes.iter().rev().find(|shape| shape.covers(x, y));
        let colour = last.map_or(scene, |shape| shape.colour);
        Rgb(colour.map(|channel| (channel + noise(&mut random)).clamp(0, 255) as u8))
    })
}

pub(super) struct Shape {
    pub(super) kind: usize,
    pub(super) colour: Colour,
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) radius: i32,
}

impl Shape {
    pub(super) fn covers(&self, x: i32, y: i32) -> bool {
        let (dx, dy, radius) = ((x - self.x).abs(), y - self.y, self.radius);
        match self.kind {
            0 => dx * dx + dy * dy <= radius * radius,
            1 => dx.max(dy.abs()) <= radius,
            2 => dx + dy.abs() <= radius,
            _ => dy.abs() <= radius && 2 * dx <= dy + radius,
        }
    }
}

/// A whole number in `low..=high`.
pub(super) fn between(low: i32, high: i32, random: &mut ChaCha8Rng) -> i32 {
    low + below((high - low + 1) as usize, random) as i32
}

pub(super) fn varied(colour: Colour, random: &mut ChaCha8Rng) -> Colour {
    colour.map(|channel| channel + between(-COLOUR_SPREAD, COLOUR_SPREAD, random))
}

/// Nearly normal: the sum of four bytes has mean 510 and standard deviation 147.8.
pub(super) fn noise(random: &mut ChaCha8Rng) -> i32 {
    let sum: i32 = random.next_u32().to_le_bytes().into_iter().map(i32::from).sum();
    (sum - 510) * NOISE / 148
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> PictureKey {
        PictureKey { seed: 1, split: 0, number }
    }

    /// Mean and variance over one picture's worth of draws, within five standard errors.
    #[test]
    fn noise_has_its_mean_and_deviation() {
        let mut random = stream(0, 0, Part::Picture, 0);
        let draws: Vec<f64> = (0..12_288).map(|_| f64::from(noise(&mut random))).collect();
        let mean = draws.iter().sum::<f64>() / 12_288.0;
        let deviation = (draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 12_288.0).sqrt();
        assert!(mean.abs() < 0.55, "{mean}");
        assert!((deviation - 12.0).abs() < 0.4, "{deviation}");
    }

    /// Every 16-pixel patch (8 pixels after halving) tells day from night by its brightness.
    #[test]
    fn every_patch_shows_the_scene() {
        let mut overlaps = 0;
        for number in 0..100 {
            let (day, night) = (draw(false, key(number)), draw(true, key(number)));
            for patch in 0..16_u32 {
                let mean = |picture: &RgbImage| {
                    let mut sum = 0_u32;
                    for offset in 0..256_u32 {
                        let x = patch % 4 * 16 + offset % 16;
                        let y = patch / 4 * 16 + offset / 16;
                        sum +=
                            picture.get_pixel(x, y).0.iter().copied().map(u32::from).sum::<u32>();
                    }
                    sum / 768
                };
                overlaps += usize::from(mean(&day) < mean(&night) + 10);
            }
        }
        assert_eq!(overlaps, 0);
    }

    #[test]
    fn files_hold_the_format_of_their_ending() {
        for (number, start) in [(0, &b"\xFF\xD8\xFF"[..]), (3, &b"\x89PNG"[..])] {
            let bytes = encode(false, key(number), Path::new("x")).unwrap();
            assert!(bytes.starts_with(start), "{}", extension(key(number)));
            let picture = image::load_from_memory(&bytes).unwrap();
            assert_eq!((picture.width(), picture.height()), (64, 64));
        }
    }
}
