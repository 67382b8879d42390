//! Checkpoints of every habit since 2018: whatever a file calls its tensors, and however it stores
//! them, the parameters are those of the plain folder.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod old_formats {
    pub(crate) mod pickled;
}

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use mmc_models::{FreshHead, LoadRequest, Loaded, ModelError, load};
use old_formats::pickled::{Saved, UNREADABLE, save};
use serde_json::{Value, json};

/// Folders of transformers, and the prefix that their files may leave out or have.
const MODELS: &[(&str, &str)] =
    &[("bert", "bert."), ("roberta", "roberta."), ("vilt", "vilt."), ("flava", ""), ("clip", "")];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/models")
}

type Tensors = BTreeMap<String, Tensor>;

fn tensors(name: &str) -> Tensors {
    let path = fixtures().join(name).join("model.safetensors");
    candle_core::safetensors::load(path, &Device::Cpu).unwrap().into_iter().collect()
}

fn config(name: &str) -> Value {
    let text = fs::read_to_string(fixtures().join(name).join("config.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A folder of a configuration and nothing else, but for a head that lies apart.
fn folder(name: &str, config: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    for file in ["mmc.json", "mmc_head.safetensors"] {
        let from = fixtures().join(name).join(file);
        if from.exists() {
            fs::copy(from, folder.path().join(file)).unwrap();
        }
    }
    folder
}

fn write(folder: &Path, tensors: Tensors) {
    let tensors: HashMap<String, Tensor> = tensors.into_iter().collect();
    candle_core::safetensors::save(&tensors, folder.join("model.safetensors")).unwrap();
}

fn loaded(folder: &Path) -> Result<Loaded, ModelError> {
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
        (parameter.name.clone(), parameter.var.flatten_all().unwrap().to_vec1().unwrap())
    };
    loaded.model.parameters().iter().map(one).collect()
}

/// That a folder has the parameters of a fixture, each number within `tolerance`.
fn check(folder: &Path, fixture: &str, tolerance: f32) -> Loaded {
    let found = loaded(folder).unwrap_or_else(|error| panic!("{fixture}: {error}"));
    let plain = values(&loaded(&fixtures().join(fixture)).unwrap());
    let all = values(&found);
    assert_eq!(all.len(), plain.len());
    for ((name, found), (plain_name, plain)) in all.iter().zip(&plain) {
        assert_eq!(name, plain_name);
        let worst = found.iter().zip(plain).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(found.len() == plain.len() && worst <= tolerance, "{fixture}, {name}: {worst}");
    }
    assert!(found.report.fresh.is_empty(), "{fixture}: {}", found.report);
    found
}

#[test]
fn weights_of_other_types_become_f32() {
    for (name, _) in MODELS {
        // bf16 has 8 bits and the largest number is below 4.
        for (dtype, tolerance) in [(DType::F16, 2e-3), (DType::BF16, 1.6e-2), (DType::F64, 0.0)] {
            let folder = folder(name, &config(name));
            let tensors = tensors(name).into_iter();
            let tensors = tensors.map(|(name, x)| (name, x.to_dtype(dtype).unwrap())).collect();
            write(folder.path(), tensors);
            check(folder.path(), name, tolerance);
        }
    }
}

#[test]
fn a_prefix_may_be_there_or_not() {
    for (name, prefix) in MODELS {
        let outer = if *name == "flava" { "flava." } else { "" };
        let folder = folder(name, &config(name));
        let renamed = tensors(name).into_iter().map(|(name, tensor)| {
            let name = name.strip_prefix(prefix).unwrap_or(&name).to_owned();
            (format!("{outer}{name}"), tensor)
        });
        write(folder.path(), renamed.collect());
        check(folder.path(), name, 0.0);
    }
}

/// Pickles: each type of numbers, the order of columns, a dict around the dict, a configuration of
/// version 4, buffers that no reader of ours can read but that are dropped.
#[test]
fn pickles_of_every_habit_are_read() {
    for (name, _) in MODELS {
        if fixtures().join(name).join("mmc_head.safetensors").exists() {
            continue; // a head apart belongs to safetensors
        }
        for (nested, dtype, tolerance) in [
            (false, DType::F32, 0.0),
            (true, DType::F32, 0.0),
            (false, DType::F16, 2e-3),
            (true, DType::BF16, 1.6e-2),
            (false, DType::F64, 0.0),
        ] {
            let mut config = config(name);
            let object = config.as_object_mut().unwrap();
            object.remove("dtype");
            object.insert("torch_dtype".to_owned(), json!("float16"));
            object.insert("gradient_checkpointing".to_owned(), json!(false));
            let folder = folder(name, &config);
            let mut all: Vec<Saved> = tensors(name)
                .into_iter()
                .map(|(name, tensor)| {
                    let column_major = tensor.rank() == 2;
                    Saved { name, tensor: tensor.to_dtype(dtype).unwrap(), column_major }
                })
                .collect();
            let ids = Tensor::arange(0i64, 16, &Device::Cpu).unwrap();
            let name_of_ids = format!("{name}.embeddings.position_ids");
            all.push(Saved { name: name_of_ids.clone(), tensor: ids, column_major: false });
            save(&folder.path().join("pytorch_model.bin"), &all, UNREADABLE, nested);
            let report = check(folder.path(), name, tolerance).report;
            assert_eq!(report.dropped.len(), 4, "{report}");
            assert!(report.dropped.contains(&name_of_ids));
        }
    }
}

#[test]
fn a_pickle_in_parts_is_read_by_its_index() {
    let folder = folder("vilt", &config("vilt"));
    let mut map = serde_json::Map::new();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for (name, tensor) in tensors("vilt") {
        let part = if name.contains("encoder") { &mut second } else { &mut first };
        let file = if name.contains("encoder") { "b.bin" } else { "a.bin" };
        map.insert(name.clone(), json!(file));
        part.push(Saved { name, tensor, column_major: false });
    }
    save(&folder.path().join("a.bin"), &first, UNREADABLE, false);
    let index = folder.path().join("pytorch_model.bin.index.json");
    fs::write(index, json!({ "metadata": {}, "weight_map": map }).to_string()).unwrap();
    let error = loaded(folder.path()).err().unwrap();
    assert!(matches!(&error, ModelError::NoFile { file, .. } if file == "`b.bin`"), "{error}");
    save(&folder.path().join("b.bin"), &second, &[], false);
    check(folder.path(), "vilt", 0.0);
    // No part may hold what another holds.
    save(&folder.path().join("b.bin"), &second, UNREADABLE, false);
    let error = loaded(folder.path()).err().unwrap().to_string();
    assert!(error.contains("is in two of its files"), "{error}");
}

/// A tensor that is wanted and is of a type that cannot be read is named with that type.
#[test]
fn numbers_of_an_unknown_type_are_named_where_they_are_wanted() {
    let folder = folder("bert", &config("bert"));
    let all: Vec<Saved> = tensors("bert")
        .into_iter()
        .map(|(name, tensor)| Saved { name, tensor, column_major: false })
        .collect();
    let path = folder.path().join("pytorch_model.bin");
    save(&path, &all, &[], false);
    let bytes = fs::read(&path).unwrap();
    // The first storage's type, by a word of the same length.
    let at = bytes.windows(12).position(|window| window == b"FloatStorage").unwrap();
    let mut changed = bytes;
    changed[at..at + 12].copy_from_slice(b"QInt8Storage");
    fs::write(&path, changed).unwrap();
    let error = loaded(folder.path()).err().unwrap().to_string();
    assert!(error.contains("numbers of type `QInt8Storage` cannot be read"), "{error}");
}

/// The published VQA checkpoint names a class that does not exist, an old reader's buffers, and
/// the language model's weights beside their twins.
#[test]
fn vilt_as_it_was_published_is_read() {
    let mut config = config("vilt");
    config["architectures"] = json!(["ViltForVisualQuestionAnswering"]);
    config["image_size"] = json!([32, 32]);
    config["patch_size"] = json!([8, 8]);
    config["num_images"] = json!(-1);
    config["max_image_length"] = json!(-1);
    config["tie_word_embeddings"] = json!(false);
    let side = config["image_size"][0].as_u64();
    let plain = self::config("vilt");
    assert_eq!((side, plain["patch_size"].as_u64()), (plain["image_size"].as_u64(), Some(8)));
    let folder = folder("vilt", &config);
    let mut tensors = tensors("vilt");
    let words = "vilt.embeddings.text_embeddings.word_embeddings.weight";
    tensors.insert("mlm_score.decoder.weight".to_owned(), tensors[words].clone());
    let ids = Tensor::arange(0i64, 16, &Device::Cpu).unwrap();
    tensors.insert("vilt.embeddings.text_embeddings.position_ids".to_owned(), ids);
    write(folder.path(), tensors);
    let report = check(folder.path(), "vilt", 0.0).report;
    assert_eq!(report.dropped.len(), 2, "{report}");
    assert!(report.left_over.is_empty(), "{report}");
}

/// A table of text and picture becomes one of two pictures as ViLT's authors make it.
#[test]
fn a_third_modality_begins_as_the_second() {
    let mut config = config("vilt");
    config["modality_type_vocab_size"] = json!(3);
    let folder = folder("vilt", &config);
    write(folder.path(), tensors("vilt"));
    let found = loaded(folder.path()).unwrap();
    let name = "vilt.embeddings.token_type_embeddings.weight";
    let table = found.model.parameters().iter().find(|parameter| parameter.name == name);
    let rows: Vec<Vec<f32>> = table.unwrap().var.to_vec2().unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[1], rows[2]);
    assert_eq!(rows[..2], tensors("vilt")[name].to_vec2::<f32>().unwrap());
}

/// Old files of two towers say each tower twice, and the older object wins; they hold both towers'
/// buffers; a square may be a pair.
#[test]
fn towers_that_are_said_twice_are_those_of_the_older_object() {
    for (name, towers) in
        [("clip", &["text", "vision"][..]), ("flava", &["text", "image", "multimodal"])]
    {
        let mut config = config(name);
        for tower in towers {
            let key = format!("{tower}_config");
            let mut old = config[&key].clone();
            for side in ["image_size", "patch_size"] {
                if let Some(number) = old.get(side).cloned() {
                    old[side] = json!([number, number]);
                }
            }
            config[format!("{tower}_config_dict")] = old;
            config[&key]["num_hidden_layers"] = json!(1);
            config[&key]["hidden_size"] = json!(768);
            config[&key]["bad_words_ids"] = Value::Null;
        }
        let folder = folder(name, &config);
        let mut tensors = tensors(name);
        for tower in towers {
            let ids = Tensor::arange(0i64, 16, &Device::Cpu).unwrap();
            tensors.insert(format!("{tower}_model.embeddings.position_ids"), ids);
        }
        write(folder.path(), tensors);
        let report = check(folder.path(), name, 0.0).report;
        assert_eq!(report.dropped.len(), towers.len(), "{report}");
    }
}

/// A tower that transformers saved alone cannot make a classifier of the whole; that is said.
#[test]
fn a_tower_alone_is_named_for_what_it_is() {
    for tower in ["flava_text_model", "flava_image_model", "flava_multimodal_model"] {
        let mut config = config("clip");
        config["model_type"] = json!(tower);
        let folder = folder("clip", &config);
        write(folder.path(), tensors("clip"));
        let error = loaded(folder.path()).err().unwrap().to_string();
        assert!(error.contains("alone, which is read whole"), "{error}");
    }
}
