//! From coefficients to the pixels that they were made of, or to fewer.

#![allow(
    clippy::needless_range_loop,
    reason = "equal loops over arrays of one length, inlined, become vector instructions"
)]

use std::f64::consts::{PI, SQRT_2};

use pulp::{Arch, NullaryFnOnce};

use super::scan::LANES;
#[cfg(target_arch = "x86_64")]
use super::vectors;

/// Pixels of a block's side.
pub(super) const SIDE: usize = 8;
/// Fractional bits of the weights, and of what is between the two passes.
const WEIGHT_BITS: i32 = 13;
const BETWEEN_BITS: i32 = 2;
/// Bits that the passes leave out; both together multiply by 8.
pub(super) const FIRST_SHIFT: i32 = WEIGHT_BITS - BETWEEN_BITS;
pub(super) const SECOND_SHIFT: i32 = WEIGHT_BITS + BETWEEN_BITS + 3;

/// Weights of the frequencies in the first half of the pixels, the even ones and the odd ones:
/// `[pixel][even or odd][frequency / 2]`. The other half has them with the odd ones taken off.
pub(super) type Weights = [[[i16; 4]; 2]; 4];

/// libjpeg's for a whole block, with 13 fractional bits. It adds what they share first; sums of whole
/// numbers do not depend on it.
const WHOLE: Weights = {
    let (one, shared) = (8_192, 4_433); // 1, 0.541196100
    let (two, six) = (shared + 6_270, 15_137 - shared); // 0.765366865, 1.847759065
    let all = 9_633; // 1.175875602
    let (a, b) = (all - 7_373, all - 20_995); // 0.899976223, 2.562915447
    let (c, d) = (all - 16_069, all - 3_196); // 1.961570560, 0.390180644
    let f1 = a + d - all + 12_299; // 1.501321110
    let f3 = b + c - all + 25_172; // 3.072711026
    let f5 = b + d - all + 16_819; // 2.053119869
    let f7 = a + c - all + 2_446; // 0.298631336
    [
        [[one, two, one, shared], [f1, all, d, a]],
        [[one, shared, -one, -six], [all, f3, b, c]],
        [[one, -shared, -one, six], [d, b, f5, all]],
        [[one, -two, one, -shared], [a, c, all, f7]],
    ]
};

/// The inverse cosine transform of the lowest coefficients of blocks of 8 × 8, to `across` × `down`
/// pixels: the picture without the waves that so few pixels cannot show (Ng, *Some aspects of the DCT
/// on image scaling*, 1993). What is left keeps its weight, so an even block keeps its level.
///
/// All eight by eight of them give libjpeg's levels (Loeffler, Ligtenberg and Moschytz, 1989), in whole
/// numbers of 16 bits before and between the passes, as libjpeg-turbo's vectors hold them: what does not
/// fit is cut off before the first pass and clamped between the two.
pub(super) struct Inverse {
    pub(super) across: usize,
    pub(super) down: usize,
    /// Of pixels along a row, and along a column.
    pub(super) row_weights: Weights,
    pub(super) column_weights: Weights,
    /// What coefficients are multiplied by, at row × `across` + column.
    pub(super) steps: Vec<[i16; LANES]>,
}

impl Inverse {
    /// `steps` are those of the whole block; `None` for sizes that no picture has.
    pub(super) fn new((across, down): (usize, usize), steps: &[u16; SIDE * SIDE]) -> Option<Self> {
        let kept = (0..down).flat_map(|row| (0..across).map(move |column| row * SIDE + column));
        let is_square = across == down && matches!(across, 1..=4 | 6 | 8);
        let is_wide = across == 2 * down && down <= 4;
        (is_square || is_wide).then(|| Self {
            across,
            down,
            row_weights: weights(across),
            column_weights: weights(down),
            steps: kept.map(|at| [steps[at] as i16; LANES]).collect(),
        })
    }

