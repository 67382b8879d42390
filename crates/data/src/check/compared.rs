//! What of a data set was compared at all: nothing is said of what nobody looked at.

use super::{CheckReport, CheckedSplit, Overlap};
use crate::error::listed;

impl CheckReport {
    /// The splits with a usable row, which are compared with one another.
    fn compared(&self) -> Vec<&CheckedSplit> {
        self.splits.iter().filter(|split| split.summary.usable_rows > 0).collect()
    }

    /// Whether both of two splits have a picture that was decoded.
    #[must_use]
    pub fn has_compared_pictures(&self, overlap: &Overlap) -> bool {
        let of_pair = |split: &&CheckedSplit| {
            [&overlap.first, &overlap.second].contains(&&split.summary.name)
        };
        self.splits.iter().filter(of_pair).all(|split| split.pictures_read > 0)
    }

    /// The pairs of splits that have something in common.
    pub(super) fn shared(&self) -> impl Iterator<Item = &Overlap> {
        self.overlaps.iter().filter(|it| it.ids + it.texts + it.pictures > 0)
    }

    /// What came of comparing splits, in words: that two of them share something, that no two do, or that
    /// none were compared; and how many rows were left out of it.
    #[must_use]
    pub fn comparison(&self) -> String {
        let compared = self.compared();
        let words = match compared.as_slice() {
            [] => "no split has a usable row, so none were compared".to_owned(),
            [one] => format!(
                "only `{}` has usable rows, so no two splits were compared",
                one.summary.name
            ),
            _ if self.shared().next().is_some() => "shared by two splits".to_owned(),
            _ => {
                let names = listed(compared.iter().map(|split| split.summary.name.as_str()));
                format!("no two of {names} share {}", compared_by(&compared))
            }
        };
        let left_out: usize =
            self.splits.iter().map(|it| it.summary.rows - it.summary.usable_rows).sum();
        if compared.len() > 1 && left_out > 0 {
            return format!("{words} (rows with problems, {left_out} of them, were not compared)");
        }
        words
    }
}

/// What at least two splits have, and so was compared.
fn compared_by(splits: &[&CheckedSplit]) -> &'static str {
    let several = |has: fn(&CheckedSplit) -> bool| splits.iter().filter(|it| has(it)).count() > 1;
    let texts = several(|split| split.summary.usable_rows > split.summary.empty_texts);
    let pictures = several(|split| split.pictures_read > 0);
    match (texts, pictures) {
        (true, true) => "an id, a text or a picture",
        (true, false) => "an id or a text",
        (false, true) => "an id or a picture",
        (false, false) => "an id",
    }
}
