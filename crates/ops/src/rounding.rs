//! Mixed precision on the CPU: operands of products rounded to 16 bits.
//!
//! As on CUDA devices: operands are rounded to nearest, ties to even; products add up in f32 and
//! their results are not rounded again. What is rounded stays in f32, which the CPU multiplies at
//! full speed: this is for the same numbers as on a device, not for speed.

use std::any::TypeId;

use crate::buffer::Buffer;
use crate::precision::{Precision, products};
use crate::real::Real;
use crate::vector::vectorised;

/// The type to which operands of this type are rounded, if they are.
pub(crate) fn rounding<T: Real>() -> Option<Precision> {
    let precision = products();
    (precision != Precision::F32 && TypeId::of::<T>() == TypeId::of::<f32>()).then_some(precision)
}

/// Rows of `width` numbers that begin `stride` apart, side by side and rounded.
pub(crate) fn rounded<T: Real>(
    values: &[T],
    (rows, width, stride): (usize, usize, usize),
    precision: Precision,
) -> Buffer<T> {
    let mut output = Buffer::of(rows * width);
    if width == stride {
        output.copy_from_slice(&values[..rows * width]);
    } else {
        for (row, output) in output.chunks_exact_mut(width.max(1)).enumerate() {
            output.copy_from_slice(&values[row * stride..][..width]);
        }
    }
    match precision {
        Precision::F32 => {}
        Precision::Bf16 => to_bf16(&mut output),
        Precision::F16 => to_f16(&mut output),
    }
    output
}

vectorised! {
    fn to_bf16<'k, T>(values: &'k mut [T]) {
        for value in values.iter_mut() {
            *value = T::of_f64(f64::from(bf16(value.as_f64() as f32)));
        }
    }

    fn to_f16<'k, T>(values: &'k mut [T]) {
        for value in values.iter_mut() {
            *value = T::of_f64(f64::from(f16(value.as_f64() as f32)));
        }
    }
}

/// Half of the last kept bit, less one where that bit is 0, carried into what is kept; `dropped`
/// bits are 0 then.
#[inline(always)]
fn kept(x: f32, dropped: u32) -> f32 {
    let bits = x.to_bits();
    let half = (1_u32 << (dropped - 1)) - 1 + ((bits >> dropped) & 1);
    f32::from_bits(bits.wrapping_add(half) >> dropped << dropped)
}

/// The nearest bfloat16, the even one of two.
#[inline(always)]
fn bf16(x: f32) -> f32 {
    let rounded = kept(x, 16);
    if x.is_nan() { x } else { rounded }
}

/// The nearest IEEE half, the even one of two; infinite from 65520 on.
#[inline(always)]
fn f16(x: f32) -> f32 {
    /// Numbers near this one are multiples of 2⁻²⁴, as subnormal halves are.
    const ROUND: f32 = 0.75;
    const SMALLEST_NORMAL: f32 = 6.103_515_6e-5; // 2⁻¹⁴
    let normal = kept(x, 13);
    let subnormal = (x + ROUND) - ROUND;
    let finite = if x.abs() < SMALLEST_NORMAL { subnormal } else { normal };
    let bounded = if finite.abs() > 65_504.0 { f32::INFINITY.copysign(x) } else { finite };
    if x.is_nan() { x } else { bounded }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};

    use super::*;
    use crate::with_products_in;

    /// Numbers of every exponent and near every border.
    fn numbers() -> Vec<f32> {
        let mut numbers: Vec<f32> =
            (0..1 << 18).map(|at: u32| f32::from_bits(at.wrapping_mul(0x9e37_79b1))).collect();
        for border in [65_504.0, 65_519.0, 65_520.0, 6.1e-5, 5.96e-8, 2.98e-8, 1.0, 0.0] {
            for near in -3..=3_i32 {
                let bits = f32::to_bits(border).wrapping_add_signed(near);
                numbers.extend([f32::from_bits(bits), -f32::from_bits(bits)]);
            }
        }
        // Halfway between two halves, and between two bfloat16.
        numbers.extend((0..64).flat_map(|at| {
            let at = at as f32;
            [
                1.0 + (2.0 * at + 1.0) / 2048.0,
                1.0 + (2.0 * at + 1.0) / 256.0,
                (at + 0.5) * 5.960_464_5e-8,
            ]
        }));
        numbers.retain(|number| !number.is_nan());
        numbers
    }

    /// candle rounds with the `half` crate.
    #[test]
    fn numbers_are_rounded_as_by_conversion() {
        let numbers = numbers();
        for (precision, dtype) in [(Precision::Bf16, DType::BF16), (Precision::F16, DType::F16)] {
            let tensor = Tensor::new(numbers.as_slice(), &Device::Cpu).unwrap();
            let expected = tensor.to_dtype(dtype).unwrap().to_dtype(DType::F32).unwrap();
            let expected = expected.to_vec1::<f32>().unwrap();
            let found = rounded(&numbers, (1, numbers.len(), numbers.len()), precision);
            for ((number, found), expected) in numbers.iter().zip(&*found).zip(&expected) {
                let zero = found.abs().max(expected.abs()) <= 0.0;
                let same = zero || found.to_bits() == expected.to_bits();
                assert!(same, "{precision:?} of {number:e}: {found:e}, {expected:e}");
            }
            assert!(rounded(&[f32::NAN], (1, 1, 1), precision)[0].is_nan());
        }
    }

    #[test]
    fn rows_are_put_side_by_side() {
        let values: Vec<f32> = (0..12).map(|at| at as f32 + 0.001).collect();
        let found = rounded(&values, (2, 3, 6), Precision::Bf16);
        assert_eq!(*found, [0.001_f32, 1.0, 2.0, 6.0, 7.0, 8.0].map(bf16));
    }

    #[test]
    fn only_f32_is_rounded_and_only_where_that_is_asked_for() {
        assert_eq!(rounding::<f32>(), None);
        with_products_in(Precision::F16, || {
            assert_eq!(rounding::<f32>(), Some(Precision::F16));
            assert_eq!(rounding::<f64>(), None);
        });
    }
}
