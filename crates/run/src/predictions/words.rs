//! What a predictions file records of its items beside what is predicted: columns of words, such as
//! `question_type`, by which a report can part the items.

use std::path::Path;

use arrow_schema::DataType;
use mmc_data::Columnar;

use super::parquet::{ROWS, text};
use crate::RunError;

/// Columns that are predictions themselves, or name the item.
const PREDICTED: &[&str] = &["id", "label", "prediction", "group", "answer"];

/// A column of words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordColumn {
    /// Its name.
    pub name: String,
    /// The item and its word, in the file's order; items without one are left out.
    pub words: Vec<(String, String)>,
}

/// The columns of words of a Parquet file of predictions, but those of the prediction itself. No other
/// column is read.
///
/// # Errors
/// [`RunError::Table`] where it is no Parquet file; [`RunError::Line`] for a row without an id.
pub fn word_columns(path: &Path) -> Result<Vec<WordColumn>, RunError> {
    let table = Columnar::open(path)?;
    let of_words =
        |kind: &DataType| matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let fields = table.schema().fields();
    let names: Vec<String> = fields
        .iter()
        .filter(|field| of_words(field.data_type()))
        .map(|field| field.name().clone())
        .filter(|name| !PREDICTED.contains(&name.as_str()))
        .collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = |name: &String| name == "id" || names.contains(name);
    let places: Vec<usize> =
        (0..fields.len()).filter(|place| wanted(fields[*place].name())).collect();
    let batches = table.read(&places, ROWS)?;
    let mut columns: Vec<WordColumn> =
        names.into_iter().map(|name| WordColumn { name, words: Vec::new() }).collect();
    let mut number = 0;
    for batch in batches {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            number += 1;
            let read = |name: &str| {
                text(&batch, name, row).map_err(|problem| RunError::line(path, number, problem))
            };
            let id = read("id")?.ok_or_else(|| RunError::line(path, number, "no `id`"))?;
            for column in &mut columns {
                if let Some(word) = read(&column.name)? {
                    column.words.push((id.clone(), word));
                }
            }
        }
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::Arc;

    use arrow_array::{Array as _, ArrayRef, Float64Array, RecordBatch, StringArray};
    use arrow_schema::{Field, Schema};
    use parquet::arrow::ArrowWriter;

    use super::*;

    #[test]
    fn words_beside_the_predictions_are_read_by_item_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.parquet");
        let words = |values: [Option<&str>; 3]| -> ArrayRef {
            Arc::new(StringArray::from(values.to_vec()))
        };
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", words([Some("a"), Some("b"), Some("c")])),
            ("label", words([Some("x"), Some("y"), Some("x")])),
            ("score", Arc::new(Float64Array::from(vec![0.1, 0.2, 0.3]))),
            ("question_type", words([Some("what"), None, Some("is it")])),
        ];
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
            .collect();
        let arrays = columns.into_iter().map(|(_, column)| column).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
        let mut writer =
            ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let pair = |id: &str, word: &str| (id.to_owned(), word.to_owned());
        let expected = WordColumn {
            name: "question_type".to_owned(),
            words: vec![pair("a", "what"), pair("c", "is it")],
        };
        assert_eq!(word_columns(&path).unwrap(), [expected]);
        std::fs::write(&path, "no Parquet").unwrap();
        assert!(word_columns(&path).is_err());
    }
}
