//! What others report, beside ours, and what our runs say to their claims.

use super::{Page, heading};
use crate::beside::{Beside, JudgedClaim};
use crate::document::Block;
use crate::figure::{number, signed};

impl Page<'_> {
    pub(super) fn published(&self) -> Vec<Block> {
        let verdict = self.verdict;
        if verdict.published.is_empty() {
            return Vec::new();
        }
        let row = |at: &Beside| {
            let figure = &at.figure;
            let theirs = match figure.deviation {
                Some(deviation) => format!("{:.3} ± {deviation:.3}", figure.value),
                None => format!("{:.3}", figure.value),
            };
            let ours = match (at.ours, at.deviation) {
                (Some(ours), Some(deviation)) => format!("{ours:.3} ± {deviation:.3}"),
                (ours, _) => number(ours),
            };
            let split = match (&figure.split, figure.items) {
                (Some(split), Some(items)) => format!("`{split}`, {items} items"),
                (Some(split), None) => format!("`{split}`"),
                (None, _) => "not stated".to_owned(),
            };
            let difference = at.difference.map_or("–".to_owned(), signed);
            vec![
                figure.name.clone(),
                format!("`{}`", figure.metric),
                split,
                theirs,
                ours,
                if at.far_below { format!("**{difference}**") } else { difference },
                at.absent.clone().unwrap_or_default(),
                format!("{}; {}", figure.source, figure.sure),
            ]
        };
        let header = [
            "model",
            "metric",
            "their split",
            "theirs",
            "ours",
            "difference",
            "why none",
            "source",
        ];
        let (with, without): (Vec<&Beside>, Vec<&Beside>) =
            verdict.published.iter().partition(|at| at.ours.is_some());
        let caption = format!(
            "Published figures of the same model on the same split, and ours on {}; ± is the standard \
             deviation over seeds, of a published figure as its source has it. Differences in bold \
             are larger than chance and the margin.",
            self.of_test
        );
        let mut blocks = vec![heading("Published beside ours")];
        if with.is_empty() {
            let words =
                "None of the published figures is of a model and a split that were run here.";
            blocks.push(Block::Paragraph(words.to_owned()));
        } else {
            blocks.push(self.table(&caption, &header, with.into_iter().map(row).collect()));
        }
        if !without.is_empty() {
            let caption = "Published figures that cannot be compared with these runs, and why.";
            blocks.push(self.folded(caption, &header, without.into_iter().map(row).collect()));
        }
        blocks
    }

    pub(super) fn claims(&self) -> Vec<Block> {
        let verdict = self.verdict;
        if verdict.claims.is_empty() {
            return Vec::new();
        }
        let row = |at: &JudgedClaim| {
            let is_ratio = at.claim.kind == mmc_run::ClaimKind::Ratio;
            let say = |value: f64| if is_ratio { format!("{value:.1}×") } else { signed(value) };
            vec![
                at.claim.words.clone(),
                at.judgement.words().to_owned(),
                at.claim.value.map_or("–".to_owned(), say),
                at.ours.map_or("–".to_owned(), say),
                at.interval.map_or("–".to_owned(), |found| {
                    format!("[{}, {}]", say(found.low), say(found.high))
                }),
                at.why.clone(),
            ]
        };
        let caption = format!(
            "What others claim, and what these runs say to it on {}. A gain is confirmed where it is \
             shown and estimated at the margin of {} or more, refuted where it is shown to be less; \
             that there is none the other way round. Intervals at 95 %; of ratios the least and the \
             largest.",
            self.of_test, verdict.margin
        );
        let header = ["claim", "these runs", "theirs", "ours", "interval", "why"];
        let rows = verdict.claims.iter().map(row).collect();
        vec![heading("Claims of others"), self.table(&caption, &header, rows)]
    }
}
