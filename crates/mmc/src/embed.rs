//! `mmc embed`: rows of a file to vectors, a part at a time, so that an interruption costs one and
//! memory does not grow with the rows.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use mmc_train::embed;
use serde_json::Value;

use crate::checkpoint::For;
use crate::cli::EmbedArgs;
use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::output::{check_out, print};
use crate::partial::Partial;
use crate::progress;
use crate::vectors::{Vectors, shape_of};

/// Writes the vector of every row, and the ids beside them.
pub(crate) fn run(typed: &EmbedArgs) -> Result<(), Failure> {
    let ids = ids_path(&typed.out);
    let complete = typed.resume && typed.out.is_file();
    let begun = Partial::is_begun(&typed.out);
    if !complete {
        check_out(&typed.out, &["safetensors"])?;
        // A call that was stopped between its two files left its ids and its parts.
        if !(typed.resume && begun) {
            check_out(&ids, &["jsonl"])?;
        }
    }
    let inputs = Inputs::read(&typed.input, For::Vectors)?;
    if complete {
        check_complete(&typed.out, &ids, &inputs)?;
        return print(&format!("{}: complete already, nothing changed", typed.out.display()));
    }
    let partial = Partial::open(&typed.out, inputs.about(&typed.input)?, typed.resume)?;
    let rows = inputs.rows.len();
    let mut vectors = Vectors::open(partial, inputs.rows_of_part(), rows)?;
    let begun_at = vectors.rows();
    if begun_at > 0 {
        tracing::info!("{}: goes on after row {begun_at}", typed.out.display());
    }
    let bar = progress::rows(rows, "embed");
    let (mut done, mut cut_texts) = (begun_at, 0);
    let (checkpoint, options) = (&inputs.checkpoint, inputs.checkpoint.options());
    let mut parts = inputs.parts(done)?;
    while let Some(part) = parts.next()? {
        let tell = &mut |of_part: usize| bar.set_position((done + of_part) as u64);
        let model = checkpoint.model.as_ref();
        let found = embed(model, &checkpoint.processor, &part, &options, tell)?;
        cut_texts += found.cut_texts;
        vectors.add(&found)?;
        done += part.len();
    }
    bar.finish_and_clear();
    let input = typed.input.input.display().to_string();
    checkpoint.warn_of_cut_texts(&input, cut_texts, rows - begun_at);
    let width = vectors.finish(&typed.out, &ids)?;
    let (out, ids) = (typed.out.display(), ids.display());
    print(&format!("{out}: `embeddings` [{rows}, {width}], ids in {ids}"))
}

/// `FILE.ids.jsonl`, beside FILE.
fn ids_path(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_os_string();
    name.push(".ids.jsonl");
    out.with_file_name(name)
}

/// Refuses files that are there and are not those of these rows.
fn check_complete(out: &Path, ids: &Path, inputs: &Inputs) -> Result<(), Failure> {
    let other = |why: &str| {
        Failure::usage(format!(
            "{}: is there already and {why}; remove it or give another --out",
            out.display()
        ))
    };
    let found = shape_of(out)?.ok_or_else(|| other("is no file of vectors"))?;
    let (found, rows) = (found.0, inputs.rows.len());
    if found != rows {
        return Err(other(&format!("has {found} rows where the input has {rows}")));
    }
    let lines = File::open(ids).map_err(|_error| other("its ids are missing"))?;
    let mut lines = BufReader::new(lines).lines();
    for sample in inputs.rows.samples()? {
        let sample = sample?;
        let line = lines.next().transpose()?.unwrap_or_default();
        let found: Value = serde_json::from_str(&line).unwrap_or_default();
        if found["id"] != sample.id.as_str() {
            return Err(other(&format!("has another row where the input has `{}`", sample.id)));
        }
    }
    Ok(())
}
