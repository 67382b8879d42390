//! A walk over a structure of the Thrift compact protocol before the Parquet library reads it: the same
//! bytes in the same order, with nothing kept but what a footer says of its columns.
//!
//! The library passes over fields that it does not know. Of a list or map of booleans there it takes no byte
//! for an element, so that a few bytes make it count to two thousand million, as often as the structure has
//! such fields. No Parquet file has them, and the library would read any that has them wrongly.
//!
//! Source: the Thrift compact protocol, `doc/specs/thrift-compact-protocol.md` of Apache Thrift.

use std::io::{self, Read};

use super::format::Kind;

/// How deep the library follows fields that it does not know.
const DEEPEST: usize = 64;

/// Why a walk ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// The bytes are none of the protocol, or end before the structure does.
    Malformed,
    /// A collection of booleans, and how many it is said to have.
    Booleans(u64),
    /// The file cannot be read.
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Malformed,
            _ => Self::Io(error),
        }
    }
}

/// A node of the schema, in the order of the file: from the root down, each before its children.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    /// Nodes right below it.
    pub(super) children: i32,
    /// Bytes of its name.
    pub(super) name: u64,
}

/// What the header of a page says of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Page {
    /// Bytes behind the header.
    pub(super) bytes: i32,
    /// Values and nulls, of a page of data.
    pub(super) values: i32,
}

/// Types of values, numbered as in the protocol.
mod types {
    pub(super) const STOP: u8 = 0;
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const BYTE: u8 = 3;
    pub(super) const I16: u8 = 4;
    pub(super) const I64: u8 = 6;
    pub(super) const DOUBLE: u8 = 7;
    pub(super) const BINARY: u8 = 8;
    pub(super) const LIST: u8 = 9;
    pub(super) const SET: u8 = 10;
    pub(super) const MAP: u8 = 11;
    pub(super) const STRUCT: u8 = 12;
    pub(super) const UUID: u8 = 13;
}

/// Walks over one structure.
pub(super) struct Walk<R> {
    input: R,
    /// Bytes that were walked over.
    pub(super) taken: u64,
    /// The schema, where the structure has one.
    pub(super) nodes: Vec<Node>,
    /// The page, where the structure is the header of one.
    pub(super) page: Page,
}

type Walked<T> = Result<T, Stop>;

