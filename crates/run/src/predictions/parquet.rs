//! Predictions as Parquet: `probabilities` a struct of f64 by class, `logits` a list of f32.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, Float64Array, ListArray, RecordBatch, StringArray, StructArray,
};
use arrow_schema::{DataType, Field, Fields, Schema};
use mmc_data::Columnar;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::row::{BARE_ANSWER, Each, Logits, Probabilities, RawRow};
use super::write::Table;
use super::{Prediction, answers};
use crate::RunError;

/// Rows that are read at once: few, for each may repeat a long text of which the file has one.
pub(super) const ROWS: usize = 64;

/// Columns that are predictions; no other is read.
const COLUMNS: &[&str] = &[
    "id",
    "label",
    "prediction",
    "group",
    "probabilities",
    "probability",
    "logits",
    "answer",
    "answers",
    "top",
    "question_type",
    "answer_type",
];

pub(super) fn read(path: &Path, each: &mut Each<'_>) -> Result<(), RunError> {
    let table = Columnar::open(path)?;
    let fields = table.schema().fields();
    let wanted = |place: &usize| COLUMNS.contains(&fields[*place].name().as_str());
    let columns: Vec<usize> = (0..fields.len()).filter(wanted).collect();
    let (most, mut spent, mut number) = (table.most_bytes(), 0_u64, 0);
    for batch in table.read(&columns, ROWS)? {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            number += 1;
            let raw = raw(&batch, row, number).map_err(|why| RunError::line(path, number, why))?;
            spent += raw.bytes();
            if spent > most {
                let problem = format!(
                    "its rows take more than {most} bytes, over 1000 times those of the file: few \
                     bytes stand for all of them; save it anew, without what is repeated"
                );
                return Err(RunError::line(path, number, problem));
            }
            each(raw)?;
        }
    }
    Ok(())
}

fn raw(batch: &RecordBatch, row: usize, line: usize) -> Result<RawRow, String> {
    // Of a foreign file of two classes a column `answer` is none of ours.
    let has = |name: &str| batch.column_by_name(name).is_some();
    if has("answer") && (has("top") || has("answers")) && !has("probabilities") {
        return Ok(RawRow {
            line,
            id: text(batch, "id", row)?.ok_or("no `id`")?,
            label: text(batch, "label", row)?,
            prediction: text(batch, "answer", row)?,
            group: text(batch, "group", row)?,
            answer: Some(answers::read(batch, row)?),
            ..RawRow::default()
        });
    }
    let is_bare_answer =
        has("answer") && !has("answers") && matches!(text(batch, "answer", row), Ok(Some(_)));
    let probabilities =
        match (batch.column_by_name("probabilities"), batch.column_by_name("probability")) {
            (Some(column), _) => Probabilities::Named(named(column, row)?),
            (None, Some(column)) => Probabilities::Positive(float(column, row, "probability")?),
            (None, None) if is_bare_answer => return Err(BARE_ANSWER.to_owned()),
            (None, None) => {
                return Err("no column `probabilities`, a struct by class name".to_owned());
            }
        };
    let logits = match batch.column_by_name("logits") {
        Some(column) if !column.is_null(row) => Some(Logits::Ordered(list(column, row)?)),
        _ => None,
    };
    Ok(RawRow {
        line,
        id: text(batch, "id", row)?.ok_or("no `id`")?,
        label: text(batch, "label", row)?,
        prediction: text(batch, "prediction", row)?,
        group: text(batch, "group", row)?,
        probabilities,
        logits,
        answer: None,
        is_bare_answer,
    })
}

fn named(column: &ArrayRef, row: usize) -> Result<Vec<(String, f64)>, String> {
    let columns = column
        .as_struct_opt()
        .ok_or_else(|| mistyped("probabilities", column, "a struct of f64 by class name"))?;
    let names = columns.column_names().into_iter().map(str::to_owned);
    names
        .zip(columns.columns())
        .map(|(name, values)| {
            let value = float(values, row, &name).map_err(|why| {
                // Built where it is needed: a file has as many of these as values.
                why.replacen(&format!("`{name}`"), &format!("`probabilities.{name}`"), 1)
            })?;
            Ok((name, value))
        })
        .collect()
}

pub(super) fn float(column: &ArrayRef, row: usize, field: &str) -> Result<f64, String> {
    if column.is_null(row) {
        return Err(format!("`{field}` is null, expected a number"));
    }
    if let Some(values) = column.as_primitive_opt::<Float64Type>() {
        return Ok(values.value(row));
    }
    match column.as_primitive_opt::<Float32Type>() {
        Some(values) => Ok(f64::from(values.value(row))),
        None => Err(mistyped(field, column, "f64")),
    }
}

