//! What happens at the end of an epoch: the selection split is evaluated, the best model kept.

use std::sync::Arc;

use mmc_data::Split;
use mmc_run::{EvalRecord, Keep};
use tracing::debug_span;

use super::Run;
use crate::ranks::predict_among;
use crate::resume::Best;
use crate::{Progress, TrainError, keep, score};

impl Run<'_> {
    /// Evaluates the selection split, if it has labels, and keeps the model if it is the best.
    pub(super) fn evaluate(&mut self) -> Result<(), TrainError> {
        let Some(split) = self.plan.selection.clone().filter(|split| split.is_labelled()) else {
            return Ok(());
        };
        let step = self.counters.step;
        let _span = debug_span!("evaluate", split = split.name.as_str(), step).entered();
        let predictions = self.predict(&split)?;
        let scores = score::scores(&predictions, self.plan.positive)?;
        let metric = self.plan.metric;
        let value = scores.get(metric.name).copied().flatten();
        let record = EvalRecord {
            step,
            epoch: self.steps.epoch(step),
            split: split.name.to_string(),
            items: predictions.rows.len(),
            loss: scores.get("log_loss").copied().flatten(),
            scores,
        };
        let best = score::is_better(value, self.counters.best.as_ref(), metric.higher_is_better);
        if best {
            if self.plan.settings.keep == Keep::Best {
                self.keep()?;
            }
            self.counters.best = Some(Best { step, value });
            self.counters.since_best = 0;
        } else {
            self.counters.since_best += 1;
        }
        self.folder.append_evaluation(&record)?;
        self.events.evaluation(&record)?;
        (self.progress)(Progress::Evaluated { record: &record, best });
        Ok(())
    }

    fn predict(&mut self, split: &Arc<Split>) -> Result<mmc_run::Predictions, TrainError> {
        let options = self.plan.predict_options();
        let (name, items) = (split.name.as_str(), split.len());
        let progress = &mut *self.progress;
        let tell = &mut |done| progress(Progress::Predicted { split: name, done, items });
        let model = self.loaded.model.as_ref();
        if let Some((_, Some(selection))) = &self.represented {
            return selection.predict(model, &options, tell);
        }
        let ranks = &self.plan.ranks;
        Ok(predict_among(ranks, model, self.processor, split, &options, tell)?.predictions)
    }

    /// Writes the model as it is now to `checkpoint/`, which rank 0 has.
    fn keep(&self) -> Result<(), TrainError> {
        if !self.plan.ranks.is_first() {
            return Ok(());
        }
        keep::keep(self.plan, self.folder, self.loaded.model.as_ref(), self.source)
    }

    /// Writes the model of the last step to `checkpoint/`, where that is the one to keep.
    pub(super) fn keep_last(&mut self) -> Result<(), TrainError> {
        if self.plan.settings.keep == Keep::Last { self.keep() } else { Ok(()) }
    }
}
