//! The rows that `predict` and `embed` read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mmc_data::{Sample, Samples, Split};

use crate::checkpoint::{Checkpoint, For};
use crate::cli::InputArgs;
use crate::failure::Failure;

/// Rows that are written at once, about.
const PART: usize = 256;

/// A checkpoint and the rows it is asked about, which are read as they are needed.
pub(crate) struct Inputs {
    /// The model.
    pub(crate) checkpoint: Checkpoint,
    /// The rows, without labels.
    pub(crate) rows: mmc_data::Inputs,
}

impl Inputs {
    /// Opens the checkpoint and checks the rows. Pictures are looked for and not opened.
    pub(crate) fn read(typed: &InputArgs, wanted: For) -> Result<Self, Failure> {
        let image_root = typed.image_root.clone().unwrap_or_else(|| folder_of(&typed.input));
        let device = typed.devices.device()?;
        let checkpoint = Checkpoint::open(&typed.checkpoint, typed.max_length, wanted, device)?;
        let arm = checkpoint.arm();
        let columns = typed.columns();
        let rows = mmc_data::Inputs::open_columns(&typed.input, &image_root, arm, columns)?;
        if let (true, Some(id)) = (arm.uses_image(), rows.first_without_picture()) {
            return Err(Failure::work(format!(
                "{}: row `{id}` has no `image`, which the checkpoint (arm `{arm}`) needs; add a \
                 picture or drop the row",
                typed.input.display(),
            )));
        }
        Ok(Self { checkpoint, rows })
    }

    /// Rows that are written at once: a multiple of those of a forward pass, so that parts do not
    /// change what is computed together.
    pub(crate) fn rows_of_part(&self) -> usize {
        let rows_of_pass = self.checkpoint.options().rows;
        (PART / rows_of_pass).max(1) * rows_of_pass
    }

    /// What must be the same for two calls to write one file.
    pub(crate) fn about(&self, typed: &InputArgs) -> Result<serde_json::Value, Failure> {
        Ok(serde_json::json!({
            "checkpoint": digests(&typed.checkpoint)?,
            "classes": self.checkpoint.labels,
            "columns": typed.columns(),
            "input": digest(&typed.input)?,
            "max_length": self.checkpoint.processor.max_length(),
            "padding": format!("{:?}", self.checkpoint.options().padding),
            "rows": self.checkpoint.options().rows,
        }))
    }

    /// The rows behind the first `done`, in parts.
    pub(crate) fn parts(&self, done: usize) -> Result<Parts<'_>, Failure> {
        let (mut samples, rows_of_part) = (self.rows.samples()?, self.rows_of_part());
        for sample in samples.by_ref().take(done) {
            sample?;
        }
        Ok(Parts { path: self.rows.path(), samples, rows_of_part })
    }
}

/// Rows in parts that are written at once.
pub(crate) struct Parts<'a> {
    path: &'a Path,
    samples: Samples<'a>,
    rows_of_part: usize,
}

impl Parts<'_> {
    /// The next part; `None` where there are no more rows.
    pub(crate) fn next(&mut self) -> Result<Option<Arc<Split>>, Failure> {
        let samples: Vec<Sample> =
            self.samples.by_ref().take(self.rows_of_part).collect::<Result<_, _>>()?;
        let part = (!samples.is_empty()).then(|| Split::of_inputs(self.path, samples));
        Ok(part.map(Arc::new))
    }
}

fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Digests of the files of a checkpoint, by name: whatever its weights are in.
fn digests(folder: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let mut digests = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            digests.insert(name, digest(&path)?);
        }
    }
    Ok(digests)
}

/// Hex SHA-256 of a file.
fn digest(path: &Path) -> Result<String, Failure> {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    std::io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(format!("{:x}", hasher.finalize()))
}
