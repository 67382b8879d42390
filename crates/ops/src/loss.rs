//! Losses from logits, as weighted sums over rows.
//!
//! Cross-entropy with class weights `w` and label smoothing `ε` over `K` classes, as
//! `torch.nn.functional.cross_entropy(reduction="sum")` has it:
//!
//! ```text
//! lᵢ = −(1 − ε) w[yᵢ] log pᵢ[yᵢ] − ε/K Σ_c w[c] log pᵢ[c],      log p = x − logsumexp(x)
//! ```
//!
//! Soft-target binary cross-entropy, summed over classes:
//!
//! ```text
//! lᵢ = Σ_c max(x, 0) − x y + log(1 + exp(−|x|))
//! ```
//!
//! Both are computed in f64 whatever the logits' type and are finite for all finite logits.

use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Shape, Tensor, bail};

use crate::error::{OpsError, Result};
use crate::real::{Real, are_native, contiguous, elements, read, tensor_of, with_type};
use crate::recording::is_composing;

/// What training minimises.
#[derive(Clone, Debug, PartialEq)]
pub enum Objective {
    /// One right class a row.
    CrossEntropy {
        /// A weight for each class; `None`: all 1.
        class_weights: Option<Vec<f32>>,
        /// The part of the target that is spread over all classes, in `0..1`.
        label_smoothing: f32,
    },
    /// Any number of classes a row, each with a score in `0..=1`: binary cross-entropy, summed
    /// over the classes.
    SoftBinary,
}

