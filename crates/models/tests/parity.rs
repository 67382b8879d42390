//! Folders that transformers wrote, against what transformers makes of them: from raw texts and
//! picture files to pooled outputs, logits, loss and the gradient of every parameter.
//!
//! `tests/references/models.py` made the files and says what each key is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod reference;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use mmc_data::Arm;
use mmc_models::{FreshHead, HeadOrigin, LoadRequest, Loaded, Pass, load, save};
use mmc_ops::Gradients;
use mmc_preprocess::Batch;
use reference::{distance, is_key_bias, largest_difference, loaded, loss_of, values, words};
use serde_json::Value;

const ARCHITECTURES: &[(&str, Arm)] = &[
    ("bert", Arm::Text),
    ("roberta", Arm::Text),
    ("clip", Arm::Both),
    ("clip-open", Arm::Both),
    ("flava", Arm::Both),
    ("vilt", Arm::Both),
];

/// f32 against f64 is 2e-6 for such models, so this is ten roundings.
const OUTPUTS: f32 = 2e-5;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/models")
}

fn expected(name: &str) -> Value {
    let text = fs::read_to_string(fixtures().join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn numbers(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().unwrap() as f32],
    }
}

/// The rows that the reference was made of, prepared by our own processor.
fn batch(name: &str, arm: Arm, labels: &[String]) -> Batch {
    let root = fixtures();
    reference::batch(&root.join(name), &root.join("data"), &expected(name), arm, labels)
}

#[test]
fn pooled_outputs_and_logits_are_those_of_transformers() {
    for (name, arm) in ARCHITECTURES.iter().copied() {
        let expected = expected(name);
        let Loaded { model, labels, report, .. } = loaded(&fixtures().join(name));
        assert_eq!(labels, words(&expected["labels"]));
        assert_eq!((report.fresh.len(), report.left_over.len()), (0, 0), "{report}");
        let batch = batch(name, arm, &labels);
        let ids: Vec<u32> =
            batch.text.as_ref().unwrap().token_ids.flatten_all().unwrap().to_vec1().unwrap();
        let expected_ids: Vec<u32> =
            numbers(&expected["input_ids"]).into_iter().map(|id| id as u32).collect();
        assert_eq!(ids, expected_ids, "{name}");

        let pooled = values(&model.encode(&batch, &Pass::evaluate()).unwrap());
        let difference = largest_difference(&pooled, &numbers(&expected["pooled"]));
        assert!(difference <= OUTPUTS, "{name}: pooled outputs differ by {difference}");
        let logits = values(&model.forward(&batch, &Pass::evaluate()).unwrap().0);
        let difference = largest_difference(&logits, &numbers(&expected["logits"]));
        assert!(difference <= OUTPUTS, "{name}: logits differ by {difference}");
    }
}

/// Relative to each parameter's norm; key biases absolutely, since their gradient is zero in exact
/// arithmetic.
#[test]
fn gradients_are_those_of_pytorch() {
    for (name, arm) in ARCHITECTURES.iter().copied() {
        let expected = expected(name);
        let Loaded { model, labels, .. } = loaded(&fixtures().join(name));
        let batch = batch(name, arm, &labels);
        let loss = loss_of(&*model, &batch);
        let difference = (f64::from(loss.to_scalar::<f32>().unwrap())
            - expected["loss"].as_f64().unwrap())
        .abs();
        assert!(difference <= 1e-6, "{name}: the loss differs by {difference}");

        let variables = model.parameters().iter().map(|parameter| parameter.var.as_tensor());
        let mut gradients = Gradients::of(variables);
        gradients.add(&loss).unwrap();
        let reference = expected["gradients"].as_object().unwrap();
        let active = || model.parameters().iter().filter(|parameter| parameter.active);
        assert_eq!(reference.len(), active().count());
        for parameter in active() {
            let found = values(gradients.get(&parameter.var).expect("a gradient"));
            let values = numbers(&reference[&parameter.name]["values"]);
            let norm = distance(&values, &vec![0.0; values.len()]);
            let scale = if is_key_bias(&parameter.name) { 1e-2 } else { norm };
            let relative = distance(&found, &values) / scale;
            assert!(relative <= 1e-4, "{name}: {}: {relative}", parameter.name);
        }
    }
}

/// Classes in the data set's order give the same logits, in that order.
#[test]
fn classes_follow_their_names() {
    let own = loaded(&fixtures().join("bert"));
    let mut sorted = own.labels.clone();
    sorted.sort();
    assert_ne!(sorted, own.labels);
    let request = LoadRequest {
        folder: &fixtures().join("bert"),
        labels: &sorted,
        arm: None,
        head: None,
        fresh_head: FreshHead::Refused,
        dropout: None,
        device: &Device::Cpu,
    };
    let ordered = load(&request).unwrap();
    assert_eq!(ordered.report.head, HeadOrigin::ByName);
    let batch = batch("bert", Arm::Text, &own.labels);
    let logits = |loaded: &Loaded| {
        loaded.model.forward(&batch, &Pass::evaluate()).unwrap().0.to_vec2::<f32>().unwrap()
    };
    for (own_row, row) in logits(&own).iter().zip(logits(&ordered)) {
        for (label, logit) in sorted.iter().zip(row) {
            let place = own.labels.iter().position(|other| other == label).unwrap();
            assert!((own_row[place] - logit).abs() < 1e-6);
        }
    }
}

