//! JPEG files decoded whole, to the very levels that libjpeg and so Pillow make of them.
//!
//! Its accurate integer transform (Loeffler, Ligtenberg and Moschytz, 1989, with 13 fractional bits),
//! its triangle filter where colours are subsampled, and its conversion of colours.

#![allow(
    clippy::needless_range_loop,
    reason = "equal loops over arrays of one length, inlined, become vector instructions"
)]

use std::num::Wrapping;

use image::RgbImage;
use pulp::{Arch, NullaryFnOnce};

use super::bits::Unstuffed;
use super::colour::colour;
use super::header::{Component, Header};
use super::scan::{Blocks, LANES, Scan};

/// Pixels of a block's side.
const SIDE: usize = 8;
/// Fractional bits of the transform's weights, and of what is between its passes.
const WEIGHT_BITS: usize = 13;
const BETWEEN_BITS: usize = 2;

/// One number of each of the blocks side by side. Damaged files may hold any.
type Side = [Wrapping<i32>; LANES];

/// A component of the whole picture.
struct Plane<'a> {
    component: &'a Component,
    blocks: Blocks<'a>,
    steps: [i32; 64],
    /// `[row][column]`, whole blocks.
    levels: Vec<u8>,
    stride: usize,
    /// Of the component in the picture.
    width: usize,
    height: usize,
}

/// `None` for files whose colours are subsampled in another way than to half across, or to half across
/// and down.
pub(super) fn decode(bytes: &[u8], header: &Header) -> Option<RgbImage> {
    let data = Unstuffed::new(bytes.get(header.data..)?)?;
    let mut scan = Scan::new(&data, header.restart)?;
    let (unit_across, unit_down) = header.unit();
    let units = header.width.div_ceil(SIDE * unit_across);
    let rows = header.height.div_ceil(SIDE * unit_down);
    let mut planes: Vec<Plane<'_>> = header
        .components
        .iter()
        .map(|component| Plane::new(header, component, (units, rows)))
        .collect::<Option<_>>()?;
    let arch = Arch::new();
    for row in 0..rows {
        let mut blocks: Vec<&mut Blocks<'_>> = planes.iter_mut().map(|it| &mut it.blocks).collect();
        scan.read_row(&mut blocks, units)?;
        for plane in &mut planes {
            arch.dispatch(MakeLevels { plane, row });
        }
    }
    if !scan.is_done() {
        return None;
    }
    let mut picture = RgbImage::new(header.width as u32, header.height as u32);
    let mut wide = vec![vec![0_u8; 2 * header.width.div_ceil(2)]; planes.len()];
    let mut sums = vec![0_i32; header.width];
    for (row, pixels) in
        picture.as_flat_samples_mut().samples.chunks_exact_mut(header.width * 3).enumerate()
    {
        for (plane, wide) in planes.iter().zip(&mut wide) {
            arch.dispatch(Widen { plane, unit: header.unit(), row, sums: &mut sums, wide });
        }
        let lines: Vec<&[u8]> = wide.iter().map(|line| &line[..header.width]).collect();
        colour(arch, &lines, header.is_luminance, pixels);
    }
    Some(picture)
}

impl<'a> Plane<'a> {
    fn new(
        header: &Header,
        component: &'a Component,
        (units, rows): (usize, usize),
    ) -> Option<Self> {
        let (unit_across, unit_down) = header.unit();
        let width = (header.width * component.across).div_ceil(unit_across);
        let height = (header.height * component.down).div_ceil(unit_down);
        let is_known = match (unit_across / component.across, unit_down / component.down) {
            (1, 1) => true,
            (2, 1 | 2) => width > 2, // narrower ones are not smoothed
            _ => false,
        };
        let blocks = Blocks::new(component, units, 64, |place| Some(usize::from(place)));
        let stride = blocks.batches * LANES * SIDE;
        let levels = is_known.then(|| vec![0; rows * component.down * SIDE * stride])?;
        let steps = component.steps.map(|step| step as i32);
        Some(Self { component, blocks, steps, levels, stride, width, height })
    }

    /// A row of levels, the last one for those below it.
    fn line(&self, row: usize) -> &[u8] {
        let start = row.min(self.height - 1) * self.stride;
        &self.levels[start..start + self.width]
    }
}

/// Makes the levels of a row of MCUs, with the widest vectors that there are.
struct MakeLevels<'a, 'b> {
    plane: &'a mut Plane<'b>,
    row: usize,
}

impl NullaryFnOnce for MakeLevels<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { plane, row } = self;
        let Plane { component, blocks, steps, levels, stride, .. } = plane;
        for (at, numbers) in blocks.all().enumerate() {
            let first = row * component.down + at / blocks.batches;
            let start = first * SIDE * *stride + at % blocks.batches * LANES * SIDE;
            let mut between = [[[Wrapping(0); LANES]; SIDE]; SIDE];
            for column in 0..SIDE {
                let mut frequencies = [[Wrapping(0); LANES]; SIDE];
                for place in 0..SIDE {
                    let at = place * SIDE + column;
                    for lane in 0..LANES {
                        frequencies[place][lane] =
                            Wrapping(i32::from(numbers[at][lane])) * Wrapping(steps[at]);
                    }
                }
                let pixels = transform(&frequencies, WEIGHT_BITS - BETWEEN_BITS);
                for place in 0..SIDE {
                    between[place][column] = pixels[place];
                }
            }
            for place in 0..SIDE {
                let pixels = transform(&between[place], WEIGHT_BITS + BETWEEN_BITS + 3);
                let mut words = [0_u64; SIDE];
                for column in 0..SIDE {
                    let mut bytes = [0; LANES];
                    for lane in 0..LANES {
                        let level = pixels[column][lane] + Wrapping(128);
                        bytes[lane] = level.0.clamp(0, 255) as u8;
                    }
                    words[column] = u64::from_le_bytes(bytes);
                }
                transpose(&mut words);
                let line = start + place * *stride;
                let line = &mut levels[line..line + LANES * SIDE];
                for (pixels, word) in line.chunks_exact_mut(SIDE).zip(words) {
                    pixels.copy_from_slice(&word.to_le_bytes());
                }
            }
        }
    }
}

