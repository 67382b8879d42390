//! Texts that have more tokens than a model takes, and so would be cut.
//!
//! Tokens are a tokenizer's, which this crate does not know: whoever asks brings how to count them.

use std::path::PathBuf;

use rayon::prelude::*;
use serde::Serialize;

use super::told::{Tell, Told};
use crate::scan::{Row, Scan};

/// A number of which the ends are known; it is exact where they are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Between {
    /// It is not less.
    pub at_least: usize,
    /// It is not more.
    pub at_most: usize,
}

impl Between {
    /// A number that is known.
    #[must_use]
    pub fn exactly(number: usize) -> Self {
        Self { at_least: number, at_most: number }
    }

    fn plus(self, other: Self) -> Self {
        Self { at_least: self.at_least + other.at_least, at_most: self.at_most + other.at_most }
    }

    fn largest(self, other: Self) -> Self {
        let (at_least, at_most) =
            (self.at_least.max(other.at_least), self.at_most.max(other.at_most));
        Self { at_least, at_most }
    }
}

/// Counts the tokens of a text, special tokens included; `None` where it cannot.
pub type CountTokens<'a> = dyn Fn(&str) -> Option<Between> + Sync + 'a;

/// A way to count tokens, and the models whose way it is.
pub struct TextCounter<'a> {
    /// Counts them.
    pub count: Box<CountTokens<'a>>,
    /// The folder of the tokenizer that counts; `None` where the counts are bounds.
    pub tokenizer: Option<PathBuf>,
    /// The models.
    pub models: Vec<TextModel>,
}

/// A model to whose length texts are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextModel {
    /// Its name.
    pub name: String,
    /// The most tokens that it takes.
    pub limit: usize,
    /// Where training cuts texts unless told otherwise.
    pub max_length: Option<usize>,
}

/// How long the texts of a data set are for one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TextLengths {
    /// The model.
    pub model: String,
    /// The most tokens that it takes.
    pub limit: usize,
    /// Where training cuts texts unless told otherwise.
    pub max_length: Option<usize>,
    /// The folder of the tokenizer that counted; `None` where the numbers are bounds that hold for every
    /// tokenizer of the model's kind.
    pub tokenizer: Option<PathBuf>,
    /// Each split by itself.
    pub splits: Vec<SplitLengths>,
}

/// The same of one split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SplitLengths {
    /// The split.
    pub split: String,
    /// Its usable rows.
    pub texts: usize,
    /// Texts longer than the model takes.
    pub beyond_limit: Between,
    /// Texts longer than training leaves them unless told otherwise.
    pub beyond_max_length: Option<Between>,
    /// Tokens of the longest text.
    pub longest: Between,
    /// Texts that could not be counted.
    pub uncounted: usize,
}

impl TextLengths {
    /// Over all splits, the texts of more tokens than `limit`, which is one of the two that were asked
    /// about.
    pub(super) fn longer_than(&self, limit: usize) -> Between {
        let count = |split: &SplitLengths| match split.beyond_max_length {
            Some(count) if limit != self.limit => count,
            _ => split.beyond_limit,
        };
        self.splits.iter().map(count).fold(Between::default(), Between::plus)
    }

    /// Tokens of the longest text of all splits.
    pub(super) fn longest(&self) -> Between {
        self.splits.iter().map(|split| split.longest).fold(Between::default(), Between::largest)
    }

    /// The texts of all splits.
    #[must_use]
    pub fn texts(&self) -> usize {
        self.splits.iter().map(|split| split.texts).sum()
    }

    /// Those of them that could be counted.
    #[must_use]
    pub fn counted(&self) -> usize {
        self.splits.iter().map(|split| split.texts - split.uncounted).sum()
    }

    /// By what tokenizer, and what it could not count; empty for bounds on all texts.
    pub(super) fn how(&self) -> String {
        let uncounted: usize = self.splits.iter().map(|split| split.uncounted).sum();
        let counted =
            |folder: &PathBuf| format!(" (counted by the tokenizer in {})", folder.display());
        let mut words = self.tokenizer.as_ref().map(counted).unwrap_or_default();
        if uncounted > 0 {
            words += "; texts that could not be counted: ";
            words += &uncounted.to_string();
        }
        words
    }
}

