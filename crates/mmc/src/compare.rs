//! `mmc compare`: two sides' prediction files to a difference, its interval and a decision.

use std::path::PathBuf;

use mmc_metrics::bootstrap::Resampling;
use mmc_metrics::compare::Method;
use mmc_metrics::paired_bootstrap::{is_quick, paired_bootstrap};
use mmc_metrics::{Comparison, Contrast, Decision, Items, Metric, MetricError, compare, metric};
use mmc_run::ScoredRows;
use serde::Serialize;

use crate::cli::CompareArgs;
use crate::failure::Failure;
use crate::output::{print, print_json, table};
use crate::scored;

/// The level of the interval.
const LEVEL: f64 = 0.95;

/// Compares the files and prints the outcome.
pub(crate) fn run(typed: &CompareArgs) -> Result<(), Failure> {
    if typed.margin < 0.0 {
        return Err(Failure::usage(format!(
            "`--margin` is `{}`, expected 0 or more: the smallest difference that matters",
            typed.margin
        )));
    }
    let asked = typed.metric.as_deref().map(metric).transpose()?;
    let paths: Vec<&PathBuf> = typed.baseline.iter().chain(&typed.candidate).collect();
    let files = scored::read(paths, typed.positive.as_deref(), typed.cluster.as_deref().into())?;
    let positive = positive(&files.rows[0], typed.positive.as_deref())?;
    let metric = match asked {
        Some(metric) => metric,
        None => metric(match &files.rows[0] {
            rows if rows.answers.is_some() => "vqa_accuracy",
            rows if rows.classes.len() == 2 => "auroc",
            _ => "accuracy",
        })?,
    };
    let sides: Vec<Items<'_>> = files.rows.iter().map(|rows| items(rows, positive)).collect();
    let (baseline, candidate) = sides.split_at(typed.baseline.len());
    let mut comparison = compare(&Contrast {
        metric,
        baseline,
        candidate,
        paired_seeds: typed.paired_seeds,
        margin: typed.margin,
        lower_level: LEVEL,
        upper_level: LEVEL,
        seed: 0,
    })
    .map_err(|error| files.at_fault(error))?;
    comparison.notes.extend(files.missing());
    let outcome = Outcome {
        bootstrap_p_value: resampled(metric, baseline, candidate, &mut comparison.notes)
            .map_err(|error| files.at_fault(error))?,
        comparison,
    };
    if typed.json { print_json(&outcome) } else { print(&words(&outcome, metric)) }
}

/// What is printed.
#[derive(Serialize)]
struct Outcome {
    #[serde(flatten)]
    comparison: Comparison,
    /// The paired bootstrap's; null where there are too many items to resample unasked.
    bootstrap_p_value: Option<f64>,
}

/// The p of the paired bootstrap over the items of these files.
fn resampled(
    metric: &Metric,
    baseline: &[Items],
    candidate: &[Items],
    notes: &mut Vec<String>,
) -> Result<Option<f64>, MetricError> {
    let (items, files) = (baseline[0].len(), baseline.len() + candidate.len());
    if !is_quick(items, files) {
        notes.push(format!("no bootstrap p: {items} items of {files} files are many to resample"));
        return Ok(None);
    }
    match paired_bootstrap(metric, baseline, candidate, &Resampling::default()) {
        Ok(found) => Ok(Some(found.p_value)),
        // The comparison stands without it.
        Err(error @ MetricError::Degenerate { .. }) => {
            notes.push(format!("no bootstrap p: {error}"));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The rows of one file as the metrics take them.
pub(crate) fn items(rows: &ScoredRows, positive: usize) -> Items<'_> {
    Items {
        labels: &rows.labels,
        predictions: &rows.predictions,
        probabilities: &rows.probabilities,
        logits: rows.logits.as_deref(),
        clusters: rows.clusters.as_deref(),
        classes: rows.classes.len(),
        positive,
        answers: rows.answers.as_ref().map(mmc_run::ScoredAnswers::borrowed),
    }
}

/// The index of the positive class: the one named, else the second.
pub(crate) fn positive(rows: &ScoredRows, named: Option<&str>) -> Result<usize, Failure> {
    let Some(name) = named else { return Ok(1) };
    if rows.classes.len() != 2 {
        let classes = rows.classes.len();
        return Err(Failure::usage(format!(
            "`--positive` is for two classes, and there are {classes}; leave it out"
        )));
    }
    rows.classes.iter().position(|class| class == name).ok_or_else(|| {
        let known: Vec<String> = rows.classes.iter().map(|class| format!("`{class}`")).collect();
        Failure::usage(format!("`--positive` is `{name}`, expected {}", known.join(" or ")))
    })
}

/// The comparison in plain words.
fn words(outcome: &Outcome, metric: &Metric) -> String {
    let Outcome { comparison, bootstrap_p_value } = outcome;
    let unit = match comparison.clusters {
        Some(clusters) => format!("{} items in {clusters} groups", comparison.items),
        None => format!("{} items", comparison.items),
    };
    let score = |value: f64| format!("{value:.4}");
    let signed = |value: f64| format!("{value:+.4}");
    let files = |count: usize| if count == 1 { "1 file".into() } else { format!("{count} files") };
    let (low, high) = (signed(comparison.interval.low), signed(comparison.interval.high));
    let rows = [
        ["metric".into(), comparison.metric.clone(), metric.describe.into()],
        ["baseline".into(), score(comparison.baseline), files(comparison.seeds.baseline)],
        ["candidate".into(), score(comparison.candidate), files(comparison.seeds.candidate)],
        [
            "difference".into(),
            signed(comparison.difference),
            format!("{:.0} % interval [{low}, {high}]", comparison.level * 100.0),
        ],
        ["p".into(), format!("{:.2e}", comparison.p_value), "two-sided".into()],
        [
            "bootstrap p".into(),
            bootstrap_p_value.map_or("–".to_owned(), |p| format!("{p:.2e}")),
            "paired, over the items of these files".into(),
        ],
        ["margin".into(), comparison.margin.to_string(), "smallest difference that matters".into()],
    ];
    let rows: Vec<Vec<String>> = rows.into_iter().map(Vec::from).collect();
    let notes: Vec<String> =
        comparison.notes.iter().map(|note| format!("note: {note}\n")).collect();
    format!("{unit}\n{}decision: {}\n{}", table(&rows), decision(comparison), notes.concat())
}

/// The decision as a sentence that cannot be read as more than it says.
fn decision(comparison: &Comparison) -> String {
    let margin = comparison.margin;
    match comparison.decision {
        Decision::Candidate if margin > 0.0 => format!(
            "candidate: it is better, and the estimate of its gain is at least the margin {margin}"
        ),
        // One file a side tells nothing about other seeds, so nothing about the models.
        Decision::Candidate if comparison.method == Method::ItemsOnly => {
            "candidate: this file is better than the baseline's, seeds aside".to_owned()
        }
        Decision::Candidate => "candidate: it is better than the baseline".to_owned(),
        Decision::Baseline if margin > 0.0 => {
            format!("baseline: the candidate's gain is shown to lie below the margin {margin}")
        }
        Decision::Baseline => "baseline: the candidate is shown to be worse".to_owned(),
        Decision::Undecided => "undecided: these files show neither".to_owned(),
    }
}
