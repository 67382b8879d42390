use std::panic::{AssertUnwindSafe, catch_unwind};

use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Shape, Var};

use super::*;
use crate::gradients::tests::Panics;
use crate::{embedding, linear};

const PARTS: usize = 12;

/// What becomes of a part.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Whole,
    /// It does not reach the scale.
    WithoutScale,
    /// It comes to nothing before its backward pass.
    Fails,
    /// Its backward pass finds an error.
    Errs,
}

/// The same numbers, with no backward pass.
struct Errs;

impl CustomOp1 for Errs {
    fn name(&self) -> &'static str {
        "errs"
    }
    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((x.clone(), layout.shape().clone()))
    }
}

/// A table that is looked up, a weight, and a scale that candle's own operations use.
fn parameters() -> [Var; 3] {
    let values = |count: usize, shape: (usize, usize)| {
        let values: Vec<f32> = (0..count).map(|at| (at as f32 * 0.7).sin()).collect();
        Var::from_vec(values, shape, &Device::Cpu).unwrap()
    };
    [values(40, (10, 4)), values(12, (3, 4)), values(3, (1, 3))]
}

fn loss(parameters: &[Var; 3], part: usize) -> Tensor {
    loss_of(parameters, part, Fate::Whole)
}

fn loss_of(parameters: &[Var; 3], part: usize, fate: Fate) -> Tensor {
    let [table, weight, scale] = parameters;
    let ids: Vec<u32> = (0..6).map(|at| ((at * 7 + part * 3) % 10) as u32).collect();
    let ids = Tensor::new(ids.as_slice(), &Device::Cpu).unwrap();
    let x = embedding(&ids, table).unwrap();
    let x = if fate == Fate::Errs { x.apply_op1(Errs).unwrap() } else { x };
    let y = linear(&x, weight, None).unwrap();
    let y = match fate {
        Fate::WithoutScale => y,
        _ => y.broadcast_mul(scale.as_tensor()).unwrap(),
    };
    (y.sqr().unwrap().sum_all().unwrap() * (1.0 + part as f64 / 3.0)).unwrap()
}

fn sums(gradients: &Gradients) -> Vec<Vec<f32>> {
    let of = |at| gradients.sum(at).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    (0..3).map(of).collect()
}

fn of(parameters: &[Var; 3]) -> Gradients {
    Gradients::of(parameters.iter().map(Var::as_tensor))
}

/// What each part did not reach, or why it was not added.
type Outcomes = Vec<std::result::Result<Option<usize>, String>>;

/// The parts, on `threads` threads.
fn in_turns(
    (parameters, fate): (&[Var; 3], &(impl Fn(usize) -> Fate + Sync)),
    threads: usize,
) -> (Gradients, Outcomes) {
    let mut gradients = of(parameters);
    let outcomes = gradients.in_turns(|turns| {
        std::thread::scope(|scope| {
            let one = move |part: usize| {
                // Those whose turn comes first are ready last.
                let pause = if part.is_multiple_of(threads) { 3 } else { 0 };
                std::thread::sleep(std::time::Duration::from_millis(pause));
                if fate(part) == Fate::Fails {
                    turns.fail(part);
                    return (part, Err("it came to nothing".to_owned()));
                }
                let added = turns.add(part, &loss_of(parameters, part, fate(part)));
                (part, added.map_err(|error| error.to_string()))
            };
            let all =
                move |first: usize| (first..PARTS).step_by(threads).map(one).collect::<Vec<_>>();
            let started: Vec<_> =
                (0..threads).map(|first| scope.spawn(move || all(first))).collect();
            let mut done: Vec<_> =
                started.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
            done.sort_by_key(|(part, _)| *part);
            done.into_iter().map(|(_, outcome)| outcome).collect()
        })
    });
    (gradients, outcomes)
}

#[test]
fn sums_do_not_depend_on_who_adds_when() {
    let parameters = parameters();
    // With or without a part that leaves out a parameter, be it the first, one that waits, or the last.
    for without in [None, Some(0), Some(4), Some(PARTS - 1)] {
        let fate = |part| if without == Some(part) { Fate::WithoutScale } else { Fate::Whole };
        let mut expected = of(&parameters);
        let added = |part| {
            expected.add(&loss_of(&parameters, part, fate(part))).unwrap();
            Ok(expected.unreached())
        };
        let outcomes: Outcomes = (0..PARTS).map(added).collect();
        let unreached = |part| Ok(if without == Some(part) { Some(2) } else { None });
        assert_eq!(outcomes, (0..PARTS).map(unreached).collect::<Outcomes>());
        for threads in [1, 2, 3, 5] {
            for _ in 0..3 {
                let (gradients, found) = in_turns((&parameters, &fate), threads);
                assert_eq!(found, outcomes, "{threads} threads");
                assert_eq!(sums(&gradients), sums(&expected), "{threads} threads");
            }
        }
    }
}

#[test]
fn nobody_waits_for_a_part_that_failed() {
    let parameters = parameters();
    for (failed, why) in
        [0, 4, PARTS - 1].into_iter().flat_map(|part| [(part, Fate::Fails), (part, Fate::Errs)])
    {
        let fate = |part| if part == failed { why } else { Fate::Whole };
        let (_, outcomes) = in_turns((&parameters, &fate), 3);
        for (part, outcome) in outcomes.iter().enumerate() {
            match outcome {
                Ok(unreached) => assert!(part < failed && unreached.is_none(), "part {part}"),
                Err(said) if part == failed => {
                    let expected = if why == Fate::Errs { "errs" } else { "came to nothing" };
                    assert!(said.contains(expected), "{said}");
                }
                Err(said) => {
                    let expected =
                        format!("part {part} of a step is not added, since part {failed}");
                    assert!(part > failed && said.starts_with(&expected), "{said}");
                }
            }
        }
    }
}

