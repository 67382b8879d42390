//! A fixed split of work: blocks of rows that depend on the shape alone, so that no result can
//! depend on the number of threads.

use rayon::prelude::*;

/// Rows of a block. Sums over rows are made block by block, then over the blocks in order.
const BLOCK_ROWS: usize = 32;

/// Elements below which threads cost more than they gain.
const WORTH_THREADS: usize = 64 * 1024;

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

/// The sum over all rows of what `add(row, sums)` adds to `width` sums: by blocks, then over the
/// blocks in order.
pub(crate) fn sum_over_rows<T>(
    rows: usize,
    width: usize,
    zero: T,
    add: impl Fn(usize, &mut [T]) + Sync,
) -> Vec<T>
where
    T: Copy + Send + Sync + std::ops::AddAssign,
{
    let block = |number: usize| {
        let mut sums = vec![zero; width];
        for row in number * BLOCK_ROWS..rows.min((number + 1) * BLOCK_ROWS) {
            add(row, &mut sums);
        }
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
        let term = |row: usize, sums: &mut [f32]| {
            for (column, sum) in sums.iter_mut().enumerate() {
                *sum += ((row * 7 + column) as f32).sin();
            }
        };
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| sum_over_rows(5000, 40, 0_f32, term))
        };
        assert_eq!(on(1), on(4));
    }
}
