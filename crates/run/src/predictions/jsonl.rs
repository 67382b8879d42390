//! Predictions as JSON lines: `probabilities` an object by class, `logits` an array.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::row::{BARE_ANSWER, Each, Logits, Probabilities, RawRow};
use super::write::Table;
use super::{AnswerRow, Prediction};
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
    // Of a foreign file of two classes a key `answer` is none of ours.
    let has = |name: &str| object.contains_key(name);
    if let Some(Value::String(prediction)) = object.get("answer")
        && (has("top") || has("answers"))
        && !has("probabilities")
    {
        return Ok(RawRow {
            line,
            id: text(object, "id")?.ok_or("no `id`")?,
            label: text(object, "label")?,
            prediction: Some(prediction.clone()),
            group: text(object, "group")?,
            answer: Some(answer(object)?),
            ..RawRow::default()
        });
    }
    let is_bare_answer = matches!(object.get("answer"), Some(Value::String(_))) && !has("answers");
    let probabilities = match (object.get("probabilities"), object.get("probability")) {
        (Some(Value::Object(named)), _) => {
            let of = |(name, value)| Ok((String::clone(name), number(value, "probabilities")?));
            Probabilities::Named(named.iter().map(of).collect::<Result<_, String>>()?)
        }
        (Some(other), _) => {
            return Err(format!("`probabilities` is `{other}`, expected an object by class name"));
        }
        (None, Some(value)) => Probabilities::Positive(number(value, "probability")?),
        (None, None) if is_bare_answer => return Err(BARE_ANSWER.to_owned()),
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
        answer: None,
        is_bare_answer,
    })
}

/// What a row says beside its answer.
fn answer(object: &Map<String, Value>) -> Result<AnswerRow, String> {
    let list = |field: &str| match object.get(field) {
        None | Some(Value::Null) => Ok(&[][..]),
        Some(Value::Array(values)) => Ok(values.as_slice()),
        Some(other) => Err(format!("`{field}` is `{other}`, expected a list")),
    };
    let top = |entry: &Value| -> Result<(String, f64), String> {
        let object = entry.as_object().ok_or("`top` holds what is no object")?;
        let answer = text(object, "answer")?.ok_or("`top` holds an object without `answer`")?;
        let probability = object.get("probability").unwrap_or(&Value::Null);
        Ok((answer, number(probability, "top.probability")?))
    };
    let person = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(format!("`answers` holds `{other}`, expected a text")),
    };
    Ok(AnswerRow {
        probability: number(object.get("probability").unwrap_or(&Value::Null), "probability")?,
        top: list("top")?.iter().map(top).collect::<Result<_, _>>()?,
        answers: list("answers")?.iter().map(person).collect::<Result<_, _>>()?,
        question_type: text(object, "question_type")?,
        answer_type: text(object, "answer_type")?,
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

/// A line of an answer to a question.
#[derive(Serialize)]
struct AnswerLine<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    answer: &'a str,
    probability: f64,
    top: Vec<Top<'a>>,
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    answers: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    question_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_type: Option<&'a str>,
}

#[derive(Serialize)]
struct Top<'a> {
    answer: &'a str,
    probability: f64,
}

impl<'a> AnswerLine<'a> {
    fn of(row: &'a Prediction, answer: &'a AnswerRow) -> Self {
        let top =
            |(answer, probability): &'a (String, f64)| Top { answer, probability: *probability };
        Self {
            id: &row.id,
            group: row.group.as_deref(),
            answer: &row.prediction,
            probability: answer.probability,
            top: answer.top.iter().map(top).collect(),
            label: row.label.as_deref(),
            answers: &answer.answers,
            question_type: answer.question_type.as_deref(),
            answer_type: answer.answer_type.as_deref(),
        }
    }
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
            match &row.answer {
                None => serde_json::to_writer(&mut self.out, &line),
                Some(answer) => serde_json::to_writer(&mut self.out, &AnswerLine::of(row, answer)),
            }
            .map_err(|error| RunError::file(path, error))?;
            self.out.write_all(b"\n").map_err(RunError::io(path))?;
        }
        Ok(())
    }
}
