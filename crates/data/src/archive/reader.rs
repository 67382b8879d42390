//! One open file under many readers, each with a place of its own.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

/// A reader of a file; clones share the file and nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    file: Arc<File>,
    at: u64,
    length: u64,
}

impl Reader {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), at: 0, length })
    }

    /// Of a file that is still written to: where it ends is not known.
    pub(crate) fn of(file: File) -> Self {
        Self { file: Arc::new(file), at: 0, length: 0 }
    }

    /// Bytes of the file when it was opened.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }
}

#[cfg(unix)]
fn read_at(file: &File, to: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, to, at)
}

#[cfg(windows)]
fn read_at(file: &File, to: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, to, at)
}

impl Read for Reader {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = read_at(&self.file, to, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = place.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "a place before the file's first byte")
        })?;
        Ok(self.at)
    }
}
