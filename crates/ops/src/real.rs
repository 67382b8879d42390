//! The two types that hand-written CPU forms work on, and access to tensors as slices of them.

use candle_core::{CpuStorage, DType, Device, Layout, Result, Storage, Tensor};

/// `f32` or `f64`.
pub(crate) trait Real:
    Copy
    + Send
    + Sync
    + PartialOrd
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::AddAssign
    + std::iter::Sum
{
    const ZERO: Self;
    fn as_f64(self) -> f64;
    fn of_f64(value: f64) -> Self;
    fn exp(self) -> Self;
    fn storage(values: Vec<Self>) -> CpuStorage;
    fn slice(storage: &CpuStorage) -> Option<&[Self]>;
}

macro_rules! real {
    ($type:ty, $variant:ident) => {
        impl Real for $type {
            const ZERO: Self = 0.0;
            fn as_f64(self) -> f64 {
                f64::from(self)
            }
            fn of_f64(value: f64) -> Self {
                value as $type
            }
            fn exp(self) -> Self {
                <$type>::exp(self)
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
        }
    };
}
real!(f32, F32);
real!(f64, F64);

/// Whether the hand-written forms take this tensor: f32 or f64 on the CPU.
pub(crate) fn is_native(tensor: &Tensor) -> bool {
    matches!(tensor.device(), Device::Cpu) && matches!(tensor.dtype(), DType::F32 | DType::F64)
}

/// The tensor with its elements side by side; itself where they are, so that no node is added.
pub(crate) fn contiguous(tensor: &Tensor) -> Result<Tensor> {
    if tensor.is_contiguous() { Ok(tensor.clone()) } else { tensor.contiguous() }
}

/// The elements of a contiguous part of a storage.
pub(crate) fn elements<'a, T: Real>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match (T::slice(storage), layout.contiguous_offsets()) {
        (Some(values), Some((start, end))) => Ok(&values[start..end]),
        (None, _) => candle_core::bail!("an operand has another type than the first"),
        (_, None) => candle_core::bail!("an operand is not contiguous"),
    }
}

/// Evaluates an expression with `T` as the storage's element type and the name as its elements.
macro_rules! real_dispatch {
    ($storage:expr, $layout:expr, |$values:ident| $body:expr) => {
        match $storage {
            candle_core::CpuStorage::F32(_) => {
                #[allow(dead_code, reason = "not every expression names the type")]
                type T = f32;
                crate::real::elements::<T>($storage, $layout).map(|$values| $body)
            }
            candle_core::CpuStorage::F64(_) => {
                #[allow(dead_code, reason = "not every expression names the type")]
                type T = f64;
                crate::real::elements::<T>($storage, $layout).map(|$values| $body)
            }
            _ => candle_core::bail!("expected f32 or f64"),
        }
    };
}
pub(crate) use real_dispatch;

/// A new tensor of the same shape from a function of the storage, outside the graph.
pub(crate) fn map1(
    tensor: &Tensor,
    compute: impl FnOnce(&CpuStorage, &Layout) -> Result<CpuStorage>,
) -> Result<Tensor> {
    let tensor = contiguous(tensor)?;
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        candle_core::bail!("expected a tensor on the CPU");
    };
    tensor_of(compute(storage, layout)?, tensor.shape())
}

/// A tensor on the CPU that holds this storage.
pub(crate) fn tensor_of(storage: CpuStorage, shape: &candle_core::Shape) -> Result<Tensor> {
    match storage {
        CpuStorage::F32(values) => Tensor::from_vec(values, shape, &Device::Cpu),
        CpuStorage::F64(values) => Tensor::from_vec(values, shape, &Device::Cpu),
        _ => candle_core::bail!("expected f32 or f64"),
    }
}
