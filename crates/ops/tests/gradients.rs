//! Every row of `OPS`, and the losses: both forms agree, and gradients are those of finite
//! differences.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use candle_core::{DType, Device, Tensor, Var};
use mmc_ops::{
    Activation, AttentionPlan, Dropout, EncoderLayer, Gradients, Norms, OPS, Objective, Operation,
    OpsError, Sequences, StateDropouts, Targets, layer_of, with_composed_forms,
};
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
    let mut sums = Gradients::of(&tensors);
    sums.add(&projected(function, &tensors)).unwrap();
    let gradients = (0..tensors.len())
        .map(|index| values(sums.sum(index).expect("every input gets a gradient")))
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
        check_differences(row.name, &row.apply, &inputs);
        with_composed_forms(|| {
            check_differences(&format!("{} (composed)", row.name), &row.apply, &inputs);
        });
    }
}

#[test]
fn both_forms_agree_in_f32_and_f64() {
    for (row, inputs) in rows() {
        for (dtype, tolerance) in [(DType::F32, 2e-6), (DType::F64, 1e-12)] {
            let inputs: Vec<Tensor> =
                inputs.iter().map(|input| input.to_dtype(dtype).unwrap()).collect();
            let (fast, fast_gradients) = evaluate(&row.apply, &inputs);
            let (composed, composed_gradients) =
                with_composed_forms(|| evaluate(&row.apply, &inputs));
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
            restrided(&(row.apply)(&views)?)
        };
        let (expected, expected_gradients) = evaluate(&row.apply, &inputs);
        let (found, gradients) = evaluate(&strided, &inputs);
        close(&found, &expected, 1e-12, row.name);
        for (found, expected) in gradients.iter().zip(&expected_gradients) {
            close(found, expected, 1e-12, &format!("gradient of {}", row.name));
        }
    }
}

fn here(layer: &str) -> Dropout {
    Dropout { probability: 0.4, seed: 1, step: 2, layer: Dropout::layer(layer), first_row: 3 }
}

/// Both forms drop the same elements, and the gradients are right.
#[test]
fn dropout_has_the_gradient_of_finite_differences() {
    let sequences = Sequences::new(&[4, 1, 4]);
    let plan = AttentionPlan::new(&sequences, 3, 2).with_dropout(here("attention")).unwrap();
    let states = |x: &[Tensor]| mmc_ops::dropout(&x[0], &here("states"), &sequences);
    let attention = |x: &[Tensor]| mmc_ops::attention(&x[0], &x[1], &x[2], &plan);
    let dropouts = StateDropouts {
        attention_output: Some(here("attention output")),
        output: Some(here("output")),
    };
    let layers = [Norms::Before, Norms::After].map(|norms| {
        let (plan, readers) = (plan.clone(), plan.clone().read_by(vec![3, 4, 5]).unwrap());
        move |x: &[Tensor]| {
            let layer = layer(x, norms);
            let states = layer.forward(&x[0], &plan, dropouts)?;
            layer.forward(&states, &readers, dropouts)
        }
    });
    let states_shapes: &[&[usize]] = &[&[9, 35]];
    let cases: [(&str, Function<'_>, &[&[usize]]); 4] = [
        ("dropout", &states, states_shapes),
        ("attention with dropout", &attention, &[&[9, 6], &[9, 6], &[9, 6]]),
        ("layers with dropout, norms before", &layers[0], LAYER),
        ("layers with dropout, norms after", &layers[1], LAYER),
    ];
    for (name, function, shapes) in cases {
        let inputs = inputs(shapes);
        check_differences(name, function, &inputs);
        let fast = evaluate(function, &inputs);
        let composed = with_composed_forms(|| evaluate(function, &inputs));
        close(&fast.0, &composed.0, 1e-12, name);
        for (fast, composed) in fast.1.iter().zip(&composed.1) {
            close(fast, composed, 1e-11, name);
        }
    }
}

const LAYER: &[&[usize]] = &[
    &[9, 6],
    &[6, 6],
    &[6],
    &[6, 6],
    &[6],
    &[6, 6],
    &[6],
    &[6, 6],
    &[6],
    &[6],
    &[6],
    &[7, 6],
    &[7],
    &[6, 7],
    &[6],
    &[6],
    &[6],
];

fn layer(x: &[Tensor], norms: Norms) -> EncoderLayer {
    layer_of(x, norms, Activation::Gelu)
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
            pool.install(|| evaluate(&row.apply, &inputs(shapes)))
        };
        assert!(on(1) == on(4), "{name}");
    }
    for norms in [Norms::Before, Norms::After] {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| large_layer(norms))
        };
        assert!(on(1) == on(3), "{norms:?}");
    }
}

/// States and gradients of a layer of 4 heads on 300 tokens, in f32, with dropout.
fn large_layer(norms: Norms) -> (Vec<f64>, Vec<Vec<f64>>) {
    let lengths = [100, 3, 150, 47];
    let (hidden, inner) = (96, 200);
    let square: &[usize] = &[hidden, hidden];
    let wide: [&[usize]; 3] = [&[inner, hidden], &[hidden, inner], &[inner]];
    let flat: &[usize] = &[hidden];
    let shapes = [
        &[300, hidden],
        square,
        flat,
        square,
        flat,
        square,
        flat,
        square,
        flat,
        flat,
        flat,
        wide[0],
        wide[2],
        wide[1],
        flat,
        flat,
        flat,
    ];
    let inputs: Vec<Tensor> = inputs(&shapes)
        .iter()
        .map(|input| (input.to_dtype(DType::F32).unwrap() * 0.1).unwrap())
        .collect();
    let plan = AttentionPlan::new(&Sequences::new(&lengths), 4, hidden / 4);
    let plan = plan.with_dropout(here("attention")).unwrap();
    let dropouts = StateDropouts { attention_output: Some(here("a")), output: Some(here("b")) };
    evaluate(&|x: &[Tensor]| layer(x, norms).forward(&x[0], &plan, dropouts), &inputs)
}

