//! One optimiser step: forward, loss, backward, clip, update.

mod update;

use candle_core::Tensor;
use mmc_models::{Classifier, Parameter, Pass};
use mmc_ops::{Gradients, Objective, Precision, Targets, with_products_in};
use mmc_preprocess::Batch;

use crate::adders::Adders;
use crate::loss_scale::LossScaler;
use crate::optimizer::AdamW;
use crate::{Schedule, TrainError};
use update::Update;

/// All that a step needs beside its data.
pub(crate) struct Stepper<'a> {
    pub(crate) model: &'a dyn Classifier,
    /// The active parameters, in the model's order.
    pub(crate) parameters: Vec<&'a Parameter>,
    pub(crate) objective: Objective,
    pub(crate) schedule: Schedule,
    pub(crate) clip_norm: f64,
    pub(crate) seed: u64,
    pub(crate) optimizer: AdamW,
    /// Of `parameters`; the buffers serve every step.
    pub(crate) gradients: Gradients,
    /// The type of matrix products, forward and backward.
    pub(crate) precision: Precision,
    /// Layers of each encoder that are computed again in the backward pass.
    pub(crate) recomputed_layers: usize,
    /// What the loss is multiplied by, where it is scaled.
    pub(crate) scaler: Option<LossScaler>,
    /// Who shares the shards.
    pub(crate) adders: Adders,
}

/// What a step did.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StepOutcome {
    /// Σ wᵢ·lᵢ / items; `None` without items.
    pub(crate) loss: Option<f64>,
    /// L2 norm of the loss's gradient, before clipping; `None` without items, and where it was not
    /// finite and the step was skipped.
    pub(crate) grad_norm: Option<f64>,
    /// The same of each level below the head, the head's first; empty where there is none.
    pub(crate) grad_norms: Vec<f64>,
    pub(crate) learning_rate: f64,
    pub(crate) items: usize,
    /// Texts that were longer than the limit.
    pub(crate) cut_texts: usize,
}

/// One shard of a step.
pub(crate) struct Shard {
    /// Which of its step it is, from 0.
    pub(crate) number: usize,
    /// Where it begins in its step, counted in planned rows: what keys its dropout masks.
    pub(crate) first_row: usize,
    pub(crate) batch: Batch,
    /// What the backbone makes of the batch, `[batch, width]`, where that was computed before.
    pub(crate) pooled: Option<Tensor>,
    /// Texts of the batch that were longer than the limit.
    pub(crate) cut_texts: usize,
}

impl Stepper<'_> {
    /// Takes `step` (from 1): a sum over shards, added in their order in f32, of which one at a
    /// time is in memory. The mean over the step's items is taken when all are known, so that an
    /// item that had to be skipped is not counted. A step of which every item had to be skipped
    /// changes nothing and is not among the optimiser's.
    pub(crate) fn step(
        &mut self,
        step: u64,
        shards: impl Iterator<Item = Result<Shard, TrainError>>,
    ) -> Result<StepOutcome, TrainError> {
        self.gradients.reset();
        let Summed { loss, ids, cut_texts } = self.add_shards(step, shards)?;
        let items = ids.len();
        let learning_rate = self.schedule.rate(step);
        if items == 0 {
            let loss = None;
            return Ok(StepOutcome::without_norm(loss, learning_rate, (items, cut_texts)));
        }
        let loss = Some(f64::from(loss) / items as f64);
        let update = Update {
            parameters: &self.parameters,
            gradients: &self.gradients,
            optimizer: &mut self.optimizer,
            scaler: &mut self.scaler,
            clip_norm: self.clip_norm,
        };
        let updated = among_threads(self.model, || update.take(step, &ids, learning_rate))?;
        Ok(match updated {
            None => StepOutcome::without_norm(loss, learning_rate, (items, cut_texts)),
            Some((norm, grad_norms)) => {
                let grad_norm = Some(norm);
                StepOutcome { loss, grad_norm, grad_norms, learning_rate, items, cut_texts }
            }
        })
    }

    /// Adds the gradients of all shards to the sums.
    fn add_shards(
        &mut self,
        step: u64,
        shards: impl Iterator<Item = Result<Shard, TrainError>>,
    ) -> Result<Summed, TrainError> {
        let work = ShardWork {
            model: self.model,
            parameters: &self.parameters,
            objective: &self.objective,
            precision: self.precision,
            recomputed_layers: self.recomputed_layers,
            scale: self.scaler.map(|scaler| scaler.scale),
            seed: self.seed,
            step,
            span: tracing::Span::current(),
        };
        self.adders.add(&mut self.gradients, &work, shards)
    }

    /// The rate at each level below the head, where not all have the head's.
    pub(crate) fn learning_rates(&self, head: f64) -> Vec<f64> {
        if !self.optimizer.layers_differ() {
            return Vec::new();
        }
        (0..levels(&self.parameters)).map(|level| self.optimizer.rate_at(head, level)).collect()
    }
}

