//! One architecture at its published size against transformers and PyTorch.
//!
//! `cargo xtask references true_size` makes a folder for each, whose name it gives in
//! `MMC_TRUE_SIZE`, and says in `tests/references/long/true_size.py` what is in it and what the
//! tolerances are. A row of its table is printed; what differs by more fails afterwards.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and this one is read"
)]

mod learning;
#[path = "../../models/tests/reference/mod.rs"]
mod reference;

use std::path::{Path, PathBuf};

use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device};
use learning::losses_of;
use mmc_data::Arm;
use mmc_models::{Loaded, Pass, preset};
use mmc_preprocess::Batch;
use mmc_run::PartialSettings;
use reference::{distance, is_key_bias, largest_difference, loaded, loss_of, values, words};
use serde_json::Value;

const OUTPUTS: f64 = 1e-4;
const LOSS: f64 = 1e-5;
const GRADIENT: f64 = 1e-4;
const KEY_BIAS: f64 = 1e-6;
const STEP: f64 = 1e-3;

/// What the reference's folder holds.
struct Expected {
    folder: PathBuf,
    notes: Value,
    tensors: MmapedSafetensors,
}

impl Expected {
    fn open(folder: &Path) -> Self {
        let notes = std::fs::read_to_string(folder.join("expected.json")).unwrap();
        let file = folder.join("expected.safetensors");
        // SAFETY: the file was written before this process began, and nobody changes it.
        let tensors = unsafe { MmapedSafetensors::new(file) }.unwrap();
        Self { folder: folder.to_owned(), notes: serde_json::from_str(&notes).unwrap(), tensors }
    }

    fn has(&self, name: &str) -> bool {
        self.tensors.get(name).is_ok()
    }

    fn values(&self, name: &str) -> Vec<f32> {
        let tensor = self.tensors.load(name, &Device::Cpu).unwrap();
        values(&tensor.to_dtype(DType::F32).unwrap())
    }

    fn word(&self, key: &str) -> &str {
        self.notes[key].as_str().unwrap()
    }

    fn arm(&self) -> Arm {
        preset(self.word("preset")).unwrap().default_arm()
    }

    fn checkpoint(&self) -> PathBuf {
        self.folder.join("checkpoint")
    }
}

