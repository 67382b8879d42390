//! AdamW, in place.

use candle_core::{CpuStorage, Storage, Tensor};
use mmc_models::Parameter;
use mmc_ops::in_place_f32 as in_place;
use rayon::prelude::*;

use crate::TrainError;

/// Elements that one task works through. Fixed, so that no sum can depend on the thread count;
/// what is no longer than this is worked through where it is asked for, since waking a thread
/// would take longer.
const CHUNK: usize = 16 * 1024;

/// Adam with decoupled weight decay (Loshchilov and Hutter, 2019), with PyTorch's arithmetic:
/// decay first, bias correction, ε outside the root. Moments are in f32.
///
/// Parameters and moments are updated where they lie, in chunks over rayon's current pool.
///
/// Source: `torch.optim.AdamW`, the single-tensor path.
#[derive(Debug)]
pub struct AdamW {
    settings: AdamWSettings,
    moments: Vec<Tensor>, // [2, elements] each: first moments, second moments
    step: u64,
}

/// The constants of [`AdamW`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWSettings {
    /// How much of the first moment is kept, β₁.
    pub beta1: f64,
    /// How much of the second moment is kept, β₂.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Weight decay of the parameters that decay.
    pub weight_decay: f64,
    /// What the learning rate is multiplied by for each level that a parameter lies below the head
    /// ([`Parameter::below_head`]); 1: the same rate for all.
    pub layer_decay: f64,
}

impl AdamWSettings {
    /// β = (0.9, 0.999), ε = 1e-8 and this weight decay, the same learning rate for all layers.
    #[must_use]
    pub fn with_weight_decay(weight_decay: f64) -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay, layer_decay: 1.0 }
    }

    /// The same with layer-wise decay of the learning rate (Clark et al., 2020).
    #[must_use]
    pub fn with_layer_decay(self, layer_decay: f64) -> Self {
        Self { layer_decay, ..self }
    }
}

impl AdamW {
    /// An optimiser that has not taken a step: all moments are 0.
    ///
    /// # Errors
    /// Where the device has no memory for the moments.
    pub fn new(parameters: &[&Parameter], settings: AdamWSettings) -> Result<Self, TrainError> {
        let moments = parameters
            .iter()
            .map(|parameter| {
                let tensor = parameter.var.as_tensor();
                let shape = (2, tensor.elem_count());
                Tensor::zeros(shape, candle_core::DType::F32, tensor.device())
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { settings, moments, step: 0 })
    }

    /// An optimiser that goes on after `step` steps with these moments, each `[2, elements]`.
    #[must_use]
    pub fn restored(moments: Vec<Tensor>, step: u64, settings: AdamWSettings) -> Self {
        Self { settings, moments, step }
    }

    /// The moments of each parameter, `[2, elements]`: first moments, then second.
    #[must_use]
    pub fn moments(&self) -> &[Tensor] {
        &self.moments
    }

    /// The learning rate of parameters so many levels below the head, whose own it is given.
    #[must_use]
    pub fn rate_at(&self, head: f64, below_head: usize) -> f64 {
        rate_at(head, self.settings.layer_decay, below_head)
    }

    /// Whether levels have learning rates of their own.
    pub(crate) fn layers_differ(&self) -> bool {
        (self.settings.layer_decay - 1.0).abs() > 0.0
    }

    /// One step: parameters move against `scale` × their gradients (scale 1, or less where the
    /// norm was clipped), in the order given to [`AdamW::new`]. `learning_rate` is the head's; with
    /// layer-wise decay that of parameters below it is less.
    ///
    /// # Errors
    /// Where a tensor lies on a device that is neither the CPU nor CUDA, or its shape does not fit.
    pub fn step(
        &mut self,
        parameters: &[&Parameter],
        gradients: &[Tensor],
        learning_rate: f64,
        scale: f64,
    ) -> Result<(), TrainError> {
        self.step += 1;
        let AdamWSettings { beta1, beta2, epsilon, weight_decay, layer_decay } = self.settings;
        let correction = |beta: f64| 1.0 - beta.powi(self.step.min(i32::MAX as u64) as i32);
        let update = |parameter: &Parameter| {
            let learning_rate = rate_at(learning_rate, layer_decay, parameter.below_head);
            let weight_decay = if parameter.decay { weight_decay } else { 0.0 };
            Update {
                keep: (1.0 - learning_rate * weight_decay) as f32,
                step_size: (learning_rate / correction(beta1)) as f32,
                root: correction(beta2).sqrt() as f32,
                epsilon: epsilon as f32,
            }
        };
        let average = Average {
            scale: scale as f32,
            new_first: (1.0 - beta1) as f32,
            keep_second: beta2 as f32,
            new_second: (1.0 - beta2) as f32,
            is_first: self.step == 1,
        };
        #[cfg(feature = "cuda")]
        if parameters.first().is_some_and(|parameter| parameter.var.device().is_cuda()) {
            let updates: Vec<Update> = parameters.iter().map(|&it| update(it)).collect();
            return step_on_cuda((parameters, gradients, &self.moments), &average, &updates);
        }
        for ((parameter, gradient), moments) in parameters.iter().zip(gradients).zip(&self.moments)
        {
            let (tensor, update) = (parameter.var.as_tensor(), update(parameter));
            let (count, given) = (tensor.elem_count(), gradient.elem_count());
            if (count, moments.elem_count()) != (given, 2 * given) {
                let problem = format!("{given} gradients for {count} elements");
                return Err(TrainError::Tensor(candle_core::Error::Msg(problem)));
            }
            with_elements(gradient, |gradient| {
                in_place(moments, |moments| {
                    let (first, second) = moments.split_at_mut(gradient.len());
                    in_place(tensor, |values| {
                        take_step(values, (first, second), gradient, &average, &update);
                    })
                })
            })???;
        }
        Ok(())
    }
}

fn rate_at(head: f64, layer_decay: f64, below_head: usize) -> f64 {
    head * layer_decay.powi(i32::try_from(below_head).unwrap_or(i32::MAX))
}

/// The same step by one kernel for all parameters.
#[cfg(feature = "cuda")]
fn step_on_cuda(
    (parameters, gradients, moments): (&[&Parameter], &[Tensor], &[Tensor]),
    average: &Average,
    updates: &[Update],
) -> Result<(), TrainError> {
    use mmc_ops::cuda::{AdamWParameter, AdamWStep};
    let Some(Update { root, epsilon, .. }) = updates.first() else { return Ok(()) };
    let one = |at: usize| AdamWParameter {
        values: parameters[at].var.as_tensor(),
        moments: &moments[at],
        gradient: &gradients[at],
        keep: updates[at].keep,
        step_size: updates[at].step_size,
    };
    let all: Vec<AdamWParameter<'_>> = (0..parameters.len()).map(one).collect();
    let step = AdamWStep {
        scale: average.scale,
        new_first: average.new_first,
        keep_second: average.keep_second,
        new_second: average.new_second,
        root: *root,
        epsilon: *epsilon,
    };
    Ok(mmc_ops::cuda::adamw(&all, step)?)
}

/// One pass over a parameter, its moments and its gradient: the step is bound by memory.
fn take_step(
    values: &mut [f32],
    (first, second): (&mut [f32], &mut [f32]),
    gradient: &[f32],
    average: &Average,
    update: &Update,
) {
    if values.len() <= CHUNK {
        average.chunk(first, second, gradient);
        update.chunk(values, first, second);
        return;
    }
    values
        .par_chunks_mut(CHUNK)
        .zip(first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK)))
        .zip(gradient.par_chunks(CHUNK))
        .for_each(|((values, (first, second)), gradient)| {
            average.chunk(first, second, gradient);
            update.chunk(values, first, second);
        });
}

