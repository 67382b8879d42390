//! Attention on slices: for each sequence and head, on one thread, with its scores in cache.

use rayon::prelude::*;

use super::AttentionPlan;
use crate::buffer::Buffer;
use crate::mask::{Mask, keep_rows};
use crate::matrix::{Into, Matrix, MatrixMut, block_product};
use crate::precision::{products, with_products_in};
use crate::real::{Real, sum};
use crate::vector::vectorised;

/// Multiply-adds that are worth threads.
const WORTH_THREADS: usize = 1 << 18;

/// The parts of a head in the gradients by query, key and value.
type Blocks<'a, T> = ((MatrixMut<'a, T>, MatrixMut<'a, T>), MatrixMut<'a, T>);

/// One head of one sequence.
struct Head<'a, T> {
    queries: Matrix<'a, T>,
    keys: Matrix<'a, T>,
    values: Matrix<'a, T>,
    /// Keys that query `i` reads: `first_reach + i` where each reads those before it, else all.
    first_reach: Option<usize>,
    query_count: usize,
    key_count: usize,
    scale: T,
    /// The bits of dropout and what kept elements are multiplied by.
    mask: Option<(&'a Mask, T)>,
}

impl<T: Real> Head<'_, T> {
    /// Softmax of the scaled scores, `[queries, keys]`: 0 for keys that are not read.
    fn probabilities(&self, output: &mut [T]) {
        let (queries, keys) = (self.query_count, self.key_count);
        let scores = MatrixMut::new(output, queries, keys);
        block_product(scores, self.queries, self.keys.t(), self.scale, Into::Replace);
        normalise_rows(output, keys, self.first_reach);
    }

    /// Applies dropout to `[queries, keys]`.
    fn drop(&self, values: &mut [T]) {
        if let Some((mask, scale)) = self.mask {
            keep_rows(values, self.key_count, (mask, 0), scale);
        }
    }

    fn forward(&self, context: MatrixMut<'_, T>) {
        let (queries, keys) = (self.query_count, self.key_count);
        let mut probabilities = Buffer::of(queries * keys);
        self.probabilities(&mut probabilities);
        self.drop(&mut probabilities);
        let probabilities = Matrix::new(&probabilities, queries, keys);
        block_product(context, probabilities, self.values, T::of_f64(1.0), Into::Replace);
    }

    /// With `P` the probabilities, `P̃` what dropout leaves of them and `G` the gradient:
    /// `dV = P̃ᵀ G`, `dP = drop(G Vᵀ)`, `dS = scale · P (dP − Σ dP P)`, `dQ = dS K`, `dK = dSᵀ Q`.
    fn backward(
        &self,
        gradient: Matrix<'_, T>,
        [by_query, by_key, by_value]: [MatrixMut<'_, T>; 3],
    ) {
        let (queries, keys) = (self.query_count, self.key_count);
        let one = T::of_f64(1.0);
        let mut probabilities = Buffer::of(queries * keys);
        self.probabilities(&mut probabilities);
        let mut scores = Buffer::of(queries * keys);
        scores.copy_from_slice(&probabilities);
        self.drop(&mut scores);
        let dropped = Matrix::new(&scores, queries, keys);
        block_product(by_value, dropped.t(), gradient, one, Into::Replace);

        let into = MatrixMut::new(&mut scores, queries, keys);
        block_product(into, gradient, self.values.t(), one, Into::Replace);
        self.drop(&mut scores);
        backward_of_rows(&mut scores, &probabilities, keys, self.scale);
        let scores = Matrix::new(&scores, queries, keys);
        block_product(by_query, scores, self.keys, one, Into::Replace);
        block_product(by_key, scores.t(), self.queries, one, Into::Replace);
    }
}

vectorised! {
    /// The gradients by scores, in the place of those by their probabilities `p`.
    fn backward_of_rows<'k, T>(scores: &'k mut [T], p: &'k [T], keys: usize, scale: T) {
        let rows = scores.chunks_exact_mut(keys.max(1));
        for (scores, p) in rows.zip(p.chunks_exact(keys.max(1))) {
            let mean = sum(keys, |i| scores[i] * p[i]);
            for (score, &p) in scores.iter_mut().zip(p) {
                *score = scale * p * (*score - mean);
            }
        }
    }
}

vectorised! {
    /// Softmax of rows of scores `[queries, keys]`, in place: all of each, or, where the first query
    /// reads only so many keys, one more from query to query and 0 for the rest.
    pub(crate) fn normalise_rows<'k, T>(scores: &'k mut [T], keys: usize, first_reach: Option<usize>) {
        for (query, row) in scores.chunks_exact_mut(keys.max(1)).enumerate() {
            let reach = first_reach.map_or(keys, |first| (first + query).min(keys));
            let (read, unread) = row.split_at_mut(reach);
            normalise(read);
            unread.fill(T::default());
        }
    }
}

