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
        let mut file = tempfile::tempfile()?;
        let reader = Reader::of(file.try_clone()?);
        file.seek(SeekFrom::Start(0))?;
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
}

impl Unpacked {
    /// The bytes in the cell at this row of a row group, if it has any.
    ///
    /// # Errors
    /// [`DataError::File`] where the row group cannot be read, [`DataError::Io`] where the folder for temporary
    /// files cannot hold it.
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
        // What a panic left half done is no row group that is known.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { file, groups } = &mut *state;
        let file = match file {
            Some(file) => file,
            None => file.insert(Unnamed::new().map_err(no_room(table))?),
        };
        if let Some(cells) = groups.get(&(column, group)) {
            return Ok((Arc::clone(cells), file.reader.clone()));
        }
        let mut cells = Cells::new();
        for batch in table.read_group(column, group, ROWS)? {
            let batch = batch?;
            for row in 0..batch.num_rows() {
                cells.push(match cell(batch.column(0).as_ref(), row) {
                    Cell::Bytes(bytes) => Some(file.keep(bytes).map_err(no_room(table))?),
                    _ => None,
                });
            }
        }
        file.writer.flush().map_err(no_room(table))?;
        let cells = Arc::new(cells);
        groups.insert((column, group), Arc::clone(&cells));
        Ok((cells, file.reader.clone()))
    }
}

fn no_room(table: &Columnar) -> impl FnOnce(io::Error) -> DataError {
    let table = table.path().display().to_string();
    move |error| {
        let problem = format!(
            "the pictures in {table} cannot be unpacked here ({error}); name a folder with room for them in \
             the environment variable `TMPDIR`"
        );
        DataError::file(&std::env::temp_dir(), problem)
    }
}
