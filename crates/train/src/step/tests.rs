mod devices;
mod ranks;
mod spans;

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Shape, Var};
use mmc_data::Arm;
use mmc_models::{Logits, ModelError, States};
use mmc_preprocess::{ImageInput, Targets as BatchTargets};

use super::update::clip_factor;
use super::*;
use crate::optimizer::AdamWSettings;

/// Logits are `pixels × weight`; `unused` is on no path. It panics where a pixel is one of these two.
struct Linear {
    parameters: Vec<Parameter>,
}

const FORWARD_PANICS: f32 = 1e6;
const BACKWARD_PANICS: f32 = 2e6;

/// The same numbers, with a backward pass that panics.
struct Panics;

impl CustomOp1 for Panics {
    fn name(&self) -> &'static str {
        "panics"
    }
    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((x.clone(), layout.shape().clone()))
    }
    fn bwd(
        &self,
        _x: &Tensor,
        _result: &Tensor,
        _gradient: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        panic!("backward panics")
    }
}

impl Classifier for Linear {
    fn encode(&self, batch: &Batch, _pass: &Pass) -> Result<Tensor, ModelError> {
        let pixels = &batch.image.as_ref().unwrap().pixel_values;
        Ok(pixels.reshape((batch.rows(), 3))?)
    }
    fn classify(&self, pixels: &Tensor, _pass: &Pass) -> Result<Logits, ModelError> {
        let all = pixels.flatten_all()?.to_vec1::<f32>()?;
        let holds = |value: f32| all.iter().any(|pixel| (pixel - value).abs() < 1.0);
        assert!(!holds(FORWARD_PANICS), "forward panics");
        let logits = pixels.matmul(self.parameters[0].var.as_tensor())?; // [batch, 2]
        Ok(Logits(if holds(BACKWARD_PANICS) { logits.apply_op1(Panics)? } else { logits }))
    }
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }
    fn arm(&self) -> Arm {
        Arm::Image
    }
    fn head(&self) -> &'static str {
        "linear"
    }
    fn classes(&self) -> usize {
        2
    }
    fn device(&self) -> &Device {
        &Device::Cpu
    }
    fn flops(&self, _text: f64, _image: f64) -> f64 {
        12.0
    }
    fn image_tokens(&self, _height: usize, _width: usize) -> usize {
        1
    }
    fn picture(&self, _aspect: f64) -> Option<(usize, usize)> {
        Some((1, 1))
    }
    fn states(&self, _text_tokens: usize, _picture: Option<(usize, usize)>) -> States {
        States::default()
    }
}

fn linear(unused_is_active: bool) -> Linear {
    let parameter = |name: &str, active| {
        let weight = [[0.1_f32, -0.2], [0.3, 0.4], [-0.5, 0.6]];
        let var = Var::new(&weight, &Device::Cpu).unwrap();
        Parameter { active, ..Parameter::new(name, var) }
    };
    Linear { parameters: vec![parameter("weight", true), parameter("unused", unused_is_active)] }
}

fn stepper(model: &Linear, clip_norm: f64) -> Stepper<'_> {
    let parameters: Vec<&Parameter> =
        model.parameters.iter().filter(|parameter| parameter.active).collect();
    let optimizer = AdamW::new(&parameters, AdamWSettings::with_weight_decay(0.0)).unwrap();
    let objective = Objective::CrossEntropy { class_weights: None, label_smoothing: 0.0 };
    let schedule = Schedule::new(0.1, 0.0, 10, mmc_run::Schedule::Constant);
    let gradients = Gradients::of(parameters.iter().map(|one| one.var.as_tensor()));
    Stepper {
        model,
        parameters,
        objective,
        schedule,
        clip_norm,
        seed: 0,
        optimizer,
        gradients,
        precision: Precision::F32,
        recomputed_layers: 0,
        scaler: None,
        adders: Adders::One,
    }
}

