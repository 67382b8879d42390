//! The footer of a Parquet file: looked through before the library reads it, for the library takes time and
//! memory for what a footer claims, however short it is.

use std::io::Read;
use std::sync::Arc;

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::{ParquetError, Result};
use parquet::file::FOOTER_SIZE;
use parquet::file::metadata::{FooterTail, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};

use super::contents::Contents;
use super::format::{FOOTER, Fields, PAGE_HEADER};
use super::hint;
use super::thrift::{Node, Stop, Walk};

/// How deep columns may lie within each other: the library goes down to them call by call.
const DEEPEST: usize = 100;

/// Bytes that the names of all columns may come to, each with those of the columns around it: so the
/// library holds them, and a long name around many columns is held as many times.
const MOST_OF_NAMES: u64 = 64 << 20;

/// Bytes that a name takes beside its own.
const NAME_BYTES: u64 = 24;

/// Reads the footer.
pub(super) fn read(contents: &Contents) -> Result<ArrowReaderMetadata> {
    let length = contents.len();
    let tail = length
        .checked_sub(FOOTER_SIZE as u64)
        .ok_or_else(|| ParquetError::General(format!("it has {length} bytes, too few")))?;
    let ends = FooterTail::try_from(&contents.get_bytes(tail, FOOTER_SIZE)?[..])?;
    if ends.is_encrypted_footer() {
        return Err(ParquetError::General("its footer is encrypted".to_owned()));
    }
    let start = tail.checked_sub(ends.metadata_length() as u64).ok_or_else(|| {
        let words = format!("a footer of {} bytes in a file of {length}", ends.metadata_length());
        ParquetError::General(words)
    })?;
    let bytes = contents.get_bytes(start, ends.metadata_length())?;
    let nodes = walk(&bytes[..], FOOTER, "footer")?;
    hold(&nodes).map_err(ParquetError::General)?;
    let metadata = ParquetMetaDataReader::decode_metadata(&bytes)?;
    if let Some(pairs) = metadata.file_metadata().key_value_metadata() {
        hint::check(pairs).map_err(ParquetError::General)?;
    }
    ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new())
}

/// Looks through the header of a page.
pub(super) fn check_page_header(input: impl Read) -> Result<()> {
    walk(input, PAGE_HEADER, "page header").map(drop)
}

/// Looks through a structure, and gives the nodes of the schema in it.
fn walk(input: impl Read, fields: Fields, what: &str) -> Result<Vec<Node>> {
    let mut walk = Walk::new(input);
    let problem = match walk.structure(fields) {
        Ok(()) => return Ok(walk.nodes),
        Err(Stop::Io(error)) => return Err(error.into()),
        Err(Stop::Malformed) => format!("a {what} is damaged"),
        Err(Stop::Booleans(count)) => {
            format!("a {what} claims {count} booleans where Parquet has none")
        }
    };
    Err(ParquetError::General(problem))
}

/// Holds a schema to what its nodes can be, and to what the library may take for it.
fn hold(nodes: &[Node]) -> std::result::Result<(), String> {
    // Of each node on the way down, the children still to come and the bytes of the names so far.
    let mut way: Vec<(u64, u64)> = Vec::new();
    let mut left = nodes.len() as u64;
    let mut names = 0_u64;
    for (at, node) in nodes.iter().enumerate() {
        left -= 1;
        let children = u64::try_from(node.children).ok().filter(|children| *children <= left);
        let children = children.ok_or_else(|| {
            let (claimed, left) = (node.children, left);
            format!("a column claims {claimed} columns in it, with {left} left in the schema")
        })?;
        while way.last().is_some_and(|(open, _)| *open == 0) {
            way.pop();
        }
        let around = match way.last_mut() {
            Some((open, around)) => {
                *open -= 1;
                *around + node.name + NAME_BYTES
            }
            None if at == 0 => 0,
            None => return Err("the schema has more than one root".to_owned()),
        };
        names = names.saturating_add(around);
        if names > MOST_OF_NAMES {
            let most = MOST_OF_NAMES >> 20;
            return Err(format!("the names of its columns come to more than {most} MiB"));
        }
        way.push((children, around));
        if way.len() > DEEPEST {
            return Err(format!("columns lie more than {DEEPEST} deep in each other"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
