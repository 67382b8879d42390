//! What happens after the last step: predictions with the kept checkpoint, scores, cost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use mmc_data::Split;
use mmc_metrics::Evaluation;
use mmc_models::{Classifier, FreshHead, LoadRequest, Loaded, Parameter};
use mmc_preprocess::{Loader, Processor};
use mmc_run::{Cost, Keep, RunFolder};

use crate::cost::Lengths;
use crate::moved::Moment;
use crate::predict::{loader_options, skipped_warning};
use crate::ranks::{Next, predict_among};
use crate::resume::Counters;
use crate::watched::Watched;
use crate::{Finished, Plan, Progress, TrainError, cost, cut_texts_warning, device, score, shared};

/// Training items whose lengths stand for all of them when operations are counted.
const MEASURED_ITEMS: usize = 256;

/// What of the model trained, which is not to be seen in the checkpoint.
pub(crate) struct Trainees {
    /// How many numbers.
    pub(crate) parameters: u64,
    /// Names of those that ended as they began.
    pub(crate) unmoved: Vec<String>,
}

impl Trainees {
    /// Of what trained, as it is after the last step, and of what it was at the beginning.
    pub(crate) fn of(parameters: &[&Parameter], begun: &Moment) -> Result<Self, TrainError> {
        Ok(Self {
            parameters: parameters.iter().map(|one| one.var.elem_count() as u64).sum(),
            unmoved: begun.unmoved(&Moment::of(parameters)?),
        })
    }
}

/// Predicts the selection and the test split with `checkpoint/` as it was written, scores what
/// was written, and ends the run with `cost.json`. `None` where an interrupt at any rank stopped it: what
/// is written then is whole, and made again by the next sitting.
pub(crate) fn finish(
    plan: &Plan,
    folder: &RunFolder,
    processor: &Arc<Processor>,
    (counters, trainees): (Counters, Trainees),
    watched: &mut Watched<'_, '_>,
) -> Result<Option<Finished>, TrainError> {
    let started = Instant::now();
    let loaded = kept(plan, folder)?;
    let model = loaded.model.as_ref();
    let mut scores = BTreeMap::new();
    let train = plan.train.name.to_string();
    let mut cut_texts = BTreeMap::from([(train.clone(), counters.cut_texts)]);
    let mut seconds_per_prediction = None;
    let mut skipped_items = BTreeMap::from([(train, counters.skipped_items)]);
    for split in [&plan.selection, &plan.test].into_iter().flatten() {
        let name = split.name.as_str();
        let items = split.len();
        let _span = tracing::debug_span!("predict", split = name, items).entered();
        let began = Instant::now();
        let options = plan.predict_options();
        let found = predict_among(model, processor, split, &options, watched)?;
        let Some(found) = found else { return Ok(None) };
        let made = found.predictions.rows.len();
        if made > 0 {
            seconds_per_prediction = Some(began.elapsed().as_secs_f64() / made as f64);
        }
        let max_length = plan.settings.max_length;
        for warning in [
            cut_texts_warning(name, found.cut_texts, items, max_length),
            skipped_warning(name, &found.skipped, items),
        ] {
            if let Some(warning) = &warning {
                (watched.progress)(Progress::Warning(warning));
            }
        }
        cut_texts.insert(name.to_owned(), found.cut_texts);
        skipped_items.insert(name.to_owned(), found.skipped.len());
        folder.write_predictions(name, &found.predictions)?;
        if split.is_labelled() {
            scores.insert(name.to_owned(), evaluation(plan, folder, split)?);
        }
    }
    for warning in processor.warnings() {
        (watched.progress)(Progress::Warning(&warning));
    }
    folder.write_scores(&scores)?;
    let cost = cost_of(plan, folder, (model, processor), &counters, started)?;
    let cost = Cost {
        cut_texts,
        skipped_items,
        seconds_per_prediction,
        trainable_parameters: trainees.parameters,
        unmoved_parameters: trainees.unmoved,
        rows_in_train: shared::rows_in_train(plan),
        ..cost
    };
    folder.write_cost(&cost)?;
    if let Some(note) = cost.padding_share.and_then(padding_note) {
        (watched.progress)(Progress::Note(&note));
    }
    let best = counters.best.filter(|_| plan.settings.keep == Keep::Best);
    let kept_step = best.map_or(counters.step, |best| best.step);
    Ok(Some(Finished { scores, cost, kept_step }))
}

