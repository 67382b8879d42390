//! What FLAVA alone has to get right, against what transformers makes of it: each arm, pictures of
//! another size than the table of positions, the published file's habits, the head's own file.
//!
//! `tests/references/models.py` made the files and says what each key is.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use mmc_data::{Arm, ReadOptions, dataset};
use mmc_models::{
    Classifier, FreshHead, HeadOrigin, LoadRequest, Loaded, ModelError, Pass, load, save,
};
use mmc_ops::{Gradients, Objective, Targets};
use mmc_preprocess::{Batch, Padding, Processor, collate};
use serde_json::{Value, json};

/// f32 against f64 is 2e-6 for such models.
const OUTPUTS: f32 = 2e-5;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/models")
}

fn folder() -> PathBuf {
    fixtures().join("flava")
}

fn expected() -> Value {
    serde_json::from_str(&fs::read_to_string(fixtures().join("flava.json")).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().unwrap() as f32],
    }
}

fn request(folder: &Path, arm: Option<Arm>) -> LoadRequest<'_> {
    LoadRequest {
        folder,
        labels: &[],
        arm,
        head: None,
        fresh_head: FreshHead::Refused,
        dropout: None,
        device: &Device::Cpu,
    }
}

/// The reference's rows, prepared by the processor in `folder`.
fn batch(folder: &Path, arm: Arm, labels: &[String]) -> Batch {
    let options = ReadOptions { labels: Some(labels.to_vec()), ..ReadOptions::default() };
    let split =
        dataset("table").unwrap().read(&fixtures().join("data"), "train", &options).unwrap();
    let processor = Processor::from_folder(folder, arm).unwrap().with_max_length(12);
    let examples: Vec<_> =
        split.samples[..8].iter().map(|sample| processor.prepare(sample).unwrap()).collect();
    collate(&examples, Padding::Longest, processor.pad_id()).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn check_outputs(model: &dyn Classifier, batch: &Batch, expected: &Value, name: &str) {
    let pass = Pass::evaluate();
    let pooled = values(&model.encode(batch, &pass).unwrap());
    let error = difference(&pooled, &numbers(&expected["pooled"]));
    assert!(error <= OUTPUTS, "{name}: pooled outputs differ by {error}");
    let logits = values(&model.forward(batch, &pass).unwrap().0);
    let error = difference(&logits, &numbers(&expected["logits"]));
    assert!(error <= OUTPUTS, "{name}: logits differ by {error}");
}

#[test]
fn every_arm_is_the_multimodal_encoder_over_the_towers_present() {
    for arm in [Arm::Both, Arm::Text, Arm::Image] {
        let folder = folder();
        let Loaded { model, labels, .. } = load(&request(&folder, Some(arm))).unwrap();
        let batch = batch(&folder, arm, &labels);
        assert_eq!(
            (batch.text.is_some(), batch.image.is_some()),
            (arm.uses_text(), arm.uses_image())
        );
        check_outputs(&*model, &batch, &expected()["arms"][arm.to_string()], &arm.to_string());
    }
}

/// Pictures of 48 by 40 pixels on a table made for 32 by 32.
#[test]
fn positions_are_resized_and_learn() {
    let (expected, copy) = (&expected()["resized"], tempfile::tempdir().unwrap());
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(folder().join(name), copy.path().join(name)).unwrap();
    }
    let steps = fs::read_to_string(folder().join("preprocessor_config.json")).unwrap();
    let mut steps: Value = serde_json::from_str(&steps).unwrap();
    for key in ["size", "crop_size"] {
        steps[key] = json!({ "height": expected["size"][0], "width": expected["size"][1] });
    }
    fs::write(copy.path().join("preprocessor_config.json"), steps.to_string()).unwrap();

    let folder = folder();
    let Loaded { model, labels, .. } = load(&request(&folder, None)).unwrap();
    let batch = batch(copy.path(), Arm::Both, &labels);
    assert_eq!(model.image_tokens(48, 40), 1 + 6 * 5);
    check_outputs(&*model, &batch, expected, "resized");

    let Some(mmc_preprocess::Targets::Classes(classes)) = &batch.targets else { unreachable!() };
    let logits = model.forward(&batch, &Pass::evaluate()).unwrap().0;
    let loss = Objective::CrossEntropy { class_weights: None, label_smoothing: 0.0 }
        .loss_sum(&logits, &Targets::Classes(classes))
        .unwrap();
    let name = "image_model.embeddings.position_embeddings";
    let table = model.parameters().iter().find(|parameter| parameter.name == name).unwrap();
    let mut gradients = Gradients::of([table.var.as_tensor()]);
    gradients.add(&(loss / 8.0).unwrap()).unwrap();
    let found = values(gradients.sum(0).unwrap());
    let reference = numbers(&expected["position_gradient"]);
    let norm = |values: &[f32]| values.iter().map(|value| value.powi(2)).sum::<f32>().sqrt();
    let error: Vec<f32> = found.iter().zip(&reference).map(|(a, b)| a - b).collect();
    assert!(norm(&error) <= 1e-4 * norm(&reference), "{}", norm(&error) / norm(&reference));
}

