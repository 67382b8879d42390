//! Vectors that are written in parts, each a file of its own, and made one file at the end.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
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
    /// The parts that lie there, counted up to the first that is missing: each of `rows_of_part`
    /// rows but the one that ends at the last of `rows`, all of one width.
    pub(crate) fn open(
        partial: Partial,
        rows_of_part: usize,
        rows: usize,
    ) -> Result<Self, Failure> {
        let mut vectors = Self { partial, parts: 0, width: 0, rows: 0 };
        while vectors.numbers(vectors.parts).exists() {
            let part = vectors.parts;
            let (found, width) = vectors.shape_of_part(part)?;
            let expected = rows_of_part.min(rows - vectors.rows);
            if found != expected {
                let problem = format!("has {found} ids where the input has {expected} rows");
                return Err(broken(&vectors.ids(part), &problem));
            }
            vectors.count(found, width)?;
        }
        Ok(vectors)
    }

    /// Rows of a part, as its ids say, and what their numbers come to for each.
    fn shape_of_part(&self, part: usize) -> Result<(usize, usize), Failure> {
        let (numbers, mut ids) = (self.numbers(part), BufReader::new(File::open(self.ids(part))?));
        let (mut line, mut rows) = (Vec::new(), 0);
        while ids.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            rows += 1;
            line.clear();
        }
        let bytes = fs::metadata(&numbers)?.len();
        let of_row = 4 * rows as u64;
        if bytes == 0 || of_row == 0 || !bytes.is_multiple_of(of_row) {
            let problem = format!("{bytes} bytes are no f32 vectors of {rows} rows");
            return Err(broken(&numbers, &problem));
        }
        Ok((rows, usize::try_from(bytes / of_row)?))
    }

    /// Takes the next part into account, which lies there.
    fn count(&mut self, rows: usize, width: usize) -> Result<(), Failure> {
        if self.parts > 0 && width != self.width {
            let problem = format!("its vectors have {width} numbers, those before {}", self.width);
            return Err(broken(&self.numbers(self.parts), &problem));
        }
        self.parts += 1;
        self.rows += rows;
        self.width = width;
        Ok(())
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
        sync(ids)?;
        let rows = found.rows.to_vec2::<f32>()?; // [rows, width]
        let bytes: Vec<u8> = rows.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
        let aside = self.partial.path("part");
        let mut numbers = File::create(&aside)?;
        numbers.write_all(&bytes)?;
        numbers.sync_all()?;
        fs::rename(aside, self.numbers(self.parts))?;
        self.count(rows.len(), rows.first().map_or(self.width, Vec::len))
    }

    /// Makes the two files, a part at a time, and removes the parts; returns the width. The ids are
    /// put in place first, so that vectors without ids never lie about.
    pub(crate) fn finish(self, out: &Path, ids: &Path) -> Result<usize, Failure> {
        let (whole, whole_ids) = (self.partial.path("whole"), self.partial.path("whole.ids"));
        let mut to = BufWriter::new(File::create(&whole)?);
        to.write_all(&header(self.rows, self.width))?;
        let mut to_ids = BufWriter::new(File::create(&whole_ids)?);
        let mut bytes = 0;
        for part in 0..self.parts {
            bytes += copy(&self.numbers(part), &mut to)?;
            copy(&self.ids(part), &mut to_ids)?;
        }
        sync(to)?;
        sync(to_ids)?;
        // The parts are removed below: they are all there is of a file whose header is wrong.
        let (rows, width) = (self.rows, self.width);
        if bytes != 4 * rows as u64 * width as u64 {
            let problem = format!("{bytes} bytes of parts are no [{rows}, {width}] in f32");
            return Err(broken(&whole, &problem));
        }
        fs::rename(whole_ids, ids)?;
        fs::rename(whole, out)?;
        self.partial.remove()?;
        Ok(self.width)
    }
}

/// Appends a file and says its bytes.
fn copy(from: &Path, to: &mut impl Write) -> Result<u64, Failure> {
    Ok(io::copy(&mut BufReader::new(File::open(from)?), to)?)
}

