//! Which answers a run can give.

use mmc_data::AnswerSource;
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