/// A pickle with a prefix, pretraining's parts beside the backbone, each tower's configuration
/// twice, no head.
#[test]
fn the_pretraining_file_is_the_same_backbone() {
    let pretraining = fixtures().join("flava-pretraining");
    assert!(matches!(load(&request(&pretraining, None)), Err(ModelError::Head { .. })));
    let fresh_head = FreshHead::Allowed { seed: 3 };
    let Loaded { model, report, .. } =
        load(&LoadRequest { fresh_head, ..request(&pretraining, None) }).unwrap();
    assert_eq!(report.fresh, ["classifier.weight", "classifier.bias"]);
    assert!(matches!(report.head, HeadOrigin::Fresh { .. }));
    assert!(report.left_over.is_empty(), "{report}");
    let parts = ["image_codebook.", "itm_head.", "mim_head.", "mlm_head.", "mmm_image_head."];
    for part in parts.iter().chain(&["mmm_text_head."]) {
        assert!(report.dropped.iter().any(|name| name.starts_with(part)), "{part}");
    }
    let plain = folder();
    let Loaded { model: original, labels, .. } = load(&request(&plain, None)).unwrap();
    for (a, b) in model.parameters().iter().zip(original.parameters()) {
        assert_eq!(a.name, b.name);
        if !a.name.starts_with("classifier.") {
            assert_eq!(values(&a.var), values(&b.var), "{}", a.name);
        }
    }
    let batch = batch(&plain, Arm::Both, &labels);
    let pooled = values(&model.encode(&batch, &Pass::evaluate()).unwrap());
    assert!(difference(&pooled, &numbers(&expected()["pooled"])) <= OUTPUTS);
}

/// The backbone keeps the names and nothing but the names that transformers has for it.
#[test]
fn the_head_is_saved_apart() {
    let folder = folder();
    let Loaded { model, labels, preset, .. } = load(&request(&folder, Some(Arm::Text))).unwrap();
    let root = tempfile::tempdir().unwrap();
    let copy = root.path().join("copy");
    save(&*model, &folder, &labels, &preset, &copy).unwrap();
    let names = |folder: &Path, file: &str| {
        let tensors = candle_core::safetensors::load(folder.join(file), &Device::Cpu).unwrap();
        tensors.into_keys().collect::<std::collections::BTreeSet<_>>()
    };
    for file in ["model.safetensors", "mmc_head.safetensors"] {
        assert_eq!(names(&copy, file), names(&folder, file), "{file}");
    }
    let notes: Value =
        serde_json::from_str(&fs::read_to_string(copy.join("mmc.json")).unwrap()).unwrap();
    assert_eq!((&notes["arm"], &notes["head"]), (&json!("text"), &json!("linear")));
    let config: Value =
        serde_json::from_str(&fs::read_to_string(copy.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["architectures"], json!(["FlavaModel"]));

    fs::remove_file(copy.join("mmc_head.safetensors")).unwrap();
    assert!(matches!(load(&request(&copy, None)), Err(ModelError::Head { .. })));
}
