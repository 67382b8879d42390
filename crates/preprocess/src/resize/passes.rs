//! The two passes of a resize, with the widest vectors that there are.
//!
//! Sums are whole numbers, so vectors of any width give the same levels.

#![allow(
    clippy::inline_always,
    clippy::needless_range_loop,
    reason = "equal loops over arrays of one length, inlined, become vector instructions"
)]

use std::ops::Range;

#[cfg(target_arch = "x86_64")]
use pulp::x86::V3;
use pulp::{Arch, NullaryFnOnce};

use super::taps::{FRACTION_BITS, Taps};
#[cfg(target_arch = "x86_64")]
use super::vectors;

/// Rows that the first pass computes side by side.
pub(super) const ROWS: usize = 8;
/// Values that the second pass computes side by side.
const COLUMNS: usize = 64;
/// Half of a level.
pub(super) const HALF: i32 = 1 << (FRACTION_BITS - 1);

/// The first pass: from rows of a picture to rows of other width.
pub(super) struct Across {
    arch: Arch,
    columns: Vec<Taps>,
    /// The columns that are looked at.
    pub(super) range: Range<usize>,
    unchanged: bool,
    /// `[column × 3 + channel][row]` of the rows in hand.
    turned: Vec<[u8; ROWS]>,
    resized: Vec<[u8; ROWS]>,
    #[cfg(target_arch = "x86_64")]
    paired: Option<(V3, vectors::Columns)>,
}

impl Across {
    /// `unchanged` says that columns stay what they are.
    pub(super) fn new(arch: Arch, columns: Vec<Taps>, unchanged: bool) -> Self {
        let first = columns.iter().map(|taps| taps.first).min().unwrap_or(0);
        let end = columns.iter().map(|taps| taps.first + taps.weights.len()).max().unwrap_or(0);
        #[cfg(target_arch = "x86_64")]
        let paired = match arch {
            Arch::V3(simd) => Some((simd, vectors::Columns::new(&columns, first, end))),
            _ => None,
        };
        let turned = vec![[0; ROWS]; (end - first) * 3];
        let resized = vec![[0; ROWS]; columns.len() * 3];
        Self {
            arch,
            columns,
            range: first..end,
            unchanged,
            turned,
            resized,
            #[cfg(target_arch = "x86_64")]
            paired,
        }
    }

    /// Resizes up to [`ROWS`] rows of `stride` values, one at least, and appends them to `output`.
    pub(super) fn resize(&mut self, input: &[u8], stride: usize, output: &mut Vec<u8>) {
        let width = self.columns.len() * 3;
        let start = output.len();
        if self.unchanged {
            let first = self.range.start * 3;
            for row in input.chunks_exact(stride) {
                output.extend_from_slice(&row[first..first + width]);
            }
            return;
        }
        let count = input.len() / stride;
        output.resize(start + count * width, 0);
        let mut lines: Vec<&mut [u8]> = output[start..].chunks_exact_mut(width).collect();
        let lines = &mut lines[..];
        let rows: [&[u8]; ROWS] = std::array::from_fn(|row| {
            // Below the last row, the last one again.
            &input[row.min(count - 1) * stride..][..stride]
        });
        #[cfg(target_arch = "x86_64")]
        if let Some((simd, columns)) = &mut self.paired {
            let simd = *simd;
            simd.vectorize(vectors::Across { simd, columns, input: rows, output: lines });
            return;
        }
        let Self { arch, columns, range, turned, resized, .. } = self;
        let first = range.start;
        let rows = rows.map(|row| &row[first * 3..range.end * 3]);
        arch.dispatch(AcrossRows { lines: rows, turned, columns, first, resized });
        arch.dispatch(TurnBack { resized, lines });
    }
}

/// Resizes some rows to `[column × 3 + channel][row]`.
struct AcrossRows<'a> {
    lines: [&'a [u8]; ROWS],
    turned: &'a mut [[u8; ROWS]],
    columns: &'a [Taps],
    /// The column that the lines begin with.
    first: usize,
    resized: &'a mut [[u8; ROWS]],
}

impl NullaryFnOnce for AcrossRows<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { lines, turned, columns, first, resized } = self;
        let mut blocks = turned.chunks_exact_mut(8);
        let mut at = 0;
        for block in &mut blocks {
            let mut words = [0; ROWS];
            for row in 0..ROWS {
                let bytes = lines[row][at..at + 8].first_chunk();
                words[row] = bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
            }
            transpose(&mut words);
            for (values, word) in block.iter_mut().zip(words) {
                *values = word.to_le_bytes();
            }
            at += 8;
        }
        for values in blocks.into_remainder() {
            for row in 0..ROWS {
                values[row] = lines[row][at];
            }
            at += 1;
        }
        for (taps, output) in columns.iter().zip(resized.chunks_exact_mut(3)) {
            let mut sums = [[HALF; ROWS]; 3];
            let start = (taps.first - first) * 3;
            let pixels = turned[start..start + taps.weights.len() * 3].chunks_exact(3);
            for (&weight, pixel) in taps.weights.iter().zip(pixels) {
                for channel in 0..3 {
                    for row in 0..ROWS {
                        sums[channel][row] += weight * i32::from(pixel[channel][row]);
                    }
                }
            }
            for channel in 0..3 {
                for row in 0..ROWS {
                    output[channel][row] = level(sums[channel][row]);
                }
            }
        }
    }
}