    /// Where the coefficient at row × 8 + column is kept, if it is.
    pub(super) fn place(&self, coefficient: u8) -> Option<usize> {
        let (row, column) = (usize::from(coefficient / 8), usize::from(coefficient % 8));
        (row < self.down && column < self.across).then_some(row * self.across + column)
    }

    /// Transforms blocks side by side, `[place][block]`, to lines of levels that begin `stride` apart.
    pub(super) fn transform(
        &self,
        arch: Arch,
        blocks: &[[i16; LANES]],
        levels: &mut [u8],
        stride: usize,
    ) {
        match (self.across, self.down) {
            (1, 1) => self.sized::<1, 1>(arch, blocks, levels, stride),
            (2, 2) => self.sized::<2, 2>(arch, blocks, levels, stride),
            (3, 3) => self.sized::<3, 3>(arch, blocks, levels, stride),
            (4, 4) => self.sized::<4, 4>(arch, blocks, levels, stride),
            (6, 6) => self.sized::<6, 6>(arch, blocks, levels, stride),
            (2, 1) => self.sized::<2, 1>(arch, blocks, levels, stride),
            (4, 2) => self.sized::<4, 2>(arch, blocks, levels, stride),
            (6, 3) => self.sized::<6, 3>(arch, blocks, levels, stride),
            (8, 4) => self.sized::<8, 4>(arch, blocks, levels, stride),
            _ => self.sized::<8, 8>(arch, blocks, levels, stride),
        }
    }

    fn sized<const ACROSS: usize, const DOWN: usize>(
        &self,
        arch: Arch,
        blocks: &[[i16; LANES]],
        levels: &mut [u8],
        stride: usize,
    ) {
        let transform = Transform::<ACROSS, DOWN> { inverse: self, blocks, levels, stride };
        match arch {
            #[cfg(target_arch = "x86_64")]
            Arch::V3(simd) => simd.vectorize(vectors::Transform { simd, transform }),
            _ => arch.dispatch(transform),
        }
    }
}

/// The transform as any processor does it.
pub(super) struct Transform<'a, const ACROSS: usize, const DOWN: usize> {
    pub(super) inverse: &'a Inverse,
    pub(super) blocks: &'a [[i16; LANES]],
    pub(super) levels: &'a mut [u8],
    pub(super) stride: usize,
}

impl<const ACROSS: usize, const DOWN: usize> NullaryFnOnce for Transform<'_, ACROSS, DOWN> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { inverse, blocks, levels, stride } = self;
        let mut between = [[[0; LANES]; ACROSS]; DOWN]; // [row of pixels][frequency in the row]
        for column in 0..ACROSS {
            let mut frequencies = [[0; LANES]; DOWN];
            for row in 0..DOWN {
                let at = row * ACROSS + column;
                for lane in 0..LANES {
                    frequencies[row][lane] = blocks[at][lane].wrapping_mul(inverse.steps[at][lane]);
                }
            }
            let pixels = pass::<DOWN, FIRST_SHIFT>(&frequencies, &inverse.column_weights);
            for row in 0..DOWN {
                between[row][column] = pixels[row];
            }
        }
        for row in 0..DOWN {
            let pixels = pass::<ACROSS, SECOND_SHIFT>(&between[row], &inverse.row_weights);
            let line = &mut levels[row * stride..][..LANES * ACROSS];
            for (lane, line) in line.chunks_exact_mut(ACROSS).enumerate() {
                for column in 0..ACROSS {
                    line[column] = (pixels[column][lane].clamp(-128, 127) + 128) as u8;
                }
            }
        }
    }
}

