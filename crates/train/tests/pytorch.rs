//! Fifty steps of whole runs against PyTorch: the loss of each, on the same batches.
//!
//! Checkpoints, data and losses are made by `tests/references/models.py`, which states the
//! settings and the tolerance.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod learning;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use learning::losses_of;
use mmc_data::Arm;
use mmc_run::{PartialSettings, RunFolder};
use mmc_train::{resolve, train};

const TOLERANCE: f64 = 1e-3;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/models")
}

/// `fixture` begins with the preset's name; no head: the preset's default.
fn check(fixture: &str, arm: Arm, head: Option<&str>) {
    let model = fixture.split('-').next().unwrap();
    let text = std::fs::read_to_string(fixtures().join(format!("{fixture}.json"))).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let asked = PartialSettings {
        model: Some(model.to_owned()),
        arm: Some(arm),
        checkpoint: Some(fixtures().join(fixture).display().to_string()),
        dataset: Some("table".to_owned()),
        data_root: Some(fixtures().join("data").display().to_string()),
        max_steps: Some(50),
        max_length: Some(usize::try_from(expected["max_length"].as_u64().unwrap()).unwrap()),
        batch_size: Some(8),
        learning_rate: Some(1e-3),
        warmup_ratio: Some(0.0),
        head: head.map(str::to_owned),
        ..PartialSettings::default()
    };
    // Shards of three cut each batch in three: the sum is that of the whole.
    for shard_rows in [8, 3] {
        let asked = PartialSettings { shard_rows: Some(shard_rows), ..asked.clone() };
        let found = losses_of(asked);
        let losses = expected["steps"].as_array().unwrap();
        assert_eq!(found.len(), losses.len());
        for (step, (found, loss)) in (1..).zip(found.into_iter().zip(losses)) {
            let loss = loss.as_f64().unwrap();
            let error = (found - loss).abs() / loss;
            assert!(error < TOLERANCE, "step {step}: {found} for {loss}");
        }
    }
}

#[test]
fn bert_learns_as_in_pytorch() {
    check("bert", Arm::Text, None);
}

#[test]
fn roberta_learns_as_in_pytorch() {
    check("roberta", Arm::Text, None);
}

#[test]
fn vilt_learns_as_in_pytorch() {
    check("vilt", Arm::Both, None);
}

#[test]
fn flava_learns_as_in_pytorch() {
    check("flava", Arm::Both, None);
}

#[test]
fn clip_learns_as_in_pytorch() {
    check("clip", Arm::Both, Some("fused"));
    check("clip-open", Arm::Both, Some("mlp"));
}

/// Twenty steps of LoRA from the same matrices as peft's, made by `tests/references/lora.py`.
#[test]
fn lora_learns_as_in_peft() {
    let text = std::fs::read_to_string(fixtures().join("lora.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let number = |key: &str| expected[key].as_f64().unwrap();
    for (model, expected) in expected["models"].as_object().unwrap() {
        let losses = expected["losses"].as_array().unwrap();
        let asked = PartialSettings {
            model: Some(model.clone()),
            checkpoint: Some(fixtures().join(model).display().to_string()),
            dataset: Some("table".to_owned()),
            data_root: Some(fixtures().join("data").display().to_string()),
            max_steps: Some(losses.len() as u64),
            max_length: Some(number("max_length") as usize),
            batch_size: Some(8),
            no_shuffle: Some(true),
            learning_rate: Some(number("learning_rate")),
            dropout: Some(0.0),
            lora_rank: Some(number("rank") as usize),
            lora_alpha: Some(number("alpha")),
            seed: Some(number("seed") as u64),
            ..PartialSettings::default()
        };
        let plan = resolve(PartialSettings::default(), asked).unwrap();
        let out = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(out.path()).unwrap();
        train(&plan, &folder, &AtomicBool::new(false), &mut |_| ()).unwrap();
        for (step, loss) in folder.steps().unwrap().iter().zip(losses) {
            let (found, loss) = (step.loss.unwrap(), loss.as_f64().unwrap());
            let error = (found - loss).abs() / loss;
            assert!(error < TOLERANCE, "{model}, step {}: {found} for {loss}", step.step);
        }
        let trainable = folder.cost().unwrap().trainable_parameters;
        assert_eq!(trainable, expected["trainable"].as_u64().unwrap(), "{model}");
    }
}
