//! Vectors that are written in parts, each a file of its own, and made one file at the end.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use mmc_train::Embeddings;

use crate::failure::Failure;
use crate::partial::Partial;

/// `OUT.partial/N.ids.jsonl` and `N.f32`: the ids and the numbers of part N. The numbers are
/// renamed into place last, so that a part is whole or not there.
pub(crate) struct Vectors {
    partial: Partial,
    parts: usize,
    width: usize,
    rows: usize,
}

impl Vectors {
    /// The parts that lie there, counted up to the first that is missing.
    pub(crate) fn open(partial: Partial, rows_of_part: usize) -> Self {
        let mut vectors = Self { partial, parts: 0, width: 0, rows: 0 };
        while let Ok(numbers) = fs::metadata(vectors.numbers(vectors.parts)) {
            vectors.parts += 1;
            vectors.rows += rows_of_part;
            vectors.width = usize::try_from(numbers.len()).unwrap_or(0) / (4 * rows_of_part);
        }
        vectors
    }

    /// Rows that are there.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    fn numbers(&self, part: usize) -> PathBuf {
        self.partial.path(&format!("{part}.f32"))
    }

    fn ids(&self, part: usize) -> PathBuf {
        self.partial.path(&format!("{part}.ids.jsonl"))
    }

    /// Writes the next part.
    pub(crate) fn add(&mut self, found: &Embeddings) -> Result<(), Failure> {
        self.partial.begin()?;
        let mut ids = BufWriter::new(File::create(self.ids(self.parts))?);
        for id in &found.ids {
            writeln!(ids, "{}", serde_json::json!({ "id": id }))?;
        }
        ids.flush()?;
        let rows = found.rows.to_vec2::<f32>()?; // [rows, width]
        let bytes: Vec<u8> = rows.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
        let aside = self.partial.path("part");
        fs::write(&aside, bytes)?;
        fs::rename(aside, self.numbers(self.parts))?;
        self.parts += 1;
        self.rows += rows.len();
        self.width = rows.first().map_or(self.width, Vec::len);
        Ok(())
    }

    /// Makes the two files, a part at a time, and removes the parts; returns the width. The ids are
    /// put in place first, so that vectors without ids never lie about.
    pub(crate) fn finish(self, out: &Path, ids: &Path) -> Result<usize, Failure> {
        let (whole, whole_ids) = (self.partial.path("whole"), self.partial.path("whole.ids"));
        let mut to = BufWriter::new(File::create(&whole)?);
        to.write_all(&header(self.rows, self.width))?;
        let mut to_ids = BufWriter::new(File::create(&whole_ids)?);
        for part in 0..self.parts {
            copy(&self.numbers(part), &mut to)?;
            copy(&self.ids(part), &mut to_ids)?;
        }
        for file in [to, to_ids] {
            file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        }
        fs::rename(whole_ids, ids)?;
        fs::rename(whole, out)?;
        self.partial.remove()?;
        Ok(self.width)
    }
}

fn copy(from: &Path, to: &mut impl Write) -> Result<(), Failure> {
    io::copy(&mut BufReader::new(File::open(from)?), to)?;
    Ok(())
}

/// The beginning of a safetensors file that holds `embeddings` `[rows, width]` in f32: its length,
/// then JSON, filled up to a multiple of eight bytes.
fn header(rows: usize, width: usize) -> Vec<u8> {
    let embeddings = serde_json::json!({
        "dtype": "F32", "shape": [rows, width], "data_offsets": [0, 4 * rows * width],
    });
    let mut header = serde_json::json!({ "embeddings": embeddings }).to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()
}

/// Rows and width of such a file; `None` if it is none.
pub(crate) fn shape_of(path: &Path) -> Result<Option<(usize, usize)>, Failure> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut start = Vec::new();
    file.take(8 + 4096).read_to_end(&mut start)?;
    let Some((length, rest)) = start.split_first_chunk::<8>() else { return Ok(None) };
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let Some(text) = rest.get(..length) else { return Ok(None) };
    let found: serde_json::Value = serde_json::from_slice(text).unwrap_or_default();
    let side = |at: usize| found["embeddings"]["shape"][at].as_u64().map(|side| side as usize);
    let (Some(rows), Some(width)) = (side(0), side(1)) else { return Ok(None) };
    let whole = (rows as u64).saturating_mul(width as u64).saturating_mul(4);
    Ok((whole.saturating_add(8 + length as u64) == bytes).then_some((rows, width)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_that_of_the_library() {
        let data = vec![0; 4 * 3 * 5];
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![3, 5], &data);
        let whole = safetensors::serialize([("embeddings", view.unwrap())], None).unwrap();
        assert_eq!([header(3, 5), data].concat(), whole);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e.safetensors");
        fs::write(&path, &whole).unwrap();
        assert_eq!(shape_of(&path).unwrap(), Some((3, 5)));
        for length in [0, 7, 20, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(shape_of(&path).unwrap(), None, "{length}");
        }
    }
}
