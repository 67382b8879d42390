//! Prediction files of any framework, read and brought to the same items.

use std::path::{Path, PathBuf};

use mmc_metrics::MetricError;
use mmc_run::{Predictions, ScoredRows, paired_of};
use rayon::prelude::*;

use crate::clusters::{self, Cluster};
use crate::failure::Failure;

/// Files as numbers, all of the same items in the same order.
pub(crate) struct ScoredFiles<'a> {
    paths: Vec<&'a PathBuf>,
    /// One a file.
    pub(crate) rows: Vec<ScoredRows>,
    missing: Vec<usize>,
}

/// Reads the files, several at a time, and keeps the items that all of them have.
pub(crate) fn read<'a>(
    paths: Vec<&'a PathBuf>,
    positive: Option<&str>,
    cluster: Cluster<'_>,
) -> Result<ScoredFiles<'a>, Failure> {
    let read = |path: &&PathBuf| -> Result<Predictions, Failure> {
        let mut file = Predictions::read_with_positive(path, positive)?;
        if !file.is_labelled() {
            return Err(of_file(path, file.scored().err()));
        }
        clusters::apply(cluster, &mut file, path)?;
        Ok(file)
    };
    let files: Vec<Result<Predictions, Failure>> = paths.par_iter().map(read).collect();
    let files = files.into_iter().collect::<Result<Vec<_>, _>>()?;
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let paired = paired_of(files, &names)?;
    let rows = paired.files.iter().map(Predictions::scored).collect::<Result<_, _>>()?;
    Ok(ScoredFiles { paths, rows, missing: paired.missing })
}

impl ScoredFiles<'_> {
    /// What is said of files that lack items which others have.
    pub(crate) fn missing(&self) -> Vec<String> {
        let lacking = self.paths.iter().zip(&self.missing).filter(|(_, count)| **count > 0);
        let say = |(path, count): (&&PathBuf, &usize)| {
            format!("`{}` lacks {count} items of the other files: left out", path.display())
        };
        lacking.map(say).collect()
    }

    /// An error of a metric, with the file where it is about the labels, which all files share.
    pub(crate) fn at_fault(&self, error: MetricError) -> Failure {
        let MetricError::Undefined { metric, .. } = &error else { return error.into() };
        let (Some(path), Some(rows)) = (self.paths.first(), self.rows.first()) else {
            return error.into();
        };
        let class = rows.labels.first().and_then(|&class| rows.classes.get(class));
        match class {
            Some(class) if rows.labels.iter().all(|label| *label == rows.labels[0]) => {
                Failure::work(format!(
                    "{}: rows 1 to {} all have the label `{class}`, and `{metric}` needs two \
                     classes; give more items or another `--metric`, such as `accuracy`",
                    path.display(),
                    rows.labels.len()
                ))
            }
            _ => of_file(path, Some(error)),
        }
    }
}

/// An error that does not name its file, with the file.
fn of_file<E: std::error::Error + 'static>(path: &Path, error: Option<E>) -> Failure {
    let said = error.map_or_else(String::new, |error| error.to_string());
    Failure::work(format!("{}: {said}", path.display()))
}
