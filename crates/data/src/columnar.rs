//! Parquet tables: opened once, read by columns, and single cells read again later.

mod contents;
mod footer;
mod format;
mod hint;
mod pages;
mod thrift;
mod unpacked;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::reader::Length;

use self::contents::Contents;
use self::unpacked::Unpacked;
use crate::DataError;
use crate::source::Source;

/// How many times its own bytes the rows of a file may come to, and how many in any case.
const MOST_TIMES: u64 = 1000;
const MOST_OF_ANY: u64 = 16 << 20;

/// A Parquet file whose footer has been looked through and read. What a footer or the header of a page claims
/// beyond what can be there is refused before the Parquet library takes time or memory for it.
pub struct Columnar {
    path: PathBuf,
    contents: Contents,
    footer: ArrowReaderMetadata,
    /// The first row of each row group, and the number of rows.
    starts: Vec<usize>,
    unpacked: Unpacked,
}

impl Columnar {
    /// Opens a file of its own.
    ///
    /// # Errors
    /// [`DataError::File`] where it is no Parquet file that can be read, [`DataError::Io`] where the system
    /// does not let it be read.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        Self::of(&Source::file(path))
    }

    pub(crate) fn of(source: &Source) -> Result<Self, DataError> {
        let (path, contents) = (source.path(), Contents::of(source)?);
        let footer = guarded(path, || footer::read(&contents))?;
        let mut starts = vec![0_usize];
        for group in footer.metadata().row_groups() {
            let rows = usize::try_from(group.num_rows()).ok();
            let end =
                starts.last().copied().zip(rows).and_then(|(start, rows)| start.checked_add(rows));
            starts.push(end.ok_or_else(|| {
                DataError::file(path, "a row group has no sensible number of rows; save it anew")
            })?);
        }
        Ok(Self { path: path.to_owned(), contents, footer, starts, unpacked: Unpacked::default() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that all its rows may come to: a column of one value repeated takes next to nothing in
    /// the file, and a file made for it would fill any memory.
    pub fn most_bytes(&self) -> u64 {
        self.contents.len().saturating_mul(MOST_TIMES).saturating_add(MOST_OF_ANY)
    }

    /// Its columns.
    pub fn schema(&self) -> &Schema {
        self.footer.schema()
    }

    /// Reads the columns at these places, `rows` rows at a time.
    ///
    /// # Errors
    /// [`DataError::File`] where they cannot be read.
    pub fn read(&self, columns: &[usize], rows: usize) -> Result<Batches, DataError> {
        let builder = self.builder(columns);
        let reader = guarded(&self.path, || {
            let (metadata, mask) = (self.footer.metadata(), self.mask(columns));
            pages::check(&self.contents, metadata, &mask, self.most_bytes())?;
            builder.with_batch_size(rows).build()
        })?;
        Ok(Batches { path: self.path.clone(), reader: Some(reader) })
    }

    fn builder(&self, columns: &[usize]) -> ParquetRecordBatchReaderBuilder<Contents> {
        let (contents, footer) = (self.contents.clone(), self.footer.clone());
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(contents, footer);
        builder.with_projection(self.mask(columns))
    }

    fn mask(&self, columns: &[usize]) -> ProjectionMask {
        let schema = self.footer.parquet_schema();
        ProjectionMask::roots(schema, columns.iter().copied())
    }

    /// Reads a column of a row group.
    fn read_group(&self, column: usize, group: usize, rows: usize) -> Result<Batches, DataError> {
        let builder = self.builder(&[column]).with_row_groups(vec![group]);
        let reader = guarded(&self.path, || builder.with_batch_size(rows).build())?;
        Ok(Batches { path: self.path.clone(), reader: Some(reader) })
    }

    /// The bytes in one cell, which were `length` when the table was read.
    pub(crate) fn bytes(
        &self,
        column: usize,
        row: usize,
        length: u64,
    ) -> Result<Vec<u8>, DataError> {
        let group = self.starts.partition_point(|start| *start <= row).saturating_sub(1);
        let start = self.starts.get(group).copied().unwrap_or_default();
        let bytes = self.unpacked.cell(self, (column, group), row - start)?;
        bytes.filter(|bytes| bytes.len() as u64 == length).ok_or_else(|| {
            DataError::row(&self.path, row + 1, "", "the picture is gone; leave the file as it is")
        })
    }
}

/// The rows of a Parquet file, some at a time. After an error there are no more.
pub struct Batches {
    path: PathBuf,
    reader: Option<ParquetRecordBatchReader>,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = self.reader.as_mut()?;
        let next = guarded(&self.path, || reader.next().transpose().map_err(ParquetError::from));
        if next.is_err() {
            self.reader = None;
        }
        next.transpose()
    }
}

/// What the Parquet library says, in our words; a panic in it becomes an error.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, DataError> {
    let problem = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(ParquetError::General(words) | ParquetError::EOF(words))) => words,
        Ok(Err(ParquetError::External(error))) => error.to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the file is damaged".to_owned(),
    };
    let problem = format!(
        "not a Parquet file that can be read ({problem}); save it anew, compressed with Snappy or \
         not at all"
    );
    Err(DataError::file(path, problem))
}
