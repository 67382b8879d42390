use mmc_random::{Purpose, generator, standard_normal};

use super::*;

fn normal(count: usize, index: u64) -> Vec<f32> {
    let mut random = generator(5, Purpose::Simulation, 0, index);
    (0..count).map(|_| standard_normal(&mut random) as f32).collect()
}

/// Element by element, in f64.
fn expected(a: &Matrix<'_, f32>, b: &Matrix<'_, f32>) -> Vec<f64> {
    let at = |m: &Matrix<'_, f32>, i: usize, j: usize| {
        f64::from(m.values[i * m.row_stride + j * m.column_stride])
    };
    let one = |i, j| (0..a.columns).map(|k| at(a, i, k) * at(b, k, j)).sum();
    (0..a.rows).flat_map(|i| (0..b.columns).map(move |j| (i, j))).map(|(i, j)| one(i, j)).collect()
}

#[test]
fn products_are_those_of_f64_in_all_orders_of_storage() {
    for (m, k, n) in [(1, 1, 1), (3, 5, 7), (65, 33, 130), (300, 70, 40), (2, 300, 9)] {
        let (a, b) = (normal(m * k, 0), normal(k * n, 1));
        let a_of = |turned| {
            if turned { Matrix::new(&a, k, m).t() } else { Matrix::new(&a, m, k) }
        };
        let b_of = |turned| {
            if turned { Matrix::new(&b, n, k).t() } else { Matrix::new(&b, k, n) }
        };
        for (a_turned, b_turned) in [(false, false), (true, false), (false, true), (true, true)] {
            let (a, b) = (a_of(a_turned), b_of(b_turned));
            let mut output = vec![2.0; m * n];
            product(MatrixMut::new(&mut output, m, n), a, b, Into::Replace);
            let mut added = vec![2.0; m * n];
            product(MatrixMut::new(&mut added, m, n), a, b, Into::Add);
            for ((found, added), expected) in output.iter().zip(&added).zip(expected(&a, &b)) {
                assert!((f64::from(*found) - expected).abs() < 1e-5 * (k as f64));
                assert!((f64::from(*added) - 2.0 - expected).abs() < 1e-5 * (k as f64));
            }
        }
    }
}

#[test]
fn only_the_rows_of_a_part_are_written() {
    let (a, b) = (normal(6, 0), normal(6, 1));
    let mut output = vec![9.0; 2 * 5];
    let into = MatrixMut::strided(&mut output, 2, 2, 5);
    product(into, Matrix::new(&a, 2, 3), Matrix::new(&b, 3, 2), Into::Replace);
    assert_eq!(output[2..5], [9.0; 3]);
    assert_eq!(output[7..], [9.0; 3]);
}

#[test]
fn parts_cover_all_and_are_never_narrow() {
    for (uncut, least) in [(1, 256), (64, 256), (65, 64), (700, 64)] {
        for (longest, tile) in (65..4000).flat_map(|n| [(n, TILE_ROWS), (n, TILE_COLUMNS)]) {
            for parts in 2..=longest / narrowest(uncut) {
                let start = |part| part_start(longest, parts, part, tile);
                let widths = (0..parts).map(|part| start(part + 1) - start(part));
                assert!(widths.min().is_some_and(|width| width > least), "{longest}");
                assert_eq!((start(0), start(parts)), (0, longest));
            }
        }
    }
}