#[test]
fn what_is_saved_is_what_was_loaded_bit_for_bit() {
    for (name, _) in ARCHITECTURES.iter().copied() {
        let folder = fixtures().join(name);
        let first = loaded(&folder);
        let out = tempfile::tempdir().unwrap();
        let copy = out.path().join("copy");
        save(&*first.model, &folder, &first.labels, &first.preset, &copy).unwrap();
        let second = loaded(&copy);
        assert_eq!(second.labels, first.labels);
        for (a, b) in first.model.parameters().iter().zip(second.model.parameters()) {
            assert_eq!(a.name, b.name);
            let bits = |tensor: &Tensor| -> Vec<u32> {
                values(tensor).into_iter().map(f32::to_bits).collect()
            };
            assert_eq!(bits(&a.var), bits(&b.var), "{}", a.name);
        }
        for file in fs::read_dir(&folder).unwrap() {
            let file = file.unwrap().file_name();
            assert!(copy.join(&file).exists(), "{} was not carried over", file.display());
        }
        // transformers writes the same names; ours also in f32 with its metadata.
        let header = fs::read(copy.join("model.safetensors")).unwrap();
        let header = String::from_utf8_lossy(&header[8..80]).into_owned();
        assert!(header.contains(r#""format":"pt""#), "{header}");
    }
}

/// Half precision and pickles, names of 2018, heads of language models, no prefix, no pooler.
#[test]
fn checkpoints_of_other_habits_load() {
    let source = fixtures().join("bert");
    let tensors = candle_core::safetensors::load(source.join("model.safetensors"), &Device::Cpu);
    let out = tempfile::tempdir().unwrap();
    let mut renamed = HashMap::new();
    for (name, tensor) in BTreeMap::from_iter(tensors.unwrap()) {
        if name.contains("pooler") || name.starts_with("classifier") {
            continue;
        }
        let name = name.strip_prefix("bert.").unwrap_or(&name);
        let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
        let name = name.replace("LayerNorm.bias", "LayerNorm.beta");
        renamed.insert(name, tensor.to_dtype(DType::F16).unwrap());
    }
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    renamed.insert("cls.predictions.bias".to_owned(), zeros(&[7]));
    renamed.insert("embeddings.position_ids".to_owned(), zeros(&[1, 16]));
    renamed.insert("qa_outputs.weight".to_owned(), zeros(&[2, 32]));
    candle_core::safetensors::save(&renamed, out.path().join("model.safetensors")).unwrap();
    fs::copy(source.join("config.json"), out.path().join("config.json")).unwrap();

    let request = |fresh_head| LoadRequest {
        folder: out.path(),
        labels: &[],
        arm: Some(Arm::Text),
        head: None,
        fresh_head,
        dropout: None,
        device: &Device::Cpu,
    };
    let Loaded { model, report, .. } = load(&request(FreshHead::Allowed { seed: 1 })).unwrap();
    let fresh = [
        "bert.pooler.dense.weight",
        "bert.pooler.dense.bias",
        "classifier.weight",
        "classifier.bias",
    ];
    assert_eq!(report.fresh, fresh);
    assert_eq!(report.dropped, ["cls.predictions.bias", "embeddings.position_ids"]);
    assert_eq!(report.left_over, ["qa_outputs.weight"]);
    assert!(matches!(report.head, HeadOrigin::Fresh { .. }));
    assert!(model.parameters().iter().all(|parameter| parameter.var.dtype() == DType::F32));
    let original = loaded(&source);
    let name = "bert.embeddings.LayerNorm.weight";
    let find = |loaded: &dyn mmc_models::Classifier| {
        values(
            loaded
                .parameters()
                .iter()
                .find(|parameter| parameter.name == name)
                .unwrap()
                .var
                .as_tensor(),
        )
    };
    assert!(largest_difference(&find(&*model), &find(&*original.model)) < 1e-3);
    // The same seed makes the same head; refused, there is none.
    let again = load(&request(FreshHead::Allowed { seed: 1 })).unwrap();
    let head = |loaded: &dyn mmc_models::Classifier| {
        values(loaded.parameters()[loaded.parameters().len() - 2].var.as_tensor())
    };
    assert_eq!(head(&*model), head(&*again.model));
    let other = load(&request(FreshHead::Allowed { seed: 2 })).unwrap();
    assert_ne!(head(&*model), head(&*other.model));
    assert!(load(&request(FreshHead::Refused)).is_err());
}
