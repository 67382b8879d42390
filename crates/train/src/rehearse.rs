//! A few steps on made-up rows, for those who want to know what a run takes on this machine.

use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use mmc_models::Classifier;
use mmc_ops::{Gradients, Objective, Precision};
use mmc_preprocess::{Batch, ImageInput, Targets, TextInput};

use crate::adders::Adders;
use crate::memory::Workload;
use crate::optimizer::{AdamW, AdamWSettings};
use crate::step::{Shard, Stepper};
use crate::{Schedule, TrainError, start};

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rehearsal {
    /// Seconds for each row of a step, the optimiser's part included.
    pub seconds_per_item: f64,
    /// The process's high-water mark of memory, in bytes; 0 where the system does not say.
    pub peak_memory_bytes: u64,
}

/// Steps that are timed, behind one that is not: it takes memory from the system.
const TIMED: u64 = 2;

/// Takes steps of at most two shards, with texts and pictures as large as `work` says, and times all
/// but the first. The model's parameters change.
///
/// # Errors
/// What the model cannot read, such as longer texts than it has positions.
pub fn rehearse(
    model: &dyn Classifier,
    work: &Workload,
    items_per_step: usize,
    precision: Precision,
) -> Result<Rehearsal, TrainError> {
    let parameters = start::active(model);
    let mut stepper = Stepper {
        model,
        gradients: Gradients::of(parameters.iter().map(|one| one.var.as_tensor())),
        optimizer: AdamW::new(&parameters, AdamWSettings::with_weight_decay(0.01))?,
        parameters,
        objective: Objective::CrossEntropy { class_weights: None, label_smoothing: 0.0 },
        schedule: Schedule::new(1e-5, 0.0, TIMED + 1, mmc_run::Schedule::Constant),
        clip_norm: 1.0,
        seed: 0,
        precision,
        recomputed_layers: work.recomputed_layers,
        scaler: None,
        adders: Adders::One,
    };
    let items = items_per_step.clamp(1, 2 * work.shard_rows.max(1));
    let mut seconds = f64::INFINITY;
    for step in 1..=TIMED + 1 {
        let begun = Instant::now();
        let firsts = (0..items).step_by(work.shard_rows.max(1));
        let shards = firsts.enumerate().map(|(number, first_row)| {
            let rows = work.shard_rows.max(1).min(items - first_row);
            let batch = batch(model, work, rows)?;
            Ok(Shard { number, first_row, batch, pooled: None, cut_texts: 0 })
        });
        stepper.step(step, shards)?;
        if step > 1 {
            seconds = seconds.min(begun.elapsed().as_secs_f64());
        }
    }
    let peak_memory_bytes = crate::peak_memory_bytes();
    Ok(Rehearsal { seconds_per_item: seconds / items as f64, peak_memory_bytes })
}

/// Rows that are as large as the work says, all alike.
fn batch(model: &dyn Classifier, work: &Workload, rows: usize) -> Result<Batch, TrainError> {
    let arm = model.arm();
    let text = if arm.uses_text() {
        let shape = (rows, work.text_tokens.max(1));
        Some(TextInput {
            token_ids: Tensor::ones(shape, DType::U32, &Device::Cpu)?,
            type_ids: Tensor::zeros(shape, DType::U32, &Device::Cpu)?,
            attention_mask: Tensor::ones(shape, DType::F32, &Device::Cpu)?,
            lengths: vec![shape.1; rows],
        })
    } else {
        None
    };
    let image = match work.picture.filter(|_| arm.uses_image()) {
        Some((height, width)) => Some(ImageInput {
            pixel_values: Tensor::ones((rows, 3, height, width), DType::F32, &Device::Cpu)?,
            sizes: vec![(height, width); rows],
        }),
        None => None,
    };
    let targets = Some(Targets::Classes((0..rows as u32).map(|row| row % 2).collect()));
    let ids = (0..rows).map(|row| row.to_string()).collect();
    Ok(Batch { ids, groups: vec![None; rows], text, image, targets })
}
