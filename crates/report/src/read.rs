//! The results of an experiment, as they lie in its folder.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use mmc_metrics::Evaluation;
use mmc_run::{
    Cost, Diagnosis, ExperimentRecord, Freeze, GalleryItem, OverlapRecord, Predictions, Published,
    ResultsFolder, RunConfig, RunFolder, RunId, SearchRecord, SplitRecord, WordColumn, paired,
    word_columns,
};

use crate::ReportError;
use crate::curve::Learning;
use crate::document::plain;
use crate::overlap::ids_of_both;

/// The file of a results folder that holds what others report: a copy of
/// `configs/published/DATASET.toml` as it was when the experiment was run.
pub const PUBLISHED: &str = "published.toml";

/// All that is known of an experiment: what was planned, what came of it, what did not.
#[derive(Clone, Debug)]
pub struct Results {
    /// What was planned.
    pub record: ExperimentRecord,
    /// The complete runs, in the order of the plan.
    pub runs: Vec<RunResult>,
    /// The planned runs of which there is no result.
    pub failed: Vec<FailedRun>,
    /// What a search for hyperparameters tried and chose; absent where none was made.
    pub search: Option<SearchRecord>,
    /// Which items of a split are also in another, where that was looked for.
    pub overlap: Option<OverlapRecord>,
    /// Test items whose id is also one of the selection split's predictions; `None` where no run has
    /// both.
    pub ids_of_both: Option<usize>,
    /// What the predictions record of the items in words, such as `question_type`.
    pub word_columns: Vec<WordColumn>,
    /// Items on which the picture decided, where they were put together.
    pub gallery: Vec<GalleryItem>,
    /// What a reader must know about how these results were read.
    pub notes: Vec<String>,
    /// What others report and claim about the data set; absent where the folder has no
    /// `published.toml`.
    pub published: Option<Published>,
}

/// A complete run.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// Model, arm and seed.
    pub id: RunId,
    /// What it was started with.
    pub config: RunConfig,
    /// What it took.
    pub cost: Cost,
    /// Its scores by split, as `scores.json` has them.
    pub scores: BTreeMap<String, Evaluation>,
    /// Its predictions of the test split, cut to the items that all runs predicted.
    pub test: Option<Predictions>,
    /// What its model says of the test split when its inputs are changed, where that was computed.
    pub diagnosis: Option<Diagnosis>,
    /// Mean training loss over the last tenth of its steps.
    pub final_loss: Option<f64>,
    /// How it got there.
    pub learning: Learning,
}

/// A planned run without a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRun {
    /// Model, arm and seed.
    pub id: RunId,
    /// What is known of the reason.
    pub why: String,
}

impl fmt::Display for FailedRun {
    /// A line for readers of a report or of a terminal.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} failed and is in no figure: it {}", self.id, self.why)
    }
}

impl RunResult {
    /// The split that results are reported on.
    #[must_use]
    pub fn test_split(&self) -> Option<&SplitRecord> {
        self.config.data.test.as_ref()
    }

    /// Its scores on the test split.
    #[must_use]
    pub fn test_scores(&self) -> Option<&Evaluation> {
        self.scores.get(&self.test_split()?.split)
    }

    /// Its value of `metric` on the split that models are chosen on.
    #[must_use]
    pub fn selection_score(&self, metric: &str) -> Option<f64> {
        let split = self.config.data.selection.as_ref()?;
        self.scores.get(&split.split)?.value(metric)
    }
}

