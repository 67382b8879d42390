//! The forms of the operations on a CUDA device: kernels for what candle lacks or composes of many
//! (`kernels.cu`, compiled when a device is first used), cuBLAS through candle for the products.
//!
//! They take f32. Other types take the composed forms, on CUDA as anywhere. Dropout masks are drawn
//! by a kernel from the same counter-based generator, so they are the CPU's, bit for bit.
//!
//! Everything runs on one stream of its device, in the order in which it was asked for. That is
//! what makes addresses safe to hand to kernels: memory is given back on the same stream, behind
//! the work that was asked for before.

mod attention;
#[cfg(feature = "nccl")]
mod collective;
mod device;
mod kernels;
mod launch;
mod layer;
mod mask;
mod node;
mod operations;
mod optimizer;
mod place;
mod product;

use candle_core::{DType, Tensor};

pub(crate) use self::attention::attention;
#[cfg(feature = "nccl")]
pub use self::collective::{Collective, CollectiveId};
pub use self::device::{DeviceMemory, count, identity, memory, open};
pub(crate) use self::kernels::add_to;
pub(crate) use self::layer::layer;
pub(crate) use self::operations::{activation, dropout, embedding, layer_norm, linear};
pub use self::optimizer::{AdamWParameter, AdamWStep, adamw, sums_of_squares};
use crate::recording::is_composing;

/// Whether the kernels take these tensors: f32 on a CUDA device, with no composed form asked for.
pub(crate) fn takes(tensors: &[&Tensor]) -> bool {
    !is_composing()
        && tensors.iter().all(|tensor| tensor.device().is_cuda() && tensor.dtype() == DType::F32)
}
