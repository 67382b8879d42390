//! Single decisions, classes and parts of the split: exploratory.

use super::{Page, heading};
use crate::document::{Block, plain};
use crate::figure::{number, signed, signed_interval};

impl Page<'_> {
    pub(super) fn changes(&self) -> Vec<Block> {
        let verdict = self.verdict;
        if verdict.changes.is_empty() {
            return Vec::new();
        }
        let share = |share: f64| format!("{:.1} %", 100.0 * share);
        let rows = verdict.changes.iter().map(|at| {
            vec![
                at.candidate.clone(),
                share(at.both_right),
                share(at.rescued),
                share(at.hurt),
                share(at.both_wrong),
                format!("{:+.1} %", 100.0 * (at.rescued - at.hurt)),
            ]
        });
        let text = verdict.text_model.as_deref().unwrap_or("the text model");
        let caption = format!(
            "What becomes of the decisions of {text} (text) with the picture, on {}: shares of the \
             items, means over all pairs of seeds. Rescued: wrong by text, right with the picture; \
             hurt: the other way round.",
            self.of_test
        );
        let header = ["model", "both right", "rescued", "hurt", "both wrong", "net"];
        vec![heading("Item by item"), self.table(&caption, &header, rows.collect())]
    }

    pub(super) fn classes(&self) -> Vec<Block> {
        let parts: Vec<Block> =
            self.scores_by_class().into_iter().chain(self.subgroups()).collect();
        if parts.is_empty() {
            return parts;
        }
        let title = if self.verdict.classes.is_empty() { "Parts" } else { "Classes and parts" };
        [vec![heading(title)], parts].concat()
    }

    fn scores_by_class(&self) -> Option<Block> {
        let verdict = self.verdict;
        if verdict.classes.is_empty() {
            return None;
        }
        let rows = verdict.classes.iter().map(|at| {
            vec![
                plain(&at.class),
                at.items.to_string(),
                at.arm.clone(),
                number(Some(at.precision)),
                number(Some(at.recall)),
                number(Some(at.f1)),
            ]
        });
        let all =
            self.arms.iter().find_map(|arm| arm.first_rows()).map_or(0, |rows| rows.classes.len());
        let mut shown: Vec<&str> = verdict.classes.iter().map(|at| at.class.as_str()).collect();
        shown.dedup();
        let part = if shown.len() < all {
            format!(" Shown are the {} most frequent of {all} classes.", shown.len())
        } else {
            String::new()
        };
        let caption = format!(
            "Scores by class on {}, means over seeds, of the best text model and of every multimodal \
             one. Exploratory.{part}",
            self.of_test
        );
        let header = ["class", "items", "arm", "precision", "recall", "F1"];
        Some(self.table(&caption, &header, rows.collect()))
    }

    fn subgroups(&self) -> Option<Block> {
        let verdict = self.verdict;
        if verdict.subgroups.is_empty() {
            return None;
        }
        let rows = verdict.subgroups.iter().map(|at| {
            vec![
                at.part.clone(),
                at.items.to_string(),
                number(Some(at.baseline)),
                number(Some(at.candidate)),
                signed(at.candidate - at.baseline),
                at.interval
                    .map_or("–".to_owned(), |found| signed_interval(found.low, found.high)),
            ]
        });
        let caption = format!(
            "Accuracy of {} (text) and of {} on parts of {}, with the difference and its 95 % \
             interval over seeds and items. Exploratory: the intervals are not corrected.",
            verdict.text_model.as_deref().unwrap_or("the text model"),
            verdict.shown.as_deref().unwrap_or("the best multimodal model"),
            self.of_test
        );
        let header = ["part", "items", "text", "with the picture", "gain", "interval"];
        Some(self.table(&caption, &header, rows.collect()))
    }
}
