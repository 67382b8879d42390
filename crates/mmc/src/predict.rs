//! `mmc predict`: rows of a file to classes, a part at a time, so that an interruption costs one.

use std::path::Path;

use mmc_run::Predictions;
use mmc_train::{Predicted, predict};

use crate::checkpoint::For;
use crate::cli::PredictArgs;
use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::output::{check_out, print};
use crate::partial::Partial;
use crate::progress;

/// Rows that are written at once, about.
const PART: usize = 256;

/// Classifies every row and writes the file.
pub(crate) fn run(typed: &PredictArgs) -> Result<(), Failure> {
    let resumed = typed.resume && typed.out.is_file();
    if !resumed {
        check_out(&typed.out, &["jsonl", "csv", "parquet"])?;
    }
    let inputs = Inputs::read(&typed.input, For::Classes)?;
    if resumed {
        check_complete(&typed.out, &inputs)?;
        return print(&format!("{}: complete already, nothing changed", typed.out.display()));
    }
    // A multiple of the rows of a forward pass, so that parts do not change what is computed
    // together.
    let rows_of_pass = inputs.checkpoint.options().rows;
    let rows_of_part = (PART / rows_of_pass).max(1) * rows_of_pass;
    let partial = Partial::open(&typed.out, about(typed, &inputs)?, typed.resume)?;
    let rows = inputs.split.len();
    let mut done = partial.keep_whole_parts(rows_of_part)?;
    if done > 0 {
        tracing::info!("{}: goes on after row {done}", typed.out.display());
    }
    let bar = progress::rows(rows, "predict");
    let (begun_at, mut cut_texts) = (done, 0);
    while done < rows {
        let end = rows.min(done + rows_of_part);
        let part = predict_part(&inputs, done, end, &bar)?;
        cut_texts += part.cut_texts;
        partial.append(&part.predictions)?;
        done = end;
    }
    bar.finish_and_clear();
    let input = typed.input.input.display().to_string();
    inputs.checkpoint.warn_of_cut_texts(&input, cut_texts, rows - begun_at);
    partial.finish(&typed.out)?;
    print(&format!("{}: {rows} rows predicted", typed.out.display()))
}

/// Refuses a file that is there and is not that of these rows and classes.
fn check_complete(out: &Path, inputs: &Inputs) -> Result<(), Failure> {
    let other = |why: String| {
        Failure::usage(format!(
            "{}: is there already and {why}; remove it or give another --out",
            out.display()
        ))
    };
    let found = Predictions::read(out).map_err(|error| {
        other(format!("is no file of predictions ({})", Failure::from(error).message()))
    })?;
    let samples = &inputs.split.samples;
    if found.rows.len() != samples.len() {
        let (found, rows) = (found.rows.len(), samples.len());
        return Err(other(format!("has {found} rows where the input has {rows}")));
    }
    let differs = found.rows.iter().zip(samples).find(|(row, sample)| row.id != sample.id);
    if let Some((row, sample)) = differs {
        return Err(other(format!("has `{}` where the input has `{}`", row.id, sample.id)));
    }
    if found.classes != inputs.checkpoint.labels {
        return Err(other("its classes are not the checkpoint's".to_owned()));
    }
    Ok(())
}

fn predict_part(
    inputs: &Inputs,
    first: usize,
    end: usize,
    bar: &indicatif::ProgressBar,
) -> Result<Predicted, Failure> {
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
        "padding": format!("{:?}", inputs.checkpoint.options().padding),
        "rows": inputs.checkpoint.options().rows,
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
