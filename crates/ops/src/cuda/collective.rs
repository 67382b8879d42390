//! Sums over several devices by NCCL.

use std::ffi::c_char;

use candle_core::cuda_backend::CudaStorageSlice;
use candle_core::cuda_backend::cudarc::nccl::{Comm, Id, ReduceOp, group_end, group_start};
use candle_core::{
    CpuStorage, CudaStorage, Device, Error, InplaceOp1, Layout, Result, Tensor, bail,
};

/// A device among those that add their gradients up.
///
/// It stays on the thread that made it: NCCL's communicator is of one thread at a time.
#[derive(Debug)]
pub struct Collective {
    comm: Comm,
}

/// By what the devices of one sum find each other.
pub type CollectiveId = [u8; 128];

impl Collective {
    /// A new one, for all of them to be given.
    ///
    /// # Errors
    /// Where NCCL does not start.
    pub fn id() -> Result<CollectiveId> {
        let id = Id::new().map_err(refused("does not start"))?;
        Ok(id.internal().map(|byte| byte as u8))
    }

    /// `device` as number `rank` of `count`. Returns when all have joined; each physical device can
    /// be one of them.
    ///
    /// # Errors
    /// Where NCCL does not connect them, or `device` is the CPU.
    pub fn join(device: &Device, (rank, count): (usize, usize), id: CollectiveId) -> Result<Self> {
        let Device::Cuda(device) = device else { bail!("NCCL adds on CUDA devices alone") };
        let stream = device.cuda_stream();
        stream.context().bind_to_thread().map_err(Error::wrap)?;
        let id = Id::uninit(id.map(|byte| byte as c_char));
        let comm = Comm::from_rank(stream, rank, count, id);
        Ok(Self { comm: comm.map_err(refused("does not connect the devices"))? })
    }

    /// Replaces each of these by the sum of all devices' in its place, on the device's stream. Each device
    /// calls this with as many of the same shapes, such as [`Gradients::all_sums`] gives; one that does not
    /// leaves the others waiting for ever.
    ///
    /// # Errors
    /// Where NCCL fails, or a sum is not in f32 on this device.
    ///
    /// [`Gradients::all_sums`]: crate::Gradients::all_sums
    pub fn add(&self, sums: &[Tensor]) -> Result<()> {
        group_start().map_err(refused("begins no group"))?;
        let added = sums.iter().try_for_each(|sum| sum.inplace_op1(&Added(&self.comm)));
        let ended = group_end().map_err(refused("adds no gradients"));
        added.and(ended.map(|_| ()))
    }
}

impl Drop for Collective {
    /// NCCL's end must not come before that of its work.
    fn drop(&mut self) {
        let _failed = self.comm.stream().synchronize().is_err(); // said where it was used
    }
}

fn refused<E: std::fmt::Debug>(what: &str) -> impl FnOnce(E) -> Error {
    move |error| Error::Msg(format!("NCCL {what}: {error:?}; NCCL_DEBUG=INFO makes it say why"))
}

/// A tensor becomes the sum of those of all devices.
struct Added<'a>(&'a Comm);

impl InplaceOp1 for Added<'_> {
    fn name(&self) -> &'static str {
        "all-reduce"
    }

    fn cpu_fwd(&self, _storage: &mut CpuStorage, _layout: &Layout) -> Result<()> {
        bail!("NCCL adds on CUDA devices alone")
    }

    fn cuda_fwd(&self, storage: &mut CudaStorage, layout: &Layout) -> Result<()> {
        let (CudaStorageSlice::F32(values), Some((start, end))) =
            (&mut storage.slice, layout.contiguous_offsets())
        else {
            bail!("NCCL adds contiguous sums in f32")
        };
        let Some(mut values) = values.try_slice_mut(start..end) else {
            bail!("a sum is longer than its memory")
        };
        match self.0.all_reduce_in_place(&mut values, &ReduceOp::Sum) {
            Ok(_) => Ok(()),
            Err(error) => Err(refused("adds no gradients")(error)),
        }
    }
}