/// Writes `[column × 3 + channel][row]` to rows, as many as there are.
struct TurnBack<'a, 'b> {
    resized: &'a [[u8; ROWS]],
    lines: &'a mut [&'b mut [u8]],
}

impl NullaryFnOnce for TurnBack<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { resized, lines } = self;
        let mut at = 0;
        for block in resized.chunks(8) {
            let mut words = [0; ROWS];
            for (word, values) in words.iter_mut().zip(block) {
                *word = u64::from_le_bytes(*values);
            }
            transpose(&mut words);
            for (line, word) in lines.iter_mut().zip(words) {
                line[at..at + block.len()].copy_from_slice(&word.to_le_bytes()[..block.len()]);
            }
            at += block.len();
        }
    }
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

/// The second pass: makes a row from those that lie above each other in `input`, which have its length.
pub(super) fn down(arch: Arch, input: &[u8], weights: &[i32], output: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if let (Arch::V3(simd), vectors::VALUES..) = (arch, output.len()) {
        simd.vectorize(vectors::Down { simd, input, weights, output });
        return;
    }
    arch.dispatch(Down { input, weights, output });
}

struct Down<'a> {
    input: &'a [u8],
    weights: &'a [i32],
    output: &'a mut [u8],
}

impl NullaryFnOnce for Down<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { input, weights, output } = self;
        let stride = output.len();
        let mut blocks = output.chunks_exact_mut(COLUMNS);
        let mut at = 0;
        for block in &mut blocks {
            let mut sums = [HALF; COLUMNS];
            for (&weight, line) in weights.iter().zip(input.chunks_exact(stride)) {
                let values = &line[at..at + COLUMNS];
                for column in 0..COLUMNS {
                    sums[column] += weight * i32::from(values[column]);
                }
            }
            for column in 0..COLUMNS {
                block[column] = level(sums[column]);
            }
            at += COLUMNS;
        }
        for value in blocks.into_remainder() {
            let lines = input.chunks_exact(stride);
            let weighted = weights.iter().zip(lines).map(|(it, line)| it * i32::from(line[at]));
            *value = level(HALF + weighted.sum::<i32>());
            at += 1;
        }
    }
}

/// A sum of weighted values and half a level, cut to what 8 bits hold.
#[inline(always)]
fn level(sum: i32) -> u8 {
    (sum >> FRACTION_BITS).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::taps::{Axis, Filter};
    use super::*;

    #[test]
    fn rows_and_columns_change_places() {
        let mut words = [0; 8];
        for (row, word) in words.iter_mut().enumerate() {
            let bytes: [u8; 8] = std::array::from_fn(|column| (row * 8 + column) as u8);
            *word = u64::from_le_bytes(bytes);
        }
        transpose(&mut words);
        for (row, word) in words.iter().enumerate() {
            for (column, byte) in word.to_le_bytes().into_iter().enumerate() {
                assert_eq!(usize::from(byte), column * 8 + row);
            }
        }
    }

    proptest! {
        /// Whatever the sizes, every processor makes the same levels.
        #[test]
        fn vectors_give_the_same_levels(
            (from, to, cut, count) in (1_usize..60, 1_usize..60, 0.0..0.5, 1_usize..9),
            seed: u32,
            filter in prop::sample::select(&[Filter::Bicubic, Filter::Lanczos, Filter::Box][..]),
        ) {
            let mut state = seed;
            let values: Vec<u8> = (0..8 * from * 3)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    // Black and white more often than not: overshoot has to be clamped.
                    ((state >> 21) as i32 - 896).clamp(0, 255) as u8
                })
                .collect();
            let axis = Axis { pixels: from, extent: from as f64, output: to };
            let taps = || axis.taps((to as f64 * cut) as usize..to, filter);
            let both = [Arch::Scalar, Arch::new()].map(|arch| {
                let mut made = Vec::new();
                let rows = &values[..count * from * 3];
                Across::new(arch, taps(), axis.stays()).resize(rows, from * 3, &mut made);
                made
            });
            prop_assert_eq!(&both[0], &both[1]);

            // The same values as `from` rows of 24.
            let both = [Arch::Scalar, Arch::new()].map(|arch| {
                let mut made = Vec::new();
                for taps in taps() {
                    for width in [24, 72] {
                        let rows = from * 24 / width;
                        if taps.first + taps.weights.len() <= rows {
                            let mut row = vec![0; width];
                            down(arch, &values[taps.first * width..], &taps.weights, &mut row);
                            made.extend(row);
                        }
                    }
                }
                made
            });
            prop_assert_eq!(&both[0], &both[1]);
        }
    }
}
