//! The figures as files for other programs: `runs.csv`, `runs.parquet`, `search.csv` and
//! `verdict.json`.

use std::sync::Arc;

use arrow_array::{
    Array as _, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow_schema::{Field, Schema};
use mmc_run::{RunId, SearchRecord};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::search::values;
use crate::{ReportError, Results, RunResult, Verdict};

/// The runs as a table: a row a planned run, complete or not.
pub(crate) struct Runs {
    columns: Vec<(String, Cells)>,
}

/// A column; what is absent is `None`.
enum Cells {
    Words(Vec<Option<String>>),
    Flags(Vec<bool>),
    Counts(Vec<Option<u64>>),
    Numbers(Vec<Option<f64>>),
}

/// Every planned run, the complete ones first.
pub(crate) fn runs(results: &Results) -> Result<Runs, ReportError> {
    let ids: Vec<&RunId> = results
        .runs
        .iter()
        .map(|run| &run.id)
        .chain(results.failed.iter().map(|run| &run.id))
        .collect();
    let complete = results.runs.len();
    let of_id = |word: &dyn Fn(&RunId) -> String| {
        Cells::Words(ids.iter().map(|id| Some(word(id))).collect())
    };
    let failed = results.failed.len();
    let words = |of: &dyn Fn(&RunResult) -> Option<String>| {
        let absent = std::iter::repeat_n(None, failed);
        Cells::Words(results.runs.iter().map(of).chain(absent).collect())
    };
    let numbers = |of: &dyn Fn(&RunResult) -> Option<f64>| {
        let absent = std::iter::repeat_n(None, failed);
        Cells::Numbers(results.runs.iter().map(of).chain(absent).collect())
    };
    let counts = |of: &dyn Fn(&RunResult) -> Option<u64>| {
        let absent = std::iter::repeat_n(None, failed);
        Cells::Counts(results.runs.iter().map(of).chain(absent).collect())
    };
    let status = (0..ids.len())
        .map(|at| Some(if at < complete { "complete" } else { "failed" }.to_owned()))
        .collect();
    let hashes: Vec<String> =
        results.runs.iter().map(|run| run.config.settings.hash()).collect::<Result<_, _>>()?;
    let hashes = hashes.into_iter().map(Some).chain(std::iter::repeat_n(None, failed)).collect();
    let primary = &results.record.primary_metric;
    let metrics = std::iter::once(primary).chain(&results.record.metrics);

    let mut columns = vec![
        ("run".to_owned(), of_id(&ToString::to_string)),
        ("model".to_owned(), of_id(&|id| id.model.clone())),
        ("arm".to_owned(), of_id(&|id| id.arm.to_string())),
        ("seed".to_owned(), Cells::Counts(ids.iter().map(|id| Some(id.seed)).collect())),
        ("status".to_owned(), Cells::Words(status)),
        ("demo".to_owned(), Cells::Flags(vec![results.record.is_demo(); ids.len()])),
        ("split".to_owned(), words(&|run| Some(run.test_split()?.split.clone()))),
        ("items".to_owned(), counts(&|run| Some(run.test_split()?.items as u64))),
        ("fingerprint".to_owned(), words(&|run| Some(run.test_split()?.fingerprint.clone()))),
    ];
    for name in metrics {
        let cells = numbers(&|run| run.test_scores()?.value(name));
        columns.push((format!("test:{name}"), cells));
    }
    columns.push((format!("selection:{primary}"), numbers(&|run| run.selection_score(primary))));
    columns.push(("final_loss".to_owned(), numbers(&|run| run.final_loss)));
    let costs: [(&str, Cells); 7] = [
        ("wall_seconds", numbers(&|run| Some(run.cost.wall_seconds))),
        ("seconds_per_step", numbers(&|run| Some(run.cost.seconds_per_step))),
        ("samples_per_second", numbers(&|run| Some(run.cost.samples_per_second))),
        ("peak_memory_bytes", counts(&|run| Some(run.cost.peak_memory_bytes))),
        ("parameters", counts(&|run| Some(run.cost.parameters))),
        ("trainable_parameters", counts(&|run| Some(run.cost.trainable_parameters))),
        ("flops_per_sample", numbers(&|run| Some(run.cost.flops_per_sample))),
    ];
    columns.extend(costs.map(|(name, cells)| (name.to_owned(), cells)));
    columns.push(("head".to_owned(), words(&|run| Some(run.config.settings.head.clone()))));
    columns.push(("settings".to_owned(), Cells::Words(hashes)));
    let prediction = numbers(&|run| run.cost.seconds_per_prediction);
    columns.push(("seconds_per_prediction".to_owned(), prediction));
    Ok(Runs { columns })
}

impl Cells {
    fn len(&self) -> usize {
        match self {
            Self::Words(cells) => cells.len(),
            Self::Flags(cells) => cells.len(),
            Self::Counts(cells) => cells.len(),
            Self::Numbers(cells) => cells.len(),
        }
    }

    fn words(&self, row: usize) -> String {
        fn say<T: ToString>(cell: Option<&T>) -> String {
            cell.map(ToString::to_string).unwrap_or_default()
        }
        match self {
            Self::Words(cells) => say(cells[row].as_ref()),
            Self::Flags(cells) => cells[row].to_string(),
            Self::Counts(cells) => say(cells[row].as_ref()),
            Self::Numbers(cells) => say(cells[row].as_ref()),
        }
    }

    fn array(self) -> ArrayRef {
        match self {
            Self::Words(cells) => Arc::new(StringArray::from(cells)),
            Self::Flags(cells) => Arc::new(BooleanArray::from(cells)),
            Self::Counts(cells) => {
                let count = |cell: Option<_>| cell.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
                Arc::new(cells.into_iter().map(count).collect::<Int64Array>())
            }
            Self::Numbers(cells) => Arc::new(Float64Array::from(cells)),
        }
    }
}

/// `runs.csv`.
pub(crate) fn csv(runs: &Runs) -> Result<Vec<u8>, ReportError> {
    let fault = |error: &dyn std::fmt::Display| ReportError::Write {
        file: "runs.csv",
        problem: error.to_string(),
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = runs.columns.iter().map(|(name, _)| name);
    writer.write_record(header).map_err(|error| fault(&error))?;
    let rows = runs.columns.first().map_or(0, |(_, cells)| cells.len());
    for row in 0..rows {
        let cells = runs.columns.iter().map(|(_, cells)| cells.words(row));
        writer.write_record(cells).map_err(|error| fault(&error))?;
    }
    writer.into_inner().map_err(|error| fault(&error))
}

/// `runs.parquet`: the columns of `runs.csv` with their types.
pub(crate) fn parquet(runs: Runs) -> Result<Vec<u8>, ReportError> {
    let fault = |error: &dyn std::fmt::Display| ReportError::Write {
        file: "runs.parquet",
        problem: error.to_string(),
    };
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = runs
        .columns
        .into_iter()
        .map(|(name, cells)| {
            let array = cells.array();
            (Field::new(name, array.data_type().clone(), true), array)
        })
        .unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .map_err(|error| fault(&error))?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties))
        .map_err(|error| fault(&error))?;
    writer.write(&batch).map_err(|error| fault(&error))?;
    writer.close().map_err(|error| fault(&error))?;
    Ok(bytes)
}

