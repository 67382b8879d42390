//! Curves of the arms: learning, ROC, reliability.

use mmc_metrics::calibration::{Bin, Binning, calibration};
use mmc_metrics::mean_roc;
use mmc_run::{EvalRecord, ScoredRows, StepRecord};
use serde::Serialize;

use crate::arm::{ArmRuns, mean};

/// Points that a curve of training losses keeps.
const LOSSES: usize = 48;
/// Pieces that the axis of an ROC curve is cut into.
const PLACES: usize = 50;
/// Bins of a reliability curve, and of the errors beside it (customary).
const DRAWN_BINS: usize = 10;
const BINS: usize = 15;

/// How a run learned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Learning {
    /// (step, mean training loss of the steps up to it), at most some dozens.
    pub losses: Vec<(f64, f64)>,
    /// Its evaluations on the selection split.
    pub evaluations: Vec<EvalRecord>,
    /// The share of the seconds of its steps that passed in waiting for data; absent without steps.
    pub waiting: Option<f64>,
}

impl Learning {
    /// Of a run's records; `items_per_step` is that of a full step.
    pub(crate) fn of(
        steps: &[StepRecord],
        evaluations: Vec<EvalRecord>,
        items_per_step: usize,
    ) -> Self {
        let window = steps.len().div_ceil(LOSSES).max(1);
        let losses = steps.chunks(window).filter_map(|steps| {
            let losses: Vec<f64> = steps.iter().filter_map(|step| step.loss).collect();
            let last = steps.last()?;
            (!losses.is_empty()).then(|| (last.step as f64, mean(&losses)))
        });
        let seconds: f64 = steps
            .iter()
            .filter(|step| step.samples_per_second > 0.0)
            .map(|step| step.items.unwrap_or(items_per_step) as f64 / step.samples_per_second)
            .sum();
        let waited: f64 = steps.iter().map(|step| step.loader_wait_seconds).sum();
        Self {
            losses: losses.collect(),
            evaluations,
            waiting: (seconds > 0.0).then(|| (waited / seconds).min(1.0)),
        }
    }
}

/// How well an arm's confidence means what it says, means over seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmCalibration {
    /// The arm, `model (arm)`.
    pub arm: String,
    /// Mean of the largest probability.
    pub confidence: f64,
    /// Share of right decisions.
    pub accuracy: f64,
    /// Expected calibration error, 15 bins of equal mass.
    pub expected: f64,
    /// Root mean square calibration error without the noise of its bins (Kumar, Liang and Ma 2019).
    pub debiased: f64,
}

/// Calibration of each arm that can be scored.
pub(crate) fn calibrations(arms: &[ArmRuns]) -> Vec<ArmCalibration> {
    let of = |arm: &ArmRuns| {
        let found: Option<Vec<_>> = arm
            .scored()
            .iter()
            .map(|rows| {
                let (confidence, right) = decisions(rows);
                let found = calibration(&confidence, &right, BINS, Binning::EqualMass).ok()?;
                let hits = right.iter().filter(|right| **right).count() as f64;
                Some((mean(&confidence), hits / right.len() as f64, found.expected, found.debiased))
            })
            .collect();
        let found = found.filter(|found| !found.is_empty())?;
        let over =
            |of: fn(&(f64, f64, f64, f64)) -> f64| mean(&found.iter().map(of).collect::<Vec<_>>());
        Some(ArmCalibration {
            arm: arm.name(),
            confidence: over(|at| at.0),
            accuracy: over(|at| at.1),
            expected: over(|at| at.2),
            debiased: over(|at| at.3),
        })
    };
    arms.iter().filter_map(of).collect()
}

/// Each item's confidence, its largest probability, and whether the class of that was right.
fn decisions(rows: &ScoredRows) -> (Vec<f64>, Vec<bool>) {
    let decide = |(row, label): (&Vec<f64>, &usize)| {
        let class = mmc_metrics::labels::predicted_class(row).unwrap_or_default();
        // Sums of shares read from f32 may lie a rounding above 1.
        (row.get(class).copied().unwrap_or_default().min(1.0), class == *label)
    };
    rows.probabilities.iter().zip(&rows.labels).map(decide).unzip()
}

/// The mean ROC curve of an arm; empty where a class has no items.
pub(crate) fn roc(arm: &ArmRuns) -> Vec<(f64, f64)> {
    let curve = mean_roc(&arm.items(), PLACES).unwrap_or_default();
    let mut points: Vec<(f64, f64)> =
        curve.iter().map(|at| (at.false_positive_rate, at.true_positive_rate)).collect();
    if points.first().is_some_and(|first| first.1 > 0.0) {
        points.insert(0, (0.0, 0.0));
    }
    points
}

/// (confidence, share right) of the items of all seeds, in bins of equal mass.
pub(crate) fn reliability(arm: &ArmRuns) -> Vec<(f64, f64)> {
    let (mut confidence, mut right) = (Vec::new(), Vec::new());
    for rows in arm.scored() {
        let (of_file, hits) = decisions(rows);
        confidence.extend(of_file);
        right.extend(hits);
    }
    let point = |bin: &Bin| (bin.confidence, bin.accuracy);
    calibration(&confidence, &right, DRAWN_BINS, Binning::EqualMass)
        .map(|found| found.bins.iter().map(point).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_steps_become_some_dozens_and_waiting_is_a_share() {
        let step = |step: u64| StepRecord {
            step,
            epoch: 1,
            loss: (step != 1).then_some(step as f64),
            learning_rate: 0.0,
            grad_norm: None,
            learning_rates: Vec::new(),
            grad_norms: Vec::new(),
            samples_per_second: 16.0,
            items: None,
            loader_wait_seconds: 0.5,
            loss_scale: None,
            skipped: None,
        };
        let steps: Vec<StepRecord> = (1..=96).map(step).collect();
        let learning = Learning::of(&steps, Vec::new(), 16);
        assert_eq!(learning.losses.len(), 48);
        assert_eq!(learning.losses[0], (2.0, 2.0)); // step 1 had no usable item
        assert_eq!(learning.losses[47], (96.0, 95.5));
        assert_eq!(learning.waiting, Some(0.5));
        assert_eq!(Learning::of(&[], Vec::new(), 16), Learning::default());
    }
}