/// Holds the texts of all splits to each model.
pub(super) fn measured(
    scans: &[Scan],
    counters: &[TextCounter<'_>],
    tell: &Tell<'_>,
) -> Vec<TextLengths> {
    let mut found = Vec::new();
    let texts: usize = scans.iter().map(|scan| scan.rows.len()).sum();
    let told = Told::new("texts", texts * counters.len(), tell);
    for counter in counters {
        let count = |row: &Row| {
            let tokens = (counter.count)(&row.sample.text);
            told.one();
            tokens
        };
        let of = |scan: &Scan| scan.rows.par_iter().map(count).collect();
        let counted: Vec<Vec<Option<Between>>> = scans.iter().map(of).collect();
        found.extend(counter.models.iter().map(|model| {
            let splits = scans.iter().zip(&counted);
            TextLengths {
                model: model.name.clone(),
                limit: model.limit,
                max_length: model.max_length,
                tokenizer: counter.tokenizer.clone(),
                splits: splits.map(|(scan, counts)| of_split(scan, counts, model)).collect(),
            }
        }));
    }
    found
}

fn of_split(scan: &Scan, counts: &[Option<Between>], model: &TextModel) -> SplitLengths {
    let known = || counts.iter().flatten();
    let beyond = |limit: usize| Between {
        at_least: known().filter(|tokens| tokens.at_least > limit).count(),
        at_most: known().filter(|tokens| tokens.at_most > limit).count(),
    };
    SplitLengths {
        split: scan.name.to_string(),
        texts: counts.len(),
        beyond_limit: beyond(model.limit),
        beyond_max_length: model.max_length.map(beyond),
        longest: known().copied().fold(Between::default(), Between::largest),
        uncounted: counts.len() - known().count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{check, check_for};
    use crate::fixture::Folder;
    use crate::{ReadOptions, dataset};

    #[test]
    fn texts_beyond_each_length_are_counted_by_split() {
        let row =
            |name: &str, text: &str| format!("id,text,label\n{name}1,{text},x\n{name}2,a,y\n");
        let folder = Folder::with(&[
            ("train.csv", &row("t", "a b c d e f")),
            ("val.csv", &row("v", "a b c")),
            ("test.csv", &row("e", "?")),
        ]);
        let words = |text: &str| {
            let words = text.split(' ').count();
            (text != "?").then_some(Between { at_least: words, at_most: 2 * words })
        };
        let model = |name: &str, limit, max_length| {
            let name = name.to_owned();
            TextModel { name, limit, max_length }
        };
        let models = vec![model("long", 6, Some(2)), model("short", 5, None)];
        let counters = [TextCounter { count: Box::new(words), tokenizer: None, models }];
        let options = ReadOptions::default();
        let table = dataset("table").unwrap();
        let report = check_for(table, folder.path(), &options, &counters, &|_, _, _| ()).unwrap();
        let between = |at_least, at_most| Between { at_least, at_most };
        let [long, short] = report.text_lengths.as_slice() else { panic!("{report:?}") };
        let of = |found: &TextLengths, at: usize| {
            let split = &found.splits[at];
            (split.texts, split.beyond_limit, split.beyond_max_length, split.longest)
        };
        assert_eq!(of(long, 0), (2, between(0, 1), Some(between(1, 1)), between(6, 12)));
        assert_eq!(of(long, 1), (2, between(0, 0), Some(between(1, 1)), between(3, 6)));
        assert_eq!(of(short, 1), (2, between(0, 1), None, between(3, 6)));
        assert_eq!(long.splits[2].uncounted, 1);
        let text = report.to_string();
        for line in [
            "  long   at most 1 over 6, 2 over 2 (`--max-length`, unless given), the longest has at least \
             6 and at most 12; texts that could not be counted: 1",
            "  short  at least 1 and at most 2 over 5, the longest has",
            "  bounds, for want of a tokenizer",
        ] {
            assert!(text.contains(line), "{text}");
        }
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["text_lengths"][0]["splits"][0]["beyond_max_length"]["at_least"], 1);
        assert!(check(table, folder.path(), &options).unwrap().text_lengths.is_empty());
    }
}
