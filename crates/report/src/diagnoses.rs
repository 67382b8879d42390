//! The diagnosis of every multimodal model of an experiment, from the files of its runs.

use mmc_data::Arm;
use mmc_metrics::Metric;
use mmc_run::{Diagnosis, Predictions};

use crate::RunResult;
use crate::arm::ArmRuns;
use crate::diagnosis::{DiagnosisFiles, DiagnosisTerms, ModelDiagnosis, diagnosis};

/// Probabilities of one model on one item differ by rounding alone where the item is in other
/// company.
const ROUNDING: f64 = 1e-3;

/// The diagnoses, and what a reader must be told of those that are not there.
#[derive(Default)]
pub(crate) struct Diagnoses {
    pub(crate) found: Vec<ModelDiagnosis>,
    pub(crate) alarms: Vec<String>,
}

/// Diagnoses every multimodal model that has runs with text and picture.
pub(crate) fn diagnoses(
    arms: &[ArmRuns],
    text: Option<&ArmRuns>,
    primary: &Metric,
    margin: f64,
) -> Diagnoses {
    let mut all = Diagnoses::default();
    for both in arms.iter().filter(|arm| arm.arm == Arm::Both && !arm.runs.is_empty()) {
        let diagnosed: Vec<(u64, &Diagnosis)> =
            both.runs.iter().filter_map(|run| Some((run.id.seed, usable(run)?))).collect();
        if both.runs.iter().all(|run| run.diagnosis.is_none()) {
            continue; // nobody asked for it, and the report says so
        }
        if diagnosed.len() < both.runs.len() {
            let (without, runs) = (both.runs.len() - diagnosed.len(), both.runs.len());
            all.alarms.push(format!(
                "{}: {without} of {runs} runs have no diagnosis that fits them; `mmc diagnose \
                 --run RUN_DIR` makes it",
                both.name()
            ));
        }
        if diagnosed.is_empty() {
            continue;
        }
        let own_text = arms.iter().find(|arm| arm.model == both.model && arm.arm == Arm::Text);
        match of_model(both, &diagnosed, (own_text, text), primary, margin) {
            Ok(found) => all.found.push(found),
            Err(why) => all.alarms.push(format!("{} could not be diagnosed: {why}", both.name())),
        }
    }
    all
}

/// A run's diagnosis, if it is of its test split and of the model that made its predictions.
fn usable(run: &RunResult) -> Option<&Diagnosis> {
    let found = run.diagnosis.as_ref()?;
    let predictions = run.test.as_ref()?;
    if found.source.fingerprint != run.test_split()?.fingerprint {
        return None;
    }
    let plain = found.predictions(&found.plain).aligned_to(&predictions.classes).ok()?;
    let same = |row: &mmc_run::Prediction, other: &mmc_run::Prediction| {
        let pairs = row.probabilities.iter().zip(&other.probabilities);
        pairs.into_iter().all(|(a, b)| (a - b).abs() <= ROUNDING)
    };
    // Both are in the order of the split; the run's may lack items that other runs lack.
    let mut rows = plain.rows.iter();
    let fits = predictions
        .rows
        .iter()
        .all(|row| rows.find(|other| other.id == row.id).is_some_and(|other| same(row, other)));
    fits.then_some(found)
}

fn of_model(
    both: &ArmRuns,
    diagnosed: &[(u64, &Diagnosis)],
    (own_text, text): (Option<&ArmRuns>, Option<&ArmRuns>),
    metric: &Metric,
    margin: f64,
) -> Result<ModelDiagnosis, String> {
    let first = both.runs.first().map(|run| &run.config.settings);
    let terms = DiagnosisTerms {
        model: both.model,
        text_model: text.map_or("the text model", |text| text.model),
        metric,
        positive: first.and_then(|settings| settings.positive.as_deref()),
        margin,
    };
    // A model and its own text arm are compared seed by seed.
    let of_seed = |seed: u64| {
        own_text?.runs.iter().find(|run| run.id.seed == seed).and_then(|run| run.test.clone())
    };
    let pairs = diagnosed.iter().filter_map(|&(seed, found)| Some((found, of_seed(seed)?)));
    let (mut diagnoses, text_arm): (Vec<&Diagnosis>, Vec<Predictions>) = pairs.unzip();
    if text_arm.is_empty() {
        diagnoses = diagnosed.iter().map(|&(_, found)| found).collect();
    }
    let text_model = text.map_or_else(Vec::new, |text| {
        text.runs.iter().filter_map(|run| run.test.clone()).collect()
    });
    let files =
        DiagnosisFiles { diagnoses: &diagnoses, text_arm: &text_arm, text_model: &text_model };
    diagnosis(&terms, &files).map_err(|error| error.to_string())
}
