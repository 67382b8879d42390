//! The report as blocks: which figures are shown, in which order, in which words.

mod costs;
mod curves;
mod gains;
mod gallery;
mod methods;
mod opening;
mod others;
mod parts;
mod scores;
mod search;

use crate::arm::ArmRuns;
use crate::caption::{demo_words, of_scored, scored, test_split};
use crate::document::{Block, Table};
use crate::plot::{Figure, Plot};
use crate::{Results, Verdict};
use mmc_data::Arm;

/// The whole report, in its order: first what was asked for, then what it rests on.
pub(crate) fn page(results: &Results, verdict: &Verdict) -> Vec<Block> {
    let of_test = of_scored(test_split(verdict), scored(results));
    let page = Page { results, verdict, of_test, arms: ArmRuns::all(results) };
    let mut blocks = page.opening();
    blocks.extend(page.alarms());
    blocks.extend(page.scores());
    blocks.extend(page.gains());
    blocks.extend(page.ledger());
    blocks.extend(page.gallery());
    blocks.extend(page.costs());
    blocks.extend(page.benefits());
    blocks.extend(page.advice());
    blocks.extend(page.published());
    blocks.extend(page.claims());
    blocks.extend(page.changes());
    blocks.extend(page.classes());
    blocks.extend(page.learning());
    blocks.extend(page.roc());
    blocks.extend(page.calibration());
    blocks.extend(page.search());
    blocks.extend(page.runs());
    blocks.extend(page.data());
    blocks.extend(page.methods());
    blocks.extend(page.reproduce());
    blocks
}

/// What every part of the report is made from.
struct Page<'a> {
    results: &'a Results,
    verdict: &'a Verdict,
    /// The test split, in the words of captions.
    of_test: String,
    arms: Vec<ArmRuns<'a>>,
}

impl Page<'_> {
    /// A caption that says, if so, that its figures are of a demo.
    fn caption(&self, words: &str) -> String {
        match demo_words(self.verdict) {
            Some(demo) => format!("{demo}. {words}"),
            None => words.to_owned(),
        }
    }

    fn table(&self, caption: &str, header: &[&str], rows: Vec<Vec<String>>) -> Block {
        Block::Table(self.columns(caption, header, rows))
    }

    /// A table that is long and of use to few.
    fn folded(&self, caption: &str, header: &[&str], rows: Vec<Vec<String>>) -> Block {
        Block::Table(Table { folded: true, ..self.columns(caption, header, rows) })
    }

    fn columns(&self, caption: &str, header: &[&str], rows: Vec<Vec<String>>) -> Table {
        let header = header.iter().map(|&name| name.to_owned()).collect();
        Table { caption: self.caption(caption), header, rows, folded: false }
    }

    fn figure(&self, caption: &str, description: String, plot: Plot) -> Block {
        Block::Figure(Figure { caption: self.caption(caption), description, plot })
    }

    /// The text model and every multimodal one with all its inputs, as far as they can be scored.
    fn contenders(&self) -> impl Iterator<Item = &ArmRuns<'_>> {
        let text = self.verdict.text_model.as_deref();
        self.arms.iter().filter(move |arm| {
            let is_text = arm.arm == Arm::Text && Some(arm.model) == text;
            (is_text || arm.arm == Arm::Both) && !arm.scored().is_empty()
        })
    }
}

/// The style that an arm has in every figure.
fn style(arm: Arm) -> usize {
    match arm {
        Arm::Both => 0,
        Arm::Text => 1,
        Arm::Image => 2,
    }
}

fn heading(words: &str) -> Block {
    Block::Heading(2, words.to_owned())
}