/// Rows `(pixels, class)` as a shard.
fn shard(rows: &[([f32; 3], u32)]) -> Result<Shard, TrainError> {
    let values: Vec<f32> = rows.iter().flat_map(|row| row.0).collect();
    let pixel_values = Tensor::from_vec(values, (rows.len(), 3, 1, 1), &Device::Cpu)?;
    let batch = Batch {
        ids: (0..rows.len()).map(|row| format!("id{row}")).collect(),
        groups: vec![None; rows.len()],
        text: None,
        image: Some(ImageInput { pixel_values, sizes: vec![(1, 1); rows.len()] }),
        targets: Some(BatchTargets::Classes(rows.iter().map(|row| row.1).collect())),
    };
    Ok(Shard { number: 0, first_row: 0, batch, pooled: None, cut_texts: 1 })
}

const ROWS: [([f32; 3], u32); 3] =
    [([1.0, 0.0, 2.0], 0), ([0.0, 1.0, -1.0], 1), ([0.5, 0.5, 0.5], 1)];

/// ln Σ exp − the right logit, and probabilities minus one-hot times the pixels, by hand.
fn expected() -> (f64, f64) {
    let weight = [[0.1, -0.2], [0.3, 0.4], [-0.5, 0.6]];
    let (mut loss, mut gradient) = (0.0, [[0.0; 2]; 3]);
    for (pixels, class) in ROWS {
        let mut logits = [0.0_f64; 2];
        for (pixel, weights) in pixels.iter().zip(weight) {
            for (logit, weight) in logits.iter_mut().zip(weights) {
                *logit += f64::from(*pixel) * weight;
            }
        }
        let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
        loss += sum.ln() - logits[class as usize];
        for (row, pixel) in gradient.iter_mut().zip(pixels) {
            for (at, value) in row.iter_mut().enumerate() {
                let hot = if at == class as usize { 1.0 } else { 0.0 };
                *value += f64::from(pixel) * (logits[at].exp() / sum - hot);
            }
        }
    }
    let squares: f64 = gradient.iter().flatten().map(|value| value * value).sum();
    (loss / 3.0, squares.sqrt() / 3.0)
}

#[test]
fn a_step_is_the_sum_over_its_shards_over_all_its_items() {
    let (loss, norm) = expected();
    let mut weights = Vec::new();
    for cut in [vec![&ROWS[..]], vec![&ROWS[..2], &ROWS[2..]], vec![&ROWS[..1], &ROWS[1..]]] {
        let model = linear(false);
        let shards = cut.into_iter().map(shard);
        let outcome = stepper(&model, 1e9).step(1, shards).unwrap();
        let (found, found_norm) = (outcome.loss.unwrap(), outcome.grad_norm.unwrap());
        assert!((found - loss).abs() < 1e-6, "{found} {loss}");
        assert!((found_norm - norm).abs() < 1e-6, "{found_norm} {norm}");
        assert_eq!(outcome.items, 3);
        weights.push(model.parameters[0].var.to_vec2::<f32>().unwrap());
    }
    for (one, other) in weights[0].concat().iter().zip(weights[1].concat()) {
        assert!((one - other).abs() < 1e-6);
    }
}

#[test]
fn gradients_are_clipped_as_pytorch_does() {
    assert!((clip_factor(4.0, 1.0) - 1.0 / 4.000_001).abs() < 1e-12);
    assert!((clip_factor(0.5, 1.0) - 1.0).abs() < 1e-12);
}

#[test]
fn a_loss_that_is_no_number_is_named_with_its_items() {
    let model = linear(false);
    let rows = [([f32::NAN, 0.0, 0.0], 0)];
    let error = stepper(&model, 1.0).step(2, [shard(&rows)].into_iter()).unwrap_err();
    assert!(error.to_string().starts_with("step 2: the loss is `NaN`"), "{error}");
    let unchanged = linear(false).parameters[0].var.to_vec2::<f32>().unwrap();
    assert_eq!(model.parameters[0].var.to_vec2::<f32>().unwrap(), unchanged);
}

#[test]
fn a_gradient_that_is_no_number_is_named() {
    let model = linear(false);
    // Logits stay finite (the weights cancel), the gradient of 3e38 × 3 rows does not.
    model.parameters[0].var.set(&model.parameters[0].var.zeros_like().unwrap()).unwrap();
    let rows = [([3e38, 0.0, 0.0], 0); 3];
    let error = stepper(&model, 1.0).step(2, [shard(&rows)].into_iter()).unwrap_err();
    assert!(error.to_string().contains("the gradient of `weight`"), "{error}");
}

