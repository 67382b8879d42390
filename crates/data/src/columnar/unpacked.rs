//! Cells of bytes, each row group unpacked once.
//!
//! A page of a Parquet file is compressed as a whole, and writers put a thousand pictures into one: to find a
//! picture in it anew each time takes as long as all the others that lie there, and pictures are read in a random
//! order. So the first that is asked for unpacks its row group.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::Columnar;
use crate::DataError;
use crate::archive::Reader;
use crate::rows::{Cell, cell};

/// Rows that are unpacked at once: few, for they hold pictures.
const ROWS: usize = 64;

/// What was unpacked so far: a file without a name, which is gone with the last who reads from it.
#[derive(Default)]
pub(super) struct Unpacked(Mutex<State>);

#[derive(Default)]
struct State {
    file: Option<Unnamed>,
    /// By column and row group.
    groups: HashMap<(usize, usize), Arc<Cells>>,
}

/// The place of each cell in the file and its length; `None` where there is none.
type Cells = Vec<Option<(u64, usize)>>;

struct Unnamed {
    writer: BufWriter<File>,
    reader: Reader,
    end: u64,
    /// Where bytes with this hash begin: a picture of several rows is kept once.
    known: HashMap<[u8; 32], u64>,
}

impl Unnamed {
    fn new() -> io::Result<Self> {
        let file = tempfile::tempfile()?;
        let reader = Reader::of(file.try_clone()?);
        Ok(Self { writer: BufWriter::new(file), reader, end: 0, known: HashMap::new() })
    }

    fn keep(&mut self, bytes: &[u8]) -> io::Result<(u64, usize)> {
        let hash: [u8; 32] = Sha256::digest(bytes).into();
        if let Some(&at) = self.known.get(&hash) {
            return Ok((at, bytes.len()));
        }
        let at = self.end;
        self.writer.write_all(bytes)?;
        self.end += bytes.len() as u64;
        self.known.insert(hash, at);
        Ok((at, bytes.len()))
    }

    /// Keeps the cells of a column in a row group.
    fn unpack(
        &mut self,
        table: &Columnar,
        column: usize,
        group: usize,
    ) -> Result<Cells, DataError> {
        let mut cells = Cells::new();
        for batch in table.read_group(column, group, ROWS)? {
            let batch = batch?;
            for row in 0..batch.num_rows() {
                cells.push(match cell(batch.column(0).as_ref(), row) {
                    Cell::Bytes(bytes) => Some(self.keep(bytes).map_err(no_room(table))?),
                    _ => None,
                });
            }
        }
        self.writer.flush().map_err(no_room(table))?;
        Ok(cells)
    }
}

impl Unpacked {
    /// The bytes in the cell at this row of a row group, if it has any.
    ///
    /// # Errors
    /// [`DataError::File`] where the row group cannot be read, [`DataError::NoRoom`] where the folder for
    /// temporary files cannot hold it.
    pub(super) fn cell(
        &self,
        table: &Columnar,
        (column, group): (usize, usize),
        row: usize,
    ) -> Result<Option<Vec<u8>>, DataError> {
        let (cells, mut reader) = self.cells(table, column, group)?;
        let Some((at, length)) = cells.get(row).copied().flatten() else { return Ok(None) };
        let mut bytes = vec![0; length];
        let read = reader.seek(SeekFrom::Start(at)).and_then(|_| reader.read_exact(&mut bytes));
        read.map_err(no_room(table))?;
        Ok(Some(bytes))
    }

    fn cells(
        &self,
        table: &Columnar,
        column: usize,
        group: usize,
    ) -> Result<(Arc<Cells>, Reader), DataError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // After an error, or a panic, nobody knows how much of a row group has reached the file: the next
        // one begins another.
        let State { file, mut groups } = std::mem::take(&mut *state);
        let mut file = file.map_or_else(Unnamed::new, Ok).map_err(no_room(table))?;
        let cells = match groups.get(&(column, group)) {
            Some(cells) => Arc::clone(cells),
            None => Arc::new(file.unpack(table, column, group)?),
        };
        groups.insert((column, group), Arc::clone(&cells));
        let reader = file.reader.clone();
        *state = State { file: Some(file), groups };
        Ok((cells, reader))
    }
}

fn no_room(table: &Columnar) -> impl FnOnce(io::Error) -> DataError {
    let table = table.path().display().to_string();
    move |error| {
        let problem = format!(
            "the pictures in {table} cannot be kept here while they are used ({error}); name a folder with \
             room for them in the environment variable `TMPDIR`"
        );
        DataError::NoRoom { folder: std::env::temp_dir(), problem }
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, BinaryArray, RecordBatch};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;

    use super::*;
    use crate::fixture::Folder;

    /// Of each row its number, which comes again 40 rows later; every seventh has none.
    fn value(row: usize) -> Option<Vec<u8>> {
        (!row.is_multiple_of(7)).then(|| vec![(row % 40) as u8; 3 + row % 40])
    }

    #[test]
    fn cells_are_found_in_any_order_and_across_row_groups() {
        let values: Vec<Option<Vec<u8>>> = (0..1000).map(value).collect();
        let column: ArrayRef =
            Arc::new(values.iter().map(Option::as_deref).collect::<BinaryArray>());
        let batch = RecordBatch::try_from_iter([("image", column)]).unwrap();
        let small = WriterProperties::builder().set_max_row_group_row_count(Some(300)).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(small)).unwrap();
        writer.write(&batch).unwrap();
        let folder = Folder::with(&[]);
        let table =
            Columnar::open(&folder.file("x.parquet", writer.into_inner().unwrap())).unwrap();
        for row in (0..1000).map(|row| row * 389 % 1000) {
            let length = value(row).map_or(0, |bytes| bytes.len() as u64);
            assert_eq!(table.bytes(0, row, length).ok(), value(row), "row {row}");
        }
        let gone = table.bytes(0, 1, 99).unwrap_err().to_string();
        assert!(gone.contains("x.parquet:2: the picture is gone"), "{gone}");
        // Each of the 40 values is kept once.
        let state = table.unpacked.0.lock().unwrap();
        assert_eq!(state.groups.len(), 4);
        assert_eq!(state.file.as_ref().unwrap().end, (0..40).map(|one| 3 + one).sum::<u64>());
    }
}
