//! The figures as files for other programs: `runs.csv` and `verdict.json`.

use mmc_run::RunError;

use crate::{ReportError, Results, RunResult, Verdict};

/// What is recorded of a run's cost, as columns.
const COSTS: &[&str] = &[
    "wall_seconds",
    "seconds_per_step",
    "samples_per_second",
    "peak_memory_bytes",
    "parameters",
    "trainable_parameters",
    "flops_per_sample",
];

/// A row a planned run, complete or not.
pub(crate) fn runs_csv(results: &Results) -> Result<Vec<u8>, ReportError> {
    let metrics: Vec<&String> =
        std::iter::once(&results.record.primary_metric).chain(&results.record.metrics).collect();
    let mut header: Vec<String> =
        ["run", "model", "arm", "seed", "status", "demo", "split", "items", "fingerprint"]
            .map(str::to_owned)
            .to_vec();
    header.extend(metrics.iter().map(|name| format!("test:{name}")));
    header.push(format!("selection:{}", results.record.primary_metric));
    header.push("final_loss".to_owned());
    header.extend(COSTS.iter().map(|&name| name.to_owned()));
    header.extend(["head", "settings"].map(str::to_owned));
    let mut writer = csv::Writer::from_writer(Vec::new());
    let fault = |error: &dyn std::fmt::Display| ReportError::Write {
        file: "runs.csv",
        problem: error.to_string(),
    };
    writer.write_record(&header).map_err(|error| fault(&error))?;
    let demo = results.record.is_demo().to_string();
    for run in &results.runs {
        let mut cells = identity(&run.id, "complete", &demo);
        cells.extend(figures(run, &metrics)?);
        writer.write_record(&cells).map_err(|error| fault(&error))?;
    }
    for run in &results.failed {
        let mut cells = identity(&run.id, "failed", &demo);
        cells.resize(header.len(), String::new());
        writer.write_record(&cells).map_err(|error| fault(&error))?;
    }
    writer.into_inner().map_err(|error| fault(&error))
}

fn identity(id: &mmc_run::RunId, status: &str, demo: &str) -> Vec<String> {
    vec![
        id.to_string(),
        id.model.clone(),
        id.arm.to_string(),
        id.seed.to_string(),
        status.to_owned(),
        demo.to_owned(),
    ]
}

fn figures(run: &RunResult, metrics: &[&String]) -> Result<Vec<String>, RunError> {
    let text = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let mut cells = match run.test_split() {
        Some(at) => vec![at.split.clone(), at.items.to_string(), at.fingerprint.clone()],
        None => vec![String::new(); 3],
    };
    let scores = run.test_scores();
    cells.extend(metrics.iter().map(|name| text(scores.and_then(|scores| scores.value(name)))));
    cells.push(text(metrics.first().and_then(|name| run.selection_score(name))));
    cells.push(text(run.final_loss));
    let cost = &run.cost;
    cells.extend([
        cost.wall_seconds.to_string(),
        cost.seconds_per_step.to_string(),
        cost.samples_per_second.to_string(),
        cost.peak_memory_bytes.to_string(),
        cost.parameters.to_string(),
        cost.trainable_parameters.to_string(),
        cost.flops_per_sample.to_string(),
    ]);
    cells.push(run.config.settings.head.clone());
    cells.push(run.config.settings.hash()?);
    Ok(cells)
}

pub(crate) fn verdict_json(verdict: &Verdict) -> Result<Vec<u8>, ReportError> {
    let mut bytes = serde_json::to_vec_pretty(verdict)
        .map_err(|error| ReportError::Write { file: "verdict.json", problem: error.to_string() })?;
    bytes.push(b'\n');
    Ok(bytes)
}
