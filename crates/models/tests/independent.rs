//! BERT and CLIP against another implementation in Rust: candle-transformers, which only infers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use candle_transformers::models::clip::text_model::{Activation, ClipTextConfig};
use candle_transformers::models::clip::vision_model::ClipVisionConfig;
use candle_transformers::models::clip::{ClipConfig, ClipModel};
use mmc_models::{FreshHead, LoadRequest, Pass, load};
use mmc_preprocess::{Batch, ImageInput, TextInput};

#[test]
fn pooled_states_agree_with_candle_transformers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/models/bert");
    let model = load(&LoadRequest {
        folder: &folder,
        labels: &[],
        arm: None,
        head: None,
        fresh_head: FreshHead::Refused,
        dropout: None,
        device: &Device::Cpu,
    })
    .unwrap()
    .model;
    let ids = Tensor::new(&[[2_u32, 40, 41, 42, 3], [2, 50, 3, 0, 0]], &Device::Cpu).unwrap();
    let mask = Tensor::new(&[[1_f32; 5], [1., 1., 1., 0., 0.]], &Device::Cpu).unwrap();
    let segments = ids.zeros_like().unwrap();
    let text = TextInput {
        token_ids: ids.clone(),
        type_ids: segments.clone(),
        attention_mask: mask.clone(),
        lengths: vec![5, 3],
    };
    let batch = Batch {
        ids: vec!["a".to_owned(), "b".to_owned()],
        groups: vec![None, None],
        text: Some(text),
        image: None,
        targets: None,
    };
    let pooled = model.encode(&batch, &Pass::evaluate()).unwrap();

    let text = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let config: Config = serde_json::from_str(&text).unwrap();
    let tensors = candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu);
    let dense = |tensors: &std::collections::HashMap<String, Tensor>, part: &str| {
        tensors[&format!("bert.pooler.dense.{part}")].clone()
    };
    let tensors = tensors.unwrap();
    let (weight, bias) = (dense(&tensors, "weight"), dense(&tensors, "bias"));
    let builder = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let peer = BertModel::load(builder.pp("bert"), &config).unwrap();
    let states = peer.forward(&ids, &segments, Some(&mask)).unwrap();
    let first = states.narrow(1, 0, 1).unwrap().squeeze(1).unwrap().contiguous().unwrap();
    let expected = first.matmul(&weight.t().unwrap()).unwrap().broadcast_add(&bias).unwrap();
    let difference = (pooled - expected.tanh().unwrap()).unwrap().abs().unwrap();
    let largest = difference.max_all().unwrap().to_scalar::<f32>().unwrap();
    assert!(largest <= 1e-5, "{largest}");
}

#[test]
fn projections_agree_with_candle_transformers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/models/clip");
    let model = load(&LoadRequest {
        folder: &folder,
        labels: &[],
        arm: None,
        head: None,
        fresh_head: FreshHead::Refused,
        dropout: None,
        device: &Device::Cpu,
    })
    .unwrap()
    .model;
    // The two last ids of the vocabulary are the start and the end token.
    let rows = [[566_u32, 70, 71, 300, 72, 567], [566, 90, 567, 0, 0, 0]];
    let ids = Tensor::new(&rows, &Device::Cpu).unwrap();
    let mask = Tensor::new(&[[1_f32; 6], [1., 1., 1., 0., 0., 0.]], &Device::Cpu).unwrap();
    let pixels = (0..2 * 3 * 32 * 32).map(|index| (index as f32 * 0.37).sin()).collect();
    let pixels = Tensor::from_vec(pixels, (2, 3, 32, 32), &Device::Cpu).unwrap();
    let text = TextInput {
        token_ids: ids.clone(),
        type_ids: ids.zeros_like().unwrap(),
        attention_mask: mask,
        lengths: vec![6, 3],
    };
    let batch = Batch {
        ids: vec!["a".to_owned(), "b".to_owned()],
        groups: vec![None, None],
        text: Some(text),
        image: Some(ImageInput { pixel_values: pixels.clone(), sizes: vec![(32, 32); 2] }),
        targets: None,
    };
    let pooled = model.encode(&batch, &Pass::evaluate()).unwrap();

    let tensors = candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu);
    let builder = VarBuilder::from_tensors(tensors.unwrap(), DType::F32, &Device::Cpu);
    let peer = ClipModel::new(builder, &clip_sizes()).unwrap();
    let text = peer.get_text_features(&ids).unwrap();
    let image = peer.get_image_features(&pixels).unwrap();
    let expected = Tensor::cat(&[text, image], 1).unwrap();
    let difference = (pooled - expected).unwrap().abs().unwrap();
    let largest = difference.max_all().unwrap().to_scalar::<f32>().unwrap();
    assert!(largest <= 1e-5, "{largest}");
}

/// Those of the fixture.
fn clip_sizes() -> ClipConfig {
    ClipConfig {
        text_config: ClipTextConfig {
            vocab_size: 568,
            embed_dim: 24,
            activation: Activation::QuickGelu,
            intermediate_size: 48,
            max_position_embeddings: 16,
            pad_with: None,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            projection_dim: 20,
        },
        vision_config: ClipVisionConfig {
            embed_dim: 32,
            activation: Activation::QuickGelu,
            intermediate_size: 48,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            projection_dim: 20,
            num_channels: 3,
            image_size: 32,
            patch_size: 8,
        },
        logit_scale_init_value: 0.0,
        image_size: 32,
    }
}
