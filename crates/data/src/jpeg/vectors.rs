//! What the vectors of most processors of our days (AVX2) do in other ways than a compiler finds: they
//! multiply pairs of 16-bit numbers and add the products, and they put bytes in another order.

#![allow(
    clippy::needless_range_loop,
    reason = "equal loops over arrays of one length, inlined, become vector instructions"
)]

use std::arch::x86_64::__m256i;

use pulp::x86::V3;
use pulp::{NullaryFnOnce, cast};

use super::inverse::{self, FIRST_SHIFT, SECOND_SHIFT, SIDE, Weights};
use super::scan::LANES;

/// Does what it holds.
pub(super) struct Transform<'a, const ACROSS: usize, const DOWN: usize> {
    pub(super) simd: V3,
    pub(super) transform: inverse::Transform<'a, ACROSS, DOWN>,
}

impl<const ACROSS: usize, const DOWN: usize> NullaryFnOnce for Transform<'_, ACROSS, DOWN> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { simd, transform } = self;
        let inverse::Transform { inverse, blocks, levels, stride } = transform;
        let zero = simd.avx._mm256_setzero_si256();
        let mut between = [[zero; ACROSS]; DOWN];
        let weights = in_pairs(&inverse.column_weights);
        let (blocks, steps) = (&blocks[..ACROSS * DOWN], &inverse.steps[..ACROSS * DOWN]);
        for column in 0..ACROSS {
            let mut frequencies = [zero; DOWN];
            for row in 0..DOWN {
                let at = row * ACROSS + column;
                frequencies[row] = simd.avx2._mm256_mullo_epi16(cast(blocks[at]), cast(steps[at]));
            }
            let pixels = pass::<DOWN, FIRST_SHIFT>(simd, &frequencies, &weights);
            for row in 0..DOWN {
                between[row][column] = pixels[row];
            }
        }
        let weights = in_pairs(&inverse.row_weights);
        for row in 0..DOWN {
            let mut pixels = [zero; SIDE];
            let made = pass::<ACROSS, SECOND_SHIFT>(simd, &between[row], &weights);
            pixels[..ACROSS].copy_from_slice(&made);
            let line = &mut levels[row * stride..][..LANES * ACROSS];
            let (left, right) = line.split_at_mut(LANES / 2 * ACROSS);
            let halves = left.chunks_exact_mut(2 * ACROSS).zip(right.chunks_exact_mut(2 * ACROSS));
            for ((left, right), made) in halves.zip(turned(simd, &pixels)) {
                let [a, b, c, d]: [[u8; SIDE]; 4] = cast(made);
                left[..ACROSS].copy_from_slice(&a[..ACROSS]);
                left[ACROSS..].copy_from_slice(&b[..ACROSS]);
                right[..ACROSS].copy_from_slice(&c[..ACROSS]);
                right[ACROSS..].copy_from_slice(&d[..ACROSS]);
            }
        }
    }
}

/// `[pixel]`: weights of the frequencies 0 and 2, 4 and 6, 1 and 3, 5 and 7.
type Pairs = [[i32; 4]; 4];

#[inline(always)]
fn in_pairs(weights: &Weights) -> Pairs {
    let pair = |low: i16, high: i16| i32::from(low) & 0xFFFF | i32::from(high) << 16;
    let mut pairs = Pairs::default();
    for (pairs, [even, odd]) in pairs.iter_mut().zip(weights) {
        *pairs = [
            pair(even[0], even[1]),
            pair(even[2], even[3]),
            pair(odd[0], odd[1]),
            pair(odd[2], odd[3]),
        ];
    }
    pairs
}

/// Pixels from frequencies, divided by 2 to the power of `SHIFT`.
#[inline(always)]
fn pass<const SIZE: usize, const SHIFT: i32>(
    simd: V3,
    frequencies: &[__m256i; SIZE],
    weights: &Pairs,
) -> [__m256i; SIZE] {
    let it = simd.avx2;
    let half = simd.avx._mm256_set1_epi32(1 << (SHIFT - 1));
    let mut sums = [[half; 2]; SIZE];
    let of = |at: usize| {
        if at < SIZE { frequencies[at] } else { simd.avx._mm256_setzero_si256() }
    };
    // Of the 16 blocks the lower four and the higher four of either half of a vector.
    for part in 0..2 {
        let pair = |low: usize, high: usize| match part {
            0 => it._mm256_unpacklo_epi16(of(low), of(high)),
            _ => it._mm256_unpackhi_epi16(of(low), of(high)),
        };
        let pairs = [pair(0, 2), pair(4, 6), pair(1, 3), pair(5, 7)];
        for at in 0..SIZE.div_ceil(2) {
            let weighted = |pair: usize| {
                let weights = simd.avx._mm256_set1_epi32(weights[at][pair]);
                it._mm256_madd_epi16(pairs[pair], weights)
            };
            let mut even = it._mm256_add_epi32(weighted(0), half);
            if SIZE > 4 {
                even = it._mm256_add_epi32(even, weighted(1));
            }
            let mut odd = weighted(2);
            if SIZE > 5 {
                odd = it._mm256_add_epi32(odd, weighted(3));
            }
            let (first, last) = (it._mm256_add_epi32(even, odd), it._mm256_sub_epi32(even, odd));
            sums[SIZE - 1 - at][part] = it._mm256_srai_epi32::<SHIFT>(last);
            sums[at][part] = it._mm256_srai_epi32::<SHIFT>(first);
        }
    }
    let mut pixels = [half; SIZE];
    for (pixels, [low, high]) in pixels.iter_mut().zip(sums) {
        *pixels = it._mm256_packs_epi32(low, high);
    }
    pixels
}

/// From columns, `[column][block]`, to levels of a block behind the other: two and two of the first
/// eight blocks and the last eight.
#[inline(always)]
fn turned(simd: V3, pixels: &[__m256i; SIDE]) -> [__m256i; 4] {
    let it = simd.avx2;
    let middle = simd.avx._mm256_set1_epi8(-128);
    let levels =
        |at: usize| it._mm256_xor_si256(it._mm256_packs_epi16(pixels[at], pixels[at + 4]), middle);
    let (c04, c15, c26, c37) = (levels(0), levels(1), levels(2), levels(3));
    let (c01, c45) = (it._mm256_unpacklo_epi8(c04, c15), it._mm256_unpackhi_epi8(c04, c15));
    let (c23, c67) = (it._mm256_unpacklo_epi8(c26, c37), it._mm256_unpackhi_epi8(c26, c37));
    let lower = (it._mm256_unpacklo_epi16(c01, c23), it._mm256_unpacklo_epi16(c45, c67));
    let upper = (it._mm256_unpackhi_epi16(c01, c23), it._mm256_unpackhi_epi16(c45, c67));
    [
        it._mm256_unpacklo_epi32(lower.0, lower.1),
        it._mm256_unpackhi_epi32(lower.0, lower.1),
        it._mm256_unpacklo_epi32(upper.0, upper.1),
        it._mm256_unpackhi_epi32(upper.0, upper.1),
    ]
}
