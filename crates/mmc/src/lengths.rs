//! How many tokens texts have for the models that might be trained on them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mmc_data::Arm;
use mmc_data::check::{Between, TextCounter, TextModel};
use mmc_models::{CATALOG, CheckpointSource, ModelError, Preset, locate, preset};
use mmc_preprocess::{Processor, TokenBounds};

use crate::checkpoint::refuse_a_run;
use crate::failure::Failure;

/// What counts the tokens of texts: for one checkpoint, given as a folder, a hub id or a model's name;
/// without one, for all published models: exactly where a checkpoint is in place, within bounds elsewhere.
pub(crate) fn counters(checkpoint: Option<&str>) -> Result<Vec<TextCounter<'static>>, Failure> {
    if let Some(given) = checkpoint {
        let (row, folder) = found(given)?;
        return Ok(vec![exact(row, given, &folder)?]);
    }
    let mut counters = Vec::new();
    let mut kinds: Vec<(Arc<TokenBounds>, usize)> = Vec::new();
    for row in CATALOG.iter().filter(|row| !row.tiny) {
        match locate(row, None) {
            Ok(CheckpointSource::Folder(folder)) => match exact(row, row.name, &folder) {
                Ok(counter) => {
                    counters.push(counter);
                    continue;
                }
                Err(error) => warn(row, error.message()),
            },
            Ok(CheckpointSource::FromScratch) | Err(ModelError::NotFound { .. }) => {}
            Err(error) => warn(row, &error.to_string()),
        }
        let bounds = Arc::new(TokenBounds::of_config(row.published_config()?, row.accents)?);
        let model = model_of(row, row.name, bounds.limit());
        let known = kinds.iter().find(|(known, _)| known.counts_as(&bounds));
        if let Some(same) = known.and_then(|(_, place)| counters.get_mut(*place)) {
            same.models.push(model);
            continue;
        }
        kinds.push((Arc::clone(&bounds), counters.len()));
        let count = move |text: &str| {
            let (at_least, at_most) = bounds.of(text)?;
            Some(Between { at_least, at_most })
        };
        let (count, models) = (Box::new(count), vec![model]);
        counters.push(TextCounter { count, tokenizer: None, models });
    }
    Ok(counters)
}

/// A checkpoint that is there and cannot be read is said to be, and bounds take its place.
fn warn(row: &Preset, problem: &str) {
    tracing::warn!("{}: tokens are not counted but bounded: {problem}", row.name);
}

fn model_of(row: &Preset, name: &str, limit: usize) -> TextModel {
    let max_length = Some(row.defaults.max_length.min(limit));
    TextModel { name: name.to_owned(), limit, max_length }
}

/// The tokenizer of a checkpoint.
fn exact(row: &Preset, name: &str, folder: &Path) -> Result<TextCounter<'static>, Failure> {
    let processor = Processor::from_folder(folder, Arm::Text)?;
    let models = vec![model_of(row, name, processor.max_length().unwrap_or_default())];
    let count = move |text: &str| processor.full_length(text).map(Between::exactly);
    Ok(TextCounter { count: Box::new(count), tokenizer: Some(folder.to_owned()), models })
}

/// The checkpoint that was named, and the row of the catalogue that it is of.
fn found(given: &str) -> Result<(&'static Preset, PathBuf), Failure> {
    let place = Path::new(given);
    if place.is_dir() {
        refuse_a_run(place)?;
    } else if let Ok(row) = preset(given) {
        return match locate(row, None)? {
            CheckpointSource::Folder(folder) => Ok((row, folder)),
            CheckpointSource::FromScratch => Err(Failure::usage(format!(
                "`--checkpoint` is `{given}`, whose vocabulary is made from the texts that it is \
                 trained on; {REMEDY}"
            ))),
        };
    }
    let mut last = None;
    // Whether it is there does not depend on the row; of which one it is, its `config.json` says.
    for row in CATALOG.iter().filter(|row| !row.tiny && given != "none") {
        match locate(row, Some(given)) {
            Ok(CheckpointSource::Folder(folder)) => return Ok((row, folder)),
            Err(error @ ModelError::Architecture { .. }) => last = Some(error),
            Err(ModelError::NotFound { places, .. }) => return Err(absent(given, &places)),
            Ok(CheckpointSource::FromScratch) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let problem = format!("`--checkpoint` is `{given}`, which has no tokenizer; {REMEDY}");
    Err(last.map_or_else(|| Failure::usage(problem), Failure::from))
}

/// What to give instead.
const REMEDY: &str = "give the folder of a trained one, such as RUN_DIR/checkpoint, or the name of a \
                      published model, such as `bert`";

/// Nothing lies where a checkpoint was looked for: `places` are the folder, and the hub's cache where what
/// was given may be a hub id.
fn absent(given: &str, places: &[String]) -> Failure {
    if Path::new(given).is_file() {
        return Failure::work(format!("`--checkpoint` is `{given}`, which is a file; {REMEDY}"));
    }
    let near = match preset(given) {
        Err(ModelError::UnknownPreset { suggestion, .. }) => suggestion,
        _ => String::new(),
    };
    let problem = match places {
        [folder, copy, ..] => format!("there is neither {folder} nor {copy}"),
        _ => "no such folder".to_owned(),
    };
    let fetch = if given.contains('/') && places.len() > 1 {
        format!("; what is a repository of the hub, `mmc fetch {given}` gets")
    } else {
        String::new()
    };
    Failure::work(format!("`--checkpoint` is `{given}`: {problem}{near}; {REMEDY}{fetch}"))
}