/// Eight pixels from eight frequencies, divided by 2 to the power of `shift`.
#[inline(always)]
fn transform(frequencies: &[Side; SIDE], shift: usize) -> [Side; SIDE] {
    let weight = |weight: i32| Wrapping(weight);
    let mut pixels = [[Wrapping(0); LANES]; SIDE];
    for lane in 0..LANES {
        let (f0, f1) = (frequencies[0][lane], frequencies[1][lane]);
        let (f2, f3) = (frequencies[2][lane], frequencies[3][lane]);
        let (f4, f5) = (frequencies[4][lane], frequencies[5][lane]);
        let (f6, f7) = (frequencies[6][lane], frequencies[7][lane]);
        // The even frequencies.
        let shared = (f2 + f6) * weight(4_433); // 0.541196100
        let low = shared - f6 * weight(15_137); // 1.847759065
        let high = shared + f2 * weight(6_270); // 0.765366865
        let (sum, difference) = ((f0 + f4) << WEIGHT_BITS, (f0 - f4) << WEIGHT_BITS);
        let even = [sum + high, difference + low, difference - low, sum - high];
        // The odd ones.
        let shared = (f7 + f3 + f5 + f1) * weight(9_633); // 1.175875602
        let a = (f7 + f1) * weight(-7_373); // 0.899976223
        let b = (f5 + f3) * weight(-20_995); // 2.562915447
        let c = (f7 + f3) * weight(-16_069) + shared; // 1.961570560
        let d = (f5 + f1) * weight(-3_196) + shared; // 0.390180644
        let odd = [
            f1 * weight(12_299) + a + d, // 1.501321110
            f3 * weight(25_172) + b + c, // 3.072711026
            f5 * weight(16_819) + b + d, // 2.053119869
            f7 * weight(2_446) + a + c,  // 0.298631336
        ];
        let half = Wrapping(1_i32 << (shift - 1));
        for at in 0..4 {
            pixels[at][lane] = (even[at] + odd[at] + half) >> shift;
            pixels[7 - at][lane] = (even[at] - odd[at] + half) >> shift;
        }
    }
    pixels
}

/// Exchanges rows and columns of 8 × 8 bytes, one row a word.
#[inline(always)]
fn transpose(words: &mut [u64; 8]) {
    for (distance, bits, mask) in [
        (4, 32, 0x0000_0000_FFFF_FFFF),
        (2, 16, 0x0000_FFFF_0000_FFFF),
        (1, 8, 0x00FF_00FF_00FF_00FF),
    ] {
        for at in 0..8 {
            if at & distance == 0 {
                let (low, high) = (words[at], words[at + distance]);
                words[at] = (low & mask) | ((high & mask) << bits);
                words[at + distance] = ((low >> bits) & mask) | (high & !mask);
            }
        }
    }
}

/// Makes a row of the picture's width of a component: three parts of the nearer pixel and one of the
/// farther, across and down.
struct Widen<'a, 'b> {
    plane: &'a Plane<'b>,
    unit: (usize, usize),
    row: usize,
    /// To work in, of the picture's width.
    sums: &'a mut [i32],
    wide: &'a mut [u8],
}

impl NullaryFnOnce for Widen<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { plane, unit, row, sums, wide } = self;
        let component = plane.component;
        let sums = &mut sums[..plane.width];
        match (unit.0 / component.across, unit.1 / component.down) {
            (1, _) => wide[..plane.width].copy_from_slice(plane.line(row)),
            (_, 1) => {
                for (sum, &level) in sums.iter_mut().zip(plane.line(row)) {
                    *sum = i32::from(level);
                }
                smooth::<2>(sums, wide, (1, 2));
                wide[0] = sums[0] as u8;
                wide[2 * plane.width - 1] = sums[plane.width - 1] as u8;
            }
            _ => {
                let near = row / 2;
                let far = if row % 2 == 0 { near.saturating_sub(1) } else { near + 1 };
                let levels = plane.line(near).iter().zip(plane.line(far));
                for (sum, (&near, &far)) in sums.iter_mut().zip(levels) {
                    *sum = 3 * i32::from(near) + i32::from(far);
                }
                smooth::<4>(sums, wide, (8, 7));
                wide[0] = ((4 * sums[0] + 8) >> 4) as u8;
                wide[2 * plane.width - 1] = ((4 * sums[plane.width - 1] + 7) >> 4) as u8;
            }
        }
    }
}

/// Smooths across, but for the first and the last pixel, whose left and right neighbour is not there.
/// Divides by 2 to the power of `BITS`; `left` and `right` are what is added before to the left half of
/// a pixel and to the right one.
#[inline(always)]
fn smooth<const BITS: usize>(sums: &[i32], wide: &mut [u8], (left, right): (i32, i32)) {
    let last = sums.len() - 1;
    let inner = wide[2..2 * last].chunks_exact_mut(2);
    for (halves, sums) in inner.zip(sums.windows(3)) {
        halves[0] = ((3 * sums[1] + sums[0] + left) >> BITS) as u8;
        halves[1] = ((3 * sums[1] + sums[2] + right) >> BITS) as u8;
    }
    wide[1] = ((3 * sums[0] + sums[1] + right) >> BITS) as u8;
    wide[2 * last] = ((3 * sums[last] + sums[last - 1] + left) >> BITS) as u8;
}
