//! Files of predictions brought to the same items in the same order.

use std::collections::HashMap;

use super::{Prediction, Predictions};
use crate::RunError;

/// Files of predictions cut to the items that all of them have, in one order.
#[derive(Clone, Debug, PartialEq)]
pub struct Paired {
    /// One for each file given: the same ids in the same order, classes in the first's order.
    pub files: Vec<Predictions>,
    /// One for each file given: how many of the ids found in any file it lacks.
    pub missing: Vec<usize>,
}

/// [`paired_of`] for files without names: the first, the second, …
///
/// # Errors
/// As [`paired_of`].
pub fn paired(files: &[Predictions]) -> Result<Paired, RunError> {
    let names = (1..=files.len()).map(|number| format!("file {number}"));
    paired_of(files.to_vec(), &names.collect::<Vec<_>>())
}

/// Cuts files to the ids that all of them have, in the order of the first, with the classes in
/// the first's order. What each file lacks is counted, for the caller to judge. `names` `[files]`
/// are what errors call them.
///
/// # Errors
/// [`RunError::Pairing`] where classes differ, no id is common, or two files disagree about an
/// item's label; it names the file and the row.
pub fn paired_of(files: Vec<Predictions>, names: &[String]) -> Result<Paired, RunError> {
    let Some(first) = files.first() else {
        return Err(RunError::Pairing { problem: "no files to compare".to_owned() });
    };
    for (file, name) in files.iter().zip(names).skip(1) {
        same_classes((first, &names[0]), (file, name))?;
    }
    let (places, missing) = places(&files);
    if places.iter().all(Vec::is_empty) {
        let problem = "the files have no item in common; were they made from one split?".to_owned();
        return Err(RunError::Pairing { problem });
    }
    for ((file, of_file), name) in files.iter().zip(&places).zip(names).skip(1) {
        for (&at, &here) in places[0].iter().zip(of_file) {
            same_label((first, at, &names[0]), (file, here, name))?;
        }
    }
    let classes = first.classes.clone();
    let mut cut = Vec::with_capacity(files.len());
    for (file, places) in files.into_iter().zip(places) {
        let file = picked(file, &places);
        cut.push(if file.classes == classes { file } else { file.aligned_to(&classes)? });
    }
    Ok(Paired { files: cut, missing })
}

/// The rows of each file that hold the common items, in the order of the first file, and how many
/// items each file lacks.
fn places(files: &[Predictions]) -> (Vec<Vec<usize>>, Vec<usize>) {
    let first = &files[0].rows;
    let same = |file: &Predictions| {
        file.rows.len() == first.len() && file.rows.iter().zip(first).all(|(a, b)| a.id == b.id)
    };
    if files.iter().all(same) {
        return (vec![(0..first.len()).collect(); files.len()], vec![0; files.len()]);
    }
    let mut holders: HashMap<&str, usize> = HashMap::with_capacity(first.len());
    for row in files.iter().flat_map(|file| &file.rows) {
        *holders.entry(row.id.as_str()).or_default() += 1;
    }
    let missing = files.iter().map(|file| holders.len() - file.rows.len()).collect();
    let common: Vec<&str> = first
        .iter()
        .map(|row| row.id.as_str())
        .filter(|id| holders.get(id) == Some(&files.len()))
        .collect();
    let of_file = |file: &Predictions| -> Vec<usize> {
        let by_id: HashMap<&str, usize> =
            file.rows.iter().enumerate().map(|(place, row)| (row.id.as_str(), place)).collect();
        common.iter().filter_map(|id| by_id.get(id).copied()).collect()
    };
    (files.iter().map(of_file).collect(), missing)
}

/// The rows at `places`, in their order.
fn picked(file: Predictions, places: &[usize]) -> Predictions {
    if places.iter().copied().eq(0..file.rows.len()) {
        return file;
    }
    let mut rows: Vec<Option<Prediction>> = file.rows.into_iter().map(Some).collect();
    let rows = places.iter().filter_map(|&place| rows[place].take()).collect();
    Predictions { classes: file.classes, rows }
}

fn same_classes(
    (first, first_name): (&Predictions, &str),
    (file, name): (&Predictions, &str),
) -> Result<(), RunError> {
    let known = |class: &String| first.classes.contains(class);
    if file.classes.len() == first.classes.len() && file.classes.iter().all(known) {
        return Ok(());
    }
    let problem = format!(
        "{name}: its classes are `{}`, those of {first_name} `{}`; compare files of one task",
        file.classes.join("`, `"),
        first.classes.join("`, `")
    );
    Err(RunError::Pairing { problem })
}

/// Questions have to be judged by the same people: their accuracy is what those answered.
fn same_people(
    (first, at, first_name): (&Predictions, usize, &str),
    (file, here, name): (&Predictions, usize, &str),
) -> Result<(), RunError> {
    let people = |row: &Prediction| {
        let mut answers =
            row.answer.as_ref().map_or_else(Vec::new, |answer| answer.answers.clone());
        answers.sort_unstable();
        answers
    };
    if people(&first.rows[at]) == people(&file.rows[here]) {
        return Ok(());
    }
    let problem = format!(
        "{name}: row {}, question `{}`, has other `answers` of people than {first_name}, row {}; \
         compare files with the same annotations",
        here + 1,
        file.rows[here].id,
        at + 1
    );
    Err(RunError::Pairing { problem })
}

fn same_label(
    (first, at, first_name): (&Predictions, usize, &str),
    (file, here, name): (&Predictions, usize, &str),
) -> Result<(), RunError> {
    let (expected, found) = (&first.rows[at], &file.rows[here]);
    if expected.label == found.label {
        return same_people((first, at, first_name), (file, here, name));
    }
    let say = |label: &Option<String>| match label {
        Some(label) => format!("the label `{label}`"),
        None => "no label".to_owned(),
    };
    let problem = format!(
        "{name}: row {}, item `{}`, has {}, but {} in {first_name}, row {}; compare files of one \
         split",
        here + 1,
        found.id,
        say(&found.label),
        say(&expected.label),
        at + 1
    );
    Err(RunError::Pairing { problem })
}
