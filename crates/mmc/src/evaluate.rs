//! `mmc evaluate`: a checkpoint on a split, or a file of predictions, to scores.

use std::path::Path;

use mmc_data::{ReadOptions, Task, dataset};
use mmc_metrics::{ANSWER_METRICS, Evaluation, METRICS, evaluate};
use mmc_run::{Prediction, Predictions};

use crate::checkpoint::{Checkpoint, For};
use crate::cli::EvaluateArgs;
use crate::compare::{items, positive};
use crate::failure::Failure;
use crate::output::{check_out, print, print_json, table};
use crate::split;

/// Scores what was named and prints it.
pub(crate) fn run(typed: &EvaluateArgs) -> Result<(), Failure> {
    if let Some(out) = &typed.out {
        check_out(out, &["jsonl", "csv", "parquet", "json"])?;
        check_format(out, typed.dataset.as_deref())?;
    }
    let predictions = match (&typed.predictions, &typed.checkpoint) {
        (Some(file), _) => Predictions::read_with_positive(file, typed.positive.as_deref())?,
        (None, Some(folder)) => predicted(folder, typed)?,
        (None, None) => return Err(Failure::usage("give `--checkpoint` or `--predictions`")),
    };
    if let Some(out) = &typed.out {
        // The evaluation server's own format has another ending than ours.
        match out.extension() {
            Some(ending) if ending == "json" => predictions.write_results(out)?,
            _ => predictions.write(out)?,
        }
    }
    let unlabelled = !predictions.rows.iter().any(Prediction::is_labelled);
    if let (Some(out), true) = (&typed.out, unlabelled) {
        return unscored(predictions.rows.len(), out, typed.json);
    }
    let rows = predictions.scored()?;
    let positive = positive(&rows, typed.positive.as_deref())?;
    let items = items(&rows, positive);
    let evaluation = evaluate(&items, 0)?;
    if typed.json {
        print_json(&evaluation)
    } else if items.answers.is_some() {
        print(&shown_answers(&evaluation))
    } else {
        print(&shown(&evaluation, &rows.classes, positive))
    }
}

/// Refuses the format of VQA's evaluation server for what are no answers to questions.
fn check_format(out: &Path, name: Option<&str>) -> Result<(), Failure> {
    let Some(dataset) = name.map(dataset).transpose()? else { return Ok(()) };
    if out.extension().is_none_or(|ending| ending != "json") || dataset.task == Task::Answers {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{}: `.json` is the format of VQA's evaluation server, for answers to questions, and `{}` has \
         classes; end it in `.jsonl`, `.csv` or `.parquet`, or give `--json` for the scores",
        out.display(),
        dataset.name
    )))
}

/// The score of answers to questions, then by the types of questions and answers.
fn shown_answers(evaluation: &Evaluation) -> String {
    let mut rows = vec![["metric", "value", "95 % interval"].map(str::to_owned).to_vec()];
    for metric in ANSWER_METRICS {
        let value = evaluation.value(metric.name);
        let value = value.map_or_else(|| "undefined".to_owned(), |value| format!("{value:.4}"));
        let interval = evaluation.interval(metric.name);
        let interval =
            interval.map_or_else(String::new, |at| format!("[{:.4}, {:.4}]", at.low, at.high));
        rows.push(vec![metric.name.to_owned(), value, interval]);
    }
    let mut shown = format!("{} items\n\n{}", evaluation.n, table(&rows));
    for (what, by) in [
        ("answer type", &evaluation.by_answer_type),
        ("question type", &evaluation.by_question_type),
    ] {
        if !by.is_empty() {
            let mut rows = vec![vec![what.to_owned(), "vqa_accuracy".to_owned()]];
            rows.extend(by.iter().map(|(name, value)| vec![name.clone(), format!("{value:.4}")]));
            shown.push('\n');
            shown.push_str(&table(&rows));
        }
    }
    shown
}

/// What is said of a split without labels, whose predictions were asked for.
fn unscored(rows: usize, out: &Path, as_json: bool) -> Result<(), Failure> {
    let why = "the split has no labels, so there is no score";
    if as_json {
        return print_json(&serde_json::json!({ "n": rows, "scores": null, "why": why }));
    }
    print(&format!("{}: {rows} rows predicted; {why}", out.display()))
}

/// The predictions of a checkpoint on a split, which must have labels unless they are what is
/// asked for.
fn predicted(folder: &Path, typed: &EvaluateArgs) -> Result<Predictions, Failure> {
    let (Some(name), Some(split_name)) = (&typed.dataset, &typed.split) else {
        return Err(Failure::usage("`--checkpoint` needs `--dataset` and `--split`"));
    };
    let dataset = dataset(name)?;
    dataset.split_name(split_name)?;
    let checkpoint = Checkpoint::open(folder, None, For::Classes, typed.devices.device()?)?;
    let checkpoint = checkpoint.for_task(dataset.task);
    let root = dataset.root(typed.data_root.as_deref());
    let on_bad_item = typed.on_bad_item;
    let options = ReadOptions { on_bad_item, ..typed.columns.read_options() };
    let split = split::read_for(&checkpoint, dataset, &root, split_name, options)?;
    if !split.is_labelled() && typed.out.is_none() {
        return Err(Failure::work(format!(
            "{}: it has no labels, so it cannot be scored; `--out FILE` writes its predictions",
            split.path.display()
        )));
    }
    let predictions = split::predicted(checkpoint, &split, on_bad_item)?;
    let is_short = predictions.rows.len() < split.len();
    if is_short && typed.out.as_ref().is_some_and(|out| out.extension() == Some("json".as_ref())) {
        tracing::warn!("the file lacks answers, and the evaluation server takes none that does");
    }
    Ok(predictions)
}

/// The scores as a table, then the confusion matrix.
fn shown(evaluation: &Evaluation, classes: &[String], positive: usize) -> String {
    let mut rows = vec![["metric", "value", "95 % interval"].map(str::to_owned).to_vec()];
    for metric in METRICS {
        let value = evaluation.value(metric.name);
        let value = value.map_or_else(|| "undefined".to_owned(), |value| format!("{value:.4}"));
        let without = evaluation.undefined.get(metric.name);
        let without =
            without.or_else(|| evaluation.undefined.get(&format!("intervals.{}", metric.name)));
        let beside = match (evaluation.interval(metric.name), without) {
            (Some(interval), _) => format!("[{:.4}, {:.4}]", interval.low, interval.high),
            (None, Some(why)) => why.clone(),
            (None, None) => String::new(),
        };
        rows.push(vec![metric.name.to_owned(), value, beside]);
    }
    let positive = match classes {
        [_, _] => format!(", the positive class is `{}`", classes[positive]),
        _ => String::new(),
    };
    let mut confusion = vec![vec!["true \\ predicted".to_owned()]];
    confusion[0].extend(classes.iter().cloned());
    for (class, counts) in classes.iter().zip(&evaluation.confusion) {
        let counts = counts.iter().map(ToString::to_string);
        confusion.push(std::iter::once(class.clone()).chain(counts).collect());
    }
    format!("{} items{positive}\n\n{}\n{}", evaluation.n, table(&rows), table(&confusion))
}