/// Reads `results/NAME`: every planned run, complete or not. A run that cannot be read counts as
/// failed, with the reason, and does not sink the others.
///
/// # Errors
/// [`ReportError::File`] where there is no `experiment.toml`, or a `published.toml` with mistakes.
pub fn read_results(root: &Path) -> Result<Results, ReportError> {
    let folder = ResultsFolder::new(root);
    let record = folder.record()?;
    let (mut runs, mut failed): (Vec<RunResult>, Vec<FailedRun>) = (Vec::new(), Vec::new());
    for id in record.grid.runs() {
        match read_run(&folder, &id) {
            Ok(run) => runs.push(run),
            Err(why) => failed.push(FailedRun { id, why }),
        }
    }
    let mut notes = strangers(&folder, &record);
    set_apart_other_data(&mut runs, &mut failed);
    notes.extend(pair(&mut runs, &mut failed));
    notes.extend(read_diagnoses(&folder, &mut runs));
    notes.extend(differing_settings(&runs));
    notes.extend(heads_alone(&runs));
    let search = folder.search().unwrap_or_else(|error| {
        notes.push(format!("the search cannot be read: {error}"));
        None
    });
    let overlap = folder.overlap().unwrap_or_else(|error| {
        notes.push(format!("what the splits share cannot be read: {error}"));
        None
    });
    let word_columns = recorded_words(&folder, &runs).unwrap_or_else(|error| {
        notes.push(format!("what is recorded of the test items cannot be read: {error}"));
        Vec::new()
    });
    let ids_of_both = ids_of_both(&folder, &runs);
    let gallery = folder.gallery().unwrap_or_else(|error| {
        notes.push(format!("the gallery cannot be read: {error}"));
        Vec::new()
    });
    let published = root.join(PUBLISHED);
    let published = if published.is_file() { Some(Published::read(&published)?) } else { None };
    Ok(Results {
        record,
        runs,
        failed,
        search,
        overlap,
        ids_of_both,
        word_columns,
        gallery,
        notes,
        published,
    })
}

fn read_run(results: &ResultsFolder, id: &RunId) -> Result<RunResult, String> {
    let path = results.run_path(id);
    let folder = match RunFolder::open(&path) {
        Ok(folder) if folder.has_ended() => folder,
        Ok(_) => return Err(format!("did not finish{}", last_words(&path))),
        Err(_) => return Err(format!("was not started{}", last_words(&path))),
    };
    let read = || -> Result<RunResult, mmc_run::RunError> {
        let config = folder.config()?;
        let test = config.data.test.as_ref().map(|test| folder.predictions(&test.split));
        let steps = folder.steps()?;
        let tail = &steps[steps.len() - steps.len().div_ceil(10)..];
        // A step without a usable item has no loss.
        let tail: Vec<f64> = tail.iter().filter_map(|step| step.loss).collect();
        let loss = tail.iter().sum::<f64>() / tail.len() as f64;
        Ok(RunResult {
            id: id.clone(),
            cost: folder.cost()?,
            scores: folder.scores()?,
            test: test.transpose()?,
            diagnosis: None, // read where its faults can be told
            final_loss: (!tail.is_empty()).then_some(loss),
            learning: Learning::of(&steps, folder.evaluations()?, config.settings.items_per_step()),
            config,
        })
    };
    read().map_err(|error| format!("cannot be read: {error}"))
}

