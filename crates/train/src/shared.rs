//! Rows of other splits that are also training rows.

use std::collections::{BTreeMap, HashSet};

use mmc_data::{ImageSource, Sample, Split};

use crate::Plan;

/// What a row is, whichever part of it an arm shows: its text, and the place of its picture.
type Input<'a> = (&'a str, Option<&'a ImageSource>);

/// Rows of each other split whose text and picture are those of a training row, by split; splits
/// without such rows are not listed. Pictures count as the same where their file is;
/// `mmc data check` compares them pixel by pixel.
pub(crate) fn rows_in_train(plan: &Plan) -> BTreeMap<String, usize> {
    let known: HashSet<Input> = plan.train.iter().filter_map(input).collect();
    let count = |split: &Split| {
        split.iter().filter_map(input).filter(|input| known.contains(input)).count()
    };
    [&plan.selection, &plan.test]
        .into_iter()
        .flatten()
        .map(|split| (split.name.to_string(), count(split)))
        .filter(|(_, rows)| *rows > 0)
        .collect()
}

/// A row that shows nothing is nobody's copy.
fn input(sample: &Sample) -> Option<Input<'_>> {
    let shows = sample.image.is_some() || !sample.text.trim().is_empty();
    shows.then_some((sample.text.as_str(), sample.image.as_ref()))
}

/// What a user should know of them before training.
pub(crate) fn warning(plan: &Plan) -> Option<String> {
    let shared = rows_in_train(plan);
    let parts: Vec<String> =
        shared.iter().map(|(split, rows)| format!("{rows} of `{split}`")).collect();
    (!shared.is_empty()).then(|| {
        format!(
            "rows that are also in `{}`, with the same text and picture: {}; scores on them say \
             nothing about new items",
            plan.train.name,
            parts.join(", ")
        )
    })
}
