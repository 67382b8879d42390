//! `mmc data` and the verbs below it.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use mmc_data::Arm;
use mmc_data::demo::Format;

use super::examples::{AFTER_DATA_CHECK, AFTER_DATA_DEMO, AFTER_DATA_INFO, AFTER_DATA_SPLIT};
use super::settings::one_of;
use super::{ColumnFlags, data_set_name};

/// `mmc data`.
#[derive(Args, Debug)]
pub(crate) struct DataArgs {
    /// The verb below `data`.
    #[command(subcommand)]
    pub(crate) command: DataCommand,
}

/// The verbs of `mmc data`.
#[derive(Subcommand, Debug)]
pub(crate) enum DataCommand {
    /// Write a made-up set in a data set's format, whose truth is known
    #[command(after_help = AFTER_DATA_DEMO)]
    Demo(DemoArgs),
    /// Read every split, open every picture, and say what is wrong with them
    #[command(after_help = AFTER_DATA_CHECK)]
    Check(DataSetArgs),
    /// Say what a data set is, how to get it and what lies in its folder
    #[command(after_help = AFTER_DATA_INFO)]
    Info(InfoArgs),
    /// Split one table into train, val and test, with no picture in two of them
    #[command(after_help = AFTER_DATA_SPLIT)]
    Split(SplitArgs),
}

/// `mmc data demo`.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// The data set whose format is written
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Format::names()))]
    pub(crate) dataset: String,
    /// What decides the label
    #[arg(long, value_name = "TRUTH")]
    #[arg(value_parser = ["interaction", "redundant", "image", "text", "none"])]
    pub(crate) truth: String,
    /// The folder to write; it must be absent or empty
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Rows of the training split; the selection split has a sixth, the test split a third of it
    /// [default: what tiny models learn it from, such as 3000]
    #[arg(long, value_name = "N")]
    pub(crate) items: Option<usize>,
    /// The seed; the same seed gives the same bytes everywhere
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

/// `mmc data split`.
#[derive(Args, Debug)]
pub(crate) struct SplitArgs {
    /// The table, .csv, .jsonl or .parquet
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// The folder to write train, val and test into, in the table's format; made where it is absent
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The shares of train, val and test, in sum 1
    #[arg(
        long,
        value_name = "X,X,X",
        value_delimiter = ',',
        num_args = 1,
        default_value = ".8,.1,.1"
    )]
    pub(crate) fractions: Vec<f64>,
    /// A column whose equal values stay together, such as an author; rows with the same picture always do
    #[arg(long, value_name = "COLUMN")]
    pub(crate) group: Option<String>,
    /// The column whose values are spread evenly [default: label]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) stratify: Option<String>,
    /// The column of pictures [default: image, else img]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) image_column: Option<String>,
    /// The seed; the same seed gives the same files
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

/// `mmc data check`.
#[derive(Args, Debug)]
pub(crate) struct DataSetArgs {
    /// The data set; `mmc data info` says what they are
    #[arg(long, value_name = "NAME", value_parser = data_set_name())]
    pub(crate) dataset: String,
    /// Its folder, or a .zip or .tar of it [default: $MMC_DATA/NAME, else data/NAME]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_root: Option<PathBuf>,
    /// What models will be shown: for text alone no picture needs to be there, and none is opened
    #[arg(long, value_name = "ARM", default_value = "both")]
    #[arg(value_parser = one_of::<Arm>(&["both", "text", "image"]))]
    pub(crate) arm: Arm,
    /// The columns of a table that has others.
    #[command(flatten)]
    pub(crate) columns: ColumnFlags,
    /// Count tokens for this checkpoint alone: a folder, a hub id that was fetched, or a model's name
    /// [default: all published models; exact for those in place, else bounds]
    #[arg(long, value_name = "DIR|NAME")]
    pub(crate) checkpoint: Option<String>,
    /// Also write a page to look at, with some rows and their pictures, into this file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Print one JSON object and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}

/// `mmc data info`.
#[derive(Args, Debug)]
pub(crate) struct InfoArgs {
    /// The data set; all of them where absent
    #[arg(long, value_name = "NAME", value_parser = data_set_name())]
    pub(crate) dataset: Option<String>,
    /// Its folder, or a .zip or .tar of it [default: $MMC_DATA/NAME, else data/NAME]
    #[arg(long, value_name = "DIR", requires = "dataset")]
    pub(crate) data_root: Option<PathBuf>,
    /// Print one JSON object and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}
