//! Pictures of a few shapes of one kind and colour, on grey.

use std::path::Path;

use image::{Rgb, RgbImage};

use super::memes::{Part, PictureKey, stream};
use super::scene::{Colour, SIDE, Shape, between, jpeg, noise, varied};
use crate::DataError;

/// The colours there are, by their names.
pub(super) const COLOURS: [(&str, Colour); 4] = [
    ("red", [215, 45, 45]),
    ("green", [45, 165, 65]),
    ("blue", [50, 85, 215]),
    ("yellow", [238, 205, 50]),
];

/// The kinds there are, by their names, in the order of [`Shape::kind`].
pub(super) const KINDS: [&str; 3] = ["circle", "square", "diamond"];

/// What is to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shapes {
    /// Index into [`COLOURS`].
    pub(super) colour: usize,
    /// Index into [`KINDS`].
    pub(super) kind: usize,
    /// From 1 to 4.
    pub(super) count: usize,
}

/// The file of a picture.
pub(super) fn encode(shapes: Shapes, key: PictureKey, path: &Path) -> Result<Vec<u8>, DataError> {
    jpeg(&draw(shapes, key), key, path)
}

/// The pixels of a picture: one large shape near the middle, or smaller ones in as many quarters.
/// Whole numbers alone, so the same on every machine.
pub(super) fn draw(shapes: Shapes, key: PictureKey) -> RgbImage {
    let mut random = stream(key.seed, key.split, Part::Picture, key.number);
    let grey = [between(110, 150, &mut random); 3];
    let colour = varied(COLOURS[shapes.colour % COLOURS.len()].1, &mut random);
    let (half, quarter) = (SIDE / 2, SIDE / 4);
    let mut drawn = Vec::with_capacity(shapes.count);
    if shapes.count == 1 {
        drawn.push(Shape {
            kind: shapes.kind,
            colour,
            x: half + between(-6, 6, &mut random),
            y: half + between(-6, 6, &mut random),
            radius: between(19, 23, &mut random),
        });
    } else {
        let first = between(0, 3, &mut random);
        for place in 0..shapes.count.min(4) as i32 {
            let place = (first + place) % 4;
            drawn.push(Shape {
                kind: shapes.kind,
                colour,
                x: quarter + half * (place % 2) + between(-2, 2, &mut random),
                y: quarter + half * (place / 2) + between(-2, 2, &mut random),
                radius: between(10, 12, &mut random),
            });
        }
    }
    RgbImage::from_fn(SIDE as u32, SIDE as u32, |x, y| {
        let (x, y) = (x as i32, y as i32);
        let found = drawn.iter().find(|shape| shape.covers(x, y));
        let colour = found.map_or(grey, |shape| shape.colour);
        Rgb(colour.map(|channel| (channel + noise(&mut random)).clamp(0, 255) as u8))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pixels nearer to the colour than to any grey.
    fn coloured(picture: &RgbImage) -> usize {
        let spread = |pixel: &Rgb<u8>| {
            let [least, most] = [pixel.0.iter().min(), pixel.0.iter().max()];
            most.zip(least).map_or(0, |(most, least)| most - least)
        };
        picture.pixels().filter(|pixel| spread(pixel) > 70).count()
    }

    #[test]
    fn every_count_kind_and_colour_is_to_be_seen() {
        for colour in 0..COLOURS.len() {
            for kind in 0..KINDS.len() {
                for count in 1..=4 {
                    let key =
                        PictureKey { seed: 3, split: 0, number: (colour * 16 + count) as u64 };
                    let found = coloured(&draw(Shapes { colour, kind, count }, key));
                    assert!(
                        found > 150 * count && found < 2500,
                        "{colour} {kind} {count}: {found}"
                    );
                }
            }
        }
    }
}
