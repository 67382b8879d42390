//! Data sets of texts and pictures with labels: read strictly, checked whole, generated at will.
//!
//! A row of a file becomes a [`Sample`]; a file becomes a [`Split`]; what is known of a published
//! set is a row of [`DATASETS`]. Every error names the file, the line and the remedy.
//!
//! ```
//! use mmc_data::{ReadOptions, check, dataset, decode, demo};
//!
//! # let folder = tempfile::tempdir()?;
//! # let root = folder.path().join("memes");
//! // A generated set in the format of Hateful Memes, in which only text and picture together
//! // decide the label.
//! let set = demo::DemoSet::new(demo::Truth::Interaction, 0).with_items(40);
//! demo::write(&set, &root)?;
//!
//! let memes = dataset("hateful_memes")?;
//! let train = memes.read(&root, "train", &ReadOptions::default())?;
//! assert_eq!(train.labels, ["not_hateful", "hateful"]);
//! assert_eq!(train.class_counts().iter().sum::<usize>(), 40);
//!
//! let sample = &train.samples[0];
//! let picture = decode(sample.image.as_ref().ok_or("no picture")?)?;
//! assert_eq!(picture.dimensions(), (64, 64));
//!
//! let report = check::check(memes, &root, &ReadOptions::default())?;
//! assert!(report.is_usable(), "{report}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Not here: tokens and tensors (`mmc-preprocess`), scores (`mmc-metrics`), downloads. Pictures
//! are looked for when a split is read and opened only when they are decoded.

mod answers;
mod archive;
pub mod check;
mod columnar;
mod columns;
mod dataset;
mod datasets;
pub mod demo;
mod error;
#[cfg(test)]
mod fixture;
mod groups;
mod hateful_memes;
mod inputs;
mod jpeg;
mod json_list;
mod language;
mod packed;
mod picture;
mod place;
mod rows;
mod sample;
mod scan;
mod scratch;
mod shared;
mod snli_ve;
mod source;
pub mod splitting;
mod table;
mod thumbnail;
mod values;
mod vqa_v2;

pub use answers::Answers;
pub use columnar::{Batches, Columnar};
pub use columns::InputColumns;
pub use dataset::{
    AnswerSource, Dataset, OnBadItem, ReadOptions, SplitInfo, StudySplits, Task, dataset,
};
pub use datasets::DATASETS;
pub use error::DataError;
pub use inputs::{Inputs, Samples, read_inputs};
pub use language::{TextLanguage, text_language};
pub use packed::Packed;
pub use picture::{Decoded, Least, Rows, Shape, decode, decode_at_least, decode_rows};
pub use sample::{Arm, ImageSource, Sample, Split, SplitName, Target};
pub use shared::{Shared, shared};
pub use thumbnail::thumbnail;
