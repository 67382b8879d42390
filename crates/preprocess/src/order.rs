//! In which order an epoch takes the samples.

use mmc_random::{Purpose, permutation};

/// The order of the samples of an epoch: a pure function of the seed and the epoch's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Another random order each epoch.
    Shuffled {
        /// The run's seed.
        seed: u64,
    },
    /// The order of the file.
    File,
}

impl Order {
    /// The samples' indices, each of `0..items` once, in the order of `epoch`.
    #[must_use]
    pub fn epoch(&self, items: usize, epoch: u64) -> Vec<usize> {
        match *self {
            Self::Shuffled { seed } => permutation(items, seed, Purpose::Shuffle, epoch),
            Self::File => (0..items).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_sample_comes_once(items in 0_usize..200, seed: u64, epoch in 0_u64..50) {
            let order = Order::Shuffled { seed };
            let mut indices = order.epoch(items, epoch);
            prop_assert_eq!(&indices, &order.epoch(items, epoch));
            indices.sort_unstable();
            prop_assert_eq!(indices, Order::File.epoch(items, epoch));
        }
    }

    #[test]
    fn epochs_and_seeds_differ() {
        let first = Order::Shuffled { seed: 0 }.epoch(50, 1);
        assert_ne!(first, Order::Shuffled { seed: 0 }.epoch(50, 2));
        assert_ne!(first, Order::Shuffled { seed: 1 }.epoch(50, 1));
    }
}
