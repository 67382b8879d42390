use std::panic::{AssertUnwindSafe, catch_unwind};

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Shape, Var};

use super::*;
use crate::linear;

/// The same numbers, with a backward pass that panics.
pub(crate) struct Panics;

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
        panic!("this backward pass panics")
    }
}

/// Backward reaches the second map, then panics, and not the first.
#[test]
fn a_panic_gives_the_sums_back() {
    let weights = [[[0.5_f32, -0.5], [0.25, 1.0]], [[1.0, 2.0], [-1.0, 0.5]]]
        .map(|weight| Var::new(&weight, &Device::Cpu).unwrap());
    let x = Tensor::new(&[[1.0_f32, 2.0]], &Device::Cpu).unwrap();
    let loss = |panics| {
        let inner = linear(&x, &weights[0], None).unwrap();
        let inner = if panics { inner.apply_op1(Panics).unwrap() } else { inner };
        linear(&inner, &weights[1], None).unwrap().sqr().unwrap().sum_all().unwrap()
    };
    let mut gradients = Gradients::of(weights.iter().map(Var::as_tensor));
    let sums = |gradients: &Gradients| {
        [0, 1].map(|at| gradients.sum(at).map(|sum| sum.to_vec2::<f32>().unwrap()))
    };
    gradients.add(&loss(false)).unwrap();
    let expected = sums(&gradients);
    assert!(expected.iter().all(Option::is_some));

    let caught = catch_unwind(AssertUnwindSafe(|| gradients.add(&loss(true))));
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"this backward pass panics"));
    assert_eq!(gradients.unreached(), Some(0), "the pass that panicked did not reach it");
    assert!(sums(&gradients).iter().all(Option::is_some), "the sums are their owner's");
    gradients.reset();
    assert_eq!(sums(&gradients), [None, None]);
    gradients.add(&loss(false)).unwrap();
    assert_eq!(sums(&gradients), expected);
    assert_eq!(gradients.unreached(), None);
}
