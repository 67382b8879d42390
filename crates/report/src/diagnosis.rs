//! What a multimodal model uses, and where its gain over a text model comes from, from the
//! diagnoses of its runs and the predictions of others.

use mmc_metrics::ledger::Arms;
use mmc_metrics::perceptual::perceptual;
use mmc_metrics::{Contrast, Interval, Items, Metric, MetricError, compare};
use mmc_run::{ByModality, Diagnosis, LogitRows, Predictions, RunError, ScoredRows, paired};
use serde::Serialize;

use crate::ReportError;
use crate::arm::{items, mean};
use crate::compare::{ALPHA, improvement};
use crate::ledger::{LedgerParts, keep};
use crate::reading::reading;

/// What a diagnosis is made from: the diagnoses of a model's runs, one a seed, and the predictions
/// of others on the same split.
#[derive(Clone, Copy, Debug)]
pub struct DiagnosisFiles<'a> {
    /// Of the multimodal model.
    pub diagnoses: &'a [&'a Diagnosis],
    /// Of its text arm; empty where there are none. As many as diagnoses are taken to be of the
    /// same seeds in the same order.
    pub text_arm: &'a [Predictions],
    /// Of the text model; empty where there are none.
    pub text_model: &'a [Predictions],
}

/// Who is compared, by what.
#[derive(Clone, Copy, Debug)]
pub struct DiagnosisTerms<'a> {
    /// The multimodal model.
    pub model: &'a str,
    /// The text model.
    pub text_model: &'a str,
    /// The score.
    pub metric: &'a Metric,
    /// The positive class, where there are two; the second where none is named.
    pub positive: Option<&'a str>,
    /// The smallest gain that matters, 0 where none was stated.
    pub margin: f64,
}

/// A drop of a score with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ScoreDrop {
    /// By how much the score is worse; positive is worse, also where less is better.
    pub estimate: f64,
    /// At 95 %, as wide as that of one permutation.
    pub interval: Interval,
}

/// What the runs of a multimodal model use, and where their gain comes from. Serialised as the
/// object that `mmc diagnose --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct ModelDiagnosis {
    /// The model.
    pub model: String,
    /// The metric of all scores.
    pub metric: String,
    /// What intervals speak about: `this checkpoint`, or `new seeds and new items`.
    pub scope: &'static str,
    /// Runs of the model that were diagnosed.
    pub seeds: usize,
    /// The split.
    pub split: String,
    /// Its items, on which all but the ledger is computed.
    pub items: usize,
    /// The score of the items as they are.
    pub score: f64,
    /// The score of a classifier that knows nothing of an item.
    pub uninformed: f64,
    /// The perceptual score: the drop with that input exchanged between items, as a share of the
    /// score; null where it cannot be one.
    pub perceptual: ByModality<Option<f64>>,
    /// The same drop as a share of what there is to gain on the task.
    pub perceptual_of_task: ByModality<Option<f64>>,
    /// The drop itself.
    pub drop: ByModality<ScoreDrop>,
    /// The score with that input exchanged between items, a mean over permutations.
    pub shuffled: ByModality<f64>,
    /// The score with that input blank.
    pub blank: ByModality<f64>,
    /// Permutations of each input.
    pub permutations: usize,
    /// Where the gain over the text model comes from, on `ledger_items`.
    pub ledger: LedgerParts,
    /// Items of the ledger.
    pub ledger_items: usize,
    /// Items of each grid of all pairs.
    pub grids: Vec<usize>,
    /// The gain over the text model on all items; null without a text model.
    pub gain_on_all_items: Option<f64>,
    /// The share of the logits' variance over the pairs that no sum of a text part and a picture
    /// part explains; a mean over classes, grids and seeds.
    pub interaction_share: Option<f64>,
    /// What these figures say, a sentence each.
    pub reading: Vec<String>,
}

