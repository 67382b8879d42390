//! `configs/published/DATASET.toml`: what others report for a data set, and what they claim.

use std::fmt;
use std::fs;
use std::path::Path;

use mmc_data::Arm;
use serde::{Deserialize, Serialize};

use crate::{RunError, toml_file};

/// What others report and claim about one data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// The data set.
    pub dataset: String,
    /// Their scores.
    #[serde(default)]
    pub figures: Vec<PublishedFigure>,
    /// Their conclusions, each to be judged by our runs.
    #[serde(default)]
    pub claims: Vec<Claim>,
}

/// A score that others report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PublishedFigure {
    /// The model, as they name it.
    pub name: String,
    /// The preset of ours that is the same model; absent: none is.
    pub model: Option<String>,
    /// What it was shown; absent: all that it takes.
    pub arm: Option<Arm>,
    /// The split; absent: not stated.
    pub split: Option<String>,
    /// The split's items; absent: not stated.
    pub items: Option<usize>,
    /// The metric, by our name.
    pub metric: String,
    /// The score, between 0 and 1.
    pub value: f64,
    /// Standard deviation over their seeds; absent: not stated.
    pub deviation: Option<f64>,
    /// Where it is from.
    pub source: String,
    /// How sure we are that it was reported so.
    pub sure: Sureness,
}

/// How a published figure came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sureness {
    /// Read in a source that quotes it.
    Quoted,
    /// From memory: to be checked before it is relied on.
    Memory,
    /// Computed, not reported.
    Computed,
}

impl fmt::Display for Sureness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Quoted => "quoted",
            Self::Memory => "from memory",
            Self::Computed => "computed",
        })
    }
}

/// A conclusion of others that our runs can confirm or refute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// The claim in a sentence.
    pub words: String,
    /// What is claimed.
    pub kind: ClaimKind,
    /// The preset that is compared with.
    pub baseline: Option<String>,
    /// The preset that it is about; absent: every multimodal model.
    pub candidate: Option<String>,
    /// A metric for `gain` and `no_gain`, a key of `cost.json` for `ratio` and `cheapest`.
    pub measure: String,
    /// The difference that they report, in units of the metric, or the ratio.
    pub value: Option<f64>,
    /// Where it is from.
    pub source: String,
}

/// What a claim says of candidate and baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimKind {
    /// The candidate is better.
    Gain,
    /// The candidate gains nothing that matters.
    NoGain,
    /// The candidate costs `value` times as much.
    Ratio,
    /// No multimodal model costs less than the candidate.
    Cheapest,
}

const KEYS: &[&str] = &["dataset", "figures", "claims"];
const FIGURE_KEYS: &[&str] =
    &["name", "model", "arm", "split", "items", "metric", "value", "deviation", "source", "sure"];
const CLAIM_KEYS: &[&str] =
    &["words", "kind", "baseline", "candidate", "measure", "value", "source"];

impl Published {
    /// Reads a file of published figures.
    ///
    /// # Errors
    /// [`RunError::Config`] with every mistake, each with its line and column;
    /// [`RunError::File`] for values that cannot be.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let text = fs::read_to_string(path).map_err(RunError::io(path))?;
        let published: Self = toml_file::parse(&text, path, &|table| match table {
            "" => KEYS.to_vec(),
            "figures" => FIGURE_KEYS.to_vec(),
            "claims" => CLAIM_KEYS.to_vec(),
            _ => Vec::new(),
        })?;
        let problems: Vec<String> = published.problems();
        if problems.is_empty() {
            Ok(published)
        } else {
            Err(RunError::file(path, problems.join("; ")))
        }
    }

    fn problems(&self) -> Vec<String> {
        let out_of_range = self.figures.iter().filter(|at| !(0.0..=1.0).contains(&at.value));
        let figures = out_of_range.map(|at| {
            format!("the {} of {} is `{}`, expected between 0 and 1", at.metric, at.name, at.value)
        });
        let claims = self.claims.iter().filter_map(|claim| {
            let lacks = match claim.kind {
                ClaimKind::Gain | ClaimKind::NoGain => claim.baseline.is_none(),
                ClaimKind::Ratio => claim.baseline.is_none() || claim.value.is_none(),
                ClaimKind::Cheapest => claim.candidate.is_none(),
            };
            lacks.then(|| {
                format!(
                    "the claim \"{}\" needs a `baseline` (`cheapest`: a `candidate`; `ratio`: also \
                     a `value`)",
                    claim.words
                )
            })
        });
        figures.chain(claims).collect()
    }
}
