//! Whether the texts are in a language that the model's published weights know.

use std::path::Path;

use mmc_data::{Arm, Split, text_language};
use mmc_models::hub::Repository;
use mmc_models::{CATALOG, CheckpointSource, Preset, locate};
use mmc_run::LanguageRecord;

/// Whether these are the weights that the preset is published with: its own hub id was given, or
/// they lie where they are looked for without a `--checkpoint`. What any other folder knows is not
/// known: it may be of another language, or further trained.
pub(crate) fn is_published(
    preset: &Preset,
    source: &CheckpointSource,
    given: Option<&str>,
) -> bool {
    let CheckpointSource::Folder(folder) = source else { return false };
    let Some(given) = given else { return true };
    if !Path::new(given).is_dir()
        && let Ok(repository) = given.parse::<Repository>()
    {
        return preset.hub_id == Some(repository.id());
    }
    // A run's own configuration names the folder that was found.
    [None, preset.hub_id].into_iter().any(|place| match locate(preset, place) {
        Ok(CheckpointSource::Folder(found)) => is_same(&found, folder),
        _ => false,
    })
}

/// Whether two paths lead to one folder.
fn is_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// What the run records of it; `None` where nothing is to be known: an arm without text, weights
/// that are not the published ones, too little text.
pub(crate) fn judge(
    preset: &Preset,
    published: bool,
    arm: Arm,
    train: &Split,
) -> Option<LanguageRecord> {
    if !published || preset.languages.is_empty() || !arm.uses_text() {
        return None;
    }
    let texts: Vec<&str> = train.iter().map(|item| item.text.as_str()).collect();
    let spoken = preset.languages.iter().map(ToString::to_string).collect();
    Some(LanguageRecord { spoken, found: text_language(&texts)? })
}

/// The warning before the first step, with the models that know the language.
pub(crate) fn note(record: &LanguageRecord) -> Option<String> {
    let warning = record.warning()?;
    let name = record.found.name.as_str();
    let fitting: Vec<String> = CATALOG
        .iter()
        .filter(|row| row.languages.contains(&name))
        .map(|row| format!("`--model {}`", row.name))
        .collect();
    let remedy = if fitting.is_empty() {
        "give a `--checkpoint` that knows it".to_owned()
    } else {
        format!("{} knows it", fitting.join(" or "))
    };
    Some(format!("{warning}; {remedy}"))
}
