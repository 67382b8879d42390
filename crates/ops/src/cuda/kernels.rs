//! A wrapper for each kernel: tensors in, tensors out, outside candle's graph. Operands are
//! contiguous.

use candle_core::{Result, Tensor};

use super::launch::Argument::{Long, Number, Real};
use super::launch::{Argument, Grid, address, address_or_none, device_of, run, small, unfilled};
use super::mask::DeviceMask;
use super::place::{Placed, placed};
use crate::activation::Activation;
use crate::attention::AttentionPlan;
use crate::sequences::Sequences;

/// Rows of a chunk whose sums are made by one thread a column.
const CHUNK_ROWS: usize = 64;

/// `x + bias` over the rows of `x` `[rows, width]`.
pub(super) fn add_bias(x: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let (output, count) = (unfilled(x.shape(), x)?, x.elem_count());
    let sizes = [small(count)?, Number(bias.elem_count() as u32)];
    let arguments = [address(&output)?, address(x)?, address(bias)?, sizes[0], sizes[1]];
    run(device_of(x)?, "add_bias", Grid::of_elements(count), &arguments)?;
    Ok(output)
}

/// `residual + drop(x + bias)`.
pub(super) fn add_residual(
    x: &Tensor,
    bias: &Tensor,
    mask: Option<&DeviceMask>,
    residual: &Tensor,
) -> Result<Tensor> {
    let (output, count) = (unfilled(x.shape(), x)?, x.elem_count());
    let arguments = [
        address(&output)?,
        address(x)?,
        address(bias)?,
        address_or_none(mask.map(|mask| &mask.words))?,
        address(residual)?,
        Real(mask.map_or(1.0, |mask| mask.scale)),
        small(count)?,
        Number(bias.elem_count() as u32),
        Number(mask.map_or(0, |mask| mask.line as u32)),
    ];
    run(device_of(x)?, "add_residual", Grid::of_elements(count), &arguments)?;
    Ok(output)
}

/// `sum ← sum + x`, where it lies.
pub(crate) fn add_to(sum: &Tensor, x: &Tensor) -> Result<()> {
    let count = x.elem_count();
    let arguments = [address(sum)?, address(x)?, Long(count as u64)];
    run(device_of(x)?, "add_to", Grid::of_elements(count), &arguments)
}

/// The number of an activation in the kernels.
fn number(activation: Activation) -> Argument {
    Number(match activation {
        Activation::Gelu => 0,
        Activation::QuickGelu => 1,
    })
}

/// `act(x + bias)`.
pub(super) fn activate(
    activation: Activation,
    x: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    let (output, count) = (unfilled(x.shape(), x)?, x.elem_count());
    let arguments = [
        address(&output)?,
        address(x)?,
        address_or_none(bias)?,
        number(activation),
        small(count)?,
        Number(bias.map_or(1, |bias| bias.elem_count() as u32)),
    ];
    run(device_of(x)?, "activate", Grid::of_elements(count), &arguments)?;
    Ok(output)
}

/// The gradient by `x`, given that by `act(x + bias)`.
pub(super) fn activate_backward(
    activation: Activation,
    gradient: &Tensor,
    x: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    let (output, count) = (unfilled(x.shape(), x)?, x.elem_count());
    let arguments = [
        address(&output)?,
        address(gradient)?,
        address(x)?,
        address_or_none(bias)?,
        number(activation),
        small(count)?,
        Number(bias.map_or(1, |bias| bias.elem_count() as u32)),
    ];
    run(device_of(x)?, "activate_backward", Grid::of_elements(count), &arguments)?;
    Ok(output)
}

/// Normalised rows.
pub(super) fn norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let (output, width) = (unfilled(x.shape(), x)?, weight.elem_count());
    let tensors = [address(&output)?, address(x)?, address(weight)?, address(bias)?];
    let arguments =
        [tensors[0], tensors[1], tensors[2], tensors[3], Real(eps as f32), Number(width as u32)];
    run(device_of(x)?, "row_norm", Grid::of_rows(x.elem_count() / width.max(1)), &arguments)?;
    Ok(output)
}

/// `residual + drop(x + bias)` and its normalised rows.
pub(super) fn add_residual_norm(
    (x, bias): (&Tensor, &Tensor),
    mask: Option<&DeviceMask>,
    residual: &Tensor,
    (weight, shift): (&Tensor, &Tensor),
    eps: f64,
) -> Result<(Tensor, Tensor)> {
    let (output, sum) = (unfilled(x.shape(), x)?, unfilled(x.shape(), x)?);
    let (rows, width) = x.dims2()?;
    let arguments = [
        address(&output)?,
        address(&sum)?,
        address(x)?,
        address(bias)?,
        address_or_none(mask.map(|mask| &mask.words))?,
        address(residual)?,
        address(weight)?,
        address(shift)?,
        Real(mask.map_or(1.0, |mask| mask.scale)),
        Real(eps as f32),
        Number(width as u32),
        Number(mask.map_or(0, |mask| mask.line as u32)),
    ];
    run(device_of(x)?, "add_residual_norm", Grid::of_rows(rows), &arguments)?;
    Ok((sum, output))
}

