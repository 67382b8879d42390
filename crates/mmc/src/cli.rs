//! What can be typed: the verbs, their flags and their help.
//!
//! Types here hold what was typed and nothing more; a verb's file says what it means.
#![allow(clippy::doc_markdown, reason = "comments on flags are the help, printed as they are")]

mod columns;
mod data;
mod devices;
mod diagnose;
mod examples;
mod plan;
mod settings;

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};
use mmc_data::{DATASETS, InputColumns, OnBadItem};

pub(crate) use columns::ColumnFlags;
pub(crate) use data::{DataArgs, DataCommand, DataSetArgs, DemoArgs, InfoArgs, SplitArgs};
pub(crate) use devices::{DeviceFlags, TrainDeviceFlags};
pub(crate) use diagnose::DiagnoseArgs;
use examples::{
    AFTER_COMPARE, AFTER_DATA, AFTER_DIAGNOSE, AFTER_EMBED, AFTER_EVALUATE, AFTER_FETCH, AFTER_MMC,
    AFTER_PLAN, AFTER_POWER, AFTER_PREDICT, AFTER_REPORT, AFTER_TRAIN,
};
pub(crate) use plan::PlanArgs;
pub(crate) use settings::SettingFlags;
use settings::one_of;

/// Does the picture help? Train, evaluate and compare text-only and image+text classifiers
#[derive(Parser, Debug)]
#[command(
    name = "mmc",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_long_help = AFTER_MMC,
    after_help = "Each command explains itself with examples: mmc train --help"
)]
pub(crate) struct Cli {
    /// Write log lines as text or, for programs, as JSON objects with time, level, fields and spans;
    /// RUST_LOG says what is logged: warn, info (the usual), debug (with each step), trace
    #[arg(long, value_name = "FORM", global = true, default_value = "text", hide = true)]
    pub(crate) log_format: LogFormat,
    /// The verb.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How log lines are written: for people, or an object a line.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// The verbs of `mmc`, in the order in which one meets them.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Train one model on one data set and write a run folder
    #[command(after_help = AFTER_TRAIN, allow_negative_numbers = true)]
    Train(Box<TrainArgs>),
    /// Score a checkpoint on a split, or a file of predictions
    #[command(after_help = AFTER_EVALUATE)]
    Evaluate(EvaluateArgs),
    /// Classify the rows of a file
    #[command(after_help = AFTER_PREDICT)]
    Predict(PredictArgs),
    /// Write the vector that a checkpoint's classifier sees, for every row of a file
    #[command(after_help = AFTER_EMBED)]
    Embed(EmbedArgs),
    /// Test whether one model beats another, from their prediction files
    #[command(after_help = AFTER_COMPARE)]
    Compare(CompareArgs),
    /// Say what an experiment of a size can decide, before it is run
    #[command(after_help = AFTER_POWER, allow_negative_numbers = true)]
    Power(PowerArgs),
    /// Say what a model of text and picture uses, and where its gain comes from
    #[command(after_help = AFTER_DIAGNOSE)]
    Diagnose(Box<DiagnoseArgs>),
    /// Write the report and the verdict of an experiment's results folder
    #[command(after_help = AFTER_REPORT)]
    Report(ReportArgs),
    /// Get a model's pretrained weights from the Hugging Face hub
    #[command(after_help = AFTER_FETCH)]
    Fetch(FetchArgs),
    /// Make, check and describe data sets
    #[command(after_help = AFTER_DATA)]
    Data(DataArgs),
    /// Say what a run, or an experiment, will take before anything is spent
    #[command(after_help = AFTER_PLAN)]
    Plan(Box<PlanArgs>),
}

/// `mmc train`: where the run lives, and what may be said about it.
#[derive(Args, Debug)]
pub(crate) struct TrainArgs {
    /// Read settings from FILE (flat TOML: every flag below in snake_case); flags win over it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The run folder to write; it must be absent or empty unless --resume
    #[arg(long, value_name = "RUN_DIR")]
    pub(crate) out: PathBuf,
    /// Go on with the run in --out; a complete run is left as it is
    #[arg(long)]
    pub(crate) resume: bool,
    /// The settings, one flag each.
    #[command(flatten)]
    pub(crate) settings: SettingFlags,
    /// What computes.
    #[command(flatten)]
    pub(crate) devices: TrainDeviceFlags,
}