/// Draws the figures. Scores are means over the runs; intervals are two-way t over seeds and items,
/// over items alone where a side has one file.
///
/// # Errors
/// [`ReportError::File`] where predictions do not fit together or have no labels,
/// [`ReportError::Setting`] where a score is undefined.
pub fn diagnosis(
    terms: &DiagnosisTerms<'_>,
    files: &DiagnosisFiles<'_>,
) -> Result<ModelDiagnosis, ReportError> {
    let Some(first) = files.diagnoses.first() else {
        let problem = format!("{} has no diagnosed run", terms.model);
        return Err(RunError::Pairing { problem }.into());
    };
    let uses = Uses::of(terms, files.diagnoses)?;
    let parts = Ledgered::of(terms, files)?;
    let gain = gain_on_all_items(terms, files)?;
    let shares = files.diagnoses.iter().flat_map(|at| &at.additive.interaction_share).flatten();
    let shares: Vec<f64> = shares.filter_map(|share| *share).collect();
    let mut found = ModelDiagnosis {
        model: terms.model.to_owned(),
        metric: terms.metric.name.to_owned(),
        scope: if files.diagnoses.len() > 1 {
            "new seeds and new items"
        } else {
            "this checkpoint"
        },
        seeds: files.diagnoses.len(),
        split: first.source.split.clone(),
        items: uses.items,
        score: uses.score,
        uninformed: uses.uninformed,
        perceptual: uses.exchanged.map(|at| at.of_score),
        perceptual_of_task: uses.exchanged.map(|at| at.of_task),
        drop: uses.exchanged.map(|at| at.drop),
        shuffled: uses.exchanged.map(|at| at.score),
        blank: uses.blank,
        permutations: uses.permutations,
        ledger: parts.ledger,
        ledger_items: parts.items,
        grids: first.additive.grids.clone(),
        gain_on_all_items: gain,
        interaction_share: (!shares.is_empty()).then(|| mean(&shares)),
        reading: Vec::new(),
    };
    found.reading = reading(terms, &found);
    Ok(found)
}

/// Files as numbers, all of the same items.
struct Scored {
    rows: Vec<ScoredRows>,
    positive: usize,
}

impl Scored {
    fn of(terms: &DiagnosisTerms<'_>, files: &[Predictions]) -> Result<Self, ReportError> {
        let rows = paired(files)?.files;
        let rows = rows.iter().map(Predictions::scored).collect::<Result<Vec<_>, _>>()?;
        let classes = rows.first().map_or(&[][..], |rows| &rows.classes);
        let positive = match terms.positive {
            None => 1, // the second, as everywhere
            Some(name) => classes.iter().position(|class| class == name).ok_or_else(|| {
                let known = classes.join("`, `");
                let problem = format!("the positive class `{name}` is none of theirs, `{known}`");
                RunError::Pairing { problem }
            })?,
        };
        Ok(Self { rows, positive })
    }

    fn items(&self) -> Vec<Items<'_>> {
        self.rows.iter().map(|rows| items(rows, self.positive)).collect()
    }
}

fn score(metric: &Metric, file: &Items) -> Result<f64, ReportError> {
    (metric.score)(file).map_err(setting)
}

fn setting(source: MetricError) -> ReportError {
    ReportError::Setting { what: "metric", source }
}

fn mean_score(metric: &Metric, files: &[Items]) -> Result<f64, ReportError> {
    let scores = files.iter().map(|file| score(metric, file)).collect::<Result<Vec<_>, _>>()?;
    Ok(mean(&scores))
}

/// What the model does with each of its inputs.
struct Uses {
    items: usize,
    /// Exchanges that the means are of: as many as each seed has.
    permutations: usize,
    score: f64,
    uninformed: f64,
    exchanged: ByModality<Exchanged>,
    blank: ByModality<f64>,
}

/// What becomes of the score when an input is exchanged between items.
#[derive(Clone, Copy)]
struct Exchanged {
    score: f64,
    drop: ScoreDrop,
    of_score: Option<f64>,
    of_task: Option<f64>,
}

impl Uses {
    fn of(terms: &DiagnosisTerms<'_>, diagnoses: &[&Diagnosis]) -> Result<Self, ReportError> {
        let metric = terms.metric;
        let scored = |rows: &dyn Fn(&Diagnosis) -> LogitRows| {
            let files: Vec<Predictions> =
                diagnoses.iter().map(|at| at.predictions(&rows(at))).collect();
            Scored::of(terms, &files)
        };
        let plain = scored(&|at| at.plain.clone())?;
        let plain = plain.items();
        let nothing = uninformed(metric, &plain[0])?;
        let permutations = diagnoses.iter().map(|at| at.source.permutations).min().unwrap_or(0);
        let exchanged = |rows: fn(&Diagnosis) -> &Vec<LogitRows>| {
            let others = (0..permutations).map(|number| scored(&|at| rows(at)[number].clone()));
            Exchanged::of(metric, &plain, &others.collect::<Result<Vec<_>, _>>()?, nothing)
        };
        let blank = |rows: fn(&Diagnosis) -> &LogitRows| {
            mean_score(metric, &scored(&|at| rows(at).clone())?.items())
        };
        Ok(Self {
            items: plain[0].len(),
            permutations,
            score: mean_score(metric, &plain)?,
            uninformed: nothing,
            exchanged: ByModality {
                text: exchanged(|at| &at.shuffled.text)?,
                image: exchanged(|at| &at.shuffled.image)?,
            },
            blank: ByModality {
                text: blank(|at| &at.blank.text)?,
                image: blank(|at| &at.blank.image)?,
            },
        })
    }
}