fn list(column: &ArrayRef, row: usize) -> Result<Vec<f32>, String> {
    let values = column
        .as_list_opt::<i32>()
        .map(|lists| lists.value(row))
        .ok_or_else(|| mistyped("logits", column, "a list of f32"))?;
    match values.as_primitive_opt::<Float32Type>() {
        Some(numbers) if numbers.null_count() == 0 => Ok(numbers.values().to_vec()),
        Some(_) => Err("`logits` holds a null".to_owned()),
        None => Err(mistyped("logits", column, "a list of f32")),
    }
}

/// The words or whole numbers of a column; `None` where the row or the column has none.
pub(super) fn text(batch: &RecordBatch, field: &str, row: usize) -> Result<Option<String>, String> {
    let Some(column) = batch.column_by_name(field) else { return Ok(None) };
    if column.is_null(row) || column.data_type() == &DataType::Null {
        return Ok(None);
    }
    let text = if let Some(texts) = column.as_string_opt::<i32>() {
        texts.value(row).to_owned()
    } else if let Some(texts) = column.as_string_opt::<i64>() {
        texts.value(row).to_owned()
    } else if let Some(texts) = column.as_string_view_opt() {
        texts.value(row).to_owned()
    } else if let Some(numbers) = column.as_primitive_opt::<Int64Type>() {
        numbers.value(row).to_string()
    } else {
        return Err(mistyped(field, column, "strings"));
    };
    Ok(Some(text))
}

pub(super) fn mistyped(field: &str, column: &ArrayRef, expected: &str) -> String {
    format!("the column `{field}` is of type `{}`, expected {expected}", column.data_type())
}

/// Rows of a row group: what is not written yet is held in memory.
const ROWS_OF_GROUP: usize = 8192;

/// Writes rows in groups.
pub(super) struct Writer<W: Write + Send> {
    writer: ArrowWriter<W>,
    table: Table,
}

impl<W: Write + Send> Writer<W> {
    pub(super) fn new(table: Table, out: W) -> Result<Self, RunError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(ROWS_OF_GROUP))
            .build();
        // The columns of no rows at all.
        let writer = batch(&table, &[])
            .map_err(|error| RunError::file(&table.path, error))
            .and_then(|none| {
                ArrowWriter::try_new(out, none.schema(), Some(properties))
                    .map_err(|error| RunError::file(&table.path, error))
            })?;
        Ok(Self { writer, table })
    }

    pub(super) fn write(&mut self, rows: &[Prediction]) -> Result<(), RunError> {
        let path = &self.table.path;
        let batch = batch(&self.table, rows).map_err(|error| RunError::file(path, error))?;
        self.writer.write(&batch).map_err(|error| RunError::file(path, error))
    }

    pub(super) fn close(self) -> Result<(), RunError> {
        let closed = self.writer.close();
        closed.map(|_| ()).map_err(|error| RunError::file(&self.table.path, error))
    }
}

fn batch(table: &Table, rows: &[Prediction]) -> Result<RecordBatch, arrow_schema::ArrowError> {
    if table.answers {
        return answers::batch(rows);
    }
    let texts = |of: fn(&Prediction) -> Option<&str>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringArray>())
    };
    let class_fields: Fields =
        table.classes.iter().map(|name| Field::new(name, DataType::Float64, false)).collect();
    let class_columns: Vec<ArrayRef> = (0..table.classes.len())
        .map(|class| -> ArrayRef {
            let values = rows.iter().map(|row| row.probabilities[class]);
            Arc::new(values.collect::<Float64Array>())
        })
        .collect();
    let probabilities = StructArray::try_new(class_fields, class_columns, None)?;
    let mut columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("id", texts(|row| Some(&row.id)), false),
        ("label", texts(|row| row.label.as_deref()), true),
        ("prediction", texts(|row| Some(&row.prediction)), false),
        ("probabilities", Arc::new(probabilities), false),
    ];
    if table.logits {
        let lists = rows
            .iter()
            .map(|row| row.logits.as_ref().map(|logits| logits.iter().copied().map(Some)));
        let lists = ListArray::from_iter_primitive::<Float32Type, _, _>(lists);
        columns.push(("logits", Arc::new(lists), true));
    }
    if table.groups {
        columns.push(("group", texts(|row| row.group.as_deref()), true));
    }
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column, nullable)| Field::new(*name, column.data_type().clone(), *nullable))
        .collect();
    let arrays = columns.into_iter().map(|(_, column, _)| column).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}
