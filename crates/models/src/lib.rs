//! Text and image+text classifiers, written for training, that load and save Hugging Face folders.
//!
//! [`CATALOG`] lists the models. [`locate`] finds a checkpoint, [`create`] makes a tiny one from
//! scratch, [`load`] gives a [`Classifier`] and a report of what became of every tensor, [`save`]
//! writes a folder that transformers reads.
//!
//! ```
//! use candle_core::Device;
//! use mmc_models::{FreshHead, LoadRequest, create, load, preset};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let folder = folder.path().join("initial");
//! let labels = ["no".to_owned(), "yes".to_owned()];
//! create(preset("vilt-tiny")?, &["a red car", "a blue car"], &labels, 0, &folder)?;
//!
//! let loaded = load(&LoadRequest {
//!     folder: &folder,
//!     labels: &labels,
//!     arm: None, // all that the model has
//!     fresh_head: FreshHead::Refused,
//!     dropout: None, // the checkpoint's own
//!     device: &Device::Cpu,
//! })?;
//! assert_eq!(loaded.model.classes(), 2);
//! assert!(loaded.report.fresh.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! [`hub`] fetches a checkpoint from the Hugging Face hub; nothing else uses the network.
//!
//! Not here: turning samples into batches (`mmc-preprocess`), the training loop (`mmc-train`), any
//! data set.

mod architecture;
mod bert;
mod bpe;
mod catalog;
mod checkpoint;
mod classifier;
mod config;
mod error;
pub mod hub;
mod layers;
mod locate;
mod parameters;
mod patches;
mod scratch;
mod vilt;
mod vocabulary;

pub use catalog::{CATALOG, Defaults, Preset, preset};
pub use checkpoint::{FreshHead, HeadOrigin, LoadReport, LoadRequest, Loaded, load, save};
pub use classifier::{Classifier, Logits, Parameter, Pass};
pub use error::{HubError, ModelError};
pub use locate::{CheckpointSource, locate};
pub use scratch::create;
