//! JPEG files decoded to the levels that Pillow makes of them, or to fewer pixels than they have.
//!
//! A JPEG file holds blocks of 8 × 8 pixels as sums of waves. From the lowest of these waves alone
//! each block can be made 1, 2, 3 or 4 pixels wide, and what is not made costs nothing. No well-kept
//! library in Rust does so faster than `image` decodes the whole (docs/training.md), and none has the
//! levels of libjpeg, which the published results of the models rest on. So this does both, for the
//! files that cameras and the web write most; the others are left to `image`.

#![allow(clippy::inline_always, reason = "what vector instructions are to serve has to be inlined")]

mod bits;
mod colour;
mod header;
mod huffman;
mod inverse;
mod scan;
mod whole;

use image::RgbImage;
use image::metadata::Orientation;
use pulp::{Arch, NullaryFnOnce};

use self::bits::Unstuffed;
use self::colour::colour;
use self::header::{Component, Header};
use self::inverse::Inverse;
use self::scan::{Blocks, LANES, Scan};
use crate::picture::{LONGEST_SIDE, MOST_BYTES};

/// The eighths of its size to which a picture may be decoded.
const FEWER: [usize; 4] = [1, 2, 3, 4];

/// A picture decoded to some eighths of its size.
pub(crate) struct Reduced {
    /// Each side is that many eighths of the file's, rounded up. Not turned yet.
    pub(crate) picture: RgbImage,
    /// How the file says it is to be turned.
    pub(crate) orientation: Orientation,
    /// Width and height in the file.
    pub(crate) full: (usize, usize),
    pub(crate) eighths: usize,
}

/// Decodes a JPEG file to the fewest eighths of its size, four at most, in which it is as large as
/// `least` says for its width and height once it is upright. `None` where it needs more, and for all
/// files that only `image` reads: others than JPEG, progressive ones, other colours than grey, RGB and
/// YCbCr, damaged ones, and those that it refuses for their size.
pub(crate) fn decode_reduced(
    bytes: &[u8],
    least: &dyn Fn((usize, usize)) -> (usize, usize),
) -> Option<Reduced> {
    let header = readable(bytes)?;
    let full = (header.width, header.height);
    let orientation = orientation(bytes, &header);
    let turned =
        |(width, height)| if is_turned(orientation) { (height, width) } else { (width, height) };
    let (width, height) = turned(least(turned(full)));
    let eighths = FEWER.into_iter().find(|eighths| {
        (full.0 * eighths).div_ceil(8) >= width && (full.1 * eighths).div_ceil(8) >= height
    })?;
    let picture = decode(bytes, &header, eighths)?;
    Some(Reduced { picture, orientation, full, eighths })
}

/// Decodes a JPEG file, with how it says it is to be turned. `None` for files that only `image` reads.
pub(crate) fn decode_whole(bytes: &[u8]) -> Option<(RgbImage, Orientation)> {
    let header = readable(bytes)?;
    Some((whole::decode(bytes, &header)?, orientation(bytes, &header)))
}

/// The header of a file that is not too large.
fn readable(bytes: &[u8]) -> Option<Header> {
    let header = Header::read(bytes)?;
    let longest = header.width.max(header.height) as u64;
    let pixels = (header.width * header.height) as u64;
    (longest <= LONGEST_SIDE.into() && pixels * 3 <= MOST_BYTES).then_some(header)
}

fn orientation(bytes: &[u8], header: &Header) -> Orientation {
    let exif = header.exif.clone().and_then(|range| bytes.get(range));
    exif.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms)
}

/// Whether width and height change places.
pub(crate) fn is_turned(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// A component while it is decoded to fewer pixels.
struct Channel<'a> {
    blocks: Blocks<'a>,
    inverse: Inverse,
    /// Levels of a row of MCUs: `[row][column]`.
    levels: Vec<u8>,
    stride: usize,
}

impl<'a> Channel<'a> {
    /// `units` is how many MCUs are in a row.
    fn new(
        header: &Header,
        component: &'a Component,
        eighths: usize,
        units: usize,
    ) -> Option<Self> {
        let (unit_across, unit_down) = header.unit();
        let across = eighths * unit_across / component.across;
        let down = eighths * unit_down / component.down;
        let inverse = Inverse::new((across, down), &component.steps)?;
        let blocks = Blocks::new(component, units, across * down, |place| inverse.place(place));
        let stride = blocks.batches * LANES * across;
        let levels = vec![0; component.down * down * stride];
        Some(Self { blocks, inverse, levels, stride })
    }
}

/// Makes the levels of a row of MCUs, with the widest vectors that there are.
struct MakeLevels<'a, 'b>(&'a mut Channel<'b>);

impl NullaryFnOnce for MakeLevels<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Channel { blocks, inverse, levels, stride } = self.0;
        let (across, down) = (inverse.across, inverse.down);
        let mut made = [[0; LANES]; 64];
        for (at, numbers) in blocks.all().enumerate() {
            inverse.transform(numbers, &mut made);
            let (row, column) = (at / blocks.batches, at % blocks.batches);
            let first = row * down * *stride + column * LANES * across;
            for row in 0..down {
                let start = first + row * *stride;
                let line = &mut levels[start..start + LANES * across];
                for (column, pixels) in made[row * across..(row + 1) * across].iter().enumerate() {
                    for (lane, &pixel) in pixels.iter().enumerate() {
                        line[lane * across + column] = pixel;
                    }
                }
            }
        }
    }
}

fn decode(bytes: &[u8], header: &Header, eighths: usize) -> Option<RgbImage> {
    let data = Unstuffed::new(bytes.get(header.data..)?)?;
    let mut scan = Scan::new(&data, header.restart)?;
    let (unit_across, unit_down) = header.unit();
    let units = header.width.div_ceil(8 * unit_across);
    let mut channels: Vec<Channel<'_>> = header
        .components
        .iter()
        .map(|component| Channel::new(header, component, eighths, units))
        .collect::<Option<_>>()?;
    let size = |side: usize| (side * eighths).div_ceil(8);
    let (width, height) = (size(header.width), size(header.height));
    let mut picture = RgbImage::new(width as u32, height as u32);
    let rows = eighths * unit_down;
    let arch = Arch::new();
    for strip in picture.as_flat_samples_mut().samples.chunks_mut(rows * width * 3) {
        let mut blocks: Vec<&mut Blocks<'_>> =
            channels.iter_mut().map(|it| &mut it.blocks).collect();
        scan.read_row(&mut blocks, units)?;
        for channel in &mut channels {
            arch.dispatch(MakeLevels(channel));
        }
        for (row, line) in strip.chunks_exact_mut(width * 3).enumerate() {
            let lines: Vec<&[u8]> =
                channels.iter().map(|it| &it.levels[row * it.stride..][..width]).collect();
            colour(arch, &lines, header.is_luminance, line);
        }
    }
    scan.is_done().then_some(picture)
}

#[cfg(test)]
mod tests;
