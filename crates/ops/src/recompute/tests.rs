use candle_core::{DType, Device};

use super::*;
use crate::{Gradients, linear};

/// Numbers of this shape, other ones for each `seed`.
fn values(shape: (usize, usize), dtype: DType, seed: f32) -> Tensor {
    let values = (0..shape.0 * shape.1).map(|at| (at as f32 * 0.7 + seed).sin()).collect();
    let values: Vec<f32> = values;
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

/// A view of what a part computed: rows or columns of it, or all of it turned.
type View = fn(&Tensor) -> candle_core::Result<Tensor>;

/// The result and the gradients by the input and by the weight, plain or computed again.
fn found(view: View, dtype: DType, again: bool) -> Vec<Vec<Vec<f64>>> {
    let x = Var::from_tensor(&values((6, 4), dtype, 0.0)).unwrap();
    let weight = Var::from_tensor(&values((5, 4), dtype, 1.0)).unwrap();
    let held = weight.as_tensor().clone();
    let part = move |x: &Tensor| Ok(view(&linear(x, &held, None)?)?);
    let state = (x.as_tensor() * 1.0).unwrap();
    let y = if again { recompute(&state, Some(&weight), part) } else { part(&state) }.unwrap();
    // Another factor for each element, so that none can stand for another.
    let factors = values(y.dims2().unwrap(), dtype, 2.0);
    let mut gradients = Gradients::of([x.as_tensor(), weight.as_tensor()]);
    gradients.add(&(&y * factors).unwrap().sqr().unwrap().sum_all().unwrap()).unwrap();
    let sums = [0, 1].map(|at| gradients.sum(at).unwrap().clone());
    let number = |tensor: Tensor| tensor.to_dtype(DType::F64).unwrap().to_vec2().unwrap();
    [y].into_iter().chain(sums).map(number).collect()
}

/// A storage holds more than a view shows, and a view need not begin where its storage does.
#[test]
fn a_part_that_ends_in_a_view_gives_what_the_view_shows() {
    let views: [(&str, View); 5] = [
        ("all", |y| Ok(y.clone())),
        ("the first rows", |y| y.narrow(0, 0, 2)),
        ("rows in the middle", |y| y.narrow(0, 1, 2)),
        ("columns in the middle", |y| y.narrow(1, 2, 2)),
        ("rows, turned", |y| y.narrow(0, 3, 3)?.t()),
    ];
    for (name, view) in views {
        for dtype in [DType::F32, DType::F64] {
            let (found, expected) = (found(view, dtype, true), found(view, dtype, false));
            assert!(expected[0].concat().iter().all(|number| number.abs() > 0.0), "{name}");
            assert_eq!(found, expected, "{name}, {dtype:?}");
        }
    }
}

/// What is kept for the next operation is the view, not all that the part computed.
#[test]
fn nothing_is_kept_but_what_a_view_shows() {
    let x = Var::from_tensor(&values((6, 4), DType::F32, 0.0)).unwrap();
    let state = (x.as_tensor() * 1.0).unwrap();
    let y = recompute(&state, None, |x| Ok(x.narrow(0, 1, 2)?)).unwrap();
    let (storage, layout) = y.storage_and_layout();
    let Storage::Cpu(CpuStorage::F32(kept)) = &*storage else { panic!("not f32 on the CPU") };
    assert_eq!((kept.len(), layout.start_offset()), (8, 0));
}