/// Takes this rank's part in the predictions that rank 0 makes of the selection and the test split,
/// unless an interrupt at any rank stops them.
pub(crate) fn help(
    plan: &Plan,
    folder: &RunFolder,
    processor: &Arc<Processor>,
    watched: &mut Watched<'_, '_>,
) -> Result<Next, TrainError> {
    let loaded = kept(plan, folder)?;
    for split in [&plan.selection, &plan.test].into_iter().flatten() {
        let (model, options) = (loaded.model.as_ref(), plan.predict_options());
        if predict_among(model, processor, split, &options, watched)?.is_none() {
            return Ok(Next::Stops);
        }
    }
    Ok(Next::Goes)
}

/// The model in `checkpoint/`.
fn kept(plan: &Plan, folder: &RunFolder) -> Result<Loaded, TrainError> {
    Ok(mmc_models::load(&LoadRequest {
        folder: &folder.checkpoint(),
        labels: plan.classes(),
        arm: Some(plan.settings.arm),
        head: Some(&plan.settings.head),
        fresh_head: FreshHead::Refused,
        dropout: None,
        device: &plan.device,
    })?)
}

/// What padding would have cost; nothing is said of none.
fn padding_note(share: f64) -> Option<String> {
    let percent = (share * 100.0).round();
    (percent >= 1.0).then(|| {
        format!("{percent:.0} % of the tokens of padded texts are padding; models skip it")
    })
}

/// The scores of the predictions as they are on disk.
fn evaluation(plan: &Plan, folder: &RunFolder, split: &Split) -> Result<Evaluation, TrainError> {
    let rows = folder.predictions(split.name.as_str())?.scored()?;
    // Not the run's seed: the resamples are those of `mmc evaluate` on the same file.
    Ok(mmc_metrics::evaluate(&score::items(&rows, plan.positive), 0)?)
}

fn cost_of(
    plan: &Plan,
    folder: &RunFolder,
    (model, processor): (&dyn Classifier, &Arc<Processor>),
    counters: &Counters,
    started: Instant,
) -> Result<Cost, TrainError> {
    let steps = plan.steps();
    let per_step = plan.settings.items_per_step();
    let last = plan.train.len() - (steps.steps_per_epoch() as usize - 1) * per_step;
    let items = |step: u64| {
        if step.is_multiple_of(steps.steps_per_epoch()) { last } else { per_step }
    };
    let records = folder.steps()?;
    let pace = cost::Pace::of(&records, records.iter().map(|record| items(record.step)));

    let stride = plan.train.len().div_ceil(MEASURED_ITEMS).max(1);
    let sample: Vec<usize> = (0..plan.train.len()).step_by(stride).collect();
    let shards = sample.chunks(plan.settings.shard_rows).map(<[usize]>::to_vec).collect();
    let settings = &plan.settings;
    let options = loader_options(settings.workers, plan.padding(), settings.on_bad_item);
    let loader = Loader::new(Arc::clone(&plan.train), Arc::clone(processor), shards, options)?;
    let Lengths { flops_per_sample, padding_share } = Lengths::of(model, loader)?;

    let parameters = model.parameters().iter().map(|at| at.var.elem_count() as u64).sum();
    Ok(Cost {
        wall_seconds: counters.seconds + started.elapsed().as_secs_f64(),
        seconds_per_step: pace.seconds_per_step,
        samples_per_second: pace.samples_per_second,
        peak_memory_bytes: counters.peak_memory_bytes.max(cost::peak_memory_bytes()),
        peak_device_memory_bytes: counters
            .peak_device_memory_bytes
            .max(device::peak_device_memory_bytes(plan.opened())),
        parameters,
        trainable_parameters: 0, // known to the caller
        flops_per_sample,
        padding_share,
        energy_joules: None,
        cut_texts: BTreeMap::new(),
        skipped_items: BTreeMap::new(),
        seconds_per_prediction: None,
        unmoved_parameters: Vec::new(),
        rows_in_train: BTreeMap::new(),
    })
}