/// A figure of the table, and the most it may be; `None`: not compared.
type Figure = (&'static str, Option<f64>, f64);

#[test]
#[ignore = "needs a folder of `cargo xtask references true_size`"]
fn a_published_size_is_that_of_transformers() {
    let folder = std::env::var_os("MMC_TRUE_SIZE").unwrap();
    let expected = Expected::open(Path::new(&folder));
    let Loaded { model, labels, report, .. } = loaded(&expected.checkpoint());
    assert_eq!(labels, words(&expected.notes["labels"]));
    assert_eq!((report.fresh.len(), report.left_over.len()), (0, 0), "{report}");
    let data = expected.folder.join("data");
    let batch =
        reference::batch(&expected.checkpoint(), &data, &expected.notes, expected.arm(), &labels);
    let mut figures = inputs(&batch, &expected);
    let pooled = values(&model.encode(&batch, &Pass::evaluate()).unwrap());
    let logits = values(&model.forward(&batch, &Pass::evaluate()).unwrap().0);
    for (name, found) in [("pooled", pooled), ("logits", logits)] {
        let apart = largest_difference(&found, &expected.values(name));
        figures.push((name, Some(f64::from(apart)), OUTPUTS));
    }
    let loss = loss_of(&*model, &batch);
    let apart = (loss.to_scalar::<f32>().unwrap() - expected.values("loss")[0]).abs();
    figures.push(("loss", Some(f64::from(apart)), LOSS));
    let mut worst = String::new();
    let (gradients, key_biases) = if expected.has("steps") {
        let (name, gradient, key_bias) = gradients(&*model, &loss, &expected);
        worst = name;
        (Some(gradient), Some(key_bias))
    } else {
        (None, None)
    };
    figures.push(("gradients", gradients, GRADIENT));
    figures.push(("key biases", key_biases, KEY_BIAS));
    drop((model, loss, batch)); // training has its own
    figures.push(("steps", steps(&expected), STEP));

    let cells: Vec<String> = figures.iter().map(|(_, found, _)| cell(*found)).collect();
    let parameters = expected.notes["parameters"].as_u64().unwrap() as f64 / 1e6;
    let name = expected.word("name");
    println!("| {name} | {parameters:.1} M | {} | {worst} |", cells.join(" | "));
    for (what, found, most) in figures {
        assert!(
            found.is_none_or(|found| found <= most),
            "{name}: {what}: {found:?}, at most {most}"
        );
    }
}

fn cell(found: Option<f64>) -> String {
    match found {
        None => "–".to_owned(),
        Some(0.0) => "equal".to_owned(),
        Some(found) => format!("{found:.1e}"),
    }
}

/// Token ids and pixels, which have to be equal.
fn inputs(batch: &Batch, expected: &Expected) -> Vec<Figure> {
    let ids = batch.text.as_ref().unwrap().token_ids.to_dtype(DType::F32).unwrap();
    let tokens = largest_difference(&values(&ids), &expected.values("input_ids"));
    let pixels = batch.image.as_ref().map(|image| {
        let theirs = expected.values("pixel_values");
        f64::from(largest_difference(&values(&image.pixel_values), &theirs))
    });
    // Both sides scale levels to floats in f32: a last digit is no pixel.
    vec![("tokens", Some(f64::from(tokens)), 0.0), ("pixels", pixels, 1e-6)]
}

/// The parameter whose gradient is relatively furthest off, by how much, and the largest absolute
/// difference of a key bias.
fn gradients(
    model: &dyn mmc_models::Classifier,
    loss: &candle_core::Tensor,
    expected: &Expected,
) -> (String, f64, f64) {
    let variables = model.parameters().iter().map(|parameter| parameter.var.as_tensor());
    let mut gradients = mmc_ops::Gradients::of(variables);
    gradients.add(loss).unwrap();
    let active = || model.parameters().iter().filter(|parameter| parameter.active);
    let theirs = expected.tensors.tensors();
    let theirs = theirs.iter().filter(|(name, _)| name.starts_with("gradient/")).count();
    assert_eq!(theirs, active().count(), "parameters with a gradient");
    let (mut worst, mut most, mut key_bias) = (String::new(), 0.0, 0.0_f64);
    for parameter in active() {
        let found = values(gradients.get(&parameter.var).unwrap());
        let reference = expected.values(&format!("gradient/{}", parameter.name));
        if is_key_bias(&parameter.name) {
            key_bias = key_bias.max(f64::from(largest_difference(&found, &reference)));
            continue;
        }
        let norm = distance(&reference, &vec![0.0; reference.len()]);
        let relative = distance(&found, &reference) / norm;
        if relative > most {
            (worst, most) = (parameter.name.clone(), relative);
        }
    }
    (worst, most, key_bias)
}

/// The largest relative difference of a step's loss.
fn steps(expected: &Expected) -> Option<f64> {
    if !expected.has("steps") {
        return None;
    }
    let theirs = expected.values("steps");
    let number = |key: &str| expected.notes[key].as_f64().unwrap();
    let asked = PartialSettings {
        model: Some(expected.word("preset").to_owned()),
        arm: Some(expected.arm()),
        checkpoint: Some(expected.checkpoint().display().to_string()),
        data_root: Some(expected.folder.join("data").display().to_string()),
        max_steps: Some(theirs.len() as u64),
        max_length: Some(number("max_length") as usize),
        batch_size: Some(number("batch") as usize),
        learning_rate: Some(number("learning_rate")),
        warmup_ratio: Some(number("warmup_ratio")),
        ..PartialSettings::default()
    };
    let found = losses_of(asked);
    assert_eq!(found.len(), theirs.len());
    let errors = found.iter().zip(theirs).map(|(ours, theirs)| {
        let theirs = f64::from(theirs);
        (ours - theirs).abs() / theirs
    });
    Some(errors.fold(0.0, f64::max))
}