/// A batch's rows are what they are alone.
#[test]
fn sequences_do_not_see_each_other() {
    let inputs = inputs(LAYER);
    let layer = layer(&inputs, Norms::After);
    let forward = |x: &Tensor, lengths: &[usize]| {
        let plan = AttentionPlan::new(&Sequences::new(lengths), 3, 2);
        values(&layer.forward(x, &plan, StateDropouts::default()).unwrap())
    };
    let all = forward(&inputs[0], &[4, 1, 4]);
    let last = forward(&inputs[0].narrow(0, 5, 4).unwrap(), &[4]);
    close(&all[5 * 6..], &last, 1e-14, "the last sequence");
}

#[test]
fn gradients_are_summed_over_passes() {
    let weight = Var::new(&[[1.0_f64, 2.0]], &Device::Cpu).unwrap();
    let table = Var::new(&[[1.0_f64], [2.0]], &Device::Cpu).unwrap();
    let unused = Var::new(&[1.0_f64], &Device::Cpu).unwrap();
    let mut sums = Gradients::of([weight.as_tensor(), table.as_tensor(), unused.as_tensor()]);
    let loss = |first: f64, id: u32| {
        let x = Tensor::new(&[[first, 1.0]], &Device::Cpu).unwrap();
        let product = mmc_ops::linear(&x, &weight, None).unwrap();
        let ids = Tensor::new(&[id], &Device::Cpu).unwrap();
        (product + mmc_ops::embedding(&ids, &table).unwrap()).unwrap().sum_all().unwrap()
    };
    for step in 0..2 {
        sums.reset();
        assert!(sums.sum(0).is_none());
        sums.add(&loss(3.0, 1)).unwrap();
        sums.add(&loss(4.0, 1)).unwrap();
        close(&values(sums.sum(0).unwrap()), &[7.0, 2.0], 0.0, &format!("step {step}"));
        close(&values(sums.get(&table).unwrap()), &[0.0, 2.0], 0.0, &format!("step {step}"));
        assert_eq!(sums.unreached(), Some(2));
        assert!(sums.sum(2).is_none() && sums.sum(3).is_none());
    }
}

/// Gradients that nobody sums would be lost: that is an error, not silence.
#[test]
fn a_layer_refuses_a_backward_that_would_lose_gradients() {
    let variables: Vec<Var> =
        inputs(LAYER).iter().map(|input| Var::from_tensor(input).unwrap()).collect();
    let tensors: Vec<Tensor> = variables.iter().map(|var| var.as_tensor().clone()).collect();
    let plan = AttentionPlan::new(&Sequences::new(&[4, 5]), 3, 2);
    let layer = layer(&tensors, Norms::After);
    let loss = || {
        let states = layer.forward(&tensors[0], &plan, StateDropouts::default()).unwrap();
        states.sum_all().unwrap()
    };
    let error = loss().backward().unwrap_err().to_string();
    assert!(error.contains("Gradients::add"), "{error}");
    // Parameters that are not asked for get none, and cost nothing.
    let mut only_states = Gradients::of([&tensors[0]]);
    only_states.add(&loss()).unwrap();
    assert!(only_states.sum(0).is_some());
    let untracked = mmc_ops::without_gradient(loss);
    assert!(!untracked.track_op());
}

/// Whichever one parameter learns alone, its gradient is that of all learning.
#[test]
fn a_parameter_that_learns_alone_is_reached() {
    for norms in [Norms::Before, Norms::After] {
        let inputs = inputs(LAYER);
        let plan = AttentionPlan::new(&Sequences::new(&[4, 5]), 3, 2);
        let function =
            |x: &[Tensor]| layer(x, norms).forward(&x[0], &plan, StateDropouts::default());
        let (_, expected) = evaluate(&function, &inputs);
        for index in 0..inputs.len() {
            let alone = Var::from_tensor(&inputs[index]).unwrap();
            let mut tensors = inputs.clone();
            tensors[index] = alone.as_tensor().clone();
            let mut sums = Gradients::of([alone.as_tensor()]);
            sums.add(&projected(&function, &tensors)).unwrap();
            let found = values(sums.sum(0).expect("it is in the graph"));
            close(&found, &expected[index], 1e-12, &format!("{norms:?}, input {index}"));
        }
    }
}

/// Other types take the composed forms.
#[test]
fn half_precision_is_near() {
    for (row, inputs) in rows() {
        for (dtype, tolerance) in [(DType::F16, 0.05), (DType::BF16, 0.3)] {
            let cast = |dtype| -> Vec<Tensor> {
                inputs.iter().map(|input| input.to_dtype(dtype).unwrap()).collect()
            };
            let (half, exact) = (evaluate(&row.apply, &cast(dtype)), evaluate(&row.apply, &inputs));
            close(&half.0, &exact.0, tolerance, row.name);
            assert_eq!(half.1.len(), exact.1.len());
        }
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
