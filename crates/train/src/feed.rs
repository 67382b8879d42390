//! The prepared batches of an epoch, dealt out to its steps.

use std::sync::Arc;

use mmc_preprocess::{Batch, Loader, Processor};

use crate::predict::loader_options;
use crate::ranks::Share;
use crate::represented::Represented;
use crate::step::Shard;
use crate::{Plan, TrainError};

/// Gives each step its shards.
pub(crate) enum Feed {
    /// As the loader prepares them.
    Prepared(Box<Prepared>),
    /// As the frozen backbone saw them before; a step gets this share of its shards.
    Represented(Arc<Represented>, Share),
}

impl Feed {
    /// Prepared ahead, from these shards of the training split, this rank's share, as this epoch changes
    /// its pictures.
    pub(crate) fn prepared(
        plan: &Plan,
        processor: &Arc<Processor>,
        epoch: u64,
        shards: Vec<Vec<usize>>,
    ) -> Result<Self, TrainError> {
        let (settings, share) = (&plan.settings, plan.ranks.share());
        let options = loader_options(settings.workers, plan.padding(), settings.on_bad_item);
        let (split, processor) = (Arc::clone(&plan.train), Arc::clone(processor));
        let Some(augmentation) = plan.augmentation() else {
            return Ok(Self::new(Loader::new(split, processor, shards, options)?, share));
        };
        let (seed, pad_id) = (settings.seed, processor.pad_id());
        let prepare = move |index: usize| {
            let sample = &split.samples[index];
            processor.prepare_augmented(sample, augmentation.draw(seed, epoch, &sample.id))
        };
        Ok(Self::new(Loader::from_prepare(Arc::new(prepare), pad_id, shards, options)?, share))
    }

    /// Of a loader that prepares this share of the shards of each step, one step after the other.
    pub(crate) fn new(loader: Loader, share: Share) -> Self {
        Self::Prepared(Box::new(Prepared { loader, share, pending: None, start: 0 }))
    }

    /// The shards of the next step, which are planned to be these, as far as they are in the share.
    pub(crate) fn step<'a>(
        &'a mut self,
        planned: &'a [Vec<usize>],
    ) -> Box<dyn Iterator<Item = Result<Shard, TrainError>> + 'a> {
        match self {
            Self::Prepared(prepared) => Box::new(prepared.step(planned)),
            Self::Represented(represented, share) => Box::new(represented.step(planned, *share)),
        }
    }

    /// Seconds for which batches were waited for so far.
    pub(crate) fn wait_seconds(&self) -> f64 {
        match self {
            Self::Prepared(prepared) => prepared.loader.wait_seconds(),
            Self::Represented(..) => 0.0,
        }
    }

    /// Ids of the items left out so far.
    pub(crate) fn skipped(&self) -> &[String] {
        match self {
            Self::Prepared(prepared) => prepared.loader.skipped(),
            Self::Represented(represented, _) => represented.skipped(),
        }
    }
}

/// The batches of a loader, dealt out also where a shard yields none because all its items were
/// skipped.
pub(crate) struct Prepared {
    loader: Loader,
    share: Share,
    /// Index of a shard, its batch and how many of its texts were cut, met while the step before was looking for more.
    pending: Option<(usize, Batch, usize)>,
    /// Index of the next step's first shard.
    start: usize,
}

