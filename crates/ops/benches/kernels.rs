//! Time of the operations at the sizes of BERT-base: 8 texts of 128 tokens, a shard of training.
//!
//! `cargo bench -p mmc-ops`; `RAYON_NUM_THREADS` sets the threads.
#![allow(clippy::expect_used, reason = "a bench stops at the first surprise")]

use candle_core::{DType, Device, Tensor, Var};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use mmc_ops::{
    Activation, Affine, AttentionPlan, Dropout, EncoderLayer, Gradients, Norms, Sequences,
    StateDropouts, without_gradient,
};
use mmc_random::{Purpose, generator, standard_normal};

const TOKENS: usize = 1024;
const HIDDEN: usize = 768;
const INNER: usize = 3072;
const HEADS: usize = 12;

fn main() {
    divan::main();
}

fn normal(shape: &[usize]) -> Tensor {
    let mut random = generator(1, Purpose::Simulation, 0, shape.iter().product::<usize>() as u64);
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| 0.05 * standard_normal(&mut random) as f32).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor")
}

fn variable(shape: &[usize]) -> Tensor {
    Var::from_tensor(&normal(shape)).expect("a variable").as_tensor().clone()
}

fn affine(outputs: usize, inputs: usize) -> Affine {
    Affine { weight: variable(&[outputs, inputs]), bias: variable(&[outputs]) }
}

fn layer(norms: Norms) -> EncoderLayer {
    let norm = || Affine { weight: variable(&[HIDDEN]), bias: variable(&[HIDDEN]) };
    let square = || affine(HIDDEN, HIDDEN);
    EncoderLayer {
        query: square(),
        key: square(),
        value: square(),
        attention_output: square(),
        attention_norm: norm(),
        inner: affine(INNER, HIDDEN),
        output: affine(HIDDEN, INNER),
        output_norm: norm(),
        eps: 1e-12,
        norms,
        activation: Activation::Gelu,
    }
}

fn drop(layer: &str) -> Dropout {
    Dropout { probability: 0.1, seed: 0, step: 1, layer: Dropout::layer(layer), first_row: 0 }
}

fn plan(length: usize) -> AttentionPlan {
    AttentionPlan::new(&Sequences::new(&vec![length; TOKENS / length]), HEADS, HIDDEN / HEADS)
}

/// Multiply-adds of a pass through a layer, without attention's.
fn multiply_adds() -> usize {
    TOKENS * (4 * HIDDEN * HIDDEN + 2 * HIDDEN * INNER)
}

/// A product as large as the largest of a layer: what the machine can do.
#[divan::bench]
fn product(bencher: Bencher<'_, '_>) {
    let (x, weight) = (normal(&[TOKENS, HIDDEN]), normal(&[INNER, HIDDEN]));
    bencher
        .counter(ItemsCount::new(TOKENS * HIDDEN * INNER))
        .bench_local(|| mmc_ops::linear(black_box(&x), &weight, None).expect("a product"));
}

#[divan::bench(args = [Norms::After, Norms::Before])]
fn layer_evaluation(bencher: Bencher<'_, '_>, norms: Norms) {
    let (layer, x, plan) = (layer(norms), normal(&[TOKENS, HIDDEN]), plan(128));
    bencher.counter(ItemsCount::new(multiply_adds())).bench_local(|| {
        without_gradient(|| layer.forward(black_box(&x), &plan, StateDropouts::default()))
            .expect("states")
    });
}

#[divan::bench(args = [Norms::After, Norms::Before])]
fn layer_training(bencher: Bencher<'_, '_>, norms: Norms) {
    let (layer, x) = (layer(norms), variable(&[TOKENS, HIDDEN]));
    let plan = plan(128).with_dropout(drop("attention")).expect("a plan");
    let dropouts = StateDropouts { attention_output: Some(drop("a")), output: Some(drop("b")) };
    let maps = [&layer.query, &layer.key, &layer.value, &layer.attention_output];
    let maps = maps.into_iter().chain([&layer.inner, &layer.output, &layer.attention_norm]);
    let parameters: Vec<&Tensor> = maps
        .chain([&layer.output_norm])
        .flat_map(|map| [&map.weight, &map.bias])
        .chain([&x])
        .collect();
    let mut gradients = Gradients::of(parameters);
    bencher.counter(ItemsCount::new(3 * multiply_adds())).bench_local(|| {
        gradients.reset();
        let states = layer.forward(&x, &plan, dropouts).expect("states");
        gradients.add(&states.sum_all().expect("a sum")).expect("gradients");
    });
}

#[divan::bench(args = [32, 128, 256])]
fn attention(bencher: Bencher<'_, '_>, length: usize) {
    let (x, plan) = (normal(&[TOKENS, HIDDEN]), plan(length));
    bencher
        .counter(ItemsCount::new(2 * TOKENS * length * HIDDEN))
        .bench_local(|| mmc_ops::attention(black_box(&x), &x, &x, &plan).expect("states"));
}

#[divan::bench]
fn gelu(bencher: Bencher<'_, '_>) {
    let x = normal(&[TOKENS, INNER]);
    bencher
        .counter(ItemsCount::new(TOKENS * INNER))
        .bench_local(|| mmc_ops::gelu(black_box(&x)).expect("states"));
}

#[divan::bench]
fn layer_norm(bencher: Bencher<'_, '_>) {
    let (x, norm) = (normal(&[TOKENS, HIDDEN]), normal(&[HIDDEN]));
    bencher
        .counter(ItemsCount::new(TOKENS * HIDDEN))
        .bench_local(|| mmc_ops::layer_norm(black_box(&x), &norm, &norm, 1e-12).expect("states"));
}

#[divan::bench]
fn dropout(bencher: Bencher<'_, '_>) {
    let (x, sequences) = (normal(&[TOKENS, HIDDEN]), Sequences::new(&[128; TOKENS / 128]));
    bencher
        .counter(ItemsCount::new(TOKENS * HIDDEN))
        .bench_local(|| mmc_ops::dropout(black_box(&x), &drop("a"), &sequences).expect("states"));
}

#[divan::bench]
fn embedding(bencher: Bencher<'_, '_>) {
    let ids: Vec<u32> = (0..TOKENS as u32).map(|token| token * 7919 % 30_000).collect();
    let (ids, table) = (Tensor::new(ids, &Device::Cpu).expect("ids"), normal(&[30_000, HIDDEN]));
    assert_eq!(table.dtype(), DType::F32);
    bencher
        .counter(ItemsCount::new(TOKENS * HIDDEN))
        .bench_local(|| mmc_ops::embedding(black_box(&ids), &table).expect("states"));
}
