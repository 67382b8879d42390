//! JPEG files decoded to the levels that Pillow makes of them, or to fewer pixels than they have.
//!
//! A JPEG file holds blocks of 8 × 8 pixels as sums of waves. From the lowest of these waves alone
//! each block can be made 1, 2, 3 or 4 pixels wide, and what is not made costs nothing. No well-kept
//! library in Rust does so faster than `image` decodes the whole (docs/training.md), and none has the
//! levels of libjpeg, which the published results of the models rest on. So this does both, for the
//! files that cameras and the web write most; the others are left to `image`.

#![allow(clippy::inline_always, reason = "what vector instructions are to serve has to be inlined")]

mod bits;
mod coefficients;
mod colour;
mod header;
mod huffman;
mod inverse;
mod kept;
mod scan;
#[cfg(target_arch = "x86_64")]
mod vectors;
mod whole;

use std::ops::Range;

use image::RgbImage;
use image::metadata::Orientation;
use pulp::Arch;

use self::bits::Unstuffed;
use self::colour::colour;
use self::header::{Component, Header};
use self::inverse::Inverse;
use self::scan::{Blocks, LANES, Scan};
use crate::picture::{Collected, Decoded, LONGEST_SIDE, Least, MOST_BYTES, Rows, Shape};

/// The eighths of its size to which a picture may be decoded.
const FEWER: [usize; 4] = [1, 2, 3, 4];

/// Hands on the rows of a JPEG file that is upright as it is, all of its pixels or, with `least`, as many
/// as [`decode_reduced`] decodes. `None`, possibly after some rows, for the files that only `image` reads,
/// and for turned ones.
pub(crate) fn decode_rows(
    bytes: &[u8],
    least: Option<Least<'_>>,
    rows: &mut dyn Rows,
) -> Option<()> {
    let header = readable(bytes)?;
    if orientation(bytes, &header) != Orientation::NoTransforms {
        return None;
    }
    let full = (header.width, header.height);
    let eighths = least.and_then(|least| eighths(full, least(full)));
    match eighths.filter(|_| header.is_reducible()) {
        Some(eighths) => decode(bytes, &header, eighths, rows),
        None => whole::decode(bytes, &header, rows),
    }
}

/// Decodes a JPEG file to the fewest eighths of its size, four at most, in which it is as large as
/// `least` says for its width and height once it is upright; also says how it is to be turned. `None`
/// where it needs more, and for all files that only `image` reads: others than JPEG, progressive ones,
/// other colours than grey, RGB and YCbCr, damaged ones, and those that it refuses for their size.
pub(crate) fn decode_reduced(bytes: &[u8], least: Least<'_>) -> Option<(Decoded, Orientation)> {
    let header = readable(bytes)?;
    let full = (header.width, header.height);
    let orientation = orientation(bytes, &header);
    let turned =
        |(width, height)| if is_turned(orientation) { (height, width) } else { (width, height) };
    let eighths = eighths(full, turned(least(turned(full))))?;
    let mut collected = Collected::default();
    decode(bytes, &header, eighths, &mut collected)?;
    Some((collected.finish()?, orientation))
}

/// The fewest eighths of `full` that are as large as this; `None` for more than four.
fn eighths(full: (usize, usize), (width, height): (usize, usize)) -> Option<usize> {
    FEWER.into_iter().find(|eighths| {
        (full.0 * eighths).div_ceil(8) >= width && (full.1 * eighths).div_ceil(8) >= height
    })
}

/// Decodes a JPEG file, with how it says it is to be turned. `None` for files that only `image` reads.
pub(crate) fn decode_whole(bytes: &[u8]) -> Option<(RgbImage, Orientation)> {
    let header = readable(bytes)?;
    let mut collected = Collected::default();
    whole::decode(bytes, &header, &mut collected)?;
    Some((collected.finish()?.picture, orientation(bytes, &header)))
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
    /// `units` is how many MCUs are in a row, `columns` are the pixels of it that are wanted.
    fn new(
        header: &Header,
        component: &'a Component,
        eighths: usize,
        units: usize,
        columns: &Range<usize>,
    ) -> Option<Self> {
        let (unit_across, unit_down) = header.unit();
        let across = eighths * unit_across / component.across;
        let down = eighths * unit_down / component.down;
        let inverse = Inverse::new((across, down), &component.steps)?;
        let wanted = columns.start / across..columns.end.div_ceil(across);
        let place = |coefficient| inverse.place(coefficient);
        let blocks = Blocks::new(component, units, wanted, across * down, place);
        let stride = blocks.batches * LANES * across;
        let levels = vec![0; component.down * down * stride];
        Some(Self { blocks, inverse, levels, stride })
    }

    /// Makes the levels of a row of MCUs.
    fn make_levels(&mut self, arch: Arch) {
        let (across, down) = (self.inverse.across, self.inverse.down);
        for (row, column, numbers) in self.blocks.all() {
            let first = row * down * self.stride + column * LANES * across;
            self.inverse.transform(arch, numbers, &mut self.levels[first..], self.stride);
        }
    }
}

/// Hands on the rows of a picture of fewer pixels.
fn decode(bytes: &[u8], header: &Header, eighths: usize, rows: &mut dyn Rows) -> Option<()> {
    let data = Unstuffed::new(bytes.get(header.data..)?)?;
    let mut scan = Scan::new(&data, header.restart)?;
    let (unit_across, unit_down) = header.unit();
    let units = header.width.div_ceil(8 * unit_across);
    let full = (header.width, header.height);
    let size = |side: usize| (side * eighths).div_ceil(8);
    let (width, height) = (size(full.0), size(full.1));
    let columns = rows.begun(&Shape { width, height, full, eighths });
    let mut channels: Vec<Channel<'_>> = header
        .components
        .iter()
        .map(|component| Channel::new(header, component, eighths, units, &columns))
        .collect::<Option<_>>()?;
    let unit = eighths * unit_down;
    let mut strip = vec![0; unit * width * 3];
    let arch = Arch::new();
    for first in (0..height).step_by(unit) {
        let mut blocks: Vec<&mut Blocks<'_>> =
            channels.iter_mut().map(|it| &mut it.blocks).collect();
        scan.read_row(&mut blocks, units)?;
        for channel in &mut channels {
            channel.make_levels(arch);
        }
        let strip = &mut strip[..unit.min(height - first) * width * 3];
        for (row, pixels) in strip.chunks_exact_mut(width * 3).enumerate() {
            let line = |at: usize| match channels.get(at) {
                Some(it) => &it.levels[row * it.stride..][columns.clone()],
                None => &[][..],
            };
            let lines = [line(0), line(1), line(2)];
            let pixels = &mut pixels[columns.start * 3..columns.end * 3];
            colour(arch, &lines[..channels.len()], header.is_luminance, pixels);
        }
        rows.take(strip);
    }
    scan.is_done().then_some(())
}

#[cfg(test)]
mod tests;
