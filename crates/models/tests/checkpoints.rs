//! Folders of every habit that load, and folders that must not: the error names file and tensor.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use mmc_data::{Arm, Sample};
use mmc_models::{
    CreateRequest, FreshHead, LoadRequest, Loaded, ModelError, Pass, load, preset, save,
};
use mmc_preprocess::{Padding, Processor, collate};
use serde_json::{Value, json};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/models")
}

fn load_plainly(folder: &Path) -> Result<Loaded, ModelError> {
    load(&LoadRequest {
        folder,
        labels: &[],
        arm: None,
        head: None,
        fresh_head: FreshHead::Refused,
        dropout: None,
        device: &Device::Cpu,
    })
}

fn values(loaded: &Loaded) -> Vec<(String, Vec<f32>)> {
    let one = |parameter: &mmc_models::Parameter| {
        let values = parameter.var.flatten_all().unwrap().to_vec1().unwrap();
        (parameter.name.clone(), values)
    };
    loaded.model.parameters().iter().map(one).collect()
}

fn tensors(name: &str) -> HashMap<String, Tensor> {
    let path = fixtures().join(name).join("model.safetensors");
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

/// A copy of a fixture with changed weights and configuration.
fn changed(
    name: &str,
    weights: impl FnOnce(&mut HashMap<String, Tensor>),
    config: impl FnOnce(&mut Value),
) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut tensors = tensors(name);
    weights(&mut tensors);
    candle_core::safetensors::save(&tensors, folder.path().join("model.safetensors")).unwrap();
    let text = fs::read_to_string(fixtures().join(name).join("config.json")).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    config(&mut value);
    fs::write(folder.path().join("config.json"), value.to_string()).unwrap();
    folder
}

fn error(folder: &tempfile::TempDir) -> ModelError {
    load_plainly(folder.path()).err().expect("the folder must not load")
}

#[test]
fn pickles_of_old_give_the_same_parameters() {
    let old = load_plainly(&fixtures().join("bert-old")).unwrap();
    let new = load_plainly(&fixtures().join("bert")).unwrap();
    assert_eq!(values(&old), values(&new));
    assert_eq!(old.report.dropped, ["bert.embeddings.position_ids", "cls.predictions.bias"]);
}

/// No prefix, names of 2018, a buffer, and what some descendants of RoBERTa hold beside.
#[test]
fn the_pooler_and_the_language_model_of_roberta_are_dropped() {
    let folder = changed(
        "roberta",
        |tensors| {
            let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
            let added = [
                ("roberta.pooler.dense.weight", zeros(&[32, 32])),
                ("roberta.pooler.dense.bias", zeros(&[32])),
                ("roberta.embeddings.position_ids", zeros(&[1, 18])),
                ("lm_head.bias", zeros(&[328])),
                ("lm_head.layer_norm.weight", zeros(&[32])),
            ];
            let all = tensors.drain().chain(added.map(|(name, value)| (name.to_owned(), value)));
            let renamed = all.map(|(name, value)| {
                let name = name.strip_prefix("roberta.").unwrap_or(&name);
                let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
                (name.replace("LayerNorm.bias", "LayerNorm.beta"), value)
            });
            *tensors = renamed.collect();
        },
        |_| (),
    );
    let old = load_plainly(folder.path()).unwrap();
    let new = load_plainly(&fixtures().join("roberta")).unwrap();
    assert_eq!(values(&old), values(&new));
    let dropped = [
        "embeddings.position_ids",
        "lm_head.bias",
        "lm_head.layer_norm.weight",
        "pooler.dense.bias",
        "pooler.dense.weight",
    ];
    assert_eq!(old.report.dropped, dropped);
    assert!(old.report.left_over.is_empty() && old.report.fresh.is_empty(), "{}", old.report);
}

