//! What can be typed after `mmc diagnose`.

use std::path::PathBuf;

use clap::Args;

use super::columns::ColumnFlags;
use super::{DeviceFlags, data_set_name};

/// `mmc diagnose`: checkpoints of a model on a split, or a finished run.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("source").required(true))]
pub(crate) struct DiagnoseArgs {
    /// The model's trained checkpoint, such as RUN_DIR/checkpoint; more of other seeds may follow
    #[arg(long, value_name = "DIR", group = "source", num_args = 1..)]
    #[arg(requires_all = ["dataset", "split"])]
    pub(crate) checkpoint: Vec<PathBuf>,
    /// A finished run instead: its checkpoint, data and test split; RUN_DIR/diagnosis.json is
    /// written, and kept where it is of the same checkpoint, data and options
    #[arg(long, value_name = "RUN_DIR", group = "source")]
    #[arg(conflicts_with_all = ["dataset", "split", "text_arm", "text_model"])]
    pub(crate) run: Option<PathBuf>,
    /// The data set; `mmc data info` says what they are
    #[arg(long, value_name = "NAME", value_parser = data_set_name())]
    pub(crate) dataset: Option<String>,
    /// The data set's folder, or a .zip or .tar of it [default: that of the run, or $MMC_DATA/NAME, else data/NAME]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_root: Option<PathBuf>,
    /// The split to look at, by its published name
    #[arg(long, value_name = "NAME", requires = "dataset")]
    pub(crate) split: Option<String>,
    /// The columns of a table that has others.
    #[command(flatten)]
    pub(crate) columns: ColumnFlags,
    /// What computes.
    #[command(flatten)]
    pub(crate) devices: DeviceFlags,
    /// Checkpoints of the same model trained with --arm text, in the order of the seeds of
    /// --checkpoint: what the picture adds by itself
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub(crate) text_arm: Vec<PathBuf>,
    /// Checkpoints of the text model to gain over, one a seed: the whole ledger
    #[arg(long, value_name = "DIR", num_args = 1.., requires = "text_arm")]
    pub(crate) text_model: Vec<PathBuf>,
    /// The score [default: auroc for two classes, else accuracy]
    #[arg(long, value_name = "METRIC")]
    pub(crate) metric: Option<String>,
    /// The smallest gain that matters, for what is said in words
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    pub(crate) margin: f64,
    /// The positive class of a binary task [default: the second class]
    #[arg(long, value_name = "NAME")]
    pub(crate) positive: Option<String>,
    /// How often texts, and pictures, are exchanged between items
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) permutations: u32,
    /// Items whose texts and pictures all meet, N x N pairs: all items where N is as many, else
    /// three seeded subsets [default: by cost, which the log says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) pair_items: Option<u32>,
    /// The seed of exchanges and subsets
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Print one JSON object and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}
