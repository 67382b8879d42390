//! The rows that `predict` and `embed` read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mmc_data::{Split, read_inputs};

use crate::checkpoint::{Checkpoint, For};
use crate::cli::InputArgs;
use crate::failure::Failure;

/// A checkpoint and the rows it is asked about.
pub(crate) struct Inputs {
    /// The model.
    pub(crate) checkpoint: Checkpoint,
    /// The rows, without labels.
    pub(crate) split: Split,
}

impl Inputs {
    /// Opens the checkpoint and reads the rows. Pictures are looked for and not opened.
    pub(crate) fn read(typed: &InputArgs, wanted: For) -> Result<Self, Failure> {
        let image_root = typed.image_root.clone().unwrap_or_else(|| folder_of(&typed.input));
        let checkpoint = Checkpoint::open(&typed.checkpoint, typed.max_length, wanted)?;
        let arm = checkpoint.arm();
        let samples = read_inputs(&typed.input, &image_root, arm)?;
        let bare = samples.iter().find(|sample| sample.image.is_none());
        if let (true, Some(sample)) = (arm.uses_image(), bare) {
            return Err(Failure::work(format!(
                "{}: row `{}` has no `image`, which the checkpoint (arm `{arm}`) needs; add a \
                 picture or drop the row",
                typed.input.display(),
                sample.id
            )));
        }
        Ok(Self { checkpoint, split: Split::of_inputs(&typed.input, samples) })
    }

    /// The rows from `first` to `end`.
    pub(crate) fn part(&self, first: usize, end: usize) -> Arc<Split> {
        let samples = self.split.samples[first..end].to_vec();
        Arc::new(Split::of_inputs(&self.split.path, samples))
    }
}

fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
