//! From rows as files give them to checked [`Predictions`].

use std::collections::HashMap;
use std::path::Path;

use super::{AnswerRow, Prediction, Predictions};
use crate::RunError;

/// How far the probabilities of a row may be from summing to 1.
const SUM_TOLERANCE: f64 = 1e-3;

/// A row before it is checked.
#[derive(Debug, Default)]
pub(super) struct RawRow {
    /// Line of the file, or row of a Parquet file, from 1.
    pub(super) line: usize,
    pub(super) id: String,
    pub(super) label: Option<String>,
    pub(super) prediction: Option<String>,
    pub(super) group: Option<String>,
    pub(super) probabilities: Probabilities,
    pub(super) logits: Option<Logits>,
    /// What there is in place of probabilities and logits.
    pub(super) answer: Option<AnswerRow>,
    /// Whether there is an answer without what people said.
    pub(super) is_bare_answer: bool,
}

/// Bytes that a row takes beside its texts and numbers, and a text in a list beside its own.
const ROW_BYTES: usize = 400;
const TEXT_BYTES: usize = 24;

impl RawRow {
    /// What it comes to, in bytes; of probabilities the numbers alone, for all rows have the same names.
    pub(super) fn bytes(&self) -> u64 {
        let texts = [&self.label, &self.prediction, &self.group].into_iter().flatten();
        let mut bytes = ROW_BYTES + self.id.len() + texts.map(String::len).sum::<usize>();
        if let Probabilities::Named(classes) = &self.probabilities {
            bytes += size_of::<f64>() * classes.len();
        }
        bytes += match &self.logits {
            Some(Logits::Ordered(logits)) => size_of::<f32>() * logits.len(),
            Some(Logits::Named(logits)) => size_of::<f32>() * logits.len(),
            None => 0,
        };
        if let Some(answer) = &self.answer {
            let listed = answer.top.iter().map(|(name, _)| name).chain(&answer.answers);
            bytes += listed.map(|text| text.len() + TEXT_BYTES).sum::<usize>();
            let kinds = [&answer.question_type, &answer.answer_type].into_iter().flatten();
            bytes += kinds.map(String::len).sum::<usize>();
        }
        bytes as u64
    }
}

/// What is said of such a row where it is nothing else either.
pub(super) const BARE_ANSWER: &str = "an `answer` without `answers`, what people said to the question, by \
    which it is scored; write that too, or of classes their `probabilities`";

#[derive(Debug)]
pub(super) enum Probabilities {
    /// By class name, in the order of the file.
    Named(Vec<(String, f64)>),
    /// Of the positive class alone.
    Positive(f64),
}

