//! Which samples make up which step, and in which shards: pure functions, so that a resumed run
//! knows where it is from the number of the step alone.

use mmc_preprocess::Order;

/// How the items of the training split are dealt out to optimiser steps.
///
/// A step has `items_per_step` items and never crosses an epoch; the last one of an epoch may be
/// short and is kept. A step is cut in order into shards of `shard_rows` rows, whatever the batch
/// size, so that accumulation changes nothing.
#[derive(Clone, Debug)]
pub struct StepPlan {
    items: usize,
    items_per_step: usize,
    shard_rows: usize,
    steps: u64,
    order: Order,
}

impl StepPlan {
    /// A plan for `epochs` passes over `items` items: T = epochs × ceil(items / items per step).
    #[must_use]
    pub fn of_epochs(epochs: u64, items: usize, cut: Cut, order: Order) -> Self {
        let steps = epochs.saturating_mul(items.div_ceil(cut.items_per_step.max(1)) as u64);
        Self::of_steps(steps, items, cut, order)
    }

    /// A plan for exactly `steps` steps over `items` items, repeated as often as needed.
    #[must_use]
    pub fn of_steps(steps: u64, items: usize, cut: Cut, order: Order) -> Self {
        let (items_per_step, shard_rows) = (cut.items_per_step.max(1), cut.shard_rows.max(1));
        let steps = if items == 0 { 0 } else { steps };
        Self { items, items_per_step, shard_rows, steps, order }
    }

    /// Steps in all, T.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Steps in a full epoch.
    #[must_use]
    pub fn steps_per_epoch(&self) -> u64 {
        self.items.div_ceil(self.items_per_step) as u64
    }

    /// The epoch (from 1) that `step` (from 1) belongs to.
    #[must_use]
    pub fn epoch(&self, step: u64) -> u64 {
        step.saturating_sub(1) / self.steps_per_epoch().max(1) + 1
    }

    /// Whether `step` is the last of its epoch, or of the plan.
    #[must_use]
    pub fn ends_epoch(&self, step: u64) -> bool {
        step == self.steps || step.is_multiple_of(self.steps_per_epoch().max(1))
    }

    /// The steps from `first` (from 1) to the end of its epoch, each as its shards of sample
    /// indices; empty where the plan has no step `first`.
    #[must_use]
    pub fn rest_of_epoch(&self, first: u64) -> Vec<Vec<Vec<usize>>> {
        if first == 0 || first > self.steps {
            return Vec::new();
        }
        let epoch = self.epoch(first);
        let start = (epoch - 1) * self.steps_per_epoch();
        let planned = (self.steps - first + 1) as usize;
        self.order
            .epoch(self.items, epoch)
            .chunks(self.items_per_step)
            .skip((first - 1 - start) as usize)
            .take(planned)
            .map(|step| step.chunks(self.shard_rows).map(<[usize]>::to_vec).collect())
            .collect()
    }
}

/// How finely items are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Items of a full step: batch × accumulation.
    pub items_per_step: usize,
    /// Rows of a full shard.
    pub shard_rows: usize,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CUT: Cut = Cut { items_per_step: 16, shard_rows: 8 };

    #[test]
    fn steps_are_epochs_times_batches_rounded_up() {
        let plan = StepPlan::of_epochs(3, 50, CUT, Order::File);
        assert_eq!((plan.steps(), plan.steps_per_epoch()), (12, 4));
        assert_eq!([1, 4, 5, 12].map(|step| plan.epoch(step)), [1, 1, 2, 3]);
        assert_eq!([3, 4, 12].map(|step| plan.ends_epoch(step)), [false, true, true]);
    }

    #[test]
    fn the_last_short_step_is_kept_and_cut_in_order() {
        let steps = StepPlan::of_epochs(1, 21, CUT, Order::File).rest_of_epoch(1);
        let rows = |range: std::ops::Range<usize>| range.collect::<Vec<usize>>();
        let expected = [vec![rows(0..8), rows(8..16)], vec![rows(16..21)]];
        assert_eq!(steps, expected);
    }

    proptest! {
        #[test]
        fn whatever_the_cut_every_item_of_an_epoch_comes_once(
            items in 1_usize..80, items_per_step in 1_usize..30, shard_rows in 1_usize..12,
        ) {
            let cut = Cut { items_per_step, shard_rows };
            let plan = StepPlan::of_epochs(1, items, cut, Order::File);
            let steps = plan.rest_of_epoch(1);
            prop_assert_eq!(steps.len() as u64, plan.steps());
            for step in &steps[..steps.len() - 1] {
                prop_assert_eq!(step.concat().len(), items_per_step);
            }
            for step in &steps {
                let (last, full) = step.split_last().unwrap();
                prop_assert!(full.iter().all(|shard| shard.len() == shard_rows));
                prop_assert!((1..=shard_rows).contains(&last.len()));
            }
            prop_assert_eq!(steps.concat().concat(), (0..items).collect::<Vec<_>>());
        }
    }

    #[test]
    fn shards_ignore_the_borders_of_batches() {
        let shards = |items_per_step, shard_rows| {
            let cut = Cut { items_per_step, shard_rows };
            StepPlan::of_epochs(1, 12, cut, Order::File).rest_of_epoch(1)
        };
        // Two batches of six are one step of shards 5, 5, 2.
        let lengths: Vec<usize> = shards(12, 5)[0].iter().map(Vec::len).collect();
        assert_eq!(lengths, [5, 5, 2]);
    }

    #[test]
    fn every_epoch_has_each_item_once_and_its_own_order() {
        let plan = StepPlan::of_epochs(2, 50, CUT, Order::Shuffled { seed: 3 });
        let epoch = |first| plan.rest_of_epoch(first).concat().concat();
        let (one, two) = (epoch(1), epoch(5));
        assert_ne!(one, two);
        for mut items in [one, two] {
            items.sort_unstable();
            assert_eq!(items, (0..50).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_plan_entered_in_the_middle_goes_on_as_the_whole() {
        let plan = StepPlan::of_epochs(2, 50, CUT, Order::Shuffled { seed: 3 });
        assert_eq!(plan.rest_of_epoch(6), plan.rest_of_epoch(5)[1..]);
        assert!(plan.rest_of_epoch(9).is_empty());
        assert!(plan.rest_of_epoch(0).is_empty());
    }

    #[test]
    fn a_number_of_steps_repeats_the_data_and_stops_within_an_epoch() {
        let plan = StepPlan::of_steps(10, 50, CUT, Order::File);
        assert_eq!((plan.steps(), plan.epoch(10)), (10, 3));
        assert_eq!(plan.rest_of_epoch(9).len(), 2);
        assert!(plan.ends_epoch(10) && !plan.ends_epoch(9));
        assert_eq!(StepPlan::of_steps(10, 0, CUT, Order::File).steps(), 0);
    }
}
