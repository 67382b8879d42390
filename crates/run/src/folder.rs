//! The folder of a run: where everything lies, and how it is written so that an interruption at
//! any moment leaves files that are whole.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::RunConfig;
use crate::json::{append, read_json, read_lines, truncate, write_json, write_json_line};
use crate::lock::RunLock;
use crate::{Cost, Diagnosis, EvalRecord, Predictions, RunError, StepRecord, write_atomically};

/// All that a run's folder may hold.
const ENTRIES: &[&str] = &[
    "config.toml",
    "initial",
    "train.jsonl",
    "eval.jsonl",
    "predictions",
    "scores.json",
    "cost.json",
    "diagnosis.json",
    "checkpoint",
    "state",
    "tensorboard",
    "log.txt",
];

/// The folder of one run: self-contained, and as good after it was moved.
///
/// A run is **complete** when `scores.json` and `cost.json` are there and can be read; `cost.json`
/// is the last file that a run writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    root: PathBuf,
    /// What was made so that the folder could be, the innermost first.
    made: Vec<PathBuf>,
}

impl RunFolder {
    /// A folder for a new run, made if it is absent.
    ///
    /// # Errors
    /// [`RunError::Occupied`] where anything but an empty folder (or one with only the `log.txt`
    /// that the run's own output goes to) is there already.
    pub fn create(root: &Path) -> Result<Self, RunError> {
        let found = entries(root)?;
        if let Some(first) = found.iter().find(|name| *name != "log.txt") {
            let why = if found.iter().any(|name| name == "config.toml") {
                "holds a run".to_owned()
            } else {
                format!("is not empty (it holds `{first}`)")
            };
            return Err(RunError::Occupied { path: root.to_path_buf(), why });
        }
        Self::make(root)
    }

    /// A folder to resume a run in: one with a run's files and nothing else, empty, or absent.
    ///
    /// # Errors
    /// [`RunError::Occupied`] where there is something that no run writes.
    pub fn resume(root: &Path) -> Result<Self, RunError> {
        let stranger = entries(root)?
            .into_iter()
            .find(|name| !ENTRIES.contains(&name.as_str()) && !name.starts_with(".writing-"));
        match stranger {
            Some(name) => Err(RunError::Occupied {
                path: root.to_path_buf(),
                why: format!("holds `{name}`, which is not part of a run"),
            }),
            None => Self::make(root),
        }
    }

    /// The folder of a run that was started before.
    ///
    /// # Errors
    /// [`RunError::File`] where it has no `config.toml`.
    pub fn open(root: &Path) -> Result<Self, RunError> {
        let folder = Self { root: root.to_path_buf(), made: Vec::new() };
        if folder.config_path().is_file() {
            Ok(folder)
        } else {
            Err(RunError::file(root, "not a run: it has no `config.toml`"))
        }
    }

    fn make(root: &Path) -> Result<Self, RunError> {
        let absent = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
        let made = root.ancestors().take_while(absent).map(Path::to_path_buf).collect();
        fs::create_dir_all(root).map_err(RunError::io(root))?;
        Ok(Self { root: root.to_path_buf(), made })
    }

