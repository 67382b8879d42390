//! A trained checkpoint, opened for `evaluate`, `predict` and `embed`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Device;
use mmc_data::{Arm, Task};
use mmc_models::{Classifier, FreshHead, LoadRequest, Loaded, load, preset};
use mmc_preprocess::{Padding, Processor};
use mmc_run::{Pad, RunFolder};
use mmc_train::{ComputeDevice, PredictOptions, cut_texts_warning};
use serde::Deserialize;

use crate::failure::Failure;

/// A model with the processor that belongs to it.
pub(crate) struct Checkpoint {
    folder: PathBuf,
    /// The preset that the model is of.
    pub(crate) preset: String,
    /// The model.
    pub(crate) model: Box<dyn Classifier>,
    /// Makes its inputs.
    pub(crate) processor: Arc<Processor>,
    /// Its classes, in the order of its logits.
    pub(crate) labels: Vec<String>,
    /// What it predicts.
    task: Task,
    padding: Padding,
    /// Rows of a forward pass: sums in f32 depend on it.
    pub(crate) rows: Option<usize>,
    device: Device,
}

/// What a checkpoint is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// Classes: it must have a head.
    Classes,
    /// Vectors: the head is not read, so a pretrained checkpoint without one will do.
    Vectors,
}

/// What `mmc.json` says of how a model was trained to read, and its classes.
#[derive(Deserialize, Default)]
struct Recorded {
    max_length: Option<usize>,
    pad: Option<Pad>,
    shard_rows: Option<usize>,
    #[serde(default)]
    jpeg_scaling: bool,
    #[serde(default)]
    task: Task,
    #[serde(default)]
    classes: Vec<String>,
}

impl Recorded {
    /// What a folder says; where it says nothing, the run that it lies in.
    fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join("mmc.json");
        let mut recorded = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Self::default(),
            Err(error) => return Err(Failure::work(format!("{}: {error}", path.display()))),
            Ok(text) => serde_json::from_str(&text).map_err(|error| {
                let path = path.display();
                Failure::work(format!("{path}: {error}; copy the checkpoint again"))
            })?,
        };
        let run = folder.parent().and_then(|run| RunFolder::open(run).ok());
        if let Some(config) = run.map(|run| run.config()).transpose()? {
            let settings = config.settings;
            recorded.max_length = recorded.max_length.or(Some(settings.max_length));
            recorded.pad = recorded.pad.or(Some(settings.pad));
            recorded.shard_rows = recorded.shard_rows.or(Some(settings.shard_rows));
        }
        Ok(recorded)
    }

    /// Refuses classes that are not those of `config.json`.
    fn check_classes(&self, folder: &Path) -> Result<(), Failure> {
        let text = fs::read_to_string(folder.join("config.json"))?;
        let config: serde_json::Value = serde_json::from_str(&text)?;
        let Some(named) = config["id2label"].as_object() else { return Ok(()) };
        let name = |class: usize| named.get(&class.to_string()).and_then(|name| name.as_str());
        let same = self.classes.len() == named.len()
            && self.classes.iter().enumerate().all(|(at, class)| name(at) == Some(class));
        if self.classes.is_empty() || same {
            return Ok(());
        }
        Err(Failure::work(format!(
            "{}: its `classes` are not the `id2label` of `config.json`; copy the checkpoint again",
            folder.join("mmc.json").display()
        )))
    }
}