impl Prepared {
    fn step<'a>(
        &'a mut self,
        planned: &'a [Vec<usize>],
    ) -> impl Iterator<Item = Result<Shard, TrainError>> + 'a {
        let (start, share) = (self.start, self.share);
        let end = start + share.of(planned.len());
        self.start = end;
        std::iter::from_fn(move || {
            let (index, batch, cut_texts) = match self.next_before(end) {
                Ok(found) => found?,
                Err(error) => return Some(Err(error)),
            };
            let number = share.number(index - start);
            let first_row = planned[..number].iter().map(Vec::len).sum();
            Some(Ok(Shard { number, first_row, batch, pooled: None, cut_texts }))
        })
    }

    fn next_before(&mut self, end: usize) -> Result<Option<(usize, Batch, usize)>, TrainError> {
        if self.pending.is_none()
            && let Some(batch) = self.loader.next()
        {
            let batch = batch?;
            let cut_texts = self.loader.cut_texts();
            self.pending = self.loader.shard().map(|index| (index, batch, cut_texts));
        }
        Ok(self.pending.take_if(|(index, ..)| *index < end))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mmc_data::{DataError, OnBadItem};
    use mmc_preprocess::{Example, LoaderOptions, PreprocessError, Tokens};

    use super::*;

    /// Items are tokens of their own number; `bad` ones cannot be prepared.
    fn feed(plan: Vec<Vec<usize>>, bad: Vec<usize>, share: Share) -> Feed {
        let prepare = move |index: usize| {
            if bad.contains(&index) {
                let source = DataError::Setting("unreadable".to_owned());
                return Err(PreprocessError::Picture { id: index.to_string(), source });
            }
            let full_length = 1 + index % 2; // the odd ones are cut
            let tokens = Tokens { ids: vec![index as u32], type_ids: vec![0], full_length };
            let (id, text) = (index.to_string(), Some(tokens));
            Ok(Example { id, group: None, target: None, text, image: None })
        };
        let on_bad_item = OnBadItem::Skip;
        let options = LoaderOptions { workers: 2, on_bad_item, ..LoaderOptions::default() };
        Feed::new(Loader::from_prepare(Arc::new(prepare), 0, plan, options).unwrap(), share)
    }

    /// `(first row, ids)` of each shard that each step gets.
    fn deal(steps: &[Vec<Vec<usize>>], bad: Vec<usize>) -> Vec<Vec<(usize, Vec<String>)>> {
        let mut feed = feed(steps.concat(), bad, Share::WHOLE);
        let mut deal = |step: &Vec<Vec<usize>>| {
            let shards = feed.step(step).map(|shard| shard.unwrap());
            shards.map(|shard| (shard.first_row, shard.batch.ids)).collect()
        };
        steps.iter().map(&mut deal).collect()
    }

    fn names(ids: &[usize]) -> Vec<String> {
        ids.iter().map(usize::to_string).collect()
    }

    #[test]
    fn each_step_gets_its_shards() {
        let steps = [vec![vec![4, 1], vec![0]], vec![vec![2, 3]]];
        let dealt = deal(&steps, vec![]);
        assert_eq!(dealt[0], [(0, names(&[4, 1])), (2, names(&[0]))]);
        assert_eq!(dealt[1], [(0, names(&[2, 3]))]);
    }

    #[test]
    fn cut_texts_are_counted_with_their_own_step() {
        let steps = [vec![vec![0, 2]], vec![vec![1, 3], vec![5]], vec![vec![4]]];
        let mut feed = feed(steps.concat(), vec![0, 2], Share::WHOLE);
        let cut: Vec<usize> = steps
            .iter()
            .map(|step| feed.step(step).map(|shard| shard.unwrap().cut_texts).sum())
            .collect();
        assert_eq!(cut, [0, 3, 0]);
    }

    #[test]
    fn a_shard_whose_items_were_all_skipped_shifts_nothing() {
        let steps = [vec![vec![0, 1], vec![2, 3]], vec![vec![4], vec![5]], vec![vec![6], vec![7]]];
        let dealt = deal(&steps, vec![1, 2, 3, 4, 6, 7]);
        assert_eq!(dealt[0], [(0, names(&[0]))]);
        assert_eq!(dealt[1], [(1, names(&[5]))], "rows count as planned");
        assert!(dealt[2].is_empty());
    }

    /// As that of all would be, whatever is left out.
    #[test]
    fn a_share_knows_its_numbers_and_rows() {
        let step = vec![vec![0, 1], vec![2], vec![3, 4], vec![5, 6], vec![7]];
        let steps = [step, vec![vec![8, 9]], vec![vec![10], vec![11], vec![12]]];
        let all = |share: Share, bad: Vec<usize>| -> Vec<Vec<(usize, usize, Vec<String>)>> {
            let own = |step: &Vec<Vec<usize>>| share.own(step).cloned().collect::<Vec<_>>();
            let mut feed = feed(steps.iter().flat_map(own).collect(), bad, share);
            let mut deal = |step: &Vec<Vec<usize>>| {
                let shards = feed.step(step).map(|shard| shard.unwrap());
                shards.map(|shard| (shard.number, shard.first_row, shard.batch.ids)).collect()
            };
            steps.iter().map(&mut deal).collect()
        };
        for bad in [vec![], vec![2, 3, 4, 8, 9, 11]] {
            let whole = all(Share::WHOLE, bad.clone());
            for count in [2, 3, 5] {
                let mut parts = vec![Vec::new(); steps.len()];
                for rank in 0..count {
                    for (sum, part) in parts.iter_mut().zip(all(Share { rank, count }, bad.clone()))
                    {
                        sum.extend(part);
                    }
                }
                for part in &mut parts {
                    part.sort();
                }
                assert_eq!(parts, whole, "{count} ranks");
            }
        }
    }
}
