//! Matrix products on slices, by the `gemm` crate, shared among threads.
//!
//! The number of threads changes no element: `gemm` sums along the inner dimension in an order that
//! depends on that dimension alone, except for narrow matrices, for which it has other ways; parts
//! are never that narrow. (One row, or a few, are such a matrix: what stands beside a row can change
//! its last digits.)

use std::cmp::Ordering;
use std::marker::PhantomData;

use gemm::Parallelism;
use rayon::prelude::*;

use crate::buffer::Buffer;
use crate::precision::Precision;
use crate::real::Real;
use crate::rounding::{rounded, rounding};

/// Multiply-adds that are worth a thread.
const WORTH_A_THREAD: usize = 1 << 20;

/// Of the rows or columns that are cut, about how many a part has at least. `gemm` 0.19 has ways of
/// its own for matrices of at most 256 elements, of at most 64 × 64, and of one row or column; with
/// this many none of them is a part's unless it is the whole's.
const fn narrowest(uncut: usize) -> usize {
    if uncut > 64 { 96 } else { 320 }
}

/// Parts end near multiples of this, but for the last: whole tiles of the kernel, which are two
/// vectors of columns wide.
const TILE_COLUMNS: usize = 16;

/// Likewise for rows.
const TILE_ROWS: usize = 6;

/// A matrix in a slice: element (i, j) is at `i · row_stride + j · column_stride`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    values: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

/// A matrix that can be written to, its rows side by side or further apart. Nobody else reads or
/// writes its elements as long as it lives, though some may lie between them.
pub(crate) struct MatrixMut<'a, T> {
    pointer: *mut T,
    rows: usize,
    columns: usize,
    row_stride: usize,
    borrow: PhantomData<&'a mut T>,
}

// SAFETY: it is an exclusive borrow of its elements.
#[allow(unsafe_code, reason = "parts of one matrix go to different threads")]
unsafe impl<T: Send> Send for MatrixMut<'_, T> {}

/// What a product does with what is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Into {
    /// It takes its place.
    Replace,
    /// It is added to it.
    Add,
}

