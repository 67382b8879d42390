//! What the pages of columns claim, before they are read.

use parquet::arrow::ProjectionMask;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::Length;

use super::contents::Contents;
use super::format::PAGE_HEADER;
use super::thrift::Walk;

/// Bytes that a value of a list takes in memory, at the least, with its place in the list.
const VALUE_BYTES: u64 = 8;

/// Refuses columns that cannot all be in the file, and lists whose values come to more than `most` bytes.
/// However few rows are read at once, all values of a list are, and a few bytes may stand for any number of
/// the same.
pub(super) fn check(
    contents: &Contents,
    metadata: &ParquetMetaData,
    mask: &ProjectionMask,
    most: u64,
) -> Result<()> {
    let columns = metadata.file_metadata().schema_descr().columns();
    let (mut bytes, mut values) = (0_u64, 0_u64);
    for group in metadata.row_groups() {
        for (place, column) in group.columns().iter().enumerate() {
            if !mask.leaf_included(place) {
                continue;
            }
            let (start, length) = column.byte_range();
            bytes = bytes.saturating_add(length);
            if bytes > contents.len() {
                let words = format!("its columns claim {bytes} bytes or more");
                return Err(ParquetError::General(words));
            }
            if columns.get(place).is_some_and(|column| column.max_rep_level() > 0) {
                values = values.saturating_add(values_of(contents, start, length)?);
            }
            if values.saturating_mul(VALUE_BYTES) > most {
                let words = format!("few bytes stand for {values} values of lists or more");
                return Err(ParquetError::General(words));
            }
        }
    }
    Ok(())
}

/// What the pages of a column claim, up to the first whose header is none.
fn values_of(contents: &Contents, start: u64, length: u64) -> Result<u64> {
    let (mut at, end, mut values) = (start, start.saturating_add(length), 0_u64);
    while at < end {
        let mut walk = Walk::new(contents.rest(at)?);
        let Ok(()) = walk.structure(PAGE_HEADER) else { break };
        let Ok(bytes) = u64::try_from(walk.page.bytes) else { break };
        values = values.saturating_add(u64::try_from(walk.page.values).unwrap_or_default());
        at = at.saturating_add(walk.taken).saturating_add(bytes);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{Float32Builder, ListBuilder};
    use arrow_array::{ArrayRef, Int64Array, RecordBatch};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::{WriterProperties, WriterVersion};

    use crate::Columnar;
    use crate::fixture::Folder;

    /// A file of one row, with a list of so many zeros.
    fn zeros(count: usize, version: WriterVersion) -> Vec<u8> {
        let mut list = ListBuilder::new(Float32Builder::new());
        list.values().append_slice(&vec![0.0; count]);
        list.append(true);
        let columns: [(&str, ArrayRef); 2] =
            [("n", Arc::new(Int64Array::from(vec![1]))), ("list", Arc::new(list.finish()))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let properties = WriterProperties::builder().set_writer_version(version).build();
        let mut writer =
            ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    #[test]
    fn lists_are_held_to_what_their_file_can_stand_for() {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            let folder = Folder::with(&[]);
            let path = folder.file("few.parquet", zeros(1_000_000, version));
            let read = Columnar::open(&path).unwrap().read(&[0, 1], 64).unwrap();
            assert_eq!(read.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 1);

            let path = folder.file("many.parquet", zeros(5_000_000, version));
            let file = Columnar::open(&path).unwrap();
            let problem = file.read(&[0, 1], 64).err().unwrap().to_string();
            assert!(problem.contains("few bytes stand for 5000000 values"), "{problem}");
            assert!(problem.contains("many.parquet"), "{problem}");
            assert!(file.read(&[0], 64).is_ok(), "what is not read does not count");
        }
    }
}
