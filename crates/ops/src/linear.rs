//! A linear map: `y = x Wᵀ + b`.
//!
//! `x` `[…, in]`, `W` `[out, in]`, `b` `[out]`, `y` `[…, out]`. Backward: `dx = g W`, `dW = gᵀ x`,
//! `db` = the sum of `g` over rows.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, DType, Layout, Shape, Tensor};

use crate::contribution::{contribute_product, gradient_of, is_summed};
use crate::error::{OpsError, Result};
use crate::matrix::{Into, Matrix, MatrixMut, product};
use crate::real::{Real, are_native, contiguous, elements, hold, tensor_of, with_type};
use crate::recording::{applied2, applied3};
use crate::threads::{for_row_blocks, sum_over_rows};
use crate::vector::vectorised;

/// `x Wᵀ + b` over the last dimension: `x` `[…, in]`, `weight` `[out, in]`, `bias` `[out]`;
/// result `[…, out]`.
///
/// # Errors
/// Shapes that do not fit.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    check(x, weight, bias)?;
    #[cfg(feature = "cuda")]
    if crate::cuda::takes(&[x, weight, bias.unwrap_or(x)]) {
        return Ok(crate::cuda::linear(x, weight, bias)?);
    }
    match bias {
        Some(bias) if are_native(&[x, weight, bias]) => {
            let (x, weight, bias) = (contiguous(x)?, contiguous(weight)?, contiguous(bias)?);
            Ok(applied3(&x, &weight, &bias, Linear)?)
        }
        None if are_native(&[x, weight]) => {
            Ok(applied2(&contiguous(x)?, &contiguous(weight)?, Linear)?)
        }
        _ => linear_composed(x, weight, bias),
    }
}

/// [`linear`] from candle's own operations.
fn linear_composed(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (outputs, inputs) = weight.dims2()?;
    let mut shape = x.dims().to_vec();
    shape.pop();
    shape.push(outputs);
    let rows = x.elem_count() / inputs.max(1);
    let product = x.reshape((rows, inputs))?.matmul(&weight.t()?)?;
    let product = match bias {
        Some(bias) => product.broadcast_add(bias)?,
        None => product,
    };
    Ok(product.reshape(shape)?)
}

fn check(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<()> {
    let error = |argument, tensor: &Tensor, expected| {
        let found = tensor.dims().to_vec();
        Err(OpsError::Shape { operation: "linear", argument, found, expected })
    };
    let &[outputs, inputs] = weight.dims() else {
        return error("weight", weight, "[out, in]".to_owned());
    };
    if outputs == 0 {
        return error("weight", weight, "[out, in], and at least one output".to_owned());
    }
    if inputs == 0 || x.dims().last() != Some(&inputs) {
        return error("x", x, format!("[…, {inputs}]"));
    }
    match bias {
        Some(bias) if bias.dims() != [outputs] => error("bias", bias, format!("[{outputs}]")),
        _ => Ok(()),
    }
}

/// Adds a bias to each row.
pub(crate) fn add_bias<T: Real>(rows: &mut [T], bias: &[T]) {
    for_row_blocks(rows, bias.len(), |_, block| add_to_rows(block, bias));
}

vectorised! {
    fn add_to_rows<'k, T>(rows: &'k mut [T], bias: &'k [T]) {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (value, bias) in row.iter_mut().zip(bias) {
                *value += *bias;
            }
        }
    }
}

/// The sums over the rows of a matrix `[rows, columns]`, into `sums` `[columns]`.
pub(crate) fn column_sums<T: Real>(matrix: &[T], sums: &mut [T]) {
    let columns = sums.len();
    let rows = matrix.len() / columns.max(1);
    let total = sum_over_rows(rows, columns, T::default(), |rows, sums| {
        add_rows(&matrix[rows.start * columns..rows.end * columns], sums);
    });
    sums.copy_from_slice(&total);
}

vectorised! {
    fn add_rows<'k, T>(rows: &'k [T], sums: &'k mut [T]) {
        for row in rows.chunks_exact(sums.len().max(1)) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += *value;
            }
        }
    }
}

struct Linear;

impl Linear {
    fn forward(
        x: (&CpuStorage, &Layout),
        weight: (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (outputs, inputs) = weight.1.shape().dims2()?;
        let rows = x.1.shape().elem_count() / inputs;
        let mut shape = x.1.dims().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = outputs;
        }
        let output = with_type!(x.0, T => {
            let mut output = vec![T::default(); rows * outputs];
            product(
                MatrixMut::new(&mut output, rows, outputs),
                Matrix::new(elements::<T>(x.0, x.1)?, rows, inputs),
                Matrix::new(elements::<T>(weight.0, weight.1)?, outputs, inputs).t(),
                Into::Replace,
            );
            if let Some((bias, layout)) = bias {
                add_bias(&mut output, elements::<T>(bias, layout)?);
            }
            T::storage(output)
        });
        Ok((output, Shape::from(shape)))
    }

    /// The gradients by `x`, weight and bias that candle's own backward is to take.
    fn backward<T: Real>(
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        gradient: &[T],
    ) -> candle_core::Result<[Option<Tensor>; 3]> {
        let (outputs, inputs) = weight.dims2()?;
        let rows = x.elem_count() / inputs;
        let (held_x, held_weight) = (hold(x), hold(weight));
        let by_rows = Matrix::new(gradient, rows, outputs);
        let by_x = if x.track_op() {
            let mut output = vec![T::default(); rows * inputs];
            let weight = Matrix::new(held_weight.values::<T>()?, outputs, inputs);
            product(MatrixMut::new(&mut output, rows, inputs), by_rows, weight, Into::Replace);
            Some(tensor_of(T::storage(output), x.shape())?)
        } else {
            None
        };
        let x = Matrix::new(held_x.values::<T>()?, rows, inputs);
        let by_weight = if is_summed(weight) {
            contribute_product(weight, by_rows.t(), x)?;
            None
        } else {
            gradient_of(weight, |output| {
                product(MatrixMut::new(output, outputs, inputs), by_rows.t(), x, Into::Replace);
            })?
        };
        let by_bias = match bias {
            Some(bias) => gradient_of(bias, |sums| column_sums(gradient, sums))?,
            None => None,
        };
        Ok([by_x, by_weight, by_bias])
    }

    fn gradients(
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        gradient: &Tensor,
    ) -> candle_core::Result<[Option<Tensor>; 3]> {
        let gradient = contiguous(gradient)?;
        let held = hold(&gradient);
        match gradient.dtype() {
            DType::F64 => Self::backward::<f64>(x, weight, bias, held.values()?),
            _ => Self::backward::<f32>(x, weight, bias, held.values()?),
        }
    }
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        Self::forward((x, x_layout), (weight, weight_layout), None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let [by_x, by_weight, _] = Self::gradients(x, weight, None, gradient)?;
        Ok((by_x, by_weight))
    }
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear-with-bias"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        Self::forward((x, x_layout), (weight, weight_layout), Some((bias, bias_layout)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [by_x, by_weight, by_bias] = Self::gradients(x, weight, Some(bias), gradient)?;
        Ok((by_x, by_weight, by_bias))
    }
}