/// The columns of words in the test predictions of the first run that has any.
fn recorded_words(
    folder: &ResultsFolder,
    runs: &[RunResult],
) -> Result<Vec<WordColumn>, mmc_run::RunError> {
    for run in runs {
        let Some(test) = run.test_split() else { continue };
        let path = folder.run(&run.id)?.predictions_path(&test.split, "parquet");
        let found = word_columns(&path)?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// Adds the diagnoses of the runs that have one; what is said of those that cannot be read.
fn read_diagnoses(results: &ResultsFolder, runs: &mut [RunResult]) -> Vec<String> {
    let mut notes = Vec::new();
    for run in runs {
        match results.run(&run.id).and_then(|folder| folder.diagnosis()) {
            Ok(found) => run.diagnosis = found,
            Err(error) => notes.push(format!("{}: its diagnosis cannot be read: {error}", run.id)),
        }
    }
    notes
}

/// The last line that a run printed, where its output was kept.
pub(crate) fn last_words(run: &Path) -> String {
    let log = fs::read_to_string(run.join("log.txt")).unwrap_or_default();
    match log.lines().map(str::trim).rfind(|line| !line.is_empty()) {
        Some(line) => format!("; its last words: {}", plain(line)),
        None => String::new(),
    }
}

/// Runs in the folder that the plan does not have.
fn strangers(folder: &ResultsFolder, record: &ExperimentRecord) -> Vec<String> {
    let planned: Vec<String> = record.grid.runs().iter().map(RunId::to_string).collect();
    let Ok(listing) = fs::read_dir(folder.root().join("runs")) else { return Vec::new() };
    let mut names: Vec<String> = listing
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| !name.starts_with('.') && !planned.contains(name))
        .collect();
    names.sort();
    names
        .iter()
        .map(|name| format!("`runs/{name}` is not part of the plan and was left out"))
        .collect()
}

/// A run whose test split is not that of the first cannot be compared with it.
fn set_apart_other_data(runs: &mut Vec<RunResult>, failed: &mut Vec<FailedRun>) {
    let Some(reference) = runs.first().map(|run| run.config.data.test.clone()) else { return };
    runs.retain(|run| {
        let same = match (&run.config.data.test, &reference) {
            (Some(test), Some(reference)) => test.has_rows_of(reference),
            (test, reference) => test == reference,
        };
        if !same {
            let name = |split: &Option<SplitRecord>| match split {
                Some(at) => at.to_string(),
                None => "none".to_owned(),
            };
            let why = format!(
                "was tested on other data: {}, not {}",
                name(&run.config.data.test),
                name(&reference)
            );
            failed.push(FailedRun { id: run.id.clone(), why });
        }
        same
    });
}

/// Cuts the predictions of all runs to their common items, in one order.
fn pair(runs: &mut Vec<RunResult>, failed: &mut Vec<FailedRun>) -> Vec<String> {
    let without = runs.iter().filter(|run| run.test.is_none()).count();
    if without == runs.len() {
        return Vec::new();
    }
    let files: Vec<Predictions> = runs.iter().filter_map(|run| run.test.clone()).collect();
    match paired(&files) {
        Ok(pairing) => {
            let mut notes = Vec::new();
            let holders = runs.iter_mut().filter(|run| run.test.is_some());
            for ((run, file), missing) in holders.zip(pairing.files).zip(pairing.missing) {
                if missing > 0 {
                    notes.push(format!(
                        "{}: {missing} test items of other runs are missing from its predictions; \
                         all runs are compared on the {} common ones",
                        run.id,
                        file.rows.len()
                    ));
                }
                run.test = Some(file);
            }
            notes
        }
        Err(error) => {
            // Which of them is at fault cannot be known, so none is compared.
            let why = format!("its predictions do not fit those of the other runs: {error}");
            failed.extend(runs.drain(..).map(|run| FailedRun { id: run.id, why: why.clone() }));
            Vec::new()
        }
    }
}

/// What a comparison of heads cannot say of models that are trained whole.
fn heads_alone(runs: &[RunResult]) -> Option<String> {
    let is_frozen = |run: &&RunResult| run.config.settings.freeze == Freeze::Backbone;
    let frozen = runs.iter().filter(is_frozen).count();
    let of = if frozen == runs.len() { "every run".to_owned() } else { format!("{frozen} runs") };
    let is_random = |run: &&RunResult| run.config.settings.checkpoint == "none";
    let random = if runs.iter().filter(is_frozen).any(|run| is_random(&run)) {
        "; some began from no checkpoint, so what stayed frozen is random"
    } else {
        ""
    };
    (frozen > 0).then(|| {
        format!(
            "{of} trained the head alone, on the vectors of a frozen backbone: the verdict is about \
             such probes, and models that are trained whole may end elsewhere{random}"
        )
    })
}

/// Seeds of one arm that were not run with the same settings.
fn differing_settings(runs: &[RunResult]) -> Vec<String> {
    let mut notes = Vec::new();
    for (at, run) in runs.iter().enumerate() {
        let of_arm =
            |other: &&RunResult| (&other.id.model, other.id.arm) == (&run.id.model, run.id.arm);
        let Some(first) = runs[..at].iter().find(of_arm) else { continue };
        let names: Vec<String> = first
            .config
            .settings
            .differences(&run.config.settings)
            .unwrap_or_default()
            .into_iter()
            .map(|difference| difference.name)
            .filter(|name| name != "seed")
            .collect();
        if !names.is_empty() {
            notes.push(format!(
                "{} and {} differ in more than the seed: `{}`",
                first.id,
                run.id,
                names.join("`, `")
            ));
        }
    }
    notes
}
