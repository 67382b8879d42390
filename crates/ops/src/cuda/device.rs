//! Devices, and the memory on them.

use candle_core::cuda_backend::cudarc::driver::{CudaContext, result, sys};
use candle_core::{Device, Result, bail};

/// How many CUDA devices this machine has.
///
/// # Errors
/// A driver that is absent or refuses.
pub fn count() -> Result<usize> {
    match CudaContext::device_count() {
        Ok(count) => Ok(usize::try_from(count).unwrap_or(0)),
        Err(error) => bail!("the CUDA driver does not answer: {error}"),
    }
}

/// A device by its number, from 0.
///
/// All work on it goes to one stream of its own, which does not depend on the thread that asks.
/// Memory that was used stays at hand for what comes next, as in other frameworks: giving it back
/// to the driver and asking again would cost more than most kernels.
///
/// # Errors
/// A device that is not there, a driver that refuses.
pub fn open(index: usize) -> Result<Device> {
    let device = Device::new_cuda_with_stream(index)?;
    if let Device::Cuda(cuda) = &device {
        // SAFETY: there is one stream a device, so nothing has to wait for another.
        unsafe { cuda.disable_event_tracking() };
        let mut most = u64::MAX;
        let threshold = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        // SAFETY: the attribute is a 64-bit number, and `most` lives through the call.
        let set = unsafe {
            result::mem_pool::set_attribute(pool(index)?, threshold, (&raw mut most).cast())
        };
        if let Err(error) = set {
            bail!("the memory of CUDA device {index} cannot be kept at hand: {error}");
        }
    }
    Ok(device)
}

/// What no other device has, on whatever machine: the UUID of the card, or of the part of it that is a
/// device by itself.
///
/// # Errors
/// The CPU, or a driver that does not say.
pub fn identity(device: &Device) -> Result<[u8; 16]> {
    let Device::Cuda(device) = device else { bail!("the CPU has no UUID") };
    match device.cuda_stream().context().uuid() {
        Ok(uuid) => Ok(uuid.bytes.map(|byte| byte as u8)),
        Err(error) => bail!("a CUDA device does not say its UUID: {error}"),
    }
}

/// What a device's memory was used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceMemory {
    /// The most bytes that tensors took at one time.
    pub peak_used_bytes: u64,
    /// The most bytes that were taken from the driver for them.
    pub peak_reserved_bytes: u64,
}

/// The high-water marks of the memory of device `index`, over the life of this process. The
/// driver's own and cuBLAS's memory is not in them.
///
/// # Errors
/// A device that is not there.
pub fn memory(index: usize) -> Result<DeviceMemory> {
    let pool = pool(index)?;
    let read = |attribute| {
        let mut value = 0_u64;
        // SAFETY: both attributes are 64-bit numbers, and `value` lives through the call.
        let found =
            unsafe { result::mem_pool::get_attribute(pool, attribute, (&raw mut value).cast()) };
        match found {
            Ok(()) => Ok(value),
            Err(error) => bail!("the memory of CUDA device {index} is not told: {error}"),
        }
    };
    Ok(DeviceMemory {
        peak_used_bytes: read(sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH)?,
        peak_reserved_bytes: read(sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH)?,
    })
}

/// The pool that a device's memory comes from.
fn pool(index: usize) -> Result<sys::CUmemoryPool> {
    let ordinal = i32::try_from(index).unwrap_or(i32::MAX);
    // SAFETY: the pool is asked for of a device that the driver has just named.
    let pool = result::device::get(ordinal)
        .and_then(|device| unsafe { result::device::get_default_mem_pool(device) });
    match pool {
        Ok(pool) => Ok(pool),
        Err(error) => bail!("CUDA device {index} has no pool of memory: {error}"),
    }
}
