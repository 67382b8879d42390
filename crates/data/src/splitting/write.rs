//! Three files of the input's format, written whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use arrow_array::BooleanArray;
use arrow_select::filter::filter_record_batch;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::NAMES;
use crate::DataError;
use crate::columnar::Columnar;

/// Encoded bytes of a row group: what is not written yet is held in memory.
const GROUP_BYTES: usize = 64 << 20;

/// The files to write into `out`, none of which is there in any format.
pub(super) fn targets(input: &Path, out: &Path) -> Result<[PathBuf; 3], DataError> {
    let ending = input.extension().and_then(|end| end.to_str()).unwrap_or_default();
    for name in NAMES {
        for other in ["csv", "jsonl", "parquet"] {
            let file = out.join(format!("{name}.{other}"));
            if file.symlink_metadata().is_ok() {
                let problem = "is there already and is not overwritten; remove it or give another \
                               `--out`";
                return Err(DataError::file(&file, problem));
            }
        }
    }
    Ok(NAMES.map(|name| out.join(format!("{name}.{ending}"))))
}

/// Copies each row into the file of its split.
pub(super) fn write(
    input: &Path,
    out: &Path,
    files: &[PathBuf; 3],
    splits: &[u8],
) -> Result<(), DataError> {
    fs::create_dir_all(out).map_err(DataError::io(out, "name a folder that can be written to"))?;
    let mut made = Vec::new();
    let written = fill(input, files, splits, &mut made);
    if written.is_err() {
        for path in made {
            // What goes wrong here is less than what went wrong before.
            drop(fs::remove_file(path));
        }
    }
    written
}

fn fill(
    input: &Path,
    files: &[PathBuf; 3],
    splits: &[u8],
    made: &mut Vec<PathBuf>,
) -> Result<(), DataError> {
    let remedy = "name a folder that can be written to";
    let (mut partial, mut open) = (Vec::new(), Vec::new());
    for file in files {
        // The name is taken at once, so that nobody else's file is replaced in the end; a sitting
        // that is cut short leaves it empty, which no reader takes for a table.
        File::create_new(file).map_err(DataError::io(file, remedy))?;
        made.push(file.clone());
        let mut path = file.clone().into_os_string();
        path.push(".partial");
        let path = PathBuf::from(path);
        let to = File::create(&path).map_err(DataError::io(&path, remedy))?;
        made.push(path.clone());
        partial.push(path);
        open.push(BufWriter::new(to));
    }
    match input.extension().and_then(|end| end.to_str()) {
        Some("csv") => csv_rows(input, &mut open, splits)?,
        Some("parquet") => {
            return parquet_rows(input, open, splits).and_then(|()| moved(&partial, files));
        }
        _ => json_lines(input, &mut open, splits)?,
    }
    for (to, file) in open.iter_mut().zip(files) {
        to.flush().map_err(DataError::io(file, remedy))?;
    }
    moved(&partial, files)
}

fn moved(partial: &[PathBuf], files: &[PathBuf; 3]) -> Result<(), DataError> {
    for (from, to) in partial.iter().zip(files) {
        fs::rename(from, to).map_err(DataError::io(to, "name a folder that can be written to"))?;
    }
    Ok(())
}

fn changed(input: &Path) -> DataError {
    DataError::file(input, "has other rows than a moment ago; leave it as it is")
}

/// The file behind the mark that says it is UTF-8, where there is one.
fn body(input: &Path) -> Result<BufReader<File>, DataError> {
    let wrong = "check the path and its permissions";
    let file = File::open(input).map_err(DataError::io(input, wrong))?;
    let mut body = BufReader::new(file);
    let mark = b"\xEF\xBB\xBF";
    if body.fill_buf().map_err(DataError::io(input, wrong))?.starts_with(mark) {
        body.read_exact(&mut [0; 3]).map_err(DataError::io(input, wrong))?;
    }
    Ok(body)
}

fn csv_rows(input: &Path, open: &mut [BufWriter<File>], splits: &[u8]) -> Result<(), DataError> {
    let failed = |error: csv::Error| DataError::file(input, format!("{error}; try again"));
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(body(input)?);
    let mut writers: Vec<_> = open.iter_mut().map(csv::Writer::from_writer).collect();
    let mut record = csv::ByteRecord::new();
    if reader.read_byte_record(&mut record).map_err(failed)? {
        for writer in &mut writers {
            writer.write_byte_record(&record).map_err(failed)?;
        }
    }
    let mut splits = splits.iter();
    while reader.read_byte_record(&mut record).map_err(failed)? {
        let split = splits.next().ok_or_else(|| changed(input))?;
        writers[usize::from(*split)].write_byte_record(&record).map_err(failed)?;
    }
    for writer in &mut writers {
        writer.flush().map_err(DataError::io(input, "try again"))?;
    }
    splits.next().map_or(Ok(()), |_| Err(changed(input)))
}

fn json_lines(input: &Path, open: &mut [BufWriter<File>], splits: &[u8]) -> Result<(), DataError> {
    let mut body = body(input)?;
    let (mut line, mut splits) = (Vec::new(), splits.iter());
    let mut copy = |line: &[u8], splits: &mut std::slice::Iter<'_, u8>| -> io::Result<bool> {
        let Some(split) = splits.next() else { return Ok(false) };
        let to = &mut open[usize::from(*split)];
        to.write_all(line)?;
        to.write_all(if line.ends_with(b"\n") { b"" } else { b"\n" })?;
        Ok(true)
    };
    loop {
        line.clear();
        let read = body.read_until(b'\n', &mut line);
        if read.map_err(DataError::io(input, "copy it again"))? == 0 {
            return splits.next().map_or(Ok(()), |_| Err(changed(input)));
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue; // at the end, or reading the keys would have refused it
        }
        if !copy(&line, &mut splits).map_err(DataError::io(input, "make room and try again"))? {
            return Err(changed(input));
        }
    }
}

fn parquet_rows(input: &Path, open: Vec<BufWriter<File>>, splits: &[u8]) -> Result<(), DataError> {
    let unwritten = |error: ParquetError| {
        let problem =
            format!("its rows cannot be written again ({error}); make room and try again");
        DataError::file(input, problem)
    };
    let table = Columnar::open(input)?;
    let columns: Vec<usize> = (0..table.schema().fields().len()).collect();
    let batches = table.read(&columns, 64)?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let schema = std::sync::Arc::new(table.schema().clone());
    let mut writers = open
        .into_iter()
        .map(|to| {
            ArrowWriter::try_new(to, schema.clone(), Some(properties.clone())).map_err(unwritten)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut at = 0;
    for batch in batches {
        let batch = batch?;
        let splits = splits.get(at..at + batch.num_rows()).ok_or_else(|| changed(input))?;
        at += batch.num_rows();
        for (index, writer) in writers.iter_mut().enumerate() {
            let kept: BooleanArray =
                splits.iter().map(|split| Some(usize::from(*split) == index)).collect();
            let rows = filter_record_batch(&batch, &kept).map_err(ParquetError::from);
            rows.and_then(|rows| writer.write(&rows)).map_err(unwritten)?;
            if writer.in_progress_size() > GROUP_BYTES {
                writer.flush().map_err(unwritten)?;
            }
        }
    }
    for writer in writers {
        writer.close().map_err(unwritten)?;
    }
    if at == splits.len() { Ok(()) } else { Err(changed(input)) }
}
