//! The predictions of a split, made by all ranks.

use std::sync::Arc;

use mmc_data::Split;
use mmc_models::{Classifier, Pass};
use mmc_ops::without_gradient;
use mmc_preprocess::{Loader, Processor};
use mmc_run::Predictions;

use super::Ranks;
use super::chunks::{Next, share_chunks};
use crate::predict::RowTeller;
use crate::represented::{chunks, labels};
use crate::{PredictOptions, Predicted, TrainError, predict};

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
    let chunks = chunks(split.len(), options.rows);
    let own = ranks.share().own(&chunks).cloned().collect();
    let prepare = options.intervention.prepare(split, processor)?;
    let loader = Loader::from_prepare(prepare, processor.pad_id(), own, options.loader())?;
    let mut teller = RowTeller::new(split, options);
    let (mut rows, mut cut_texts, mut skipped) = (Vec::with_capacity(split.len()), 0, Vec::new());
    share_chunks(
        ranks,
        (split, &chunks),
        loader,
        &mut |batch| Ok(without_gradient(|| model.forward(batch, &Pass::evaluate()))?.0),
        &mut |bunch| {
            for chunk in bunch {
                let absent = chunks[chunk.number].iter().filter(|item| !chunk.items.contains(item));
                skipped.extend(absent.map(|&item| split.samples[item].id.clone()));
                if chunk.items.is_empty() {
                    continue;
                }
                cut_texts += chunk.cut_texts;
                let batch = labels(chunk.items.iter().map(|&item| &split.samples[item]))?;
                for (row, logits) in chunk.rows().enumerate() {
                    rows.push(teller.row(&batch, row, logits.to_vec())?);
                }
            }
            progress(rows.len());
            Ok(Next::Goes)
        },
    )?;
    let predictions = Predictions { classes: teller.classes(), rows };
    Ok(Predicted { predictions, cut_texts, skipped })
}
