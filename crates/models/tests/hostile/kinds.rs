//! Which file of which folder is damaged, and how.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use mmc_random::ChaCha8Rng;
use serde_json::{Map, Value, json};

use super::{crafted, mutate};

/// One row of [`KINDS`].
pub(crate) struct Kind {
    /// What the report calls it.
    pub(crate) name: &'static str,
    /// The fixture that it begins with.
    base: &'static str,
    /// The file that is damaged.
    file: &'static str,
    how: How,
}

/// How a file is damaged.
enum How {
    /// Any of its bytes.
    Bytes,
    /// Its beginning: a header, or a pickle.
    Head(usize),
    /// Its end: the directory of an archive.
    Tail(usize),
    Json,
    /// Another in its place.
    Crafted,
}

const fn kind(name: &'static str, base: &'static str, file: &'static str, how: How) -> Kind {
    Kind { name, base, file, how }
}

pub(crate) const KINDS: &[Kind] = &[
    kind("safetensors header", "bert", "model.safetensors", How::Head(6000)),
    kind("safetensors header of ViLT", "vilt", "model.safetensors", How::Head(6000)),
    kind("safetensors prefix", "bert", "model.safetensors", How::Head(9)),
    kind("safetensors", "roberta", "model.safetensors", How::Bytes),
    kind("head's safetensors", "clip", "mmc_head.safetensors", How::Bytes),
    kind("safetensors index", "vilt-parts", "model.safetensors.index.json", How::Json),
    kind("pickle", "bert-pickle", "pytorch_model.bin", How::Head(9000)),
    kind("pickle of FLAVA", "flava-pickle", "pytorch_model.bin", How::Head(20_000)),
    kind("zip directory", "bert-pickle", "pytorch_model.bin", How::Tail(5000)),
    kind("crafted pickle", "bert-pickle", "pytorch_model.bin", How::Crafted),
    kind("pickle index", "bert-pickle-parts", "pytorch_model.bin.index.json", How::Json),
    kind("config of BERT", "bert", "config.json", How::Json),
    kind("config of RoBERTa", "roberta", "config.json", How::Json),
    kind("config of CLIP", "clip", "config.json", How::Json),
    kind("config of FLAVA", "flava", "config.json", How::Json),
    kind("config of ViLT", "vilt", "config.json", How::Json),
    kind("tokenizer of BERT", "bert", "tokenizer.json", How::Json),
    kind("tokenizer of RoBERTa", "roberta", "tokenizer.json", How::Json),
    kind("tokenizer of CLIP", "clip", "tokenizer.json", How::Json),
    kind("tokenizer's bytes", "clip", "tokenizer.json", How::Bytes),
    kind("vocab.txt", "bert-words", "vocab.txt", How::Bytes),
    kind("vocab.json of RoBERTa", "roberta-pairs", "vocab.json", How::Json),
    kind("vocab.json of CLIP", "clip-pairs", "vocab.json", How::Json),
    kind("merges.txt of RoBERTa", "roberta-pairs", "merges.txt", How::Bytes),
    kind("merges.txt of CLIP", "clip-pairs", "merges.txt", How::Bytes),
    kind("tokenizer_config", "bert-words", "tokenizer_config.json", How::Json),
    kind("special_tokens_map", "bert-words", "special_tokens_map.json", How::Json),
    kind("preprocessor_config of CLIP", "clip", "preprocessor_config.json", How::Json),
    kind("preprocessor_config of FLAVA", "flava", "preprocessor_config.json", How::Json),
    kind("preprocessor_config of ViLT", "vilt", "preprocessor_config.json", How::Json),
    kind("processor_config", "clip-nested", "processor_config.json", How::Json),
    kind("mmc.json", "flava", "mmc.json", How::Json),
];

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/models")
}

impl Kind {
    /// A folder of its own under `place`, whole.
    pub(crate) fn folder(&self, place: &Path) -> PathBuf {
        let folder = place.join(self.name.replace(' ', "-"));
        let base = self.base.split('-').next().unwrap();
        let whole = fixtures().join(base);
        copy(&whole, &folder);
        match self.base {
            "bert-pickle" => old(&folder, "bert-old"),
            "flava-pickle" => old(&folder, "flava-pretraining"),
            "bert-pickle-parts" => {
                old(&folder, "bert-old");
                fs::rename(folder.join("pytorch_model.bin"), folder.join("part.bin")).unwrap();
                let index = json!({ "weight_map": { "a": "part.bin", "b": "part.bin" } });
                fs::write(folder.join(self.file), index.to_string()).unwrap();
            }
            "vilt-parts" => parts(&folder),
            "bert-words" => words(&folder),
            "roberta-pairs" | "clip-pairs" => pairs(&folder),
            "clip-nested" => {
                let path = folder.join("preprocessor_config.json");
                let nested: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
                let config =
                    json!({ "image_processor": nested, "processor_class": "CLIPProcessor" });
                fs::write(folder.join(self.file), config.to_string()).unwrap();
            }
            _ => {}
        }
        let file = folder.join(self.file);
        fs::copy(&file, whole_of(&file)).unwrap();
        folder
    }

