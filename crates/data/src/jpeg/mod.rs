//! JPEG files decoded to fewer pixels than they have.
//!
//! A JPEG file holds blocks of 8 × 8 pixels as sums of waves. From the lowest of these waves alone
//! each block can be made 1, 2, 3 or 4 pixels wide, and what is not made costs nothing. No well-kept
//! library in Rust does so faster than `image` decodes the whole (docs/training.md), so this does,
//! for the files that cameras and the web write most; the others are left to `image`.

mod bits;
mod colour;
mod header;
mod huffman;
mod inverse;

use image::RgbImage;
use image::metadata::Orientation;
use pulp::{Arch, NullaryFnOnce};

use self::bits::Unstuffed;
use self::colour::colour;
use self::header::{Component, Header, ZIGZAG};
use self::huffman::{Codes, PLACES};
use self::inverse::{Inverse, LANES};

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
/// files that only a whole decoder reads: others than JPEG, progressive ones, other colours than grey,
/// RGB and YCbCr, and damaged ones. `most` bytes may be those of the whole picture.
pub(crate) fn decode_reduced(
    bytes: &[u8],
    most: u64,
    least: &dyn Fn((usize, usize)) -> (usize, usize),
) -> Option<Reduced> {
    let header = Header::read(bytes)?;
    let full = (header.width, header.height);
    if (full.0 * full.1 * 3) as u64 > most {
        return None;
    }
    let exif = header.exif.clone().and_then(|range| bytes.get(range));
    let orientation =
        exif.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms);
    let turned =
        |(width, height)| if is_turned(orientation) { (height, width) } else { (width, height) };
    let (width, height) = turned(least(turned(full)));
    let eighths = FEWER.into_iter().find(|eighths| {
        (full.0 * eighths).div_ceil(8) >= width && (full.1 * eighths).div_ceil(8) >= height
    })?;
    let picture = decode(bytes, &header, eighths)?;
    Some(Reduced { picture, orientation, full, eighths })
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

/// A component while it is decoded.
struct Channel<'a> {
    component: &'a Component,
    inverse: Inverse,
    /// Where each number of the file is kept, by its place in it.
    places: [u8; PLACES],
    /// Coefficients of a row of MCUs: `[row of blocks][eight blocks][place][block]`.
    coefficients: Vec<[i16; LANES]>,
    /// Eight blocks in a row of blocks.
    batches: usize,
    /// Levels of a row of MCUs: `[row][column]`.
    levels: Vec<u8>,
    /// The difference that the next block's mean is to.
    before: i16,
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
        let mut places = [(inverse.places() - 1) as u8; PLACES];
        for (place, &coefficient) in places.iter_mut().zip(&ZIGZAG) {
            *place = inverse.place(coefficient) as u8;
        }
        let batches = (units * component.across).div_ceil(LANES);
        let rows = component.down * down;
        Some(Self {
            component,
            places,
            coefficients: vec![[0; LANES]; component.down * batches * inverse.places()],
            batches,
            levels: vec![0; rows * batches * LANES * across],
            before: 0,
            inverse,
        })
    }

    /// A row of levels.
    fn line(&self, row: usize) -> &[u8] {
        let stride = self.batches * LANES * self.inverse.across;
        &self.levels[row * stride..(row + 1) * stride]
    }

    /// Reads the blocks of an MCU.
    #[inline(always)]
    fn read(&mut self, bits: &mut bits::Bits<'_>, unit: usize) {
        let codes = Codes { dc: &self.component.dc, ac: &self.component.ac };
        let places = self.inverse.places();
        for down in 0..self.component.down {
            for across in 0..self.component.across {
                let block = unit * self.component.across + across;
                let first = (down * self.batches + block / LANES) * places;
                let batch = &mut self.coefficients[first..first + places];
                let lane = block % LANES;
                codes.read(bits, &mut self.before, |at, value| {
                    batch[usize::from(self.places[at % PLACES])][lane] = value;
                });
            }
        }
    }
}

/// Makes the levels of a row of MCUs, with the widest vectors that there are.
struct MakeLevels<'a, 'b>(&'a mut Channel<'b>);

impl NullaryFnOnce for MakeLevels<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Channel { inverse, coefficients, batches, levels, .. } = self.0;
        let (across, down) = (inverse.across, inverse.down);
        let stride = *batches * LANES * across;
        let mut made = [[0; LANES]; 64];
        for (at, batch) in coefficients.chunks_exact(inverse.places()).enumerate() {
            inverse.transform(batch, &mut made);
            let first = at / *batches * down * stride + at % *batches * LANES * across;
            for row in 0..down {
                let start = first + row * stride;
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
    let unstuffed = Unstuffed::new(bytes.get(header.data..)?)?;
    let mut pieces = unstuffed.pieces();
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
    let (mut bits, mut length) = pieces.next()?;
    let mut left = header.restart; // MCUs until the next piece
    for strip in picture.as_flat_samples_mut().samples.chunks_mut(rows * width * 3) {
        for channel in &mut channels {
            channel.coefficients.fill([0; LANES]);
        }
        for unit in 0..units {
            if header.restart > 0 && left == 0 {
                if bits.is_beyond(length) {
                    return None;
                }
                (bits, length) = pieces.next()?;
                channels.iter_mut().for_each(|channel| channel.before = 0);
                left = header.restart;
            }
            left = left.wrapping_sub(1);
            for channel in &mut channels {
                channel.read(&mut bits, unit);
            }
        }
        if bits.is_beyond(length) {
            return None;
        }
        for channel in &mut channels {
            arch.dispatch(MakeLevels(channel));
        }
        for (row, line) in strip.chunks_exact_mut(width * 3).enumerate() {
            let lines: Vec<&[u8]> = channels.iter().map(|it| &it.line(row)[..width]).collect();
            colour(arch, &lines, header.is_luminance, line);
        }
    }
    // A piece that is left belongs to a picture of more rows than the file says.
    pieces.next().is_none().then_some(picture)
}

#[cfg(test)]
mod tests;
