//! `mmc plan`: what of an experiment's data and weights is in place.

use std::path::Path;

use mmc_data::{Dataset, ReadOptions, dataset};
use mmc_models::{CheckpointSource, locate, preset};
use mmc_run::Experiment;
use serde::Serialize;

use crate::cli::PlanArgs;
use crate::failure::Failure;
use crate::output::{print, print_json};

/// What was looked for, and what was found.
#[derive(Serialize)]
struct Found {
    in_place: bool,
    data: DataFound,
    models: Vec<ModelFound>,
    missing: Vec<Missing>,
}

#[derive(Serialize)]
struct DataFound {
    dataset: String,
    root: String,
    in_place: bool,
}

#[derive(Serialize)]
struct ModelFound {
    model: String,
    tiny: bool,
    /// The folder of the weights; null: made from scratch, or not there.
    folder: Option<String>,
    in_place: bool,
}

#[derive(Serialize)]
struct Missing {
    what: String,
    #[serde(rename = "where")]
    place: String,
    how: String,
}

/// Looks for everything and prints it.
pub(crate) fn run(typed: &PlanArgs) -> Result<(), Failure> {
    let experiment = Experiment::read(&typed.grid)?;
    let dataset = dataset(&experiment.dataset)?;
    let root = dataset.root(experiment.data_root.as_deref().map(Path::new));
    let options = ReadOptions {
        labels: experiment.settings.labels.clone(),
        id_column: experiment.settings.id_column.clone(),
        text_column: experiment.settings.text_column.clone(),
        image_column: experiment.settings.image_column.clone(),
        label_column: experiment.settings.label_column.clone(),
        on_bad_item: experiment.settings.on_bad_item.unwrap_or_default(),
        ..ReadOptions::default()
    };
    let mut missing = missing_data(dataset, &root, &options);
    let data = DataFound {
        dataset: dataset.name.to_owned(),
        root: root.display().to_string(),
        in_place: missing.is_empty(),
    };
    let mut models = Vec::new();
    for name in experiment.grid.text_models.iter().chain(&experiment.grid.multimodal_models) {
        let row = preset(name)?;
        let (folder, in_place) = match locate(row, None) {
            Ok(CheckpointSource::Folder(folder)) => (Some(folder.display().to_string()), true),
            Ok(CheckpointSource::FromScratch) => (None, true),
            Err(error) => {
                missing.push(Missing {
                    what: format!("weights of {name}"),
                    place: format!("models/{name}"),
                    how: error.to_string(),
                });
                (None, false)
            }
        };
        models.push(ModelFound { model: name.clone(), tiny: row.tiny, folder, in_place });
    }
    let found = Found { in_place: missing.is_empty(), data, models, missing };
    if typed.json { print_json(&found) } else { print(&words(&found)) }
}

/// What keeps a study from being made on this folder: a split that is absent, cannot be read or
/// has no labels.
fn missing_data(dataset: &Dataset, root: &Path, options: &ReadOptions) -> Vec<Missing> {
    let data = |what: String, how: String| Missing { what, place: root.display().to_string(), how };
    let Ok(splits) = dataset.resolve_splits(root) else {
        return vec![data(format!("{} data", dataset.name), dataset.obtain.to_owned())];
    };
    let mut missing = Vec::new();
    for name in [splits.train, splits.selection, splits.test] {
        let what = format!("{} split `{name}`", dataset.name);
        match dataset.read(root, &name, options) {
            Ok(split) if split.is_labelled() => {}
            Ok(split) => {
                let path = split.path.display();
                missing.push(data(format!("labels of {what}"), format!("{path} has none")));
            }
            Err(error) => missing.push(data(what, error.to_string())),
        }
    }
    missing
}

fn words(found: &Found) -> String {
    if found.in_place {
        return format!("data in {} and all weights are in place", found.data.root);
    }
    let lines = found.missing.iter().map(|at| format!("{} ({}): {}", at.what, at.place, at.how));
    lines.collect::<Vec<_>>().join("\n")
}
