//! What a checkpoint says of how it was trained.

use std::io::Write as _;
use std::path::Path;

use mmc_run::{RunError, Settings};

use crate::TrainError;

/// Adds to a checkpoint's `mmc.json` how inputs were prepared, so that it predicts the same
/// wherever it is copied.
pub(crate) fn inputs(path: &Path, settings: &Settings) -> Result<(), TrainError> {
    let fault = |error: serde_json::Error| TrainError::io(path)(error.into());
    let text = std::fs::read(path).map_err(TrainError::io(path))?;
    let mut notes: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&text).map_err(fault)?;
    notes.insert("max_length".to_owned(), settings.max_length.into());
    notes.insert("pad".to_owned(), settings.pad.to_string().into());
    notes.insert("shard_rows".to_owned(), settings.shard_rows.into());
    let text = serde_json::to_string_pretty(&notes).map_err(fault)?;
    let write = |out: &mut std::io::BufWriter<&std::fs::File>| {
        out.write_all(format!("{text}\n").as_bytes())
            .map_err(|source| RunError::Io { path: path.to_owned(), source })
    };
    Ok(mmc_run::write_atomically(path, write)?)
}