/// The gradient by `x`, given that by the normalised rows, and statistics of the rows.
pub(super) fn norm_backward(
    x: &Tensor,
    weight: &Tensor,
    gradient: &Tensor,
    eps: f64,
) -> Result<(Tensor, Tensor)> {
    let width = weight.elem_count();
    let rows = x.elem_count() / width.max(1);
    let (output, statistics) = (unfilled(x.shape(), x)?, unfilled((rows, 2), x)?);
    let arguments = [
        address(&output)?,
        address(&statistics)?,
        address(x)?,
        address(weight)?,
        address(gradient)?,
        Real(eps as f32),
        Number(width as u32),
    ];
    run(device_of(x)?, "row_norm_backward", Grid::of_rows(rows), &arguments)?;
    Ok((output, statistics))
}

/// The gradients by weight and bias of a norm, both `[width]`.
pub(super) fn norm_parameters(
    x: &Tensor,
    statistics: &Tensor,
    gradient: &Tensor,
) -> Result<[Tensor; 2]> {
    let (rows, width) = (statistics.dim(0)?, x.elem_count() / statistics.dim(0)?.max(1));
    let chunks = rows.div_ceil(CHUNK_ROWS);
    let parts = unfilled((chunks, 2 * width), x)?;
    let sizes = [rows, width, CHUNK_ROWS].map(|it| Number(it as u32));
    let tensors = [address(&parts)?, address(x)?, address(statistics)?, address(gradient)?];
    let arguments = [&tensors[..], &sizes].concat();
    run(device_of(x)?, "row_norm_parameters", Grid::of_columns(width, chunks), &arguments)?;
    let sums = fold(&parts)?;
    Ok([sums.narrow(0, 0, width)?, sums.narrow(0, width, width)?])
}

/// The sums over the rows of `x` `[rows, width]`: `[width]`.
pub(super) fn column_sums(x: &Tensor) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    let chunks = rows.div_ceil(CHUNK_ROWS);
    let parts = unfilled((chunks, width), x)?;
    let sizes = [rows, width, CHUNK_ROWS].map(|it| Number(it as u32));
    let arguments = [address(&parts)?, address(x)?, sizes[0], sizes[1], sizes[2]];
    run(device_of(x)?, "column_parts", Grid::of_columns(width, chunks), &arguments)?;
    fold(&parts)
}

/// The sums over the chunks of `parts` `[chunks, width]`.
fn fold(parts: &Tensor) -> Result<Tensor> {
    let (chunks, width) = parts.dims2()?;
    let output = unfilled(width, parts)?;
    let sizes = [chunks, width].map(|it| Number(it as u32));
    let arguments = [address(&output)?, address(parts)?, sizes[0], sizes[1]];
    run(device_of(parts)?, "fold_parts", Grid::of_columns(width, 1), &arguments)?;
    Ok(output)
}

/// `[tokens, heads · width]`, with a bias where there is one, as
/// `[sequences · heads, longest, width]`, 0 behind a sequence's end.
pub(super) fn split_heads(
    x: &Tensor,
    bias: Option<&Tensor>,
    sequences: &Sequences,
    heads: usize,
) -> Result<Tensor> {
    let (placed, width) = (placed(sequences, x)?, x.dim(1)? / heads);
    let shape = (sequences.count() * heads, placed.longest, width);
    let output = unfilled(shape, x)?;
    let count = output.elem_count();
    let arguments = [
        address(&output)?,
        address(x)?,
        address_or_none(bias)?,
        address(&placed.starts)?,
        small(count)?,
        Number(heads as u32),
        Number(placed.longest as u32),
        Number(width as u32),
    ];
    run(device_of(x)?, "split_heads", Grid::of_elements(count), &arguments)?;
    Ok(output)
}