impl<R: Read> Walk<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, taken: 0, nodes: Vec::new(), page: Page::default() }
    }

    /// A structure with these fields.
    pub(super) fn structure(&mut self, fields: &[(i16, Kind)]) -> Walked<()> {
        let mut last = 0;
        while let Some((kind, id)) = self.field(last)? {
            match fields.iter().find(|(known, _)| *known == id) {
                Some((_, known)) => self.known(*known, kind)?,
                None => self.unknown(kind, DEEPEST)?,
            }
            last = id;
        }
        Ok(())
    }

    /// The type and the number of the next field; `None` where there is no other.
    fn field(&mut self, last: i16) -> Walked<Option<(u8, i16)>> {
        let byte = self.byte()?;
        let kind = byte & 0xf;
        if kind == types::STOP {
            return Ok(None);
        }
        let id = match byte >> 4 {
            0 => self.signed()? as i16,
            more => last.checked_add(i16::from(more)).ok_or(Stop::Malformed)?,
        };
        Ok(Some((kind, id)))
    }

    /// The library reads a field that it knows as what it should be, whatever the file says that it is.
    fn known(&mut self, kind: Kind, said: u8) -> Walked<()> {
        match kind {
            Kind::Boolean if matches!(said, types::TRUE | types::FALSE) => Ok(()),
            Kind::Boolean => Err(Stop::Malformed),
            kind => self.value(kind),
        }
    }

    fn value(&mut self, kind: Kind) -> Walked<()> {
        match kind {
            // Within a list, where none of ours has them.
            Kind::Boolean => Err(Stop::Malformed),
            Kind::Byte => self.byte().map(drop),
            Kind::Integer => self.unsigned().map(drop),
            Kind::Double => self.pass(8),
            Kind::Binary => self.binary().map(drop),
            Kind::Structure(fields) => self.structure(fields),
            Kind::List(element) => {
                let (_, length) = self.list()?;
                (0..length).try_for_each(|_| self.value(*element))
            }
            Kind::Schema(fields) => {
                // Once: the library would pass over a second one as it does over what it does not know.
                if !self.nodes.is_empty() {
                    return Err(Stop::Malformed);
                }
                let (_, length) = self.list()?;
                for _ in 0..length {
                    self.nodes.push(Node::default());
                    self.structure(fields)?;
                }
                Ok(())
            }
            Kind::Name => {
                let length = self.binary()?;
                self.nodes.last_mut().ok_or(Stop::Malformed)?.name = length;
                Ok(())
            }
            Kind::PageBytes => {
                self.page.bytes = self.signed()? as i32;
                Ok(())
            }
            Kind::PageValues => {
                self.page.values = self.signed()? as i32;
                Ok(())
            }
            Kind::Children => {
                let children = self.signed()? as i32;
                self.nodes.last_mut().ok_or(Stop::Malformed)?.children = children;
                Ok(())
            }
        }
    }

    /// A value that the library passes over.
    fn unknown(&mut self, kind: u8, depth: usize) -> Walked<()> {
        let depth = depth.checked_sub(1).ok_or(Stop::Malformed)?;
        match kind {
            types::TRUE | types::FALSE => Ok(()),
            types::BYTE => self.byte().map(drop),
            types::I16..=types::I64 => self.unsigned().map(drop),
            types::DOUBLE => self.pass(8),
            types::BINARY => self.binary().map(drop),
            types::LIST | types::SET => {
                let (element, length) = self.list()?;
                if length > 0 && matches!(element, types::TRUE | types::FALSE) {
                    return Err(Stop::Booleans(length));
                }
                (0..length).try_for_each(|_| self.unknown(element, depth))
            }
            types::MAP => {
                let length = self.unsigned()?;
                if length == 0 {
                    return Ok(());
                }
                let both = self.byte()?;
                let (key, value) = (both >> 4, both & 0xf);
                if [key, value].iter().all(|kind| matches!(*kind, types::TRUE | types::FALSE)) {
                    return Err(Stop::Booleans(length));
                }
                (0..length).try_for_each(|_| {
                    self.unknown(key, depth)?;
                    self.unknown(value, depth)
                })
            }
            types::STRUCT => {
                while let Some((kind, _)) = self.field(0)? {
                    self.unknown(kind, depth)?;
                }
                Ok(())
            }
            types::UUID => self.pass(16),
            _ => Err(Stop::Malformed),
        }
    }

    /// The type of the elements of a list and how many there are.
    fn list(&mut self) -> Walked<(u8, u64)> {
        let byte = self.byte()?;
        let length = match byte >> 4 {
            15 => self.unsigned()?,
            few => u64::from(few),
        };
        Ok((byte & 0xf, length))
    }

    /// Passes over a text or bytes, and says how many.
    fn binary(&mut self) -> Walked<u64> {
        let length = self.unsigned()?;
        self.pass(length)?;
        Ok(length)
    }

    fn pass(&mut self, bytes: u64) -> Walked<()> {
        let passed = io::copy(&mut self.input.by_ref().take(bytes), &mut io::sink())?;
        self.taken += passed;
        if passed == bytes { Ok(()) } else { Err(Stop::Malformed) }
    }

    fn byte(&mut self) -> Walked<u8> {
        let mut byte = [0];
        self.input.read_exact(&mut byte)?;
        self.taken += 1;
        Ok(byte[0])
    }

    /// A number of any length, of which what does not fit falls off, as in the library.
    fn unsigned(&mut self) -> Walked<u64> {
        let (mut number, mut shift) = (0_u64, 0_u32);
        loop {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).wrapping_shl(shift);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
            shift = shift.wrapping_add(7);
        }
    }

    fn signed(&mut self) -> Walked<i64> {
        let number = self.unsigned()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }
}