    /// Removes the folders that [`RunFolder::create`] or [`RunFolder::resume`] made, as far as they
    /// are empty: what was refused leaves no trace.
    ///
    /// # Errors
    /// [`RunError::Io`] where an empty folder cannot be removed.
    pub fn withdraw(&self) -> Result<(), RunError> {
        for path in &self.made {
            match fs::remove_dir(path) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => break,
                Err(error) => return Err(RunError::io(path)(error)),
            }
        }
        Ok(())
    }

    /// Keeps every other process (and every other caller in this one) from working on this run
    /// until what is returned is dropped or the process ends, in whatever way. It is the folder
    /// itself that is locked: no file is left behind, and moving the folder changes nothing.
    ///
    /// # Errors
    /// [`RunError::Busy`] where another holds it; [`RunError::Io`] where the file system cannot
    /// lock a folder.
    pub fn lock(&self) -> Result<RunLock, RunError> {
        RunLock::take(&self.root)
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `config.toml`: all resolved values, versions, fingerprints of the data.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// `initial/`: the model before the first step, of a run from scratch.
    #[must_use]
    pub fn initial(&self) -> PathBuf {
        self.root.join("initial")
    }

    /// `checkpoint/`: the model that was kept.
    #[must_use]
    pub fn checkpoint(&self) -> PathBuf {
        self.root.join("checkpoint")
    }

    /// `state/`: what a resumed run needs.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// `tensorboard/`: the same as `train.jsonl` and `eval.jsonl`, as TensorBoard reads it.
    #[must_use]
    pub fn tensorboard(&self) -> PathBuf {
        self.root.join("tensorboard")
    }

    /// `train.jsonl`: a [`StepRecord`] a line.
    #[must_use]
    pub fn train_path(&self) -> PathBuf {
        self.root.join("train.jsonl")
    }

    /// `eval.jsonl`: an [`EvalRecord`] a line.
    #[must_use]
    pub fn eval_path(&self) -> PathBuf {
        self.root.join("eval.jsonl")
    }

    /// `scores.json`: the evaluation of each predicted split.
    #[must_use]
    pub fn scores_path(&self) -> PathBuf {
        self.root.join("scores.json")
    }

    /// `cost.json`: what the run took; written last.
    #[must_use]
    pub fn cost_path(&self) -> PathBuf {
        self.root.join("cost.json")
    }

    /// `log.txt`: what the run said, where something started it and kept its words.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.root.join("log.txt")
    }

    /// `predictions/{split}.{extension}`; extensions written: `parquet`, `jsonl`.
    #[must_use]
    pub fn predictions_path(&self, split: &str, extension: &str) -> PathBuf {
        self.root.join("predictions").join(format!("{split}.{extension}"))
    }

    /// Whether the run has ended and all its results are there: `scores.json` and `cost.json` can
    /// be read.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.has_ended() && self.damage().is_none()
    }

    /// Whether `scores.json` and `cost.json` are there, in whatever condition.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.scores_path().is_file() && self.cost_path().is_file()
    }

    /// Why `scores.json` or `cost.json` cannot be read; `None` where both can.
    #[must_use]
    pub fn damage(&self) -> Option<RunError> {
        let scores = self.scores::<BTreeMap<String, serde_json::Value>>().err();
        scores.or_else(|| self.cost().err())
    }

    /// Writes `config.toml`.
    ///
    /// # Errors
    /// [`RunError`] naming the file.
    pub fn write_config(&self, config: &RunConfig) -> Result<(), RunError> {
        let path = self.config_path();
        let text = config.to_toml(&path)?;
        write_atomically(&path, |out| out.write_all(text.as_bytes()).map_err(RunError::io(&path)))
    }

    /// Reads `config.toml`.
    ///
    /// # Errors
    /// [`RunError`] naming the file.
    pub fn config(&self) -> Result<RunConfig, RunError> {
        let path = self.config_path();
        let text = fs::read_to_string(&path).map_err(RunError::io(&path))?;
        RunConfig::from_toml(&text, &path)
    }

    /// Writes `scores.json`: the evaluation of each split that has one.
    ///
    /// # Errors
    /// [`RunError`] naming the file.
    pub fn write_scores<T: Serialize>(&self, scores: &T) -> Result<(), RunError> {
        write_json(&self.scores_path(), scores)
    }

    /// Reads `scores.json`.
    ///
    /// # Errors
    /// [`RunError`] naming the file.
    pub fn scores<T: DeserializeOwned>(&self) -> Result<T, RunError> {
        read_json(&self.scores_path())
    }

    /// Writes `cost.json`, with which the run is complete.
    ///
    /// # Errors
    /// [`RunError`] naming the file.
    pub fn write_cost(&self, cost: &Cost) -> Result<(), RunError> {
        write_json(&self.cost_path(), cost)
    }

    /// Reads `cost.json`.
    ///
    /// # Errors
    /// [`RunError`] naming the file.
    pub fn cost(&self) -> Result<Cost, RunError> {
        read_json(&self.cost_path())
    }

    /// Writes the predictions of a split, as Parquet and as JSON lines; answers to questions with
    /// numbers for ids also as the evaluation server of VQA takes them,
    /// `predictions/{split}_results.json`.
    ///
    /// # Errors
    /// [`RunError`] naming the file.
    pub fn write_predictions(&self, split: &str, rows: &Predictions) -> Result<(), RunError> {
        let folder = self.root.join("predictions");
        fs::create_dir_all(&folder).map_err(RunError::io(&folder))?;
        rows.write(&self.predictions_path(split, "parquet"))?;
        rows.write(&self.predictions_path(split, "jsonl"))?;
        let numbered = || rows.rows.iter().all(|row| row.id.parse::<u64>().is_ok());
        if rows.are_answers() && numbered() {
            rows.write_results(&folder.join(format!("{split}_results.json")))?;
        }
        Ok(())
    }

    /// Reads the predictions of a split.
    ///
    /// # Errors
    /// [`RunError`] naming the file.
    pub fn predictions(&self, split: &str) -> Result<Predictions, RunError> {
        Predictions::read(&self.predictions_path(split, "parquet"))
    }

    /// `diagnosis.json`: what the model says of the test split when its inputs are changed, where
    /// that was asked for.
    #[must_use]
    pub fn diagnosis_path(&self) -> PathBuf {
        self.root.join("diagnosis.json")
    }

    /// Writes `diagnosis.json`.
    ///
    /// # Errors
    /// [`RunError`] naming the file.
    pub fn write_diagnosis(&self, diagnosis: &Diagnosis) -> Result<(), RunError> {
        write_json_line(&self.diagnosis_path(), diagnosis)
    }

    /// Reads `diagnosis.json`; `None` where there is none.
    ///
    /// # Errors
    /// [`RunError`] naming the file.
    pub fn diagnosis(&self) -> Result<Option<Diagnosis>, RunError> {
        let path = self.diagnosis_path();
        if !path.exists() {
            return Ok(None);
        }
        let found: Diagnosis = read_json(&path)?;
        match found.problem() {
            Some(problem) => Err(RunError::file(&path, problem)),
            None => Ok(Some(found)),
        }
    }

    /// Adds a line to `train.jsonl`.
    ///
    /// # Errors
    /// [`RunError::Io`] naming the file.
    pub fn append_step(&self, record: &StepRecord) -> Result<(), RunError> {
        append(&self.train_path(), record)
    }

    /// Adds a line to `eval.jsonl`.
    ///
    /// # Errors
    /// [`RunError::Io`] naming the file.
    pub fn append_evaluation(&self, record: &EvalRecord) -> Result<(), RunError> {
        append(&self.eval_path(), record)
    }

    /// The steps recorded so far, none where there is no file.
    ///
    /// # Errors
    /// [`RunError::Line`] for a line that is not a step.
    pub fn steps(&self) -> Result<Vec<StepRecord>, RunError> {
        Ok(read_lines(&self.train_path())?.0)
    }

    /// The evaluations recorded so far, none where there is no file.
    ///
    /// # Errors
    /// [`RunError::Line`] for a line that is not an evaluation.
    pub fn evaluations(&self) -> Result<Vec<EvalRecord>, RunError> {
        Ok(read_lines(&self.eval_path())?.0)
    }

    /// Takes the records of steps and evaluations after `step` out, so that a run resumed from
    /// there records each once.
    ///
    /// # Errors
    /// [`RunError`] naming the file.
    pub fn truncate_after(&self, step: u64) -> Result<(), RunError> {
        truncate(&self.train_path(), |record: &StepRecord| record.step <= step)?;
        self.truncate_evaluations_after(step)
    }

    /// Takes the records of evaluations after `step` out, and leaves those of steps.
    ///
    /// # Errors
    /// [`RunError`] naming the file.
    pub fn truncate_evaluations_after(&self, step: u64) -> Result<(), RunError> {
        truncate(&self.eval_path(), |record: &EvalRecord| record.step <= step)
    }
}

/// Names of what lies in a folder, sorted; none where it is absent.
fn entries(root: &Path) -> Result<Vec<String>, RunError> {
    let listing = match fs::read_dir(root) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(RunError::io(root)(error)),
    };
    let mut names = Vec::new();
    for entry in listing {
        let entry = entry.map_err(RunError::io(root))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
