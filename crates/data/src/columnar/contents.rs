//! The bytes of a Parquet file, in memory or where they lie.

use std::io::{BufReader, Read, Seek, SeekFrom};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

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
        let unreadable = DataError::io(source.path(), UNREADABLE);
        let (reader, start, length) = match source.extent()? {
            Some(extent) => match extent.stored() {
                Some((reader, start)) => (reader, start, extent.length),
                None => return Ok(Self::Held(source.read()?.into())),
            },
            None => {
                let reader = Reader::open(source.path()).map_err(unreadable)?;
                let length = reader.length();
                (reader, 0, length)
            }
        };
        if length <= HELD {
            Ok(Self::Held(source.read()?.into()))
        } else {
            Ok(Self::Part(reader, start, length))
        }
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

impl ChunkReader for Contents {
    type T = Box<dyn Read>;

    fn get_read(&self, at: u64) -> Result<Self::T> {
        match self {
            Self::Held(bytes) => Ok(Box::new(bytes.get_read(at)?)),
            Self::Part(reader, start, length) => {
                let mut reader = reader.clone();
                reader.seek(SeekFrom::Start(start.saturating_add(at)))?;
                Ok(Box::new(BufReader::new(reader.take(length.saturating_sub(at)))))
            }
        }
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
                self.get_read(at)?.take(wanted as u64).read_to_end(&mut bytes)?;
                if bytes.len() == wanted {
                    return Ok(bytes.into());
                }
                Err(ParquetError::EOF("the file has become shorter".to_owned()))
            }
        }
    }
}
