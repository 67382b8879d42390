//! Every row of `OPS`, and the losses: both forms agree, and gradients are those of finite
//! differences.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use candle_core::{DType, Device, Tensor, Var};
use mmc_ops::{Dropout, OPS, Objective, Operation, OpsError, Targets};
use mmc_random::{Purpose, generator, standard_normal};
use proptest::prelude::*;

type Function<'a> = &'a dyn Fn(&[Tensor]) -> Result<Tensor, OpsError>;

/// Normal numbers of this shape, in f64.
fn normal(shape: &[usize], index: u64) -> Tensor {
    let mut random = generator(3, Purpose::Simulation, 0, index);
    let values: Vec<f64> =
        (0..shape.iter().product()).map(|_| standard_normal(&mut random)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn inputs(shapes: &[&[usize]]) -> Vec<Tensor> {
    shapes.iter().enumerate().map(|(index, shape)| normal(shape, index as u64)).collect()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// A fixed random projection of the result, so that no gradient is zero by symmetry.
fn projected(function: Function<'_>, inputs: &[Tensor]) -> Tensor {
    let result = function(inputs).unwrap();
    let projection = normal(result.dims(), 99).to_dtype(result.dtype()).unwrap();
    (result * projection).unwrap().sum_all().unwrap()
}

/// The result and the gradients by each input.
fn evaluate(function: Function<'_>, inputs: &[Tensor]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let variables: Vec<Var> = inputs.iter().map(|input| Var::from_tensor(input).unwrap()).collect();
    let tensors: Vec<Tensor> = variables.iter().map(|var| var.as_tensor().clone()).collect();
    let store = projected(function, &tensors).backward().unwrap();
    let gradients = tensors
        .iter()
        .map(|tensor| values(store.get(tensor).expect("every input gets a gradient")))
        .collect();
    (values(&function(&tensors).unwrap()), gradients)
}

fn close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs() / expected.abs().max(1.0);
        assert!(error <= tolerance, "{what}, element {index}: {found} instead of {expected}");
    }
}

/// Central differences in f64 against the gradients that backward gives.
fn check_differences(name: &str, function: Function<'_>, inputs: &[Tensor]) {
    const STEP: f64 = 1e-5;
    let (_, gradients) = evaluate(function, inputs);
    for (input, gradient) in gradients.iter().enumerate() {
        let base = values(&inputs[input]);
        let at = |index: usize, offset: f64| {
            let mut moved = base.clone();
            moved[index] += offset;
            let mut inputs = inputs.to_vec();
            inputs[input] = Tensor::from_vec(moved, inputs[input].shape(), &Device::Cpu).unwrap();
            projected(function, &inputs).to_scalar::<f64>().unwrap()
        };
        let differences: Vec<f64> = (0..base.len())
            .map(|index| (at(index, STEP) - at(index, -STEP)) / (2.0 * STEP))
            .collect();
        close(gradient, &differences, 1e-7, &format!("{name}, gradient by input {input}"));
    }
}

fn rows() -> impl Iterator<Item = (&'static Operation, Vec<Tensor>)> {
    OPS.iter().flat_map(|row| row.shapes.iter().map(move |shapes| (row, inputs(shapes))))
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for (row, inputs) in rows().filter(|(_, inputs)| inputs[0].elem_count() < 600) {
        check_differences(row.name, &row.fast, &inputs);
        check_differences(&format!("{} (composed)", row.name), &row.composed, &inputs);
    }
}

#[test]
fn both_forms_agree_in_f32_and_f64() {
    for (row, inputs) in rows() {
        for (dtype, tolerance) in [(DType::F32, 2e-6), (DType::F64, 1e-12)] {
            let inputs: Vec<Tensor> =
                inputs.iter().map(|input| input.to_dtype(dtype).unwrap()).collect();
            let (fast, fast_gradients) = evaluate(&row.fast, &inputs);
            let (composed, composed_gradients) = evaluate(&row.composed, &inputs);
            close(&fast, &composed, tolerance, row.name);
            for (fast, composed) in fast_gradients.iter().zip(&composed_gradients) {
                close(fast, composed, 10.0 * tolerance, &format!("gradient of {}", row.name));
            }
        }
    }
}

/// The same values with other strides, within the graph.
fn restrided(tensor: &Tensor) -> Result<Tensor, OpsError> {
    Ok(match tensor.rank() {
        0 => tensor.clone(),
        1 => Tensor::stack(&[tensor, tensor], 1)?.narrow(1, 1, 1)?.squeeze(1)?,
        rank => {
            let (a, b) = (rank - 2, rank - 1);
            tensor.transpose(a, b)?.contiguous()?.transpose(a, b)?
        }
    })
}

/// Views in and, by a view of the result, gradients that are views.
#[test]
fn neither_inputs_nor_gradients_need_be_contiguous() {
    for (row, inputs) in rows() {
        let strided = |inputs: &[Tensor]| {
            let views: Vec<Tensor> = inputs.iter().map(restrided).collect::<Result<_, _>>()?;
            restrided(&(row.fast)(&views)?)
        };
        let (expected, expected_gradients) = evaluate(&row.fast, &inputs);
        let (found, gradients) = evaluate(&strided, &inputs);
        close(&found, &expected, 1e-12, row.name);
        for (found, expected) in gradients.iter().zip(&expected_gradients) {
            close(found, expected, 1e-12, &format!("gradient of {}", row.name));
        }
    }
}

#[test]
fn dropout_has_the_gradient_of_finite_differences() {
    let positions: Vec<u32> = (0..5).collect();
    let settings = Dropout {
        probability: 0.4,
        seed: 1,
        step: 2,
        layer: Dropout::layer("here"),
        first_row: 3,
        positions: positions.into(),
    };
    let states = |x: &[Tensor]| mmc_ops::dropout(&x[0], &settings);
    check_differences("dropout", &states, &inputs(&[&[2, 5, 3]]));
    let attention = |x: &[Tensor]| mmc_ops::attention(&x[0], &x[1], &x[2], None, Some(&settings));
    let shapes: [&[usize]; 3] = [&[2, 2, 5, 3], &[2, 2, 5, 3], &[2, 2, 5, 3]];
    check_differences("attention with dropout", &attention, &inputs(&shapes));
}

/// Sizes at which work is shared among threads.
#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let large: [(&str, &[&[usize]]); 4] = [
        ("layer_norm", &[&[333, 257], &[257], &[257]]),
        ("gelu", &[&[333, 257]]),
        ("softmax_last", &[&[333, 257]]),
        ("linear", &[&[1111, 33], &[77, 33], &[77]]),
    ];
    for (name, shapes) in large {
        let row = OPS.iter().find(|row| row.name == name).expect("a row of this name");
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| evaluate(&row.fast, &inputs(shapes)))
        };
        assert!(on(1) == on(4), "{name}");
    }
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let x = normal(&[2, 3], 0);
    let wrong = normal(&[4], 1);
    for error in [
        mmc_ops::linear(&x, &normal(&[5, 4], 1), None).unwrap_err(),
        mmc_ops::linear(&x, &normal(&[5, 3], 1), Some(&wrong)).unwrap_err(),
        mmc_ops::layer_norm(&x, &wrong, &wrong, 1e-5).unwrap_err(),
        mmc_ops::embedding(&x.to_dtype(DType::U32).unwrap(), &wrong).unwrap_err(),
    ] {
        assert!(matches!(error, OpsError::Shape { .. }), "{error}");
    }
}

