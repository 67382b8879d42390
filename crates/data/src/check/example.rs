//! Rows to be looked at.

use crate::scan::{Row, Scan};
use crate::{ImageSource, Target};

/// A row as a person sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct ExampleRow {
    /// Its split.
    pub split: String,
    /// Its id.
    pub id: String,
    /// Its text.
    pub text: String,
    /// Its class, or its most frequent answer.
    pub label: Option<String>,
    /// Its picture.
    pub image: Option<ImageSource>,
}

/// Rows of each split that are shown.
const EXAMPLES: usize = 6;

/// Rows at even distances, from the first on.
pub(super) fn examples(scan: &Scan) -> Vec<ExampleRow> {
    let every = scan.rows.len().div_ceil(EXAMPLES).max(1);
    let example = |row: &Row| ExampleRow {
        split: scan.name.to_string(),
        id: row.sample.id.clone(),
        text: row.sample.text.clone(),
        label: match &row.sample.target {
            Some(Target::Class(class)) => scan.labels.get(*class).cloned(),
            Some(Target::Answers(answers)) => Some(answers.most_frequent.to_string()),
            None => None,
        },
        image: row.sample.image.clone(),
    };
    scan.rows.iter().step_by(every).map(example).collect()
}
