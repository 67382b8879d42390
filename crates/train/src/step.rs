//! One optimiser step: forward, loss, backward, clip, update.

use candle_core::Tensor;
use mmc_models::{Classifier, Parameter, Pass};
use mmc_ops::{Gradients, Objective, Targets};
use mmc_preprocess::Batch;

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
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StepOutcome {
    /// Σ wᵢ·lᵢ / items; `None` without items.
    pub(crate) loss: Option<f64>,
    /// L2 norm of the loss's gradient, before clipping; `None` without items.
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
        let gradients = self.sums(step, &ids)?;
        let norm = self.norm(step, &gradients, &ids)? / items as f64;
        let scale = clip_factor(norm, self.clip_norm) / items as f64;
        self.optimizer.step(&self.parameters, &gradients, learning_rate, scale)?;
        let loss = f64::from(loss) / items as f64;
        let (loss, grad_norm) = (Some(loss), Some(norm));
        Ok(StepOutcome { loss, grad_norm, learning_rate, items, cut_texts })
    }

    /// Adds a shard's gradient to the sums and returns its summed loss.
    fn add_shard(
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

    /// The norm over all gradients: squares in f64, parameter by parameter.
    fn norm(&self, step: u64, gradients: &[Tensor], ids: &[String]) -> Result<f64, TrainError> {
        let mut squares = 0.0;
        for (parameter, square) in self.parameters.iter().zip(sums_of_squares(gradients)?) {
            if !square.is_finite() {
                let (parameter, ids) = (parameter.name.clone(), ids.to_vec());
                return Err(TrainError::Gradient { step, parameter, ids, saved: None });
            }
            squares += square;
        }
        Ok(squares.sqrt())
    }
}

