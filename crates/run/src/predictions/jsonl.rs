//! Predictions as JSON lines: `probabilities` an object by class, `logits` an array.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use serde_json::{Map, Value};

use super::Predictions;
use super::row::{Logits, Probabilities, RawRow};
use crate::RunError;

pub(super) fn read(path: &Path) -> Result<Vec<RawRow>, RunError> {
    let file = File::open(path).map_err(RunError::io(path))?;
    let mut rows = Vec::new();
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
        rows.push(row);
    }
    Ok(rows)
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

pub(super) fn write(
    predictions: &Predictions,
    path: &Path,
    out: &mut impl Write,
) -> Result<(), RunError> {
    for row in &predictions.rows {
        let mut object = Map::new();
        object.insert("id".to_owned(), row.id.clone().into());
        object.insert("label".to_owned(), row.label.clone().into());
        object.insert("prediction".to_owned(), row.prediction.clone().into());
        let named = predictions.classes.iter().cloned();
        let probabilities: Map<String, Value> =
            named.zip(row.probabilities.iter().map(|&value| value.into())).collect();
        object.insert("probabilities".to_owned(), probabilities.into());
        // Kept as f32, so that the shortest decimal form is written.
        let logits =
            serde_json::to_value(&row.logits).map_err(|error| RunError::file(path, error))?;
        if row.logits.is_some() {
            object.insert("logits".to_owned(), logits);
        }
        if let Some(group) = &row.group {
            object.insert("group".to_owned(), group.clone().into());
        }
        serde_json::to_writer(&mut *out, &object).map_err(|error| RunError::file(path, error))?;
        out.write_all(b"\n").map_err(RunError::io(path))?;
    }
    Ok(())
}