/// [`sum_of_squares`] of each tensor; on CUDA without waiting for the device in between.
///
/// # Errors
/// As [`sum_of_squares`], but tensors may lie on one CUDA device.
pub fn sums_of_squares(tensors: &[Tensor]) -> Result<Vec<f64>, TrainError> {
    #[cfg(feature = "cuda")]
    if tensors.first().is_some_and(|tensor| tensor.device().is_cuda()) {
        return Ok(mmc_ops::cuda::sums_of_squares(tensors)?);
    }
    tensors.iter().map(sum_of_squares).collect()
}

/// The sum of the squares of all elements of a contiguous f32 tensor on the CPU, in f64: chunks of
/// fixed size, added in order.
///
/// # Errors
/// Where the tensor is of another kind.
pub fn sum_of_squares(tensor: &Tensor) -> Result<f64, TrainError> {
    with_elements(tensor, |values| {
        if values.len() <= CHUNK {
            return squares(values);
        }
        let parts: Vec<f64> = values.par_chunks(CHUNK).map(squares).collect();
        parts.iter().sum()
    })
}

/// The sum of the squares of a chunk. Sixteen sums side by side: one alone would wait for each of
/// its additions.
fn squares(chunk: &[f32]) -> f64 {
    const LANES: usize = 16;
    let mut sums = [0.0_f64; LANES];
    let (whole, rest) = chunk.as_chunks::<LANES>();
    for lanes in whole {
        for (sum, &value) in sums.iter_mut().zip(lanes) {
            *sum += f64::from(value) * f64::from(value);
        }
    }
    for (sum, &value) in sums.iter_mut().zip(rest) {
        *sum += f64::from(value) * f64::from(value);
    }
    sums.iter().sum()
}

/// Lets `work` read the elements of an f32 tensor on the CPU.
fn with_elements<R>(tensor: &Tensor, work: impl FnOnce(&[f32]) -> R) -> Result<R, TrainError> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) => {
            Ok(work(&values[start..end]))
        }
        // Parameters are f32, on the CPU here.
        _ => Err(candle_core::Error::Msg("AdamW takes f32 tensors on the CPU".to_owned()).into()),
    }
}

/// `moments ← (β₁ m + (1 − β₁) g, β₂ v + (1 − β₂) g²)` with g = scale × gradient.
struct Average {
    scale: f32,
    new_first: f32,
    keep_second: f32,
    new_second: f32,
    /// Whether the moments are 0. Writing that down costs less than reading it: pages that were
    /// never touched are mapped when they are read and again when they are written.
    is_first: bool,
}

impl Average {
    fn chunk(&self, first: &mut [f32], second: &mut [f32], gradient: &[f32]) {
        if self.is_first {
            first.fill(0.0);
            second.fill(0.0);
        }
        for ((first, second), gradient) in first.iter_mut().zip(second).zip(gradient) {
            let gradient = self.scale * gradient;
            *first += self.new_first * (gradient - *first);
            *second = self.keep_second * *second + self.new_second * gradient * gradient;
        }
    }
}

/// `parameter ← keep × parameter − step size × m / (√v / root + ε)`.
struct Update {
    keep: f32,
    step_size: f32,
    root: f32,
    epsilon: f32,
}

impl Update {
    fn chunk(&self, parameter: &mut [f32], first: &[f32], second: &[f32]) {
        for ((parameter, first), second) in parameter.iter_mut().zip(first).zip(second) {
            let denominator = second.sqrt() / self.root + self.epsilon;
            *parameter = *parameter * self.keep - self.step_size * (first / denominator);
        }
    }
}
