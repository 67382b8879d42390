//! `mmc predict`: rows of a file to classes, a part at a time, so that an interruption costs one
//! and memory does not grow with the rows.

use std::path::Path;
use std::sync::Arc;

use mmc_data::Split;
use mmc_run::Predictions;
use mmc_train::{Predicted, predict};

use crate::checkpoint::For;
use crate::cli::PredictArgs;
use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::output::{check_out, print};
use crate::partial::Partial;
use crate::progress;

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
    let rows_of_part = inputs.rows_of_part();
    let partial = Partial::open(&typed.out, inputs.about(&typed.input)?, typed.resume)?;
    let rows = inputs.rows.len();
    let mut done = partial.keep_whole_parts(rows_of_part)?;
    if done > 0 {
        tracing::info!("{}: goes on after row {done}", typed.out.display());
    }
    let bar = progress::rows(rows, "predict");
    let (begun_at, mut cut_texts) = (done, 0);
    let mut parts = inputs.parts(done)?;
    while let Some(part) = parts.next()? {
        let found = predict_part(&inputs, done, &part, &bar)?;
        cut_texts += found.cut_texts;
        partial.append(&found.predictions)?;
        done += part.len();
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
    let (mut rows, mut differs, mut classes) = (0, None, Vec::new());
    let mut samples = inputs.rows.samples()?;
    let mut broken = None;
    Predictions::read_in_parts(out, |part| {
        for row in &part.rows {
            rows += 1;
            match samples.next() {
                Some(Ok(sample)) if differs.is_none() && row.id != sample.id => {
                    differs = Some((row.id.clone(), sample.id));
                }
                Some(Err(error)) if broken.is_none() => broken = Some(error),
                _ => {}
            }
        }
        classes = part.classes;
        Ok(())
    })
    .map_err(|error| {
        other(format!("is no file of predictions ({})", Failure::from(error).message()))
    })?;
    if let Some(error) = broken {
        return Err(error.into());
    }
    let expected = inputs.rows.len();
    if rows != expected {
        return Err(other(format!("has {rows} rows where the input has {expected}")));
    }
    if let Some((found, expected)) = differs {
        return Err(other(format!("has `{found}` where the input has `{expected}`")));
    }
    if classes != inputs.checkpoint.labels {
        return Err(other("its classes are not the checkpoint's".to_owned()));
    }
    Ok(())
}

fn predict_part(
    inputs: &Inputs,
    first: usize,
    part: &Arc<Split>,
    bar: &indicatif::ProgressBar,
) -> Result<Predicted, Failure> {
    let checkpoint = &inputs.checkpoint;
    let tell = &mut |done: usize| bar.set_position((first + done) as u64);
    let model = checkpoint.model.as_ref();
    Ok(predict(model, &checkpoint.processor, part, &checkpoint.options(), tell)?)
}
