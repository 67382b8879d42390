//! The two passes with the vectors of most processors of our days (AVX2), which multiply pairs of 16-bit
//! numbers and add the products. A weight has more bits than that, so each is two numbers.

#![allow(clippy::inline_always, reason = "what is not inlined is not compiled for these vectors")]

use std::arch::x86_64::{__m128i, __m256i};

use pulp::x86::V3;
use pulp::{NullaryFnOnce, cast};

use super::passes::{HALF, ROWS};
use super::taps::{FRACTION_BITS, Taps};

/// Bits of the lower number of a weight.
const LOW_BITS: u32 = 16;
/// Fractional bits that are left.
const SHIFT: i32 = FRACTION_BITS as i32;

/// Weights of two neighbours, the lower numbers of both and the higher ones of both.
#[derive(Clone, Copy)]
struct Pair {
    low: i32,
    high: i32,
}

impl Pair {
    /// Neither of the numbers has more than 16 bits: weights have 23 with their sign.
    #[inline(always)]
    fn new(weights: [i32; 2]) -> Self {
        let high = weights.map(|weight| (weight + (1 << (LOW_BITS - 1))) >> LOW_BITS);
        let both = |[first, second]: [i32; 2]| (first & 0xFFFF) | (second << 16);
        Self { low: both(weights), high: both(high) }
    }
}

/// Sums of weighted values: of their lower numbers and their higher ones.
#[derive(Clone, Copy)]
struct Sums {
    low: __m256i,
    high: __m256i,
}

impl Sums {
    #[inline(always)]
    fn new(simd: V3) -> Self {
        Self { low: simd.avx._mm256_set1_epi32(HALF), high: simd.avx._mm256_setzero_si256() }
    }

    /// Adds pairs of values with the weights `low` and `high` of [`Pair`].
    #[inline(always)]
    fn add(&mut self, simd: V3, values: __m256i, [low, high]: [__m256i; 2]) {
        let it = simd.avx2;
        self.low = it._mm256_add_epi32(self.low, it._mm256_madd_epi16(values, low));
        self.high = it._mm256_add_epi32(self.high, it._mm256_madd_epi16(values, high));
    }

    /// The whole parts.
    #[inline(always)]
    fn levels(self, simd: V3) -> __m256i {
        let it = simd.avx2;
        let high = it._mm256_slli_epi32::<{ LOW_BITS as i32 }>(self.high);
        it._mm256_srai_epi32::<SHIFT>(it._mm256_add_epi32(self.low, high))
    }
}

#[inline(always)]
fn spread(simd: V3, pair: Pair) -> [__m256i; 2] {
    [simd.avx._mm256_set1_epi32(pair.low), simd.avx._mm256_set1_epi32(pair.high)]
}

/// The taps of columns, two and two, and memory to work in.
pub(super) struct Columns {
    /// The column that pairs are counted from.
    first: usize,
    /// By column: its first pair, and where its weights are.
    ranges: Vec<(usize, std::ops::Range<usize>)>,
    weights: Vec<Pair>,
    /// `[pair × 3 + channel][row][column of the pair]` of the rows in hand.
    turned: Vec<[u8; 2 * ROWS]>,
    /// `[column × 3 + channel][row]`.
    resized: Vec<[u8; ROWS]>,
}

/// Pixels that are turned at once.
const PIXELS: usize = 8;

impl Columns {
    /// `end` is the column behind the last of any taps, `first` the first.
    pub(super) fn new(columns: &[Taps], first: usize, end: usize) -> Self {
        let mut weights = Vec::new();
        let range = |taps: &Taps| {
            let (start, offset) = (weights.len(), taps.first - first);
            let mut rest = &taps.weights[..];
            if let (1, [weight, others @ ..]) = (offset % 2, rest) {
                weights.push(Pair::new([0, *weight]));
                rest = others;
            }
            let (pairs, last) = rest.as_chunks();
            weights.extend(pairs.iter().copied().map(Pair::new));
            weights.extend(last.iter().map(|&weight| Pair::new([weight, 0])));
            (offset / 2, start..weights.len())
        };
        let ranges: Vec<_> = columns.iter().map(range).collect();
        let pixels = (end - first).next_multiple_of(PIXELS);
        let turned = vec![[0; 2 * ROWS]; pixels / 2 * 3];
        let resized = vec![[0; ROWS]; (columns.len() * 3).next_multiple_of(8)];
        Self { first, ranges, weights, turned, resized }
    }
}

/// Resizes some rows, each from the column `first` on.
pub(super) struct Across<'a, 'b> {
    pub(super) simd: V3,
    pub(super) columns: &'a mut Columns,
    /// Whole rows.
    pub(super) input: [&'a [u8]; ROWS],
    /// As many as there are.
    pub(super) output: &'a mut [&'b mut [u8]],
}

