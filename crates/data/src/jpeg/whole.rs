//! JPEG files decoded whole, to the very levels that libjpeg and so Pillow make of them.
//!
//! Its integer transform, its triangle filter where colours are subsampled, and its conversion of colours.
//! A component of one or two levels across is repeated across and down instead, as libjpeg does it.

#![allow(
    clippy::needless_range_loop,
    reason = "equal loops over arrays of one length, inlined, become vector instructions"
)]

use std::ops::Range;

use pulp::{Arch, NullaryFnOnce};

use super::bits::Unstuffed;
use super::colour::colour;
use super::header::{Component, Header};
use super::inverse::{Inverse, SIDE};
use super::scan::{Blocks, LANES, Scan};
use crate::picture::{Rows, Shape};

/// A component of the picture, of which the last two rows of MCUs are kept.
struct Plane<'a> {
    component: &'a Component,
    blocks: Blocks<'a>,
    inverse: Inverse,
    /// `[row][column]`, whole blocks; rows come again after `kept` of them.
    levels: Vec<u8>,
    kept: usize,
    stride: usize,
    /// Of the component in the picture.
    width: usize,
    height: usize,
    growth: Growth,
}

/// How the levels of a component become as many as the picture has pixels.
#[derive(Clone, Copy)]
enum Growth {
    /// They are as many.
    None,
    /// Each twice across, and in so many rows.
    Repeated(usize),
    /// Smoothed across, of half the picture's width.
    Across,
    /// Smoothed down, of half its height.
    Down,
    /// Smoothed across and down, of half its width and height.
    Both,
}

impl Growth {
    /// Of a component of this width that is so many times smaller than the picture, across and down.
    fn of(times: (usize, usize), width: usize) -> Option<Self> {
        match times {
            (1, 1) => Some(Self::None),
            (1, 2) => Some(Self::Down),
            (2, 1 | 2) if width <= 2 => Some(Self::Repeated(times.1)),
            (2, 1) => Some(Self::Across),
            (2, 2) => Some(Self::Both),
            _ => None,
        }
    }
}

/// Hands on the rows of a picture, eight or a multiple at a time but for the last. `None` where something
/// is wrong, after some rows or before.
pub(super) fn decode(bytes: &[u8], header: &Header, rows: &mut dyn Rows) -> Option<()> {
    let data = Unstuffed::new(bytes.get(header.data..)?)?;
    let mut scan = Scan::new(&data, header.restart)?;
    let (unit_across, unit_down) = header.unit();
    let (width, height) = (header.width, header.height);
    let units = width.div_ceil(SIDE * unit_across);
    let columns = rows.begun(&Shape { width, height, full: (width, height), eighths: SIDE });
    let mut planes: Vec<Plane<'_>> = header
        .components
        .iter()
        .map(|component| Plane::new(header, component, units, &columns))
        .collect::<Option<_>>()?;
    let arch = Arch::new();
    let mut wide = vec![vec![0_u8; 2 * width.div_ceil(2)]; planes.len()];
    let mut sums = vec![0_u16; width];
    let mut strip = vec![0_u8; 2 * SIDE * unit_down * width * 3];
    let (count, mut made) = (height.div_ceil(SIDE * unit_down), 0);
    for row in 0..count {
        let mut blocks: Vec<&mut Blocks<'_>> = planes.iter_mut().map(|it| &mut it.blocks).collect();
        scan.read_row(&mut blocks, units)?;
        for plane in &mut planes {
            plane.make_levels(arch, row);
        }
        // Smoothing down needs a row from below.
        let lag = if unit_down > 1 { SIDE } else { 0 };
        let end = if row + 1 == count { height } else { (row + 1) * SIDE * unit_down - lag };
        let strip = &mut strip[..(end - made) * width * 3];
        for (row, pixels) in (made..end).zip(strip.chunks_exact_mut(width * 3)) {
            for (plane, wide) in planes.iter().zip(&mut wide) {
                arch.dispatch(Widen { plane, row, sums: &mut sums, wide });
            }
            let line = |at: usize| wide.get(at).map_or(&[][..], |line| &line[columns.clone()]);
            let lines = [line(0), line(1), line(2)];
            let pixels = &mut pixels[columns.start * 3..columns.end * 3];
            colour(arch, &lines[..planes.len()], header.is_luminance, pixels);
        }
        rows.take(strip);
        made = end;
    }
    scan.is_done().then_some(())
}