/// Brings what was written to the disk.
fn sync(file: BufWriter<File>) -> Result<(), Failure> {
    Ok(file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?)
}

/// A part that no interruption leaves behind.
fn broken(path: &Path, problem: &str) -> Failure {
    Failure::work(format!(
        "{}: {problem}: the parts of an interrupted call were changed; remove their folder and \
         start again",
        path.display()
    ))
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
    use candle_core::{Device, Tensor};
    use serde_json::json;

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

    /// Rows `from..to` of a table with three numbers a row.
    fn embeddings(from: usize, to: usize) -> Embeddings {
        let numbers: Vec<f32> = (3 * from..3 * to).map(|number| number as f32).collect();
        Embeddings {
            cut_texts: 0,
            ids: (from..to).map(|row| format!("row-{row}")).collect(),
            rows: Tensor::from_vec(numbers, (to - from, 3), &Device::Cpu).unwrap(),
        }
    }

    const OF_PART: usize = 4;

    fn open(out: &Path, resume: bool, rows: usize) -> Result<Vectors, Failure> {
        Vectors::open(Partial::open(out, json!(1), resume)?, OF_PART, rows)
    }

    /// Parts up to the one that ends at `until`.
    fn add(vectors: &mut Vectors, until: usize, rows: usize) {
        while vectors.rows() < until {
            let from = vectors.rows();
            vectors.add(&embeddings(from, rows.min(from + OF_PART))).unwrap();
        }
    }

    #[test]
    fn a_call_stopped_after_any_part_goes_on_to_the_same_bytes() {
        for rows in [1, 3, 4, 5, 8, 11] {
            for stopped_after in (OF_PART..rows).step_by(OF_PART).chain([rows]) {
                let folder = tempfile::tempdir().unwrap();
                let (out, ids) = (folder.path().join("e"), folder.path().join("ids"));
                add(&mut open(&out, false, rows).unwrap(), stopped_after, rows);
                let mut vectors = open(&out, true, rows).unwrap();
                assert_eq!(vectors.rows(), stopped_after);
                add(&mut vectors, rows, rows);
                assert_eq!(vectors.finish(&out, &ids).unwrap(), 3);
                let whole = embeddings(0, rows);
                let expected = safetensors::serialize([("embeddings", &whole.rows)], None).unwrap();
                assert!(fs::read(&out).unwrap() == expected, "{rows} after {stopped_after}");
                let line = |id: &String| format!("{{\"id\":\"{id}\"}}\n");
                let lines = whole.ids.iter().map(line).collect::<Vec<_>>().concat();
                assert_eq!(fs::read_to_string(&ids).unwrap(), lines);
                assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
            }
        }
    }

    #[test]
    fn parts_that_do_not_fit_are_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("e");
        let partial = Partial::folder(&out);
        let mut vectors = open(&out, false, 6).unwrap();
        add(&mut vectors, 6, 6);
        let refused = |said: &str| {
            let problem = open(&out, true, 6).err().unwrap().message().to_owned();
            assert!(problem.contains(said) && problem.contains("start again"), "{problem}");
        };
        let changed = |name: &str, bytes: &[u8], said: &str| {
            let before = fs::read(partial.join(name)).unwrap();
            fs::write(partial.join(name), bytes).unwrap();
            refused(said);
            fs::write(partial.join(name), before).unwrap();
        };
        changed("0.ids.jsonl", b"{\"id\":\"row-0\"}\n", "has 1 ids where the input has 4 rows");
        changed("0.f32", &[0; 47], "47 bytes are no f32 vectors of 4 rows");
        changed("1.f32", &[], "0 bytes");
        changed("1.f32", &[0; 16], "its vectors have 2 numbers, those before 3");
        // A part that changes after it was counted.
        fs::write(partial.join("1.f32"), [0; 16]).unwrap();
        let problem = vectors.finish(&out, &folder.path().join("ids")).err().unwrap();
        assert!(problem.message().contains("64 bytes of parts are no [6, 3]"), "{problem}");
        assert!(partial.join("0.f32").exists() && !out.exists());
    }
}
