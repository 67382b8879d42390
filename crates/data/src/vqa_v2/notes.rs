//! What is noted of a split that was read.

use std::path::Path;

use super::{AnswersByQuestion, Files, HELD_OUT};

/// Where this is not the published file.
pub(super) fn size_note(path: &Path, questions: usize, files: &Files) -> Option<String> {
    (questions != files.published).then(|| {
        format!(
            "{}: {questions} questions where the published file has {}: scores do not compare with \
             published ones",
            path.display(),
            files.published
        )
    })
}

/// What training leaves out.
pub(super) fn held_out_note(split: &str, left_out: usize, questions: usize) -> Option<String> {
    (split == "train" && left_out > 0).then(|| {
        format!(
            "`train`: {left_out} of {questions} questions are on the tenth of pictures that is `{HELD_OUT}`, \
             to choose the best epoch on"
        )
    })
}

/// What is left of the answers when every question has taken its own.
pub(super) fn orphans_note(path: &Path, left: &AnswersByQuestion) -> Option<String> {
    let first = left.keys().min()?;
    Some(format!(
        "{}: {} annotations were left out: the file of questions has none for them, such as `{first}`; \
         where it should have, copy it again",
        path.display(),
        left.len()
    ))
}
