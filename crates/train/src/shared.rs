//! Rows of other splits that are also training rows.

use std::collections::{BTreeMap, HashSet};

use mmc_data::{Arm, ImageSource, Sample, Split};

use crate::Plan;

/// What an arm shows of a row: its text, and the place of its picture.
type Input<'a> = (&'a str, Option<&'a ImageSource>);

/// Rows of each other split that show the run's arm what a training row shows it, by split: the same
/// text, the same picture, or both. Splits without such rows are not listed. Pictures count as the same where their file is;
/// `mmc data check` compares them pixel by pixel.
pub(crate) fn rows_in_train(plan: &Plan) -> BTreeMap<String, usize> {
    let arm = plan.settings.arm;
    #[allow(clippy::mutable_key_type, reason = "an archive's index is no part of what is compared")]
    let known: HashSet<Input> = plan.train.iter().filter_map(|row| input(row, arm)).collect();
    let count = |split: &Split| {
        let shown = split.iter().filter_map(|row| input(row, arm));
        shown.filter(|input| known.contains(input)).count()
    };
    [&plan.selection, &plan.test]
        .into_iter()
        .flatten()
        .map(|split| (split.name.to_string(), count(split)))
        .filter(|(_, rows)| *rows > 0)
        .collect()
}

/// A row that shows nothing is nobody's copy.
fn input(sample: &Sample, arm: Arm) -> Option<Input<'_>> {
    let text = if arm.uses_text() { sample.text.as_str() } else { "" };
    let image = sample.image.as_ref().filter(|_| arm.uses_image());
    (image.is_some() || !text.trim().is_empty()).then_some((text, image))
}

/// What a user should know of them before training.
pub(crate) fn warning(plan: &Plan) -> Option<String> {
    let shared = rows_in_train(plan);
    let parts: Vec<String> =
        shared.iter().map(|(split, rows)| format!("{rows} of `{split}`")).collect();
    let what = match plan.settings.arm {
        Arm::Both => "show the same text and picture: scores on them say nothing about new items",
        Arm::Text => {
            "show the same text, which is all that this arm sees; where they are other items, with \
             other pictures, that is as it should be"
        }
        Arm::Image => {
            "show the same picture, which is all that this arm sees; where they are other items, with \
             other texts, that is as it should be"
        }
    };
    let (train, rows) = (&plan.train.name, parts.join(", "));
    (!shared.is_empty()).then(|| format!("beside rows of `{train}`, {rows} {what}"))
}