/// The right answers of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Targets<'a> {
    /// The class of each row.
    Classes(&'a [u32]),
    /// The scores of each row as `(class, score)`; classes not named score 0.
    Soft(&'a [Vec<(u32, f32)>]),
}

impl Objective {
    /// The loss summed over the rows of `logits` `[batch, classes]`, a scalar of their type. That of
    /// logits on a CUDA device is computed and lies on the CPU.
    ///
    /// # Errors
    /// Targets of the other kind, not one a row, or of a class that has no logit; weights that are
    /// not one finite number ≥ 0 a class; smoothing outside `0..1`.
    pub fn loss_sum(&self, logits: &Tensor, targets: &Targets<'_>) -> Result<Tensor> {
        let (rows, classes) = logits.dims2()?;
        let goal = self.goal(rows, classes, targets)?;
        if !is_composing() && logits.device().is_cuda() {
            // A few numbers, of which one is wanted on the CPU in any case.
            return self.loss_sum(&logits.to_device(&Device::Cpu)?, targets);
        }
        if goal.supports(logits) {
            return Ok(contiguous(logits)?.apply_op1(goal)?);
        }
        goal.composed(logits)
    }

    /// The same from candle's own operations, on any device and for any type: the reference.
    ///
    /// # Errors
    /// As [`Objective::loss_sum`].
    pub fn loss_sum_composed(&self, logits: &Tensor, targets: &Targets<'_>) -> Result<Tensor> {
        let (rows, classes) = logits.dims2()?;
        self.goal(rows, classes, targets)?.composed(logits)
    }

    fn goal(&self, rows: usize, classes: usize, targets: &Targets<'_>) -> Result<Goal> {
        match (self, targets) {
            (Self::CrossEntropy { class_weights, label_smoothing }, Targets::Classes(labels)) => {
                let weights = checked_weights(class_weights.as_deref(), classes)?;
                let smoothing = f64::from(*label_smoothing);
                if !(0.0..1.0).contains(&smoothing) {
                    return Err(OpsError::Setting {
                        setting: "label_smoothing",
                        value: label_smoothing.to_string(),
                        expected: "0 or more and less than 1".to_owned(),
                    });
                }
                Ok(Goal {
                    kind: Kind::Softmax,
                    target: hard_targets(rows, classes, labels, &weights, smoothing)?,
                })
            }
            (Self::SoftBinary, Targets::Soft(scores)) => {
                Ok(Goal { kind: Kind::Sigmoid, target: soft_targets(rows, classes, scores)? })
            }
            (Self::CrossEntropy { .. }, Targets::Soft(_)) => Err(OpsError::TargetKind {
                found: "scores over classes",
                expected: "one class a row",
            }),
            (Self::SoftBinary, Targets::Classes(_)) => Err(OpsError::TargetKind {
                found: "one class a row",
                expected: "scores over classes",
            }),
        }
    }
}

fn checked_weights(given: Option<&[f32]>, classes: usize) -> Result<Vec<f64>> {
    let weights: Vec<f64> =
        given.map_or_else(|| vec![1.0; classes], |all| all.iter().map(|&w| f64::from(w)).collect());
    if weights.len() != classes || weights.iter().any(|weight| !weight.is_finite() || *weight < 0.0)
    {
        return Err(OpsError::Setting {
            setting: "class_weights",
            value: format!("{:?}", given.unwrap_or_default()),
            expected: format!("{classes} finite numbers, none below 0"),
        });
    }
    Ok(weights)
}

/// The coefficients of −log p: `(1 − ε) w[y]` on the right class, `ε/K w[c]` on each.
fn hard_targets(
    rows: usize,
    classes: usize,
    labels: &[u32],
    weights: &[f64],
    smoothing: f64,
) -> Result<Vec<f64>> {
    if labels.len() != rows {
        return Err(OpsError::Rows { rows, targets: labels.len() });
    }
    let spread: Vec<f64> = weights.iter().map(|w| smoothing / classes as f64 * w).collect();
    let mut target = Vec::with_capacity(rows * classes);
    for (row, &class) in labels.iter().enumerate() {
        let weight = weights.get(class as usize).ok_or(OpsError::Class { row, class, classes })?;
        target.extend_from_slice(&spread);
        target[row * classes + class as usize] += (1.0 - smoothing) * weight;
    }
    Ok(target)
}

fn soft_targets(rows: usize, classes: usize, scores: &[Vec<(u32, f32)>]) -> Result<Vec<f64>> {
    if scores.len() != rows {
        return Err(OpsError::Rows { rows, targets: scores.len() });
    }
    let mut target = vec![0.0; rows * classes];
    for (row, named) in scores.iter().enumerate() {
        for &(class, score) in named {
            if class as usize >= classes {
                return Err(OpsError::Class { row, class, classes });
            }
            target[row * classes + class as usize] = f64::from(score);
        }
    }
    Ok(target)
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// −Σ t log softmax(x)
    Softmax,
    /// Σ bce(x, t)
    Sigmoid,
}

/// A loss with its targets `[batch, classes]`.
#[derive(Debug)]
struct Goal {
    kind: Kind,
    target: Vec<f64>,
}

impl Goal {
    fn supports(&self, logits: &Tensor) -> bool {
        are_native(&[logits]) && logits.elem_count() == self.target.len()
    }

    /// The loss of one row.
    fn loss(&self, logits: &[f64], target: &[f64]) -> f64 {
        match self.kind {
            Kind::Softmax => {
                let normaliser = log_sum_exp(logits);
                logits.iter().zip(target).map(|(x, t)| t * (normaliser - x)).sum()
            }
            Kind::Sigmoid => {
                let one = |(x, y): (&f64, &f64)| x.max(0.0) - x * y + (-x.abs()).exp().ln_1p();
                logits.iter().zip(target).map(one).sum()
            }
        }
    }

    /// The derivative of [`Goal::loss`] by each logit of a row.
    fn slope(&self, logits: &[f64], target: &[f64]) -> Vec<f64> {
        match self.kind {
            Kind::Softmax => {
                let normaliser = log_sum_exp(logits);
                let mass: f64 = target.iter().sum();
                let one = |(x, t): (&f64, &f64)| mass * (x - normaliser).exp() - t;
                logits.iter().zip(target).map(one).collect()
            }
            Kind::Sigmoid => logits.iter().zip(target).map(|(&x, y)| sigmoid(x) - y).collect(),
        }
    }

    fn forward<T: Real>(&self, logits: &[T], classes: usize) -> T {
        let rows = logits.chunks_exact(classes).zip(self.target.chunks_exact(classes));
        let sum = rows.map(|(logits, target)| {
            let logits: Vec<f64> = logits.iter().map(|x| x.as_f64()).collect();
            self.loss(&logits, target)
        });
        T::of_f64(sum.sum())
    }

    fn backward<T: Real>(&self, logits: &[T], classes: usize, gradient: f64) -> Vec<T> {
        let rows = logits.chunks_exact(classes).zip(self.target.chunks_exact(classes));
        rows.flat_map(|(logits, target)| {
            let logits: Vec<f64> = logits.iter().map(|x| x.as_f64()).collect();
            self.slope(&logits, target)
        })
        .map(|slope| T::of_f64(slope * gradient))
        .collect()
    }

    fn composed(&self, logits: &Tensor) -> Result<Tensor> {
        let target = Tensor::from_slice(&self.target, logits.dims(), &candle_core::Device::Cpu)?
            .to_device(logits.device())?;
        let x = logits.to_dtype(DType::F64)?;
        let loss = match self.kind {
            Kind::Softmax => {
                let highest = x.detach().max_keepdim(1)?;
                let shifted = x.broadcast_sub(&highest)?;
                let normaliser = shifted.exp()?.sum_keepdim(1)?.log()?;
                (target * shifted.broadcast_sub(&normaliser)?.neg()?)?
            }
            Kind::Sigmoid => {
                // Each half is 0 where it does not apply, so that log1p is never of infinity.
                let magnitude = x.abs()?;
                let softplus = (magnitude.neg()?.exp()? + 1.0)?.log()?;
                (((&x + &magnitude)? * 0.5)? - (&x * target)? + softplus)?
            }
        };
        Ok(loss.sum_all()?.to_dtype(logits.dtype())?)
    }
}

fn log_sum_exp(logits: &[f64]) -> f64 {
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    highest + logits.iter().map(|x| (x - highest).exp()).sum::<f64>().ln()
}

fn sigmoid(x: f64) -> f64 {
    let small = (-x.abs()).exp();
    if x >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) }
}

impl CustomOp1 for Goal {
    fn name(&self) -> &'static str {
        "loss-sum"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (_, classes) = layout.shape().dims2()?;
        if classes == 0 {
            bail!("loss-sum: logits without classes");
        }
        let sum = with_type!(storage, T => T::storage(vec![
            self.forward::<T>(elements(storage, layout)?, classes)
        ]));
        Ok((sum, Shape::from(())))
    }

    fn bwd(
        &self,
        logits: &Tensor,
        _sum: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let gradient = gradient.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        let (_, classes) = logits.dims2()?;
        let storage = read([logits], |[(storage, layout)]| {
            Ok(with_type!(storage, T => T::storage(
                self.backward::<T>(elements(storage, layout)?, classes, gradient)
            )))
        })?;
        tensor_of(storage, logits.shape()).map(Some)
    }
}
