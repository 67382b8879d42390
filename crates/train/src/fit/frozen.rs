//! What happens before the first step where the backbone is frozen: it sees each item once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mmc_models::Trained;

use super::{Run, Sitting};
use crate::TrainError;
use crate::represented::Represented;
use crate::watched::Watched;

impl Run<'_> {
    /// Computes once what a frozen backbone makes of the items that are still needed: those of the training
    /// split if there is a step left to take, those of the selection split if it is to be evaluated.
    pub(super) fn represent(&mut self, interrupt: &AtomicBool) -> Result<Sitting, TrainError> {
        let (trains, evaluates) = (self.goes_on(), self.counters.evaluation_due);
        if self.plan.trained() != Trained::Head {
            return Ok(Sitting::GoesOn);
        }
        let (model, options) = (self.loaded.model.as_ref(), self.plan.predict_options());
        let (ranks, progress) = (&self.plan.ranks, &mut *self.progress);
        let watched = &mut Watched { ranks, interrupt, progress };
        if trains {
            let train = &self.plan.train;
            match Represented::compute(model, self.processor, train, &options, watched)? {
                None => return Ok(Sitting::Interrupted),
                train => self.represented_train = train.map(Arc::new),
            }
        }
        let labelled = self.plan.selection.as_ref().filter(|split| split.is_labelled());
        if let Some(split) = labelled.filter(|_| trains || evaluates) {
            match Represented::compute(model, self.processor, split, &options, watched)? {
                None => return Ok(Sitting::Interrupted),
                selection => self.represented_selection = selection,
            }
        }
        Ok(Sitting::GoesOn)
    }
}