/// Does `work`, on the CPU on one of rayon's threads: each operation that they share then wakes the
/// others alone, and not also the thread that waits for them. A step has thousands.
fn among_threads<R: Send>(model: &dyn Classifier, work: impl FnOnce() -> R + Send) -> R {
    if model.device().is_cpu() { rayon::scope(|_| work()) } else { work() }
}

/// How many levels parameters lie on, the head's too.
fn levels(parameters: &[&Parameter]) -> usize {
    parameters.iter().map(|parameter| parameter.below_head + 1).max().unwrap_or(0)
}

impl StepOutcome {
    /// Of a step that changed nothing.
    fn without_norm(
        loss: Option<f64>,
        learning_rate: f64,
        (items, cut_texts): (usize, usize),
    ) -> Self {
        let (grad_norm, grad_norms) = (None, Vec::new());
        Self { loss, grad_norm, grad_norms, learning_rate, items, cut_texts }
    }
}

/// What is summed over shards beside the gradients.
#[derive(Debug, Default)]
pub(crate) struct Summed {
    pub(crate) loss: f32,
    pub(crate) ids: Vec<String>,
    pub(crate) cut_texts: usize,
}

impl Summed {
    /// Adds the next shard's.
    pub(crate) fn append(&mut self, mut next: Self) {
        self.loss += next.loss;
        self.ids.append(&mut next.ids);
        self.cut_texts += next.cut_texts;
    }
}

/// What is done with each shard of a step, the same on every device.
pub(crate) struct ShardWork<'a> {
    model: &'a dyn Classifier,
    parameters: &'a [&'a Parameter],
    objective: &'a Objective,
    precision: Precision,
    recomputed_layers: usize,
    /// What the loss is multiplied by.
    scale: Option<f64>,
    seed: u64,
    step: u64,
    /// The step's, which is not the current one on the threads of devices.
    span: tracing::Span,
}

impl ShardWork<'_> {
    /// Computes a shard on this process's one device and adds its gradients to `gradients`.
    pub(crate) fn add_to(
        &self,
        gradients: &mut Gradients,
        shard: Shard,
    ) -> Result<Summed, TrainError> {
        let add = |loss: &Tensor| {
            gradients.add(loss)?;
            Ok(gradients.unreached())
        };
        among_threads(self.model, || self.add(shard, add))
    }

    /// Computes the loss of a shard and lets `add` add its gradients, which says what parameter they
    /// did not reach.
    pub(crate) fn add(
        &self,
        shard: Shard,
        add: impl FnOnce(&Tensor) -> Result<Option<usize>, mmc_ops::OpsError>,
    ) -> Result<Summed, TrainError> {
        with_products_in(self.precision, || self.add_as_set(shard, add))
    }

    /// The same with products of the type that is set.
    fn add_as_set(
        &self,
        Shard { first_row, batch, pooled, cut_texts, .. }: Shard,
        add: impl FnOnce(&Tensor) -> Result<Option<usize>, mmc_ops::OpsError>,
    ) -> Result<Summed, TrainError> {
        let step = self.step;
        let rows = batch.ids.len();
        let _span =
            tracing::trace_span!(parent: &self.span, "shard", step, first_row, rows).entered();
        let targets = match &batch.targets {
            Some(mmc_preprocess::Targets::Classes(classes)) => Targets::Classes(classes),
            Some(mmc_preprocess::Targets::Soft(scores)) => Targets::Soft(scores),
            None => return Err(TrainError::NoTarget { step, ids: batch.ids }),
        };
        let pass = Pass::train(self.seed, step, first_row).recomputing(self.recomputed_layers);
        let logits = match &pooled {
            Some(pooled) => self.model.classify(pooled, &pass)?,
            None => self.model.forward(&batch, &pass)?,
        };
        let loss_sum = self.objective.loss_sum(&logits.0, &targets)?;
        drop(logits);
        let loss = loss_sum.to_scalar::<f32>()?;
        if !loss.is_finite() {
            let (loss, ids) = (f64::from(loss), batch.ids);
            return Err(TrainError::Loss { step, loss, ids, saved: None });
        }
        let loss_sum = match self.scale {
            Some(scale) => (loss_sum * scale)?,
            None => loss_sum,
        };
        if let Some(index) = add(&loss_sum)? {
            let parameter = self.parameters[index].name.clone();
            return Err(TrainError::NoGradient { step, parameter, ids: batch.ids });
        }
        Ok(Summed { loss, ids: batch.ids, cut_texts })
    }
}

#[cfg(test)]
mod tests;
