//! Tiny models from scratch, written as a folder like any other checkpoint.

use std::path::Path;

use candle_core::Device;
use serde_json::{Map, Value, json};

use crate::architecture::{ARCHITECTURES, Architecture, Build};
use crate::checkpoint::{
    Notes, Source, describe, write_file, write_folder, write_json, write_weights,
};
use crate::config::ConfigFile;
use crate::parameters::{Initialiser, Parameters};
use crate::vocabulary::Vocabulary;
use crate::{LoadReport, ModelError, Preset};

/// Standard deviation of the initial weights, cut at two of them: at 0.02, which pretraining uses,
/// so small a model does not get off the ground.
const RANGE: f64 = 0.15;

/// Side of a picture and of a patch, in pixels.
const SIDE: usize = 32;
const PATCH: usize = 8;

/// Makes a tiny model and writes it as a folder: `config.json`, `tokenizer.json`, `vocab.txt`,
/// `tokenizer_config.json`, `preprocessor_config.json` where it sees pictures,
/// `model.safetensors`, `mmc.json`.
///
/// The vocabulary is that of `texts`, the training texts; parameters are a function of the seed and
/// their names. So the same arguments give the same bytes.
///
/// # Errors
/// [`ModelError::NotTiny`] for a preset that is not tiny, [`ModelError::Classes`] where `labels`
/// are not two or more different names, files that cannot be written.
pub fn create(
    preset: &Preset,
    texts: &[&str],
    labels: &[String],
    seed: u64,
    destination: &Path,
) -> Result<(), ModelError> {
    let architecture = ARCHITECTURES.iter().find(|row| row.name == preset.architecture);
    let (true, Some(architecture)) = (preset.tiny, architecture) else {
        let remedy = "give a checkpoint, or choose a preset whose name ends in `-tiny`".to_owned();
        return Err(ModelError::NotTiny { preset: preset.name.to_owned(), remedy });
    };
    crate::checkpoint::check_labels(labels)?;
    let vocabulary = Vocabulary::of(texts, preset.accents);
    let sees_pictures = preset.default_arm().uses_image();
    let positions = if sees_pictures { 40 } else { 64 };
    write_folder(destination, |folder| {
        let mut config = sizes(architecture, vocabulary.len(), positions);
        describe(&mut config, architecture, labels);
        write_json(&folder.join("config.json"), &config)?;
        write_json(&folder.join("tokenizer.json"), &vocabulary.tokenizer())?;
        write_json(&folder.join("tokenizer_config.json"), &vocabulary.tokenizer_config(positions))?;
        write_file(&folder.join("vocab.txt"), vocabulary.text().as_bytes())?;
        if sees_pictures {
            write_json(&folder.join("preprocessor_config.json"), &picture_steps())?;
        }
        let notes = Notes {
            preset: preset.name.to_owned(),
            arm: preset.default_arm(),
            head: architecture.head.to_owned(),
            classes: labels.to_vec(),
        };
        write_json(&folder.join("mmc.json"), &notes)?;
        write_parameters(folder, architecture, preset, labels.len(), seed)
    })
}

/// Draws the parameters of the model that `folder/config.json` describes and writes them there.
fn write_parameters(
    folder: &Path,
    architecture: &Architecture,
    preset: &Preset,
    classes: usize,
    seed: u64,
) -> Result<(), ModelError> {
    let initialiser = Initialiser { seed, range: RANGE, truncated: true };
    let mut parameters = Parameters {
        source: Source::Scratch(initialiser),
        off_path: &[],
        device: &Device::Cpu,
        list: Vec::new(),
        report: LoadReport::default(),
    };
    let config = ConfigFile::read(folder)?;
    let build = Build { config: &config, dropout: None, arm: preset.default_arm(), classes };
    let model = (architecture.build)(&build, &mut parameters)?;
    write_weights(&folder.join("model.safetensors"), model.parameters())
}

/// The configuration of a tiny model, without its classes.
fn sizes(architecture: &Architecture, vocabulary: usize, positions: usize) -> Map<String, Value> {
    let mut config = Map::new();
    let mut set = |key: &str, value: Value| {
        config.insert(key.to_owned(), value);
    };
    set("architectures", Value::Null);
    set("model_type", json!(architecture.name));
    set("vocab_size", json!(vocabulary));
    set("hidden_size", json!(32));
    set("num_hidden_layers", json!(2));
    set("num_attention_heads", json!(2));
    set("intermediate_size", json!(64));
    set("hidden_act", json!("gelu"));
    set("hidden_dropout_prob", json!(0.0));
    set("attention_probs_dropout_prob", json!(0.0));
    set("max_position_embeddings", json!(positions));
    set("type_vocab_size", json!(2));
    set("initializer_range", json!(RANGE));
    set("layer_norm_eps", json!(1e-12));
    set("pad_token_id", json!(0));
    if architecture.arms.iter().any(|arm| arm.uses_image()) {
        set("image_size", json!(SIDE));
        set("patch_size", json!(PATCH));
        set("num_channels", json!(3));
        set("qkv_bias", json!(true));
        set("modality_type_vocab_size", json!(2));
        set("max_image_length", json!(-1));
        set("num_images", json!(-1));
    }
    config
}

/// Pictures of 32 pixels at their shorter side, in patches of 8.
fn picture_steps() -> Value {
    json!({
        "image_processor_type": "ViltImageProcessor",
        "do_resize": true,
        "size": { "shortest_edge": SIDE },
        "size_divisor": PATCH,
        "resample": 3,
        "do_rescale": true,
        "rescale_factor": 1.0 / 255.0,
        "do_normalize": true,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "do_pad": true,
    })
}