impl<'a, T> Matrix<'a, T> {
    /// `[rows, columns]` in a slice of that length, row by row.
    pub(crate) fn new(values: &'a [T], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// `[rows, columns]` whose rows begin `row_stride` apart.
    ///
    /// # Panics
    /// Where the slice is too short: a fault of the caller, never of the input.
    pub(crate) fn strided(values: &'a [T], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(fits(values.len(), rows, columns, row_stride), "a matrix longer than its slice");
        Self { values, rows, columns, row_stride, column_stride: 1 }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Its transpose.
    pub(crate) fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Its elements, rounded, row by row of what is transposed or not.
    fn rounded(self, precision: Precision) -> Buffer<T>
    where
        T: Real,
    {
        let plain = if self.column_stride == 1 { self } else { self.t() };
        rounded(plain.values, (plain.rows, plain.columns, plain.row_stride), precision)
    }

    /// The matrix of this shape, and as this one transposed or not, of such elements.
    fn of(self, values: &[T]) -> Matrix<'_, T> {
        if self.column_stride == 1 {
            Matrix::new(values, self.rows, self.columns)
        } else {
            Matrix::new(values, self.columns, self.rows).t()
        }
    }
}

impl<'a, T> MatrixMut<'a, T> {
    /// `[rows, columns]` in a slice of that length, row by row.
    pub(crate) fn new(values: &'a mut [T], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// `[rows, columns]` whose rows begin `row_stride` apart.
    ///
    /// # Panics
    /// Where the slice is too short: a fault of the caller, never of the input.
    pub(crate) fn strided(
        values: &'a mut [T],
        rows: usize,
        columns: usize,
        row_stride: usize,
    ) -> Self {
        assert!(fits(values.len(), rows, columns, row_stride), "a matrix longer than its slice");
        Self { pointer: values.as_mut_ptr(), rows, columns, row_stride, borrow: PhantomData }
    }

    /// `[rows, columns]` with `row_stride` columns cut into blocks: the rows at `starts` (the last
    /// is where they end), the columns every `width`. By rows, then by columns.
    ///
    /// # Panics
    /// Where the blocks do not fit: a fault of the caller, never of the input.
    pub(crate) fn blocks(
        values: &'a mut [T],
        row_stride: usize,
        starts: &[usize],
        width: usize,
    ) -> Vec<Self> {
        let end = starts.last().copied().unwrap_or(0);
        let ordered = starts.windows(2).all(|pair| pair[0] <= pair[1]);
        assert!(ordered && row_stride.is_multiple_of(width.max(1)), "blocks that overlap");
        assert!(fits(values.len(), end, row_stride, row_stride), "blocks longer than their slice");
        let pointer = values.as_mut_ptr();
        let block = |first: usize, end: usize, column: usize| Self {
            // SAFETY: row `first` is at most `end`, so this lies within the slice or at its end.
            #[allow(unsafe_code, reason = "blocks share a slice")]
            pointer: unsafe { pointer.add((first * row_stride + column).min(values.len())) },
            rows: end - first,
            columns: width,
            row_stride,
            borrow: PhantomData,
        };
        let columns = || (0..row_stride).step_by(width.max(1));
        let rows = starts.windows(2);
        rows.flat_map(|pair| columns().map(move |column| (pair, column)))
            .map(|(pair, column)| block(pair[0], pair[1], column))
            .collect()
    }
}

fn fits(length: usize, rows: usize, columns: usize, row_stride: usize) -> bool {
    let end = rows.checked_sub(1).and_then(|last| last.checked_mul(row_stride));
    let needed = end.map_or(0, |end| end.saturating_add(columns));
    columns <= row_stride && needed <= length
}

/// `output = a b`, or that added to it.
///
/// # Panics
/// Where the shapes do not fit: a fault of the caller, never of the input.
#[allow(clippy::needless_pass_by_value, reason = "who gives a matrix to write to gives it up")]
pub(crate) fn product<T: Real>(
    output: MatrixMut<'_, T>,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    into: Into,
) {
    let held = rounding::<T>().map(|precision| (a.rounded(precision), b.rounded(precision)));
    let (a, b) = held.as_ref().map_or((a, b), |(of_a, of_b)| (a.of(of_a), b.of(of_b)));
    let MatrixMut { pointer, rows, columns, row_stride: stride, .. } = output;
    let inner = a.columns;
    let work = rows.saturating_mul(columns).saturating_mul(inner);
    let most = rayon::current_num_threads().min(work / WORTH_A_THREAD);
    let (by_rows, parts) = cut(rows, columns, a.column_stride == 1, most);
    if parts < 2 {
        let output = MatrixMut { pointer, rows, columns, row_stride: stride, borrow: PhantomData };
        return whole_product(output, a, b, T::of_f64(1.0), into);
    }
    assert!(a.rows == rows && b.columns == columns && b.rows == inner, "shapes that do not fit");
    let (length, tile) = if by_rows { (rows, TILE_ROWS) } else { (columns, TILE_COLUMNS) };
    let start = |part| part_start(length, parts, part, tile);
    let shared = Shared(pointer);
    (0..parts).into_par_iter().for_each(|part| {
        let (first, end) = (start(part), start(part + 1));
        let width = end - first;
        let part = if by_rows {
            Part { row: first, column: 0, rows: width, columns }
        } else {
            Part { row: 0, column: first, rows, columns: width }
        };
        let destination = Destination { pointer: shared.get(), row_stride: stride };
        // SAFETY: parts do not overlap, and each lies within the output, whose exclusive borrow
        // outlives this call.
        #[allow(unsafe_code, reason = "threads write to parts of one matrix")]
        unsafe {
            part_product(destination, a, b, part, (T::of_f64(1.0), into));
        }
    });
}

/// Whether a product is cut by rows (or by columns), and into how many parts, at most `most`.
///
/// Where `a`'s rows lie in one piece `gemm` reads them where they are, but lays `b` out anew: cut by
/// columns, each thread does so with its own part of `b` and not with all of it.
fn cut(rows: usize, columns: usize, a_lies_in_rows: bool, most: usize) -> (bool, usize) {
    let parts_of_rows = most.min(rows / narrowest(columns));
    let parts_of_columns = most.min(columns / narrowest(rows));
    let by_rows = match parts_of_rows.cmp(&parts_of_columns) {
        Ordering::Equal => !a_lies_in_rows && rows >= columns,
        more => more.is_gt(),
    };
    (by_rows, if by_rows { parts_of_rows } else { parts_of_columns })
}

/// Whether [`Into::Add`] adds each element's terms as one number, as if the product had been made
/// elsewhere and added then: where `gemm` goes over the inner dimension once, in its way for
/// matrices that are narrow in no dimension.
///
/// These bounds are those of `gemm` 0.19.0: its way for narrow matrices begins at 64 rows and columns, and
/// it cuts the inner dimension into pieces of 512 or more. No interface promises them, and sums over
/// several devices are the same bit for bit only where they hold. So the workspace asks for that version
/// and no other: whoever takes another one reads its sources first, and runs the tests of this file on
/// processors of each kind.
pub(crate) const fn adds_at_once(rows: usize, columns: usize, inner: usize) -> bool {
    rows > 64 && columns > 64 && 2 < inner && inner <= 512
}

/// Where part `part` of `parts` begins: at the tile that begins nearest to an equal share.
fn part_start(length: usize, parts: usize, part: usize, tile: usize) -> usize {
    if part == parts { length } else { (length * part / parts + tile / 2) / tile * tile }
}

/// `output = scale · a b` on this thread, or that added to it.
///
/// # Panics
/// Where the shapes do not fit: a fault of the caller, never of the input.
#[allow(clippy::needless_pass_by_value, reason = "who gives a matrix to write to gives it up")]
pub(crate) fn block_product<T: Real>(
    output: MatrixMut<'_, T>,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    scale: T,
    into: Into,
) {
    let held = rounding::<T>().map(|precision| (a.rounded(precision), b.rounded(precision)));
    let (a, b) = held.as_ref().map_or((a, b), |(of_a, of_b)| (a.of(of_a), b.of(of_b)));
    whole_product(output, a, b, scale, into);
}

/// The same of operands as they are.
#[allow(clippy::needless_pass_by_value, reason = "who gives a matrix to write to gives it up")]
fn whole_product<T: Real>(
    output: MatrixMut<'_, T>,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    scale: T,
    into: Into,
) {
    let MatrixMut { pointer, rows, columns, row_stride, .. } = output;
    let fits = a.rows == rows && b.columns == columns && b.rows == a.columns;
    assert!(fits, "shapes that do not fit");
    let part = Part { row: 0, column: 0, rows, columns };
    let destination = Destination { pointer, row_stride };
    // SAFETY: the part is the whole output, which is borrowed exclusively.
    #[allow(unsafe_code, reason = "the kernel takes pointers")]
    unsafe {
        part_product(destination, a, b, part, (scale, into));
    }
}

/// Rows and columns of an output.
#[derive(Clone, Copy)]
struct Part {
    row: usize,
    column: usize,
    rows: usize,
    columns: usize,
}

/// Where an output begins.
#[derive(Clone, Copy)]
struct Destination<T> {
    pointer: *mut T,
    row_stride: usize,
}

/// A pointer that threads may share because they write to different places behind it.
struct Shared<T>(*mut T);

// SAFETY: whoever uses the pointer answers for the places being different.
#[allow(unsafe_code, reason = "threads write to parts of one matrix")]
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    fn get(&self) -> *mut T {
        self.0
    }
}

/// The part of `scale · a b` that belongs to a part of the output.
///
/// # Safety
/// The part must lie within the destination's allocation, and no one else may be reading or
/// writing it.
#[allow(unsafe_code, reason = "the kernel takes pointers")]
unsafe fn part_product<T: Real>(
    destination: Destination<T>,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    part: Part,
    (scale, into): (T, Into),
) {
    if part.rows == 0 || part.columns == 0 {
        return;
    }
    let start = part.row * destination.row_stride + part.column;
    let a_values = &a.values[(part.row * a.row_stride).min(a.values.len())..];
    let b_values = &b.values[(part.column * b.column_stride).min(b.values.len())..];
    // SAFETY: the constructors saw to it that all elements of `a` and `b` lie in their slices; the
    // output is the caller's promise. Strides fit into `isize` since slices do.
    unsafe {
        gemm::gemm(
            part.rows,
            part.columns,
            a.columns,
            destination.pointer.add(start),
            1,
            destination.row_stride as isize,
            into == Into::Add,
            a_values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b_values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            T::of_f64(1.0),
            scale,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests;
