//! How long does a training step, or a forward pass, of a checkpoint take?
//!
//! ```text
//! cargo bench -p mmc-train --bench step -- CHECKPOINT train|infer BATCH.safetensors…
//! cargo bench -p mmc-train --bench step -- limit
//! ```
//!
//! A batch holds `token_ids` `[rows, tokens]` (u32) and `lengths` `[rows]` (u32) unless the model
//! is shown pictures alone, `pixel_values` `[rows, 3, height, width]` and the `sizes` `[rows, 2]` (u32)
//! of the pictures in them where it is shown pictures, and `labels` `[rows]` (u32). For each line on standard input a step is taken on each batch in turn
//! (or, with `infer`, a forward pass) and a line of JSON is printed: `wall` and `cpu` in seconds, the
//! mean `loss`, and `flops`, the operations of the matrix products. So two programs can take turns:
//! `cargo xtask bench`. At the end of the input the last line gives `peak`, the process's high-water
//! mark, and `before`, what was resident before the first step, both in bytes.
//!
//! `MMC_DEVICE=cuda:0` computes on a CUDA device, in a build for it: a batch is then one shard, a round
//! ends when the device is done, and `peak` and `before` are of its memory. `MMC_PRECISION=bf16` (or
//! `f16`) rounds the operands of matrix products there.
//!
//! `MMC_GRADIENT_CHECKPOINTING=N` computes the first N layers of each encoder again in the backward pass.
//!
//! With `limit` a round is one large matrix product, as fast as this machine does them.
#![allow(clippy::print_stdout, reason = "it answers on standard output")]

use std::collections::HashMap;
use std::error::Error;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use mmc_models::{Classifier, FreshHead, LoadRequest, Parameter, Pass, load};
use mmc_ops::{
    Gradients, Objective, Precision, Targets, linear, on_first_thread, with_products_in,
    without_gradient,
};
use mmc_preprocess::{Batch, ImageInput, TextInput};
use mmc_train::{AdamW, AdamWSettings, ComputeDevice, sums_of_squares};

/// Layers of each encoder that are computed again in the backward pass.
fn recomputed_layers() -> usize {
    let asked = std::env::var("MMC_GRADIENT_CHECKPOINTING");
    asked.ok().and_then(|layers| layers.parse().ok()).unwrap_or(0)
}

/// Rows of a forward pass in training on the CPU: the default of `--shard-rows`.
const SHARD: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let work = match &arguments[..] {
        [only] if only == "limit" => Work::Product(Product::new()?),
        [folder, kind, batches @ ..] if !batches.is_empty() => {
            let model = model(Path::new(folder), &place()?.open()?)?;
            Work::Model(Timed::new(model, batches)?, kind == "train")
        }
        // `cargo bench` runs every bench without arguments.
        _ => {
            println!("give CHECKPOINT train|infer BATCH.safetensors…, or run `cargo xtask bench`");
            return Ok(());
        }
    };
    answer(work)
}

/// What a round is.
enum Work {
    /// Steps, or forward passes.
    Model(Timed, bool),
    Product(Product),
}

/// What computes.
fn place() -> Result<ComputeDevice, Box<dyn Error>> {
    match std::env::var("MMC_DEVICE") {
        Ok(word) => Ok(word.parse()?),
        Err(_) => Ok(ComputeDevice::Cpu),
    }
}

/// The type of matrix products on a CUDA device.
fn precision() -> Precision {
    match std::env::var("MMC_PRECISION").as_deref() {
        Ok("bf16") => Precision::Bf16,
        Ok("f16") => Precision::F16,
        _ => Precision::F32,
    }
}

/// Memory in bytes: the CUDA device's high-water mark, or a figure of the process.
fn memory(name: &str) -> Result<u64, Box<dyn Error>> {
    match place()?.memory_bytes() {
        Some(bytes) => Ok(bytes),
        None => resident(name),
    }
}

