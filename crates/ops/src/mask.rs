//! Which elements dropout keeps, a bit each, drawn from the counter-based generator.
//!
//! Whether an element is kept is a pure function of (seed, step, layer, row of the step, position,
//! channel): one word of the generator each. So padding, the cut into shards, threads and a second
//! forward change no mask.

use mmc_random::{ChaCha8Rng, Purpose, generator};
use rand::Rng;
use rayon::prelude::*;

use crate::dropout::Dropout;
use crate::real::Real;
use crate::sequences::Sequences;
use crate::vector::vectorised;

/// Bits of a word.
const BITS: usize = u32::BITS as usize;

/// Channels of a position, and queries of a head, for which words are set aside.
const SPAN: u128 = 1 << 24;

/// Words below which drawing them is not worth a thread.
const WORTH_THREADS: usize = 256;

/// Bits for lines of elements, each line beginning with a word of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mask {
    words: Vec<u32>,
    line: usize,
}

impl Mask {
    /// For states `[tokens, channels]`: a line a token.
    pub(crate) fn of_states(dropout: &Dropout, sequences: &Sequences, channels: usize) -> Self {
        let line = channels.div_ceil(BITS);
        let mut words = vec![0; sequences.tokens() * line];
        let rows: Vec<u64> = sequences.rows().map(|row| row as u64).collect();
        let draw = |token: usize, line: &mut [u32], random: &mut ChaCha8Rng| {
            random.set_stream(dropout.first_row + rows[token]);
            let position = u128::from(sequences.positions()[token]);
            dropout.draw(random, position * SPAN, channels, &mut Writer::new(line));
        };
        fill(&mut words, line, dropout, draw);
        Self { words, line }
    }

    /// For the attention of a head of one sequence: a line for each of its queries, a bit for each
    /// of its keys. `row`: the sequence among those of the step.
    pub(crate) fn of_head(
        dropout: &Dropout,
        (row, head): (usize, usize),
        queries: &[u32],
        keys: &[u32],
    ) -> Self {
        let line = keys.len().div_ceil(BITS);
        let mut words = vec![0; queries.len() * line];
        let mut random = dropout.generator();
        random.set_stream(dropout.first_row + row as u64);
        for (&query, line) in queries.iter().zip(words.chunks_exact_mut(line.max(1))) {
            let start = (head as u128 * SPAN + u128::from(query)) * SPAN;
            let mut writer = Writer::new(line);
            for run in keys.chunk_by(|a, b| a + 1 == *b) {
                let first = start + u128::from(run[0]);
                dropout.draw(&mut random, first, run.len(), &mut writer);
            }
        }
        Self { words, line }
    }

    /// The bits of a line.
    #[inline(always)]
    pub(crate) fn line(&self, index: usize) -> &[u32] {
        &self.words[index * self.line..][..self.line]
    }
}

/// Draws the lines, some at a time on each thread.
fn fill(
    words: &mut [u32],
    line: usize,
    dropout: &Dropout,
    draw: impl Fn(usize, &mut [u32], &mut ChaCha8Rng) + Sync,
) {
    let lines = (WORTH_THREADS / line.max(1)).max(1);
    let some = |(block, words): (usize, &mut [u32])| {
        let mut random = dropout.generator();
        for (index, line) in words.chunks_mut(line.max(1)).enumerate() {
            draw(block * lines + index, line, &mut random);
        }
    };
    let length = lines * line.max(1);
    if words.len() <= length {
        words.chunks_mut(length).enumerate().for_each(some);
    } else {
        words.par_chunks_mut(length).enumerate().for_each(some);
    }
}

/// Puts bits into words, the lowest first.
struct Writer<'a> {
    words: &'a mut [u32],
    count: usize,
}

impl<'a> Writer<'a> {
    fn new(words: &'a mut [u32]) -> Self {
        Self { words, count: 0 }
    }
}

impl Dropout {
    fn generator(&self) -> ChaCha8Rng {
        generator(self.seed, Purpose::Dropout, self.step, self.layer)
    }

    /// Draws `count` bits from the generator's words from `start` on: 1 where kept.
    fn draw(&self, random: &mut ChaCha8Rng, start: u128, count: usize, writer: &mut Writer<'_>) {
        let threshold = self.threshold();
        random.set_word_pos(start);
        for place in writer.count..writer.count + count {
            let kept = u64::from(random.next_u32()) >= threshold;
            writer.words[place / BITS] |= u32::from(kept) << (place % BITS);
        }
        writer.count += count;
    }

    /// Below this a 32-bit draw drops.
    pub(crate) fn threshold(&self) -> u64 {
        (self.probability * 4_294_967_296.0).round() as u64
    }

    /// What kept elements are multiplied by.
    pub(crate) fn scale<T: Real>(&self) -> T {
        T::of_f64(1.0 / (1.0 - self.probability))
    }
}

/// [`keep`] on rows of `width` elements, whose lines of the mask begin with line `first`.
pub(crate) fn keep_rows<T: Real>(
    rows: &mut [T],
    width: usize,
    (mask, first): (&Mask, usize),
    scale: T,
) {
    let lines = rows.len() / width.max(1);
    let words = &mask.words[first * mask.line..][..lines * mask.line];
    keep_lines(rows, width, words, mask.line, scale);
}

vectorised! {
    fn keep_lines<'k, T>(rows: &'k mut [T], width: usize, words: &'k [u32], line: usize, scale: T) {
        for (row, words) in rows.chunks_exact_mut(width.max(1)).zip(words.chunks_exact(line.max(1))) {
            keep(row, words, scale);
        }
    }
}

/// `values[i] ← scale · values[i]` where bit i is 1, else 0.
#[inline(always)]
pub(crate) fn keep<T: Real>(values: &mut [T], bits: &[u32], scale: T) {
    for (values, &word) in values.chunks_mut(BITS).zip(bits) {
        for (bit, value) in values.iter_mut().enumerate() {
            *value = (*value * scale).kept((word >> bit) & 1);
        }
    }
}
