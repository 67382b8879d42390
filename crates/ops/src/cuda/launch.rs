//! Kernels by name, on the device of their operands.

use candle_core::cuda_backend::cudarc::driver::{
    CudaFunction, DevicePtr as _, LaunchConfig, PushKernelArg as _,
};
use candle_core::cuda_backend::cudarc::nvrtc::compile_ptx;
use candle_core::cuda_backend::{CudaStorageSlice, DeviceId};
use candle_core::{CudaDevice, DType, Device, Result, Shape, Storage, Tensor, bail};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

const SOURCE: &str = include_str!("kernels.cu");

/// Threads of a block of elementwise kernels.
pub(super) const THREADS: u32 = 256;

/// What a kernel is given.
#[derive(Clone, Copy, Debug)]
pub(super) enum Argument {
    /// Where a tensor's elements lie; 0: nowhere.
    Address(u64),
    Number(u32),
    Long(u64),
    Real(f32),
}

/// How many threads, and how they are cut into blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    blocks: (u32, u32),
    threads: u32,
}

impl Grid {
    /// A thread an element.
    pub(super) fn of_elements(count: usize) -> Self {
        Self { blocks: ((count as u64).div_ceil(u64::from(THREADS)) as u32, 1), threads: THREADS }
    }

    /// A warp a row.
    pub(super) fn of_warps(rows: usize) -> Self {
        Self::of_elements(rows * 32)
    }

    /// A block a row.
    pub(super) fn of_rows(rows: usize) -> Self {
        Self { blocks: (rows as u32, 1), threads: THREADS }
    }

    /// A thread a column, a block each of some chunks of rows.
    pub(super) fn of_columns(columns: usize, chunks: usize) -> Self {
        let threads = 128;
        Self { blocks: ((columns as u32).div_ceil(threads), chunks as u32), threads }
    }
}

/// The device of a tensor.
pub(super) fn device_of(tensor: &Tensor) -> Result<&CudaDevice> {
    match tensor.device() {
        Device::Cuda(device) => Ok(device),
        _ => bail!("an operand of a CUDA kernel lies elsewhere"),
    }
}

/// A tensor of f32 that holds anything, for a kernel to fill.
pub(super) fn unfilled(shape: impl Into<Shape>, like: &Tensor) -> Result<Tensor> {
    // SAFETY: on a device, and whoever asks for it launches a kernel that writes every element
    // before another, later on the same stream, reads one.
    unsafe { Tensor::empty(shape, DType::F32, like.device()) }
}

/// Where the elements of a contiguous tensor lie.
pub(super) fn address(tensor: &Tensor) -> Result<Argument> {
    let (storage, layout) = tensor.storage_and_layout();
    let Some((start, _)) = layout.contiguous_offsets() else {
        bail!("an operand of a CUDA kernel is not contiguous");
    };
    let Storage::Cuda(storage) = &*storage else {
        bail!("an operand of a CUDA kernel lies elsewhere");
    };
    let stream = storage.device.cuda_stream();
    let (begin, size) = match &storage.slice {
        CudaStorageSlice::F32(slice) => (slice.device_ptr(&stream).0, 4),
        CudaStorageSlice::U32(slice) => (slice.device_ptr(&stream).0, 4),
        CudaStorageSlice::F64(slice) => (slice.device_ptr(&stream).0, 8),
        CudaStorageSlice::I64(slice) => (slice.device_ptr(&stream).0, 8),
        CudaStorageSlice::BF16(slice) => (slice.device_ptr(&stream).0, 2),
        CudaStorageSlice::F16(slice) => (slice.device_ptr(&stream).0, 2),
        _ => bail!("an operand of a CUDA kernel has a type that no kernel takes"),
    };
    Ok(Argument::Address(begin + start as u64 * size))
}

/// A count of elements for a kernel that numbers them with 32 bits, since dividing longer numbers
/// would cost more than what it does with them.
pub(super) fn small(count: usize) -> Result<Argument> {
    match u32::try_from(count) {
        Ok(count) => Ok(Argument::Number(count)),
        Err(_) => bail!("{count} elements are more than a CUDA kernel numbers; use smaller shards"),
    }
}

/// The address of a tensor that may be absent.
pub(super) fn address_or_none(tensor: Option<&Tensor>) -> Result<Argument> {
    tensor.map_or(Ok(Argument::Address(0)), address)
}