    /// Whether its file in a folder is still what damage begins with.
    pub(crate) fn is_whole(&self, folder: &Path) -> bool {
        let file = folder.join(self.file);
        fs::read(&file).unwrap() == fs::read(whole_of(&file)).unwrap()
    }

    /// Damages its file in a folder, which may be damaged already.
    pub(crate) fn damage(&self, folder: &Path, random: &mut ChaCha8Rng) {
        let file = folder.join(self.file);
        let mut bytes = fs::read(whole_of(&file)).unwrap();
        let all = bytes.len();
        match self.how {
            How::Bytes => mutate::bytes(&mut bytes, 0..all, random),
            How::Head(length) => mutate::bytes(&mut bytes, 0..length.min(all), random),
            How::Tail(length) => mutate::bytes(&mut bytes, all.saturating_sub(length)..all, random),
            How::Json => bytes = mutate::json(&bytes, random),
            How::Crafted => bytes = crafted::any(random),
        }
        fs::write(file, bytes).unwrap();
    }
}

/// Beside the folder, so that nobody reads it.
fn whole_of(file: &Path) -> PathBuf {
    let folder = file.parent().unwrap();
    // Added to the name: `vocab.txt` and `vocab.json of CLIP` would share an extension's place.
    let mut name = folder.file_name().unwrap().to_owned();
    name.push(".whole");
    folder.with_file_name(name)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Puts an old pickle and its configuration in the place of the weights.
fn old(folder: &Path, fixture: &str) {
    fs::remove_file(folder.join("model.safetensors")).unwrap();
    copy_over(&fixtures().join(fixture), folder, &["config.json", "pytorch_model.bin"]);
}

fn copy_over(from: &Path, to: &Path, names: &[&str]) {
    for name in names {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

/// Cuts the weights in two, with an index.
fn parts(folder: &Path) {
    let whole = folder.join("model.safetensors");
    let tensors = candle_core::safetensors::load(&whole, &Device::Cpu).unwrap();
    let mut parts: [HashMap<String, Tensor>; 2] = [HashMap::new(), HashMap::new()];
    let mut map = Map::new();
    for (name, tensor) in BTreeMap::from_iter(tensors) {
        let part = usize::from(name.contains("encoder"));
        map.insert(name.clone(), json!(format!("part-{part}.safetensors")));
        parts[part].insert(name, tensor);
    }
    for (part, tensors) in parts.iter().enumerate() {
        let path = folder.join(format!("part-{part}.safetensors"));
        candle_core::safetensors::save(tensors, path).unwrap();
    }
    fs::remove_file(whole).unwrap();
    let index = json!({ "metadata": { "total_size": 9 }, "weight_map": map });
    fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
}

/// Puts the files of a tokenizer of 2019 in the place of `tokenizer.json`.
fn words(folder: &Path) {
    let path = folder.join("tokenizer.json");
    let tokenizer: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let vocabulary = tokenizer["model"]["vocab"].as_object().unwrap();
    let mut words: Vec<_> = vocabulary.iter().map(|(word, id)| (id.as_u64(), word)).collect();
    words.sort();
    let lines: Vec<_> = words.into_iter().map(|(_, word)| word.as_str()).collect();
    fs::write(folder.join("vocab.txt"), lines.join("\n")).unwrap();
    fs::remove_file(path).unwrap();
    let config = json!({ "do_lower_case": true, "strip_accents": null, "model_max_length": 16,
        "tokenize_chinese_chars": true, "pad_token": "[PAD]", "unk_token": "[UNK]" });
    fs::write(folder.join("tokenizer_config.json"), config.to_string()).unwrap();
    let special = json!({ "cls_token": "[CLS]", "mask_token": { "content": "[MASK]", "lstrip": true },
        "sep_token": "[SEP]" });
    fs::write(folder.join("special_tokens_map.json"), special.to_string()).unwrap();
}

/// Puts `vocab.json` and `merges.txt` in the place of `tokenizer.json`.
fn pairs(folder: &Path) {
    let path = folder.join("tokenizer.json");
    let tokenizer: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    fs::write(folder.join("vocab.json"), tokenizer["model"]["vocab"].to_string()).unwrap();
    let merges = tokenizer["model"]["merges"].as_array().unwrap().iter();
    let lines = merges.map(|pair| match pair {
        Value::String(pair) => pair.clone(),
        pair => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
    });
    let lines: Vec<String> = ["#version: 0.2".to_owned()].into_iter().chain(lines).collect();
    fs::write(folder.join("merges.txt"), lines.join("\n")).unwrap();
    fs::remove_file(path).unwrap();
}