#[test]
fn a_scaled_loss_gives_the_same_step() {
    let (model, other) = (linear(false), linear(false));
    let mut scaled = stepper(&model, 1.0);
    scaled.scaler = Some(LossScaler::new(mmc_run::LossScale::Fixed(1024.0)));
    let outcome = scaled.step(1, [shard(&ROWS)].into_iter()).unwrap();
    // A power of two changes no digit.
    assert_eq!(outcome, stepper(&other, 1.0).step(1, [shard(&ROWS)].into_iter()).unwrap());
    let [found, expected] =
        [&model, &other].map(|at| at.parameters[0].var.to_vec2::<f32>().unwrap());
    assert_eq!(found, expected);
}

#[test]
fn an_overflow_halves_the_scale_and_skips_the_step() {
    let (model, other) = (linear(false), linear(false));
    // Clipped to 1 they would be scaled below f32's normal numbers.
    let mut scaled = stepper(&model, 1e9);
    scaled.scaler = Some(LossScaler::new(mmc_run::LossScale::Dynamic));
    let rows = [([2e34, 0.0, 0.0], 0), ([0.0, 1.0, -1.0], 1)];
    model.parameters[0].var.set(&model.parameters[0].var.zeros_like().unwrap()).unwrap();
    let before = model.parameters[0].var.to_vec2::<f32>().unwrap();
    let skipped = scaled.step(1, [shard(&rows)].into_iter()).unwrap();
    assert!(skipped.loss.is_some() && skipped.grad_norm.is_none());
    assert_eq!(model.parameters[0].var.to_vec2::<f32>().unwrap(), before);
    let scaler = scaled.scaler.unwrap();
    assert!((scaler.scale - 32_768.0).abs() < 1e-9 && scaler.skipped == 1);
    // The step that fits is the optimiser's first.
    other.parameters[0].var.set(&other.parameters[0].var.zeros_like().unwrap()).unwrap();
    let taken = scaled.step(2, [shard(&rows)].into_iter()).unwrap();
    assert!(taken.grad_norm.is_some(), "{taken:?}");
    stepper(&other, 1e9).step(2, [shard(&rows)].into_iter()).unwrap();
    let [found, expected] =
        [&model, &other].map(|at| at.parameters[0].var.to_vec2::<f32>().unwrap());
    assert_eq!(found, expected);
}

#[test]
fn a_scale_that_collapses_is_named() {
    let model = linear(false);
    model.parameters[0].var.set(&model.parameters[0].var.zeros_like().unwrap()).unwrap();
    let mut scaled = stepper(&model, 1.0);
    scaled.scaler = Some(LossScaler::new(mmc_run::LossScale::Dynamic));
    let rows = [([3e38, 0.0, 0.0], 0); 3];
    let error = (1..20).find_map(|step| scaled.step(step, [shard(&rows)].into_iter()).err());
    let message = error.unwrap().to_string();
    assert!(message.starts_with("step 17: the gradient of `weight`"), "{message}");
    assert!(message.contains("a loss scale of 1,"), "{message}");
}

#[test]
fn a_step_without_items_changes_nothing() {
    let (model, other) = (linear(false), linear(false));
    let mut with_gap = stepper(&model, 1.0);
    let before = model.parameters[0].var.to_vec2::<f32>().unwrap();
    let outcome = with_gap.step(1, std::iter::empty()).unwrap();
    assert_eq!((outcome.loss, outcome.grad_norm, outcome.items), (None, None, 0));
    assert_eq!(model.parameters[0].var.to_vec2::<f32>().unwrap(), before);
    with_gap.step(2, [shard(&ROWS)].into_iter()).unwrap();
    // The optimiser's own count of steps does not know the empty one.
    stepper(&other, 1.0).step(2, [shard(&ROWS)].into_iter()).unwrap();
    let [found, expected] =
        [&model, &other].map(|at| at.parameters[0].var.to_vec2::<f32>().unwrap());
    assert_eq!(found, expected);
}

#[test]
fn items_without_labels_are_an_error() {
    let model = linear(false);
    let mut unlabelled = shard(&ROWS).unwrap();
    unlabelled.batch.targets = None;
    let error = stepper(&model, 1.0).step(2, [Ok(unlabelled)].into_iter()).unwrap_err();
    assert!(matches!(error, TrainError::NoTarget { step: 2, .. }));
}
