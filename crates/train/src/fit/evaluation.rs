//! What happens at the end of an epoch: the selection split is evaluated, the best model kept.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mmc_data::Split;
use mmc_run::{EvalRecord, Keep, Predictions};
use tracing::debug_span;

use super::{Run, Sitting};
use crate::ranks::predict_among;
use crate::resume::Best;
use crate::watched::Watched;
use crate::{Progress, TrainError, keep, score};

impl Run<'_> {
    /// Evaluates the selection split, if it has labels, and keeps the model if it is the best. An
    /// interrupt, at any rank, stops it: then nothing of it is recorded, and it stays due.
    pub(super) fn evaluate(&mut self, interrupt: &AtomicBool) -> Result<(), TrainError> {
        let Some(split) = self.plan.selection.clone().filter(|split| split.is_labelled()) else {
            return Ok(());
        };
        let step = self.counters.step;
        let _span = debug_span!("evaluate", split = split.name.as_str(), step).entered();
        let predictions = self.predict(&split, interrupt)?;
        self.counters.evaluation_due = predictions.is_none();
        let Some(predictions) = predictions else { return Ok(()) };
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

    /// Makes the evaluation that an earlier sitting stopped, before any step is taken, and saves the state
    /// that then knows of it.
    pub(super) fn make_up(&mut self, interrupt: &AtomicBool) -> Result<Sitting, TrainError> {
        if !self.counters.evaluation_due {
            return Ok(Sitting::GoesOn);
        }
        let step = self.counters.step;
        let note = format!("the evaluation after step {step}, which was stopped, is made now");
        (self.progress)(Progress::Note(&note));
        self.evaluate(interrupt)?;
        self.save(true, interrupt)
    }

    /// `None` where any rank was interrupted.
    fn predict(
        &mut self,
        split: &Arc<Split>,
        interrupt: &AtomicBool,
    ) -> Result<Option<Predictions>, TrainError> {
        let options = self.plan.predict_options();
        let (ranks, progress) = (&self.plan.ranks, &mut *self.progress);
        let watched = &mut Watched { ranks, interrupt, progress };
        let model = self.loaded.model.as_ref();
        if let Some(selection) = &self.represented_selection {
            return selection.predict(model, &options, watched);
        }
        let found = predict_among(model, self.processor, split, &options, watched)?;
        Ok(found.map(|found| found.predictions))
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
