//! How long does a training step, or a forward pass, of a checkpoint take?
//!
//! ```text
//! cargo bench -p mmc-train --bench step -- CHECKPOINT BATCH.safetensors train
//! ```
//!
//! The batch holds `token_ids` `[rows, tokens]` (u32) and `lengths` `[rows]` (u32) unless the model
//! is shown pictures alone, `pixel_values` `[rows, 3, height, width]` where it is shown pictures, and
//! `labels` `[rows]` (u32). For each line on standard input one step is taken (or, with `infer` in
//! place of `train`, one forward pass) and a line of JSON is printed: `wall` and `cpu` in seconds and
//! the `loss`. So two programs can take turns: `cargo xtask bench`. At the end of the input the last
//! line gives `peak`, the process's high-water mark, and `before`, what was resident before the first
//! step, both in bytes.
#![allow(clippy::print_stdout, reason = "it answers on standard output")]

use std::collections::HashMap;
use std::error::Error;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use mmc_models::{Classifier, FreshHead, LoadRequest, Parameter, Pass, load};
use mmc_ops::{Gradients, Objective, Targets, without_gradient};
use mmc_preprocess::{Batch, ImageInput, TextInput};
use mmc_train::{AdamW, AdamWSettings, sum_of_squares};

/// Rows of a forward pass in training: the default of `--shard-rows`.
const SHARD: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let [folder, batch, kind] = &arguments[..] else {
        // `cargo bench` runs every bench without arguments.
        println!("give CHECKPOINT BATCH.safetensors train|infer, or run `cargo xtask bench`");
        return Ok(());
    };
    let labels: Vec<String> = ["no", "yes"].map(str::to_owned).to_vec();
    let model = load(&LoadRequest {
        folder: Path::new(folder),
        labels: &labels,
        arm: None,
        head: None,
        fresh_head: FreshHead::Allowed { seed: 0 },
        dropout: None,
        device: &Device::Cpu,
    })?
    .model;
    let tensors = candle_core::safetensors::load(batch, &Device::Cpu)?;
    let mut timed = Timed::new(model.as_ref(), &tensors)?;
    let before = resident("VmRSS:")?;
    println!("{{\"ready\": true}}");
    for line in std::io::stdin().lock().lines() {
        line?;
        let (begun, cpu) = (Instant::now(), cpu_seconds()?);
        let loss = if kind == "train" { timed.step()? } else { timed.forward()? };
        let (wall, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
        println!("{{\"wall\": {wall}, \"cpu\": {cpu}, \"loss\": {loss}}}");
    }
    println!("{{\"peak\": {}, \"before\": {before}}}", resident("VmHWM:")?);
    Ok(())
}

/// A model, its batch in shards, and what training it takes.
struct Timed<'a> {
    model: &'a dyn Classifier,
    shards: Vec<(Batch, Vec<u32>)>,
    rows: usize,
    parameters: Vec<&'a Parameter>,
    gradients: Gradients,
    optimizer: AdamW,
    steps: u64,
}

const OBJECTIVE: Objective = Objective::CrossEntropy { class_weights: None, label_smoothing: 0.0 };

impl<'a> Timed<'a> {
    fn new(
        model: &'a dyn Classifier,
        tensors: &HashMap<String, Tensor>,
    ) -> Result<Self, Box<dyn Error>> {
        let labels: Vec<u32> = tensors["labels"].to_vec1()?;
        let rows = labels.len();
        let cut = |first: usize| -> Result<_, Box<dyn Error>> {
            let count = SHARD.min(rows - first);
            Ok((batch(tensors, first, count)?, labels[first..first + count].to_vec()))
        };
        let shards = (0..rows).step_by(SHARD).map(cut).collect::<Result<_, _>>()?;
        let parameters: Vec<&Parameter> =
            model.parameters().iter().filter(|parameter| parameter.active).collect();
        Ok(Self {
            gradients: Gradients::of(parameters.iter().map(|one| one.var.as_tensor())),
            optimizer: AdamW::new(&parameters, AdamWSettings::with_weight_decay(0.01))?,
            model,
            shards,
            rows,
            parameters,
            steps: 0,
        })
    }

    /// Forward, backward, clipping to norm 1 and AdamW; the mean loss.
    fn step(&mut self) -> Result<f64, Box<dyn Error>> {
        self.gradients.reset();
        self.steps += 1;
        let mut sum = 0.0;
        for (number, (batch, labels)) in self.shards.iter().enumerate() {
            let pass = Pass::train(0, self.steps, number * SHARD);
            let logits = self.model.forward(batch, &pass)?.0;
            let loss = OBJECTIVE.loss_sum(&logits, &Targets::Classes(labels))?;
            sum += f64::from(loss.to_scalar::<f32>()?);
            self.gradients.add(&loss)?;
        }
        let sums = (0..self.parameters.len()).filter_map(|index| self.gradients.sum(index));
        let sums: Vec<Tensor> = sums.cloned().collect();
        let mut squares = 0.0;
        for gradient in &sums {
            squares += sum_of_squares(gradient)?;
        }
        let rows = self.rows as f64;
        let scale = (1.0 / (squares.sqrt() / rows + 1e-6)).min(1.0) / rows;
        self.optimizer.step(&self.parameters, &sums, 2e-5, scale)?;
        Ok(sum / rows)
    }

    /// A forward pass without dropout; the mean loss.
    fn forward(&self) -> Result<f64, Box<dyn Error>> {
        let mut sum = 0.0;
        for (batch, labels) in &self.shards {
            let logits = without_gradient(|| self.model.forward(batch, &Pass::evaluate()))?.0;
            let loss = OBJECTIVE.loss_sum(&logits, &Targets::Classes(labels))?;
            sum += f64::from(loss.to_scalar::<f32>()?);
        }
        Ok(sum / self.rows as f64)
    }
}

/// Some rows of the file as a batch.
fn batch(
    tensors: &HashMap<String, Tensor>,
    first: usize,
    count: usize,
) -> Result<Batch, Box<dyn Error>> {
    let rows = |name: &str| tensors.get(name).map(|tensor| tensor.narrow(0, first, count));
    let text = match rows("token_ids") {
        Some(token_ids) => {
            let lengths: Vec<u32> = tensors["lengths"].narrow(0, first, count)?.to_vec1()?;
            let token_ids = token_ids?.contiguous()?;
            Some(TextInput {
                type_ids: token_ids.zeros_like()?,
                attention_mask: token_ids.ones_like()?.to_dtype(DType::F32)?,
                token_ids,
                lengths: lengths.into_iter().map(|length| length as usize).collect(),
            })
        }
        None => None,
    };
    let image = match rows("pixel_values") {
        Some(pixel_values) => {
            let pixel_values = pixel_values?.contiguous()?;
            let (_, _, height, width) = pixel_values.dims4()?;
            Some(ImageInput { pixel_values, sizes: vec![(height, width); count] })
        }
        None => None,
    };
    let ids = (first..first + count).map(|row| row.to_string()).collect();
    Ok(Batch { ids, groups: vec![None; count], text, image, targets: None })
}

/// Processor time of this process, all threads, in seconds: fields 14 and 15 of Linux's `stat`.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    const TICKS_A_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / TICKS_A_SECOND)
}

/// A figure of Linux's `status` in bytes.
fn resident(name: &str) -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}
