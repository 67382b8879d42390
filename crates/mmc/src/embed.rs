//! `mmc embed`: rows of a file to vectors.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mmc_run::{RunError, write_atomically};
use mmc_train::{Embeddings, embed};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::checkpoint::For;
use crate::cli::EmbedArgs;
use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::output::{check_out, print};
use crate::progress;

/// Writes the vector of every row, and the ids beside them.
pub(crate) fn run(typed: &EmbedArgs) -> Result<(), Failure> {
    check_out(&typed.out, &["safetensors"])?;
    check_out(&ids_path(&typed.out), &["jsonl"])?;
    let inputs = Inputs::read(&typed.input, For::Vectors)?;
    let checkpoint = &inputs.checkpoint;
    let split = Arc::new(inputs.split.clone());
    let bar = progress::rows(split.len(), "embed");
    let tell = &mut |done: usize| bar.set_position(done as u64);
    let model = checkpoint.model.as_ref();
    let found = embed(model, &checkpoint.processor, &split, &checkpoint.options(), tell);
    bar.finish_and_clear();
    let found = found?;
    let input = typed.input.input.display().to_string();
    checkpoint.warn_of_cut_texts(&input, found.cut_texts, split.len());
    let width = write(&found, &typed.out)?;
    print(&format!(
        "{}: `embeddings` [{}, {width}], ids in {}",
        typed.out.display(),
        found.ids.len(),
        ids_path(&typed.out).display()
    ))
}

/// `FILE.ids.jsonl`, beside FILE.
fn ids_path(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_os_string();
    name.push(".ids.jsonl");
    out.with_file_name(name)
}

/// Writes the ids first, so that vectors without ids never lie about; returns the width.
fn write(found: &Embeddings, out: &Path) -> Result<usize, Failure> {
    let rows = found.rows.to_vec2::<f32>()?; // [rows, width]
    let width = rows.first().map_or(0, Vec::len);
    let bytes: Vec<u8> = rows.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, vec![rows.len(), width], &bytes)?;
    let file = safetensors::serialize([("embeddings", view)], None)?;
    let ids = ids_path(out);
    write_atomically(&ids, |to| {
        for id in &found.ids {
            let line = serde_json::json!({ "id": id }).to_string();
            writeln!(to, "{line}").map_err(|source| RunError::Io { path: ids.clone(), source })?;
        }
        Ok(())
    })?;
    let path = out.to_owned();
    write_atomically(out, |to| {
        to.write_all(&file).map_err(|source| RunError::Io { path, source })
    })?;
    Ok(width)
}
