//! On the first CUDA device every operation gives what it gives on the CPU, forward and backward,
//! with the same dropout masks. Built with the feature `cuda` alone, and needs a device:
//! `cargo test -p mmc-ops --features cuda --test cuda`.
#![cfg(feature = "cuda")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::LazyLock;

use candle_core::{DType, Device, Tensor, Var};
use mmc_ops::cuda::{AdamWParameter, AdamWStep, adamw, memory, open, sums_of_squares};
use mmc_ops::{
    Activation, AttentionPlan, Dropout, Gradients, Norms, OPS, Objective, OpsError, Precision,
    Sequences, StateDropouts, Targets, dropout, embedding, layer_of, linear, with_composed_forms,
    with_products_in,
};
use mmc_random::{Purpose, generator, standard_normal};

/// f32 on both sides, whose sums are taken in other orders.
const TOLERANCE: f64 = 2e-5;

static CUDA: LazyLock<Device> = LazyLock::new(|| open(0).expect("these tests need a CUDA device"));

fn normal(shape: &[usize], index: u64) -> Tensor {
    let mut random = generator(3, Purpose::Simulation, 0, index);
    let values: Vec<f32> =
        (0..shape.iter().product()).map(|_| standard_normal(&mut random) as f32).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn inputs(shapes: &[&[usize]]) -> Vec<Tensor> {
    shapes.iter().enumerate().map(|(index, shape)| normal(shape, index as u64)).collect()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

type Function<'a> = &'a dyn Fn(&[Tensor]) -> Result<Tensor, OpsError>;

/// The result and the gradients of a fixed random projection of it, twice added up.
fn evaluate(function: Function<'_>, inputs: &[Tensor], device: &Device) -> Vec<Vec<f64>> {
    let variable = |input: &Tensor| Var::from_tensor(&input.to_device(device).unwrap()).unwrap();
    let variables: Vec<Var> = inputs.iter().map(variable).collect();
    let tensors: Vec<Tensor> = variables.iter().map(|var| var.as_tensor().clone()).collect();
    let mut sums = Gradients::of(&tensors);
    for _ in 0..2 {
        let result = function(&tensors).unwrap();
        let projection = normal(result.dims(), 99).to_device(device).unwrap();
        sums.add(&(result * projection).unwrap().sum_all().unwrap()).unwrap();
    }
    let gradient = |index| values(sums.sum(index).expect("every input gets a gradient"));
    let mut all = vec![values(&function(&tensors).unwrap())];
    all.extend((0..tensors.len()).map(gradient));
    all
}

/// What differs between two evaluations, in words.
fn differences(what: &str, found: &[Vec<f64>], expected: &[Vec<f64>]) -> Vec<String> {
    let mut problems = Vec::new();
    // Some gradients are 0 but for rounding, that of the keys' bias for one: the largest of all is
    // the measure.
    let largest = |all: &[Vec<f64>]| all.iter().flatten().fold(1.0, |a: f64, b| a.max(b.abs()));
    let sizes = [largest(&expected[..1]), largest(&expected[1..])];
    for (part, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.len(), expected.len(), "{what}");
        let size = sizes[part.min(1)];
        let far = |(found, expected): (&f64, &f64)| (found - expected).abs() / size;
        let worst = found.iter().zip(expected).map(far).fold(0.0, f64::max);
        if worst > TOLERANCE || found.iter().any(|value| value.is_nan()) {
            problems.push(format!("{what}, part {part} (0: result): off by {worst:.2e}"));
        }
    }
    problems
}

fn same_on_both(what: &str, function: Function<'_>, inputs: &[Tensor]) -> Vec<String> {
    let expected = evaluate(function, inputs, &Device::Cpu);
    let mut problems = differences(what, &evaluate(function, inputs, &CUDA), &expected);
    let composed = with_composed_forms(|| evaluate(function, inputs, &CUDA));
    problems.extend(differences(&format!("{what} (composed)"), &composed, &expected));
    problems
}

fn none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_operation_gives_what_it_gives_on_the_cpu() {
    let rows = OPS.iter().flat_map(|row| row.shapes.iter().map(move |shapes| (row, shapes)));
    let problems =
        rows.flat_map(|(row, shapes)| same_on_both(row.name, &row.apply, &inputs(shapes)));
    none(&problems.collect::<Vec<_>>());
}

#[test]
fn operands_need_not_be_contiguous() {
    let restrided = |tensor: &Tensor| -> Result<Tensor, OpsError> {
        Ok(match tensor.rank() {
            0 => tensor.clone(),
            1 => Tensor::stack(&[tensor, tensor], 1)?.narrow(1, 1, 1)?.squeeze(1)?,
            rank => {
                let (a, b) = (rank - 2, rank - 1);
                tensor.transpose(a, b)?.contiguous()?.transpose(a, b)?
            }
        })
    };
    let mut problems = Vec::new();
    for row in OPS {
        for shapes in row.shapes {
            let strided = |inputs: &[Tensor]| {
                let views: Vec<Tensor> = inputs.iter().map(restrided).collect::<Result<_, _>>()?;
                restrided(&(row.apply)(&views)?)
            };
            problems.extend(same_on_both(row.name, &strided, &inputs(shapes)));
        }
    }
    none(&problems);
}

fn settings(layer: &str) -> Dropout {
    let layer = Dropout::layer(layer);
    Dropout { probability: 0.25, seed: 0x1234_5678_9abc_def0, step: 1 << 33, layer, first_row: 5 }
}

/// Text and a picture whose positions begin at 40, with a gap.
fn sequences() -> Sequences {
    let lengths = [70, 1, 33, 40];
    let positions = lengths.iter().flat_map(|&length: &u32| {
        (0..length).map(|at| if at < 20 { at } else { 20 + at + 1000 * (at / 30) })
    });
    let lengths = lengths.map(|length| length as usize);
    Sequences::with_positions(&lengths, positions.collect()).unwrap()
}

#[test]
fn masks_are_those_of_the_cpu_bit_for_bit() {
    let sequences = sequences();
    for channels in [1, 31, 32, 100] {
        let ones = Tensor::ones((sequences.tokens(), channels), DType::F32, &Device::Cpu).unwrap();
        let expected = dropout(&ones, &settings("embeddings"), &sequences).unwrap();
        let found = ones.to_device(&CUDA).unwrap();
        let found = dropout(&found, &settings("embeddings"), &sequences).unwrap();
        assert_eq!(values(&found), values(&expected), "{channels} channels");
    }
}

/// A layer with every dropout, over sequences of several lengths.
#[test]
fn a_layer_with_dropout_gives_what_it_gives_on_the_cpu() {
    let (hidden, inner) = (24, 40);
    let square: &[usize] = &[hidden, hidden];
    let flat: &[usize] = &[hidden];
    let sequences = sequences();
    let tokens: &[usize] = &[sequences.tokens(), hidden];
    let (wide, narrow, bias): (&[usize], &[usize], &[usize]) =
        (&[inner, hidden], &[hidden, inner], &[inner]);
    let shapes = [
        tokens, square, flat, square, flat, square, flat, square, flat, flat, flat, wide, bias,
        narrow, flat, flat, flat,
    ];
    let mut problems = Vec::new();
    for norms in [Norms::Before, Norms::After] {
        for causal in [false, true] {
            for readers in [None, Some(vec![3, 70, 80, 143])] {
                let function = |x: &[Tensor]| {
                    let layer = layer_of(x, norms, Activation::Gelu);
                    let mut plan = AttentionPlan::new(&sequences, 3, hidden / 3);
                    plan = plan.with_dropout(settings("attention"))?;
                    plan = if causal { plan.causal() } else { plan };
                    if let Some(readers) = &readers {
                        plan = plan.read_by(readers.clone())?;
                    }
                    let dropouts = StateDropouts {
                        attention_output: Some(settings("attention.output")),
                        output: Some(settings("output")),
                    };
                    layer.forward(&x[0], &plan, dropouts)
                };
                let what = format!("{norms:?}, causal {causal}, readers {readers:?}");
                problems.extend(same_on_both(&what, &function, &inputs(&shapes)));
            }
        }
    }
    none(&problems);
}

#[test]
fn rows_of_a_table_get_the_sum_of_their_gradients() {
    let ids: Vec<u32> = (0..500).map(|at| at * at % 37).collect();
    let function = |x: &[Tensor]| embedding(&Tensor::new(&ids[..], &Device::Cpu)?, &x[0]);
    none(&same_on_both("embedding", &function, &inputs(&[&[40, 300]])));
    let table = normal(&[3, 2], 0).to_device(&CUDA).unwrap();
    assert!(embedding(&Tensor::new(&[3_u32], &Device::Cpu).unwrap(), &table).is_err());
}

#[test]
fn losses_are_those_of_the_cpu() {
    let objective = Objective::CrossEntropy { class_weights: None, label_smoothing: 0.1 };
    let function = |x: &[Tensor]| {
        let loss = objective.loss_sum(&x[0], &Targets::Classes(&[2, 0, 1]))?;
        Ok(loss.to_device(x[0].device())?.reshape((1, 1))?)
    };
    none(&same_on_both("cross-entropy", &function, &inputs(&[&[3, 4]])));
}

/// PyTorch's arithmetic in f64, and sums over more elements than one block takes.
#[test]
fn the_optimiser_steps_where_parameters_lie() {
    for count in [1, 1000, 100_003] {
        let (values_before, gradient) = (normal(&[count], 1), normal(&[count], 2));
        let on_cuda = |tensor: &Tensor| tensor.to_device(&CUDA).unwrap();
        let (parameter, moments) =
            (on_cuda(&values_before), on_cuda(&normal(&[2, count], 3).abs().unwrap()));
        let before = values(&moments);
        let step = AdamWStep {
            scale: 0.5,
            new_first: 0.1,
            keep_second: 0.999,
            new_second: 0.001,
            root: 0.3,
            epsilon: 1e-8,
        };
        let given = on_cuda(&gradient);
        let one = AdamWParameter {
            values: &parameter,
            moments: &moments,
            gradient: &given,
            keep: 0.99,
            step_size: 0.01,
        };
        let other = [normal(&[7], 5), normal(&[2, 7], 6), normal(&[7], 7)];
        let [other, moments_of, given] = other.map(|tensor| on_cuda(&tensor));
        let second =
            AdamWParameter { values: &other, moments: &moments_of, gradient: &given, ..one };
        adamw(&[second, one], step).unwrap();
        let (found, moments) = (values(&parameter), values(&moments));
        let (start, gradient) = (values(&values_before), values(&gradient));
        for at in 0..count {
            let g = 0.5 * gradient[at];
            let first = before[at] + 0.1 * (g - before[at]);
            let second = 0.999 * before[count + at] + 0.001 * g * g;
            let expected = 0.99 * start[at] - 0.01 * first / (second.sqrt() / 0.3 + 1e-8);
            let near = |found: f64, expected: f64| {
                (found - expected).abs() <= 1e-5 * expected.abs().max(1.0)
            };
            assert!(near(found[at], expected), "{at}: {} {expected}", found[at]);
            assert!(near(moments[at], first) && near(moments[count + at], second), "{at}");
        }
        let tensors = [parameter, on_cuda(&values_before)];
        for (sum, tensor) in sums_of_squares(&tensors).unwrap().iter().zip(&tensors) {
            let expected: f64 = values(tensor).iter().map(|value| value * value).sum();
            assert!((sum - expected).abs() <= 1e-12 * expected, "{sum} {expected}");
        }
    }
}

/// Eight or eleven bits of each operand, all of the sums.
#[test]
fn products_of_sixteen_bits_are_rounded_and_near() {
    let function = |x: &[Tensor]| linear(&x[0], &x[1], None);
    let inputs = inputs(&[&[40, 64], &[24, 64]]);
    let expected = evaluate(&function, &inputs, &CUDA);
    for (precision, unit) in [(Precision::Bf16, 2e-3), (Precision::F16, 2.5e-4)] {
        let found = with_products_in(precision, || evaluate(&function, &inputs, &CUDA));
        for (found, expected) in found.iter().zip(&expected) {
            let size = expected.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
            let errors = found.iter().zip(expected).map(|(a, b)| (a - b).abs() / size);
            let worst = errors.fold(0.0, f64::max);
            assert!(worst > unit / 100.0 && worst < 4.0 * unit, "{precision:?}: {worst:.1e}");
            assert!(found.iter().all(|value| value.is_finite()));
        }
    }
}

#[test]
fn memory_is_counted() {
    let block = Tensor::zeros(64 << 20, DType::F32, &CUDA).unwrap();
    CUDA.synchronize().unwrap();
    let memory = memory(0).unwrap();
    assert!(
        memory.peak_used_bytes >= 256 << 20 && memory.peak_reserved_bytes >= memory.peak_used_bytes
    );
    drop(block);
}

/// Two parameters on the device, of which one was reached.
fn half_reached() -> (Vec<Var>, Gradients) {
    let weights = [(3, 2), (1, 2)].map(|shape| Var::ones(shape, DType::F32, &CUDA).unwrap());
    let mut gradients = Gradients::of(weights.iter().map(Var::as_tensor));
    let x = Tensor::new(&[[1.0_f32, 2.0]], &CUDA).unwrap();
    gradients.add(&linear(&x, &weights[0], None).unwrap().sum_all().unwrap()).unwrap();
    (weights.to_vec(), gradients)
}

#[test]
fn sums_are_copied_out_in_parts_and_come_back() {
    let (_weights, mut gradients) = half_reached();
    let mut part = [0.0_f32; 4];
    gradients.copy_to(1, &mut part).unwrap();
    assert_eq!(part.to_vec(), [2.0, 1.0, 2.0, 1.0]);
    assert!(gradients.copy_to(4, &mut part).is_err(), "nothing was added to the second");
    for (at, values) in [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]].iter().enumerate() {
        gradients.copy_from(3 * at, values).unwrap();
    }
    gradients.copy_from(6, &[6.0, 7.0]).unwrap();
    gradients.copy_to(4, &mut part).unwrap();
    assert_eq!(part.to_vec(), [4.0, 5.0, 6.0, 7.0]);
}

/// With one device it is whole; several need several cards.
#[cfg(feature = "nccl")]
#[test]
fn nccl_adds_the_sums_of_one_device() {
    use mmc_ops::cuda::{Collective, identity};
    let id = Collective::id().unwrap();
    let collective = Collective::join(&CUDA, (0, 1), id).unwrap();
    let (_weights, mut gradients) = half_reached();
    collective.add(&gradients.all_sums().unwrap()).unwrap();
    let sum = |at: usize| gradients.sum(at).unwrap().flatten_all().unwrap().to_vec1::<f32>();
    assert_eq!(sum(0).unwrap(), [1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
    assert_eq!(sum(1).unwrap(), [0.0, 0.0], "what nothing was added to counts as zero");
    assert_ne!(identity(&CUDA).unwrap(), [0; 16]);
    assert!(Collective::join(&Device::Cpu, (0, 1), id).is_err());
}
