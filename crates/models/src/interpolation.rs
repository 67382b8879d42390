//! Tables of positions resized to grids of other sizes, as PyTorch's `interpolate` does it: each
//! place of the new grid is a weighted sum of places of the old, so that the whole is a product
//! with a constant matrix and gradients reach the table.

/// Which places of the old grid a new place reads, and how much of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interpolation {
    /// Linear between two neighbours, the corners of both grids in the same places (ViLT).
    AlignedBilinear,
    /// Cubic convolution over four neighbours (Keys, 1981) with a = −¾, pixels as areas, no
    /// smoothing when the grid shrinks (CLIP, FLAVA).
    Bicubic,
}

/// The slope of the cubic at 1.
const A: f64 = -0.75;

impl Interpolation {
    /// What the `index`-th of `count` places on a line reads of `side` old ones, with weights that
    /// sum to 1. A place may be named twice.
    pub(crate) fn neighbours(
        self,
        index: usize,
        count: usize,
        side: usize,
    ) -> impl Iterator<Item = (usize, f64)> {
        let (first, weights) = match self {
            Self::AlignedBilinear => {
                let steps = (side - 1) as f64;
                let place = if count > 1 { index as f64 * steps / (count - 1) as f64 } else { 0.0 };
                let part = place - place.floor();
                (place.floor(), [1.0 - part, part, 0.0, 0.0])
            }
            Self::Bicubic => {
                let place = (index as f64 + 0.5) * side as f64 / count as f64 - 0.5;
                let part = place - place.floor();
                let weights = [far(1.0 + part), near(part), near(1.0 - part), far(2.0 - part)];
                (place.floor() - 1.0, weights)
            }
        };
        // Beyond the border there is the border.
        let inside = move |offset: usize| (first + offset as f64).clamp(0.0, (side - 1) as f64);
        (0..4).map(move |offset| (inside(offset) as usize, weights[offset]))
    }

    /// Adds to `weights` `[side²]` what the place at a row and column of a grid reads of a square
    /// table.
    pub(crate) fn add(
        self,
        (row, rows): (usize, usize),
        (column, columns): (usize, usize),
        side: usize,
        weights: &mut [f32],
    ) {
        for (y, by_row) in self.neighbours(row, rows, side) {
            for (x, by_column) in self.neighbours(column, columns, side) {
                weights[y * side + x] += (by_row * by_column) as f32;
            }
        }
    }
}

/// The cubic at a distance of at most 1.
fn near(x: f64) -> f64 {
    ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
}

/// The cubic at a distance between 1 and 2.
fn far(x: f64) -> f64 {
    ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a line of two reads, by place.
    fn line(kind: Interpolation, index: usize, count: usize, side: usize) -> Vec<f64> {
        let mut weights = vec![0.0; side];
        for (place, weight) in kind.neighbours(index, count, side) {
            weights[place] += weight;
        }
        weights
    }

    /// By hand: three samples of the line 0, 1 are 0, ½, 1; one sample is the first.
    #[test]
    fn corners_are_aligned() {
        let line = |index, count| line(Interpolation::AlignedBilinear, index, count, 2);
        assert_eq!(line(1, 3), [0.5, 0.5]);
        assert_eq!(line(2, 3), [0.0, 1.0]);
        assert_eq!(line(0, 1), [1.0, 0.0]);
    }

    #[test]
    fn a_grid_of_the_same_size_is_kept() {
        for kind in [Interpolation::AlignedBilinear, Interpolation::Bicubic] {
            for index in 0..3 {
                let expected = [0, 1, 2].map(|place| f64::from(u8::from(place == index)));
                assert_eq!(line(kind, index, 3, 3), expected);
            }
        }
    }

    /// `torch.nn.functional.interpolate(line, size, mode="bicubic", align_corners=False)` of the
    /// line 0, 1, 0, 4, 2 with PyTorch 2.11.
    #[test]
    fn cubics_are_those_of_pytorch() {
        let table = [0.0, 1.0, 0.0, 4.0, 2.0];
        for (count, expected) in EXPECTED {
            let found = (0..count).map(|index| {
                let weights = line(Interpolation::Bicubic, index, count, table.len());
                weights.iter().zip(table).map(|(weight, value)| weight * value).sum::<f64>()
            });
            for (found, expected) in found.zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
            }
        }
    }

    const EXPECTED: [(usize, &[f64]); 2] = [
        (3, &[0.370_370_370, 0.0, 2.851_851_852]),
        (
            8,
            &[
                -0.092_834_473,
                0.510_559_082,
                0.980_529_785,
                -0.100_402_832,
                1.159_362_793,
                3.880_920_410,
                3.182_617_188,
                1.814_331_055,
            ],
        ),
    ];
}
