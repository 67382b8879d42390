//! What is said of steps, and what they did not see.

use mmc_models::Parameter;

use super::Run;
use crate::error::listed;
use crate::step::StepOutcome;
use crate::{Progress, TrainError, cut_texts_warning};

impl Run<'_> {
    /// Says what begins: from here on a run spends its time on steps.
    pub(super) fn announce(&mut self, step: u64) {
        let (steps, settings) = (self.steps.steps(), &self.plan.settings);
        let items = settings.batch_size * settings.grad_accumulation;
        let numbers = |parameter: &&Parameter| parameter.var.elem_count() as f64;
        let millions = self.stepper.parameters.iter().map(numbers).sum::<f64>() / 1e6;
        let note = format!(
            "step {step} of {steps} begins: {items} items a step, {millions:.3} M parameters train"
        );
        (self.progress)(Progress::Note(&note));
    }

    /// Counts what a step did not see; what the first epoch did not see is said at its end.
    pub(super) fn count(
        &mut self,
        outcome: &StepOutcome,
        shards: &[Vec<usize>],
    ) -> Result<(), TrainError> {
        let step = self.counters.step;
        if self.steps.epoch(step) == 1 {
            let planned: usize = shards.iter().map(Vec::len).sum();
            self.counters.cut_texts += outcome.cut_texts;
            self.counters.skipped_items += planned - outcome.items;
        }
        let train = &self.plan.train;
        if outcome.items == 0 {
            self.counters.empty_steps += 1;
            let ids: Vec<String> =
                shards.iter().flatten().map(|&row| train.samples[row].id.clone()).collect();
            let warning = format!(
                "step {step}: no item could be used, so it changed nothing: {}",
                listed(&ids)
            );
            (self.progress)(Progress::Warning(&warning));
        }
        if step == self.steps.steps_per_epoch().min(self.steps.steps()) {
            if self.counters.empty_steps == step {
                let ids = train.iter().map(|item| item.id.clone()).collect();
                return Err(TrainError::NoItems { ids });
            }
            let (cut, max_length) = (self.counters.cut_texts, self.plan.settings.max_length);
            let warning = cut_texts_warning(train.name.as_str(), cut, train.len(), max_length);
            if let Some(warning) = &warning {
                (self.progress)(Progress::Warning(warning));
            }
        }
        Ok(())
    }
}
