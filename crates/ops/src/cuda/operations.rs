//! The operations of this crate, each a node of candle's graph.

use candle_core::{DType, Result, Tensor, bail};

use super::kernels::{
    activate, activate_backward, add_bias, column_sums, gather, norm, norm_backward,
    norm_parameters, scatter,
};
use super::mask::DeviceMask;
use super::node::node;
use super::product::{by_transposed, product, transposed_by};
use crate::activation::Activation;
use crate::contribution::gradient_tensor_of;
use crate::dropout::Dropout;
use crate::sequences::Sequences;

/// The tensor outside the graph, its elements side by side.
pub(super) fn plain(tensor: &Tensor) -> Result<Tensor> {
    tensor.detach().contiguous()
}

/// `x Wᵀ + b` over the last dimension.
pub(crate) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (outputs, inputs) = weight.dims2()?;
    let mut shape = x.dims().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = outputs;
    }
    let rows = plain(x)?.reshape((x.elem_count() / inputs.max(1), inputs))?;
    let matrix = plain(weight)?;
    let output = by_transposed(&rows, &matrix)?;
    let output = match bias {
        Some(bias) => add_bias(&output, &plain(bias)?)?,
        None => output,
    };
    let operands: Vec<&Tensor> = [x, weight].into_iter().chain(bias).collect();
    let kept: Vec<Tensor> = operands.iter().map(|&operand| operand.clone()).collect();
    let backward = Box::new(move |gradient: &Tensor| {
        let gradient = gradient.reshape(((), outputs))?;
        let by_x = if kept[0].track_op() {
            Some(product(&gradient, &matrix)?.reshape(kept[0].shape())?)
        } else {
            None
        };
        let by_weight = gradient_tensor_of(&kept[1], || transposed_by(&gradient, &rows))?;
        let by_bias = match kept.get(2) {
            Some(bias) => gradient_tensor_of(bias, || column_sums(&gradient))?,
            None => None,
        };
        Ok([by_x, by_weight, by_bias])
    });
    node("linear", &operands, output.reshape(shape)?, backward)
}

/// Layer normalisation over the last dimension.
pub(crate) fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let (values, scales) = (plain(x)?, plain(weight)?);
    let output = norm(&values, &scales, &plain(bias)?, eps)?;
    let kept = [x.clone(), weight.clone(), bias.clone()];
    let backward = Box::new(move |gradient: &Tensor| {
        let (by_x, statistics) = norm_backward(&values, &scales, gradient, eps)?;
        let by_x = kept[0].track_op().then_some(by_x);
        if !kept[1].track_op() && !kept[2].track_op() {
            return Ok([by_x, None, None]);
        }
        let [by_weight, by_bias] = norm_parameters(&values, &statistics, gradient)?;
        let by_weight = gradient_tensor_of(&kept[1], || Ok(by_weight))?;
        Ok([by_x, by_weight, gradient_tensor_of(&kept[2], || Ok(by_bias))?])
    });
    node("layer-norm", &[x, weight, bias], output, backward)
}

/// GELU or quick GELU, elementwise.
pub(crate) fn activation(kind: Activation, x: &Tensor) -> Result<Tensor> {
    let values = plain(x)?;
    let output = activate(kind, &values, None)?;
    let backward = Box::new(move |gradient: &Tensor| {
        Ok([Some(activate_backward(kind, gradient, &values, None)?), None, None])
    });
    node("activation", &[x], output, backward)
}

/// Dropout on `x` `[tokens, channels]`.
pub(crate) fn dropout(x: &Tensor, settings: &Dropout, sequences: &Sequences) -> Result<Tensor> {
    let values = plain(x)?;
    let mask = DeviceMask::of_states(settings, sequences, x.dim(1)?, &values)?;
    let output = mask.of(&values)?;
    let backward = Box::new(move |gradient: &Tensor| Ok([Some(mask.of(gradient)?), None, None]));
    node("dropout", &[x], output, backward)
}

/// Rows of `table` `[entries, width]`: `[ids, width]`.
pub(crate) fn embedding(ids: Vec<u32>, table: &Tensor) -> Result<Tensor> {
    let (entries, width) = table.dims2()?;
    if let Some(id) = ids.iter().find(|&&id| id as usize >= entries) {
        bail!("row {id} of a table of {entries}");
    }
    let output = gather(&plain(table)?, &ids)?;
    let kept = table.clone();
    let backward = Box::new(move |gradient: &Tensor| {
        let by_table = gradient_tensor_of(&kept, || {
            let sums = Tensor::zeros((entries, width), DType::F32, gradient.device())?;
            scatter(&sums, gradient, &ids)?;
            Ok(sums)
        })?;
        Ok([by_table, None, None])
    });
    node("embedding", &[table], output, backward)
}
