//! Which answers a run can give.

use mmc_data::{AnswerSource, Split, Target};
use mmc_models::CheckpointSource;

use crate::TrainError;

/// The answers that a checkpoint was trained to give, unless others are asked for, and what is said
/// of them.
pub(crate) fn own_answers(
    source: &CheckpointSource,
    asked: Option<AnswerSource>,
) -> Result<(Option<Vec<String>>, Option<String>), TrainError> {
    let (CheckpointSource::Folder(folder), None) = (source, asked) else { return Ok((None, None)) };
    let Some(own) = mmc_models::named_classes(folder)? else { return Ok((None, None)) };
    let note = format!(
        "{}: the {} answers are those that the checkpoint was trained to give; `--answers train` \
         takes those of the training split instead",
        folder.display(),
        own.len()
    );
    Ok((Some(own), Some(note)))
}

/// Refuses answers of which the training split has none, such as the classes of a checkpoint that was
/// trained for something else: every target would be 0.
pub(crate) fn check_answers(train: &Split) -> Result<(), TrainError> {
    let is_missed = |target: &Option<Target>| match target {
        Some(Target::Answers(answers)) => answers.scores.is_empty(),
        Some(Target::Class(_)) | None => true,
    };
    if !train.iter().all(|sample| is_missed(&sample.target)) {
        return Ok(());
    }
    let (path, count) = (train.path.display(), train.labels.len());
    let problem = format!(
        "{path}: no item has one of the {count} answers that can be given, as where a checkpoint was \
         trained for something else; `--answers train` takes those of the training split"
    );
    Err(TrainError::setting("answers", problem))
}
