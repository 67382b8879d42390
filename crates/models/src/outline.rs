//! A model by its sizes alone, for those who plan a run.

use std::path::Path;

use candle_core::Device;
use mmc_data::Arm;
use serde_json::{Map, Value, json};

use crate::architecture::{ARCHITECTURES, Architecture, Build};
use crate::checkpoint::Source;
use crate::config::ConfigFile;
use crate::parameters::Parameters;
use crate::{Classifier, CreateRequest, LoadReport, ModelError, Preset, Trained};

/// What to outline.
#[derive(Clone, Copy, Debug)]
pub struct OutlineRequest<'a> {
    /// The model's row of the catalogue.
    pub preset: &'a Preset,
    /// A checkpoint, of which `config.json` alone is read; `None`: the published sizes.
    pub folder: Option<&'a Path>,
    /// What it shall read. `None`: all that it can.
    pub arm: Option<Arm>,
    /// The kind of head. `None`: the first.
    pub head: Option<&'a str>,
    /// How many classes the head has.
    pub classes: usize,
    /// What trains.
    pub trained: Trained,
}

/// The model with all its parameters at 0. It has their names, shapes and roles and says what a
/// forward takes; no weights are read, and its memory is the system's promise until a parameter is
/// written to.
///
/// A tiny model has the vocabulary of its training texts; here it is that of no text.
///
/// # Errors
/// A `config.json` that cannot be read, an arm or a head that the model does not have.
pub fn outline(request: &OutlineRequest<'_>) -> Result<Box<dyn Classifier>, ModelError> {
    let config = match request.folder {
        Some(folder) => ConfigFile::read(folder)?,
        None => published(request.preset)?,
    };
    let architecture = Architecture::of(&config)?;
    let arm = request.arm.or(architecture.arms.first().copied()).unwrap_or_default();
    architecture.check_arm(arm)?;
    let head = architecture.head(request.head)?.name;
    let mut parameters = Parameters {
        source: Source::Nothing,
        off_path: (architecture.off_path)(arm),
        trained: request.trained,
        stacks: (architecture.stacks)(&config)?,
        device: &Device::Cpu,
        list: Vec::new(),
        report: LoadReport::default(),
    };
    let build =
        Build { config: &config, dropout: None, arm, head, classes: request.classes.max(2) };
    (architecture.build)(&build, &mut parameters)
}

impl Preset {
    /// The object of the `config.json` that this row stands for: of a published model what differs from
    /// the architecture's defaults, of a tiny one all of it, for the vocabulary of no text.
    ///
    /// # Errors
    /// A row of the catalogue whose configuration makes no sense.
    pub fn published_config(&self) -> Result<Map<String, Value>, ModelError> {
        Ok(published(self)?.object().clone())
    }
}

/// The `config.json` that a preset stands for.
fn published(preset: &Preset) -> Result<ConfigFile, ModelError> {
    let path = format!("{}/config.json", preset.name).into();
    if preset.tiny {
        let labels = ["0".to_owned(), "1".to_owned()];
        let request =
            CreateRequest { preset, arm: None, head: None, texts: &[], labels: &labels, seed: 0 };
        let row = ARCHITECTURES.iter().find(|row| row.name == preset.architecture);
        let config = match row {
            Some(row) => (row.blueprint)(&request)?.config,
            None => Map::new(),
        };
        return Ok(ConfigFile::of(path, config));
    }
    let mut config: Map<String, Value> = serde_json::from_str(preset.config).map_err(|error| {
        let (path, problem) = (format!("{}/config.json", preset.name).into(), error.to_string());
        ModelError::Json { path, line: error.line(), problem }
    })?;
    config.insert("model_type".to_owned(), json!(preset.architecture));
    Ok(ConfigFile::of(path, config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CATALOG, preset};

    fn of(name: &str) -> Box<dyn Classifier> {
        let preset = preset(name).unwrap();
        let (folder, arm, head) = (None, None, None);
        let trained = Trained::Everything;
        outline(&OutlineRequest { preset, folder, arm, head, classes: 3, trained }).unwrap()
    }

    /// Parameters of the published checkpoints, which transformers counts: those of BERT and RoBERTa
    /// with a head of three classes, of the others without a head.
    #[test]
    fn published_sizes_are_those_of_the_checkpoints() {
        for (name, whole, expected) in [
            ("bert", true, 109_484_547),
            ("roberta", true, 124_647_939),
            ("beto", true, 109_853_187),
            ("clip", false, 151_277_313),
            ("clip-l14", false, 427_616_513),
            ("flava", false, 241_356_289),
            ("vilt", false, 111_595_008),
        ] {
            let model = of(name);
            let counted = model
                .parameters()
                .iter()
                .filter(|one| whole || one.below_head > 0 || !one.name.starts_with("classifier."));
            let numbers: usize = counted.map(|one| one.var.elem_count()).sum();
            assert_eq!(numbers, expected, "{name}");
        }
    }

    #[test]
    fn every_model_says_what_its_states_are() {
        for row in CATALOG {
            let model = of(row.name);
            let picture = model.picture(1.0);
            assert_eq!(picture.is_some(), model.arm().uses_image(), "{}", row.name);
            let states = model.states(20, picture);
            assert!(!states.encoders.is_empty() && states.outside > 0, "{}", row.name);
            let tokens = states.encoders.iter().map(|encoder| encoder.tokens).max();
            let image = picture.map_or(0, |(height, width)| model.image_tokens(height, width));
            assert!(tokens >= Some(image.max(20)), "{}: {tokens:?}", row.name);
        }
    }
}
