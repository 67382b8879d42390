//! The predictions of a split, made by all ranks.

use std::ops::ControlFlow;
use std::sync::Arc;

use mmc_data::Split;
use mmc_models::{Classifier, Pass};
use mmc_ops::without_gradient;
use mmc_preprocess::{Loader, Processor};
use mmc_run::Predictions;

use super::chunks::{Next, share_chunks};
use crate::predict::RowTeller;
use crate::represented::{chunks, labels};
use crate::watched::Watched;
use crate::{PredictOptions, Predicted, TrainError, predict_until};

/// As [`predict`](crate::predict()) at every rank. Each computes its share of the forwards, whose rows are
/// those that one process would compute together, so that logits have the same bits. `None`, at all of
/// them, where one was asked to stop before it was done.
///
/// # Errors
/// As [`predict`](crate::predict()): at the rank that finds one.
pub(crate) fn predict_among(
    model: &dyn Classifier,
    processor: &Arc<Processor>,
    split: &Arc<Split>,
    options: &PredictOptions,
    watched: &mut Watched<'_, '_>,
) -> Result<Option<Predicted>, TrainError> {
    if watched.next()? == Next::Stops {
        return Ok(None);
    }
    let ranks = watched.ranks;
    if ranks.is_alone() {
        let tell = &mut |done| {
            watched.tell(split, done);
            if watched.is_interrupted() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        return Ok(predict_until(model, processor, split, options, tell)?.continue_value());
    }
    let chunks = chunks(split.len(), options.rows);
    let own = ranks.share().own(&chunks).cloned().collect();
    let prepare = options.intervention.prepare(split, processor)?;
    let loader = Loader::from_prepare(prepare, processor.pad_id(), own, options.loader())?;
    let mut teller = RowTeller::new(split, options);
    let (mut rows, mut cut_texts, mut skipped) = (Vec::with_capacity(split.len()), 0, Vec::new());
    let ended = share_chunks(
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
            watched.told(split, rows.len())
        },
    )?;
    if ended == Next::Stops {
        return Ok(None);
    }
    let predictions = Predictions { classes: teller.classes(), rows };
    Ok(Some(Predicted { predictions, cut_texts, skipped }))
}
