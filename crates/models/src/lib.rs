//! Text and image+text classifiers that load and save Hugging Face folders.

mod bert;
mod catalog;
mod checkpoint;
mod classifier;
mod error;
mod vilt;

pub use catalog::{CATALOG, Defaults, Preset, preset};
pub use checkpoint::{
    CheckpointSource, FreshHead, LoadReport, LoadRequest, Loaded, create, load, locate, save,
};
pub use classifier::{Classifier, Logits, Parameter, Pass};
pub use error::ModelError;
