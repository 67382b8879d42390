//! `mmc plan`: what is planned.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use mmc_data::{Arm, DATASETS};
use mmc_models::CATALOG;
use mmc_run::{GradientCheckpointing, PartialSettings, Precision};

use super::settings::one_of;

/// `mmc plan`: a run or a grid, and what is known of data and machine.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("planned").required(true).args(["model", "grid"]))]
pub(crate) struct PlanArgs {
    /// The model of a run
    #[arg(long, value_name = "NAME", help_heading = "What is planned")]
    #[arg(value_parser = PossibleValuesParser::new(CATALOG.iter().map(|row| row.name)))]
    pub(crate) model: Option<String>,
    /// An experiment instead, a file such as configs/hateful_memes.toml: what of its data and weights
    /// is in place, and what each of its runs takes; flags below win over its settings
    #[arg(long, value_name = "FILE", help_heading = "What is planned")]
    #[arg(conflicts_with_all = ["checkpoint", "arm", "classes", "dataset", "data_root"])]
    pub(crate) grid: Option<PathBuf>,
    /// A folder whose config.json says the model's sizes [default: the published ones]
    #[arg(long, value_name = "DIR", help_heading = "What is planned")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// What the model sees [default: all it can]
    #[arg(long, value_name = "ARM", help_heading = "What is planned")]
    #[arg(value_parser = one_of::<Arm>(&["both", "text", "image"]))]
    pub(crate) arm: Option<Arm>,
    /// Classes of the head [default: those of --dataset, else 2]
    #[arg(long, value_name = "N", help_heading = "What is planned")]
    #[arg(value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub(crate) classes: Option<u32>,
    /// Rows a batch [default: the preset's]
    #[arg(long, value_name = "N", help_heading = "What is planned")]
    pub(crate) batch_size: Option<usize>,
    /// Batches an optimiser step [default: 1]
    #[arg(long, value_name = "N", help_heading = "What is planned")]
    pub(crate) grad_accumulation: Option<usize>,
    /// Rows a forward pass, on which memory depends [default: 8]
    #[arg(long, value_name = "N", help_heading = "What is planned")]
    pub(crate) shard_rows: Option<usize>,
    /// Tokens of each text, specials included [default: the preset's]
    #[arg(long, value_name = "N", help_heading = "What is planned")]
    pub(crate) max_length: Option<usize>,
    /// The longer side of pictures over the shorter, for models that keep their shape (vilt)
    #[arg(long, value_name = "X", help_heading = "What is planned", default_value_t = 4.0 / 3.0)]
    pub(crate) aspect: f64,
    /// The type of what is multiplied in matrix products [default: f32]
    #[arg(long, value_name = "TYPE", help_heading = "What is planned")]
    #[arg(value_parser = one_of::<Precision>(Precision::WORDS))]
    pub(crate) precision: Option<Precision>,
    /// Compute layers again in the backward pass; LAYERS: only the first so many of each encoder
    #[arg(long, value_name = "LAYERS", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "all", help_heading = "What is planned")]
    pub(crate) gradient_checkpointing: Option<GradientCheckpointing>,
    /// The memory that there is, such as 16GiB: proposes a batch size and an accumulation that fit it
    /// and make the same step
    #[arg(long, value_name = "SIZE", help_heading = "What is planned")]
    pub(crate) memory: Option<String>,

    /// The rows that are trained on, for the hours
    #[arg(long, value_name = "N", help_heading = "How long it takes", conflicts_with = "dataset")]
    pub(crate) items: Option<usize>,
    /// The data set, whose splits say the rows that are trained on and predicted
    #[arg(long, value_name = "NAME", help_heading = "How long it takes")]
    #[arg(value_parser = PossibleValuesParser::new(DATASETS.iter().map(|row| row.name)))]
    pub(crate) dataset: Option<String>,
    /// The data set's folder, or a .zip or .tar of it [default: $MMC_DATA/NAME, else data/NAME]
    #[arg(long, value_name = "DIR", help_heading = "How long it takes", requires = "dataset")]
    pub(crate) data_root: Option<PathBuf>,
    /// How often the training rows are seen [default: the preset's]
    #[arg(long, value_name = "N", help_heading = "How long it takes")]
    pub(crate) epochs: Option<u64>,
    /// Exactly N optimiser steps instead of --epochs
    #[arg(long, value_name = "N", help_heading = "How long it takes")]
    pub(crate) max_steps: Option<u64>,
    /// The operations of training that this machine does in a second, such as 2e11
    #[arg(long, value_name = "X", help_heading = "How long it takes", conflicts_with = "measure")]
    pub(crate) flops_per_second: Option<f64>,
    /// Take three steps on made-up rows instead and time them; they take the memory that is planned
    #[arg(long, help_heading = "How long it takes")]
    pub(crate) measure: bool,

    /// Print one JSON object and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}

impl PlanArgs {
    /// The flags as a layer of settings.
    pub(crate) fn settings(&self) -> PartialSettings {
        PartialSettings {
            arm: self.arm,
            batch_size: self.batch_size,
            grad_accumulation: self.grad_accumulation,
            shard_rows: self.shard_rows,
            max_length: self.max_length,
            precision: self.precision,
            gradient_checkpointing: self.gradient_checkpointing,
            epochs: self.epochs,
            max_steps: self.max_steps,
            ..PartialSettings::default()
        }
    }
}