/// And back: `[tokens, heads · width]`.
pub(super) fn merge_heads(x: &Tensor, sequences: &Sequences, heads: usize) -> Result<Tensor> {
    let (_, _, width) = x.dims3()?;
    let Placed { starts, rows, longest, .. } = placed(sequences, x)?;
    let output = unfilled((sequences.tokens(), heads * width), x)?;
    let count = output.elem_count();
    let arguments = [
        address(&output)?,
        address(x)?,
        address(&starts)?,
        address(&rows)?,
        small(count)?,
        Number(heads as u32),
        Number(longest as u32),
        Number(width as u32),
    ];
    run(device_of(x)?, "merge_heads", Grid::of_elements(count), &arguments)?;
    Ok(output)
}

/// Scores `[sequences · heads, queries, keys]`, which nobody else has, become probabilities where
/// they lie; given back is what dropout makes of them.
pub(super) fn softmax(
    scores: &Tensor,
    plan: &AttentionPlan,
    mask: Option<&DeviceMask>,
) -> Result<Tensor> {
    let (lines, queries, keys) = scores.dims3()?;
    let lines = lines * queries;
    let dropped = match mask {
        Some(_) => unfilled(scores.shape(), scores)?,
        None => scores.clone(),
    };
    let readers = match &plan.readers {
        Some(readers) => Some(Tensor::new(readers.as_slice(), scores.device())?),
        None => None,
    };
    let placed = [placed(&plan.queries, scores)?, placed(&plan.sequences, scores)?];
    let arguments = [
        address(scores)?,
        address(&dropped)?,
        address_or_none(mask.map(|mask| &mask.words))?,
        address(&placed[0].starts)?,
        address(&placed[1].starts)?,
        address_or_none(readers.as_ref())?,
        Number(u32::from(plan.causal)),
        Real(1.0 / (plan.width as f32).sqrt()),
        Real(mask.map_or(1.0, |mask| mask.scale)),
        Number(lines as u32),
        Number(plan.heads as u32),
        Number(queries as u32),
        Number(keys as u32),
        Number(mask.map_or(0, |mask| mask.line as u32)),
    ];
    run(device_of(scores)?, "softmax", Grid::of_warps(lines), &arguments)?;
    Ok(dropped)
}

/// `gradient`, by what [`softmax`] gave back, becomes that by the scores, and `probabilities` what
/// dropout made of them, both where they lie: nobody else has them. `scale`: of the scores.
pub(super) fn softmax_backward(
    gradient: &Tensor,
    probabilities: &Tensor,
    mask: Option<&DeviceMask>,
    scale: f32,
) -> Result<()> {
    let keys = gradient.dim(candle_core::D::Minus1)?;
    let lines = gradient.elem_count() / keys.max(1);
    let arguments = [
        address(gradient)?,
        address(probabilities)?,
        address_or_none(mask.map(|mask| &mask.words))?,
        Real(scale),
        Real(mask.map_or(1.0, |mask| mask.scale)),
        Number(lines as u32),
        Number(keys as u32),
        Number(mask.map_or(0, |mask| mask.line as u32)),
    ];
    run(device_of(gradient)?, "softmax_backward", Grid::of_warps(lines), &arguments)
}

/// Rows of a table `[entries, width]`: `[ids, width]`. The ids are the table's.
pub(super) fn gather(table: &Tensor, ids: &[u32]) -> Result<Tensor> {
    let width = table.dim(1)?;
    let output = unfilled((ids.len(), width), table)?;
    let (places, count) = (Tensor::new(ids, table.device())?, output.elem_count());
    let arguments = [
        address(&output)?,
        address(table)?,
        address(&places)?,
        small(count)?,
        Number(width as u32),
    ];
    run(device_of(table)?, "gather_rows", Grid::of_elements(count), &arguments)?;
    Ok(output)
}

/// Adds the rows of `gradient` `[ids, width]` to the rows of `table` that the ids name, each row's
/// in their order.
pub(super) fn scatter(table: &Tensor, gradient: &Tensor, ids: &[u32]) -> Result<()> {
    let mut places: Vec<u32> = (0..ids.len() as u32).collect();
    places.sort_by_key(|&place| ids[place as usize]); // stable
    let sorted: Vec<u32> = places.iter().map(|&place| ids[place as usize]).collect();
    let mut first: Vec<u32> = vec![0];
    for run in sorted.chunk_by(|a, b| a == b) {
        first.push(first[first.len() - 1] + run.len() as u32);
    }
    let read = first.len() - 1;
    let on_device = |values: Vec<u32>| Tensor::new(values, table.device());
    let (sorted, places, first) = (on_device(sorted)?, on_device(places)?, on_device(first)?);
    let arguments = [
        address(table)?,
        address(gradient)?,
        address(&sorted)?,
        address(&places)?,
        address(&first)?,
        Number(table.dim(1)? as u32),
    ];
    run(device_of(table)?, "scatter_rows", Grid::of_rows(read), &arguments)
}
