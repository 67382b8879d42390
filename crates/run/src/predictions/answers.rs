//! Answers to questions as columns of Parquet.

use std::sync::Arc;

use arrow_array::builder::{Float64Builder, ListBuilder, StringBuilder, StructBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema};

use super::parquet::{float, mistyped, text};
use super::{AnswerRow, Prediction};

/// What row `row` says beside its answer.
pub(super) fn read(batch: &RecordBatch, row: usize) -> Result<AnswerRow, String> {
    let probability = batch
        .column_by_name("probability")
        .ok_or("no column `probability`")
        .map_err(str::to_owned)
        .and_then(|column| float(column, row, "probability"))?;
    Ok(AnswerRow {
        probability,
        top: top(batch, row)?,
        answers: people(batch, row)?,
        question_type: text(batch, "question_type", row)?,
        answer_type: text(batch, "answer_type", row)?,
    })
}

/// The values of a list column in a row; none where it is absent or null.
fn list(batch: &RecordBatch, name: &str, row: usize) -> Result<Option<ArrayRef>, String> {
    let Some(column) = batch.column_by_name(name).filter(|column| !column.is_null(row)) else {
        return Ok(None);
    };
    match (column.as_list_opt::<i32>(), column.as_list_opt::<i64>()) {
        (Some(lists), _) => Ok(Some(lists.value(row))),
        (None, Some(lists)) => Ok(Some(lists.value(row))),
        (None, None) => Err(mistyped(name, column, "lists")),
    }
}

fn top(batch: &RecordBatch, row: usize) -> Result<Vec<(String, f64)>, String> {
    let Some(values) = list(batch, "top", row)? else { return Ok(Vec::new()) };
    let entries = values
        .as_struct_opt()
        .ok_or_else(|| mistyped("top", &values, "lists of `answer` and `probability`"))?;
    let (Some(answers), Some(probabilities)) =
        (entries.column_by_name("answer"), entries.column_by_name("probability"))
    else {
        return Err("`top` lacks `answer` or `probability`".to_owned());
    };
    let answers =
        answers.as_string_opt::<i32>().ok_or_else(|| mistyped("top.answer", answers, "strings"))?;
    (0..entries.len())
        .map(|at| Ok((answers.value(at).to_owned(), float(probabilities, at, "top.probability")?)))
        .collect()
}

fn people(batch: &RecordBatch, row: usize) -> Result<Vec<String>, String> {
    let Some(values) = list(batch, "answers", row)? else { return Ok(Vec::new()) };
    let texts =
        values.as_string_opt::<i32>().ok_or_else(|| mistyped("answers", &values, "strings"))?;
    Ok(texts.iter().map(|text| text.unwrap_or_default().to_owned()).collect())
}

/// Rows that are answers, as a batch.
pub(super) fn batch(rows: &[Prediction]) -> Result<RecordBatch, ArrowError> {
    let none = AnswerRow::default();
    let of = |row: &Prediction| row.answer.as_deref().cloned().unwrap_or_else(|| none.clone());
    let texts = |each: &dyn Fn(&Prediction) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(each).collect::<StringArray>())
    };
    let fields = Fields::from(vec![
        Field::new("answer", DataType::Utf8, false),
        Field::new("probability", DataType::Float64, false),
    ]);
    let entry = StructBuilder::new(
        fields.clone(),
        vec![Box::new(StringBuilder::new()), Box::new(Float64Builder::new())],
    );
    let mut top =
        ListBuilder::new(entry).with_field(Field::new("item", DataType::Struct(fields), false));
    let mut answers = ListBuilder::new(StringBuilder::new());
    let mut probabilities = Vec::with_capacity(rows.len());
    for row in rows {
        let answer = of(row);
        probabilities.push(answer.probability);
        for (name, probability) in &answer.top {
            let entry = top.values();
            if let Some(names) = entry.field_builder::<StringBuilder>(0) {
                names.append_value(name);
            }
            if let Some(values) = entry.field_builder::<Float64Builder>(1) {
                values.append_value(*probability);
            }
            entry.append(true);
        }
        top.append(true);
        for person in &answer.answers {
            answers.values().append_value(person);
        }
        answers.append(!answer.answers.is_empty());
    }
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("id", texts(&|row| Some(row.id.clone())), false),
        ("group", texts(&|row| row.group.clone()), true),
        ("answer", texts(&|row| Some(row.prediction.clone())), false),
        ("probability", Arc::new(Float64Array::from(probabilities)), false),
        ("top", Arc::new(top.finish()), false),
        ("label", texts(&|row| row.label.clone()), true),
        ("answers", Arc::new(answers.finish()), true),
        ("question_type", texts(&|row| of(row).question_type), true),
        ("answer_type", texts(&|row| of(row).answer_type), true),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column, nullable)| Field::new(*name, column.data_type().clone(), *nullable))
        .collect();
    let arrays = columns.into_iter().map(|(_, column, _)| column).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}
