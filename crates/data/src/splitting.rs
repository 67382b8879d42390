//! One table into `train`, `val` and `test`: stratified by class, with no picture in two of them.

mod assign;
mod keys;
mod unnamed;
mod write;

use std::path::{Path, PathBuf};

use self::assign::assign;
use self::keys::Keys;
use crate::DataError;

/// The splits in order, by the names that tables have.
const NAMES: [&str; 3] = ["train", "val", "test"];

/// How a table is split. Make one with `SplitOptions { .., ..SplitOptions::default() }`.
#[derive(Clone, Debug, PartialEq)]
pub struct SplitOptions {
    /// The shares of `train`, `val` and `test`: each above 0, in sum 1.
    pub fractions: [f64; 3],
    /// A column whose equal values stay together, besides rows that share a picture.
    pub group: Option<String>,
    /// The column whose values are spread evenly, in place of `label`.
    pub stratify: Option<String>,
    /// The column of pictures, in place of `image` (or `img`).
    pub image: Option<String>,
    /// The seed: the same seed gives the same files.
    pub seed: u64,
}

impl Default for SplitOptions {
    /// Eight tenths, a tenth and a tenth.
    fn default() -> Self {
        Self { fractions: [0.8, 0.1, 0.1], group: None, stratify: None, image: None, seed: 0 }
    }
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitCounts {
    /// The files of `train`, `val` and `test`.
    pub files: [PathBuf; 3],
    /// Rows of each.
    pub rows: [usize; 3],
    /// Each class with its rows in each; one without a name where the table has no classes.
    pub classes: Vec<(String, [usize; 3])>,
    /// Groups of two rows or more.
    pub groups: usize,
    /// What a user should know, in words.
    pub notes: Vec<String>,
}

/// Splits the table in `input` into three of its format in the folder `out`, which is made where it
/// is absent. Rows are copied as they are, in their order.
///
/// Rows that show the same picture (by content where it can be read, else by path), or have the
/// same value in [`SplitOptions::group`], stay together; sharing is transitive. Whole groups, the
/// largest first and otherwise in a random order, go where the squared distance from the wanted
/// counts of each class, over the wanted count, grows least. For rows on their own that is the
/// apportionment of Sainte-Laguë (Balinski and Young, *Fair Representation*, 1982), so that each
/// class is less than one row from its share in each split.
///
/// # Errors
///
/// [`DataError::Setting`] where the fractions make no sense. A column that is named and absent, a row
/// that cannot be read, a split that would have no row, a file that would be overwritten: nothing is
/// written then.
pub fn write_splits(
    input: &Path,
    out: &Path,
    options: &SplitOptions,
) -> Result<SplitCounts, DataError> {
    check_fractions(options.fractions)?;
    let files = write::targets(input, out)?;
    let keys = Keys::read(input, options)?;
    let sizes: Vec<usize> = keys.class_sizes();
    let split_of_group = assign(&keys.groups, &sizes, options.fractions, options.seed);
    let splits: Vec<u8> = keys.group_of_row.iter().map(|&group| split_of_group[group]).collect();
    let mut counts = SplitCounts {
        files,
        rows: [0; 3],
        classes: keys.classes.iter().map(|class| (class.clone(), [0; 3])).collect(),
        groups: keys.groups.iter().filter(|group| group.rows() > 1).count(),
        notes: keys.notes.clone(),
    };
    for (&class, &split) in keys.class_of_row.iter().zip(&splits) {
        counts.rows[usize::from(split)] += 1;
        counts.classes[class].1[usize::from(split)] += 1;
    }
    for (name, rows) in NAMES.iter().zip(counts.rows) {
        if rows == 0 {
            let (rows, groups) = (splits.len(), keys.groups.len());
            let problem = format!(
                "the split `{name}` would have no row: there are {rows} rows in {groups} groups \
                 that stay together; add rows, or change `--fractions`"
            );
            return Err(DataError::file(input, problem));
        }
    }
    for (class, [train, ..]) in &counts.classes {
        if *train == 0 && !class.is_empty() {
            counts.notes.push(format!("the class `{class}` has no row in `train`"));
        }
    }
    if keys.has_paths && !is_same_folder(input, out) {
        let folder = folder_of(input);
        counts.notes.push(format!(
            "pictures are named relative to {}: they must lie below {} in the same way, or move \
             the three files",
            folder.display(),
            out.display()
        ));
    }
    write::write(input, out, &counts.files, &splits)?;
    Ok(counts)
}

fn check_fractions(fractions: [f64; 3]) -> Result<(), DataError> {
    let positive = fractions.iter().all(|fraction| *fraction > 0.0 && *fraction < 1.0);
    if positive && (fractions.iter().sum::<f64>() - 1.0).abs() < 1e-6 {
        return Ok(());
    }
    let [train, val, test] = fractions;
    Err(DataError::Setting(format!(
        "the fractions `{train},{val},{test}` are not three numbers above 0 whose sum is 1; give \
         the shares of train, val and test, such as `--fractions .8,.1,.1`"
    )))
}

/// The folder that a file lies in.
fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn is_same_folder(input: &Path, out: &Path) -> bool {
    match (folder_of(input).canonicalize(), out.canonicalize()) {
        (Ok(folder), Ok(out)) => folder == out,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
