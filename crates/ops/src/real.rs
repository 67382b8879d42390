//! The two types that hand-written CPU forms work on, and access to tensors as slices of them.

use std::ops::Deref;
use std::sync::Mutex;

use candle_core::{CpuStorage, DType, Device, Layout, Result, Shape, Storage, Tensor, bail};

use crate::buffer::Pool;
use crate::recording::is_composing;
use crate::vector::{exp_f32, normal_f32, sigmoid_f32};

/// `f32` or `f64`.
pub(crate) trait Real:
    Copy
    + Default
    + 'static
    + Send
    + Sync
    + PartialOrd
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::AddAssign
    + std::ops::MulAssign
{
    /// The smallest finite value.
    const LOWEST: Self;
    fn as_f64(self) -> f64;
    fn of_f64(value: f64) -> Self;
    fn exp(self) -> Self;
    fn sqrt(self) -> Self;
    /// Φ(x) and φ(x), the standard normal distribution function and density.
    fn normal(self) -> (Self, Self);
    /// 1/(1 + e⁻ˣ).
    fn sigmoid(self) -> Self;
    /// The number where `bit` is 1, 0 where it is 0.
    fn kept(self, bit: u32) -> Self;
    fn pool() -> &'static Mutex<Pool<Self>>;
    fn storage(values: Vec<Self>) -> CpuStorage;
    fn slice(storage: &CpuStorage) -> Option<&[Self]>;
    fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]>;
}

macro_rules! real {
    ($type:ident, $variant:ident, $bits:ident, $exp:expr, $normal:expr, $sigmoid:expr) => {
        impl Real for $type {
            const LOWEST: Self = $type::MIN;
            #[inline(always)]
            fn as_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn of_f64(value: f64) -> Self {
                value as $type
            }
            #[inline(always)]
            fn exp(self) -> Self {
                $exp(self)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                $type::sqrt(self)
            }
            #[inline(always)]
            fn normal(self) -> (Self, Self) {
                $normal(self)
            }
            #[inline(always)]
            fn sigmoid(self) -> Self {
                $sigmoid(self)
            }
            #[inline(always)]
            fn kept(self, bit: u32) -> Self {
                let all = $bits::from(bit).wrapping_neg();
                Self::from_bits(self.to_bits() & all)
            }
            fn pool() -> &'static Mutex<Pool<Self>> {
                static POOL: Mutex<Pool<$type>> = Mutex::new(Pool::new());
                &POOL
            }
            fn storage(values: Vec<Self>) -> CpuStorage {
                CpuStorage::$variant(values)
            }
            fn slice(storage: &CpuStorage) -> Option<&[Self]> {
                match storage {
                    CpuStorage::$variant(values) => Some(values),
                    _ => None,
                }
            }
            fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
                match storage {
                    CpuStorage::$variant(values) => Some(values),
                    _ => None,
                }
            }
        }
    };
}
real!(f32, F32, u32, exp_f32, normal_f32, sigmoid_f32);
real!(f64, F64, u64, f64::exp, normal_f64, |x: f64| 1.0 / (1.0 + (-x).exp()));

/// Φ(x) and φ(x) by the library's error function.
fn normal_f64(x: f64) -> (f64, f64) {
    let erf = candle_core::cpu::erf::erf_f64(x * std::f64::consts::FRAC_1_SQRT_2);
    let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    (0.5 * (1.0 + erf), density)
}

/// The sum of `term(i)` for `i` in `0..count`, in eight interleaved parts, so that rounding errors
/// stay small and the compiler can use vector instructions.
#[inline(always)]
pub(crate) fn sum<T: Real>(count: usize, term: impl Fn(usize) -> T) -> T {
    let mut parts = [T::default(); 8];
    let whole = count / 8 * 8;
    for start in (0..whole).step_by(8) {
        for (lane, part) in parts.iter_mut().enumerate() {
            *part += term(start + lane);
        }
    }
    for (lane, index) in (whole..count).enumerate() {
        parts[lane] += term(index);
    }
    ((parts[0] + parts[4]) + (parts[2] + parts[6]))
        + ((parts[1] + parts[5]) + (parts[3] + parts[7]))
}

