//! What is kept of a set once its verdict is there.

use std::fs;
use std::path::Path;

use mmc_data::Arm;
use mmc_data::demo::Truth;
use mmc_report::{LedgerPart, Results, RunResult, Verdict};
use mmc_run::RunFolder;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::grid::PROCESSOR_TIME;

/// A set with its verdict, its ledger and its runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SetRecord {
    /// All that decides what it comes to, as TOML; a record of other terms is none.
    pub(super) terms: String,
    /// What decides its labels.
    pub(super) truth: Truth,
    /// The seed it was drawn from.
    pub(super) seed: u64,
    /// The answer, in the report's words.
    pub(super) verdict: String,
    /// The text model that was compared with.
    pub(super) text_model: String,
    /// The largest gain of a multimodal model, and its interval.
    pub(super) gain: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// Where that model's gain comes from.
    pub(super) ledger: Ledger,
    /// Items of the ledger.
    pub(super) ledger_items: usize,
    /// Its test split.
    pub(super) fingerprint: String,
    /// Its runs.
    pub(super) runs: Vec<RunRecord>,
}

/// The parts of a gain over the text model.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Ledger {
    pub(super) backbone: f64,
    pub(super) additive: f64,
    pub(super) interaction: f64,
    pub(super) total: f64,
}

impl Ledger {
    /// Its parts, without their sum.
    pub(super) fn parts(self) -> [(&'static str, f64); 3] {
        let Self { backbone, additive, interaction, .. } = self;
        [("backbone", backbone), ("additive", additive), ("interaction", interaction)]
    }
}

/// A run of a set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RunRecord {
    pub(super) model: String,
    pub(super) arm: Arm,
    pub(super) seed: u64,
    /// On the test split; absent where it is undefined.
    pub(super) auroc: Option<f64>,
    /// Mean training loss over the last tenth of its steps.
    pub(super) final_loss: Option<f64>,
    /// Processor time of its process; absent where it was not measured.
    pub(super) cpu_seconds: Option<f64>,
}

impl SetRecord {
    /// From the results of a set in `folder`. An error where a figure is missing: such a set has
    /// not ended.
    pub(super) fn of(
        (terms, truth, seed): (String, Truth, u64),
        (results, verdict): (&Results, &Verdict),
    ) -> Result<Self, Failure> {
        let missing = |what: &str| Failure::work(format!("{truth}-{seed}: no {what}"));
        let largest = verdict.gains.iter().max_by(|a, b| {
            let gain = |of: &mmc_report::Gain| of.gain.unwrap_or(f64::NEG_INFINITY);
            gain(a).total_cmp(&gain(b))
        });
        let gain = largest.ok_or_else(|| missing("gain"))?;
        let (gain, interval) =
            gain.gain.zip(gain.interval).ok_or_else(|| missing("gain with an interval"))?;
        let diagnosis = verdict.diagnoses.first().ok_or_else(|| missing("diagnosis"))?;
        let part = |part: &LedgerPart| part.estimate.ok_or_else(|| missing("part of the ledger"));
        let parts = &diagnosis.ledger;
        let test = results.runs.first().and_then(|run| run.config.data.test.as_ref());
        Ok(Self {
            terms,
            truth,
            seed,
            verdict: verdict.verdict.to_string(),
            text_model: verdict.text_model.clone().ok_or_else(|| missing("text model"))?,
            gain,
            low: interval.low,
            high: interval.high,
            ledger: Ledger {
                backbone: part(&parts.backbone)?,
                additive: part(&parts.additive)?,
                interaction: part(&parts.interaction)?,
                total: part(&parts.total)?,
            },
            ledger_items: diagnosis.ledger_items,
            fingerprint: test.ok_or_else(|| missing("test split"))?.fingerprint.clone(),
            runs: results.runs.iter().map(|run| RunRecord::of(run, verdict)).collect(),
        })
    }

    /// Reads what was kept in `folder`, if it is of these terms.
    pub(super) fn read(
        folder: &Path,
        truth: Truth,
        seed: u64,
        terms: &str,
    ) -> Result<Option<Self>, Failure> {
        let path = folder.join(format!("{truth}-{seed}.json"));
        if !path.is_file() {
            return Ok(None);
        }
        let record: Self = serde_json::from_str(&fs::read_to_string(&path)?).map_err(|error| {
            Failure::work(format!("{}: {error}; remove it to redo the set", path.display()))
        })?;
        Ok((record.terms == terms).then_some(record))
    }

    /// Keeps it in `folder`, whole or not at all.
    pub(super) fn write(&self, folder: &Path) -> Result<(), Failure> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}-{}.json", self.truth, self.seed));
        let aside = path.with_extension("json.new");
        fs::write(&aside, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(fs::rename(&aside, &path)?)
    }
}

impl RunRecord {
    fn of(run: &RunResult, verdict: &Verdict) -> Self {
        let arm = verdict
            .scores
            .iter()
            .find(|score| (&score.model, score.arm) == (&run.id.model, run.id.arm));
        let of_seed = arm.and_then(|arm| {
            arm.seeds.iter().zip(&arm.values).find(|(seed, _)| **seed == run.id.seed)
        });
        Self {
            model: run.id.model.clone(),
            arm: run.id.arm,
            seed: run.id.seed,
            auroc: of_seed.map(|(_, value)| *value),
            final_loss: run.final_loss,
            cpu_seconds: None,
        }
    }
}

/// Processor time of a run, from its log: that of all its sittings.
pub(super) fn cpu_seconds(run: &Path) -> Option<f64> {
    let log = fs::read_to_string(run.join("log.txt")).ok()?;
    let sittings = log.lines().filter_map(|line| line.strip_prefix(PROCESSOR_TIME)?.parse().ok());
    let sittings: Vec<f64> = sittings.collect();
    (!sittings.is_empty()).then(|| sittings.iter().sum())
}

/// Removes runs that were interrupted: they take seconds, and begun anew their processor time is
/// that of a whole run.
pub(super) fn discard_interrupted(runs: &Path) -> Result<(), Failure> {
    if !runs.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(runs)? {
        let path = entry?.path();
        let whole = RunFolder::open(&path).is_ok_and(|run| run.is_complete());
        if !whole || cpu_seconds(&path).is_none() {
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}
