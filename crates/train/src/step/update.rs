//! What a step does with its sums of gradients: clip, scale, move the parameters.

use candle_core::Tensor;
use mmc_models::Parameter;
use mmc_ops::Gradients;

use super::levels;
use crate::TrainError;
use crate::loss_scale::{LossScaler, Overflow};
use crate::optimizer::{AdamW, sums_of_squares};

/// The parts of a stepper that move parameters.
pub(super) struct Update<'a> {
    pub(super) parameters: &'a [&'a Parameter],
    pub(super) gradients: &'a Gradients,
    pub(super) optimizer: &'a mut AdamW,
    pub(super) scaler: &'a mut Option<LossScaler>,
    pub(super) clip_norm: f64,
}

impl Update<'_> {
    /// Clips the sums over the items `ids` and moves the parameters; the norm, and that of each
    /// level, or `None` where it was not finite and they stay.
    pub(super) fn take(
        mut self,
        step: u64,
        ids: &[String],
        learning_rate: f64,
    ) -> Result<Option<(f64, Vec<f64>)>, TrainError> {
        let gradients = self.sums(step, ids)?;
        // Of the gradients: they are summed over items, and their loss may have been scaled.
        let whole = ids.len() as f64 * self.scaler.map_or(1.0, |scaler| scaler.scale);
        let Some(squares) = self.squares(step, &gradients, ids)? else { return Ok(None) };
        let norm = squares.iter().sum::<f64>().sqrt() / whole;
        let grad_norms = self.of_levels(&squares, whole);
        let scale = clip_factor(norm, self.clip_norm) / whole;
        self.optimizer.step(self.parameters, &gradients, learning_rate, scale)?;
        if let Some(scaler) = self.scaler.as_mut() {
            scaler.taken();
        }
        Ok(Some((norm, grad_norms)))
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

    /// The square of the norm of each parameter's gradient, in f64. `None` where one is not finite
    /// with a loss scale that can fall, and does.
    fn squares(
        &mut self,
        step: u64,
        gradients: &[Tensor],
        ids: &[String],
    ) -> Result<Option<Vec<f64>>, TrainError> {
        let squares = sums_of_squares(gradients)?;
        for (parameter, square) in self.parameters.iter().zip(&squares) {
            if !square.is_finite() {
                let (parameter, ids, saved) = (parameter.name.clone(), ids.to_vec(), None);
                let Some(scaler) = self.scaler.as_mut() else {
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
        }
        Ok(Some(squares))
    }

    /// The norm at each level below the head, from those of parameters.
    fn of_levels(&self, squares: &[f64], whole: f64) -> Vec<f64> {
        let mut levels = vec![0.0; levels(self.parameters)];
        for (parameter, square) in self.parameters.iter().zip(squares) {
            levels[parameter.below_head] += square;
        }
        levels.into_iter().map(|square: f64| square.sqrt() / whole).collect()
    }
}

/// What gradients of this norm are multiplied by so that the norm is at most about `longest`:
/// `torch.nn.utils.clip_grad_norm_`.
pub(crate) fn clip_factor(norm: f64, longest: f64) -> f64 {
    (longest / (norm + 1e-6)).min(1.0)
}
