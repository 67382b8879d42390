//! One optimiser step: forward, loss, backward, clip, update.

use candle_core::Tensor;
use mmc_models::{Classifier, Parameter, Pass};
use mmc_ops::{Gradients, Objective, Precision, Targets, with_products_in};
use mmc_preprocess::Batch;

use crate::loss_scale::{LossScaler, Overflow};
use crate::optimizer::{AdamW, sums_of_squares};
use crate::{Schedule, TrainError};

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
    /// What the loss is multiplied by, where it is scaled.
    pub(crate) scaler: Option<LossScaler>,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StepOutcome {
    /// Σ wᵢ·lᵢ / items; `None` without items.
    pub(crate) loss: Option<f64>,
    /// L2 norm of the loss's gradient, before clipping; `None` without items, and where it was not
    /// finite and the step was skipped.
    pub(crate) grad_norm: Option<f64>,
    pub(crate) learning_rate: f64,
    pub(crate) items: usize,
    /// Texts that were longer than the limit.
    pub(crate) cut_texts: usize,
}

/// One shard of a step.
pub(crate) struct Shard {
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
        let mut loss = 0_f32;
        let mut ids = Vec::new();
        let mut cut_texts = 0;
        for shard in shards {
            let mut shard = shard?;
            cut_texts += shard.cut_texts;
            loss += self.add_shard(step, &shard)?;
            ids.append(&mut shard.batch.ids);
        }
        let items = ids.len();
        let learning_rate = self.schedule.rate(step);
        if items == 0 {
            return Ok(StepOutcome {
                loss: None,
                grad_norm: None,
                learning_rate,
                items,
                cut_texts,
            });
        }
        let loss = Some(f64::from(loss) / items as f64);
        let grad_norm = self.among_threads(|me| me.update(step, &ids, learning_rate))?;
        Ok(StepOutcome { loss, grad_norm, learning_rate, items, cut_texts })
    }

    /// Clips the sums over the items `ids` and moves the parameters; the norm, or `None` where it
    /// was not finite and they stay.
    fn update(
        &mut self,
        step: u64,
        ids: &[String],
        learning_rate: f64,
    ) -> Result<Option<f64>, TrainError> {
        let gradients = self.sums(step, ids)?;
        // Of the gradients: they are summed over items, and their loss may have been scaled.
        let whole = ids.len() as f64 * self.scaler.map_or(1.0, |scaler| scaler.scale);
        let Some(norm) = self.norm(step, &gradients, ids)? else { return Ok(None) };
        let norm = norm / whole;
        let scale = clip_factor(norm, self.clip_norm) / whole;
        self.optimizer.step(&self.parameters, &gradients, learning_rate, scale)?;
        if let Some(scaler) = &mut self.scaler {
            scaler.taken();
        }
        Ok(Some(norm))
    }

    /// Adds a shard's gradient to the sums and returns its summed loss.
    fn add_shard(&mut self, step: u64, shard: &Shard) -> Result<f32, TrainError> {
        let precision = self.precision;
        self.among_threads(|me| with_products_in(precision, || me.add_shard_as_set(step, shard)))
    }

    /// Does `work`, on the CPU on one of rayon's threads: each operation that they share then wakes
    /// the others alone, and not also the thread that waits for them. A step has thousands.
    fn among_threads<R: Send>(&mut self, work: impl FnOnce(&mut Self) -> R + Send) -> R {
        if self.model.device().is_cpu() { rayon::scope(|_| work(self)) } else { work(self) }
    }

    /// The same with products of the type that is set.
    fn add_shard_as_set(
        &mut self,
        step: u64,
        Shard { first_row, batch, pooled, .. }: &Shard,
    ) -> Result<f32, TrainError> {
        let ids = || batch.ids.clone();
        let targets = match &batch.targets {
            Some(mmc_preprocess::Targets::Classes(classes)) => Targets::Classes(classes),
            Some(mmc_preprocess::Targets::Soft(scores)) => Targets::Soft(scores),
            None => return Err(TrainError::NoTarget { step, ids: ids() }),
        };
        let pass = Pass::train(self.seed, step, *first_row);
        let logits = match pooled {
            Some(pooled) => self.model.classify(pooled, &pass)?,
            None => self.model.forward(batch, &pass)?,
        };
        let loss_sum = self.objective.loss_sum(&logits.0, &targets)?;
        drop(logits);
        let loss = loss_sum.to_scalar::<f32>()?;
        if !loss.is_finite() {
            let (loss, ids) = (f64::from(loss), ids());
            return Err(TrainError::Loss { step, loss, ids, saved: None });
        }
        let loss_sum = match self.scaler {
            Some(LossScaler { scale, .. }) => (loss_sum * scale)?,
            None => loss_sum,
        };
        self.gradients.add(&loss_sum)?;
        if let Some(index) = self.gradients.unreached() {
            let parameter = self.parameters[index].name.clone();
            return Err(TrainError::NoGradient { step, parameter, ids: ids() });
        }
        Ok(loss)
    }

    /// The summed gradient of each parameter.
    fn sums(&self, step: u64, ids: &[String]) -> Result<Vec<Tensor>, TrainError> {
        let of = |(index, parameter): (usize, &&Parameter)| {
            self.gradients.sum(index).cloned().ok_or_else(|| TrainError::NoGradient {
                step,
                parameter: parameter.name.clone(),
                ids: ids.to_vec(),
            })
        };
        self.parameters.iter().enumerate().map(of).collect()
    }

    /// The norm over all gradients: squares in f64, parameter by parameter. `None` where it is not
    /// finite with a loss scale that can fall, and does.
    fn norm(
        &mut self,
        step: u64,
        gradients: &[Tensor],
        ids: &[String],
    ) -> Result<Option<f64>, TrainError> {
        let mut squares = 0.0;
        for (parameter, square) in self.parameters.iter().zip(sums_of_squares(gradients)?) {
            if !square.is_finite() {
                let (parameter, ids, saved) = (parameter.name.clone(), ids.to_vec(), None);
                let Some(scaler) = &mut self.scaler else {
                    return Err(TrainError::Gradient { step, parameter, ids, saved });
                };
                let scale = scaler.scale;
                return match scaler.overflowed() {
                    Overflow::Skipped => Ok(None),
                    Overflow::Fatal => {
                        Err(TrainError::LossScale { step, parameter, scale, ids, saved })
                    }
                };
            }
            squares += square;
        }
        Ok(Some(squares.sqrt()))
    }
}

/// What gradients of this norm are multiplied by so that the norm is at most about `longest`:
/// `torch.nn.utils.clip_grad_norm_`.
pub(crate) fn clip_factor(norm: f64, longest: f64) -> f64 {
    (longest / (norm + 1e-6)).min(1.0)
}

#[cfg(test)]
mod tests;
