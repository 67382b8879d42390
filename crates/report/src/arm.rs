//! The runs of one model and arm over its seeds, ready to be compared.

use mmc_data::Arm;
use mmc_metrics::Items;
use mmc_run::ScoredRows;

use crate::{Results, RunResult};

/// The complete runs of a (model, arm).
pub(crate) struct ArmRuns<'a> {
    pub(crate) model: &'a str,
    pub(crate) arm: Arm,
    pub(crate) runs: Vec<&'a RunResult>,
    /// One for each run; empty where the test split has no labels.
    scored: Vec<ScoredRows>,
    positive: usize,
}

impl<'a> ArmRuns<'a> {
    pub(crate) fn gather(results: &'a Results, model: &'a str, arm: Arm) -> Self {
        let of_arm = |run: &&RunResult| run.id.model == model && run.id.arm == arm;
        let runs: Vec<&RunResult> = results.runs.iter().filter(of_arm).collect();
        let scored: Option<Vec<ScoredRows>> =
            runs.iter().map(|run| run.test.as_ref()?.scored().ok()).collect();
        let scored = scored.unwrap_or_default();
        let positive = runs
            .first()
            .and_then(|run| run.config.settings.positive.as_ref())
            .zip(scored.first())
            .and_then(|(name, rows)| rows.classes.iter().position(|class| class == name))
            .unwrap_or(1);
        Self { model, arm, runs, scored, positive }
    }

    /// Every (model, arm) of the plan, text models first.
    pub(crate) fn all(results: &'a Results) -> Vec<Self> {
        let grid = &results.record.grid;
        let text = grid.text_models.iter().map(|model| (model, Arm::Text));
        let multimodal = grid
            .multimodal_models
            .iter()
            .flat_map(|model| grid.arms.iter().map(move |&arm| (model, arm)));
        text.chain(multimodal).map(|(model, arm)| Self::gather(results, model, arm)).collect()
    }

    /// The name shown to readers: the model, with its arm where it is not all the model has.
    pub(crate) fn name(&self) -> String {
        format!("{} ({})", self.model, self.arm)
    }

    /// The head of its runs; `None` where no run is complete.
    pub(crate) fn head(&self) -> Option<&str> {
        self.runs.first().map(|run| run.config.settings.head.as_str())
    }

    pub(crate) fn seeds(&self) -> Vec<u64> {
        self.runs.iter().map(|run| run.id.seed).collect()
    }

    /// One entry a seed; empty where nothing can be scored.
    pub(crate) fn items(&self) -> Vec<Items<'_>> {
        self.scored.iter().map(|rows| items(rows, self.positive)).collect()
    }

    /// The rows of each run; empty where nothing can be scored.
    pub(crate) fn scored(&self) -> &[ScoredRows] {
        &self.scored
    }

    pub(crate) fn first_rows(&self) -> Option<&ScoredRows> {
        self.scored.first()
    }

    pub(crate) fn positive(&self) -> usize {
        self.positive
    }

    /// Mean over seeds of what models are chosen by; `None` where a seed has none.
    pub(crate) fn selection_mean(&self, metric: &str) -> Option<f64> {
        let scores: Option<Vec<f64>> =
            self.runs.iter().map(|run| run.selection_score(metric)).collect();
        scores.filter(|scores| !scores.is_empty()).map(|scores| mean(&scores))
    }
}

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

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Standard deviation over seeds; `None` of fewer than two.
pub(crate) fn deviation(values: &[f64]) -> Option<f64> {
    let centre = mean(values);
    let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() as f64 - 1.0)).sqrt())
}

/// The middle value; the mean of the two middle ones of an even number.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 1 => Some(values[half]),
        _ => Some(0.5 * (values[half - 1] + values[half])),
    }
}