/// The kernels, compiled once.
fn compiled() -> Result<&'static str> {
    static PTX: OnceLock<std::result::Result<String, String>> = OnceLock::new();
    let compile = || compile_ptx(SOURCE).map(|ptx| ptx.to_src()).map_err(|error| error.to_string());
    match PTX.get_or_init(compile) {
        Ok(ptx) => Ok(ptx),
        Err(problem) => bail!(
            "the CUDA kernels could not be compiled: {problem}; the toolkit's NVRTC library is \
             needed at run time"
        ),
    }
}

/// What a kernel's source says of one of its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Address,
    Number,
    Long,
    Real,
}

impl Argument {
    fn kind(&self) -> Kind {
        match self {
            Self::Address(_) => Kind::Address,
            Self::Number(_) => Kind::Number,
            Self::Long(_) => Kind::Long,
            Self::Real(_) => Kind::Real,
        }
    }
}

/// The parameters of each kernel, read from the source: a launch with others would read or write
/// anywhere.
fn signatures() -> &'static HashMap<&'static str, Vec<Kind>> {
    static SIGNATURES: LazyLock<HashMap<&str, Vec<Kind>>> = LazyLock::new(|| {
        let kernels = SOURCE.split("extern \"C\" __global__ void ").skip(1);
        kernels.filter_map(|kernel| signature(kernel.split_once('{')?.0)).collect()
    });
    &SIGNATURES
}

/// `name(type name, …)`.
fn signature(text: &str) -> Option<(&str, Vec<Kind>)> {
    let (name, parameters) = text.trim().strip_suffix(')')?.split_once('(')?;
    let kind = |parameter: &str| match parameter.trim() {
        pointer if pointer.contains('*') => Some(Kind::Address),
        long if long.starts_with("u64 ") => Some(Kind::Long),
        number if number.starts_with("u32 ") || number.starts_with("int ") => Some(Kind::Number),
        real if real.starts_with("float ") => Some(Kind::Real),
        _ => None,
    };
    Some((name, parameters.split(',').map(kind).collect::<Option<_>>()?))
}

thread_local! {
    /// Kernels that were looked up, since that costs about as much as to launch them.
    static FUNCTIONS: RefCell<HashMap<(DeviceId, &'static str), CudaFunction>> = RefCell::default();
}

fn function(device: &CudaDevice, name: &'static str) -> Result<CudaFunction> {
    let key = (device.id(), name);
    if let Some(function) = FUNCTIONS.with_borrow(|known| known.get(&key).cloned()) {
        return Ok(function);
    }
    let function = device.get_or_load_custom_func(name, "mmc", compiled()?)?.into_cuda_function();
    FUNCTIONS.with_borrow_mut(|known| known.insert(key, function.clone()));
    Ok(function)
}

/// Runs a kernel behind all that was asked for before.
pub(super) fn run(
    device: &CudaDevice,
    name: &'static str,
    grid: Grid,
    arguments: &[Argument],
) -> Result<()> {
    if grid.blocks.0 == 0 || grid.blocks.1 == 0 {
        return Ok(());
    }
    let given = arguments.iter().map(Argument::kind);
    if !signatures().get(name).is_some_and(|wanted| given.eq(wanted.iter().copied())) {
        bail!("the CUDA kernel `{name}` takes other arguments than {arguments:?}");
    }
    let (function, stream) = (function(device, name)?, device.cuda_stream());
    let mut call = stream.launch_builder(&function);
    for argument in arguments {
        match argument {
            Argument::Address(value) | Argument::Long(value) => call.arg(value),
            Argument::Number(value) => call.arg(value),
            Argument::Real(value) => call.arg(value),
        };
    }
    let shape = LaunchConfig {
        grid_dim: (grid.blocks.0, grid.blocks.1, 1),
        block_dim: (grid.threads, 1, 1),
        shared_mem_bytes: 0,
    };
    // SAFETY: the arguments are those of the kernel's signature, and each wrapper in this folder
    // gives it addresses of tensors of the sizes that it is told, which outlive the kernel: memory
    // goes back on the same stream, behind it.
    match unsafe { call.launch(shape) } {
        Ok(_) => Ok(()),
        Err(error) => bail!("the CUDA kernel `{name}` was refused: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_has_a_signature_that_is_understood() {
        let kernels = SOURCE.matches("__global__").count();
        assert_eq!(signatures().len(), kernels);
        let expected = [Kind::Address, Kind::Address, Kind::Long];
        assert_eq!(signatures()["add_to"], expected);
    }
}
