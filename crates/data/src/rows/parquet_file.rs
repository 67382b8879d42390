//! Parquet: a row at a time, with pictures left in the file.

use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::errors::ParquetError;
use rayon::prelude::*;

use super::cells::{Cell, cell};
use super::{OpenTable, RawRow, Value};
use crate::columnar::{Columnar, guarded};
use crate::{DataError, Packed};

/// Rows that are read at once: few, for they may hold pictures.
const ROWS: usize = 64;

/// Opens the file at `path`; the column `unread` counts as present and is absent in every row.
pub(super) fn open(
    path: &Path,
    wanted: &[&str],
    unread: Option<&str>,
) -> Result<OpenTable, DataError> {
    let table = Arc::new(Columnar::open(path)?);
    let names: Vec<String> =
        table.schema().fields().iter().map(|field| field.name().clone()).collect();
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            let problem = format!("the column `{name}` occurs twice; rename one");
            return Err(DataError::file(path, problem));
        }
    }
    let place = |name: &str| names.iter().position(|other| other == name);
    let present = wanted.iter().map(|name| place(name).is_some()).collect();
    let others = names.iter().filter(|name| !wanted.contains(&name.as_str())).cloned().collect();
    let columns: Vec<Option<usize>> =
        wanted.iter().map(|name| place(name).filter(|_| unread != Some(name))).collect();
    let mut read: Vec<usize> = columns.iter().flatten().copied().collect();
    read.sort_unstable();
    let reader = table.read(&read, ROWS)?;
    // Where each wanted column is among those that are read.
    let columns = columns
        .iter()
        .map(|column| column.and_then(|column| Some((column, read.binary_search(&column).ok()?))))
        .collect();
    let rows = Rows { table, reader, columns, batch: Vec::new().into_iter(), at: 0, ended: false };
    Ok(OpenTable { present, others, rows: Box::new(rows) })
}

/// The rows of a file.
struct Rows {
    table: Arc<Columnar>,
    reader: ParquetRecordBatchReader,
    /// Of each wanted column its place in the file and in a batch.
    columns: Vec<Option<(usize, usize)>>,
    batch: std::vec::IntoIter<RawRow>,
    /// Rows that were read.
    at: usize,
    ended: bool,
}

/// The wanted values of a row of a `batch` that begins at row `first` of the file.
fn values(
    table: &Arc<Columnar>,
    columns: &[Option<(usize, usize)>],
    (batch, first): (&RecordBatch, usize),
    row: usize,
) -> Vec<Value> {
    let value = |&(column, place): &(usize, usize)| match cell(batch.column(place), row) {
        Cell::Absent => Value::Absent,
        Cell::Text(text) => Value::Text(text.to_owned()),
        Cell::Bare(bare) => Value::Bare(bare),
        Cell::Bytes(bytes) => Value::Bytes(Packed::cell(table, column, first + row, bytes)),
        Cell::Other => Value::Nested,
    };
    columns.iter().map(|column| column.as_ref().map_or(Value::Absent, value)).collect()
}

impl Iterator for Rows {
    type Item = Result<RawRow, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.batch.next() {
                return Some(Ok(row));
            }
            if self.ended {
                return None;
            }
            let reader = &mut self.reader;
            let next = guarded(self.table.path(), || {
                reader.next().transpose().map_err(ParquetError::from)
            });
            let batch = match next {
                Ok(Some(batch)) => batch,
                Ok(None) => {
                    self.ended = true;
                    return None;
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            };
            // Hashing pictures is the work here.
            let (table, columns, first) = (&self.table, &self.columns, self.at);
            let rows: Vec<RawRow> = (0..batch.num_rows())
                .into_par_iter()
                .map(|row| RawRow {
                    line: first + row + 1,
                    values: values(table, columns, (&batch, first), row),
                    others: Vec::new(),
                })
                .collect();
            self.at += batch.num_rows();
            self.batch = rows.into_iter();
        }
    }
}
