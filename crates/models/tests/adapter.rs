//! What LoRA writes for `peft`: names, modules and files. That `peft` loads it and computes the same
//! is checked by `tests/references/lora.py`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use mmc_data::Arm;
use mmc_models::{
    FreshHead, LoadRequest, Loaded, LoraSettings, Trained, load_to_train, save, save_adapter,
};
use serde_json::{Value, json};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/models").join(name)
}

fn load(folder: &Path, arm: Option<Arm>, trained: Trained) -> Loaded {
    let request = LoadRequest {
        folder,
        labels: &[],
        arm,
        head: None,
        fresh_head: FreshHead::Allowed { seed: 3 },
        dropout: None,
        device: &Device::Cpu,
    };
    load_to_train(&request, trained).unwrap()
}

fn lora() -> Trained {
    Trained::Lora(LoraSettings { rank: 2, alpha: 3.0, seed: 5 })
}

/// `adapter_config.json`, and shapes by name.
fn adapter(folder: &Path, arm: Option<Arm>) -> (Value, HashMap<String, Tensor>) {
    let loaded = load(folder, arm, lora());
    let out = tempfile::tempdir().unwrap();
    let place = out.path().join("adapter");
    let model = loaded.model.as_ref();
    assert!(save_adapter(model, folder, Some("the/base"), &place).unwrap());
    let config = fs::read(place.join("adapter_config.json")).unwrap();
    let weights = place.join("adapter_model.safetensors");
    let weights = candle_core::safetensors::load(weights, &Device::Cpu).unwrap();
    (serde_json::from_slice(&config).unwrap(), weights)
}

#[test]
fn names_and_modules_are_those_of_peft() {
    let (config, weights) = adapter(&fixture("bert"), None);
    assert_eq!(
        config,
        json!({
            "base_model_name_or_path": "the/base", "bias": "none", "fan_in_fan_out": false,
            "inference_mode": true, "init_lora_weights": true, "lora_alpha": 3.0,
            "lora_dropout": 0.0, "modules_to_save": ["classifier"], "peft_type": "LORA", "r": 2,
            "target_modules": ["query", "value"], "task_type": "SEQ_CLS"
        })
    );
    let layer = "base_model.model.bert.encoder.layer.1.attention.self.query";
    assert_eq!(weights[&format!("{layer}.lora_A.weight")].dims(), [2, 32]);
    assert_eq!(weights[&format!("{layer}.lora_B.weight")].dims(), [32, 2]);
    assert_eq!(weights["base_model.model.classifier.weight"].dims(), [3, 32]);
    assert_eq!(weights.len(), 2 * 2 * 2 + 2);
}

/// Of a tower that the arm leaves out there is nothing, and the head is not peft's.
#[test]
fn the_adapter_of_one_tower_names_its_maps_one_by_one() {
    let (config, weights) = adapter(&fixture("clip"), Some(Arm::Text));
    let targets = config["target_modules"].as_array().unwrap();
    assert_eq!(targets[0], "text_model.encoder.layers.0.self_attn.q_proj");
    assert_eq!((targets.len(), weights.len()), (4, 8));
    assert_eq!((&config["modules_to_save"], &config["task_type"]), (&Value::Null, &Value::Null));
    assert!(weights.keys().all(|name| name.starts_with("base_model.model.text_model.")));
    let (config, _) = adapter(&fixture("clip"), None);
    assert_eq!(config["target_modules"], json!(["q_proj", "v_proj"]));
}

/// What the checkpoint lacks is in no base either: it trains, and is saved whole.
#[test]
fn a_pooler_that_was_made_trains_and_is_in_the_adapter() {
    let folder = tempfile::tempdir().unwrap();
    let bert = fixture("bert");
    fs::copy(bert.join("config.json"), folder.path().join("config.json")).unwrap();
    let weights = bert.join("model.safetensors");
    let mut weights = candle_core::safetensors::load(weights, &Device::Cpu).unwrap();
    weights.retain(|name, _| !name.contains("pooler"));
    let place = folder.path().join("model.safetensors");
    candle_core::safetensors::save(&weights, place).unwrap();
    let (config, weights) = adapter(folder.path(), None);
    assert_eq!(config["modules_to_save"], json!(["bert.pooler", "classifier"]));
    assert!(weights.contains_key("base_model.model.bert.pooler.dense.weight"));
    let frozen = load(folder.path(), None, Trained::Head);
    let active = frozen.model.parameters().iter().filter(|parameter| parameter.active);
    assert!(active.into_iter().all(|parameter| parameter.name.starts_with("classifier.")));
}

#[test]
fn without_lora_there_is_no_adapter() {
    let out = tempfile::tempdir().unwrap();
    for trained in [Trained::Everything, Trained::Head] {
        let loaded = load(&fixture("bert"), None, trained);
        let place = out.path().join("adapter");
        assert!(!save_adapter(loaded.model.as_ref(), &fixture("bert"), None, &place).unwrap());
        assert!(!place.exists());
    }
}

/// Whoever may read the configuration may read the weights.
#[cfg(unix)]
#[test]
fn weights_can_be_read_by_whom_the_folder_is_for() {
    use std::os::unix::fs::PermissionsExt as _;
    let out = tempfile::tempdir().unwrap();
    let loaded = load(&fixture("bert"), None, lora());
    let place = out.path().join("copy");
    save(&*loaded.model, &fixture("bert"), &loaded.labels, "bert", &place).unwrap();
    save_adapter(&*loaded.model, &fixture("bert"), None, &place.join("adapter")).unwrap();
    let mode = |name: &str| fs::metadata(place.join(name)).unwrap().permissions().mode();
    for weights in ["model.safetensors", "adapter/adapter_model.safetensors"] {
        assert_eq!(mode(weights), mode("config.json"), "{weights}");
    }
}
