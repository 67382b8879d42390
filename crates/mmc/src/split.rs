//! A split of a data set, read for a checkpoint and predicted by it.

use std::path::Path;
use std::sync::Arc;

use mmc_data::{Dataset, OnBadItem, ReadOptions, Split};
use mmc_run::Predictions;
use mmc_train::{PredictOptions, predict, skipped_warning};

use crate::checkpoint::Checkpoint;
use crate::failure::Failure;
use crate::progress;

/// Reads a split as a checkpoint is shown it: with its arm and, in tables, its classes. What the
/// reader notes is logged.
pub(crate) fn read_for(
    checkpoint: &Checkpoint,
    dataset: &Dataset,
    root: &Path,
    split: &str,
    options: ReadOptions,
) -> Result<Arc<Split>, Failure> {
    let name = dataset.split_name(split)?;
    let options = ReadOptions {
        arm: checkpoint.arm(),
        // A table's classes are what the model was trained on; other sets know their own.
        labels: match dataset.classes {
            None => Some(checkpoint.labels.clone()),
            Some(_) => options.labels,
        },
        ..options
    };
    let split = dataset.read(root, name.as_str(), &options)?;
    split.check_pictures(options.arm)?;
    for note in &split.notes {
        tracing::warn!("{note}");
    }
    Ok(Arc::new(split))
}

/// What a checkpoint says of every item of a split, its classes in the split's order. What may be left
/// out is counted and logged.
pub(crate) fn predicted(
    checkpoint: Checkpoint,
    split: &Arc<Split>,
    on_bad_item: OnBadItem,
) -> Result<Predictions, Failure> {
    let checkpoint = checkpoint.with_labels(&split.labels)?;
    let name = split.name.as_str();
    let bar = progress::rows(split.len(), name);
    let tell = &mut |done| bar.set_position(done as u64);
    let model = checkpoint.model.as_ref();
    let options = PredictOptions { on_bad_item, ..checkpoint.options() };
    let found = predict(model, &checkpoint.processor, split, &options, tell);
    bar.finish_and_clear();
    let found = found?;
    if let Some(warning) = skipped_warning(name, &found.skipped, split.len()) {
        tracing::warn!("{warning}");
    }
    checkpoint.warn_of_cut_texts(name, found.cut_texts, split.len());
    Ok(found.predictions)
}
