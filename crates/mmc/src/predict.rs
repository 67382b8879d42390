//! `mmc predict`: rows of a file to classes, a part at a time, so that an interruption costs one.

use std::path::Path;

use mmc_run::Predictions;
use mmc_train::predict;

use crate::cli::PredictArgs;
use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::output::{check_out, print};
use crate::partial::Partial;
use crate::progress;

/// Rows that are written at once; a multiple of the rows of a forward pass, so that parts do not
/// change what is computed together.
const PART: usize = 256;

/// Classifies every row and writes the file.
pub(crate) fn run(typed: &PredictArgs) -> Result<(), Failure> {
    if typed.resume && typed.out.is_file() {
        return print(&format!("{}: complete already, nothing changed", typed.out.display()));
    }
    check_out(&typed.out, &["jsonl", "csv", "parquet"])?;
    let inputs = Inputs::read(&typed.input)?;
    let partial = Partial::open(&typed.out, about(typed, &inputs)?, typed.resume)?;
    let rows = inputs.split.len();
    let mut done = partial.keep_whole_parts(PART)?;
    if done > 0 {
        tracing::info!("{}: goes on after row {done}", typed.out.display());
    }
    let bar = progress::rows(rows, "predict");
    while done < rows {
        let end = rows.min(done + PART);
        let part = predict_part(&inputs, done, end, &bar)?;
        partial.append(&part)?;
        done = end;
    }
    bar.finish_and_clear();
    partial.finish(&typed.out)?;
    print(&format!("{}: {rows} rows predicted", typed.out.display()))
}

fn predict_part(
    inputs: &Inputs,
    first: usize,
    end: usize,
    bar: &indicatif::ProgressBar,
) -> Result<Predictions, Failure> {
    let checkpoint = &inputs.checkpoint;
    let part = inputs.part(first, end);
    let tell = &mut |done: usize| bar.set_position((first + done) as u64);
    let model = checkpoint.model.as_ref();
    Ok(predict(model, &checkpoint.processor, &part, &checkpoint.options(), tell)?)
}

/// What must be the same for two calls to write one file.
fn about(typed: &PredictArgs, inputs: &Inputs) -> Result<serde_json::Value, Failure> {
    let checkpoint = &typed.input.checkpoint;
    Ok(serde_json::json!({
        "weights": digest(&checkpoint.join("model.safetensors"))?,
        "head": digest(&checkpoint.join("mmc_head.safetensors"))?,
        "classes": inputs.checkpoint.labels,
        "input": digest(&typed.input.input)?,
        "max_length": inputs.checkpoint.processor.max_length(),
    }))
}

/// Hex SHA-256 of a file; null where there is none.
fn digest(path: &Path) -> Result<Option<String>, Failure> {
    use sha2::{Digest, Sha256};
    if !path.is_file() {
        return Ok(None);
    }
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Sha256::new();
    std::io::copy(&mut file, &mut hasher)?;
    Ok(Some(format!("{:x}", hasher.finalize())))
}