/// The promise of this file, at sizes on both sides of every threshold.
#[test]
fn threads_change_no_element() {
    let sizes = [(1000, 700, 260), (260, 1100, 1000), (130, 300, 131), (640, 64, 640)];
    for (m, k, n) in sizes.into_iter().chain([
        (577, 96, 96),
        (961, 1400, 2),
        (1700, 700, 1),
        (256, 512, 512),
        (512, 256, 512),
        (97, 3000, 193),
        (200, 500, 65),
        (1153, 64, 1930),
    ]) {
        let (a, b) = (normal(m * k, 0), normal(k * n, 1));
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            // As forward, backward and the gradients of weights take them.
            let [plain, turned, whole] = [0; 3].map(|_| vec![0.0; m * n]);
            let mut outputs = [plain, turned, whole];
            pool.install(|| {
                let (a_rows, b_rows) = (Matrix::new(&a, m, k), Matrix::new(&b, k, n));
                let (a_columns, b_columns) = (Matrix::new(&a, k, m).t(), Matrix::new(&b, n, k).t());
                let pairs = [(a_rows, b_rows), (a_rows, b_columns), (a_columns, b_rows)];
                for (output, (a, b)) in outputs.iter_mut().zip(pairs) {
                    product(MatrixMut::new(output, m, n), a, b, Into::Replace);
                }
            });
            outputs
        };
        let one = on(1);
        for threads in [2, 4, 5, 9] {
            assert!(one == on(threads), "{m} × {k} × {n} on {threads} threads");
        }
    }
}

/// Operands are rounded as they lie, transposed or not; results are not.
#[test]
fn products_of_16_bits_are_those_of_rounded_operands() {
    use crate::precision::{Precision, with_products_in};
    let (m, k, n) = (130, 70, 340);
    let (a, b) = (normal(m * k, 0), normal(k * n, 1));
    for precision in [Precision::Bf16, Precision::F16] {
        let [near_a, near_b] = [&a, &b].map(|values| {
            crate::rounding::rounded(values, (1, values.len(), values.len()), precision)
        });
        for turned in [false, true] {
            let of = |a, b| {
                let (a, b) = if turned {
                    (Matrix::new(a, k, m).t(), Matrix::new(b, n, k).t())
                } else {
                    (Matrix::new(a, m, k), Matrix::new(b, k, n))
                };
                let (mut whole, mut block) = (vec![1.0; m * n], vec![1.0; m * n]);
                product(MatrixMut::new(&mut whole, m, n), a, b, Into::Add);
                block_product(MatrixMut::new(&mut block, m, n), a, b, 0.5, Into::Replace);
                (whole, block)
            };
            let expected = of(&near_a[..], &near_b[..]);
            let found = with_products_in(precision, || of(&a[..], &b[..]));
            assert!(found == expected, "{precision:?}, turned {turned}");
            assert!(found != of(&a[..], &b[..]));
        }
    }
}

/// What `adds_at_once` says of a product is so, in both types and on any number of threads.
#[test]
fn what_is_added_at_once_is_added_as_one_number() {
    for threads in [1, 4] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            added_as_one_number::<f32>(threads);
            added_as_one_number::<f64>(threads);
        });
    }
}

fn added_as_one_number<T: Real>(threads: usize) {
    let normal = |count, index| -> Vec<T> {
        normal(count, index).into_iter().map(|value| T::of_f64(f64::from(value) / 3.0)).collect()
    };
    // The last ones are shared among threads, by rows and by columns.
    for (m, k, n) in [
        (65, 512, 65),
        (130, 3, 70),
        (80, 8, 96),
        (96, 4, 1000),
        (300, 511, 66),
        (768, 256, 300),
        (400, 64, 1400),
    ] {
        assert!(adds_at_once(m, n, k));
        let (gradient, x, before) = (normal(k * m, 0), normal(k * n, 1), normal(m * n, 2));
        let (a, b) = (Matrix::new(&gradient, k, m).t(), Matrix::new(&x, k, n));
        let mut apart = vec![T::default(); m * n];
        product(MatrixMut::new(&mut apart, m, n), a, b, Into::Replace);
        let apart: Vec<T> = apart.iter().zip(&before).map(|(one, sum)| *sum + *one).collect();
        let mut added = before;
        product(MatrixMut::new(&mut added, m, n), a, b, Into::Add);
        assert!(apart == added, "{m} × {k} × {n} on {threads} threads");
    }
}
