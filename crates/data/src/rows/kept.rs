//! The bytes behind a CSV reader.

use std::io::{self, Read};

use super::Body;

/// The bytes of a file on their way to the CSV reader, kept from the last record on: the reader
/// does not show how a record is written.
pub(super) struct Kept {
    body: Body,
    bytes: Vec<u8>,
    /// Where in the file they start.
    start: usize,
    /// A byte that was read to see whether there is one.
    ahead: Option<u8>,
    ended: bool,
}

/// Bytes that are let go at once.
const LET_GO: usize = 1 << 16;

impl Read for Kept {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = match (self.ahead, to.first_mut()) {
            (Some(byte), Some(first)) => {
                *first = byte;
                self.ahead = None;
                1
            }
            _ => self.body.read(to)?,
        };
        self.bytes.extend_from_slice(&to[..read]);
        self.ended |= read == 0 && !to.is_empty();
        Ok(read)
    }
}

impl Kept {
    pub(super) fn new(body: Body) -> Self {
        Self { body, bytes: Vec::new(), start: 0, ahead: None, ended: false }
    }

    /// The bytes from `start` to `end` of the file, as far as there are any.
    pub(super) fn slice(&self, start: usize, end: usize) -> &[u8] {
        let place = |at: usize| at.saturating_sub(self.start).min(self.bytes.len());
        self.bytes.get(place(start)..place(end)).unwrap_or_default()
    }

    pub(super) fn get(&self, at: usize) -> Option<u8> {
        self.slice(at, at + 1).first().copied()
    }

    /// Lets go of what lies before `at`.
    pub(super) fn forget(&mut self, at: usize) {
        let before = at.saturating_sub(self.start).min(self.bytes.len());
        if before >= LET_GO {
            self.bytes.drain(..before);
            self.start += before;
        }
    }

    /// Whether the file has no byte at `at` or behind it, where all before has been read.
    pub(super) fn ends_at(&mut self, at: usize) -> io::Result<bool> {
        if at < self.start + self.bytes.len() || self.ahead.is_some() {
            return Ok(false);
        }
        let mut byte = [0];
        if !self.ended && self.body.read(&mut byte)? == 1 {
            self.ahead = Some(byte[0]);
        }
        Ok(self.ahead.is_none())
    }
}
