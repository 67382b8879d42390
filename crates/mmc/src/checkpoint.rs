//! A trained checkpoint, opened for `evaluate`, `predict` and `embed`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Device;
use mmc_data::Arm;
use mmc_models::{Classifier, FreshHead, LoadRequest, Loaded, load, preset};
use mmc_preprocess::{Padding, Processor};
use mmc_run::{Pad, RunFolder};
use mmc_train::PredictOptions;

use crate::failure::Failure;

/// A model with the processor that belongs to it.
pub(crate) struct Checkpoint {
    folder: PathBuf,
    /// The model.
    pub(crate) model: Box<dyn Classifier>,
    /// Makes its inputs.
    pub(crate) processor: Arc<Processor>,
    /// Its classes, in the order of its logits.
    pub(crate) labels: Vec<String>,
    padding: Padding,
}

impl Checkpoint {
    /// Opens a folder, with the classes in its own order. Texts are cut to `max_length`, else as
    /// the run was told that the folder lies in, else as its preset says.
    pub(crate) fn open(folder: &Path, max_length: Option<usize>) -> Result<Self, Failure> {
        if !folder.is_dir() {
            return Err(Failure::work(format!(
                "{}: no such folder; give a trained checkpoint, such as RUN_DIR/checkpoint",
                folder.display()
            )));
        }
        let loaded = load_as(folder, &[])?;
        let trained = folder.parent().and_then(|run| RunFolder::open(run).ok());
        let trained = trained.map(|run| run.config()).transpose()?.map(|config| config.settings);
        let processor = Processor::from_folder(folder, loaded.model.arm())?;
        let wanted = match (max_length, &trained) {
            (Some(asked), _) => asked,
            (None, Some(settings)) => settings.max_length,
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
        let tokens = most.map_or(wanted, |most| wanted.min(most));
        let padding = match trained.map(|settings| settings.pad) {
            Some(Pad::Max) => Padding::Max(tokens),
            _ => Padding::Longest,
        };
        Ok(Self {
            folder: folder.to_owned(),
            model: loaded.model,
            processor: Arc::new(processor.with_max_length(tokens)),
            labels: loaded.labels,
            padding,
        })
    }

    /// What the model is shown.
    pub(crate) fn arm(&self) -> Arm {
        self.model.arm()
    }

    /// The same model with its logits in the order of these classes.
    pub(crate) fn with_labels(self, labels: &[String]) -> Result<Self, Failure> {
        if self.labels == labels {
            return Ok(self);
        }
        let loaded = load_as(&self.folder, labels)?;
        Ok(Self { model: loaded.model, labels: loaded.labels, ..self })
    }

    /// How splits are taken through it.
    pub(crate) fn options(&self) -> PredictOptions {
        PredictOptions { padding: self.padding, ..PredictOptions::new(self.labels.clone()) }
    }
}

fn load_as(folder: &Path, labels: &[String]) -> Result<Loaded, Failure> {
    Ok(load(&LoadRequest {
        folder,
        labels,
        arm: None,
        head: None,
        fresh_head: FreshHead::Refused,
        dropout: None,
        device: &Device::Cpu,
    })?)
}