/// A row whose keys are all masked is uniform, not NaN.
#[test]
fn attention_to_nothing_is_finite() {
    let x = normal(&[1, 1, 3, 2], 0).to_dtype(DType::F32).unwrap();
    let nothing = Tensor::zeros((1, 3), DType::F32, &Device::Cpu).unwrap();
    let output = mmc_ops::attention(&x, &x, &x, Some(&nothing), None).unwrap();
    let mean = values(&x.mean_keepdim(2).unwrap().broadcast_as((1, 1, 3, 2)).unwrap());
    close(&values(&output), &mean, 1e-6, "uniform attention");
}

const CROSS_ENTROPY: Objective =
    Objective::CrossEntropy { class_weights: None, label_smoothing: 0.0 };

fn weighted() -> Objective {
    Objective::CrossEntropy { class_weights: Some(vec![0.5, 2.0, 0.0, 1.25]), label_smoothing: 0.1 }
}

fn soft() -> Vec<Vec<(u32, f32)>> {
    vec![vec![(1, 1.0), (3, 0.3)], Vec::new(), vec![(0, 0.6)], vec![(2, 1.0)], vec![(0, 0.9)]]
}

#[test]
fn losses_have_the_gradients_of_finite_differences() {
    let logits = [normal(&[5, 4], 0)];
    let (labels, scores) = ([3, 0, 2, 1, 1], soft());
    for (name, objective, targets) in [
        ("cross-entropy", CROSS_ENTROPY, Targets::Classes(&labels)),
        ("weighted, smoothed", weighted(), Targets::Classes(&labels)),
        ("soft binary", Objective::SoftBinary, Targets::Soft(&scores)),
    ] {
        let fast = |inputs: &[Tensor]| objective.loss_sum(&inputs[0], &targets);
        let composed = |inputs: &[Tensor]| objective.loss_sum_composed(&inputs[0], &targets);
        check_differences(name, &fast, &logits);
        check_differences(name, &composed, &logits);
        for (dtype, tolerance) in [(DType::F32, 1e-6), (DType::F64, 1e-12)] {
            let logits = [logits[0].to_dtype(dtype).unwrap()];
            let (fast, composed) = (evaluate(&fast, &logits), evaluate(&composed, &logits));
            close(&fast.0, &composed.0, tolerance, name);
            close(&fast.1[0], &composed.1[0], tolerance, name);
        }
    }
}