/// Does a round for each line of the input.
fn answer(mut work: Work) -> Result<(), Box<dyn Error>> {
    let before = memory("VmRSS:")?;
    println!("{{\"ready\": true}}");
    for line in std::io::stdin().lock().lines() {
        line?;
        let (begun, cpu) = (Instant::now(), cpu_seconds()?);
        let (loss, flops) = with_products_in(precision(), || round(&mut work))?;
        let (wall, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
        println!("{{\"wall\": {wall}, \"cpu\": {cpu}, \"loss\": {loss}, \"flops\": {flops}}}");
    }
    println!("{{\"peak\": {}, \"before\": {before}}}", memory("VmHWM:")?);
    Ok(())
}

/// A round: its loss, and the operations of its products.
fn round(work: &mut Work) -> Result<(f64, f64), Box<dyn Error>> {
    match work {
        Work::Model(timed, training) => {
            let (loss, passes) = match training {
                // As `mmc train`: on one of the threads that share the work.
                true if timed.model.device().is_cpu() => {
                    (on_first_thread(|| timed.train().map_err(|error| error.to_string()))??, 3.0)
                }
                true => (timed.train()?, 3.0),
                false => (timed.infer()?, 1.0),
            };
            timed.model.device().synchronize()?;
            Ok((loss, passes * timed.flops))
        }
        Work::Product(product) => product.multiply(),
    }
}

fn model(folder: &Path, device: &Device) -> Result<Box<dyn Classifier>, Box<dyn Error>> {
    let labels: Vec<String> = ["no", "yes"].map(str::to_owned).to_vec();
    let loaded = load(&LoadRequest {
        folder,
        labels: &labels,
        arm: None,
        head: None,
        fresh_head: FreshHead::Allowed { seed: 0 },
        dropout: None,
        device,
    })?;
    Ok(loaded.model)
}

/// The largest product of a step of BERT-base, again and again.
struct Product {
    x: Tensor,      // [2048, 768]
    weight: Tensor, // [3072, 768]
}

/// How often a round multiplies.
const PRODUCTS: usize = 8;

impl Product {
    fn new() -> Result<Self, Box<dyn Error>> {
        let filled = |rows: usize| -> candle_core::Result<Tensor> {
            let values = (0..rows * 768).map(|place| (place % 13) as f32 - 6.0);
            Tensor::from_vec(values.collect::<Vec<f32>>(), (rows, 768), &Device::Cpu)
        };
        Ok(Self { x: filled(2048)?, weight: filled(3072)? })
    }

    /// An element of the result, and the operations.
    fn multiply(&self) -> Result<(f64, f64), Box<dyn Error>> {
        let mut element = 0.0;
        for _ in 0..PRODUCTS {
            let y = without_gradient(|| linear(&self.x, &self.weight, None))?;
            element = f64::from(y.get(0)?.get(0)?.to_scalar::<f32>()?);
        }
        Ok((element, (PRODUCTS * 2 * 2048 * 3072 * 768) as f64))
    }
}

/// Some rows in the order of a shard, and their classes.
type Shard = (Batch, Vec<u32>);

/// A model, its batches in shards, and what training it takes.
struct Timed {
    model: Box<dyn Classifier>,
    batches: Vec<Vec<Shard>>,
    /// Of the forward passes of all batches.
    flops: f64,
    gradients: Gradients,
    optimizer: AdamW,
    steps: u64,
}

const OBJECTIVE: Objective = Objective::CrossEntropy { class_weights: None, label_smoothing: 0.0 };

impl Timed {
    fn new(model: Box<dyn Classifier>, files: &[String]) -> Result<Self, Box<dyn Error>> {
        let mut batches: Vec<Vec<Shard>> = Vec::new();
        for file in files {
            let tensors = candle_core::safetensors::load(file, &Device::Cpu)?;
            let labels: Vec<u32> = tensors["labels"].to_vec1()?;
            let shard = if model.device().is_cpu() { SHARD } else { labels.len() };
            let cut = |first: usize| -> Result<Shard, Box<dyn Error>> {
                let count = shard.min(labels.len() - first);
                Ok((batch(&tensors, first, count)?, labels[first..first + count].to_vec()))
            };
            let shards = (0..labels.len()).step_by(shard).map(cut).collect::<Result<_, _>>()?;
            batches.push(shards);
        }
        let active = active(model.as_ref());
        Ok(Self {
            gradients: Gradients::of(active.iter().map(|one| one.var.as_tensor())),
            optimizer: AdamW::new(&active, AdamWSettings::with_weight_decay(0.01))?,
            flops: batches.iter().flatten().map(|shard| flops(model.as_ref(), &shard.0)).sum(),
            model,
            batches,
            steps: 0,
        })
    }

    /// A step on each batch: forward, backward, clipping to norm 1 and AdamW; the mean loss.
    fn train(&mut self) -> Result<f64, Box<dyn Error>> {
        let parameters = active(self.model.as_ref());
        let mut losses = 0.0;
        for shards in &self.batches {
            self.gradients.reset();
            self.steps += 1;
            let (mut sum, mut rows) = (0.0, 0);
            for (batch, labels) in shards {
                let pass = Pass::train(0, self.steps, rows).recomputing(recomputed_layers());
                let logits = self.model.forward(batch, &pass)?.0;
                let loss = OBJECTIVE.loss_sum(&logits, &Targets::Classes(labels))?;
                sum += f64::from(loss.to_scalar::<f32>()?);
                self.gradients.add(&loss)?;
                rows += labels.len();
            }
            let sums = (0..parameters.len()).filter_map(|index| self.gradients.sum(index));
            let sums: Vec<Tensor> = sums.cloned().collect();
            let squares: f64 = sums_of_squares(&sums)?.iter().sum();
            let rows = rows as f64;
            let scale = (1.0 / (squares.sqrt() / rows + 1e-6)).min(1.0) / rows;
            self.optimizer.step(&parameters, &sums, 2e-5, scale)?;
            losses += sum / rows;
        }
        Ok(losses / self.batches.len() as f64)
    }

    /// A forward pass over each batch without dropout; the mean loss.
    fn infer(&self) -> Result<f64, Box<dyn Error>> {
        let (mut sum, mut rows) = (0.0, 0);
        for (batch, labels) in self.batches.iter().flatten() {
            let logits = without_gradient(|| self.model.forward(batch, &Pass::evaluate()))?.0;
            let loss = OBJECTIVE.loss_sum(&logits, &Targets::Classes(labels))?;
            sum += f64::from(loss.to_scalar::<f32>()?);
            rows += labels.len();
        }
        Ok(sum / rows as f64)
    }
}

fn active(model: &dyn Classifier) -> Vec<&Parameter> {
    model.parameters().iter().filter(|parameter| parameter.active).collect()
}

/// Operations of the forward pass of a batch.
fn flops(model: &dyn Classifier, batch: &Batch) -> f64 {
    let of_row = |row: usize| {
        let text = batch.text.as_ref().map_or(0, |text| text.lengths[row]);
        let size = batch.image.as_ref().map(|image| image.sizes[row]);
        let image = size.map_or(0, |(height, width)| model.image_tokens(height, width));
        model.flops(text as f64, image as f64)
    };
    (0..batch.ids.len()).map(of_row).sum()
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
            let sizes: Vec<Vec<u32>> = tensors["sizes"].narrow(0, first, count)?.to_vec2()?;
            let size = |size: &Vec<u32>| (size[0] as usize, size[1] as usize);
            Some(ImageInput { pixel_values, sizes: sizes.iter().map(size).collect() })
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
