//! Tiny models from scratch, written as a folder like any other checkpoint.

use std::path::Path;

use candle_core::Device;
use mmc_data::Arm;
use serde_json::{Map, Value, json};

use crate::architecture::{ARCHITECTURES, Architecture, Build};
use crate::byte_vocabulary::{self, ByteVocabulary};
use crate::checkpoint::{self, Notes, Source, describe, write_file, write_folder, write_json};
use crate::config::ConfigFile;
use crate::parameters::{Initialiser, Parameters};
use crate::vocabulary::Vocabulary;
use crate::{LoadReport, ModelError, Preset, Trained};

/// Standard deviation of the initial weights, cut at two of them: at 0.02, which pretraining uses,
/// so small a model does not get off the ground.
pub(crate) const RANGE: f64 = 0.15;

/// Side of a picture and of a patch, in pixels.
pub(crate) const SIDE: usize = 32;
pub(crate) const PATCH: usize = 8;

/// What to make.
#[derive(Clone, Copy, Debug)]
pub struct CreateRequest<'a> {
    /// A tiny model's row of the catalogue.
    pub preset: &'a Preset,
    /// What it shall read. `None`: all that it can.
    pub arm: Option<Arm>,
    /// The kind of head, one of [`Preset::heads`]. `None`: the first.
    pub head: Option<&'a str>,
    /// The training texts, whose words make the vocabulary.
    pub texts: &'a [&'a str],
    /// The classes.
    pub labels: &'a [String],
    /// What the parameters are drawn from.
    pub seed: u64,
}

/// What the folder of a tiny model holds beside its parameters.
pub(crate) struct Blueprint {
    /// `config.json` without classes.
    pub(crate) config: Map<String, Value>,
    /// The files of tokenizer and processor.
    pub(crate) files: Vec<(&'static str, Content)>,
}

/// What is in a file.
pub(crate) enum Content {
    Json(Value),
    Text(String),
}

/// Makes a tiny model and writes it as a folder: `config.json`, the tokenizer's files,
/// `preprocessor_config.json` where it sees pictures, `model.safetensors`, `mmc.json`, and
/// `mmc_head.safetensors` where transformers has no class with such a head.
///
/// The vocabulary is that of the training texts; parameters are a function of the seed and their
/// names. So the same arguments give the same bytes.
///
/// # Errors
/// [`ModelError::NotTiny`] for a preset that is not tiny, [`ModelError::Classes`] where the labels
/// are not two or more different names, an arm or a head that the model does not have, files that
/// cannot be written.
pub fn create(request: &CreateRequest<'_>, destination: &Path) -> Result<(), ModelError> {
    let CreateRequest { preset, labels, .. } = request;
    let architecture = ARCHITECTURES.iter().find(|row| row.name == preset.architecture);
    let (true, Some(architecture)) = (preset.tiny, architecture) else {
        let remedy = "give a checkpoint, or choose a preset whose name ends in `-tiny`".to_owned();
        return Err(ModelError::NotTiny { preset: preset.name.to_owned(), remedy });
    };
    checkpoint::check_labels(labels)?;
    let arm = request.arm.unwrap_or(preset.default_arm());
    architecture.check_arm(arm)?;
    let head = architecture.head(request.head)?.name;
    let Blueprint { mut config, files } = (architecture.blueprint)(request)?;
    write_folder(destination, |folder| {
        describe(&mut config, architecture, labels);
        write_json(&folder.join("config.json"), &config)?;
        for (name, content) in &files {
            match content {
                Content::Json(value) => write_json(&folder.join(name), value)?,
                Content::Text(text) => write_file(&folder.join(name), text.as_bytes())?,
            }
        }
        let notes = Notes {
            preset: preset.name.to_owned(),
            arm,
            head: head.to_owned(),
            classes: labels.to_vec(),
        };
        write_json(&folder.join("mmc.json"), &notes)?;
        let config = ConfigFile::read(folder)?;
        let build = Build { config: &config, dropout: None, arm, head, classes: labels.len() };
        write_parameters(folder, architecture, &build, request.seed)
    })
}

/// Draws the parameters of a model and writes them.
fn write_parameters(
    folder: &Path,
    architecture: &Architecture,
    build: &Build<'_>,
    seed: u64,
) -> Result<(), ModelError> {
    let initialiser = Initialiser { seed, range: RANGE, truncated: true };
    let mut parameters = Parameters {
        source: Source::Scratch(initialiser),
        off_path: &[],
        trained: Trained::Everything,
        stacks: Vec::new(), // nothing trains here
        device: &Device::Cpu,
        list: Vec::new(),
        report: LoadReport::default(),
    };
    let model = (architecture.build)(build, &mut parameters)?;
    checkpoint::write_parameters(folder, architecture, model.parameters())
}

/// A model with a vocabulary of word pieces: the blueprint of BERT and ViLT.
pub(crate) fn word_pieces(request: &CreateRequest<'_>) -> Blueprint {
    let preset = request.preset;
    let vocabulary = Vocabulary::of(request.texts, preset.accents);
    let sees_pictures = preset.default_arm().uses_image();
    let positions = if sees_pictures { 40 } else { 64 };
    let mut files = vec![
        ("tokenizer.json", Content::Json(vocabulary.tokenizer())),
        ("tokenizer_config.json", Content::Json(vocabulary.tokenizer_config(positions))),
        ("vocab.txt", Content::Text(vocabulary.text())),
    ];
    if sees_pictures {
        files.push(("preprocessor_config.json", Content::Json(picture_steps())));
    }
    Blueprint { config: sizes(preset, vocabulary.len(), positions), files }
}

/// A model with a vocabulary of byte pairs: the blueprint of RoBERTa.
pub(crate) fn byte_pairs(request: &CreateRequest<'_>) -> Blueprint {
    let vocabulary = ByteVocabulary::of(request.texts);
    let longest = 64;
    let files = vec![
        ("tokenizer.json", Content::Json(vocabulary.tokenizer())),
        ("tokenizer_config.json", Content::Json(byte_vocabulary::tokenizer_config(longest))),
        ("vocab.json", Content::Json(vocabulary.ids())),
        ("merges.txt", Content::Text(vocabulary.merges_text())),
    ];
    // Positions begin behind the id of padding.
    let positions = longest + byte_vocabulary::PAD + 1;
    let mut config = sizes(request.preset, vocabulary.len(), positions);
    for (key, value) in [
        ("type_vocab_size", json!(1)),
        ("layer_norm_eps", json!(1e-5)),
        ("bos_token_id", json!(byte_vocabulary::START)),
        ("pad_token_id", json!(byte_vocabulary::PAD)),
        ("eos_token_id", json!(byte_vocabulary::END)),
    ] {
        config.insert(key.to_owned(), value);
    }
    Blueprint { config, files }
}

/// The configuration of a tiny model, without its classes.
fn sizes(preset: &Preset, vocabulary: usize, positions: usize) -> Map<String, Value> {
    let mut config = Map::new();
    let mut set = |key: &str, value: Value| {
        config.insert(key.to_owned(), value);
    };
    set("architectures", Value::Null);
    set("model_type", json!(preset.architecture));
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
    if preset.default_arm().uses_image() {
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
