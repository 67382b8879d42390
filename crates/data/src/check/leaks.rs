//! Warnings of what splits share that would flatter a score.

use std::collections::BTreeSet;

use super::{NearDuplicates, Overlap};
use crate::Dataset;
use crate::dataset::StudySplits;

/// What decides whether something that is shared is a leak.
pub(super) struct Leaks<'a> {
    pub(super) dataset: &'a Dataset,
    pub(super) study: &'a StudySplits,
    /// Whether the set was made up: its pictures are of few things, and alike by design.
    pub(super) generated: bool,
}

impl Leaks<'_> {
    /// Ids, whole inputs and pictures, the same pixel by pixel, that two splits share.
    pub(super) fn of_pair(&self, overlap: &Overlap) -> Option<String> {
        let Overlap { first, second, ids, inputs, .. } = overlap;
        let pictures = if self.generated { 0 } else { overlap.pictures };
        let shared: Vec<String> = [
            (*ids, "ids"),
            (*inputs, "whole inputs (text and picture)"),
            (pictures, "pictures, whatever their texts"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        if shared.is_empty() || self.is_part(first, second) {
            return None;
        }
        let advice = if !(self.study.is_needed(first) && self.study.is_needed(second)) {
            "never train on one of the two and score on the other"
        } else if pictures > 0 && self.dataset.is_table() {
            "join their rows and let `mmc data split` keep each picture in one split, or the score \
             is too good"
        } else {
            "drop them from one of the two, or the score is too good"
        };
        Some(format!("`{first}` and `{second}` share {}: {advice}", shared.join(" and ")))
    }

    /// Pictures of one split that another has scaled or encoded anew.
    pub(super) fn of_near(&self, near: &NearDuplicates) -> Option<String> {
        let leaks = |splits: &BTreeSet<&str>| {
            let leaks = |one, other| one != other && !self.is_part(one, other);
            splits.iter().any(|one| splits.iter().any(|other| leaks(one, other)))
        };
        let across = near
            .groups
            .iter()
            .filter(|group| leaks(&group.rows.iter().map(|row| row.split.as_str()).collect()))
            .count();
        (across > 0 && !self.generated).then(|| {
            format!(
                "{across} groups of pictures look alike and stand in more than one split: look at \
                 them, and drop copies from one of the splits, or the score is too good"
            )
        })
    }

    /// Whether one of two splits is a part of the other by publication.
    fn is_part(&self, one: &str, other: &str) -> bool {
        self.dataset.splits.iter().any(|split| {
            split.part_of.is_some_and(|whole| {
                (split.name, whole) == (one, other) || (split.name, whole) == (other, one)
            })
        })
    }
}
