//! The run's checkpoint: a model with what goes beside it.

use std::io::Write as _;
use std::path::Path;

use mmc_data::Task;
use mmc_models::{CheckpointSource, Classifier};
use mmc_run::{RunError, RunFolder};

use crate::{Plan, TrainError, place, resume};

/// Writes the model as it is now to `checkpoint/`. `source`: the folder whose files beside the
/// weights go there too.
pub(crate) fn keep(
    plan: &Plan,
    folder: &RunFolder,
    model: &dyn Classifier,
    source: &Path,
) -> Result<(), TrainError> {
    place::replace(&folder.state(), &folder.checkpoint(), |made| {
        // Whole before it gets its name: what has that name is taken for a checkpoint.
        let aside = made.with_file_name(".checkpoint.noted");
        resume::remove(&aside)?;
        mmc_models::save(model, source, plan.classes(), plan.preset.name, &aside)?;
        note_inputs(&aside.join("mmc.json"), plan)?;
        let given = matches!(plan.source, CheckpointSource::Folder(_));
        let base = given.then_some(plan.settings.checkpoint.as_str());
        mmc_models::save_adapter(model, source, base, &aside.join("adapter"))?;
        std::fs::rename(&aside, made).map_err(TrainError::io(made))
    })
}

/// Adds to a checkpoint's `mmc.json` how inputs were prepared, so that it predicts the same
/// wherever it is copied.
fn note_inputs(path: &Path, plan: &Plan) -> Result<(), TrainError> {
    let settings = &plan.settings;
    let fault = |error: serde_json::Error| TrainError::io(path)(error.into());
    let text = std::fs::read(path).map_err(TrainError::io(path))?;
    let mut notes: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&text).map_err(fault)?;
    if plan.dataset.task == Task::Answers {
        notes.insert("task".to_owned(), "answers".into());
    }
    notes.insert("max_length".to_owned(), settings.max_length.into());
    notes.insert("pad".to_owned(), settings.pad.to_string().into());
    notes.insert("shard_rows".to_owned(), settings.shard_rows.into());
    if settings.jpeg_scaling {
        notes.insert("jpeg_scaling".to_owned(), true.into());
    }
    let text = serde_json::to_string_pretty(&notes).map_err(fault)?;
    let write = |out: &mut std::io::BufWriter<&std::fs::File>| {
        out.write_all(format!("{text}\n").as_bytes())
            .map_err(|source| RunError::Io { path: path.to_owned(), source })
    };
    Ok(mmc_run::write_atomically(path, write)?)
}