impl Checkpoint {
    /// Opens a folder, with the classes in its own order. Texts are cut to `max_length`, else as
    /// the folder says, else as the run was told that it lies in, else as its preset says.
    pub(crate) fn open(
        folder: &Path,
        max_length: Option<usize>,
        wanted: For,
        device: ComputeDevice,
    ) -> Result<Self, Failure> {
        let device = device.open()?;
        if !folder.is_dir() {
            return Err(Failure::work(format!(
                "{}: no such folder; give a trained checkpoint, such as RUN_DIR/checkpoint",
                folder.display()
            )));
        }
        refuse_a_run(folder)?;
        let loaded = match wanted {
            For::Classes => load_as(folder, &[], &device)?,
            For::Vectors => load_without_head(folder, &device)?,
        };
        let recorded = Recorded::read(folder)?;
        recorded.check_classes(folder)?;
        let processor = Processor::from_folder(folder, loaded.model.arm())?
            .with_jpeg_scaling(recorded.jpeg_scaling);
        let tokens = match (max_length, recorded.max_length) {
            (Some(asked), _) => asked,
            (None, Some(trained)) => trained,
            (None, None) => preset(&loaded.preset)?.defaults.max_length,
        };
        let most = processor.max_length();
        if let (Some(asked), Some(most)) = (max_length, most)
            && asked > most
        {
            return Err(Failure::usage(format!(
                "`--max-length` is `{asked}`, but the model in {} has {most} positions",
                folder.display()
            )));
        }
        let tokens = most.map_or(tokens, |most| tokens.min(most));
        let padding = match recorded.pad {
            Some(Pad::Max) => Padding::Max(tokens),
            _ => Padding::Longest,
        };
        Ok(Self {
            folder: folder.to_owned(),
            preset: loaded.preset,
            model: loaded.model,
            processor: Arc::new(processor.with_max_length(tokens)),
            labels: loaded.labels,
            task: recorded.task,
            padding,
            rows: recorded.shard_rows.filter(|rows| *rows > 0),
            device,
        })
    }

    /// What the model is shown.
    pub(crate) fn arm(&self) -> Arm {
        self.model.arm()
    }

    /// The same model, whose rows are what a data set asks for, whatever the folder says.
    pub(crate) fn for_task(self, task: Task) -> Self {
        Self { task, ..self }
    }

    /// The same model with its logits in the order of these classes.
    pub(crate) fn with_labels(self, labels: &[String]) -> Result<Self, Failure> {
        if self.labels == labels {
            return Ok(self);
        }
        let loaded = load_as(&self.folder, labels, &self.device)?;
        Ok(Self { model: loaded.model, labels: loaded.labels, ..self })
    }

    /// Says so where texts were longer than what the model is shown of them.
    pub(crate) fn warn_of_cut_texts(&self, split: &str, cut: usize, items: usize) {
        let Some(max_length) = self.processor.max_length() else { return };
        if let Some(warning) = cut_texts_warning(split, cut, items, max_length) {
            tracing::warn!("{warning}");
        }
    }

    /// How splits are taken through it.
    pub(crate) fn options(&self) -> PredictOptions {
        let usual = PredictOptions::new(self.labels.clone());
        let task = self.task;
        PredictOptions {
            task,
            padding: self.padding,
            rows: self.rows.unwrap_or(usual.rows),
            ..usual
        }
    }
}

/// Refuses the folder of a run, whose checkpoint lies below it.
pub(crate) fn refuse_a_run(folder: &Path) -> Result<(), Failure> {
    if folder.join("config.json").is_file() || !folder.join("checkpoint").is_dir() {
        return Ok(());
    }
    Err(Failure::work(format!(
        "{}: a run, not a checkpoint; did you mean `{}`?",
        folder.display(),
        folder.join("checkpoint").display()
    )))
}

fn load_as(folder: &Path, labels: &[String], device: &Device) -> Result<Loaded, Failure> {
    load_with(folder, labels, FreshHead::Refused, device)
}

/// A model of which all is there that its vectors rest on; its head may be any.
fn load_without_head(folder: &Path, device: &Device) -> Result<Loaded, Failure> {
    let loaded = load_with(folder, &[], FreshHead::Allowed { seed: 0 }, device)?;
    // Heads are named `classifier.…` in every architecture.
    match loaded.report.fresh.iter().find(|name| !name.starts_with("classifier.")) {
        None => Ok(loaded),
        Some(name) => Err(Failure::work(format!(
            "{}: the checkpoint has no `{name}`, so its vectors would be random; train on it \
             first, and embed with the run's `checkpoint`",
            folder.display()
        ))),
    }
}

fn load_with(
    folder: &Path,
    labels: &[String],
    fresh_head: FreshHead,
    device: &Device,
) -> Result<Loaded, Failure> {
    Ok(load(&LoadRequest {
        folder,
        labels,
        arm: None,
        head: None,
        fresh_head,
        dropout: None,
        device,
    })?)
}
