//! Products of matrices, or of each of some pairs of matrices, by cuBLAS.
//!
//! Operands and results are f32, multiplied without TF32. With
//! [`with_products_in`](crate::with_products_in) the operands are rounded to a 16-bit type first;
//! cuBLAS adds up in f32 and the result is not rounded again.

use std::ffi::c_void;

use candle_core::cuda_backend::cudarc::cublas::{result, sys};
use candle_core::{DType, Result, Tensor, bail};

use super::launch::{Argument, address, device_of, unfilled};
use crate::precision::{Precision, products};

/// A matrix `[rows, columns]`, or some of them, read as it lies or transposed.
#[derive(Clone, Copy)]
enum Way {
    Plain,
    Transposed,
}

/// `a b`.
pub(super) fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    multiply((a, Way::Plain), (b, Way::Plain), None)
}

/// `a bᵀ`.
pub(super) fn by_transposed(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    multiply((a, Way::Plain), (b, Way::Transposed), None)
}

/// `aᵀ b`.
pub(super) fn transposed_by(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    multiply((a, Way::Transposed), (b, Way::Plain), None)
}

/// `sum ← sum + a b`, where it lies.
pub(super) fn add_product(sum: &Tensor, a: &Tensor, b: &Tensor) -> Result<()> {
    multiply((a, Way::Plain), (b, Way::Plain), Some(sum)).map(drop)
}

/// The product, added to `sum` where it is given.
fn multiply(
    (a, a_way): (&Tensor, Way),
    (b, b_way): (&Tensor, Way),
    sum: Option<&Tensor>,
) -> Result<Tensor> {
    let (pairs, [m, k]) = sizes(a, a_way)?;
    let (others, [inner, n]) = sizes(b, b_way)?;
    let shape = if a.rank() == 3 { vec![pairs, m, n] } else { vec![m, n] };
    let fits = (others, inner) == (pairs, k) && a.rank() == b.rank() && k > 0;
    if !fits || sum.is_some_and(|sum| sum.dims() != shape) {
        bail!("no product of {:?} and {:?}", a.dims(), b.dims());
    }
    let output = match sum {
        Some(sum) => sum.clone(),
        None => unfilled(shape, a)?,
    };
    if output.elem_count() == 0 {
        return Ok(output);
    }
    let kind = match products() {
        Precision::F32 => (DType::F32, sys::cudaDataType_t::CUDA_R_32F),
        Precision::Bf16 => (DType::BF16, sys::cudaDataType_t::CUDA_R_16BF),
        Precision::F16 => (DType::F16, sys::cudaDataType_t::CUDA_R_16F),
    };
    // cuBLAS reads by columns, so that it sees every matrix transposed: outputᵀ = bᵀ aᵀ.
    let (b_side, a_side) = (Side::of(b, (b_way, kind))?, Side::of(a, (a_way, kind))?);
    let Argument::Address(into) = address(&output)? else {
        bail!("a product has no place");
    };
    let (one, beta) = (1_f32, if sum.is_some() { 1_f32 } else { 0.0 });
    let blas = device_of(a)?.cublas_handle();
    // SAFETY: the sizes were checked above and operands and result are contiguous, so that the
    // strides stay within them; all three outlive the work, since memory goes back on its stream.
    let done = unsafe {
        result::gemm_strided_batched_ex(
            *blas.handle(),
            b_side.operation,
            a_side.operation,
            whole(n)?,
            whole(m)?,
            whole(k)?,
            (&raw const one).cast(),
            b_side.place,
            kind.1,
            b_side.stride,
            b_side.next,
            a_side.place,
            kind.1,
            a_side.stride,
            a_side.next,
            (&raw const beta).cast(),
            into as *mut c_void,
            sys::cudaDataType_t::CUDA_R_32F,
            whole(n)?,
            (m * n) as i64,
            whole(pairs)?,
            sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
        )
    };
    match done {
        Ok(()) => Ok(output),
        Err(error) => bail!("cuBLAS refused a product: {error:?}"),
    }
}

/// How many matrices, and rows and columns of each as it is read.
fn sizes(x: &Tensor, way: Way) -> Result<(usize, [usize; 2])> {
    let (pairs, rows, columns) = match *x.dims() {
        [rows, columns] => (1, rows, columns),
        [pairs, rows, columns] => (pairs, rows, columns),
        _ => bail!("a product takes matrices, not {:?}", x.dims()),
    };
    Ok(match way {
        Way::Plain => (pairs, [rows, columns]),
        Way::Transposed => (pairs, [columns, rows]),
    })
}

fn whole(size: usize) -> Result<i32> {
    match i32::try_from(size) {
        Ok(size) => Ok(size),
        Err(_) => bail!("a matrix of {size} rows or columns is more than cuBLAS takes"),
    }
}

/// An operand as cuBLAS is told of it.
struct Side {
    operation: sys::cublasOperation_t,
    place: *const c_void,
    /// From one row to the next.
    stride: i32,
    /// From one matrix to the next.
    next: i64,
    /// What lies there.
    _rounded: Tensor,
}

impl Side {
    fn of(x: &Tensor, (way, (dtype, _)): (Way, (DType, sys::cudaDataType_t))) -> Result<Self> {
        let rounded = x.to_dtype(dtype)?;
        let (_, [rows, columns]) = sizes(x, Way::Plain)?;
        let Argument::Address(place) = address(&rounded)? else {
            bail!("an operand has no place");
        };
        let operation = match way {
            Way::Plain => sys::cublasOperation_t::CUBLAS_OP_N,
            Way::Transposed => sys::cublasOperation_t::CUBLAS_OP_T,
        };
        let (stride, next) = (whole(columns)?, (rows * columns) as i64);
        Ok(Self { operation, place: place as *const c_void, stride, next, _rounded: rounded })
    }
}