/// `search.csv`: a row a trial; nothing where there was no search.
pub(crate) fn search_csv(search: &SearchRecord) -> Result<Vec<u8>, ReportError> {
    let fault = |problem: String| ReportError::Write { file: "search.csv", problem };
    let trials = || search.arms.iter().flat_map(|at| at.trials.iter().map(move |one| (at, one)));
    let mut names: Vec<String> =
        trials().flat_map(|(_, trial)| values(&trial.settings).into_keys()).collect();
    names.sort();
    names.dedup();
    let mut out = csv::Writer::from_writer(Vec::new());
    let fixed = ["model", "arm", "trial", "seed"].map(str::to_owned);
    let last = [search.metric.clone(), "chosen".into(), "wall_seconds".into(), "failed".into()];
    out.write_record(fixed.iter().chain(&names).chain(&last))
        .map_err(|error| fault(error.to_string()))?;
    for (at, trial) in trials() {
        let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
        let set = values(&trial.settings);
        let mut cells = vec![
            at.model.clone(),
            at.arm.to_string(),
            trial.trial.to_string(),
            search.seed.to_string(),
        ];
        cells.extend(names.iter().map(|name| set.get(name).cloned().unwrap_or_default()));
        cells.push(number(trial.score));
        cells.push((Some(trial.trial) == at.chosen).to_string());
        cells.push(number(trial.wall_seconds));
        cells.push(trial.failed.clone().unwrap_or_default());
        out.write_record(cells).map_err(|error| fault(error.to_string()))?;
    }
    out.into_inner().map_err(|error| fault(error.to_string()))
}

pub(crate) fn verdict_json(verdict: &Verdict) -> Result<Vec<u8>, ReportError> {
    let mut bytes = serde_json::to_vec_pretty(verdict)
        .map_err(|error| ReportError::Write { file: "verdict.json", problem: error.to_string() })?;
    bytes.push(b'\n');
    Ok(bytes)
}
