//! Random numbers that depend on *what* they are for and on nothing else.
//!
//! Every draw in mmc (initial weights, order of the samples, dropout masks, bootstrap resamples,
//! generated data) comes from [`generator`], which is a pure function of four numbers. There is no
//! stream to carry along, so no draw can depend on the number of threads, on the order of calls or
//! on where an interrupted run was resumed.
//!
//! ```
//! use mmc_random::{Purpose, generator, permutation};
//! use rand::RngExt;
//!
//! let order = permutation(10, 7, Purpose::Shuffle, 2);
//! assert_eq!(order, permutation(10, 7, Purpose::Shuffle, 2));
//!
//! let weight: f32 = generator(7, Purpose::Initialise, 0, 3).random();
//! assert_eq!(weight, generator(7, Purpose::Initialise, 0, 3).random::<f32>());
//! ```
//!
//! Not here: distributions beyond what three of the crates share.

use rand::{RngExt, SeedableRng};
pub use rand_chacha::ChaCha8Rng;

/// What random numbers are drawn for. Two purposes never share a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Initial values of parameters; index: the parameter's name, hashed by [`name_index`].
    Initialise = 1,
    /// Order of the samples in an epoch.
    Shuffle = 2,
    /// Dropout masks; epoch: the optimiser step; index: the layer's name, hashed.
    Dropout = 3,
    /// Generated data sets; index: the item.
    Demo = 4,
    /// Resamples of a bootstrap; index: the replicate.
    Bootstrap = 5,
    /// Permutation tests; index: the replicate.
    Permutation = 6,
    /// Shuffled or replaced inputs at prediction.
    Intervention = 7,
    /// Splits of a table into train, validation and test.
    Split = 8,
    /// Augmentation of pictures; index: the item.
    Augment = 9,
    /// Simulated data in tests of statistical procedures.
    Simulation = 10,
    /// Which settings the trials of a search try.
    Search = 11,
}

/// The generator for (`seed`, `purpose`, `epoch`, `index`): `ChaCha8` whose 256-bit key is these
/// four numbers, at the start of its stream 0. Position in the stream is the caller's to set where
/// it has meaning (`set_stream`, `set_word_pos`).
#[must_use]
pub fn generator(seed: u64, purpose: Purpose, epoch: u64, index: u64) -> ChaCha8Rng {
    let mut key = [0_u8; 32];
    for (bytes, number) in key.chunks_exact_mut(8).zip([seed, purpose as u64, epoch, index]) {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// A name as an index for [`generator`]: 64-bit FNV-1a of its bytes (Fowler, Noll, Vo), fixed for
/// ever, unlike the standard library's hashers.
#[must_use]
pub fn name_index(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A random order of `0..items`, by Fisher and Yates' shuffle.
#[must_use]
pub fn permutation(items: usize, seed: u64, purpose: Purpose, epoch: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..items).collect();
    shuffle(&mut order, &mut generator(seed, purpose, epoch, 0));
    order
}

/// Shuffles `items` in place (Fisher and Yates), the same on every platform: indices are drawn as
/// `u64`, never as `usize`.
pub fn shuffle<T>(items: &mut [T], random: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(last + 1, random));
    }
}

/// A whole number in `0..bound`, drawn as `u64` so that 32-bit machines draw the same.
/// `bound` 0 is taken as 1.
#[must_use]
pub fn below(bound: usize, random: &mut ChaCha8Rng) -> usize {
    random.random_range(0..bound.max(1) as u64) as usize
}

/// A draw from the standard normal distribution by Box and Muller's transform, from two uniforms.
/// Its last bit rests on the platform's `ln` and `cos`.
#[must_use]
pub fn standard_normal(random: &mut ChaCha8Rng) -> f64 {
    let radius: f64 = 1.0 - random.random::<f64>(); // in (0, 1], so its logarithm is finite
    let angle: f64 = random.random::<f64>() * std::f64::consts::TAU;
    (-2.0 * radius.ln()).sqrt() * angle.cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_key_counts() {
        let draw =
            |seed, purpose, epoch, index| generator(seed, purpose, epoch, index).random::<u64>();
        let base = draw(1, Purpose::Shuffle, 2, 3);
        assert_eq!(base, draw(1, Purpose::Shuffle, 2, 3));
        assert_ne!(base, draw(2, Purpose::Shuffle, 2, 3));
        assert_ne!(base, draw(1, Purpose::Dropout, 2, 3));
        assert_ne!(base, draw(1, Purpose::Shuffle, 3, 3));
        assert_ne!(base, draw(1, Purpose::Shuffle, 2, 4));
    }

    /// A change here would change every saved run and every generated data set.
    #[test]
    fn streams_never_change() {
        assert_eq!(permutation(8, 0, Purpose::Shuffle, 1), [2, 0, 6, 5, 1, 3, 7, 4]);
    }

    /// Vectors published with the algorithm.
    #[test]
    fn names_are_hashed_by_fnv_1a() {
        assert_eq!(name_index(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(name_index("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(name_index("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn permutation_holds_each_index_once() {
        for items in [0, 1, 2, 17, 1000] {
            let mut order = permutation(items, 5, Purpose::Shuffle, 1);
            order.sort_unstable();
            assert_eq!(order, (0..items).collect::<Vec<_>>());
        }
    }

    #[test]
    fn normal_draws_have_mean_zero_and_variance_one() {
        let mut random = generator(0, Purpose::Simulation, 0, 0);
        let draws: Vec<f64> = (0..20_000).map(|_| standard_normal(&mut random)).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
        // Five standard errors of each.
        assert!(mean.abs() < 5.0 / 20_000_f64.sqrt(), "{mean}");
        assert!((variance - 1.0).abs() < 5.0 * (2.0 / 20_000_f64).sqrt(), "{variance}");
    }
}
