//! Attention from candle's own operations: sequences are padded to the longest, padding is masked.

use candle_core::Tensor;

use super::AttentionPlan;
use crate::error::Result;
use crate::mask::keep;
use crate::real::contiguous;
use crate::sequences::Sequences;
use crate::softmax::masked_softmax_composed;

/// [`attention`](super::attention) from candle's own operations.
pub(crate) fn attention_composed(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    plan: &AttentionPlan,
) -> Result<Tensor> {
    super::check(query, key, value, plan)?;
    let (queries, keys) = (&plan.queries, &plan.sequences);
    let heads = |x: &Tensor, sequences: &Sequences| -> Result<Tensor> {
        let (rows, longest) = (sequences.count(), longest(sequences));
        let places = Tensor::new(padded_places(sequences), x.device())?;
        let padded = contiguous(x)?.index_select(&places, 0)?;
        let shape = (rows, longest, plan.heads, plan.width);
        Ok(padded.reshape(shape)?.transpose(1, 2)?.contiguous()?)
    }; // [rows, heads, longest, width]
    let (query, key, value) = (heads(query, queries)?, heads(key, keys)?, heads(value, keys)?);
    let scores = query.matmul(&key.t()?.contiguous()?)?;
    let scale = 1.0 / (plan.width as f64).sqrt();
    let read = Tensor::new(plan.read_flags(), scores.device())?;
    let read = read.reshape((keys.count(), longest(queries), longest(keys)))?;
    let mut probabilities = masked_softmax_composed(&scores, scale, Some(&read))?;
    if let (Some(flags), Some(dropout)) = (plan.dropout_flags(), plan.dropout) {
        let flags = Tensor::from_vec(flags, probabilities.shape(), probabilities.device())?;
        let dropped = (&probabilities * flags.to_dtype(probabilities.dtype())?)?;
        probabilities = (dropped * dropout.scale::<f64>())?;
    }
    let context = probabilities.matmul(&value)?.transpose(1, 2)?.contiguous()?;
    let context = context.reshape(((), plan.heads * plan.width))?;
    let places = Tensor::new(packed_places(queries), context.device())?;
    Ok(context.index_select(&places, 0)?)
}

fn longest(sequences: &Sequences) -> usize {
    sequences.lengths().max().unwrap_or(0)
}

/// For each place of `[sequences, longest]` its token; behind a sequence's end, its first.
fn padded_places(sequences: &Sequences) -> Vec<u32> {
    let longest = longest(sequences);
    let place = |row: usize, at: usize| {
        let range = sequences.range(row);
        if at < range.len() { range.start + at } else { range.start.min(range.end) }
    };
    (0..sequences.count())
        .flat_map(|row| (0..longest).map(move |at| (row, at)))
        .map(|(row, at)| place(row, at) as u32)
        .collect()
}

/// For each token its place in `[sequences, longest]`.
fn packed_places(sequences: &Sequences) -> Vec<u32> {
    let longest = longest(sequences);
    let of = |(row, length)| (0..length).map(move |at| (row * longest + at) as u32);
    sequences.lengths().enumerate().flat_map(of).collect()
}

impl AttentionPlan {
    /// `[sequences, longest query, longest key]`: 1 where a query reads a key.
    fn read_flags(&self) -> Vec<f32> {
        let (queries, keys) = (longest(&self.queries), longest(&self.sequences));
        let mut flags = Vec::with_capacity(self.sequences.count() * queries * keys);
        for (row, length) in self.sequences.lengths().enumerate() {
            let first = match &self.readers {
                Some(readers) => readers[row] as usize - self.sequences.range(row).start,
                None => 0,
            };
            for query in 0..queries {
                let reach = if self.causal { length.min(first + query + 1) } else { length };
                flags.extend((0..keys).map(|key| f32::from(u8::from(key < reach))));
            }
        }
        flags
    }

    /// `[sequences, heads, longest query, longest key]`: 1 where dropout keeps a probability.
    fn dropout_flags(&self) -> Option<Vec<f32>> {
        let masks = self.masks()?;
        let (queries, keys) = (longest(&self.queries), longest(&self.sequences));
        let mut flags = vec![0.0; masks.len() * queries * keys];
        let heads = masks.iter().zip(flags.chunks_mut((queries * keys).max(1)));
        for (task, (mask, flags)) in heads.enumerate() {
            let row = task / self.heads;
            let (lines, length) = (self.queries.range(row).len(), self.sequences.range(row).len());
            for (query, line) in flags.chunks_mut(keys.max(1)).take(lines).enumerate() {
                line[..length].fill(1.0);
                keep(&mut line[..length], mask.line(query), 1.0);
            }
        }
        Some(flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_each_others_inverse() {
        let sequences = Sequences::new(&[2, 1, 3]);
        assert_eq!(padded_places(&sequences), [0, 1, 0, 2, 2, 2, 3, 4, 5]);
        assert_eq!(packed_places(&sequences), [0, 1, 3, 6, 7, 8]);
    }
}
