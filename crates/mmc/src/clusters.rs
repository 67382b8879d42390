//! What ties items together in a comparison: the files' own groups, nothing, or another column.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mmc_run::Predictions;

use crate::failure::Failure;

/// What `--cluster` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cluster<'a> {
    /// The `group` of each row, where there is one.
    Group,
    /// Every row stands alone.
    None,
    /// The values of another column or field.
    Column(&'a str),
}

impl<'a> From<Option<&'a str>> for Cluster<'a> {
    fn from(typed: Option<&'a str>) -> Self {
        match typed {
            None | Some("group") => Self::Group,
            Some("none") => Self::None,
            Some(column) => Self::Column(column),
        }
    }
}

/// Sets the groups of `file`, which was read from `path`.
pub(crate) fn apply(
    cluster: Cluster<'_>,
    file: &mut Predictions,
    path: &Path,
) -> Result<(), Failure> {
    match cluster {
        Cluster::Group => {}
        Cluster::None => file.rows.iter_mut().for_each(|row| row.group = None),
        Cluster::Column(column) => {
            let mut values = column_by_id(path, column)?;
            for row in &mut file.rows {
                row.group = values.remove(&row.id).flatten();
            }
        }
    }
    Ok(())
}

type Values = BTreeMap<String, Option<String>>;

/// The values of a column that predictions do not keep, by id.
fn column_by_id(path: &Path, column: &str) -> Result<Values, Failure> {
    let extension = path.extension().and_then(|name| name.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "csv" => csv_column(path, column),
        "jsonl" => jsonl_column(path, column),
        _ => Err(Failure::usage(format!(
            "{}: `--cluster {column}` reads .csv and .jsonl files; Parquet files are tied by \
             `group` or not at all (`none`)",
            path.display()
        ))),
    }
}

fn absent(path: &Path, column: &str) -> Failure {
    Failure::usage(format!(
        "{}: no column `{column}` to cluster by; give one that it has, or `none`",
        path.display()
    ))
}

fn csv_column(path: &Path, column: &str) -> Result<Values, Failure> {
    let mut reader = csv::Reader::from_path(path)?;
    let headers = reader.headers()?.clone();
    let place = |name: &str| headers.iter().position(|header| header == name);
    let wanted = place(column).ok_or_else(|| absent(path, column))?;
    let id = place("id").ok_or_else(|| absent(path, "id"))?;
    let mut values = Values::new();
    for record in reader.records() {
        let record = record?;
        let value = record.get(wanted).filter(|value| !value.is_empty()).map(str::to_owned);
        values.insert(record.get(id).unwrap_or_default().to_owned(), value);
    }
    Ok(values)
}

fn jsonl_column(path: &Path, column: &str) -> Result<Values, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::work(format!("{}: {error}", path.display())))?;
    let mut values = Values::new();
    let mut found = false;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let row: serde_json::Value = serde_json::from_str(line)?;
        found |= row.get(column).is_some();
        let as_text = |name: &str| match row.get(name) {
            None | Some(serde_json::Value::Null) => None,
            Some(serde_json::Value::String(text)) => Some(text.clone()),
            Some(other) => Some(other.to_string()),
        };
        values.insert(as_text("id").unwrap_or_default(), as_text(column));
    }
    if found { Ok(values) } else { Err(absent(path, column)) }
}
