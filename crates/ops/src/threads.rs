//! A fixed split of work: blocks of rows that depend on the shape alone, so that no result can
//! depend on the number of threads.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use crate::contribution::adding_nowhere;
use crate::error::Result;
use crate::precision::{Precision, with_products_in};
use crate::recording::with_usual_forms;

/// Rows of a block. Sums over rows are made block by block, then over the blocks in order.
const BLOCK_ROWS: usize = 32;

/// Elements below which threads cost more than they gain.
const WORTH_THREADS: usize = 64 * 1024;

/// Elements that one task adds.
const RUN: usize = 16 * 1024;

/// Adds `addends` to `sums`, element by element.
pub(crate) fn add_slices<T>(sums: &mut [T], addends: &[T])
where
    T: Copy + Send + Sync + std::ops::AddAssign,
{
    let add = |(sums, addends): (&mut [T], &[T])| {
        for (sum, addend) in sums.iter_mut().zip(addends) {
            *sum += *addend;
        }
    };
    if sums.len() < WORTH_THREADS {
        add((sums, addends));
    } else {
        sums.par_chunks_mut(RUN).zip(addends.par_chunks(RUN)).for_each(add);
    }
}

/// Does `work` on the first thread of the rayon pool that it is called in: each operation that the
/// threads share then wakes the others alone, and not also the thread that waits for them; a step has
/// thousands. Always the same one, since what one thread's memory was is at hand for that thread alone: a
/// step now here, now there holds up to a tenth more of it.
///
/// The thread may be in the middle of other such work, whose tasks it waits for. So nothing that was
/// set on it holds for this one: graphs are kept, products are in f32, no gradients are added.
///
/// # Errors
/// A pool without threads.
pub fn on_first_thread<R: Send>(work: impl FnOnce() -> R + Send) -> Result<R> {
    let work = Mutex::new(Some(work));
    let done = rayon::broadcast(|thread| {
        let is_first = thread.index() == 0;
        let taken = is_first.then(|| work.lock().unwrap_or_else(PoisonError::into_inner).take());
        taken.flatten().map(afresh)
    });
    let none = || candle_core::Error::Msg("a pool has no threads".to_owned()).into();
    done.into_iter().flatten().next().ok_or_else(none)
}

/// Runs `work` as on a thread on which nothing is set.
fn afresh<R>(work: impl FnOnce() -> R) -> R {
    adding_nowhere(|| with_usual_forms(|| with_products_in(Precision::F32, work)))
}

/// Calls `fill(first row, block)` for every block of rows of `output`, rows of `width` elements.
pub(crate) fn for_row_blocks<T: Send>(
    output: &mut [T],
    width: usize,
    fill: impl Fn(usize, &mut [T]) + Sync,
) {
    if width == 0 || output.is_empty() {
        return;
    }
    let length = BLOCK_ROWS * width;
    if output.len() < WORTH_THREADS {
        output.chunks_mut(length).enumerate().for_each(|(n, block)| fill(n * BLOCK_ROWS, block));
    } else {
        output
            .par_chunks_mut(length)
            .enumerate()
            .for_each(|(n, block)| fill(n * BLOCK_ROWS, block));
    }
}

/// Calls `fill(block of a, block of b)` for every block of rows of two outputs of one shape.
pub(crate) fn for_row_block_pairs<T: Send>(
    a: &mut [T],
    b: &mut [T],
    width: usize,
    fill: impl Fn(&mut [T], &mut [T]) + Sync,
) {
    if width == 0 || a.is_empty() {
        return;
    }
    let length = BLOCK_ROWS * width;
    if a.len() < WORTH_THREADS {
        a.chunks_mut(length).zip(b.chunks_mut(length)).for_each(|(a, b)| fill(a, b));
    } else {
        a.par_chunks_mut(length).zip(b.par_chunks_mut(length)).for_each(|(a, b)| fill(a, b));
    }
}

/// The sum over all rows of what `add(rows, sums)` adds to `width` sums: by blocks, then over the
/// blocks in order.
pub(crate) fn sum_over_rows<T>(
    rows: usize,
    width: usize,
    zero: T,
    add: impl Fn(std::ops::Range<usize>, &mut [T]) + Sync,
) -> Vec<T>
where
    T: Copy + Send + Sync + std::ops::AddAssign,
{
    let block = |number: usize| {
        let mut sums = vec![zero; width];
        add(number * BLOCK_ROWS..rows.min((number + 1) * BLOCK_ROWS), &mut sums);
        sums
    };
    let blocks = rows.div_ceil(BLOCK_ROWS);
    let parts: Vec<Vec<T>> = if rows * width < WORTH_THREADS {
        (0..blocks).map(block).collect()
    } else {
        (0..blocks).into_par_iter().map(block).collect()
    };
    let mut total = vec![zero; width];
    for part in parts {
        for (total, part) in total.iter_mut().zip(part) {
            *total += part;
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_every_row_once() {
        for (rows, width) in [(0, 3), (1, 1), (33, 2), (2100, 40)] {
            let mut output = vec![usize::MAX; rows * width];
            for_row_blocks(&mut output, width, |first, block| {
                for (row, values) in block.chunks_mut(width).enumerate() {
                    values.fill(first + row);
                }
            });
            assert!(output.iter().enumerate().all(|(index, &row)| row == index / width));
        }
    }

    #[test]
    fn sums_are_the_same_on_any_number_of_threads() {
        let term = |rows: std::ops::Range<usize>, sums: &mut [f32]| {
            for row in rows {
                for (column, sum) in sums.iter_mut().enumerate() {
                    *sum += ((row * 7 + column) as f32).sin();
                }
            }
        };
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| sum_over_rows(5000, 40, 0_f32, term))
        };
        assert_eq!(on(1), on(4));
    }

    #[test]
    fn work_on_the_first_thread_finds_nothing_set() {
        use candle_core::{DType, Device, Var};

        use crate::precision::products;
        use crate::{Gradients, linear, recompute, with_composed_forms, without_gradient};
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let inner = || {
            let weight = Var::ones((2, 3), DType::F32, &Device::Cpu).unwrap();
            let x = Var::ones((4, 3), DType::F32, &Device::Cpu).unwrap();
            let held = weight.as_tensor().clone();
            let y = recompute(&x, Some(&weight), move |x| linear(x, &held, None)).unwrap();
            let mut gradients = Gradients::of([weight.as_tensor()]);
            gradients.add(&y.sum_all().unwrap()).unwrap();
            (gradients.unreached(), products(), rayon::current_thread_index())
        };
        // As a thread that waits within such work and takes up another.
        let nested = || {
            without_gradient(|| {
                with_composed_forms(|| {
                    with_products_in(Precision::Bf16, || on_first_thread(inner).unwrap())
                })
            })
        };
        let found = pool.install(|| on_first_thread(nested).unwrap());
        assert_eq!(found, (None, Precision::F32, Some(0)));
    }
}