impl Exchanged {
    /// From the files as they are and those of each permutation.
    fn of(
        metric: &Metric,
        plain: &[Items],
        permuted: &[Scored],
        uninformed: f64,
    ) -> Result<Self, ReportError> {
        let (mut scores, mut half_widths) = (Vec::new(), Vec::new());
        for other in permuted {
            scores.push(mean_score(metric, &other.items())?);
            half_widths.push(0.5 * gap(metric, &other.items(), plain)?.width());
        }
        let whole = mean_score(metric, plain)?;
        let found = perceptual(whole, &scores, uninformed).map_err(setting)?;
        let estimate = if metric.higher_is_better { found.drop } else { -found.drop };
        // A share of a loss is no share of what a model can do.
        let is_share = metric.higher_is_better && metric.range.1 <= 1.0;
        Ok(Self {
            score: found.permuted,
            drop: ScoreDrop { estimate, interval: Interval::around(estimate, mean(&half_widths)) },
            of_score: found.model_normalised.filter(|_| is_share),
            of_task: found.task_normalised.filter(|_| is_share),
        })
    }
}

/// The score of a file that says the same of every item: the most frequent class, the shares of the
/// classes as probabilities.
fn uninformed(metric: &Metric, file: &Items) -> Result<f64, ReportError> {
    let mut counts = vec![0_usize; file.classes];
    for &label in file.labels {
        counts[label] += 1;
    }
    let most = counts.iter().max().copied().unwrap_or(0);
    let frequent = counts.iter().position(|&count| count == most).unwrap_or(0);
    let shares = counts.iter().map(|&count| count as f64 / file.len() as f64).collect();
    let (predictions, probabilities) = (vec![frequent; file.len()], vec![shares; file.len()]);
    let same = Items { predictions: &predictions, probabilities: &probabilities, ..*file };
    score(metric, &Items { logits: None, ..same })
}

/// The interval of an improvement, paired by file.
fn gap(metric: &Metric, baseline: &[Items], candidate: &[Items]) -> Result<Interval, ReportError> {
    let found = compare(&Contrast {
        metric,
        baseline,
        candidate,
        paired_seeds: true,
        margin: 0.0,
        lower_level: 1.0 - ALPHA,
        upper_level: 1.0 - ALPHA,
        seed: 0,
    });
    let found = found.map_err(setting)?;
    Ok(improvement(metric, &found).1)
}

/// The parts of the gain, on the items of the grids.
struct Ledgered {
    ledger: LedgerParts,
    items: usize,
}

impl Ledgered {
    fn of(terms: &DiagnosisTerms<'_>, files: &DiagnosisFiles<'_>) -> Result<Self, ReportError> {
        let (full, additive): (Vec<_>, Vec<_>) =
            files.diagnoses.iter().map(|at| at.grid_predictions()).unzip();
        let counts = [full.len(), additive.len(), files.text_arm.len(), files.text_model.len()];
        let others = files.text_arm.iter().chain(files.text_model).cloned();
        let all: Vec<Predictions> = full.into_iter().chain(additive).chain(others).collect();
        let scored = Scored::of(terms, &all)?;
        let all = scored.items();
        let mut rest = all.as_slice();
        let [full, additive, text_arm, text_model] = counts.map(|count| {
            let (side, others) = rest.split_at(count);
            rest = others;
            side
        });
        let arms = Arms { text_model, text_arm, additive, full };
        let ledger = keep(terms.metric, &arms).map_err(setting)?;
        Ok(Self { ledger, items: full[0].len() })
    }
}

fn gain_on_all_items(
    terms: &DiagnosisTerms<'_>,
    files: &DiagnosisFiles<'_>,
) -> Result<Option<f64>, ReportError> {
    if files.text_model.is_empty() {
        return Ok(None);
    }
    let plain = files.diagnoses.iter().map(|at| at.predictions(&at.plain));
    let all: Vec<Predictions> = plain.chain(files.text_model.iter().cloned()).collect();
    let scored = Scored::of(terms, &all)?;
    let items = scored.items();
    let (full, text) = items.split_at(files.diagnoses.len());
    let sign = if terms.metric.higher_is_better { 1.0 } else { -1.0 };
    Ok(Some(sign * (mean_score(terms.metric, full)? - mean_score(terms.metric, text)?)))
}
