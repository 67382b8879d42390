//! Tables of one's own: `train`, `val` and `test` as CSV or JSONL, with the columns `id`, `text`,
//! `image` and `label`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::dataset::Request;
use crate::error::listed;
use crate::rows::{RawRow, RawTable, absent_column, read_rows};
use crate::scan::{Collector, FieldError, Fields, Labels, Scan, name_of, text_of};
use crate::{DataError, ReadOptions};

const EXTENSIONS: [&str; 3] = ["csv", "jsonl", "parquet"];

/// The one file of a split.
pub(crate) fn locate(root: &Path, split: &str) -> Result<PathBuf, DataError> {
    let files: Vec<PathBuf> = EXTENSIONS
        .iter()
        .map(|extension| root.join(format!("{split}.{extension}")))
        .filter(|path| path.is_file())
        .collect();
    match files.as_slice() {
        [file] => Ok(file.clone()),
        [] => Err(DataError::file(
            root,
            format!("the split `{split}` has no file; expected `{split}.csv` or `{split}.jsonl`"),
        )),
        [first, second, ..] => Err(DataError::file(
            second,
            format!("the split `{split}` is also in {}; remove one of them", first.display()),
        )),
    }
}

/// Reads one split; the classes are those of the training file unless they were given.
pub(crate) fn scan(request: &Request<'_>) -> Result<Scan, DataError> {
    let path = locate(request.root, request.split)?;
    let columns = Columns::new(request.options)?;
    let table = columns.read(&path)?;
    let names = class_names(request, &path, &columns, &table)?;
    let remedy = if request.options.labels.is_some() {
        "fix the row, drop it, or add the label to `--labels`"
    } else {
        "the classes are those of the training file: fix the row, drop it, or give `--labels`"
    };
    let labels = Labels { codes: names.clone(), names, remedy };
    let mut collector = Collector::new(request, &path, labels)?;
    for row in table.rows {
        collector.add(row, |row| columns.fields(row));
    }
    collector.finish()
}

/// The names of the four columns, and which of them the user chose.
pub(crate) struct Columns<'a> {
    /// Id, text, image, label.
    names: [&'a str; 4],
    /// Whether a file without the column is wrong.
    required: [bool; 4],
}

const FLAGS: [&str; 4] = ["--id-column", "--text-column", "--image-column", "--label-column"];

impl<'a> Columns<'a> {
    pub(crate) fn new(options: &'a ReadOptions) -> Result<Self, DataError> {
        let given = [
            &options.id_column,
            &options.text_column,
            &options.image_column,
            &options.label_column,
        ];
        let names = [
            given[0].as_deref().unwrap_or("id"),
            given[1].as_deref().unwrap_or("text"),
            given[2].as_deref().unwrap_or("image"),
            given[3].as_deref().unwrap_or("label"),
        ];
        for (index, name) in names.iter().enumerate() {
            if let Some(earlier) = names[..index].iter().position(|other| other == name) {
                return Err(DataError::Setting(format!(
                    "`{}` and `{}` both name the column `{name}`; give each its own",
                    FLAGS[earlier], FLAGS[index]
                )));
            }
        }
        // A text may be empty, but a table without the column is far more often a mistake.
        let required = [given[0].is_some(), true, given[2].is_some(), given[3].is_some()];
        Ok(Self { names, required })
    }

    /// The rows of a file whose header has the columns that it must have.
    pub(crate) fn read(&self, path: &Path) -> Result<RawTable, DataError> {
        let table = read_rows(path, &self.names)?;
        for index in 0..self.names.len() {
            if self.required[index] && !table.present[index] {
                let name = self.names[index];
                let problem = absent_column(name, &table.others, FLAGS[index]);
                return Err(DataError::row(path, 1, name, problem));
            }
        }
        Ok(table)
    }

    pub(crate) fn fields(&self, row: &RawRow) -> Result<Fields, FieldError> {
        let [id, text, image, label] = row.values.as_slice() else {
            return Err((String::new(), "the row has no columns".to_owned()));
        };
        let name = |index: usize| self.names[index];
        let Some(text) = text_of(name(1), text)? else {
            return Err((name(1).to_owned(), absent_column(name(1), &row.others, FLAGS[1])));
        };
        Ok(Fields {
            id: name_of(name(0), id)?,
            text,
            image: text_of(name(2), image)?.filter(|path| !path.is_empty()),
            label: name_of(name(3), label)?,
        })
    }
}

/// The classes in order: those given, else those of the training file.
fn class_names(
    request: &Request<'_>,
    path: &Path,
    columns: &Columns<'_>,
    table: &RawTable,
) -> Result<Vec<String>, DataError> {
    if let Some(given) = &request.options.labels {
        let distinct: BTreeSet<&String> = given.iter().collect();
        if distinct.len() < given.len() || given.iter().any(String::is_empty) || given.len() < 2 {
            return Err(DataError::Setting(format!(
                "the labels {} are not two or more different names; fix `--labels`",
                listed(given.iter().map(String::as_str))
            )));
        }
        return Ok(given.clone());
    }
    let train = request.dataset.train;
    if request.split == train {
        return Ok(ordered_labels(columns, table));
    }
    match locate(request.root, train) {
        Ok(file) => Ok(ordered_labels(columns, &columns.read(&file)?)),
        Err(error) if ordered_labels(columns, table).is_empty() => {
            // Without labels there is nothing to name; but two training files stay an error.
            if request.dataset.split_file(request.root, request.split).is_ok()
                && EXTENSIONS
                    .iter()
                    .all(|end| !request.root.join(format!("{train}.{end}")).exists())
            {
                Ok(Vec::new())
            } else {
                Err(error)
            }
        }
        Err(_) => Err(DataError::file(
            path,
            format!(
                "the classes are not known, since the split `{train}` has no file beside this \
                 one; put it there or give them with `--labels`"
            ),
        )),
    }
}

/// All labels of a table: by value if all are whole numbers, else by bytes. The order of the rows
/// has no part in it.
fn ordered_labels(columns: &Columns<'_>, table: &RawTable) -> Vec<String> {
    let labels: BTreeSet<String> =
        table.rows.iter().flatten().filter_map(|row| columns.fields(row).ok()?.label).collect();
    let mut numbers: Vec<(i128, String)> =
        labels.iter().filter_map(|label| Some((label.parse().ok()?, label.clone()))).collect();
    if numbers.len() < labels.len() {
        return labels.into_iter().collect();
    }
    numbers.sort();
    numbers.into_iter().map(|(_, label)| label).collect()
}
