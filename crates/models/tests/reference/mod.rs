//! A checkpoint that transformers wrote, the rows it was asked about, and how far two answers are
//! apart: shared by the tests on small models and by that on published sizes.

use std::path::Path;

use candle_core::{Device, Tensor};
use mmc_data::{Arm, ReadOptions, dataset};
use mmc_models::{Classifier, FreshHead, LoadRequest, Loaded, Pass, load};
use mmc_ops::{Objective, Targets};
use mmc_preprocess::{Batch, Padding, Processor, collate};
use serde_json::Value;

/// The words of a JSON array.
pub(crate) fn words(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// The checkpoint as it is, with its own classes in their own order.
pub(crate) fn loaded(folder: &Path) -> Loaded {
    load(&LoadRequest {
        folder,
        labels: &[],
        arm: None,
        head: None,
        fresh_head: FreshHead::Refused,
        dropout: None,
        device: &Device::Cpu,
    })
    .unwrap()
}

/// The rows `ids` of `data/train.csv`, cut at `max_length` (both of `expected`), prepared by our
/// own processor.
pub(crate) fn batch(
    checkpoint: &Path,
    data: &Path,
    expected: &Value,
    arm: Arm,
    labels: &[String],
) -> Batch {
    let options = ReadOptions { labels: Some(labels.to_vec()), ..ReadOptions::default() };
    let split = dataset("table").unwrap().read(data, "train", &options).unwrap();
    let processor = Processor::from_folder(checkpoint, arm)
        .unwrap()
        .with_max_length(expected["max_length"].as_u64().unwrap() as usize);
    let ids = words(&expected["ids"]);
    let examples: Vec<_> = split
        .iter()
        .filter(|sample| ids.contains(&sample.id))
        .map(|sample| processor.prepare(sample).unwrap())
        .collect();
    assert_eq!(examples.len(), ids.len());
    collate(&examples, Padding::Longest, processor.pad_id()).unwrap()
}

/// The mean cross-entropy of the batch in evaluation: `[]`.
pub(crate) fn loss_of(model: &dyn Classifier, batch: &Batch) -> Tensor {
    let objective = Objective::CrossEntropy { class_weights: None, label_smoothing: 0.0 };
    let logits = model.forward(batch, &Pass::evaluate()).unwrap().0;
    let targets = match batch.targets.as_ref().unwrap() {
        mmc_preprocess::Targets::Classes(classes) => Targets::Classes(classes),
        mmc_preprocess::Targets::Soft(_) => panic!("classes are expected"),
    };
    (objective.loss_sum(&logits, &targets).unwrap() / batch.rows() as f64).unwrap()
}

/// All numbers of a tensor.
pub(crate) fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The largest absolute difference.
pub(crate) fn largest_difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Whether a parameter's gradient is zero in exact arithmetic: softmax ignores what a key's bias
/// adds to all scores of a query. The reference's is its rounding.
pub(crate) fn is_key_bias(name: &str) -> bool {
    ["key.bias", "k_proj.bias"].iter().any(|end| name.ends_with(end))
}

/// The L2 norm of the difference.
pub(crate) fn distance(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
}
