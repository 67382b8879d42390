//! Text and image+text classifiers, written for training, that load and save Hugging Face folders.
//!
//! [`CATALOG`] lists the models. [`locate`] finds a checkpoint, [`create`] makes a tiny one from
//! scratch, [`load`] gives a [`Classifier`] and a report of what became of every tensor, [`save`]
//! writes a folder that transformers reads.
//!
//! ```
//! use candle_core::Device;
//! use mmc_models::{CreateRequest, FreshHead, LoadRequest, create, load, preset};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let folder = folder.path().join("initial");
//! let labels = ["no".to_owned(), "yes".to_owned()];
//! let request = CreateRequest {
//!     preset: preset("vilt-tiny")?,
//!     arm: None, // all that the model has
//!     head: None, // its default
//!     texts: &["a red car", "a blue car"],
//!     labels: &labels,
//!     seed: 0,
//! };
//! create(&request, &folder)?;
//!
//! let loaded = load(&LoadRequest {
//!     folder: &folder,
//!     labels: &labels,
//!     arm: None,  // the folder's own
//!     head: None, // the folder's own
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
//! **Files from strangers.** Reading a folder, its processor and one text takes at most 8 times the
//! bytes of its files of weights, 128 times those of its other files, and 128 MiB, whatever they
//! say: sizes are held to the files before memory is taken. JSON files have at most 4 MiB,
//! vocabularies 32 MiB, the header of a safetensors file 8 MiB, the pickle and the directory of a
//! `pytorch_model.bin` 4 MiB each. Nothing in a pickle is called. `tests/hostile.rs` holds it to
//! 100,000 damaged folders; what a forward takes depends on the model and is not bounded here.
//!
//! Not here: turning samples into batches (`mmc-preprocess`), the training loop (`mmc-train`), any
//! data set.

mod architecture;
mod bert;
mod block;
mod bpe;
mod byte_vocabulary;
mod catalog;
mod checkpoint;
mod classifier;
mod clip;
mod config;
mod depth;
mod error;
mod flava;
pub mod hub;
mod interpolation;
mod layers;
mod locate;
mod lora;
mod outline;
mod packing;
mod pairing;
mod parameters;
mod patches;
mod post_norm;
mod pre_norm;
mod roberta;
mod scratch;
mod states;
mod text;
mod vilt;
mod vocabulary;

pub use catalog::{CATALOG, Defaults, Preset, preset};
pub use checkpoint::{
    FreshHead, HeadOrigin, LoadReport, LoadRequest, Loaded, arms_of, load, load_to_train,
    named_classes, save, save_adapter,
};
pub use classifier::{Classifier, Logits, Parameter, Pass};
pub use error::{HubError, ModelError};
pub use locate::{CheckpointSource, locate};
pub use lora::{LoraSettings, LowRank, Trained};
pub use outline::{OutlineRequest, outline};
pub use pairing::{Encoded, Pairing};
pub use scratch::{CreateRequest, create};
pub use states::{EncoderStates, States};