impl NullaryFnOnce for Across<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { simd, columns, input, output } = self;
        let Columns { first, ranges, weights, turned, resized } = columns;
        turn(simd, input.map(|row| &row[*first * 3..]), turned);
        for ((first, range), levels) in ranges.iter().zip(resized.chunks_exact_mut(3)) {
            let mut sums = [Sums::new(simd); 3];
            let weights = &weights[range.clone()];
            let pairs = &turned.as_chunks::<3>().0[*first..first + weights.len()];
            for (pair, &weights) in pairs.iter().zip(weights) {
                let weights = spread(simd, weights);
                for (sums, values) in sums.iter_mut().zip(pair) {
                    let values: __m128i = cast(*values);
                    sums.add(simd, simd.avx2._mm256_cvtepu8_epi16(values), weights);
                }
            }
            let [red, green, blue] = sums;
            let (red, green, blue) = (red.levels(simd), green.levels(simd), blue.levels(simd));
            let it = simd.avx2;
            let (two, one) = (it._mm256_packs_epi32(red, green), it._mm256_packs_epi32(blue, blue));
            let bytes: [[u8; 4]; 8] = cast(it._mm256_packus_epi16(two, one));
            for (channel, levels) in levels.iter_mut().enumerate() {
                let (upper, lower) = levels.split_at_mut(ROWS / 2);
                upper.copy_from_slice(&bytes[channel]);
                lower.copy_from_slice(&bytes[channel + 4]);
            }
        }
        turn_back(simd, resized, output);
    }
}

/// Turns rows to `[pair × 3 + channel][row][column of the pair]`; beyond their ends it is black.
#[inline(always)]
fn turn(simd: V3, rows: [&[u8]; ROWS], turned: &mut [[u8; 2 * ROWS]]) {
    let turned = turned.as_chunks_mut().0;
    let length = rows.iter().map(|row| row.len()).min().unwrap_or(0);
    let whole = if length < LOADED { 0 } else { 1 + (length - LOADED) / (PIXELS * 3) };
    let (inner, last) = turned.split_at_mut(whole.min(turned.len()));
    for (at, turned) in inner.iter_mut().enumerate() {
        let start = at * PIXELS * 3;
        let mut loaded = [&[0; LOADED]; ROWS];
        for (row, loaded) in rows.iter().zip(&mut loaded) {
            let Some(pixels) = row[start..].first_chunk() else { continue };
            *loaded = pixels;
        }
        turn_pixels(simd, loaded, turned);
    }
    for (at, turned) in last.iter_mut().enumerate() {
        let start = (whole + at) * PIXELS * 3;
        let mut ends = [[0; LOADED]; ROWS];
        for (row, end) in rows.iter().zip(&mut ends) {
            let left = row.get(start..).unwrap_or_default();
            let left = &left[..left.len().min(LOADED)];
            end[..left.len()].copy_from_slice(left);
        }
        turn_pixels(simd, ends.each_ref(), turned);
    }
}

/// What is looked at for [`PIXELS`] pixels: two loads of 16 bytes, one 12 bytes behind the other.
const LOADED: usize = 28;

/// Eight pixels of each row, as [`turn`] turns them.
#[inline(always)]
fn turn_pixels(
    simd: V3,
    rows: [&[u8; LOADED]; ROWS],
    turned: &mut [[u8; 2 * ROWS]; PIXELS / 2 * 3],
) {
    /// Neighbours of a channel side by side: of four pixels, in either half of a vector.
    const PAIRED: [u8; 32] = {
        let half = [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11, 255, 255, 255, 255];
        let mut both = [0; 32];
        let mut at = 0;
        while at < 32 {
            both[at] = half[at % 16];
            at += 1;
        }
        both
    };
    let it = simd.avx2;
    let mut paired = [simd.avx._mm256_setzero_si256(); ROWS];
    for (row, paired) in rows.into_iter().zip(&mut paired) {
        let mut halves = [[0; 16]; 2];
        halves[0].copy_from_slice(&row[..16]);
        halves[1].copy_from_slice(&row[12..]);
        *paired = it._mm256_shuffle_epi8(cast(halves), cast(PAIRED));
    }
    let [a, b, c, d, e, f, g, h] = paired;
    let low = |first, second| it._mm256_unpacklo_epi16(first, second);
    let high = |first, second| it._mm256_unpackhi_epi16(first, second);
    let fours = [
        [low(a, b), low(c, d), low(e, f), low(g, h)],
        [high(a, b), high(c, d), high(e, f), high(g, h)],
    ];
    // Values of a channel: of the pairs of the first four pixels and of the last four.
    let (first, second) = turned.split_at_mut(PIXELS / 4 * 3);
    let mut write = |at: usize, low: __m256i, high: __m256i| {
        let both = [it._mm256_unpacklo_epi64(low, high), it._mm256_unpackhi_epi64(low, high)];
        let [[a, b], [c, d]]: [[[u8; 16]; 2]; 2] = cast(both);
        (first[at], second[at]) = (a, b);
        (first[at + 1], second[at + 1]) = (c, d);
    };
    let low = |first, second| it._mm256_unpacklo_epi32(first, second);
    let high = |first, second| it._mm256_unpackhi_epi32(first, second);
    let [[a, b, c, d], [e, f, g, h]] = fours;
    write(0, low(a, b), low(c, d));
    write(2, high(a, b), high(c, d));
    write(4, low(e, f), low(g, h));
}

