//! What each arm costs, beside the text model.

use mmc_data::Arm;
use mmc_run::Cost;
use serde::Serialize;

use crate::arm::{ArmRuns, median};

/// Medians over the seeds of one arm, and their ratios to the text model's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmCost {
    /// The model.
    pub model: String,
    /// What it was shown.
    pub arm: Arm,
    /// Median over seeds of the median seconds of an optimiser step.
    pub seconds_per_step: Quantity,
    /// Seconds of a whole run.
    pub wall_seconds: Quantity,
    /// High-water mark of memory.
    pub peak_memory_bytes: Quantity,
    /// Numbers in the model.
    pub parameters: Quantity,
    /// Operations of the forward of one sample.
    pub flops_per_sample: Quantity,
    /// Seconds of predicting an item, the reading of its data included; absent where a seed did not
    /// record it.
    pub seconds_per_prediction: Option<Quantity>,
}

/// A median, and what it is of the text model's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quantity {
    /// The median over seeds.
    pub value: f64,
    /// Divided by the text model's; absent where that is not known or 0.
    pub ratio: Option<f64>,
}

/// The costs of every arm that has a complete run.
pub(crate) fn costs(arms: &[ArmRuns], text: Option<&ArmRuns>) -> Vec<ArmCost> {
    arms.iter().filter_map(|arm| cost(arm, text)).collect()
}

fn cost(arm: &ArmRuns, text: Option<&ArmRuns>) -> Option<ArmCost> {
    let of = |arm: &ArmRuns, read: fn(&Cost) -> Option<f64>| {
        let values: Option<Vec<f64>> = arm.runs.iter().map(|run| read(&run.cost)).collect();
        values.and_then(median)
    };
    let quantity = |read: fn(&Cost) -> Option<f64>| {
        let value = of(arm, read)?;
        let reference = text.and_then(|text| of(text, read)).filter(|&value| value > 0.0);
        Some(Quantity { value, ratio: reference.map(|reference| value / reference) })
    };
    Some(ArmCost {
        model: arm.model.to_owned(),
        arm: arm.arm,
        seconds_per_step: quantity(|cost| Some(cost.seconds_per_step))?,
        wall_seconds: quantity(|cost| Some(cost.wall_seconds))?,
        peak_memory_bytes: quantity(|cost| Some(cost.peak_memory_bytes as f64))?,
        parameters: quantity(|cost| Some(cost.parameters as f64))?,
        flops_per_sample: quantity(|cost| Some(cost.flops_per_sample))?,
        seconds_per_prediction: quantity(|cost| cost.seconds_per_prediction),
    })
}