impl Default for Probabilities {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

#[derive(Debug)]
pub(super) enum Logits {
    /// In the order of the probabilities.
    Ordered(Vec<f32>),
    /// By class name.
    Named(Vec<(String, f32)>),
}

/// Takes the rows of a file in turn.
pub(super) type Each<'a> = dyn FnMut(RawRow) -> Result<(), RunError> + 'a;

/// Checks every row and brings all to the class order of the first.
pub(super) fn checked(
    rows: Vec<RawRow>,
    path: &Path,
    positive: Option<&str>,
) -> Result<Predictions, RunError> {
    check_ids(&rows, path)?;
    if rows.first().is_some_and(|row| row.answer.is_some()) {
        return answers(rows, path);
    }
    let classes = classes(&rows, path, positive)?;
    let mut predictions = Vec::with_capacity(rows.len());
    for row in rows {
        let line = row.line;
        let row =
            one(row, &classes, positive).map_err(|problem| RunError::line(path, line, problem))?;
        predictions.push(row);
    }
    Ok(Predictions { classes, rows: predictions })
}

/// Checks rows that are answers to questions.
fn answers(rows: Vec<RawRow>, path: &Path) -> Result<Predictions, RunError> {
    let mut predictions = Vec::with_capacity(rows.len());
    for row in rows {
        let line = row.line;
        let fault = |problem: &str| RunError::line(path, line, problem);
        let (Some(answer), Some(prediction)) = (row.answer, row.prediction) else {
            return Err(fault("no `answer`, which the first row has; write one kind of rows"));
        };
        let probabilities = answer.top.iter().map(|(_, probability)| *probability);
        if !probabilities.chain([answer.probability]).all(|value| (0.0..=1.0).contains(&value)) {
            return Err(fault("a probability is not a number from 0 to 1"));
        }
        predictions.push(Prediction {
            id: row.id,
            label: row.label,
            prediction,
            probabilities: Vec::new(),
            logits: None,
            group: row.group,
            answer: Some(Box::new(answer)),
        });
    }
    Ok(Predictions { classes: Vec::new(), rows: predictions })
}

/// Errs at the first id that was there before.
fn check_ids(rows: &[RawRow], path: &Path) -> Result<(), RunError> {
    let mut first_lines: HashMap<&str, usize> = HashMap::with_capacity(rows.len());
    for row in rows {
        if let Some(first) = first_lines.insert(&row.id, row.line) {
            let problem = format!("`id` is `{}`, as in row {first}; ids must differ", row.id);
            return Err(RunError::line(path, row.line, problem));
        }
    }
    Ok(())
}

/// The classes of a file: the names of its first row's probabilities, or, where there is one
/// probability a row, the two names among its labels and predictions.
fn classes(rows: &[RawRow], path: &Path, positive: Option<&str>) -> Result<Vec<String>, RunError> {
    let Some(first) = rows.first() else {
        return Err(RunError::file(path, "no rows; predictions of at least one item are needed"));
    };
    if let Probabilities::Named(named) = &first.probabilities {
        let names: Vec<String> = named.iter().map(|(name, _)| name.clone()).collect();
        let repeated = (1..names.len()).find(|&at| names[..at].contains(&names[at]));
        return match repeated {
            Some(at) => {
                let problem = format!("the class `{}` has two probabilities", names[at]);
                Err(RunError::line(path, first.line, problem))
            }
            None if names.len() < 2 => {
                let problem = "`probabilities` names fewer than two classes";
                Err(RunError::line(path, first.line, problem))
            }
            None => Ok(names),
        };
    }
    let mut names: Vec<&str> = rows
        .iter()
        .flat_map(|row| [row.label.as_deref(), row.prediction.as_deref()])
        .chain([positive])
        .flatten()
        .collect();
    names.sort_unstable();
    names.dedup();
    if names.len() == 2 {
        return Ok(names.into_iter().map(str::to_owned).collect());
    }
    if first.is_bare_answer {
        return Err(RunError::line(path, first.line, BARE_ANSWER));
    }
    let problem = format!(
        "one `probability` a row needs two classes, but the labels and predictions name {}; \
         write the columns `probability:NAME` of every class",
        names.len()
    );
    Err(RunError::file(path, problem))
}

fn one(row: RawRow, classes: &[String], positive: Option<&str>) -> Result<Prediction, String> {
    let probabilities = match row.probabilities {
        Probabilities::Named(named) => in_order(named, classes, "probabilities")?,
        Probabilities::Positive(probability) => {
            let at = match positive {
                None => 1,
                Some(name) => member(name, classes, "positive")?,
            };
            if !(0.0..=1.0).contains(&probability) {
                return Err(format!(
                    "`probability` is `{probability}`, expected a number from 0 to 1"
                ));
            }
            if at == 1 {
                vec![1.0 - probability, probability]
            } else {
                vec![probability, 1.0 - probability]
            }
        }
    };
    for (name, probability) in classes.iter().zip(&probabilities) {
        if !(0.0..=1.0).contains(probability) {
            return Err(format!(
                "the probability of `{name}` is `{probability}`, expected a number from 0 to 1"
            ));
        }
    }
    let sum: f64 = probabilities.iter().sum();
    if (sum - 1.0).abs() > SUM_TOLERANCE {
        return Err(format!("`probabilities` sum to {sum:.6}, expected 1"));
    }
    let logits = match row.logits {
        None => None,
        Some(Logits::Named(named)) => Some(in_order(named, classes, "logits")?),
        Some(Logits::Ordered(logits)) if logits.len() == classes.len() => Some(logits),
        Some(Logits::Ordered(logits)) => {
            return Err(format!(
                "`logits` has {} numbers for {} classes",
                logits.len(),
                classes.len()
            ));
        }
    };
    if logits.iter().flatten().any(|logit| !logit.is_finite()) {
        return Err("`logits` has a number that is not finite".to_owned());
    }
    if let Some(label) = &row.label {
        member(label, classes, "label")?;
    }
    let prediction = match row.prediction {
        Some(name) => {
            member(&name, classes, "prediction")?;
            name
        }
        None => most_probable(&probabilities, classes),
    };
    if row.answer.is_some() {
        return Err("an `answer`, though the first row has `probabilities`".to_owned());
    }
    Ok(Prediction {
        id: row.id,
        label: row.label,
        prediction,
        probabilities,
        logits,
        group: row.group,
        answer: None,
    })
}

/// The first of the classes with the highest probability.
fn most_probable(probabilities: &[f64], classes: &[String]) -> String {
    let mut best = 0;
    for (class, probability) in probabilities.iter().enumerate() {
        if *probability > probabilities[best] {
            best = class;
        }
    }
    classes.get(best).cloned().unwrap_or_default()
}

fn member(name: &str, classes: &[String], field: &str) -> Result<usize, String> {
    classes
        .iter()
        .position(|class| class == name)
        .ok_or_else(|| format!("`{field}` is `{name}`, expected {}", crate::error::listed(classes)))
}

fn in_order<T: Copy>(
    named: Vec<(String, T)>,
    classes: &[String],
    field: &str,
) -> Result<Vec<T>, String> {
    if named.len() == classes.len()
        && named.iter().zip(classes).all(|((name, _), class)| name == class)
    {
        return Ok(named.into_iter().map(|(_, value)| value).collect());
    }
    let of = |class: &String| named.iter().find(|(name, _)| name == class).map(|at| at.1);
    let values: Option<Vec<T>> = classes.iter().map(of).collect();
    values.filter(|values| values.len() == named.len()).ok_or_else(|| {
        let names: Vec<String> = named.iter().map(|(name, _)| name.clone()).collect();
        format!(
            "`{field}` is of `{}`, expected of `{}` as in the first row",
            names.join("`, `"),
            classes.join("`, `")
        )
    })
}
