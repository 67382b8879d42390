//! Readers, checks and generators of text and image classification data sets.

/// What a data set holds, and what is wrong with it.
pub mod check;
mod dataset;
/// Generated data sets whose truth is known.
pub mod demo;
mod error;
#[cfg(test)]
mod fixture;
mod hateful_memes;
mod inputs;
mod picture;
mod place;
mod rows;
mod sample;
mod scan;
mod table;

pub use dataset::{DATASETS, Dataset, OnBadItem, ReadOptions, SplitInfo, StudySplits, dataset};
pub use error::DataError;
pub use inputs::read_inputs;
pub use picture::decode;
pub use sample::{Arm, ImageSource, Sample, Split, SplitName, Target};
