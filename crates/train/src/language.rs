//! Whether the texts are in a language that the model's published weights know.

use mmc_data::{Arm, Split, text_language};
use mmc_models::{CATALOG, CheckpointSource, Preset};
use mmc_run::LanguageRecord;

/// What the run records of it; `None` where nothing is to be known: an arm without text, weights
/// made from scratch, too little text.
pub(crate) fn judge(
    preset: &Preset,
    source: &CheckpointSource,
    arm: Arm,
    train: &Split,
) -> Option<LanguageRecord> {
    let from_scratch = matches!(source, CheckpointSource::FromScratch);
    if from_scratch || preset.languages.is_empty() || !arm.uses_text() {
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
