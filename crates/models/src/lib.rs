//! Text and image+text classifiers that load and save Hugging Face folders.

mod architecture;
mod bert;
mod catalog;
mod checkpoint;
mod classifier;
mod config;
mod error;
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
pub use error::ModelError;
pub use locate::{CheckpointSource, locate};
pub use scratch::create;