impl<'a> Plane<'a> {
    /// `units` is how many MCUs are in a row, `columns` are the pixels of it that are wanted.
    fn new(
        header: &Header,
        component: &'a Component,
        units: usize,
        columns: &Range<usize>,
    ) -> Option<Self> {
        let (unit_across, unit_down) = header.unit();
        let width = (header.width * component.across).div_ceil(unit_across);
        let height = (header.height * component.down).div_ceil(unit_down);
        let times = (unit_across / component.across, unit_down / component.down);
        let growth = Growth::of(times, width)?;
        // Smoothing across looks at a neighbour on either side.
        let first = (columns.start / times.0).saturating_sub(1) / SIDE;
        let end = (columns.end.div_ceil(times.0) + 1).div_ceil(SIDE);
        let place = |coefficient| Some(usize::from(coefficient));
        let blocks = Blocks::new(component, units, first..end, SIDE * SIDE, place);
        let stride = blocks.batches * LANES * SIDE;
        let kept = 2 * component.down * SIDE;
        let levels = vec![0; kept * stride];
        let inverse = Inverse::new((SIDE, SIDE), &component.steps)?;
        Some(Self { component, blocks, inverse, levels, kept, stride, width, height, growth })
    }

    /// Makes the levels of a row of MCUs.
    fn make_levels(&mut self, arch: Arch, row: usize) {
        for (down, column, numbers) in self.blocks.all() {
            let first = (row * self.component.down + down) * SIDE;
            let start = first % self.kept * self.stride + column * LANES * SIDE;
            self.inverse.transform(arch, numbers, &mut self.levels[start..], self.stride);
        }
    }

    /// A row of levels, the last one for those below it.
    fn line(&self, row: usize) -> &[u8] {
        let start = row.min(self.height - 1) % self.kept * self.stride;
        &self.levels[start..start + self.width]
    }

    /// Of a component of half the picture's height: the line of a row of the picture, and the next one on
    /// the other side of that row.
    fn near_and_far(&self, row: usize) -> (&[u8], &[u8]) {
        let near = row / 2;
        let far = if row.is_multiple_of(2) { near.saturating_sub(1) } else { near + 1 };
        (self.line(near), self.line(far))
    }
}

/// Makes a row of the picture's width of a component: where it is smoothed, of three parts of the nearer
/// pixel and one of the farther, across and down.
struct Widen<'a, 'b> {
    plane: &'a Plane<'b>,
    row: usize,
    /// To work in, of the picture's width.
    sums: &'a mut [u16],
    wide: &'a mut [u8],
}

impl NullaryFnOnce for Widen<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { plane, row, sums, wide } = self;
        let sums = &mut sums[..plane.width];
        match plane.growth {
            Growth::None => wide[..plane.width].copy_from_slice(plane.line(row)),
            Growth::Repeated(down) => {
                for (pair, &level) in wide.chunks_exact_mut(2).zip(plane.line(row / down)) {
                    pair.fill(level);
                }
            }
            Growth::Across => {
                for (sum, &level) in sums.iter_mut().zip(plane.line(row)) {
                    *sum = u16::from(level);
                }
                smooth::<2>(sums, wide, (1, 2));
                wide[0] = sums[0] as u8;
                wide[2 * plane.width - 1] = sums[plane.width - 1] as u8;
            }
            Growth::Down => {
                let (near, far) = plane.near_and_far(row);
                let rounding = if row.is_multiple_of(2) { 1 } else { 2 };
                for ((level, &near), &far) in wide.iter_mut().zip(near).zip(far) {
                    *level = ((3 * u16::from(near) + u16::from(far) + rounding) >> 2) as u8;
                }
            }
            Growth::Both => {
                let (near, far) = plane.near_and_far(row);
                for (sum, (&near, &far)) in sums.iter_mut().zip(near.iter().zip(far)) {
                    *sum = 3 * u16::from(near) + u16::from(far);
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
fn smooth<const BITS: usize>(sums: &[u16], wide: &mut [u8], (left, right): (u16, u16)) {
    let last = sums.len() - 1;
    let inner = wide[2..2 * last].chunks_exact_mut(2);
    let neighbours = sums[..last - 1].iter().zip(&sums[1..last]).zip(&sums[2..]);
    for (halves, ((&before, &sum), &after)) in inner.zip(neighbours) {
        let both = ((3 * sum + before + left) >> BITS) | ((3 * sum + after + right) >> BITS << 8);
        halves.copy_from_slice(&both.to_le_bytes());
    }
    wide[1] = ((3 * sums[0] + sums[1] + right) >> BITS) as u8;
    wide[2 * last] = ((3 * sums[last] + sums[last - 1] + left) >> BITS) as u8;
}
