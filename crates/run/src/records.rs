//! What a run records: a line for each step and each evaluation, and what it cost.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A line of `train.jsonl`: one optimiser step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The step, from 1.
    pub step: u64,
    /// The pass over the data, from 1.
    pub epoch: u64,
    /// Σ wᵢ·lᵢ / (items of the step); `null` of a step without a usable item, which changed
    /// nothing.
    pub loss: Option<f64>,
    /// The learning rate, as used.
    pub learning_rate: f64,
    /// L2 norm of the gradient before clipping; `null` of a step without a usable item, and of one
    /// that was skipped since its gradients overflowed.
    pub grad_norm: Option<f64>,
    /// The learning rate of each level below the head, as used: of the head first, then of the level
    /// below it, down to the embeddings. Absent where all levels have `learning_rate`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub learning_rates: Vec<f64>,
    /// L2 norm of the gradient of each level, likewise; absent where `grad_norm` is `null`, and of
    /// runs of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grad_norms: Vec<f64>,
    /// Items a second over this step.
    pub samples_per_second: f64,
    /// Its items, where some were skipped; absent of a step that has all of its items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<usize>,
    /// Seconds for which the step waited for its data.
    pub loader_wait_seconds: f64,
    /// What the loss was multiplied by before the backward pass; absent where it is not scaled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<f64>,
    /// Steps so far, this one too, whose gradients overflowed and that changed nothing; absent
    /// where the loss is not scaled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<u64>,
}

/// A line of `eval.jsonl`: one evaluation of one split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalRecord {
    /// Optimiser steps done before it.
    pub step: u64,
    /// Passes over the data done before it.
    pub epoch: u64,
    /// The split.
    pub split: String,
    /// Items evaluated.
    pub items: usize,
    /// Mean loss of an item; absent without labels.
    pub loss: Option<f64>,
    /// Each metric's value; `null` where it is undefined.
    pub scores: BTreeMap<String, Option<f64>>,
}

/// `cost.json`: what the run took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Seconds from start to end, over all sittings of a resumed run.
    pub wall_seconds: f64,
    /// Median seconds of an optimiser step.
    pub seconds_per_step: f64,
    /// Training items a second: items of all steps over their seconds.
    pub samples_per_second: f64,
    /// The process's high-water mark of resident memory.
    pub peak_memory_bytes: u64,
    /// The most bytes that tensors took at one time on the CUDA device; absent where none computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_device_memory_bytes: Option<u64>,
    /// Numbers in the model.
    pub parameters: u64,
    /// Numbers that the optimiser changes.
    pub trainable_parameters: u64,
    /// Operations of the forward of one sample at mean unpadded length, 2 a multiply-add.
    pub flops_per_sample: f64,
    /// Of the text tokens of padded batches, the share that is padding, which models skip; absent
    /// without texts, and of runs of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding_share: Option<f64>,
    /// Energy; `null` where it was not measured.
    pub energy_joules: Option<f64>,
    /// Texts that were longer than `max_length` and were cut, by split; of the training split
    /// those met in the first epoch.
    #[serde(default)]
    pub cut_texts: BTreeMap<String, usize>,
    /// Items that could not be prepared and were left out, by split; of the training split those
    /// met in the first epoch.
    #[serde(default)]
    pub skipped_items: BTreeMap<String, usize>,
    /// Seconds of predicting one item of the last split that was predicted, the reading of its data
    /// included; absent where nothing was predicted, and of runs of earlier versions.
    #[serde(default)]
    pub seconds_per_prediction: Option<f64>,
    /// Parameters that were to be trained and ended bit for bit as they began.
    #[serde(default)]
    pub unmoved_parameters: Vec<String>,
    /// Rows of each other split that show the run's arm what a training row shows it (the text, the
    /// picture by its path, or both), by split.
    #[serde(default)]
    pub rows_in_train: BTreeMap<String, usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_those_of_the_contract() {
        let cost = Cost {
            wall_seconds: 1.5,
            seconds_per_step: 0.1,
            samples_per_second: 160.0,
            peak_memory_bytes: 1,
            peak_device_memory_bytes: None,
            parameters: 2,
            trainable_parameters: 2,
            flops_per_sample: 1e6,
            padding_share: None,
            energy_joules: None,
            cut_texts: BTreeMap::from([("test".to_owned(), 3)]),
            skipped_items: BTreeMap::new(),
            seconds_per_prediction: Some(1e-3),
            unmoved_parameters: vec!["head.bias".to_owned()],
            rows_in_train: BTreeMap::from([("test".to_owned(), 2)]),
        };
        let value = serde_json::to_value(&cost).unwrap();
        let keys: Vec<&String> = value.as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            [
                "wall_seconds",
                "seconds_per_step",
                "samples_per_second",
                "peak_memory_bytes",
                "parameters",
                "trainable_parameters",
                "flops_per_sample",
                "energy_joules",
                "cut_texts",
                "skipped_items",
                "seconds_per_prediction",
                "unmoved_parameters",
                "rows_in_train",
            ]
        );
        assert!(value["energy_joules"].is_null());
        assert_eq!(serde_json::from_value::<Cost>(value).unwrap(), cost);
        let on_cuda = Cost { peak_device_memory_bytes: Some(7), ..cost };
        let value = serde_json::to_value(&on_cuda).unwrap();
        assert_eq!(value["peak_device_memory_bytes"], 7);
        assert_eq!(serde_json::from_value::<Cost>(value).unwrap(), on_cuda);
    }
}
