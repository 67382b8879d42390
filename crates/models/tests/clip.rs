//! What CLIP alone has to get right: each tower, pictures of another size than the table of
//! positions, against what transformers makes of them; the heads, by hand; the head's own file.
//!
//! `tests/references/models.py` made the files and says what each key is.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use mmc_data::{Arm, ReadOptions, dataset};
use mmc_models::{
    Classifier, FreshHead, HeadOrigin, LoadRequest, Loaded, ModelError, Pass, load, save,
};
use mmc_ops::Gradients;
use mmc_preprocess::{Batch, Padding, Processor, collate};
use serde_json::{Value, json};

/// f32 against f64 is 3e-6 for such models.
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

fn request<'a>(folder: &'a Path, arm: Option<Arm>, head: Option<&'a str>) -> LoadRequest<'a> {
    LoadRequest {
        folder,
        labels: &[],
        arm,
        head,
        fresh_head: FreshHead::Allowed { seed: 3 },
        dropout: None,
        device: &Device::Cpu,
    }
}

/// The reference's rows, prepared by the processor in `folder`.
fn batch(folder: &Path, arm: Arm) -> Batch {
    let split =
        dataset("table").unwrap().read(&fixtures().join("data"), "train", &ReadOptions::default());
    let processor = Processor::from_folder(folder, arm).unwrap().with_max_length(12);
    let examples: Vec<_> = split.unwrap().samples[..8]
        .iter()
        .map(|sample| processor.prepare(sample).unwrap())
        .collect();
    collate(&examples, Padding::Longest, processor.pad_id()).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn encoded(model: &dyn Classifier, batch: &Batch) -> Tensor {
    model.encode(batch, &Pass::evaluate()).unwrap()
}

#[test]
fn an_arm_is_the_projection_of_its_tower() {
    for name in ["clip", "clip-open"] {
        for arm in [Arm::Text, Arm::Image] {
            let folder = fixtures().join(name);
            let model = load(&request(&folder, Some(arm), None)).unwrap().model;
            let batch = batch(&folder, arm);
            let has = (batch.text.is_some(), batch.image.is_some());
            assert_eq!(has, (arm.uses_text(), arm.uses_image()));
            let pooled = values(&encoded(&*model, &batch));
            let expected = numbers(&expected(name)["arms"][arm.to_string()]["pooled"]);
            let error = difference(&pooled, &expected);
            assert!(error <= OUTPUTS, "{name}, {arm}: {error}");
        }
    }
}

/// Pictures of 48 by 40 pixels on a table made for 32 by 32.
#[test]
fn positions_are_resized_and_learn() {
    let (expected, copy) = (&expected("clip")["resized"], tempfile::tempdir().unwrap());
    let folder = fixtures().join("clip");
    fs::copy(folder.join("config.json"), copy.path().join("config.json")).unwrap();
    let steps = fs::read_to_string(folder.join("preprocessor_config.json")).unwrap();
    let mut steps: Value = serde_json::from_str(&steps).unwrap();
    steps["size"] = json!({ "shortest_edge": 48 });
    steps["crop_size"] = json!({ "height": expected["size"][0], "width": expected["size"][1] });
    fs::write(copy.path().join("preprocessor_config.json"), steps.to_string()).unwrap();

    let model = load(&request(&folder, Some(Arm::Image), None)).unwrap().model;
    assert_eq!(model.image_tokens(48, 40), 1 + 6 * 5);
    let pooled = encoded(&*model, &batch(copy.path(), Arm::Image));
    let error = difference(&values(&pooled), &numbers(&expected["pooled"]));
    assert!(error <= OUTPUTS, "{error}");

    let name = "vision_model.embeddings.position_embedding.weight";
    let table = model.parameters().iter().find(|parameter| parameter.name == name).unwrap();
    let mut gradients = Gradients::of([table.var.as_tensor()]);
    gradients.add(&pooled.sqr().unwrap().sum_all().unwrap()).unwrap();
    let found = values(gradients.sum(0).unwrap());
    let expected = numbers(&expected["position_gradient"]);
    let norm = expected.iter().map(|value| value * value).sum::<f32>().sqrt();
    let error = found.iter().zip(&expected).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
    assert!(error / norm <= 1e-4, "{}", error / norm);
}

fn tensor(model: &dyn Classifier, name: &str) -> Tensor {
    let parameter = model.parameters().iter().find(|parameter| parameter.name == name);
    parameter.unwrap_or_else(|| panic!("no parameter {name}")).var.as_tensor().clone()
}

/// `x Wᵀ + b` by candle's own operations.
fn map(model: &dyn Classifier, layer: &str, x: &Tensor) -> Tensor {
    let weight = tensor(model, &format!("{layer}.weight")).t().unwrap();
    let bias = tensor(model, &format!("{layer}.bias"));
    x.matmul(&weight).unwrap().broadcast_add(&bias).unwrap()
}

#[test]
fn each_head_in_each_arm_is_the_documented_formula() {
    let folder = fixtures().join("clip");
    for head in ["fused", "mlp", "linear"] {
        for arm in [Arm::Both, Arm::Text, Arm::Image] {
            let Loaded { model, report, .. } =
                load(&request(&folder, Some(arm), Some(head))).unwrap();
            assert_eq!((model.head(), report.head_kind.as_str()), (head, head));
            let own = head == "fused" && arm == Arm::Both;
            assert_eq!(report.head == HeadOrigin::ByName, own, "{report}");
            assert!(report.to_string().contains(&format!("head `{head}`")), "{report}");
            let batch = batch(&folder, arm);
            let pooled = encoded(&*model, &batch);
            let read = if head == "fused" && arm == Arm::Both {
                let text = pooled.narrow(1, 0, 20).unwrap();
                let image = pooled.narrow(1, 20, 20).unwrap();
                Tensor::cat(&[&pooled, &(text * image).unwrap()], 1).unwrap()
            } else {
                pooled
            };
            let expected = if head == "linear" {
                map(&*model, "classifier", &read)
            } else {
                let inner = map(&*model, "classifier.0", &read).gelu_erf().unwrap();
                map(&*model, "classifier.2", &inner)
            };
            let logits = model.forward(&batch, &Pass::evaluate()).unwrap().0;
            let error = difference(&values(&logits), &values(&expected));
            assert!(error <= 1e-5, "{head}, {arm}: {error}");
        }
    }
}

#[test]
fn a_head_that_is_not_there_is_named() {
    let folder = fixtures().join("clip");
    let refused = |head| {
        let request = request(&folder, None, Some(head));
        load(&LoadRequest { fresh_head: FreshHead::Refused, ..request }).err().unwrap()
    };
    let unknown = refused("deep");
    assert!(matches!(unknown, ModelError::UnknownHead { .. }) && unknown.is_usage());
    let text = unknown.to_string();
    assert!(text.contains("`deep`") && text.contains("`fused`, `mlp`, `linear`"), "{text}");
    let other = refused("linear").to_string();
    assert!(other.contains("its own is of another kind"), "{other}");
    let narrower = refused("mlp").to_string();
    assert!(narrower.contains("its own has another shape"), "{narrower}");
}

#[test]
fn the_head_is_saved_apart_and_the_backbone_as_transformers_names_it() {
    let folder = fixtures().join("clip");
    let Loaded { model, labels, .. } =
        load(&request(&folder, Some(Arm::Text), Some("linear"))).unwrap();
    let out = tempfile::tempdir().unwrap();
    let copy = out.path().join("copy");
    save(&*model, &folder, &labels, "clip", &copy).unwrap();
    let names = |file: &str| -> Vec<String> {
        let tensors = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
        let mut names: Vec<String> = tensors.into_keys().collect();
        names.sort();
        names
    };
    let file = |folder: &Path, name: &str| folder.join(name).display().to_string();
    assert_eq!(
        names(&file(&copy, "model.safetensors")),
        names(&file(&folder, "model.safetensors"))
    );
    let head = names(&file(&copy, "mmc_head.safetensors"));
    assert_eq!(head, ["classifier.bias", "classifier.weight"]);
    let notes: Value = serde_json::from_slice(&fs::read(copy.join("mmc.json")).unwrap()).unwrap();
    assert_eq!((&notes["arm"], &notes["head"]), (&json!("text"), &json!("linear")));
    let config: Value =
        serde_json::from_slice(&fs::read(copy.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["architectures"], json!(["CLIPModel"]));

    // Loaded as it says, with the tower that the arm left out unchanged.
    let again = load(&LoadRequest { fresh_head: FreshHead::Refused, ..request(&copy, None, None) });
    let again = again.unwrap().model;
    assert_eq!((again.arm(), again.head()), (Arm::Text, "linear"));
    for (a, b) in model.parameters().iter().zip(again.parameters()) {
        assert_eq!((&a.name, a.var.dims(), a.active), (&b.name, b.var.dims(), b.active));
        let bits = |tensor: &Tensor| values(tensor).into_iter().map(f32::to_bits).collect();
        let (a_bits, b_bits): (Vec<u32>, Vec<u32>) = (bits(&a.var), bits(&b.var));
        assert_eq!(a_bits, b_bits, "{}", a.name);
    }
    assert!(tensor(&*again, "logit_scale").dims().is_empty());
}

#[test]
fn values_that_are_not_supported_are_named() {
    for (tower, key, value) in [
        ("text_config", "hidden_act", json!("gelu_new")),
        ("text_config", "num_attention_heads", json!(5)),
        ("vision_config", "num_channels", json!(1)),
        ("vision_config", "patch_size", json!([8, 4])),
        ("vision_config", "image_size", json!(4)),
        ("text_config", "attention_dropout", json!(1)),
    ] {
        let copy = tempfile::tempdir().unwrap();
        let folder = fixtures().join("clip");
        fs::copy(folder.join("model.safetensors"), copy.path().join("model.safetensors")).unwrap();
        let mut config: Value =
            serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap();
        config[tower][key] = value;
        fs::write(copy.path().join("config.json"), config.to_string()).unwrap();
        let error = load(&request(copy.path(), None, None)).err().unwrap();
        assert!(matches!(error, ModelError::Value { .. }), "{key}: {error}");
        assert!(error.to_string().contains(&format!("`{tower}.")), "{error}");
    }
    // A pair of equal sides is a side.
    let copy = tempfile::tempdir().unwrap();
    let folder = fixtures().join("clip");
    fs::copy(folder.join("model.safetensors"), copy.path().join("model.safetensors")).unwrap();
    let text = fs::read_to_string(folder.join("config.json")).unwrap();
    let text = text.replace("\"image_size\": 32", "\"image_size\": [32, 32]");
    fs::write(copy.path().join("config.json"), text).unwrap();
    assert!(load(&request(copy.path(), None, None)).is_ok());
}

/// The published towers at their widths, patches and numbers of positions, with one layer each and
/// the small vocabulary; `cargo xtask references true_size` compares them whole.
#[test]
fn every_published_size_loads_by_its_configuration() {
    // Text width, picture width, heads of each, width of the projection, patch, positions.
    for (text, vision, heads, projection, patch, positions) in [
        (512, 768, (8, 12), 512, 32, 50),
        (512, 768, (8, 12), 512, 16, 197),
        (768, 1024, (12, 16), 768, 14, 257),
    ] {
        let copy = tempfile::tempdir().unwrap();
        for file in fs::read_dir(fixtures().join("clip")).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
        fs::remove_file(copy.path().join("mmc_head.safetensors")).unwrap();
        fs::remove_file(copy.path().join("mmc.json")).unwrap();
        let words = small_vocabulary(&copy.path().join("config.json"));
        let config = json!({
            "model_type": "clip",
            "projection_dim": projection,
            "text_config": {
                "vocab_size": words, "hidden_size": text, "intermediate_size": 4 * text,
                "num_attention_heads": heads.0, "num_hidden_layers": 1,
                "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1
            },
            "vision_config": {
                "hidden_size": vision, "intermediate_size": 4 * vision, "patch_size": patch,
                "num_attention_heads": heads.1, "num_hidden_layers": 1
            }
        });
        fs::write(copy.path().join("config.json"), config.to_string()).unwrap();
        fs::write(copy.path().join("preprocessor_config.json"), PUBLISHED_PICTURES).unwrap();
        let shape = (words, text, vision, projection, patch, positions);
        candle_core::safetensors::save(&towers(shape), copy.path().join("model.safetensors"))
            .unwrap();

        let labels = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let asked = LoadRequest { labels: &labels, ..request(copy.path(), None, None) };
        let Loaded { model, report, .. } = load(&asked).unwrap();
        assert!(report.left_over.is_empty() && report.dropped.is_empty(), "{report}");
        assert!(report.fresh.iter().all(|name| name.starts_with("classifier.")), "{report}");
        let table = tensor(&*model, "vision_model.embeddings.position_embedding.weight");
        assert_eq!(table.dims(), [positions, vision]);
        let batch = batch(copy.path(), Arm::Both);
        assert_eq!(batch.image.as_ref().unwrap().pixel_values.dims(), [8, 3, 224, 224]);
        let pooled = encoded(&*model, &batch);
        assert_eq!(pooled.dims(), [8, 2 * projection]);
        assert!(values(&pooled).iter().all(|value| value.is_finite()));
        let logits = model.forward(&batch, &Pass::evaluate()).unwrap().0;
        assert_eq!(logits.dims(), [8, 3]);
    }
}

/// The published checkpoints' file, as versions before 5 wrote it.
const PUBLISHED_PICTURES: &str = r#"{
    "crop_size": 224, "do_center_crop": true, "do_normalize": true, "do_resize": true,
    "feature_extractor_type": "CLIPFeatureExtractor", "resample": 3, "size": 224,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711]
}"#;

