//! Whether confidence means what it says.

use crate::error::{MetricError, Result, same_length};
use crate::order::ascending;

/// How items are put into bins by confidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binning {
    /// Bin j of B holds confidences in `(j/B, (j+1)/B]`, 0 in the first.
    EqualWidth,
    /// The item of ascending rank r of n is in bin ⌊rB/n⌋; ties may straddle a border, in the
    /// order of the items.
    EqualMass,
}

/// One bin that holds items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// How many items.
    pub items: usize,
    /// Their mean confidence.
    pub confidence: f64,
    /// The share of them that is right.
    pub accuracy: f64,
}

/// Calibration errors of one file.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// The bins that hold items, by ascending confidence.
    pub bins: Vec<Bin>,
    /// The expected calibration error `Σ n_b/n |accuracy − confidence|` (Naeini 2015). Biased upwards:
    /// not comparable between sets of different size.
    pub expected: f64,
    /// The root of the mean squared error over bins.
    pub root_mean_square: f64,
    /// The same with each bin's sampling variance taken off (Kumar, Liang and Ma 2019), at least 0.
    pub debiased: f64,
}

/// Calibration of `confidence`, the largest probability of each item, against `right`, whether its
/// class was the true one; both `[items]`. 15 bins are customary.
///
/// # Errors
/// No items, no bins, lengths that differ, a confidence outside 0 to 1.
pub fn calibration(
    confidence: &[f64],
    right: &[bool],
    bins: usize,
    binning: Binning,
) -> Result<Calibration> {
    if confidence.is_empty() {
        return Err(MetricError::Empty);
    }
    same_length("right", confidence.len(), right.len())?;
    if bins == 0 {
        return Err(MetricError::TooFew { what: "bins", found: 0, expected: 1 });
    }
    for (index, &value) in confidence.iter().enumerate() {
        if !value.is_finite() {
            return Err(MetricError::NotFinite { what: "confidence", index });
        }
        if !(0.0..=1.0).contains(&value) {
            return Err(MetricError::Probability { index, value });
        }
    }
    Ok(summarise(fill(confidence, right, bins, binning), confidence.len() as f64))
}

fn fill(confidence: &[f64], right: &[bool], bins: usize, binning: Binning) -> Vec<Bin> {
    let n = confidence.len();
    let mut sums = vec![(0_usize, 0.0, 0_usize); bins];
    for (rank, &item) in ascending(confidence).iter().enumerate() {
        let bin = match binning {
            Binning::EqualWidth => width_bin(confidence[item], bins),
            Binning::EqualMass => (rank * bins) / n,
        };
        sums[bin].0 += 1;
        sums[bin].1 += confidence[item];
        sums[bin].2 += usize::from(right[item]);
    }
    let mean = |(items, confidence, hits): (usize, f64, usize)| Bin {
        items,
        confidence: confidence / items as f64,
        accuracy: hits as f64 / items as f64,
    };
    sums.into_iter().filter(|sum| sum.0 > 0).map(mean).collect()
}

/// The bin `(j/B, (j+1)/B]` of a value, by the borders themselves: value·B may round across one.
fn width_bin(value: f64, bins: usize) -> usize {
    let border = |j: usize| j as f64 / bins as f64;
    let mut bin = ((value * bins as f64).ceil() as usize).clamp(1, bins) - 1;
    while bin > 0 && value <= border(bin) {
        bin -= 1;
    }
    while bin + 1 < bins && value > border(bin + 1) {
        bin += 1;
    }
    bin
}

fn summarise(bins: Vec<Bin>, n: f64) -> Calibration {
    let (mut expected, mut square, mut debiased) = (0.0, 0.0, 0.0);
    for bin in &bins {
        let items = bin.items as f64;
        let gap = bin.accuracy - bin.confidence;
        let noise = match bin.items {
            1 => 0.0,
            _ => bin.accuracy * (1.0 - bin.accuracy) / (items - 1.0),
        };
        expected += items / n * gap.abs();
        square += items / n * gap * gap;
        debiased += items / n * (gap * gap - noise);
    }
    let debiased = debiased.max(0.0).sqrt();
    Calibration { bins, expected, root_mean_square: square.sqrt(), debiased }
}