/// Softmax of a row in place.
#[inline(always)]
fn normalise<T: Real>(values: &mut [T]) {
    let mut parts = [T::LOWEST; 8];
    let mut chunks = values.chunks_exact(8);
    for chunk in &mut chunks {
        for (part, &value) in parts.iter_mut().zip(chunk) {
            *part = if value > *part { value } else { *part };
        }
    }
    let highest = chunks
        .remainder()
        .iter()
        .chain(&parts)
        .fold(T::LOWEST, |highest, &value| if value > highest { value } else { highest });
    for value in values.iter_mut() {
        *value = (*value - highest).exp();
    }
    let inverse = T::of_f64(1.0) / sum(values.len(), |i| values[i]);
    for value in values.iter_mut() {
        *value *= inverse;
    }
}

impl AttentionPlan {
    fn head<'a, T: Real>(
        &self,
        (query, key, value): (&'a [T], &'a [T], &'a [T]),
        masks: Option<&'a [Mask]>,
        (row, head): (usize, usize),
    ) -> Head<'a, T> {
        let (hidden, width) = (self.heads * self.width, self.width);
        let (queries, keys) = (self.queries.range(row), self.sequences.range(row));
        let at = |values: &'a [T], first: usize, rows: usize| {
            let start = (first * hidden + head * width).min(values.len());
            let end = values.len().min(start + rows * hidden);
            Matrix::strided(&values[start..end], rows, width, hidden)
        };
        let first_reach = self.causal.then(|| match &self.readers {
            Some(readers) => readers[row] as usize - keys.start + 1,
            None => 1,
        });
        Head {
            queries: at(query, queries.start, queries.len()),
            keys: at(key, keys.start, keys.len()),
            values: at(value, keys.start, keys.len()),
            first_reach,
            query_count: queries.len(),
            key_count: keys.len(),
            scale: T::of_f64(1.0 / (width as f64).sqrt()),
            mask: masks
                .zip(self.dropout)
                .map(|(masks, dropout)| (&masks[row * self.heads + head], dropout.scale())),
        }
    }

    /// The bits of dropout for each head of each sequence.
    pub(crate) fn masks(&self) -> Option<Vec<Mask>> {
        let dropout = self.dropout.as_ref()?;
        let of = |task: usize| {
            let (row, head) = (task / self.heads, task % self.heads);
            let queries = &self.queries.positions()[self.queries.range(row)];
            let keys = &self.sequences.positions()[self.sequences.range(row)];
            Mask::of_head(dropout, (row, head), queries, keys)
        };
        let tasks = self.sequences.count() * self.heads;
        Some(if self.is_worth_threads() {
            (0..tasks).into_par_iter().map(of).collect()
        } else {
            (0..tasks).map(of).collect()
        })
    }

    fn is_worth_threads(&self) -> bool {
        let pairs: usize =
            self.queries.lengths().zip(self.sequences.lengths()).map(|(q, k)| q * k).sum();
        pairs * self.heads * self.width >= WORTH_THREADS
    }

    /// What each query reads, `[queries, hidden]`, from `query` `[queries, hidden]`, `key` and
    /// `value` `[tokens, hidden]`.
    pub(crate) fn forward<T: Real>(
        &self,
        inputs: (&[T], &[T], &[T]),
        masks: Option<&[Mask]>,
    ) -> Buffer<T> {
        let (hidden, width) = (self.heads * self.width, self.width);
        let mut context = Buffer::of(self.queries.tokens() * hidden);
        let blocks = MatrixMut::blocks(&mut context, hidden, self.queries.starts(), width);
        let precision = products(); // what is set is set for this thread alone
        let one = |(task, block)| {
            let head = self.head(inputs, masks, (task / self.heads, task % self.heads));
            with_products_in(precision, || head.forward(block));
        };
        if self.is_worth_threads() {
            blocks.into_par_iter().enumerate().for_each(one);
        } else {
            blocks.into_iter().enumerate().for_each(one);
        }
        context
    }

    /// The gradients by query, key and value, given that by what was read.
    pub(crate) fn backward<T: Real>(
        &self,
        inputs: (&[T], &[T], &[T]),
        masks: Option<&[Mask]>,
        gradient: &[T],
    ) -> [Buffer<T>; 3] {
        let (hidden, width) = (self.heads * self.width, self.width);
        let mut by_query = Buffer::of(self.queries.tokens() * hidden);
        let [mut by_key, mut by_value] =
            [0, 1].map(|_| Buffer::of(self.sequences.tokens() * hidden));
        let starts = (self.queries.starts(), self.sequences.starts());
        let queries = MatrixMut::blocks(&mut by_query, hidden, starts.0, width);
        let keys = MatrixMut::blocks(&mut by_key, hidden, starts.1, width);
        let values = MatrixMut::blocks(&mut by_value, hidden, starts.1, width);
        let precision = products();
        let one = |(task, ((query, key), value)): (usize, Blocks<'_, T>)| {
            let (row, head) = (task / self.heads, task % self.heads);
            let rows = self.queries.range(row);
            let start = (rows.start * hidden + head * width).min(gradient.len());
            let gradient = Matrix::strided(&gradient[start..], rows.len(), width, hidden);
            let head = self.head(inputs, masks, (row, head));
            with_products_in(precision, || head.backward(gradient, [query, key, value]));
        };
        if self.is_worth_threads() {
            let blocks = queries.into_par_iter().zip(keys).zip(values);
            blocks.enumerate().for_each(one);
        } else {
            queries.into_iter().zip(keys).zip(values).enumerate().for_each(one);
        }
        [by_query, by_key, by_value]
    }
}