fn small_vocabulary(config: &Path) -> usize {
    let config: Value = serde_json::from_slice(&fs::read(config).unwrap()).unwrap();
    config["text_config"]["vocab_size"].as_u64().unwrap() as usize
}

/// Random weights by their published names.
fn towers(shape: (usize, usize, usize, usize, usize, usize)) -> HashMap<String, Tensor> {
    let (words, text, vision, projection, patch, positions) = shape;
    let mut tensors = HashMap::new();
    let mut add = |name: String, shape: &[usize]| {
        let tensor = Tensor::randn(0.0_f32, 0.05, shape, &Device::Cpu).unwrap();
        tensors.insert(name, tensor);
    };
    for (tower, width) in [("text_model", text), ("vision_model", vision)] {
        let layer = format!("{tower}.encoder.layers.0");
        for (name, rows, columns) in [
            ("self_attn.q_proj", width, width),
            ("self_attn.k_proj", width, width),
            ("self_attn.v_proj", width, width),
            ("self_attn.out_proj", width, width),
            ("mlp.fc1", 4 * width, width),
            ("mlp.fc2", width, 4 * width),
        ] {
            add(format!("{layer}.{name}.weight"), &[rows, columns]);
            add(format!("{layer}.{name}.bias"), &[rows]);
        }
        let outer: &[&str] = if tower == "text_model" {
            &["final_layer_norm"]
        } else {
            &["pre_layrnorm", "post_layernorm"]
        };
        let norms = outer.iter().map(|name| format!("{tower}.{name}"));
        for norm in norms.chain([format!("{layer}.layer_norm1"), format!("{layer}.layer_norm2")]) {
            add(format!("{norm}.weight"), &[width]);
            add(format!("{norm}.bias"), &[width]);
        }
    }
    add("logit_scale".to_owned(), &[]);
    add("text_model.embeddings.token_embedding.weight".to_owned(), &[words, text]);
    add("text_model.embeddings.position_embedding.weight".to_owned(), &[77, text]);
    add("vision_model.embeddings.class_embedding".to_owned(), &[vision]);
    let patches = "vision_model.embeddings.patch_embedding.weight";
    add(patches.to_owned(), &[vision, 3, patch, patch]);
    add("vision_model.embeddings.position_embedding.weight".to_owned(), &[positions, vision]);
    add("text_projection.weight".to_owned(), &[projection, text]);
    add("visual_projection.weight".to_owned(), &[projection, vision]);
    tensors
}