#[test]
fn weights_in_parts_give_the_same_parameters() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(fixtures().join("vilt/config.json"), folder.path().join("config.json")).unwrap();
    let (mut parts, mut map) = ([HashMap::new(), HashMap::new()], serde_json::Map::new());
    for (name, tensor) in BTreeMap::from_iter(tensors("vilt")) {
        let part = usize::from(name.contains("encoder"));
        map.insert(name.clone(), json!(format!("part-{part}.safetensors")));
        parts[part].insert(name, tensor);
    }
    for (part, tensors) in parts.iter().enumerate() {
        let path = folder.path().join(format!("part-{part}.safetensors"));
        candle_core::safetensors::save(tensors, path).unwrap();
    }
    let index = folder.path().join("model.safetensors.index.json");
    fs::write(&index, json!({ "weight_map": map }).to_string()).unwrap();
    let whole = load_plainly(&fixtures().join("vilt")).unwrap();
    assert_eq!(values(&load_plainly(folder.path()).unwrap()), values(&whole));

    fs::remove_file(folder.path().join("part-1.safetensors")).unwrap();
    let missing = error(&folder).to_string();
    assert!(missing.contains("`part-1.safetensors`"), "{missing}");
    fs::write(&index, r#"{"weight_map": {"a": "../part"}}"#).unwrap();
    assert!(matches!(error(&folder), ModelError::Weights { .. }));
}

#[test]
fn a_missing_tensor_is_named() {
    let name = "bert.encoder.layer.1.output.dense.weight";
    let folder = changed("bert", |tensors| drop(tensors.remove(name)), |_| ());
    let error = error(&folder);
    assert!(matches!(&error, ModelError::MissingTensor { .. }));
    let text = error.to_string();
    assert!(text.contains(name) && text.contains("model.safetensors"), "{text}");
}

#[test]
fn a_tensor_of_another_shape_is_named() {
    let folder = changed("bert", |_| (), |config| config["vocab_size"] = json!(7));
    let text = error(&folder).to_string();
    assert!(text.contains("bert.embeddings.word_embeddings.weight"), "{text}");
    assert!(text.contains("expected [7, 32]"), "{text}");
}

/// A configuration of fewer layers than the weights have must not cut the model short.
#[test]
fn layers_that_the_configuration_does_not_know_are_an_error() {
    let folder = changed("bert", |_| (), |config| config["num_hidden_layers"] = json!(1));
    let error = error(&folder);
    assert!(matches!(&error, ModelError::LeftOver { names, .. } if names.len() == 16), "{error}");
}

#[test]
fn another_architecture_is_an_error() {
    let other = changed("bert", |_| (), |config| config["model_type"] = json!("vilt"));
    let text = error(&other).to_string();
    assert!(text.contains("no tensor is of a `vilt` model"), "{text}");
    let unknown = changed("bert", |_| (), |config| config["model_type"] = json!("gpt2"));
    let text = error(&unknown).to_string();
    assert!(text.contains("`model_type` is `gpt2`, expected one of `bert`, `roberta`, "), "{text}");
}

#[test]
fn values_that_are_not_supported_are_named() {
    for (name, key, value) in [
        ("bert", "hidden_act", json!("gelu_new")),
        ("bert", "position_embedding_type", json!("relative_key")),
        ("bert", "is_decoder", json!(true)),
        ("bert", "hidden_size", json!("many")),
        ("bert", "num_attention_heads", json!(5)),
        ("bert", "hidden_dropout_prob", json!(1.0)),
        ("bert", "id2label", json!({ "a": "b" })),
        ("roberta", "pad_token_id", json!(0)),
        ("roberta", "position_embedding_type", json!("relative_key_query")),
        ("vilt", "qkv_bias", json!(false)),
        ("vilt", "num_channels", json!(1)),
        ("vilt", "patch_size", json!([8, 4])),
        ("vilt", "layer_norm_eps", json!(-1)),
    ] {
        let folder = changed(name, |_| (), |config| config[key] = value.clone());
        let error = error(&folder);
        assert!(matches!(error, ModelError::Value { .. }), "{key}: {error}");
        assert!(error.to_string().contains(&format!("`{key}`")), "{error}");
    }
}

#[test]
fn absent_keys_and_null_have_defaults() {
    let folder = changed(
        "bert",
        |_| (),
        |config| {
            config["classifier_dropout"] = Value::Null;
            config["position_embedding_type"] = json!("absolute");
            config["an_unknown_key"] = json!({ "deep": [1] });
            config.as_object_mut().unwrap().remove("layer_norm_eps");
        },
    );
    assert!(load_plainly(folder.path()).is_ok());
}