/// Writes `[value][row]` to rows, as many as there are.
#[inline(always)]
fn turn_back(simd: V3, values: &[[u8; ROWS]], rows: &mut [&mut [u8]]) {
    /// Bytes of two values in turns.
    const IN_TURNS: [u8; 16] = [0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15];
    let it = simd.sse2;
    let whole = rows.first().map_or(0, |row| row.len() / 8);
    for (at, values) in values.as_chunks::<8>().0.iter().enumerate() {
        let [a, b, c, d]: [[u8; 16]; 4] = cast(*values);
        let in_turns = |two| simd.ssse3._mm_shuffle_epi8(cast(two), cast(IN_TURNS));
        let (a, b, c, d) = (in_turns(a), in_turns(b), in_turns(c), in_turns(d));
        let (low, high) = (it._mm_unpacklo_epi16(a, b), it._mm_unpackhi_epi16(a, b));
        let (next_low, next_high) = (it._mm_unpacklo_epi16(c, d), it._mm_unpackhi_epi16(c, d));
        let turned: [[u8; 8]; ROWS] = cast([
            it._mm_unpacklo_epi32(low, next_low),
            it._mm_unpackhi_epi32(low, next_low),
            it._mm_unpacklo_epi32(high, next_high),
            it._mm_unpackhi_epi32(high, next_high),
        ]);
        let range = at * 8..at * 8 + 8;
        if at < whole {
            for (row, turned) in rows.iter_mut().zip(turned) {
                row[range.clone()].copy_from_slice(&turned);
            }
        } else {
            for (row, turned) in rows.iter_mut().zip(turned) {
                let row = &mut row[range.start..];
                row.copy_from_slice(&turned[..row.len()]);
            }
        }
    }
}

/// Values that the second pass computes side by side.
pub(super) const VALUES: usize = 32;

/// Makes a row of at least [`VALUES`] values from those that lie above each other in `input`, rows of the
/// same length.
pub(super) struct Down<'a> {
    pub(super) simd: V3,
    pub(super) input: &'a [u8],
    pub(super) weights: &'a [i32],
    pub(super) output: &'a mut [u8],
}

impl NullaryFnOnce for Down<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { simd, input, weights, output } = self;
        let stride = output.len();
        let it = simd.avx2;
        let zero = simd.avx._mm256_setzero_si256();
        let mut at = 0;
        while at < stride {
            // The last ones may overlap with those before.
            at = at.min(stride - VALUES);
            let mut sums = [Sums::new(simd); 4];
            let line = |row: usize| -> __m256i {
                let values = input.get(row * stride + at..).and_then(<[u8]>::first_chunk::<32>);
                values.map_or(zero, |values| cast(*values))
            };
            for (pair, weights) in weights.chunks(2).enumerate() {
                let weights = [weights[0], weights.get(1).copied().unwrap_or(0)];
                let weights = spread(simd, Pair::new(weights));
                let (first, second) = (line(2 * pair), line(2 * pair + 1));
                let halves = [
                    it._mm256_unpacklo_epi8(first, second),
                    it._mm256_unpackhi_epi8(first, second),
                ];
                for (sums, half) in sums.chunks_exact_mut(2).zip(halves) {
                    sums[0].add(simd, it._mm256_unpacklo_epi8(half, zero), weights);
                    sums[1].add(simd, it._mm256_unpackhi_epi8(half, zero), weights);
                }
            }
            let [a, b, c, d] = sums;
            let low = it._mm256_packs_epi32(a.levels(simd), b.levels(simd));
            let high = it._mm256_packs_epi32(c.levels(simd), d.levels(simd));
            let made: [u8; VALUES] = cast(it._mm256_packus_epi16(low, high));
            output[at..at + VALUES].copy_from_slice(&made);
            at += VALUES;
        }
    }
}