/// The part that panics has the sums, since it is its turn, or waits for them.
#[test]
fn a_panic_gives_the_sums_back() {
    let parameters = parameters();
    let mut expected = of(&parameters);
    expected.add(&loss(&parameters, 0)).unwrap();
    for panicking in [0, 1, 2] {
        let mut gradients = of(&parameters);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            gradients.in_turns(|turns| {
                if panicking == 1 {
                    turns.add(0, &loss(&parameters, 0)).unwrap();
                }
                let [table, weight, _] = &parameters;
                let x = embedding(&Tensor::new(&[1_u32], &Device::Cpu).unwrap(), table).unwrap();
                let y = linear(&x.apply_op1(Panics).unwrap(), weight, None).unwrap();
                let panicked =
                    catch_unwind(AssertUnwindSafe(|| turns.add(panicking, &y.sum_all().unwrap())));
                let panic = panicked.unwrap_err();
                let behind = turns.add(panicking + 1, &loss(&parameters, 0)).unwrap_err();
                assert!(behind.to_string().contains("failed"), "{behind}");
                std::panic::resume_unwind(panic);
            })
        }));
        let said = caught.unwrap_err();
        assert_eq!(said.downcast_ref(), Some(&"this backward pass panics"));
        assert!(gradients.unreached().is_some(), "no pass reached all");
        gradients.reset();
        gradients.add(&loss(&parameters, 0)).unwrap();
        assert_eq!(sums(&gradients), sums(&expected), "part {panicking} panics");
    }
}

/// Nor does a thread that would wait for it, which has a number of its own.
#[test]
fn a_number_is_added_once() {
    let parameters = parameters();
    let mut expected = of(&parameters);
    let mut gradients = of(&parameters);
    for part in 0..2 {
        expected.add(&loss(&parameters, part)).unwrap();
    }
    gradients.in_turns(|turns| {
        turns.add(0, &loss(&parameters, 0)).unwrap();
        turns.add(1, &loss(&parameters, 1)).unwrap();
        for part in [1, 0] {
            let error = turns.add(part, &loss(&parameters, part)).unwrap_err().to_string();
            assert!(error.contains(&format!("part {part} of a step was added already")), "{error}");
        }
        // Who follows in the belief that the second was another's.
        let error = turns.add(3, &loss(&parameters, 3)).unwrap_err().to_string();
        assert!(error.contains("since part 0 failed"), "{error}");
    });
    assert_eq!(sums(&gradients), sums(&expected), "what was refused added nothing");
}

/// What two ways of adding have to agree on: weights that are wide enough for products that are added at
/// once, and one that is not, with rows on both sides of what `gemm` sums in one go.
const MAPS: [(usize, usize, usize); 5] =
    [(8, 80, 96), (512, 80, 96), (600, 80, 96), (8, 40, 96), (64, 400, 700)]; // rows, out, in

/// A part that adds when it has its turn multiplies into the sum; one that waits multiplies into a
/// buffer, which is added to the sum then. Here all but part 0 have waited, and are compared with parts
/// that never wait.
#[test]
fn what_waited_is_added_as_what_did_not() {
    for threads in [1, 4] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for dtype in [DType::F32, DType::F64] {
            for (rows, outputs, inputs) in MAPS {
                let numbers = |shape: (usize, usize), seed: usize| {
                    let values = (0..shape.0 * shape.1).map(|at| ((at * 7 + seed) as f32).sin());
                    let values = Tensor::from_iter(values, &Device::Cpu).unwrap();
                    values.reshape(shape).unwrap().to_dtype(dtype).unwrap()
                };
                let weight = Var::from_tensor(&numbers((outputs, inputs), 0)).unwrap();
                let loss = |part: usize| {
                    let y = linear(&numbers((rows, inputs), 31 * part + 1), &weight, None).unwrap();
                    y.sqr().unwrap().sum_all().unwrap()
                };
                let (mut at_once, mut waited) =
                    (Gradients::of([weight.as_tensor()]), Gradients::of([weight.as_tensor()]));
                pool.install(|| {
                    (0..4).for_each(|part| at_once.add(&loss(part)).unwrap());
                    waited.in_turns(|turns| {
                        let computed = |part| turns.computed(part, &loss(part)).unwrap();
                        let mut last_first: Vec<_> = (0..4).rev().map(computed).collect();
                        while let Some((adding, rest)) = last_first.pop() {
                            let kept = adding.active.turn.as_ref().unwrap().waiting.len();
                            assert_eq!(kept, usize::from(adding.part > 0), "part {}", adding.part);
                            assert_eq!(adding.finish(rest).unwrap(), None);
                        }
                    });
                });
                let numbers = |gradients: &Gradients| {
                    let sum = gradients.sum(0).unwrap().to_dtype(DType::F64);
                    sum.unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap()
                };
                let same = numbers(&at_once) == numbers(&waited);
                assert!(same, "{rows} × {outputs} × {inputs}, {dtype:?}, {threads} threads");
            }
        }
    }
}
