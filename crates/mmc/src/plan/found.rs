//! What of an experiment's data and weights is in place.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Device;
use mmc_data::demo::manifest;
use mmc_data::{Arm, Dataset, ReadOptions, dataset};
use mmc_models::{CheckpointSource, FreshHead, LoadRequest, Preset, load, locate, preset};
use mmc_preprocess::Processor;
use mmc_run::Experiment;
use mmc_train::{Amount, versions};
use serde::Serialize;

use crate::failure::Failure;

/// What was looked for, and what was found.
#[derive(Serialize)]
pub(super) struct Found {
    pub(super) in_place: bool,
    pub(super) data: DataFound,
    pub(super) models: Vec<ModelFound>,
    missing: Vec<Missing>,
    /// What runs of this program record of it.
    versions: BTreeMap<String, String>,
}

#[derive(Serialize)]
pub(super) struct DataFound {
    dataset: String,
    root: String,
    in_place: bool,
}

#[derive(Serialize)]
pub(super) struct ModelFound {
    pub(super) model: String,
    tiny: bool,
    /// The folder of the weights; null: made from scratch, or not there.
    pub(super) folder: Option<String>,
    in_place: bool,
}

#[derive(Serialize)]
pub(super) struct Missing {
    what: String,
    #[serde(rename = "where")]
    place: String,
    how: String,
}

/// What lies where an experiment looks for it.
pub(super) struct Looked {
    pub(super) found: Found,
    /// The items of the splits, where all can be read.
    pub(super) amount: Option<Amount>,
    pub(super) classes: usize,
}

/// Looks for everything.
pub(super) fn look(experiment: &Experiment) -> Result<Looked, Failure> {
    let dataset = dataset(&experiment.dataset)?;
    let root = dataset.root(experiment.data_root.as_deref().map(Path::new));
    let options = ReadOptions { arm: Arm::Both, ..experiment.settings.read_options() };
    let sees_pictures = experiment.grid.runs().iter().any(|run| run.arm.uses_image());
    let shown = if sees_pictures { Arm::Both } else { Arm::Text };
    let seen = look_at_data(dataset, &root, (&options, shown));
    let mut missing = seen.missing;
    let data = DataFound {
        dataset: dataset.name.to_owned(),
        root: root.display().to_string(),
        in_place: missing.is_empty(),
    };
    let amount = seen.amount.filter(|_| data.in_place);
    let mut models = Vec::new();
    let grid = &experiment.grid;
    for name in grid.text_models.iter().chain(&grid.multimodal_models) {
        let mut arms: Vec<Arm> = Vec::new();
        for run in grid.runs().into_iter().filter(|run| run.model == *name) {
            if !arms.contains(&run.arm) {
                arms.push(run.arm);
            }
        }
        let given = experiment.settings.checkpoint.as_deref();
        let (model, lacking) = look_at_model(preset(name)?, given, &arms, &seen.labels);
        models.push(model);
        missing.extend(lacking);
    }
    let found = Found { in_place: missing.is_empty(), data, models, missing, versions: versions() };
    Ok(Looked { found, amount, classes: seen.labels.len() })
}

/// What keeps a study from being made on a folder, and its classes as far as they are known.
struct DataLook {
    missing: Vec<Missing>,
    labels: Vec<String>,
    amount: Option<Amount>,
}

/// Reads the splits of a study. What keeps it from being made: a generated set in place of the
/// real one, a split that is absent, cannot be read, has no labels, or no picture for an arm that needs one.
fn look_at_data(dataset: &Dataset, root: &Path, (options, arm): (&ReadOptions, Arm)) -> DataLook {
    let data = |what: String, how: String| Missing { what, place: root.display().to_string(), how };
    let mut labels: Vec<String> =
        dataset.classes.unwrap_or_default().iter().map(|&name| name.to_owned()).collect();
    let name = format!("{} data", dataset.name);
    let Ok(splits) = dataset.resolve_splits(root) else {
        let missing = vec![data(name, dataset.obtain.to_owned())];
        return DataLook { missing, labels, amount: None };
    };
    let mut missing = Vec::new();
    if let Ok(Some(made)) = manifest(root) {
        let how = format!(
            "what lies there is a generated set (`demo.json` says so, truth: {}), on which no \
             study can be made; move it elsewhere and put the real one in its place: {}",
            made.truth, dataset.obtain
        );
        missing.push(data(name, how));
        return DataLook { missing, labels, amount: None };
    }
    let mut items = [0; 3];
    for (items, name) in items.iter_mut().zip([splits.train, splits.selection, splits.test]) {
        let what = format!("{} split `{name}`", dataset.name);
        let read = dataset.read(root, &name, options).and_then(|split| {
            split.check_pictures(arm)?;
            Ok(split)
        });
        match read {
            Ok(split) if split.is_labelled() => {
                labels.clone_from(&split.labels);
                *items = split.len();
            }
            Ok(split) => {
                let path = split.path.display();
                let how = format!("{path} has none; put the file that has them in its place");
                missing.push(data(format!("labels of {what}"), how));
            }
            Err(error) => missing.push(data(what, error.to_string())),
        }
    }
    let [train, each_epoch, test] = items;
    let amount = Some(Amount { train, each_epoch, at_end: each_epoch + test });
    DataLook { missing, labels, amount }
}

/// Finds the weights of a model and opens all that a run of it opens, for each arm: a folder that
/// is there and cannot be used is as good as none.
fn look_at_model(
    row: &Preset,
    given: Option<&str>,
    arms: &[Arm],
    labels: &[String],
) -> (ModelFound, Vec<Missing>) {
    let what = format!("weights of {}", row.name);
    let mut missing = Vec::new();
    let folder = match locate(row, given) {
        Ok(CheckpointSource::FromScratch) => None,
        Ok(CheckpointSource::Folder(folder)) => {
            for error in arms.iter().filter_map(|&arm| open(&folder, arm, labels).err()) {
                let how = format!(
                    "{error}; copy the checkpoint's folder again, with `config.json`, the \
                     weights, the tokenizer's and, if it has one, the image processor's files"
                );
                let place = folder.display().to_string();
                if !missing.iter().any(|other: &Missing| other.how == how) {
                    missing.push(Missing { what: what.clone(), place, how });
                }
            }
            Some(folder.display().to_string())
        }
        Err(error) => {
            let place = format!("models/{}", row.name);
            missing.push(Missing { what, place, how: error.to_string() });
            None
        }
    };
    let in_place = missing.is_empty();
    (ModelFound { model: row.name.to_owned(), tiny: row.tiny, folder, in_place }, missing)
}

/// Opens the weights, the tokenizer and the image processor as a run does.
fn open(folder: &Path, arm: Arm, labels: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let two = ["0".to_owned(), "1".to_owned()]; // where the data is missing, its classes are too
    Processor::from_folder(folder, arm)?;
    load(&LoadRequest {
        folder,
        labels: if labels.is_empty() { &two } else { labels },
        arm: Some(arm),
        head: None,
        fresh_head: FreshHead::Allowed { seed: 0 },
        dropout: None,
        device: &Device::Cpu,
    })?;
    Ok(())
}

/// The same for people.
pub(super) fn words(found: &Found) -> String {
    if found.in_place {
        return format!("data in {} and all weights are in place", found.data.root);
    }
    let lines = found.missing.iter().map(|at| format!("{} ({}): {}", at.what, at.place, at.how));
    lines.collect::<Vec<_>>().join("\n")
}