/// `mmc evaluate`: a checkpoint on a split, or a file of predictions.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("source").required(true))]
pub(crate) struct EvaluateArgs {
    /// The trained checkpoint: a folder such as RUN_DIR/checkpoint
    #[arg(long, value_name = "DIR", group = "source", requires_all = ["dataset", "split"])]
    pub(crate) checkpoint: Option<PathBuf>,
    /// The data set; `mmc data info` says what they are
    #[arg(long, value_name = "NAME", requires = "checkpoint", value_parser = data_set_name())]
    pub(crate) dataset: Option<String>,
    /// The data set's folder, or a .zip or .tar of it [default: $MMC_DATA/NAME, else data/NAME]
    #[arg(long, value_name = "DIR", requires = "dataset")]
    pub(crate) data_root: Option<PathBuf>,
    /// The split to score, by its published name
    #[arg(long, value_name = "NAME", requires = "dataset")]
    pub(crate) split: Option<String>,
    /// The columns of a table that has others.
    #[command(flatten)]
    pub(crate) columns: ColumnFlags,
    /// Stop at a row whose picture is unreadable, or skip it and count
    #[arg(long, value_name = "WAY", requires = "checkpoint", default_value = "error")]
    #[arg(value_parser = one_of::<OnBadItem>(&["error", "skip"]))]
    pub(crate) on_bad_item: OnBadItem,
    /// Also write the predictions behind the scores (.jsonl, .csv or .parquet; .json for the
    /// evaluation server of VQA)
    #[arg(long, value_name = "FILE", requires = "checkpoint")]
    pub(crate) out: Option<PathBuf>,
    /// Score this file of predictions instead; it may come from any framework
    #[arg(long, value_name = "FILE", group = "source")]
    pub(crate) predictions: Option<PathBuf>,
    /// The positive class of a binary task [default: the second class]
    #[arg(long, value_name = "NAME")]
    pub(crate) positive: Option<String>,
    /// Print one JSON object and nothing else
    #[arg(long)]
    pub(crate) json: bool,
    /// What computes.
    #[command(flatten)]
    pub(crate) devices: DeviceFlags,
}

/// What `predict` and `embed` read: a checkpoint and rows.
#[derive(Args, Debug)]
pub(crate) struct InputArgs {
    /// The trained checkpoint: a folder such as RUN_DIR/checkpoint
    #[arg(long, value_name = "DIR")]
    pub(crate) checkpoint: PathBuf,
    /// The rows, .jsonl, .csv or .parquet, with the columns `id`, `text`, `image`
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// The folder that the paths of pictures start from [default: the input's folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) image_root: Option<PathBuf>,
    /// The column of texts [default: text]
    #[arg(long, value_name = "C")]
    text_column: Option<String>,
    /// The column of pictures: paths, or bytes in Parquet [default: image]
    #[arg(long, value_name = "C")]
    image_column: Option<String>,
    /// The column of ids [default: id]
    #[arg(long, value_name = "C")]
    id_column: Option<String>,
    /// Cut texts to N tokens, specials included [default: as trained]
    #[arg(long, value_name = "N")]
    pub(crate) max_length: Option<usize>,
    /// What computes.
    #[command(flatten)]
    pub(crate) devices: DeviceFlags,
}

impl InputArgs {
    /// The columns that are read.
    pub(crate) fn columns(&self) -> InputColumns {
        let (id, text) = (self.id_column.clone(), self.text_column.clone());
        InputColumns { id, text, image: self.image_column.clone() }
    }
}

/// `mmc predict`.
#[derive(Args, Debug)]
pub(crate) struct PredictArgs {
    /// What is read.
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// The file to write: .jsonl, .csv or .parquet
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Keep the rows that an interrupted call wrote and go on after them
    #[arg(long)]
    pub(crate) resume: bool,
}

/// `mmc embed`.
#[derive(Args, Debug)]
pub(crate) struct EmbedArgs {
    /// What is read.
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// The file to write: .safetensors; the ids go to FILE.ids.jsonl beside it
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Keep the rows that an interrupted call wrote and go on after them
    #[arg(long)]
    pub(crate) resume: bool,
}