/// Whether the hand-written forms take these tensors: all f32 or all f64, on the CPU.
pub(crate) fn are_native(tensors: &[&Tensor]) -> bool {
    !is_composing()
        && tensors.iter().all(|tensor| {
            matches!(tensor.device(), Device::Cpu)
                && matches!(tensor.dtype(), DType::F32 | DType::F64)
                && tensor.dtype() == tensors[0].dtype()
        })
}

/// A contiguous tensor on the CPU, held for reading by a guard of its storage.
pub(crate) struct Held<'a, G> {
    storage: G,
    layout: &'a Layout,
}

/// Holds a tensor for reading.
pub(crate) fn hold(tensor: &Tensor) -> Held<'_, impl Deref<Target = Storage>> {
    let (storage, layout) = tensor.storage_and_layout();
    Held { storage, layout }
}

impl<G: Deref<Target = Storage>> Held<'_, G> {
    /// Its elements.
    pub(crate) fn values<T: Real>(&self) -> Result<&[T]> {
        match &*self.storage {
            Storage::Cpu(storage) => elements(storage, self.layout),
            _ => bail!("an operand is not on the CPU"),
        }
    }
}

/// The tensor with its elements side by side; itself where they are, so that no node is added.
pub(crate) fn contiguous(tensor: &Tensor) -> Result<Tensor> {
    if tensor.is_contiguous() { Ok(tensor.clone()) } else { tensor.contiguous() }
}

/// The elements of a contiguous part of a storage.
pub(crate) fn elements<'a, T: Real>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match (T::slice(storage), layout.contiguous_offsets()) {
        (Some(values), Some((start, end))) => Ok(&values[start..end]),
        (None, _) => bail!("an operand has another type than expected"),
        (_, None) => bail!("an operand is not contiguous"),
    }
}

/// Evaluates an expression with `$T` as the element type of a storage.
macro_rules! with_type {
    ($storage:expr, $T:ident => $body:expr) => {
        match $storage {
            candle_core::CpuStorage::F32(_) => {
                type $T = f32;
                $body
            }
            candle_core::CpuStorage::F64(_) => {
                type $T = f64;
                $body
            }
            _ => candle_core::bail!("expected f32 or f64"),
        }
    };
}
pub(crate) use with_type;

/// Some tensors of one type on the CPU, contiguous, read as slices outside the graph.
pub(crate) fn read<R, const N: usize>(
    tensors: [&Tensor; N],
    compute: impl FnOnce([(&CpuStorage, &Layout); N]) -> Result<R>,
) -> Result<R> {
    let mut owned = Vec::with_capacity(N);
    for tensor in tensors {
        owned.push(contiguous(tensor)?);
    }
    let guards: Vec<_> = owned.iter().map(Tensor::storage_and_layout).collect();
    let mut views = Vec::with_capacity(N);
    for (storage, layout) in &guards {
        match &**storage {
            Storage::Cpu(storage) => views.push((storage, *layout)),
            _ => bail!("expected tensors on the CPU"),
        }
    }
    match views.try_into() {
        Ok(views) => compute(views),
        Err(_) => bail!("expected {N} tensors"),
    }
}

/// A tensor on the CPU that holds this storage.
pub(crate) fn tensor_of(storage: CpuStorage, shape: &Shape) -> Result<Tensor> {
    match storage {
        CpuStorage::F32(values) => Tensor::from_vec(values, shape, &Device::Cpu),
        CpuStorage::F64(values) => Tensor::from_vec(values, shape, &Device::Cpu),
        _ => bail!("expected f32 or f64"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_take_every_term_once() {
        for count in 0..40 {
            assert!(
                (sum(count, |i| i as f64) - (count * count.max(1).wrapping_sub(1)) as f64 / 2.0)
                    .abs()
                    < 1e-9
            );
        }
    }
}
