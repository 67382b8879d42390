//! Predictions as CSV: columns `probability:NAME` and `logit:NAME`, one a class.

use std::io::Write;
use std::path::Path;

use super::Prediction;
use super::row::{Each, Logits, Probabilities, RawRow};
use super::write::Table;
use crate::RunError;

/// Where each field is in a record.
struct Columns {
    id: usize,
    label: Option<usize>,
    prediction: Option<usize>,
    group: Option<usize>,
    probability: Option<usize>,
    probabilities: Vec<(String, usize)>,
    logits: Vec<(String, usize)>,
}

impl Columns {
    fn of(header: &csv::StringRecord) -> Result<Self, String> {
        let find = |name: &str| header.iter().position(|column| column == name);
        let prefixed = |prefix: &str| -> Vec<(String, usize)> {
            header
                .iter()
                .enumerate()
                .filter_map(|(at, column)| Some((column.strip_prefix(prefix)?.to_owned(), at)))
                .collect()
        };
        let columns = Self {
            id: find("id").ok_or("no column `id`")?,
            label: find("label"),
            prediction: find("prediction"),
            group: find("group"),
            probability: find("probability"),
            probabilities: prefixed("probability:"),
            logits: prefixed("logit:"),
        };
        if columns.probabilities.is_empty() && columns.probability.is_none() {
            return Err("no columns `probability:NAME` and no column `probability`".to_owned());
        }
        Ok(columns)
    }

    fn row(&self, record: &csv::StringRecord, line: usize) -> Result<RawRow, String> {
        let text = |at: Option<usize>| {
            at.and_then(|at| record.get(at)).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let probabilities = match self.probability {
            Some(at) if self.probabilities.is_empty() => {
                Probabilities::Positive(number(record, at, "probability")?)
            }
            _ => Probabilities::Named(numbers(record, &self.probabilities, "probability")?),
        };
        let empty = self.logits.iter().all(|(_, at)| record.get(*at).is_none_or(str::is_empty));
        let logits = if empty {
            None
        } else {
            let logits = numbers(record, &self.logits, "logit")?;
            Some(Logits::Named(
                logits.into_iter().map(|(name, value)| (name, value as f32)).collect(),
            ))
        };
        Ok(RawRow {
            line,
            id: text(Some(self.id)).ok_or("`id` is empty")?,
            label: text(self.label),
            prediction: text(self.prediction),
            group: text(self.group),
            probabilities,
            logits,
            answer: None,
            is_bare_answer: false,
        })
    }
}

fn numbers(
    record: &csv::StringRecord,
    columns: &[(String, usize)],
    kind: &str,
) -> Result<Vec<(String, f64)>, String> {
    columns
        .iter()
        .map(|(name, at)| Ok((name.clone(), number(record, *at, &format!("{kind}:{name}"))?)))
        .collect()
}

fn number(record: &csv::StringRecord, at: usize, field: &str) -> Result<f64, String> {
    let text = record.get(at).unwrap_or_default();
    text.trim()
        .parse()
        .map_err(|error| format!("`{field}` is `{text}`, expected a number ({error})"))
}

pub(super) fn read(path: &Path, each: &mut Each<'_>) -> Result<(), RunError> {
    let mut reader = csv::Reader::from_path(path).map_err(|error| RunError::file(path, error))?;
    let header = reader.headers().map_err(|error| RunError::line(path, 1, error))?;
    let columns = Columns::of(header).map_err(|problem| RunError::line(path, 1, problem))?;
    for (index, record) in reader.records().enumerate() {
        let record = record.map_err(|error| RunError::line(path, index + 2, error))?;
        let line = record.position().map_or(index + 2, |position| position.line() as usize);
        each(columns.row(&record, line).map_err(|problem| RunError::line(path, line, problem))?)?;
    }
    Ok(())
}

/// Writes the header and then rows.
pub(super) struct Writer<W: Write> {
    writer: csv::Writer<W>,
    table: Table,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(table: Table, out: W) -> Result<Self, RunError> {
        let classes = &table.classes;
        let mut header = vec!["id".to_owned(), "label".to_owned(), "prediction".to_owned()];
        header.extend(classes.iter().map(|name| format!("probability:{name}")));
        if table.logits {
            header.extend(classes.iter().map(|name| format!("logit:{name}")));
        }
        if table.groups {
            header.push("group".to_owned());
        }
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(&header).map_err(|error| RunError::file(&table.path, error))?;
        Ok(Self { writer, table })
    }

    pub(super) fn write(&mut self, rows: &[Prediction]) -> Result<(), RunError> {
        for row in rows {
            let label = row.label.clone().unwrap_or_default();
            let mut record = vec![row.id.clone(), label, row.prediction.clone()];
            record.extend(row.probabilities.iter().map(f64::to_string));
            if self.table.logits {
                match &row.logits {
                    Some(logits) => record.extend(logits.iter().map(f32::to_string)),
                    None => record.extend(self.table.classes.iter().map(|_| String::new())),
                }
            }
            if self.table.groups {
                record.push(row.group.clone().unwrap_or_default());
            }
            self.writer
                .write_record(&record)
                .map_err(|error| RunError::file(&self.table.path, error))?;
        }
        Ok(())
    }

    pub(super) fn close(mut self) -> Result<(), RunError> {
        self.writer.flush().map_err(RunError::io(&self.table.path))
    }
}
