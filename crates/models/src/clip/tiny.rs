//! A tiny CLIP: its configuration, its tokenizer learned from the training texts, its picture
//! steps, all as transformers writes them.

use serde_json::{Map, Value, json};
use tokenizers::{NormalizedString, PreTokenizerWrapper};

use crate::ModelError;
use crate::bpe::{Bpe, count_words};
use crate::scratch::{Blueprint, Content, CreateRequest, PATCH, RANGE, SIDE};

/// Tokens of a text, with its two special ones.
const POSITIONS: usize = 40;

/// Most tokens of a vocabulary, special ones aside; 512 of them are bytes.
const MOST: usize = 4096;

const START: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";

/// Two towers of two layers, 32 wide.
pub(crate) fn blueprint(request: &CreateRequest<'_>) -> Result<Blueprint, ModelError> {
    let bpe = learn(request.texts)?;
    let (start, end) = (bpe.vocabulary.len(), bpe.vocabulary.len() + 1);
    let tokenizer_config = json!({
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": POSITIONS,
        "bos_token": START,
        "eos_token": END,
        "pad_token": END,
        "unk_token": END,
    });
    let files = vec![
        ("tokenizer.json", Content::Json(tokenizer(&bpe, start, end))),
        ("tokenizer_config.json", Content::Json(tokenizer_config)),
        ("preprocessor_config.json", Content::Json(picture_steps())),
    ];
    Ok(Blueprint { config: config(start, end), files })
}

/// The merges of the words that the tokenizer will see.
fn learn(texts: &[&str]) -> Result<Bpe, ModelError> {
    let cut: PreTokenizerWrapper = serde_json::from_value(cuts())
        .map_err(|error| ModelError::Input { problem: error.to_string() })?;
    let normal: Vec<String> = texts
        .iter()
        .map(|text| {
            let mut normal = NormalizedString::from(*text);
            normal.nfc().lowercase();
            normal.get().to_owned()
        })
        .collect();
    let words = count_words(normal.iter().map(String::as_str), &cut);
    Ok(Bpe::train(&words, "</w>", MOST))
}

/// How a text is cut before merging: contractions, letters, single digits, runs of other signs.
fn cuts() -> Value {
    let pattern = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
    json!({
        "type": "Sequence",
        "pretokenizers": [
            {
                "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Removed",
                "invert": true,
            },
            {
                "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
                "use_regex": true,
            },
        ],
    })
}

/// `tokenizer.json`.
fn tokenizer(bpe: &Bpe, start: usize, end: usize) -> Value {
    let mut vocabulary: Map<String, Value> =
        bpe.vocabulary.iter().enumerate().map(|(id, token)| (token.clone(), json!(id))).collect();
    vocabulary.insert(START.to_owned(), json!(start));
    vocabulary.insert(END.to_owned(), json!(end));
    let special = |id: usize, content: &str| {
        json!({
            "id": id, "content": content, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true,
        })
    };
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [special(start, START), special(end, END)],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                { "type": "NFC" },
                { "type": "Replace", "pattern": { "Regex": "\\s+" }, "content": " " },
                { "type": "Lowercase" },
            ],
        },
        "pre_tokenizer": cuts(),
        "post_processor": {
            "type": "RobertaProcessing", "sep": [END, end], "cls": [START, start],
            "trim_offsets": false, "add_prefix_space": false,
        },
        "decoder": {
            "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true,
        },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": END, "continuing_subword_prefix": "",
            "end_of_word_suffix": "</w>", "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": false, "vocab": vocabulary, "merges": bpe.merges,
        },
    })
}

/// `config.json`, without classes. The start token is the last but one of the vocabulary, the end
/// token the last.
fn config(start: usize, end: usize) -> Map<String, Value> {
    let tower = |kind: &str, own: Value| {
        let mut tower = json!({
            "model_type": format!("clip_{kind}_model"),
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "hidden_act": "quick_gelu",
            "layer_norm_eps": 1e-5,
            "attention_dropout": 0.0,
            "initializer_range": RANGE,
            "projection_dim": 32,
        });
        if let (Some(tower), Value::Object(own)) = (tower.as_object_mut(), own) {
            tower.extend(own);
        }
        tower
    };
    let text = json!({
        "vocab_size": end + 1, "max_position_embeddings": POSITIONS,
        "bos_token_id": start, "eos_token_id": end, "pad_token_id": end,
    });
    let vision = json!({ "image_size": SIDE, "patch_size": PATCH, "num_channels": 3 });
    let mut config = Map::new();
    config.insert("architectures".to_owned(), Value::Null);
    config.insert("model_type".to_owned(), json!("clip"));
    config.insert("projection_dim".to_owned(), json!(32));
    config.insert("logit_scale_init_value".to_owned(), json!(2.6592));
    config.insert("initializer_factor".to_owned(), json!(1.0));
    config.insert("initializer_range".to_owned(), json!(RANGE));
    config.insert("text_config".to_owned(), tower("text", text));
    config.insert("vision_config".to_owned(), tower("vision", vision));
    config
}

/// Pictures of 32 pixels a side, cut from the middle.
fn picture_steps() -> Value {
    json!({
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": true,
        "do_resize": true,
        "size": { "shortest_edge": SIDE },
        "resample": 3,
        "do_center_crop": true,
        "crop_size": { "height": SIDE, "width": SIDE },
        "do_rescale": true,
        "rescale_factor": 1.0 / 255.0,
        "do_normalize": true,
        "image_mean": [0.481_454_66, 0.457_827_5, 0.408_210_73],
        "image_std": [0.268_629_54, 0.261_302_58, 0.275_777_11],
    })
}
