//! Dropout masks on a device: the bits that `crate::mask` draws on the CPU.

use candle_core::{D, DType, Result, Tensor};
use mmc_random::Purpose;

use super::launch::Argument::{Long, Number, Real};
use super::launch::{Argument, Grid, address, device_of, run, small, unfilled};
use super::place::placed;
use crate::attention::AttentionPlan;
use crate::dropout::Dropout;
use crate::sequences::Sequences;

/// Which elements dropout keeps, a bit each, and what they are multiplied by.
#[derive(Clone, Debug)]
pub(super) struct DeviceMask {
    pub(super) words: Tensor, // u32, lines of them
    pub(super) line: usize,
    pub(super) scale: f32,
}

impl DeviceMask {
    /// For states `[tokens, channels]` on the device of `like`.
    pub(super) fn of_states(
        dropout: &Dropout,
        sequences: &Sequences,
        channels: usize,
        like: &Tensor,
    ) -> Result<Self> {
        let (placed, line) = (placed(sequences, like)?, channels.div_ceil(32));
        let tokens = sequences.tokens();
        let words = words(tokens * line, like)?;
        let mut arguments =
            vec![address(&words)?, address(&placed.rows)?, address(&placed.positions)?];
        arguments.extend(key(dropout));
        arguments.extend([Number(tokens as u32), Number(line as u32)]);
        run(device_of(like)?, "state_mask", Grid::of_elements(tokens * line), &arguments)?;
        Ok(Self { words, line, scale: dropout.scale() })
    }

    /// For the attention of a plan: `[sequences, heads, longest query, keys]`.
    pub(super) fn of_heads(plan: &AttentionPlan, like: &Tensor) -> Result<Option<Self>> {
        let Some(dropout) = &plan.dropout else { return Ok(None) };
        let (queries, keys) = (placed(&plan.queries, like)?, placed(&plan.sequences, like)?);
        let (rows, line) = (plan.sequences.count(), keys.longest.div_ceil(32));
        let count = rows * plan.heads * queries.longest * line;
        let words = words(count, like)?;
        let mut arguments = vec![address(&words)?];
        for placed in [&queries, &keys] {
            arguments.extend([address(&placed.starts)?, address(&placed.positions)?]);
        }
        arguments.extend(key(dropout));
        arguments.extend([rows, plan.heads, queries.longest, line].map(|it| Number(it as u32)));
        run(device_of(like)?, "head_mask", Grid::of_elements(count), &arguments)?;
        Ok(Some(Self { words, line, scale: dropout.scale() }))
    }

    /// `scale · x` where kept, else 0, for `x` `[rows, width]`.
    pub(super) fn of(&self, x: &Tensor) -> Result<Tensor> {
        let output = unfilled(x.shape(), x)?;
        let (count, width) = (x.elem_count(), x.dim(D::Minus1)?);
        let arguments = [
            address(&output)?,
            address(x)?,
            address(&self.words)?,
            Real(self.scale),
            small(count)?,
            Number(width as u32),
            Number(self.line as u32),
        ];
        run(device_of(x)?, "keep_masked", Grid::of_elements(count), &arguments)?;
        Ok(output)
    }
}

/// Room for bits; the kernels that fill it fill all of it.
fn words(count: usize, like: &Tensor) -> Result<Tensor> {
    // SAFETY: the kernel that is launched next on the stream writes every word.
    unsafe { Tensor::empty(count, DType::U32, like.device()) }
}

/// What a mask is keyed by, and below what a draw drops.
fn key(dropout: &Dropout) -> [Argument; 6] {
    let Dropout { seed, step, layer, first_row, .. } = *dropout;
    [seed, Purpose::Dropout as u64, step, layer, first_row, dropout.threshold()].map(Long)
}