/// Pixels from frequencies, divided by 2 to the power of `SHIFT`.
#[inline(always)]
fn pass<const SIZE: usize, const SHIFT: i32>(
    frequencies: &[[i16; LANES]; SIZE],
    weights: &Weights,
) -> [[i16; LANES]; SIZE] {
    let mut pixels = [[0; LANES]; SIZE];
    for at in 0..SIZE.div_ceil(2) {
        for lane in 0..LANES {
            let mut sums = [0_i32; 2];
            for frequency in 0..SIZE {
                let weight = i32::from(weights[at][frequency % 2][frequency / 2]);
                sums[frequency % 2] += weight * i32::from(frequencies[frequency][lane]);
            }
            let [even, odd] = sums;
            let even = even.wrapping_add(1 << (SHIFT - 1));
            pixels[SIZE - 1 - at][lane] = clamped(even.wrapping_sub(odd) >> SHIFT);
            pixels[at][lane] = clamped(even.wrapping_add(odd) >> SHIFT);
        }
    }
    pixels
}

#[inline(always)]
fn clamped(value: i32) -> i16 {
    value.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// For so many pixels in place of 8.
fn weights(size: usize) -> Weights {
    if size == SIDE {
        return WHOLE;
    }
    let mut weights = Weights::default();
    for (pixel, weights) in weights.iter_mut().enumerate().take(size.div_ceil(2)) {
        for frequency in 0..size {
            let norm = if frequency == 0 { 1.0 } else { SQRT_2 };
            let angle = (2 * pixel + 1) as f64 * frequency as f64 * PI / (2 * size) as f64;
            let weight = norm * angle.cos() * f64::from(1 << WEIGHT_BITS);
            weights[frequency % 2][frequency / 2] = weight.round() as i16;
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The levels that any processor makes, and those that this one makes.
    fn both<const ACROSS: usize, const DOWN: usize>(
        numbers: &[i16],
        steps: &[u16; SIDE * SIDE],
    ) -> [Vec<u8>; 2] {
        let inverse = Inverse::new((ACROSS, DOWN), steps).unwrap();
        let blocks = &numbers.as_chunks().0[..ACROSS * DOWN];
        let stride = LANES * ACROSS + 3;
        let [mut any, mut widest] = [vec![0; DOWN * stride], vec![0; DOWN * stride]];
        let levels = &mut any[..];
        Transform::<ACROSS, DOWN> { inverse: &inverse, blocks, levels, stride }.call();
        inverse.transform(Arch::new(), blocks, &mut widest, stride);
        [any, widest]
    }

    proptest! {
        /// Whatever a file may hold, every processor makes the same of it.
        #[test]
        fn vectors_give_the_same_levels(
            numbers in prop::collection::vec(any::<i16>(), SIDE * SIDE * LANES),
            steps in prop::collection::vec(1_u16.., SIDE * SIDE),
            shift in 0..16,
        ) {
            let numbers: Vec<i16> = numbers.iter().map(|number| number >> shift).collect();
            let small = shift > 8;
            let steps = std::array::from_fn(|at| if small { steps[at] % 32 + 1 } else { steps[at] });
            for [any, widest] in [
                both::<1, 1>(&numbers, &steps),
                both::<2, 2>(&numbers, &steps),
                both::<3, 3>(&numbers, &steps),
                both::<4, 4>(&numbers, &steps),
                both::<6, 6>(&numbers, &steps),
                both::<2, 1>(&numbers, &steps),
                both::<4, 2>(&numbers, &steps),
                both::<6, 3>(&numbers, &steps),
                both::<8, 4>(&numbers, &steps),
                both::<8, 8>(&numbers, &steps),
            ] {
                prop_assert_eq!(any, widest);
            }
        }
    }

    #[test]
    fn a_mean_alone_is_an_even_block() {
        let mut numbers = [0; SIDE * SIDE * LANES];
        for (lane, number) in numbers[..LANES].iter_mut().enumerate() {
            *number = lane as i16 * 10 - 80;
        }
        for levels in both::<3, 3>(&numbers, &[4; SIDE * SIDE]) {
            for line in levels.chunks(LANES * 3 + 3) {
                for (lane, block) in line[..LANES * 3].chunks(3).enumerate() {
                    assert_eq!(block, [lane as u8 * 5 + 88; 3]);
                }
            }
        }
    }
}
