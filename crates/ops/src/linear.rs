//! A linear map: `y = x Wᵀ + b`.
//!
//! `x` `[…, in]`, `W` `[out, in]`, `b` `[out]`, `y` `[…, out]`. Backward: `dx = g W`, `dW = gᵀ x`,
//! `db` = the sum of `g` over rows.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Shape, Tensor, bail};

use crate::error::{OpsError, Result};
use crate::real::Real;
use crate::real::{are_native, contiguous, elements, read, tensor_of, with_type};
use crate::threads::{for_row_blocks, sum_over_rows};

/// `x Wᵀ + b` over the last dimension: `x` `[…, in]`, `weight` `[out, in]`, `bias` `[out]`;
/// result `[…, out]`.
///
/// # Errors
/// Shapes that do not fit.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    check(x, weight, bias)?;
    match bias {
        Some(bias) if are_native(&[x, weight, bias]) => {
            let (x, weight, bias) = (contiguous(x)?, contiguous(weight)?, contiguous(bias)?);
            Ok(x.apply_op3(&weight, &bias, Linear)?)
        }
        None if are_native(&[x, weight]) => {
            Ok(contiguous(x)?.apply_op2(&contiguous(weight)?, Linear)?)
        }
        _ => linear_composed(x, weight, bias),
    }
}

/// [`linear`] from candle's own operations.
pub(crate) fn linear_composed(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    check(x, weight, bias)?;
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
    if inputs == 0 || x.dims().last() != Some(&inputs) {
        return error("x", x, format!("[…, {inputs}]"));
    }
    match bias {
        Some(bias) if bias.dims() != [outputs] => error("bias", bias, format!("[{outputs}]")),
        _ => Ok(()),
    }
}

struct Linear;

/// `x Wᵀ`, with the shape of the result.
fn product(
    x: &CpuStorage,
    x_layout: &Layout,
    weight: &CpuStorage,
    weight_layout: &Layout,
) -> candle_core::Result<(CpuStorage, Shape)> {
    let (outputs, inputs) = weight_layout.shape().dims2()?;
    let mut shape = x_layout.dims().to_vec();
    let rows = x_layout.shape().elem_count() / inputs;
    if let Some(last) = shape.last_mut() {
        *last = outputs;
    }
    let flat = Layout::contiguous_with_offset((rows, inputs), x_layout.start_offset());
    let transposed = weight_layout.transpose(0, 1)?;
    let product = x.matmul(weight, (1, rows, outputs, inputs), &flat, &transposed)?;
    Ok((product, Shape::from(shape)))
}

/// The gradients by `x`, where it is tracked, and by the weight.
fn product_gradients(
    x: &Tensor,
    weight: &Tensor,
    gradient: &Tensor, // [rows, out]
) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
    let (_, inputs) = weight.dims2()?;
    let by_x = if x.track_op() { Some(gradient.matmul(weight)?.reshape(x.dims())?) } else { None };
    let by_weight = if weight.track_op() {
        let x = x.reshape((x.elem_count() / inputs, inputs))?;
        Some(gradient.t()?.matmul(&x)?)
    } else {
        None
    };
    Ok((by_x, by_weight))
}

fn rows_of(gradient: &Tensor, weight: &Tensor) -> candle_core::Result<Tensor> {
    let outputs = weight.dim(0)?;
    contiguous(gradient)?.reshape((gradient.elem_count() / outputs.max(1), outputs))
}

/// The sum over the rows of a matrix `[rows, columns]`.
fn column_sums(matrix: &Tensor) -> candle_core::Result<Tensor> {
    let (rows, columns) = matrix.dims2()?;
    let sums = read([matrix], |[(storage, layout)]| {
        with_type!(storage, T => {
            let values = elements::<T>(storage, layout)?;
            let sums = sum_over_rows(rows, columns, T::default(), |row, sums| {
                for (sum, value) in sums.iter_mut().zip(&values[row * columns..]) {
                    *sum += *value;
                }
            });
            Ok(T::storage(sums))
        })
    })?;
    tensor_of(sums, &Shape::from(columns))
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
        product(x, x_layout, weight, weight_layout)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        product_gradients(x, weight, &rows_of(gradient, weight)?)
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
        let (mut storage, shape) = product(x, x_layout, weight, weight_layout)?;
        match &mut storage {
            CpuStorage::F32(values) => add_rows(values, elements(bias, bias_layout)?),
            CpuStorage::F64(values) => add_rows(values, elements(bias, bias_layout)?),
            _ => bail!("expected f32 or f64"),
        }
        Ok((storage, shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = rows_of(gradient, weight)?;
        let (by_x, by_weight) = product_gradients(x, weight, &gradient)?;
        let by_bias = if bias.track_op() { Some(column_sums(&gradient)?) } else { None };
        Ok((by_x, by_weight, by_bias))
    }
}

fn add_rows<T: Real>(values: &mut [T], bias: &[T]) {
    for_row_blocks(values, bias.len(), |_, block| {
        for row in block.chunks_exact_mut(bias.len()) {
            for (value, bias) in row.iter_mut().zip(bias) {
                *value += *bias;
            }
        }
    });
}
