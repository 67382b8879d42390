//! Training, prediction and exact resume of text, picture and text+picture classifiers.
//!
//! [`resolve`] decides what will run (preset < configuration file < flags) and reads the data;
//! [`train`] does it in a run's folder. A step is a sum over shards of fixed rows, added in their
//! order, so threads, workers and accumulation change no byte; dropout and order are functions of
//! the step, and the state between two steps is saved whole, so a run that is killed at any moment
//! and gone on with ends in the same bytes as one that was not.
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//! use mmc_run::{PartialSettings, RunFolder};
//! use mmc_train::{Outcome, resolve, train};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let data = tempfile::tempdir()?;
//! let rows = "text,label\nwhat a lovely day,good\na nasty smell,bad\nlovely food,good\nnasty,bad\n";
//! for split in ["train", "val", "test"] {
//!     std::fs::write(data.path().join(format!("{split}.csv")), rows)?;
//! }
//! let asked = PartialSettings {
//!     model: Some("bert-tiny".to_owned()),
//!     dataset: Some("table".to_owned()),
//!     data_root: Some(data.path().display().to_string()),
//!     epochs: Some(2),
//!     ..PartialSettings::default()
//! };
//! let plan = resolve(PartialSettings::default(), asked)?;
//! let folder = RunFolder::create(&data.path().join("run"))?;
//! let outcome = train(&plan, &folder, &AtomicBool::new(false), &mut |_event| ())?;
//! let Outcome::Finished(finished) = outcome else { unreachable!("nobody interrupted it") };
//! assert_eq!(finished.scores["test"].n, 4);
//! # Ok(())
//! # }
//! ```
//!
//! Not here: any data set or architecture by name (rows of the tables of `mmc-data` and
//! `mmc-models`), scores (`mmc-metrics`), the run's files (`mmc-run`), printing.

mod adders;
mod code;
mod cost;
mod device;
mod diagnose;
mod error;
mod estimate;
mod feed;
mod finish;
mod fit;
mod intervention;
mod keep;
mod language;
mod loss_scale;
mod memory;
mod moved;
mod objective;
mod optimizer;
mod pair_grid;
mod pictures;
mod place;
mod plan;
mod predict;
mod progress;
mod ranks;
mod rehearse;
mod replicas;
mod represented;
mod resume;
mod schedule;
mod score;
mod settings;
mod shared;
mod side_by_side;
mod start;
mod step;
mod variant;
mod vocabulary;
mod watched;

pub use code::versions;
pub use cost::peak_memory_bytes;
pub use device::{ComputeDevice, Devices};
pub use diagnose::{Diagnosing, diagnose};
pub use error::TrainError;
pub use estimate::{Amount, Estimate, settings_without_data};
pub use fit::train;
pub use intervention::{Intervention, Modality, partners};
pub use memory::{Memory, Workload};
pub use optimizer::{AdamW, AdamWSettings, sum_of_squares, sums_of_squares};
pub use plan::{Cut, StepPlan};
pub use predict::{
    Embeddings, PredictOptions, Predicted, cut_texts_warning, embed, predict, predict_until,
    skipped_warning,
};
pub use progress::{Finished, Outcome, Progress};
pub use ranks::{Ranks, Session, Transport};
pub use rehearse::{Rehearsal, rehearse};
pub use schedule::Schedule;
pub use settings::{Plan, resolve, resolve_on};
pub use variant::trained;
