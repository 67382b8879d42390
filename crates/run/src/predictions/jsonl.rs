//! Predictions as JSON lines: `probabilities` an object by class, `logits` an array.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::Prediction;
use super::row::{Each, Logits, Probabilities, RawRow};
use super::write::Table;
use crate::RunError;

pub(super) fn read(path: &Path, each: &mut Each<'_>) -> Result<(), RunError> {
    let file = File::open(path).map_err(RunError::io(path))?;
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let number = index + 1;
        let line = line.map_err(|error| RunError::line(path, number, error))?;
        if line.trim().is_empty() {
            continue;
        }
        let row = serde_json::from_str::<Map<String, Value>>(&line)
            .map_err(|error| error.to_string())
            .and_then(|object| raw(&object, number))
            .map_err(|problem| RunError::line(path, number, problem))?;
        each(row)?;
    }
    Ok(())
}

fn raw(object: &Map<String, Value>, line: usize) -> Result<RawRow, String> {
    let probabilities = match (object.get("probabilities"), object.get("probability")) {
        (Some(Value::Object(named)), _) => {
            let of = |(name, value)| Ok((String::clone(name), number(value, "probabilities")?));
            Probabilities::Named(named.iter().map(of).collect::<Result<_, String>>()?)
        }
        (Some(other), _) => {
            return Err(format!("`probabilities` is `{other}`, expected an object by class name"));
        }
        (None, Some(value)) => Probabilities::Positive(number(value, "probability")?),
        (None, None) => return Err("no `probabilities`, an object by class name".to_owned()),
    };
    let logits = match object.get("logits") {
        None | Some(Value::Null) => None,
        Some(Value::Array(values)) => {
            let of = |value| Ok(number(value, "logits")? as f32);
            Some(Logits::Ordered(values.iter().map(of).collect::<Result<_, String>>()?))
        }
        Some(other) => return Err(format!("`logits` is `{other}`, expected an array")),
    };
    Ok(RawRow {
        line,
        id: text(object, "id")?.ok_or("no `id`")?,
        label: text(object, "label")?,
        prediction: text(object, "prediction")?,
        group: text(object, "group")?,
        probabilities,
        logits,
    })
}

fn number(value: &Value, field: &str) -> Result<f64, String> {
    value.as_f64().ok_or_else(|| format!("`{field}` holds `{value}`, expected a number"))
}

/// A text; numbers are taken as they are written, since foreign files have numeric labels.
fn text(object: &Map<String, Value>, field: &str) -> Result<Option<String>, String> {
    match object.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(other) => Err(format!("`{field}` is `{other}`, expected a text")),
    }
}

/// A line as it is written; f32 stays f32, so that its shortest decimal form is written.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    label: Option<&'a str>,
    prediction: &'a str,
    probabilities: Named<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logits: Option<&'a [f32]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
}

/// Probabilities as an object by class, in class order.
struct Named<'a>(&'a [String], &'a [f64]);

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().zip(self.1))
    }
}

/// Writes a line a row.
pub(super) struct Writer<W: Write> {
    out: W,
    table: Table,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(table: Table, out: W) -> Self {
        Self { out, table }
    }

    pub(super) fn write(&mut self, rows: &[Prediction]) -> Result<(), RunError> {
        let path = &self.table.path;
        for row in rows {
            let line = Line {
                id: &row.id,
                label: row.label.as_deref(),
                prediction: &row.prediction,
                probabilities: Named(&self.table.classes, &row.probabilities),
                logits: row.logits.as_deref(),
                group: row.group.as_deref(),
            };
            serde_json::to_writer(&mut self.out, &line)
                .map_err(|error| RunError::file(path, error))?;
            self.out.write_all(b"\n").map_err(RunError::io(path))?;
        }
        Ok(())
    }
}