/// Values by hand: −log(1/2) for equal logits of two classes; log(1 + e^-x) for one sure answer.
#[test]
fn losses_have_their_known_values() {
    let logits = Tensor::new(&[[0_f64, 0.0], [3.0, 0.0]], &Device::Cpu).unwrap();
    let loss = CROSS_ENTROPY.loss_sum(&logits, &Targets::Classes(&[0, 0])).unwrap();
    let expected = 2_f64.ln() + (1.0 + (-3_f64).exp()).ln();
    close(&values(&loss), &[expected], 1e-15, "cross-entropy");

    let scores = [vec![(0, 0.5)], vec![(0, 1.0)]];
    let loss = Objective::SoftBinary.loss_sum(&logits, &Targets::Soft(&scores)).unwrap();
    let expected = 3.0 * 2_f64.ln() + (1.0 + (-3_f64).exp()).ln();
    close(&values(&loss), &[expected], 1e-15, "binary cross-entropy");
}

#[test]
fn targets_that_do_not_fit_are_errors() {
    let logits = normal(&[2, 3], 0);
    let error = |objective: &Objective, targets| objective.loss_sum(&logits, &targets).unwrap_err();
    assert!(matches!(error(&CROSS_ENTROPY, Targets::Classes(&[0])), OpsError::Rows { .. }));
    let outside = error(&CROSS_ENTROPY, Targets::Classes(&[0, 3]));
    assert_eq!(outside.to_string(), "row 1: the target is class 3, expected one of 0 to 2");
    let kind = error(&Objective::SoftBinary, Targets::Classes(&[0, 1]));
    assert!(matches!(kind, OpsError::TargetKind { .. }));
    assert!(matches!(error(&weighted(), Targets::Classes(&[0, 1])), OpsError::Setting { .. }));
    let smoothed = Objective::CrossEntropy { class_weights: None, label_smoothing: 1.0 };
    assert!(matches!(error(&smoothed, Targets::Classes(&[0, 1])), OpsError::Setting { .. }));
}

proptest! {
    /// Whatever the logits: loss and gradient are finite, and the loss is not below 0.
    #[test]
    fn losses_are_finite_for_all_logits(
        exponents in prop::collection::vec(-40.0_f32..38.0, 8),
        signs in prop::collection::vec(prop::bool::ANY, 8),
    ) {
        let logits: Vec<f32> = exponents
            .iter()
            .zip(signs)
            .map(|(exponent, sign)| 10_f32.powf(*exponent) * if sign { 1.0 } else { -1.0 })
            .collect();
        let logits = Var::from_vec(logits, (2, 4), &Device::Cpu).unwrap();
        let scores = [vec![(0, 0.3)], vec![(3, 1.0)]];
        for (objective, targets) in [
            (weighted(), Targets::Classes(&[1, 3])),
            (Objective::SoftBinary, Targets::Soft(&scores)),
        ] {
            let loss = objective.loss_sum(&logits, &targets).unwrap();
            let gradient = loss.backward().unwrap().remove(&logits).unwrap();
            let loss = loss.to_scalar::<f32>().unwrap();
            prop_assert!(loss.is_finite() && loss >= 0.0, "{loss}");
            prop_assert!(values(&gradient).iter().all(|value| value.is_finite()));
        }
    }
}
