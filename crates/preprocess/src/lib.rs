//! From samples to batches: texts become tokens and pictures become pixels exactly as the
//! checkpoint's own processor makes them, several at a time and ahead of the model.
//!
//! A [`Processor`] is read from a checkpoint folder in Hugging Face layout and turns a
//! [`Sample`](mmc_data::Sample) into an [`Example`]; [`collate`] lays examples out as a [`Batch`]
//! of tensors; a [`Loader`] does both on worker threads, in an order that does not depend on them.
//!
//! ```
//! use mmc_data::{Arm, Sample};
//! use mmc_preprocess::{Padding, Processor, collate};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! std::fs::write(folder.join("config.json"), r#"{"model_type": "bert"}"#)?;
//! std::fs::write(folder.join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nred\ncar\n")?;
//!
//! let processor = Processor::from_folder(folder, Arm::Text)?;
//! let sample = |id: &str, text: &str| Sample {
//!     id: id.to_owned(),
//!     text: text.to_owned(),
//!     image: None,
//!     target: None,
//!     group: None,
//! };
//! let examples =
//!     [processor.prepare(&sample("1", "A red car"))?, processor.prepare(&sample("2", "Red"))?];
//! let text = collate(&examples, Padding::Longest, processor.pad_id())?.text.unwrap();
//! assert_eq!(text.token_ids.to_vec2::<u32>()?, [[2, 4, 5, 6, 3], [2, 5, 3, 0, 0]]);
//! assert_eq!(text.lengths, [5, 3]);
//! # Ok(())
//! # }
//! ```
//!
//! Not here: reading data sets and decoding picture files (`mmc-data`), and models (`mmc-models`).

mod augment;
mod batch;
mod cache;
mod collate;
mod definition;
mod error;
mod folder;
mod loader;
mod model_kind;
mod order;
mod picture;
mod processor;
mod resize;
mod resizing;
mod size;
mod store;
mod text;

pub use augment::{Augmentation, Draw};
pub use batch::{Batch, Example, ImageInput, Pixels, Targets, TextInput, Tokens};
pub use collate::{Padding, collate};
pub use error::PreprocessError;
pub use loader::{Loader, LoaderOptions, Prepare};
pub use order::Order;
pub use processor::Processor;
pub use resize::{Filter, resize};
pub use store::PictureStore;
pub use text::bounds::TokenBounds;
