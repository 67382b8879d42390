//! The predictions of a split, made by all ranks.

use std::sync::Arc;

use bytemuck::{cast_slice, pod_collect_to_vec};
use mmc_data::Split;
use mmc_models::{Classifier, Pass};
use mmc_ops::without_gradient;
use mmc_preprocess::{Loader, Processor};
use mmc_run::Predictions;
use serde::{Deserialize, Serialize};

use super::Ranks;
use crate::predict::RowTeller;
use crate::represented::{chunks, labels};
use crate::{PredictOptions, Predicted, TrainError, predict};

/// Chunks that a rank computes before all tell each other what they found.
const BUNCH: usize = 32;

/// What a rank found of a chunk: logits follow, a row for each item that could be prepared.
#[derive(Serialize, Deserialize)]
struct Found {
    chunk: usize,
    /// Their places in the split.
    items: Vec<usize>,
    cut_texts: usize,
}

/// As [`predict`] at every rank. Each computes its share of the forwards, whose rows are those that one
/// process would compute together, so that logits have the same bits.
///
/// # Errors
/// As [`predict`]: at the rank that finds one.
pub(crate) fn predict_among(
    ranks: &Ranks,
    model: &dyn Classifier,
    processor: &Arc<Processor>,
    split: &Arc<Split>,
    options: &PredictOptions,
    progress: &mut dyn FnMut(usize),
) -> Result<Predicted, TrainError> {
    if ranks.is_alone() {
        return predict(model, processor, split, options, progress);
    }
    let share = ranks.share();
    let chunks = chunks(split.len(), options.rows);
    let own: Vec<Vec<usize>> = share.own(&chunks).cloned().collect();
    let prepare = options.intervention.prepare(split, processor)?;
    let mut loader = Loader::from_prepare(prepare, processor.pad_id(), own, options.loader())?;
    let mut pending = None;
    let mut told = Told::new(split, options);
    let rounds = chunks.len().div_ceil(ranks.count());
    for bunch in (0..rounds).step_by(BUNCH) {
        let (mut found, mut logits) = (Vec::new(), Vec::<f32>::new());
        loop {
            if pending.is_none() {
                pending = loader.next().transpose()?.zip(loader.shard());
            }
            let Some((batch, nth)) = pending.take_if(|(_, nth)| *nth < bunch + BUNCH) else {
                break;
            };
            let chunk = share.number(nth);
            let items = present(split, &chunks[chunk], &batch.ids);
            found.push(Found { chunk, items, cut_texts: loader.cut_texts() });
            let rows = without_gradient(|| model.forward(&batch, &Pass::evaluate()))?;
            logits.extend(rows.0.flatten_all()?.to_vec1::<f32>()?);
        }
        for message in ranks.gather_bytes(message(&found, &logits)?)? {
            told.read(&message)?;
        }
        told.tell(&chunks, bunch + BUNCH, ranks.count())?;
        progress(told.rows.len());
    }
    Ok(told.predicted())
}

/// The items of a chunk that are in its batch.
fn present(split: &Split, chunk: &[usize], ids: &[String]) -> Vec<usize> {
    let mut ids = ids.iter().peekable();
    let is_there = |item: &usize| ids.next_if(|id| **id == split.samples[*item].id).is_some();
    chunk.iter().copied().filter(is_there).collect()
}

/// `found` as JSON, its length before it, then the logits.
fn message(found: &[Found], logits: &[f32]) -> Result<Vec<u8>, TrainError> {
    let found = serde_json::to_vec(found).map_err(|error| super::unreadable(&error))?;
    let mut bytes = (found.len() as u64).to_le_bytes().to_vec();
    bytes.extend(found);
    bytes.extend_from_slice(cast_slice(logits));
    Ok(bytes)
}

/// What all ranks found so far.
struct Told<'a> {
    split: &'a Split,
    options: &'a PredictOptions,
    teller: RowTeller<'a>,
    /// Of this bunch: a chunk, and the logits of its rows.
    chunks: Vec<(Found, Vec<f32>)>,
    rows: Vec<mmc_run::Prediction>,
    cut_texts: usize,
    skipped: Vec<String>,
}

impl<'a> Told<'a> {
    fn new(split: &'a Split, options: &'a PredictOptions) -> Self {
        let (chunks, rows, skipped) = (Vec::new(), Vec::with_capacity(split.len()), Vec::new());
        let teller = RowTeller::new(split, options);
        Self { split, options, teller, chunks, rows, cut_texts: 0, skipped }
    }

    /// Takes a rank's message apart.
    fn read(&mut self, message: &[u8]) -> Result<(), TrainError> {
        let cut = || TrainError::Transport { problem: "a message between ranks is cut".to_owned() };
        let (length, rest) = message.split_first_chunk().ok_or_else(cut)?;
        let length = u64::from_le_bytes(*length) as usize;
        let (found, logits) = rest.split_at_checked(length).ok_or_else(cut)?;
        let found: Vec<Found> =
            serde_json::from_slice(found).map_err(|error| super::unreadable(&error))?;
        let mut logits = pod_collect_to_vec::<u8, f32>(logits);
        for one in found.into_iter().rev() {
            let numbers = one.items.len() * self.options.classes.len();
            let own = logits.len().checked_sub(numbers).map(|at| logits.split_off(at));
            self.chunks.push((one, own.ok_or_else(cut)?));
        }
        Ok(())
    }

    /// Makes rows of a bunch, in the split's order; it ends before round `end` of `count` chunks.
    fn tell(&mut self, all: &[Vec<usize>], end: usize, count: usize) -> Result<(), TrainError> {
        let classes = self.options.classes.len();
        let mut chunks = std::mem::take(&mut self.chunks);
        chunks.sort_by_key(|(found, _)| found.chunk);
        let mut chunks = chunks.into_iter().peekable();
        let begin = (end - BUNCH) * count;
        for (chunk, items) in all.iter().enumerate().take(end * count).skip(begin) {
            let found = chunks.next_if(|(found, _)| found.chunk == chunk);
            let (there, logits) = match found {
                None => (Vec::new(), Vec::new()),
                Some((found, logits)) => {
                    self.cut_texts += found.cut_texts;
                    (found.items, logits)
                }
            };
            let absent = items.iter().filter(|item| !there.contains(item));
            self.skipped.extend(absent.map(|&item| self.split.samples[item].id.clone()));
            if there.is_empty() {
                continue;
            }
            let batch = labels(there.iter().map(|&item| &self.split.samples[item]))?;
            for (row, logits) in logits.chunks(classes.max(1)).enumerate() {
                self.rows.push(self.teller.row(&batch, row, logits.to_vec())?);
            }
        }
        Ok(())
    }

    fn predicted(self) -> Predicted {
        let predictions = Predictions { classes: self.teller.classes(), rows: self.rows };
        Predicted { predictions, cut_texts: self.cut_texts, skipped: self.skipped }
    }
}
