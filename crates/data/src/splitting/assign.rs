//! Which group goes into which split.

use std::cmp::Reverse;

use mmc_random::{Purpose, permutation};

/// Rows that stay together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    /// How many rows of which class, by class.
    pub(super) counts: Vec<(usize, usize)>,
}

impl Group {
    pub(super) fn rows(&self) -> usize {
        self.counts.iter().map(|(_, rows)| rows).sum()
    }
}

/// The split, 0 to 2, of each group; `sizes` are the rows of each class.
pub(super) fn assign(groups: &[Group], sizes: &[usize], fractions: [f64; 3], seed: u64) -> Vec<u8> {
    let mut order = permutation(groups.len(), seed, Purpose::Split, 0);
    order.sort_by_key(|&group| Reverse(groups[group].rows()));
    let all: usize = sizes.iter().sum();
    let mut totals = [0_usize; 3];
    let mut filled = vec![[0_usize; 3]; sizes.len()];
    let mut splits = vec![0; groups.len()];
    for index in order {
        let group = &groups[index];
        let cost = |split: usize| {
            let grown = |rows: usize, added: usize, of: usize| {
                let wanted = fractions[split] * of as f64;
                (2.0 * added as f64 * (rows as f64 - wanted) + (added * added) as f64) / wanted
            };
            let by_class: f64 = group
                .counts
                .iter()
                .map(|&(class, rows)| grown(filled[class][split], rows, sizes[class]))
                .sum();
            // Among equals the emptier split, or many small classes would all lean to one side.
            (by_class, grown(totals[split], group.rows(), all))
        };
        let less =
            |a: (f64, f64), b: (f64, f64)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)).is_lt();
        let mut best = 0;
        for split in 1..3 {
            if less(cost(split), cost(best)) {
                best = split;
            }
        }
        splits[index] = best as u8;
        totals[best] += group.rows();
        for &(class, rows) in &group.counts {
            filled[class][best] += rows;
        }
    }
    splits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Rows of each class in each split.
    fn counted(groups: &[Group], classes: usize, splits: &[u8]) -> Vec<[usize; 3]> {
        let mut counts = vec![[0; 3]; classes];
        for (group, split) in groups.iter().zip(splits) {
            for (class, rows) in &group.counts {
                counts[*class][usize::from(*split)] += rows;
            }
        }
        counts
    }

    fn alone(sizes: &[usize]) -> Vec<Group> {
        let classes = sizes.iter().enumerate();
        classes.flat_map(|(class, &rows)| vec![Group { counts: vec![(class, 1)] }; rows]).collect()
    }

    proptest! {
        /// Each class keeps its quota: less than one row from its share.
        #[test]
        fn classes_of_single_rows_keep_their_quota(
            sizes in proptest::collection::vec(1..200_usize, 1..5),
            (val, test) in (0.02..0.45_f64, 0.02..0.45_f64),
            seed in 0..5_u64,
        ) {
            let fractions = [1.0 - val - test, val, test];
            let groups = alone(&sizes);
            let splits = assign(&groups, &sizes, fractions, seed);
            for (counts, size) in counted(&groups, sizes.len(), &splits).iter().zip(&sizes) {
                for (count, fraction) in counts.iter().zip(fractions) {
                    let wanted = fraction * *size as f64;
                    prop_assert!((*count as f64 - wanted).abs() < 1.0 + 1e-9, "{count} {wanted}");
                }
            }
        }

        /// Groups of up to five rows: no split is further from its share than a group or two.
        #[test]
        fn groups_leave_the_shares_near(
            rows in proptest::collection::vec((0..3_usize, 1..6_usize), 100..200),
            seed in 0..5_u64,
        ) {
            let groups: Vec<Group> =
                rows.iter().map(|&(class, rows)| Group { counts: vec![(class, rows)] }).collect();
            let mut sizes = vec![0; 3];
            for (class, rows) in rows {
                sizes[class] += rows;
            }
            let fractions = [0.7, 0.2, 0.1];
            let splits = assign(&groups, &sizes, fractions, seed);
            for (counts, size) in counted(&groups, 3, &splits).iter().zip(&sizes) {
                for (count, fraction) in counts.iter().zip(fractions) {
                    prop_assert!((*count as f64 - fraction * *size as f64).abs() <= 5.0);
                }
            }
        }
    }

    #[test]
    fn small_classes_are_in_train_and_lean_to_no_side() {
        let sizes = [5; 100];
        let groups = alone(&sizes);
        let splits = assign(&groups, &sizes, [0.8, 0.1, 0.1], 0);
        let counts = counted(&groups, 100, &splits);
        assert!(counts.iter().all(|[train, ..]| *train == 4));
        assert_eq!(counts.iter().map(|[_, val, _]| val).sum::<usize>(), 50);
        assert_eq!(assign(&alone(&[1]), &[1], [0.8, 0.1, 0.1], 0), [0]);
    }

    #[test]
    fn the_seed_decides_which_rows_and_not_how_many() {
        let (groups, fractions) = (alone(&[60, 40]), [0.8, 0.1, 0.1]);
        let of = |seed| assign(&groups, &[60, 40], fractions, seed);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert_eq!(counted(&groups, 2, &of(1)), [[48, 6, 6], [32, 4, 4]]);
        assert_eq!(counted(&groups, 2, &of(2)), [[48, 6, 6], [32, 4, 4]]);
    }
}
