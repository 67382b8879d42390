//! The two passes of a resize, with the widest vectors that there are.
//!
//! Sums are whole numbers, so vectors of any width give the same levels.

#![allow(
    clippy::inline_always,
    clippy::needless_range_loop,
    reason = "equal loops over arrays of one length, inlined, become vector instructions"
)]

use std::ops::Range;

use image::RgbImage;
use pulp::{Arch, NullaryFnOnce};

use super::taps::{FRACTION_BITS, Taps};

/// Rows that the first pass computes side by side.
const ROWS: usize = 8;
/// Columns that the second pass computes side by side.
const COLUMNS: usize = 64;
/// Half of a level.
const HALF: i32 = 1 << (FRACTION_BITS - 1);

/// First pass: the rows `range` of the picture, each `[columns, 3]`.
pub(super) fn across_rows(
    picture: &RgbImage,
    range: Range<usize>,
    columns: &[Taps],
    unchanged: bool,
) -> Vec<u8> {
    let stride = picture.width() as usize * 3;
    let input = &picture.as_raw()[range.start * stride..range.end * stride];
    let first = columns.iter().map(|taps| taps.first).min().unwrap_or(0);
    if unchanged {
        let width = columns.len() * 3;
        let rows = input.chunks_exact(stride);
        return rows.flat_map(|row| &row[first * 3..first * 3 + width]).copied().collect();
    }
    let end = columns.iter().map(|taps| taps.first + taps.weights.len()).max().unwrap_or(0);
    let mut output = vec![0; range.len() * columns.len() * 3];
    let arch = Arch::new();
    // `[column × 3 + channel][row]` of the rows in hand.
    let mut turned = vec![[0; ROWS]; (end - first) * 3];
    let mut resized = vec![[0; ROWS]; columns.len() * 3];
    let rows = input.chunks(stride * ROWS).zip(output.chunks_mut(columns.len() * 3 * ROWS));
    for (input, output) in rows {
        let lines: [&[u8]; ROWS] = std::array::from_fn(|row| {
            // Below the last row of the picture, the last one again.
            let row = row.min(input.len() / stride - 1);
            &input[row * stride + first * 3..row * stride + end * 3]
        });
        arch.dispatch(Across { lines, turned: &mut turned, columns, first, resized: &mut resized });
        let width = columns.len() * 3;
        let mut lines: Vec<&mut [u8]> = output.chunks_exact_mut(width).collect();
        arch.dispatch(TurnBack { resized: &resized, lines: &mut lines });
    }
    output
}

/// Resizes some rows to `[column × 3 + channel][row]`.
struct Across<'a> {
    lines: [&'a [u8]; ROWS],
    turned: &'a mut [[u8; ROWS]],
    columns: &'a [Taps],
    /// The column that the lines begin with.
    first: usize,
    resized: &'a mut [[u8; ROWS]],
}

impl NullaryFnOnce for Across<'_> {
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

/// Second pass: over rows of `stride` values, the first of which is the picture's row `first`.
pub(super) fn down_columns(
    input: Vec<u8>,
    first: usize,
    rows: &[Taps],
    (stride, unchanged): (usize, bool),
) -> Vec<u8> {
    if unchanged {
        return input;
    }
    let mut output = vec![0; rows.len() * stride];
    Arch::new().dispatch(Down { input: &input, first, rows, stride, output: &mut output });
    output
}

struct Down<'a> {
    input: &'a [u8],
    first: usize,
    rows: &'a [Taps],
    stride: usize,
    output: &'a mut [u8],
}

impl NullaryFnOnce for Down<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { input, first, rows, stride, output } = self;
        for (taps, output) in rows.iter().zip(output.chunks_exact_mut(stride)) {
            let lines = &input[(taps.first - first) * stride..];
            let mut blocks = output.chunks_exact_mut(COLUMNS);
            let mut at = 0;
            for block in &mut blocks {
                let mut sums = [HALF; COLUMNS];
                for (&weight, line) in taps.weights.iter().zip(lines.chunks_exact(stride)) {
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
                let lines = lines.chunks_exact(stride);
                let weighted =
                    taps.weights.iter().zip(lines).map(|(it, line)| it * i32::from(line[at]));
                *value = level(HALF + weighted.sum::<i32>());
                at += 1;
            }
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
}
