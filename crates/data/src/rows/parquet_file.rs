//! Parquet: a row at a time, with pictures left in the file.

use std::sync::Arc;

use arrow_array::RecordBatch;
use rayon::prelude::*;

use super::cells::{Cell, cell};
use super::{OpenTable, RawRow, Value, repeated};
use crate::columnar::{Batches, Columnar};
use crate::source::Source;
use crate::{DataError, Packed};

/// Rows that are read at once: few, for they may hold pictures.
const ROWS: usize = 64;

/// Opens a file; the column `unread` counts as present and is absent in every row.
pub(super) fn open(
    source: &Source,
    wanted: &[&str],
    unread: Option<&str>,
) -> Result<OpenTable, DataError> {
    let table = Arc::new(Columnar::of(source)?);
    let names: Vec<String> =
        table.schema().fields().iter().map(|field| field.name().clone()).collect();
    if let Some(name) = repeated(names.iter().map(String::as_str)) {
        let problem = format!("the column `{name}` occurs twice; rename one");
        return Err(DataError::file(source.path(), problem));
    }
    let place = |name: &str| names.iter().position(|other| other == name);
    let present = wanted.iter().map(|name| place(name).is_some()).collect();
    let others = names.iter().filter(|name| !wanted.contains(&name.as_str())).cloned().collect();
    let columns: Vec<Option<usize>> =
        wanted.iter().map(|name| place(name).filter(|_| unread != Some(name))).collect();
    let mut read: Vec<usize> = columns.iter().flatten().copied().collect();
    read.sort_unstable();
    let batches = table.read(&read, ROWS)?;
    // Where each wanted column is among those that are read.
    let columns = columns
        .iter()
        .map(|column| column.and_then(|column| Some((column, read.binary_search(&column).ok()?))))
        .collect();
    let rows = Rows {
        table,
        batches,
        columns,
        batch: Vec::new().into_iter(),
        at: 0,
        spent: 0,
        ended: false,
    };
    Ok(OpenTable { present, others, rows: Box::new(rows) })
}

/// The rows of a file.
struct Rows {
    table: Arc<Columnar>,
    batches: Batches,
    /// Of each wanted column its place in the file and in a batch.
    columns: Vec<Option<(usize, usize)>>,
    batch: std::vec::IntoIter<RawRow>,
    /// Rows that were read.
    at: usize,
    /// What they came to, in bytes.
    spent: u64,
    ended: bool,
}

/// Bytes that a row takes beside its values.
const ROW_BYTES: u64 = 400;

/// What a row comes to, in bytes, with the pictures that are in it.
fn bytes_of(row: &RawRow) -> u64 {
    let value = |value: &Value| match value {
        Value::Text(text) | Value::Bare(text) => text.len() as u64,
        Value::Bytes(packed) => packed.length().unwrap_or_default(),
        Value::Absent | Value::Nested => 0,
    };
    ROW_BYTES + row.values.iter().map(value).sum::<u64>()
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
            let batch = match self.batches.next() {
                Some(Ok(batch)) => batch,
                None => {
                    self.ended = true;
                    return None;
                }
                Some(Err(error)) => {
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
            self.spent += rows.iter().map(bytes_of).sum::<u64>();
            let most = self.table.most_bytes();
            if self.spent > most {
                self.ended = true;
                let problem = format!(
                    "its rows take more than {most} bytes, over 1000 times those of the file: few \
                     bytes stand for all of them; save it anew, without what is repeated"
                );
                return Some(Err(DataError::row(self.table.path(), self.at, "", problem)));
            }
            self.batch = rows.into_iter();
        }
    }
}
