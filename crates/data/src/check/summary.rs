//! The counts of one split.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::Target;
use crate::scan::{Row, Scan};

/// The counts of one split, over its usable rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SplitSummary {
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Rows in the file, usable or not.
    pub rows: usize,
    /// Rows with nothing wrong.
    pub usable_rows: usize,
    /// Rows of the published file, where there is one and this is not generated data.
    pub published_rows: Option<usize>,
    /// Whether the usable rows have labels; `false` where there is none.
    pub labelled: bool,
    /// Rows of each class, in the classes' order; empty where there are no labels, and where they are
    /// answers to questions.
    pub classes: Vec<ClassCount>,
    /// Of answers to questions: rows of each kind of answer, the most frequent first.
    pub answer_types: Vec<ClassCount>,
    /// And rows of the answers that are the most frequent one of their question, the first ten.
    pub frequent_answers: Vec<ClassCount>,
    /// Rows without a picture.
    pub without_picture: usize,
    /// Rows whose text is empty or blank.
    pub empty_texts: usize,
    /// How long the texts are; `None` where there is no row.
    pub words: Option<WordCounts>,
}

/// How many rows a class has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// The class.
    pub name: String,
    /// Its rows.
    pub rows: usize,
}

/// Lengths of texts in words, as white space separates them; a tokenizer's pieces are more.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WordCounts {
    /// The shortest.
    pub minimum: usize,
    /// The middle one, the lower of two.
    pub median: usize,
    /// The mean.
    pub mean: f64,
    /// The shortest that 95 % do not exceed.
    pub percentile_95: usize,
    /// The longest.
    pub maximum: usize,
}

impl SplitSummary {
    pub(super) fn of(scan: &Scan, published_rows: Option<usize>) -> Self {
        let count = |holds: fn(&Row) -> bool| scan.rows.iter().filter(|row| holds(row)).count();
        let labelled = count(|row| row.sample.target.is_some()) > 0;
        let mut classes: Vec<ClassCount> = Vec::new();
        let has_answers =
            scan.rows.iter().any(|row| matches!(row.sample.target, Some(Target::Answers(_))));
        if labelled && !has_answers {
            let empty = |label: &String| ClassCount { name: label.clone(), rows: 0 };
            classes = scan.labels.iter().map(empty).collect();
            for row in &scan.rows {
                if let Some(Target::Class(class)) = row.sample.target
                    && let Some(count) = classes.get_mut(class)
                {
                    count.rows += 1;
                }
            }
        }
        let answers = || {
            scan.rows.iter().filter_map(|row| match &row.sample.target {
                Some(Target::Answers(answers)) => Some(&**answers),
                _ => None,
            })
        };
        let answer_types = by_frequency(answers().map(|it| &*it.answer_type));
        let mut frequent_answers = by_frequency(answers().map(|it| &*it.most_frequent));
        frequent_answers.truncate(ANSWERS);
        Self {
            name: scan.name.to_string(),
            path: scan.path.clone(),
            rows: scan.rows.len() + scan.problems.len(),
            usable_rows: scan.rows.len(),
            published_rows,
            labelled,
            classes,
            answer_types,
            frequent_answers,
            without_picture: count(|row| row.sample.image.is_none()),
            empty_texts: count(|row| row.sample.text.trim().is_empty()),
            words: WordCounts::of(scan.rows.iter().map(|row| row.sample.text.as_str())),
        }
    }
}

/// Answers that are counted one by one.
const ANSWERS: usize = 10;

/// How often each name occurs, the most frequent first, then by name.
fn by_frequency<'a>(names: impl Iterator<Item = &'a str>) -> Vec<ClassCount> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let mut counts: Vec<ClassCount> =
        counts.into_iter().map(|(name, rows)| ClassCount { name: name.to_owned(), rows }).collect();
    counts.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.name.cmp(&b.name)));
    counts
}

impl WordCounts {
    fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut lengths: Vec<usize> = texts.map(|text| text.split_whitespace().count()).collect();
        lengths.sort_unstable();
        let (minimum, maximum) = (*lengths.first()?, *lengths.last()?);
        let at = |percent: usize| lengths[(lengths.len() * percent).div_ceil(100).max(1) - 1];
        let mean = lengths.iter().sum::<usize>() as f64 / lengths.len() as f64;
        Some(Self { minimum, median: at(50), mean, percentile_95: at(95), maximum })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_come_first_then_by_name() {
        let counts = by_frequency(["no", "two", "yes", "no", "a"].into_iter());
        let counts: Vec<(&str, usize)> =
            counts.iter().map(|it| (it.name.as_str(), it.rows)).collect();
        assert_eq!(counts, [("no", 2), ("a", 1), ("two", 1), ("yes", 1)]);
    }

    #[test]
    fn lengths_are_counted_in_words() {
        let texts = ["a b c", "", "a", " a  b\nc d ", "a b"];
        let counts = WordCounts::of(texts.into_iter()).unwrap();
        assert_eq!((counts.minimum, counts.median, counts.maximum), (0, 2, 4));
        assert_eq!(counts.percentile_95, 4);
        assert!((counts.mean - 2.0).abs() < 1e-12);
        assert_eq!(WordCounts::of(std::iter::empty()), None);
    }
}
