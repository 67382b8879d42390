//! Bytes held to what an archive says of them.

use std::io::{self, Read};

use flate2::CrcReader;

/// Reads as many bytes as were promised: one more, one less or another checksum is an error.
pub(super) struct Checked<R: Read> {
    reader: CrcReader<R>,
    promised: u64,
    left: u64,
    checksum: Option<u32>,
}

impl<R: Read> Checked<R> {
    pub(super) fn new(reader: R, promised: u64, checksum: Option<u32>) -> Self {
        Self { reader: CrcReader::new(reader), promised, left: promised, checksum }
    }

    fn wrong_length(&self) -> io::Error {
        let words = format!("it is not of the {} bytes that the archive says", self.promised);
        io::Error::other(words)
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if to.is_empty() {
            return Ok(0);
        }
        let read = self.reader.read(to)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| self.wrong_length())?;
        if read > 0 {
            return Ok(read);
        }
        if self.left > 0 {
            return Err(self.wrong_length());
        }
        if self.checksum.is_some_and(|expected| self.reader.crc().sum() != expected) {
            return Err(io::Error::other("its checksum is wrong"));
        }
        Ok(0)
    }
}
