//! What a run takes: time, memory, operations.

use mmc_models::Classifier;
use mmc_preprocess::Loader;
use mmc_run::StepRecord;

use crate::TrainError;

/// The process's high-water mark of resident memory so far, in bytes; 0 where the system does not
/// say.
#[must_use]
pub fn peak_memory_bytes() -> u64 {
    #[cfg(unix)]
    {
        use nix::sys::resource::{UsageWho, getrusage};
        // Linux counts in KiB, macOS in bytes.
        let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
        getrusage(UsageWho::RUSAGE_SELF)
            .map_or(0, |usage| u64::try_from(usage.max_rss()).unwrap_or(0) * unit)
    }
    #[cfg(not(unix))]
    {
        0
    }
}

/// How long the steps of a run were.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pace {
    /// Median seconds of a step.
    pub(crate) seconds_per_step: f64,
    /// Items of all steps over their seconds.
    pub(crate) samples_per_second: f64,
}

impl Pace {
    /// From the records of all steps and the number of items that each was to have.
    pub(crate) fn of(records: &[StepRecord], items: impl Iterator<Item = usize>) -> Self {
        let (mut seconds, mut total): (Vec<f64>, f64) = (Vec::new(), 0.0);
        for (record, items) in records.iter().zip(items) {
            let items = record.items.unwrap_or(items);
            if record.samples_per_second > 0.0 {
                seconds.push(items as f64 / record.samples_per_second);
                total += items as f64;
            }
        }
        let sum: f64 = seconds.iter().sum();
        seconds.sort_by(f64::total_cmp);
        let middle = seconds.len() / 2;
        let seconds_per_step = match seconds.len() {
            0 => 0.0,
            odd if odd % 2 == 1 => seconds[middle],
            _ => f64::midpoint(seconds[middle - 1], seconds[middle]),
        };
        Self { seconds_per_step, samples_per_second: if sum > 0.0 { total / sum } else { 0.0 } }
    }
}

/// What the lengths of items come to.
pub(crate) struct Lengths {
    /// Operations of the forward of one sample at the mean unpadded length.
    pub(crate) flops_per_sample: f64,
    /// Of the text tokens of padded batches, the share that is padding; `None` without texts.
    pub(crate) padding_share: Option<f64>,
}

impl Lengths {
    /// Of what `loader` yields.
    pub(crate) fn of(model: &dyn Classifier, loader: Loader) -> Result<Self, TrainError> {
        let (mut rows, mut text_tokens, mut padded_tokens, mut image_tokens) = (0, 0, 0, 0);
        for batch in loader {
            let batch = batch?;
            rows += batch.rows();
            if let Some(text) = &batch.text {
                text_tokens += text.lengths.iter().sum::<usize>();
                padded_tokens += text.token_ids.elem_count();
            }
            if let Some(image) = &batch.image {
                let tokens = |&(height, width)| model.image_tokens(height, width);
                image_tokens += image.sizes.iter().map(tokens).sum::<usize>();
            }
        }
        let mean = |sum: usize| sum as f64 / rows.max(1) as f64;
        let share = 1.0 - text_tokens as f64 / padded_tokens.max(1) as f64;
        Ok(Self {
            flops_per_sample: model.flops(mean(text_tokens), mean(image_tokens)),
            padding_share: (padded_tokens > 0).then_some(share),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_grows_when_it_is_used() {
        let before = peak_memory_bytes();
        let block = vec![1_u8; 64 << 20];
        assert!(block.iter().map(|&byte| u64::from(byte)).sum::<u64>() == 64 << 20);
        assert!(peak_memory_bytes() >= before.max(64 << 20));
    }

    #[test]
    fn pace_is_the_median_and_not_the_mean() {
        let record = |samples_per_second| StepRecord {
            step: 1,
            epoch: 1,
            loss: None,
            learning_rate: 0.0,
            grad_norm: None,
            learning_rates: Vec::new(),
            grad_norms: Vec::new(),
            samples_per_second,
            items: None,
            loader_wait_seconds: 0.0,
            loss_scale: None,
            skipped: None,
        };
        // Steps of 16 items in 1, 2 and 16 seconds.
        let pace = Pace::of(&[16.0, 8.0, 1.0].map(record), std::iter::repeat(16));
        assert!((pace.seconds_per_step - 2.0).abs() < 1e-12);
        assert!((pace.samples_per_second - 48.0 / 19.0).abs() < 1e-12);
        let pace = Pace::of(&[16.0, 8.0].map(record), std::iter::repeat(16));
        assert!((pace.seconds_per_step - 1.5).abs() < 1e-12);
        assert!(Pace::of(&[], std::iter::empty()).seconds_per_step.abs() < 1e-12);
    }
}
