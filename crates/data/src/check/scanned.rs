//! The splits of a data set as they are read, with all that keeps a run from using them.

use super::{Finding, Kind};
use crate::dataset::StudySplits;
use crate::place::Place;
use crate::scan::Scan;
use crate::{DataError, Dataset, ReadOptions};

/// What was read.
pub(super) struct Scanned {
    /// The splits that could be read, in the data set's order.
    pub(super) scans: Vec<Scan>,
    /// The rows of each as it is published, where it is.
    pub(super) published: Vec<Option<usize>>,
    /// What stops a run.
    pub(super) problems: Vec<Finding>,
    /// What to know besides.
    pub(super) notes: Vec<String>,
}

impl Scanned {
    /// Reads every split that has a file; one that a study needs has to have one, with rows in it.
    pub(super) fn read(
        dataset: &Dataset,
        (place, study): (&Place, &StudySplits),
        options: &mut ReadOptions,
    ) -> Result<Self, DataError> {
        let mut found = Self {
            scans: Vec::new(),
            published: Vec::new(),
            problems: Vec::new(),
            notes: Vec::new(),
        };
        for split in dataset.splits {
            if let Err(error) = (dataset.locate)(place, split.name) {
                if study.is_needed(split.name) {
                    found.problems.push(Finding::new(Kind::UnreadableSplit, &error));
                }
                continue;
            }
            match dataset.scan(place, split.name, options) {
                Ok(scan) => {
                    options.keep_answers(dataset, &scan.labels);
                    found.add_problems(&scan, study);
                    found.scans.push(scan);
                    found.published.push(split.rows);
                }
                Err(error @ DataError::Setting(_)) => return Err(error),
                Err(error) => found.add_unread(split.name, &error),
            }
        }
        Ok(found)
    }

    fn add_problems(&mut self, scan: &Scan, study: &StudySplits) {
        let name = scan.name.to_string();
        let of_rows = scan.problems.iter().map(|found| Finding::new(found.kind, &found.error));
        self.problems.extend(of_rows);
        if study.is_needed(&name) && scan.is_without_rows() {
            self.problems.push(Finding::new(Kind::UnreadableSplit, &scan.no_usable_row()));
        }
        if name == study.train
            && let Some(error) = untrainable(scan)
        {
            self.problems.push(Finding::new(Kind::WrongLabel, &error));
        }
    }

    /// The classes of a table are those of its training file, whatever split is read: what is wrong with
    /// that is said once.
    fn add_unread(&mut self, name: &str, error: &DataError) {
        let finding = Finding::new(Kind::UnreadableSplit, error);
        if self.problems.contains(&finding) {
            let note = format!("`{name}` cannot be read for a reason that is listed already");
            self.notes.push(note);
        } else {
            self.problems.push(finding);
        }
    }
}

/// Why nothing can be trained on a split, though it has usable rows.
fn untrainable(scan: &Scan) -> Option<DataError> {
    let is_labelled = scan.rows.iter().any(|row| row.sample.target.is_some());
    let problem = match scan.labels.as_slice() {
        // Rows that cannot be read may have what is missing; what is wrong with them is said.
        _ if scan.rows.is_empty() || !scan.problems.is_empty() => return None,
        _ if !is_labelled => {
            "no row has a label, so nothing can be trained on it; add labels, or name \
                              their column with `--label-column`"
                .to_owned()
        }
        [only] => format!(
            "every label is `{only}`, and a classifier needs two classes; add rows of another, or name \
             all classes with `mmc train --labels`"
        ),
        _ => return None,
    };
    Some(DataError::file(&scan.path, problem))
}
