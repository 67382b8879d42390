//! From coefficients to fewer pixels than they were made of.

#![allow(
    clippy::needless_range_loop,
    reason = "equal loops over arrays of one length, inlined, become vector instructions"
)]

use std::f64::consts::PI;

use super::scan::LANES;

/// One number of each of the blocks side by side.
type Side = [f32; LANES];

/// The inverse cosine transform of the lowest coefficients of blocks of 8 × 8, to `across` × `down`
/// pixels: the picture without the waves that so few pixels cannot show (Ng, *Some aspects of the DCT
/// on image scaling*, 1993). What is left keeps its weight, so an even block keeps its level.
pub(super) struct Inverse {
    pub(super) across: usize,
    pub(super) down: usize,
    /// `[pixel][frequency]` along a row, and along a column.
    row_waves: [[f32; 8]; 8],
    column_waves: [[f32; 8]; 8],
    /// What coefficients are multiplied by, at row × `across` + column.
    steps: Vec<f32>,
}

impl Inverse {
    /// `steps` are those of the whole block; `None` for sizes that no reduced picture has.
    pub(super) fn new((across, down): (usize, usize), steps: &[f32; 64]) -> Option<Self> {
        let kept = (0..down).flat_map(|row| (0..across).map(move |column| steps[row * 8 + column]));
        let is_square = across == down && matches!(across, 1..=4 | 6 | 8);
        let is_wide = across == 2 * down && down <= 4;
        (is_square || is_wide).then(|| Self {
            across,
            down,
            row_waves: waves(across),
            column_waves: waves(down),
            steps: kept.collect(),
        })
    }

    /// Where the coefficient at row × 8 + column is kept, if it is.
    pub(super) fn place(&self, coefficient: u8) -> Option<usize> {
        let (row, column) = (usize::from(coefficient / 8), usize::from(coefficient % 8));
        (row < self.down && column < self.across).then_some(row * self.across + column)
    }

    /// Transforms blocks side by side, `[place][block]`, to levels `[pixel][block]`.
    #[inline(always)]
    pub(super) fn transform(&self, blocks: &[[i16; LANES]], levels: &mut [[u8; LANES]; 64]) {
        match (self.across, self.down) {
            (1, 1) => self.sized::<1, 1>(blocks, levels),
            (2, 2) => self.sized::<2, 2>(blocks, levels),
            (3, 3) => self.sized::<3, 3>(blocks, levels),
            (4, 4) => self.sized::<4, 4>(blocks, levels),
            (6, 6) => self.sized::<6, 6>(blocks, levels),
            (2, 1) => self.sized::<2, 1>(blocks, levels),
            (4, 2) => self.sized::<4, 2>(blocks, levels),
            (6, 3) => self.sized::<6, 3>(blocks, levels),
            (8, 4) => self.sized::<8, 4>(blocks, levels),
            _ => self.sized::<8, 8>(blocks, levels),
        }
    }

    #[inline(always)]
    fn sized<const ACROSS: usize, const DOWN: usize>(
        &self,
        blocks: &[[i16; LANES]],
        levels: &mut [[u8; LANES]; 64],
    ) {
        let mut between = [[[0.0; LANES]; ACROSS]; DOWN]; // [row of pixels][frequency in the row]
        for column in 0..ACROSS {
            let mut frequencies = [[0.0; LANES]; DOWN];
            for row in 0..DOWN {
                let place = row * ACROSS + column;
                for lane in 0..LANES {
                    frequencies[row][lane] = f32::from(blocks[place][lane]) * self.steps[place];
                }
            }
            let pixels = sum_waves(&frequencies, &self.column_waves);
            for row in 0..DOWN {
                between[row][column] = pixels[row];
            }
        }
        for row in 0..DOWN {
            let pixels = sum_waves(&between[row], &self.row_waves);
            for column in 0..ACROSS {
                for lane in 0..LANES {
                    levels[row * ACROSS + column][lane] = level(pixels[column][lane]);
                }
            }
        }
    }
}

/// Pixels from frequencies. A wave is even or odd about the middle, so the sums of one half serve the
/// other.
#[inline(always)]
fn sum_waves<const SIZE: usize>(frequencies: &[Side; SIZE], waves: &[[f32; 8]; 8]) -> [Side; SIZE] {
    let mut pixels = [[0.0; LANES]; SIZE];
    for pixel in 0..SIZE.div_ceil(2) {
        let (mut even, mut odd) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        for frequency in 0..SIZE {
            let sums = if frequency % 2 == 0 { &mut even } else { &mut odd };
            for lane in 0..LANES {
                sums[lane] += waves[pixel][frequency] * frequencies[frequency][lane];
            }
        }
        for lane in 0..LANES {
            pixels[pixel][lane] = even[lane] + odd[lane];
            pixels[SIZE - 1 - pixel][lane] = even[lane] - odd[lane];
        }
    }
    pixels
}

/// A sum as a level, to the nearest.
#[inline(always)]
fn level(sum: f32) -> u8 {
    const WHOLE: f32 = 8_388_608.0; // 2²³: beyond it there are no fractions
    let level = sum + 128.0;
    let level = if level > 0.0 { level } else { 0.0 };
    let level = if level < 255.0 { level } else { 255.0 };
    (level + WHOLE).to_bits() as u8
}

/// `[pixel][frequency]` for `size` pixels in place of 8.
fn waves(size: usize) -> [[f32; 8]; 8] {
    let mut waves = [[0.0; 8]; 8];
    for (pixel, wave) in waves.iter_mut().enumerate().take(size) {
        for (frequency, weight) in wave.iter_mut().enumerate().take(size) {
            let norm = if frequency == 0 { 0.125_f64.sqrt() } else { 0.5 };
            let angle = (2 * pixel + 1) as f64 * frequency as f64 * PI / (2 * size) as f64;
            *weight = (norm * angle.cos()) as f32;
        }
    }
    waves
}
