//! The bytes of a Parquet file, in memory or where they lie.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use super::footer::check_page_header;
use crate::DataError;
use crate::archive::Reader;
use crate::source::{Source, UNREADABLE};

/// Files of at most so many bytes are held in memory: the Parquet library passes over what it does not
/// want byte by byte, which costs a call of the system now and then where they are not.
const HELD: u64 = 64 << 20;

/// What a Parquet file is read from. Clones share it, and none has a place in it that another moves.
#[derive(Clone, Debug)]
pub(super) enum Contents {
    /// In memory.
    Held(Bytes),
    /// A part of a file, from its first byte and so long.
    Part(Reader, u64, u64),
}

impl Contents {
    /// Those of a file of its own, or within an archive: there they are held if they are compressed.
    pub(super) fn of(source: &Source) -> std::result::Result<Self, DataError> {
        let (reader, start, length) = if let Some(extent) = source.extent()? {
            let Some((reader, start)) = extent.stored() else {
                return Ok(Self::Held(source.read()?.into()));
            };
            (reader, start, extent.length)
        } else {
            let reader = Reader::open(source.path());
            let reader = reader.map_err(DataError::io(source.path(), UNREADABLE))?;
            let length = reader.length();
            (reader, 0, length)
        };
        if length <= HELD {
            return Ok(Self::Held(source.read()?.into()));
        }
        Ok(Self::Part(reader, start, length))
    }
}

impl Length for Contents {
    fn len(&self) -> u64 {
        match self {
            Self::Held(bytes) => bytes.len() as u64,
            Self::Part(.., length) => *length,
        }
    }
}

impl Contents {
    /// From a byte on to the end.
    pub(super) fn rest(&self, at: u64) -> Result<Box<dyn Read>> {
        match self {
            Self::Held(bytes) => Ok(Box::new(bytes.get_read(at)?)),
            Self::Part(reader, start, length) => {
                let mut reader = reader.clone();
                reader.seek(SeekFrom::Start(start.saturating_add(at)))?;
                Ok(Box::new(BufReader::new(reader.take(length.saturating_sub(at)))))
            }
        }
    }
}

/// The header of a page, which is looked through before its first byte is given: the library reads nothing
/// else in this way, but asks for readers that it does not use.
pub(super) enum Header {
    Unread(Contents, u64),
    Read(Box<dyn Read>),
}

impl Read for Header {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Self::Unread(contents, at) = self {
            let rest = || contents.rest(*at);
            let checked = rest().and_then(check_page_header).and_then(|()| rest());
            *self = Self::Read(checked.map_err(io::Error::other)?);
        }
        match self {
            Self::Read(rest) => rest.read(into),
            Self::Unread(..) => Ok(0),
        }
    }
}

impl ChunkReader for Contents {
    type T = Header;

    fn get_read(&self, at: u64) -> Result<Self::T> {
        Ok(Header::Unread(self.clone(), at))
    }

    fn get_bytes(&self, at: u64, wanted: usize) -> Result<Bytes> {
        if at.saturating_add(wanted as u64) > self.len() {
            let words = format!("{wanted} bytes from byte {at} on are not in the file");
            return Err(ParquetError::EOF(words));
        }
        match self {
            Self::Held(bytes) => bytes.get_bytes(at, wanted),
            Self::Part(..) => {
                let mut bytes = Vec::with_capacity(wanted);
                self.rest(at)?.take(wanted as u64).read_to_end(&mut bytes)?;
                if bytes.len() == wanted {
                    return Ok(bytes.into());
                }
                Err(ParquetError::EOF("the file has become shorter".to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;
    use crate::fixture::Folder;

    /// What is too large to be held is read where it lies, in the middle of an archive too.
    #[test]
    fn a_part_of_a_file_reads_as_the_same_bytes_in_memory() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10_000));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        let bytes = writer.into_inner().unwrap();
        let folder = Folder::with(&[]);
        let path = folder.file("x", [b"before".as_slice(), &bytes, b"behind"].concat());
        let length = bytes.len() as u64;
        let part = Contents::Part(Reader::open(&path).unwrap(), 6, length);
        let held = Contents::Held(bytes.into());
        let read = |contents: &Contents| -> Vec<RecordBatch> {
            let builder = ParquetRecordBatchReaderBuilder::try_new(contents.clone()).unwrap();
            builder.with_batch_size(3000).build().unwrap().map(Result::unwrap).collect()
        };
        assert_eq!(read(&part), read(&held));
        assert_eq!(read(&part).len(), 4);
        for contents in [&part, &held] {
            assert_eq!(contents.len(), length);
            assert_eq!(&contents.get_bytes(length - 4, 4).unwrap()[..], b"PAR1");
            let mut rest = Vec::new();
            contents.rest(length - 4).unwrap().read_to_end(&mut rest).unwrap();
            assert_eq!(rest, b"PAR1", "nothing of what lies behind it");
            assert!(contents.get_bytes(length - 4, 5).is_err());
            assert!(contents.get_bytes(u64::MAX, 5).is_err());
        }
    }
}
