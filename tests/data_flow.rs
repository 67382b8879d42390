//! The walk of one sample, a hop at a time: from the row of a file to a score.
//!
//! This is the first file to read. Each hop is one call of one crate; what it yields is checked
//! against something worked out by other means.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use candle_core::{D, DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use image::{Rgb, RgbImage};
use mmc_data::{Arm, ReadOptions, Target, dataset};
use mmc_metrics::{Items, evaluate};
use mmc_models::{CreateRequest, FreshHead, LoadRequest, Pass, create, load, preset};
use mmc_preprocess::{Padding, Processor, TextInput, collate};
use mmc_train::{PredictOptions, predict};

const ROWS: [&str; 3] = [
    r#"{"id": 1, "img": "img/day.png", "label": 0, "text": "what a lovely day"}"#,
    r#"{"id": 2, "img": "img/night.png", "label": 1, "text": "lovely"}"#,
    r#"{"id": 3, "img": "img/day.png", "label": 1, "text": "what a night"}"#,
];

#[test]
fn one_sample_walks_from_file_to_score() {
    for model in ["bert-tiny", "vilt-tiny"] {
        let place = tempfile::tempdir().unwrap();
        let in_file_order = walk(model, place.path(), [0, 1, 2]);
        let shuffled = walk(model, place.path(), [2, 0, 1]);
        assert_eq!(in_file_order, shuffled, "the order of rows changed a prediction");
    }
}

/// Walks the rows, in this order, to the end; the probability of the second class by id.
fn walk(name: &str, place: &Path, order: [usize; 3]) -> BTreeMap<String, String> {
    write_files(place, order);

    // 1. A row of a file becomes a sample.
    let data = dataset("hateful_memes").unwrap();
    let split = Arc::new(data.read(place, "train", &ReadOptions::default()).unwrap());
    let first = split.iter().find(|sample| sample.id == "1").unwrap();
    assert_eq!(first.text, "what a lovely day");
    assert_eq!(first.target, Some(Target::Class(0)));
    assert_eq!(split.labels, ["not_hateful", "hateful"]);

    // A tiny model, made from the texts and a seed: a folder like any other checkpoint.
    let folder = place.join(format!("{name}-{}", order[0]));
    let texts = ["what a lovely day", "lovely", "what a night"]; // not the file's order
    let request = CreateRequest {
        preset: preset(name).unwrap(),
        arm: None,
        head: None,
        texts: &texts,
        labels: &split.labels,
        seed: 7,
    };
    create(&request, &folder).unwrap();
    let request = LoadRequest {
        folder: &folder,
        labels: &split.labels,
        arm: None,
        head: None,
        fresh_head: FreshHead::Refused,
        dropout: None,
        device: &Device::Cpu,
    };
    let loaded = load(&request).unwrap();

    // 2. A sample becomes an example: token ids and pixels.
    let processor = Arc::new(Processor::from_folder(&folder, loaded.model.arm()).unwrap());
    let example = processor.prepare(first).unwrap();
    let vocabulary = fs::read_to_string(folder.join("vocab.txt")).unwrap();
    let id = |word: &str| vocabulary.lines().position(|line| line == word).unwrap() as u32;
    let words = ["[CLS]", "what", "a", "lovely", "day", "[SEP]"];
    assert_eq!(example.text.as_ref().unwrap().ids, words.map(id));
    assert_eq!(example.image.is_some(), loaded.model.arm() == Arm::Both);
    if let Some(pixels) = &example.image {
        let bright = (220.0 / 255.0 - 0.5) / 0.5; // mean and deviation 0.5
        assert!(pixels.values.iter().all(|value| (value - bright).abs() < 1e-6));
    }

    // 3. Examples become a batch, padded to the longest.
    let examples: Vec<_> = split.iter().map(|sample| processor.prepare(sample).unwrap()).collect();
    let batch = collate(&examples, Padding::Longest, processor.pad_id()).unwrap();
    let text = batch.text.as_ref().unwrap();
    assert_eq!(text.token_ids.dims(), [3, 6]);
    let kept: f32 = text.attention_mask.sum_all().unwrap().to_scalar().unwrap();
    assert_eq!(kept as usize, 6 + 3 + 5);

    // 4. A batch becomes logits.
    let logits = loaded.model.forward(&batch, &Pass::evaluate()).unwrap().0;
    assert_eq!(logits.dims(), [3, 2]);
    if name == "bert-tiny" {
        assert_close(&logits, &by_candle_transformers(&folder, text));
    }

    // 5. Logits become predictions, whatever the size of the batches.
    let mut options = PredictOptions::new(split.labels.clone());
    options.rows = 2;
    let predicted =
        predict(loaded.model.as_ref(), &processor, &split, &options, &mut |_| {}).unwrap();
    let predictions = predicted.predictions;
    for (row, logits) in predictions.rows.iter().zip(logits.to_vec2::<f32>().unwrap()) {
        let odds = f64::from(logits[1] - logits[0]).exp();
        assert!((row.probabilities[1] - odds / (1.0 + odds)).abs() < 1e-5);
    }

    // 6. Predictions become a score.
    let scored = predictions.scored().unwrap();
    let items = Items {
        logits: scored.logits.as_deref(),
        ..Items::new(&scored.labels, &scored.predictions, &scored.probabilities, 2)
    };
    let right = predictions.rows.iter().filter(|row| row.label.as_ref() == Some(&row.prediction));
    let score = evaluate(&items, 0).unwrap();
    assert_eq!(score.value("accuracy"), Some(right.count() as f64 / 3.0));

    predictions
        .rows
        .iter()
        .map(|row| (row.id.clone(), format!("{:.5}", row.probabilities[1])))
        .collect()
}

fn write_files(place: &Path, order: [usize; 3]) {
    fs::create_dir_all(place.join("img")).unwrap();
    for (name, level) in [("day", 220), ("night", 20)] {
        let picture = RgbImage::from_pixel(40, 40, Rgb([level; 3]));
        picture.save(place.join(format!("img/{name}.png"))).unwrap();
    }
    let rows = order.map(|row| ROWS[row]).join("\n");
    fs::write(place.join("train.jsonl"), rows + "\n").unwrap();
}

/// The same logits by candle-transformers' BERT, with pooler and classifier worked out here.
fn by_candle_transformers(folder: &Path, text: &TextInput) -> Tensor {
    let config: Config =
        serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap();
    let weights = fs::read(folder.join("model.safetensors")).unwrap();
    let weights = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu).unwrap();
    let bert = BertModel::load(weights.pp("bert"), &config).unwrap();
    let TextInput { token_ids, type_ids, attention_mask, .. } = text;
    let hidden = bert.forward(token_ids, type_ids, Some(attention_mask)).unwrap(); // [batch, tokens, hidden]
    let first = hidden.narrow(1, 0, 1).unwrap().squeeze(1).unwrap(); // [batch, hidden]
    let dense = |input: &Tensor, name: &str| {
        let weight = weights.get_unchecked(&format!("{name}.weight")).unwrap();
        let bias = weights.get_unchecked(&format!("{name}.bias")).unwrap();
        input.matmul(&weight.t().unwrap()).unwrap().broadcast_add(&bias).unwrap()
    };
    dense(&dense(&first, "bert.pooler.dense").tanh().unwrap(), "classifier")
}

fn assert_close(ours: &Tensor, reference: &Tensor) {
    let difference = (ours - reference).unwrap().abs().unwrap().max(D::Minus1).unwrap();
    let largest = difference.to_vec1::<f32>().unwrap().into_iter().fold(0.0, f32::max);
    assert!(largest < 2e-5, "logits differ by {largest}");
}
