//! What pixels the resized ones are made of, and by what weights.

use std::f64::consts::PI;
use std::ops::Range;

/// Fractional bits of a weight: 32, less 8 for the value, less 2 for sign and overshoot.
pub(super) const FRACTION_BITS: u32 = 32 - 8 - 2;

/// A resampling filter, by Pillow's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Mean over the covered pixels.
    Box,
    /// Triangle, support 1.
    Bilinear,
    /// Hamming-windowed sinc, support 1.
    Hamming,
    /// Cubic convolution with a = −0.5 (Keys, Catmull and Rom), support 2.
    Bicubic,
    /// Lanczos-windowed sinc, support 3.
    Lanczos,
}

impl Filter {
    /// Half the width of the kernel, in output pixels where the picture shrinks.
    fn support(self) -> f64 {
        match self {
            Self::Box => 0.5,
            Self::Bilinear | Self::Hamming => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    /// The kernel at a distance `x` from its centre.
    fn at(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let distance = x.abs();
        match self {
            Self::Box if x > -0.5 && x <= 0.5 => 1.0,
            Self::Bilinear if distance < 1.0 => 1.0 - distance,
            Self::Hamming if distance < 1.0 => {
                let angle = distance * PI;
                if angle > 0.0 { angle.sin() / angle * (0.54 + 0.46 * angle.cos()) } else { 1.0 }
            }
            Self::Bicubic if distance < 1.0 => {
                ((A + 2.0) * distance - (A + 3.0)) * distance * distance + 1.0
            }
            Self::Bicubic if distance < 2.0 => {
                (((distance - 5.0) * distance + 8.0) * distance - 4.0) * A
            }
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            _ => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    let angle = x * PI;
    if angle.abs() > 0.0 { angle.sin() / angle } else { 1.0 }
}

/// The input pixels that one output pixel is made of.
pub(super) struct Taps {
    /// The first of them.
    pub(super) first: usize,
    /// Their weights; they sum to about 2²².
    pub(super) weights: Vec<i32>,
}

/// One axis of a picture.
pub(super) struct Axis {
    /// So many pixels there are,
    pub(super) pixels: usize,
    /// which show this length of pixels,
    pub(super) extent: f64,
    /// and become so many.
    pub(super) output: usize,
}

impl Axis {
    /// Whether nothing is to be done.
    pub(super) fn stays(&self) -> bool {
        self.pixels == self.output && (self.extent - self.output as f64).abs() < 1e-9
    }

    /// The taps of the output pixels `range`.
    pub(super) fn taps(&self, range: Range<usize>, filter: Filter) -> Vec<Taps> {
        if self.stays() {
            return range.map(|first| Taps { first, weights: vec![1 << FRACTION_BITS] }).collect();
        }
        let scale = self.extent / self.output as f64;
        let stretch = scale.max(1.0);
        let support = filter.support() * stretch;
        let squeeze = 1.0 / stretch;
        range
            .map(|index| {
                let centre = (index as f64 + 0.5) * scale;
                // Casts truncate towards zero and saturate below it.
                let first = (centre - support + 0.5) as usize;
                let end = ((centre + support + 0.5) as usize).min(self.pixels);
                let mut weights: Vec<f64> = (first..end)
                    .map(|pixel| filter.at((pixel as f64 - centre + 0.5) * squeeze))
                    .collect();
                let total: f64 = weights.iter().sum();
                if total.abs() > 0.0 {
                    for weight in &mut weights {
                        *weight /= total;
                    }
                }
                Taps { first, weights: weights.into_iter().map(fixed_point).collect() }
            })
            .collect()
    }
}

/// A weight with 22 fractional bits, rounded half away from zero.
fn fixed_point(weight: f64) -> i32 {
    let scaled = weight * f64::from(1_u32 << FRACTION_BITS);
    (if weight < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
}