#[test]
fn damaged_files_are_errors() {
    let folder = changed("bert", |_| (), |_| ());
    let path = folder.path().join("model.safetensors");
    let whole = fs::read(&path).unwrap();
    for length in [0, 5, 100, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        let error = error(&folder);
        assert!(matches!(error, ModelError::Weights { .. }), "{length} bytes: {error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
    fs::remove_file(&path).unwrap();
    assert!(error(&folder).to_string().contains("no `model.safetensors`, "));
    fs::write(folder.path().join("pytorch_model.bin"), b"no zip").unwrap();
    assert!(matches!(error(&folder), ModelError::Weights { .. }));
    fs::write(folder.path().join("config.json"), "{\n\"model_type\": }").unwrap();
    assert!(matches!(error(&folder), ModelError::Json { line: 2, .. }));
    fs::remove_file(folder.path().join("config.json")).unwrap();
    assert!(matches!(error(&folder), ModelError::NoFile { .. }));
}

#[test]
fn a_head_for_other_classes_is_made_or_refused() {
    let labels = ["no".to_owned(), "yes".to_owned()];
    let folder = fixtures().join("vilt");
    let request = |fresh_head| LoadRequest {
        folder: &folder,
        labels: &labels,
        arm: None,
        head: None,
        fresh_head,
        dropout: None,
        device: &Device::Cpu,
    };
    let refused = load(&request(FreshHead::Refused)).err().unwrap();
    let text = refused.to_string();
    assert!(matches!(refused, ModelError::Head { .. }));
    assert!(text.contains("`loud`, `odd`, `calm`") && text.contains("`no`, `yes`"), "{text}");
    let made = load(&request(FreshHead::Allowed { seed: 0 })).unwrap();
    assert_eq!((made.model.classes(), made.report.fresh.len()), (2, 6));
    assert_eq!(made.report.dropped.len(), 6);
    assert!(made.report.to_string().contains("the head is new"), "{}", made.report);
}

/// What transformers would trip over: text keys of classes, the type of the weights.
#[test]
fn a_saved_configuration_keeps_its_values_and_says_what_is_new() {
    let folder = changed(
        "bert",
        |_| (),
        |config| {
            config["torch_dtype"] = json!("float16");
            config.as_object_mut().unwrap().remove("dtype");
            config["num_labels"] = json!(9);
            config["own"] = json!("kept");
        },
    );
    let loaded = load_plainly(folder.path()).unwrap();
    let out = tempfile::tempdir().unwrap();
    let copy = out.path().join("deep/copy");
    let labels = ["a", "b", "c"].map(str::to_owned);
    save(&*loaded.model, folder.path(), &labels, "bert", &copy).unwrap();
    let text = fs::read_to_string(copy.join("config.json")).unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(config["architectures"], json!(["BertForSequenceClassification"]));
    assert_eq!(config["id2label"], json!({ "0": "a", "1": "b", "2": "c" }));
    assert_eq!(config["label2id"], json!({ "a": 0, "b": 1, "c": 2 }));
    assert_eq!((&config["torch_dtype"], &config["own"]), (&json!("float32"), &json!("kept")));
    assert!(config.get("num_labels").is_none() && config.get("dtype").is_none());
    let notes = fs::read_to_string(copy.join("mmc.json")).unwrap();
    let notes: Value = serde_json::from_str(&notes).unwrap();
    let expected = json!({
        "preset": "bert", "arm": "text", "head": "linear", "classes": ["a", "b", "c"]
    });
    assert_eq!(notes, expected);
    // Nothing is left beside it.
    assert_eq!(fs::read_dir(out.path().join("deep")).unwrap().count(), 1);
    assert!(save(&*loaded.model, folder.path(), &labels[..2], "bert", &copy).is_err());
    assert!(copy.join("model.safetensors").exists());
}

#[test]
fn only_tiny_models_are_made_from_scratch() {
    let out = tempfile::tempdir().unwrap();
    let labels = ["a", "b"].map(str::to_owned);
    let make = |name: &str, labels: &[String]| {
        let preset = preset(name).unwrap();
        let texts = &["x"];
        let request = CreateRequest { preset, arm: None, head: None, texts, labels, seed: 0 };
        mmc_models::create(&request, &out.path().join(name))
    };
    assert!(matches!(make("bert", &labels), Err(ModelError::NotTiny { .. })));
    assert!(matches!(make("bert-tiny", &labels[..1]), Err(ModelError::Classes { .. })));
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
    make("bert-tiny", &labels).unwrap();
}

/// BETO's `[PAD]` is 1, not 0. The fixture's ids 0 and 1 change places, in its tokenizer and in its
/// table of words, so that every logit must stay.
#[test]
fn texts_are_padded_with_the_pad_id_of_the_tokenizer() {
    let words = "bert.embeddings.word_embeddings.weight";
    let folder = changed(
        "bert",
        |tensors| {
            let table = &tensors[words];
            let rows = table.dim(0).unwrap();
            let order: Vec<u32> = [1, 0].into_iter().chain(2..rows as u32).collect();
            let order = Tensor::new(order, &Device::Cpu).unwrap();
            let swapped = table.index_select(&order, 0).unwrap();
            tensors.insert(words.to_owned(), swapped);
        },
        |config| config["pad_token_id"] = json!(1),
    );
    let swap = |id: &mut Value| {
        if let Some(old @ (0 | 1)) = id.as_u64() {
            *id = json!(1 - old);
        }
    };
    let text = fs::read_to_string(fixtures().join("bert/tokenizer.json")).unwrap();
    let mut tokenizer: Value = serde_json::from_str(&text).unwrap();
    tokenizer["model"]["vocab"].as_object_mut().unwrap().values_mut().for_each(swap);
    for token in tokenizer["added_tokens"].as_array_mut().unwrap() {
        swap(&mut token["id"]);
    }
    fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    fs::copy(
        fixtures().join("bert/tokenizer_config.json"),
        folder.path().join("tokenizer_config.json"),
    )
    .unwrap();

    let (alone, ids) = logits(folder.path(), &["a good day", "sun"], Padding::Longest, 1);
    let (together, padded) = logits(folder.path(), &["a good day", "sun"], Padding::Max(9), 2);
    let (original, _) =
        logits(&fixtures().join("bert"), &["a good day", "sun"], Padding::Max(9), 2);
    assert_eq!(together, original, "the same words under other ids");
    for (row, (ids, padded)) in ids.iter().zip(&padded).enumerate() {
        assert!(ids.len() < 9 && padded.starts_with(ids), "row {row}");
        assert!(padded[ids.len()..].iter().all(|id| *id == 1), "row {row}: {padded:?}");
    }
    for (alone, together) in alone.iter().flatten().zip(together.iter().flatten()) {
        assert!((alone - together).abs() <= 1e-5, "{alone} and {together}");
    }
}

/// Logits `[texts][classes]` and token ids of texts, so many in a batch.
fn logits(
    folder: &Path,
    texts: &[&str],
    padding: Padding,
    rows: usize,
) -> (Vec<Vec<f32>>, Vec<Vec<u32>>) {
    let processor = Processor::from_folder(folder, Arm::Text).unwrap();
    let model = load_plainly(folder).unwrap().model;
    let (mut logits, mut ids) = (Vec::new(), Vec::new());
    for texts in texts.chunks(rows) {
        let examples: Vec<_> = texts
            .iter()
            .map(|text| {
                let (id, text) = ("1".to_owned(), (*text).to_owned());
                let sample = Sample { id, text, image: None, target: None, group: None };
                processor.prepare(&sample).unwrap()
            })
            .collect();
        let batch = collate(&examples, padding, processor.pad_id()).unwrap();
        ids.extend(batch.text.as_ref().unwrap().token_ids.to_vec2::<u32>().unwrap());
        let found = model.forward(&batch, &Pass::evaluate()).unwrap();
        logits.extend(found.0.to_vec2::<f32>().unwrap());
    }
    (logits, ids)
}
