//! BERT against another implementation in Rust: candle-transformers, which only infers.

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
use mmc_models::{FreshHead, LoadRequest, Pass, load};
use mmc_preprocess::{Batch, TextInput};

#[test]
fn pooled_states_agree_with_candle_transformers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/models/bert");
    let model = load(&LoadRequest {
        folder: &folder,
        labels: &[],
        arm: None,
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
