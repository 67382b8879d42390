//! The tiny FLAVA: two layers a tower and one that joins them.

use serde_json::{Map, Value, json};

use crate::scratch::{Blueprint, Content, CreateRequest, PATCH, RANGE, SIDE};
use crate::vocabulary::Vocabulary;

/// Tokens of a text.
const POSITIONS: usize = 40;
const HIDDEN: usize = 32;

/// Files of a tiny model whose words are those of the training texts.
pub(crate) fn blueprint(request: &CreateRequest<'_>) -> Blueprint {
    let vocabulary = Vocabulary::of(request.texts, request.preset.accents);
    let text = [
        ("vocab_size", json!(vocabulary.len())),
        ("max_position_embeddings", json!(POSITIONS)),
        ("type_vocab_size", json!(2)),
        ("pad_token_id", json!(0)),
    ];
    let image = [
        ("image_size", json!(SIDE)),
        ("patch_size", json!(PATCH)),
        ("num_channels", json!(3)),
        ("mask_token", json!(true)),
    ];
    let config = [
        ("architectures", Value::Null),
        ("model_type", json!("flava")),
        ("hidden_size", json!(HIDDEN)),
        ("projection_dim", json!(HIDDEN)),
        ("initializer_range", json!(RANGE)),
        ("layer_norm_eps", json!(1e-12)),
        ("text_config", tower(2, &text)),
        ("image_config", tower(2, &image)),
        ("multimodal_config", tower(1, &[("use_cls_token", json!(true))])),
    ];
    Blueprint {
        config: object(&config),
        files: vec![
            ("tokenizer.json", Content::Json(vocabulary.tokenizer())),
            ("tokenizer_config.json", Content::Json(vocabulary.tokenizer_config(POSITIONS))),
            ("vocab.txt", Content::Text(vocabulary.text())),
            ("preprocessor_config.json", Content::Json(picture_steps())),
        ],
    }
}

/// An encoder with this many layers and keys of its own.
fn tower(layers: usize, own: &[(&str, Value)]) -> Value {
    let mut config = object(&[
        ("hidden_size", json!(HIDDEN)),
        ("num_hidden_layers", json!(layers)),
        ("num_attention_heads", json!(2)),
        ("intermediate_size", json!(2 * HIDDEN)),
        ("hidden_act", json!("gelu")),
        ("hidden_dropout_prob", json!(0.0)),
        ("attention_probs_dropout_prob", json!(0.0)),
        ("initializer_range", json!(RANGE)),
        ("layer_norm_eps", json!(1e-12)),
        ("qkv_bias", json!(true)),
    ]);
    config.extend(object(own));
    Value::Object(config)
}

fn object(entries: &[(&str, Value)]) -> Map<String, Value> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}

/// Pictures squashed to 32 by 32 pixels; means and deviations are those of the published model.
fn picture_steps() -> Value {
    json!({
        "image_processor_type": "FlavaImageProcessor",
        "do_resize": true,
        "size": { "height": SIDE, "width": SIDE },
        "resample": 3,
        "do_center_crop": false,
        "do_rescale": true,
        "rescale_factor": 1.0 / 255.0,
        "do_normalize": true,
        "image_mean": [0.481_454_66, 0.457_827_5, 0.408_210_73],
        "image_std": [0.268_629_54, 0.261_302_58, 0.275_777_11],
    })
}