/// What gradients of this norm are multiplied by so that the norm is at most about `longest`:
/// `torch.nn.utils.clip_grad_norm_`.
pub(crate) fn clip_factor(norm: f64, longest: f64) -> f64 {
    (longest / (norm + 1e-6)).min(1.0)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use mmc_data::Arm;
    use mmc_models::{Logits, ModelError};
    use mmc_preprocess::{ImageInput, Targets as BatchTargets};

    use super::*;
    use crate::optimizer::AdamWSettings;

    /// Logits are `pixels × weight`; `unused` is on no path.
    struct Linear {
        parameters: Vec<Parameter>,
    }

    impl Classifier for Linear {
        fn encode(&self, batch: &Batch, _pass: &Pass) -> Result<Tensor, ModelError> {
            let pixels = &batch.image.as_ref().unwrap().pixel_values;
            Ok(pixels.reshape((batch.rows(), 3))?)
        }
        fn classify(&self, pixels: &Tensor, _pass: &Pass) -> Result<Logits, ModelError> {
            Ok(Logits(pixels.matmul(self.parameters[0].var.as_tensor())?)) // [batch, 2]
        }
        fn parameters(&self) -> &[Parameter] {
            &self.parameters
        }
        fn arm(&self) -> Arm {
            Arm::Image
        }
        fn head(&self) -> &'static str {
            "linear"
        }
        fn classes(&self) -> usize {
            2
        }
        fn device(&self) -> &Device {
            &Device::Cpu
        }
        fn flops(&self, _text: f64, _image: f64) -> f64 {
            12.0
        }
        fn image_tokens(&self, _height: usize, _width: usize) -> usize {
            1
        }
    }

    fn linear(unused_is_active: bool) -> Linear {
        let parameter = |name: &str, active| {
            let weight = [[0.1_f32, -0.2], [0.3, 0.4], [-0.5, 0.6]];
            let var = Var::new(&weight, &Device::Cpu).unwrap();
            Parameter { active, ..Parameter::new(name, var) }
        };
        Linear {
            parameters: vec![parameter("weight", true), parameter("unused", unused_is_active)],
        }
    }

    fn stepper(model: &Linear, clip_norm: f64) -> Stepper<'_> {
        let parameters: Vec<&Parameter> =
            model.parameters.iter().filter(|parameter| parameter.active).collect();
        let optimizer = AdamW::new(&parameters, AdamWSettings::with_weight_decay(0.0)).unwrap();
        let objective = Objective::CrossEntropy { class_weights: None, label_smoothing: 0.0 };
        let schedule = Schedule::new(0.1, 0.0, 10, mmc_run::Schedule::Constant);
        let gradients = Gradients::of(parameters.iter().map(|one| one.var.as_tensor()));
        Stepper { model, parameters, objective, schedule, clip_norm, seed: 0, optimizer, gradients }
    }

    /// Rows `(pixels, class)` as a shard.
    fn shard(rows: &[([f32; 3], u32)]) -> Result<Shard, TrainError> {
        let values: Vec<f32> = rows.iter().flat_map(|row| row.0).collect();
        let pixel_values = Tensor::from_vec(values, (rows.len(), 3, 1, 1), &Device::Cpu)?;
        let batch = Batch {
            ids: (0..rows.len()).map(|row| format!("id{row}")).collect(),
            groups: vec![None; rows.len()],
            text: None,
            image: Some(ImageInput { pixel_values, sizes: vec![(1, 1); rows.len()] }),
            targets: Some(BatchTargets::Classes(rows.iter().map(|row| row.1).collect())),
        };
        Ok(Shard { first_row: 0, batch, pooled: None, cut_texts: 1 })
    }

    const ROWS: [([f32; 3], u32); 3] =
        [([1.0, 0.0, 2.0], 0), ([0.0, 1.0, -1.0], 1), ([0.5, 0.5, 0.5], 1)];

    /// ln Σ exp − the right logit, and probabilities minus one-hot times the pixels, by hand.
    fn expected() -> (f64, f64) {
        let weight = [[0.1, -0.2], [0.3, 0.4], [-0.5, 0.6]];
        let (mut loss, mut gradient) = (0.0, [[0.0; 2]; 3]);
        for (pixels, class) in ROWS {
            let mut logits = [0.0_f64; 2];
            for (pixel, weights) in pixels.iter().zip(weight) {
                for (logit, weight) in logits.iter_mut().zip(weights) {
                    *logit += f64::from(*pixel) * weight;
                }
            }
            let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
            loss += sum.ln() - logits[class as usize];
            for (row, pixel) in gradient.iter_mut().zip(pixels) {
                for (at, value) in row.iter_mut().enumerate() {
                    let hot = if at == class as usize { 1.0 } else { 0.0 };
                    *value += f64::from(pixel) * (logits[at].exp() / sum - hot);
                }
            }
        }
        let squares: f64 = gradient.iter().flatten().map(|value| value * value).sum();
        (loss / 3.0, squares.sqrt() / 3.0)
    }

    #[test]
    fn a_step_is_the_sum_over_its_shards_over_all_its_items() {
        let (loss, norm) = expected();
        let mut weights = Vec::new();
        for cut in [vec![&ROWS[..]], vec![&ROWS[..2], &ROWS[2..]], vec![&ROWS[..1], &ROWS[1..]]] {
            let model = linear(false);
            let shards = cut.into_iter().map(shard);
            let outcome = stepper(&model, 1e9).step(1, shards).unwrap();
            let (found, found_norm) = (outcome.loss.unwrap(), outcome.grad_norm.unwrap());
            assert!((found - loss).abs() < 1e-6, "{found} {loss}");
            assert!((found_norm - norm).abs() < 1e-6, "{found_norm} {norm}");
            assert_eq!(outcome.items, 3);
            weights.push(model.parameters[0].var.to_vec2::<f32>().unwrap());
        }
        for (one, other) in weights[0].concat().iter().zip(weights[1].concat()) {
            assert!((one - other).abs() < 1e-6);
        }
    }

    #[test]
    fn gradients_are_clipped_as_pytorch_does() {
        assert!((clip_factor(4.0, 1.0) - 1.0 / 4.000_001).abs() < 1e-12);
        assert!((clip_factor(0.5, 1.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_parameter_without_gradient_is_named() {
        let model = linear(true);
        let error = stepper(&model, 1.0).step(7, [shard(&ROWS)].into_iter()).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("step 7") && message.contains("`unused`"), "{message}");
        assert!(message.contains("`id0`"), "{message}");
    }

    #[test]
    fn a_loss_that_is_no_number_is_named_with_its_items() {
        let model = linear(false);
        let rows = [([f32::NAN, 0.0, 0.0], 0)];
        let error = stepper(&model, 1.0).step(2, [shard(&rows)].into_iter()).unwrap_err();
        assert!(error.to_string().starts_with("step 2: the loss is `NaN`"), "{error}");
        let unchanged = linear(false).parameters[0].var.to_vec2::<f32>().unwrap();
        assert_eq!(model.parameters[0].var.to_vec2::<f32>().unwrap(), unchanged);
    }

    #[test]
    fn a_gradient_that_is_no_number_is_named() {
        let model = linear(false);
        // Logits stay finite (the weights cancel), the gradient of 3e38 × 3 rows does not.
        model.parameters[0].var.set(&model.parameters[0].var.zeros_like().unwrap()).unwrap();
        let rows = [([3e38, 0.0, 0.0], 0); 3];
        let error = stepper(&model, 1.0).step(2, [shard(&rows)].into_iter()).unwrap_err();
        assert!(error.to_string().contains("the gradient of `weight`"), "{error}");
    }

    #[test]
    fn a_step_without_items_changes_nothing() {
        let (model, other) = (linear(false), linear(false));
        let mut with_gap = stepper(&model, 1.0);
        let before = model.parameters[0].var.to_vec2::<f32>().unwrap();
        let outcome = with_gap.step(1, std::iter::empty()).unwrap();
        assert_eq!((outcome.loss, outcome.grad_norm, outcome.items), (None, None, 0));
        assert_eq!(model.parameters[0].var.to_vec2::<f32>().unwrap(), before);
        with_gap.step(2, [shard(&ROWS)].into_iter()).unwrap();
        // The optimiser's own count of steps does not know the empty one.
        stepper(&other, 1.0).step(2, [shard(&ROWS)].into_iter()).unwrap();
        let [found, expected] =
            [&model, &other].map(|at| at.parameters[0].var.to_vec2::<f32>().unwrap());
        assert_eq!(found, expected);
    }

    #[test]
    fn items_without_labels_are_an_error() {
        let model = linear(false);
        let mut unlabelled = shard(&ROWS).unwrap();
        unlabelled.batch.targets = None;
        let error = stepper(&model, 1.0).step(2, [Ok(unlabelled)].into_iter()).unwrap_err();
        assert!(matches!(error, TrainError::NoTarget { step: 2, .. }));
    }
}