/// `mmc compare`: files of two sides, and what decides.
#[derive(Args, Debug)]
pub(crate) struct CompareArgs {
    /// Predictions of the baseline, one file a seed
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub(crate) baseline: Vec<PathBuf>,
    /// Predictions of the candidate on the same items, one file a seed
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub(crate) candidate: Vec<PathBuf>,
    /// The score to compare [default: auroc for two classes, vqa_accuracy for answers, else accuracy]
    #[arg(long, value_name = "METRIC")]
    pub(crate) metric: Option<String>,
    /// The smallest difference that matters
    #[arg(long, value_name = "X", default_value_t = 0.0, allow_negative_numbers = true)]
    pub(crate) margin: f64,
    /// The field whose equal values tie items together, or `none` [default: group, where present]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) cluster: Option<String>,
    /// Pair the k-th file of each side: they share a seed
    #[arg(long)]
    pub(crate) paired_seeds: bool,
    /// The positive class of a binary task [default: the second class]
    #[arg(long, value_name = "NAME")]
    pub(crate) positive: Option<String>,
    /// Print one JSON object and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}

/// `mmc power`: the size of an experiment, and what is known of its spread.
#[derive(Args, Debug)]
pub(crate) struct PowerArgs {
    /// Test items
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=1_000_000_000))]
    pub(crate) items: u64,
    /// Seeds of each model
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=1000))]
    pub(crate) seeds: u64,
    /// The smallest gain that matters, in units of the metric
    #[arg(long, value_name = "X")]
    pub(crate) margin: f64,
    /// The true gain to plan for [default: twice the margin]
    #[arg(long, value_name = "X")]
    pub(crate) gain: Option<f64>,
    /// Multimodal models that are tested together against the text model
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) models: u64,
    /// The accuracy that the models will have about [default: 0.7]
    #[arg(long, value_name = "X", help_heading = "What is known", conflicts_with = "pilot")]
    pub(crate) accuracy: Option<f64>,
    /// The share of items on which just one of a text and a multimodal run is right
    #[arg(long, value_name = "X", help_heading = "What is known", conflicts_with = "pilot")]
    pub(crate) discordant: Option<f64>,
    /// The standard deviation of a model's score over seeds [default: 0.01, or the pilot's]
    #[arg(long, value_name = "X", help_heading = "What is known")]
    pub(crate) seed_sd: Option<f64>,
    /// Prediction files of one model, one a seed, that the spread is estimated from
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "What is known")]
    pub(crate) pilot: Vec<PathBuf>,
    /// Prediction files of the other model on the same items, one a seed
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "pilot", help_heading = "What is known")]
    pub(crate) pilot_candidate: Vec<PathBuf>,
    /// The score [default: auroc for pilots of two classes, else accuracy]
    #[arg(long, value_name = "METRIC", help_heading = "What is known")]
    pub(crate) metric: Option<String>,
    /// The positive class of a binary pilot [default: the second class]
    #[arg(long, value_name = "NAME", requires = "pilot", help_heading = "What is known")]
    pub(crate) positive: Option<String>,
    /// Print one JSON object and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}

/// `mmc report`.
#[derive(Args, Debug)]
pub(crate) struct ReportArgs {
    /// The folder of an experiment, such as results/hateful_memes
    #[arg(value_name = "RESULTS_DIR")]
    pub(crate) results: PathBuf,
    /// What an hour of computing costs, in whatever currency [default: the experiment's]
    #[arg(long, value_name = "X")]
    pub(crate) price_per_hour: Option<f64>,
    /// What the machine draws at work, in watts [default: the experiment's]
    #[arg(long, value_name = "X")]
    pub(crate) watts: Option<f64>,
    /// What one more correct decision is worth, in that currency [default: the experiment's]
    #[arg(long, value_name = "X")]
    pub(crate) value_per_correct: Option<f64>,
}

/// `mmc fetch`.
#[derive(Args, Debug)]
pub(crate) struct FetchArgs {
    /// A model such as vilt, or a repository of the hub: OWNER/NAME or OWNER/NAME@REVISION
    #[arg(value_name = "PRESET|HUB_ID")]
    pub(crate) name: String,
}

/// One of the data sets there are.
fn data_set_name() -> PossibleValuesParser {
    PossibleValuesParser::new(DATASETS.iter().map(|row| row.name))
}
