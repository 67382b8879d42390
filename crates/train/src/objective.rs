//! What a run minimises, and in what arithmetic.

use mmc_data::Target;
use mmc_ops::Objective;
use mmc_run::{ClassWeights, Precision};

use crate::{Plan, TrainError};

impl Plan {
    /// The loss.
    ///
    /// # Errors
    /// Balanced class weights where a class has no training item or items have several answers.
    pub fn objective(&self) -> Result<Objective, TrainError> {
        let settings = &self.settings;
        let soft = self.train.iter().any(|item| matches!(item.target, Some(Target::Answers(_))));
        let balanced = settings.class_weights == ClassWeights::Balanced;
        if soft {
            if balanced || settings.label_smoothing > 0.0 {
                let problem = "class weights and label smoothing are for items of one class each; \
                               these have scored answers: leave both settings out";
                return Err(TrainError::setting("class_weights", problem));
            }
            return Ok(Objective::SoftBinary);
        }
        let class_weights = if balanced { Some(self.balanced_weights()?) } else { None };
        let label_smoothing = settings.label_smoothing as f32;
        Ok(Objective::CrossEntropy { class_weights, label_smoothing })
    }

    /// items / (classes × items of the class): mean 1 over the items.
    fn balanced_weights(&self) -> Result<Vec<f32>, TrainError> {
        let counts = self.train.class_counts();
        if let Some(class) = counts.iter().position(|&count| count == 0) {
            return Err(TrainError::setting(
                "class_weights",
                format!(
                    "{}: no item is of class `{}`, so it has no balanced weight; use \
                     `--class-weights none` or `--labels` without it",
                    self.train.path.display(),
                    self.train.labels[class]
                ),
            ));
        }
        let (items, classes) = (self.train.len() as f64, counts.len() as f64);
        Ok(counts.iter().map(|&count| (items / (classes * count as f64)) as f32).collect())
    }

    /// The type of matrix products in training.
    pub(crate) fn precision(&self) -> mmc_ops::Precision {
        of_products(self.settings.precision)
    }
}

/// The type of matrix products.
pub(crate) fn of_products(precision: Option<Precision>) -> mmc_ops::Precision {
    match precision {
        None | Some(Precision::F32) => mmc_ops::Precision::F32,
        Some(Precision::Bf16) => mmc_ops::Precision::Bf16,
        Some(Precision::F16) => mmc_ops::Precision::F16,
    }
}
