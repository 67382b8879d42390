//! AdamW, clipping and the schedule against PyTorch, step by step.
//!
//! The fixture is made by `tests/references/optimizer.py`, which states the tolerance.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use candle_core::{Device, Tensor, Var};
use mmc_models::Parameter;
use mmc_train::{AdamW, AdamWSettings, Schedule, sum_of_squares};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    peak: f64,
    warmup: u64,
    total: u64,
    clip_norm: f64,
    weight_decay: f64,
    start: Tensors,
    steps: Vec<Step>,
    layered: Layered,
}

#[derive(Deserialize)]
struct Layered {
    decay: f64,
    levels: Vec<usize>,
    start: Vec<Vec<f32>>,
    steps: Vec<LayeredStep>,
}

#[derive(Deserialize)]
struct LayeredStep {
    gradients: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Tensors {
    decay: Vec<f32>,
    bias: Vec<f32>,
}

#[derive(Deserialize)]
struct Step {
    gradients: Tensors,
    learning_rate: f64,
    grad_norm: f64,
    decay: Vec<f32>,
    bias: Vec<f32>,
}

fn tensor(values: &[f32]) -> Tensor {
    Tensor::new(values, &Device::Cpu).unwrap()
}

fn parameter(name: &str, values: &[f32], decay: bool) -> Parameter {
    let var = Var::from_tensor(&tensor(values)).unwrap();
    Parameter { decay, ..Parameter::new(name, var) }
}

fn close(found: &[f32], expected: &[f32], what: &str) {
    for (found, expected) in found.iter().zip(expected) {
        let error = (found - expected).abs() / expected.abs().max(1e-3);
        assert!(error < 2e-6, "{what}: {found} for {expected}");
    }
}

fn fixture() -> (Fixture, Schedule) {
    let fixture: Fixture = serde_json::from_str(include_str!("fixtures/adamw.json")).unwrap();
    let (peak, warmup, steps) = (fixture.peak, fixture.warmup, fixture.total);
    (fixture, Schedule { peak, warmup, steps, shape: mmc_run::Schedule::Linear })
}

/// A rate a level, as in a parameter group a level.
#[test]
fn layers_have_the_rates_of_parameter_groups_of_pytorch() {
    let (Fixture { layered, weight_decay, .. }, schedule) = fixture();
    let parameters: Vec<Parameter> = layered
        .start
        .iter()
        .zip(&layered.levels)
        .map(|(start, &below_head)| Parameter { below_head, ..parameter("w", start, true) })
        .collect();
    let parameters: Vec<&Parameter> = parameters.iter().collect();
    let settings = AdamWSettings::with_weight_decay(weight_decay).with_layer_decay(layered.decay);
    let mut optimizer = AdamW::new(&parameters, settings).unwrap();
    for (number, step) in (1..).zip(&layered.steps) {
        let gradients: Vec<Tensor> = step.gradients.iter().map(|values| tensor(values)).collect();
        optimizer.step(&parameters, &gradients, schedule.rate(number), 1.0).unwrap();
        for (parameter, expected) in parameters.iter().zip(&step.values) {
            let what = format!("step {number}, {} below the head", parameter.below_head);
            close(&parameter.var.to_vec1::<f32>().unwrap(), expected, &what);
        }
    }
}

#[test]
fn steps_are_those_of_pytorch() {
    let (fixture, schedule) = fixture();
    let parameters = [
        parameter("decay", &fixture.start.decay, true),
        parameter("bias", &fixture.start.bias, false),
    ];
    let parameters: Vec<&Parameter> = parameters.iter().collect();
    let settings = AdamWSettings::with_weight_decay(fixture.weight_decay);
    let mut optimizer = AdamW::new(&parameters, settings).unwrap();
    for (number, step) in (1..).zip(&fixture.steps) {
        let rate = schedule.rate(number);
        assert!((rate - step.learning_rate).abs() < 1e-12, "step {number}");
        let gradients = [tensor(&step.gradients.decay), tensor(&step.gradients.bias)];
        let squares: f64 = gradients.iter().map(|one| sum_of_squares(one).unwrap()).sum();
        let norm = squares.sqrt();
        assert!((norm / step.grad_norm - 1.0).abs() < 1e-6, "step {number}");
        let scale = (fixture.clip_norm / (norm + 1e-6)).min(1.0);
        optimizer.step(&parameters, &gradients, rate, scale).unwrap();
        let [decay, bias] = [0, 1].map(|at| parameters[at].var.to_vec1::<f32>().unwrap());
        close(&decay, &step.decay, &format!("step {number}, decay"));
        close(&bias, &step.bias, &format!("step {number}, bias"));
    }
}

/// Several chunks, the last one short.
const ELEMENTS: usize = 3 * 16 * 1024 + 77;

fn wave(scale: f32) -> Tensor {
    let values: Vec<f32> = (0..ELEMENTS).map(|at| scale * (at as f32 * 0.37).sin()).collect();
    tensor(&values)
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let parameter = parameter("w", &wave(1.0).to_vec1::<f32>().unwrap(), true);
            let settings = AdamWSettings::with_weight_decay(0.01);
            let mut optimizer = AdamW::new(&[&parameter], settings).unwrap();
            let sum = wave(0.3);
            for _ in 0..3 {
                optimizer.step(&[&parameter], std::slice::from_ref(&sum), 1e-2, 0.5).unwrap();
            }
            let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            let norm = sum_of_squares(&sum).unwrap().to_bits();
            (bits(parameter.var.to_vec1().unwrap()), bits(sum.to_vec1().unwrap()), norm)
        })
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(4));
}

#[test]
fn an_optimizer_goes_on_from_its_moments() {
    let whole = parameter("w", &[1.0, -2.0], true);
    let parts = parameter("w", &[1.0, -2.0], true);
    let settings = AdamWSettings::with_weight_decay(0.01);
    let gradients = [tensor(&[0.5, 0.25])];
    let mut optimizer = AdamW::new(&[&whole], settings).unwrap();
    for _ in 0..4 {
        optimizer.step(&[&whole], &gradients, 0.1, 1.0).unwrap();
    }
    let mut first = AdamW::new(&[&parts], settings).unwrap();
    for _ in 0..2 {
        first.step(&[&parts], &gradients, 0.1, 1.0).unwrap();
    }
    let mut second = AdamW::restored(first.moments().to_vec(), 2, settings);
    for _ in 0..2 {
        second.step(&[&parts], &gradients, 0.1, 1.0).unwrap();
    }
    assert_eq!(whole.var.to_vec1::<f32>().unwrap(), parts.var.to_vec1::<f32>().unwrap());
}

#[test]
fn what_does_not_fit_is_refused() {
    let integers = Tensor::new(&[1_u32], &Device::Cpu).unwrap();
    assert!(sum_of_squares(&integers).is_err());
}
