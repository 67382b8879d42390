//! The runs of an experiment: which are there already, and the others, run as child processes.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use mmc_data::{Arm, ReadOptions};
use mmc_run::{
    DataRecord, Effect, PartialSettings, ResultsFolder, RunConfig, RunFolder, RunId, SETTINGS,
};

use crate::failure::Failure;
use crate::launch::Launch;
use crate::processor_time;
use crate::slurm::{Outcome, Slurm, Task};

/// What stands before the seconds of processor time of a sitting, in a run's `log.txt`.
pub(crate) const PROCESSOR_TIME: &str = "seconds of processor time: ";

/// Lines of a failed run's log that are shown.
const TAIL: usize = 12;

/// One run of the grid and what it is asked to be.
pub(crate) struct Run {
    /// Model, arm and seed.
    pub(crate) id: RunId,
    /// What it is called: its id, and of which trial it is.
    pub(crate) name: String,
    /// All that is asked of it; what is absent is the preset's.
    pub(crate) settings: PartialSettings,
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// The file with what is asked of it, apart from its folder, which is the run's alone.
    asked: PathBuf,
}

/// What lies in a run's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing.
    New,
    /// A run that was interrupted.
    Incomplete,
    /// A run as asked for, with all its results.
    Complete,
    /// A run, but what it was asked for is not known: its own `config.toml` decides, which `mmc
    /// train --resume` reads. A complete one as asked for is left as it is.
    Unchecked,
    /// A run with other settings or on other data.
    Changed,
}

impl State {
    /// What will be done about it.
    pub(crate) fn plan(self) -> &'static str {
        match self {
            Self::New => "to run",
            Self::Incomplete => "to go on with",
            Self::Complete => "complete, skipped",
            Self::Unchecked => "to be compared with its config.toml, and kept where it is the same",
            Self::Changed => {
                "to run again: its settings or data changed; the old run is kept aside"
            }
        }
    }
}

impl Run {
    /// A run of an experiment whose results lie in `results`.
    pub(crate) fn new(results: &ResultsFolder, id: RunId, settings: &PartialSettings) -> Self {
        let decided = PartialSettings {
            model: Some(id.model.clone()),
            arm: Some(id.arm),
            seed: Some(id.seed),
            ..PartialSettings::default()
        };
        let folder = results.run_path(&id);
        let asked = results.root().join("asked").join(format!("{id}.toml"));
        let name = id.to_string();
        Self { id, name, settings: settings.clone().merge(decided), folder, asked }
    }

    /// The same run under another name.
    pub(crate) fn called(self, name: String) -> Self {
        Self { name, ..self }
    }

    /// Whether its folder holds a run.
    pub(crate) fn is_started(&self) -> bool {
        RunFolder::open(&self.folder).is_ok()
    }

    /// Whether it answers questions, of which there is no diagnosis.
    pub(crate) fn is_about_answers(&self) -> bool {
        let dataset = self.settings.dataset.as_deref().map(mmc_data::dataset);
        dataset.is_some_and(|found| found.is_ok_and(|row| row.task == mmc_data::Task::Answers))
    }

    /// What is in its folder now. `splits` are those of the data.
    pub(crate) fn state(&self, splits: &[DataSplit]) -> Result<State, Failure> {
        let Ok(folder) = RunFolder::open(&self.folder) else { return Ok(State::New) };
        let RunConfig { settings, data, .. } = folder.config()?;
        if !is_same_data(&data, settings.arm, splits) {
            return Ok(State::Changed);
        }
        let Ok(before) = PartialSettings::read(&self.asked) else {
            return Ok(State::Unchecked);
        };
        if of_result(&before)? != of_result(&self.settings)? {
            return Ok(State::Changed);
        }
        Ok(if folder.is_complete() { State::Complete } else { State::Incomplete })
    }

    /// Writes what is asked of it and moves a run aside that was asked for otherwise: it may have
    /// taken days.
    fn prepare(&self, state: State) -> Result<(), Failure> {
        if state == State::Changed {
            let aside = self.aside();
            fs::rename(&self.folder, &aside)?;
            say!(
                "{}: its settings or data changed; the old run is in {}",
                self.name,
                aside.display()
            );
        }
        fs::create_dir_all(&self.folder)?;
        fs::create_dir_all(self.asked.parent().unwrap_or(&self.folder))?;
        fs::write(&self.asked, toml::to_string(&self.settings)?)?;
        Ok(())
    }

    /// `runs/ID.replaced-N`, the first that is free.
    fn aside(&self) -> PathBuf {
        let name =
            |number: usize| self.folder.with_file_name(format!("{}.replaced-{number}", self.id));
        let mut number = 1;
        while name(number).exists() {
            number += 1;
        }
        name(number)
    }

    /// The program and its arguments that train it.
    fn words(&self, mmc: &Path) -> [String; 7] {
        let path = |path: &Path| path.display().to_string();
        let [train, config, out, resume] = ["train", "--config", "--out", "--resume"];
        let (asked, folder) = (path(&self.asked), path(&self.folder));
        [
            path(mmc),
            train.to_owned(),
            config.to_owned(),
            asked,
            out.to_owned(),
            folder,
            resume.to_owned(),
        ]
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log.txt")
    }

    /// Trains it in a child process whose words go to `log.txt`.
    fn train(&self, launch: &Launch<'_>, place: usize) -> Result<(), Failure> {
        let mut log = File::options().create(true).append(true).open(self.log())?;
        let words = self.words(launch.mmc);
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .envs(launch.environment(place))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?);
        let (status, seconds) = processor_time::run(&mut command)?;
        if let Some(seconds) = seconds {
            writeln!(log, "{PROCESSOR_TIME}{seconds:.3}")?;
        }
        if status.success() { Ok(()) } else { Err(self.failure(&status.to_string())) }
    }

    /// What went wrong, and the end of its log.
    fn failure(&self, what: &str) -> Failure {
        let log = self.log();
        let said = fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n    ");
        Failure::work(format!("{what}; the end of {}:\n    {tail}", log.display()))
    }
}

/// A split as it is now.
pub(crate) struct DataSplit {
    name: String,
    fingerprint: String,
    missing_pictures: usize,
}

/// Each split of the data that runs with these settings use.
pub(crate) fn data_splits(settings: &PartialSettings) -> Result<Vec<DataSplit>, Failure> {
    let dataset = mmc_data::dataset(settings.dataset.as_deref().unwrap_or_default())?;
    let root = dataset.root(settings.data_root.as_deref().map(Path::new));
    // All arms of a grid read one split.
    let mut options = ReadOptions { arm: Arm::Both, ..settings.read_options() };
    let splits = dataset.resolve_splits(&root)?;
    let mut found = Vec::new();
    for name in [splits.train, splits.selection, splits.test] {
        if dataset.split_file(&root, &name).is_ok() {
            let split = dataset.read(&root, &name, &options)?;
            options.keep_answers(dataset, &split.labels);
            let (fingerprint, missing_pictures) = (split.fingerprint(), split.missing_pictures);
            found.push(DataSplit { name, fingerprint, missing_pictures });
        }
    }
    Ok(found)
}

/// The settings that can change a figure, as TOML.
fn of_result(settings: &PartialSettings) -> Result<toml::Table, Failure> {
    let mut table = toml::Table::try_from(settings)?;
    for row in SETTINGS.iter().filter(|row| row.effect == Effect::None) {
        table.remove(row.name);
    }
    Ok(table)
}

/// Whether a run of this arm would find what it found; models of texts miss no picture.
fn is_same_data(data: &DataRecord, arm: Arm, splits: &[DataSplit]) -> bool {
    data.iter().all(|(_, record)| {
        splits.iter().find(|split| split.name == record.split).is_some_and(|split| {
            let missing = if arm.uses_image() { split.missing_pictures } else { 0 };
            (&split.fingerprint, missing) == (&record.fingerprint, record.missing_pictures)
        })
    })
}

/// Executes what is not complete, `jobs` at a time, with a line for each run that ends. A run that
/// fails does not keep the others from running; how many did is returned. `what` is the noun for one.
pub(crate) fn execute(runs: &[(Run, State)], launch: &Launch<'_>, what: &str) -> Failed {
    let todo: Vec<&(Run, State)> =
        runs.iter().filter(|(_, state)| *state != State::Complete).collect();
    let skipped = runs.len() - todo.len();
    if skipped > 0 {
        say!("{skipped} of {} {what}s are complete already", runs.len());
    }
    if let Some(slurm) = &launch.slurm {
        return execute_on(slurm, &todo, launch.mmc);
    }
    let next = Mutex::new(todo.iter());
    let progress =
        Mutex::new(Progress { ended: 0, failed: Failed::default(), started: Instant::now() });
    std::thread::scope(|scope| {
        for place in 0..launch.jobs.clamp(1, todo.len().max(1)) {
            let (todo, next, progress) = (&todo, &next, &progress);
            scope.spawn(move || {
                loop {
                    let taken = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((run, state)) = taken else { return };
                    let began = Instant::now();
                    let outcome = run.prepare(*state).and_then(|()| run.train(launch, place));
                    let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
                    progress.end(run, outcome, began.elapsed().as_secs_f64(), todo.len());
                }
            });
        }
    });
    progress.into_inner().unwrap_or_else(PoisonError::into_inner).failed
}

/// The same on a cluster.
fn execute_on(slurm: &Slurm, todo: &[&(Run, State)], mmc: &Path) -> Failed {
    let began = Instant::now();
    let mut progress = Progress { ended: 0, failed: Failed::default(), started: began };
    let (mut runs, mut tasks) = (Vec::new(), Vec::new());
    for (run, state) in todo.iter().copied() {
        let name = run.name.replace(['/', ' '], "-");
        match may_be_replaced(slurm, &name, *state).and_then(|()| run.prepare(*state)) {
            Ok(()) => {
                runs.push(run);
                let words = run.words(mmc).to_vec();
                tasks.push(Task { name, words, log: run.log() });
            }
            Err(failure) => progress.end(run, Err(failure), 0.0, todo.len()),
        }
    }
    let mut gone = 0;
    let outcome = slurm.run(&tasks, &mut |at, outcome| {
        let outcome = match outcome {
            Outcome::Ended(0) => Ok(()),
            Outcome::Ended(_) => Err(runs[at].failure(&outcome.to_string())),
            Outcome::Gone => {
                gone += 1;
                Err(Failure::work(outcome.to_string()))
            }
        };
        progress.end(runs[at], outcome, began.elapsed().as_secs_f64(), todo.len());
    });
    progress.failed.ended -= gone;
    progress.failed.open += gone;
    if let Err(failure) = outcome {
        say!("{failure}");
        progress.failed.open += todo.len() - progress.ended;
    }
    progress.failed
}

/// Refuses to move a run aside while a job computes it, whose end would pass for that of the new one.
fn may_be_replaced(slurm: &Slurm, name: &str, state: State) -> Result<(), Failure> {
    let job = if state == State::Changed { slurm.job_of(name)? } else { None };
    match job {
        None => Ok(()),
        Some(job) => Err(Failure::work(format!(
            "its settings or data changed while job {job} still has it; `scancel {job}`, then run \
             the command again"
        ))),
    }
}

/// Runs that did not succeed.
#[derive(Clone, Copy, Default)]
pub(crate) struct Failed {
    /// Ended in an error.
    pub(crate) ended: usize,
    /// Did not end: they left a cluster's queue, or it could not be asked.
    pub(crate) open: usize,
}

impl Failed {
    pub(crate) fn all(self) -> usize {
        self.ended + self.open
    }
}

struct Progress {
    ended: usize,
    failed: Failed,
    started: Instant,
}

impl Progress {
    /// Counts a run that ended and says so, with the time that is left.
    fn end(&mut self, run: &Run, outcome: Result<(), Failure>, seconds: f64, all: usize) {
        self.ended += 1;
        let elapsed = self.started.elapsed().as_secs_f64();
        let left = elapsed / self.ended as f64 * (all - self.ended) as f64;
        let left = if self.ended == all { String::new() } else { format!(", {} left", time(left)) };
        let (ended, id, seconds) = (self.ended, &run.name, time(seconds));
        match outcome {
            Ok(()) => say!("[{ended:>2}/{all}] {id}: done in {seconds}{left}"),
            Err(failure) => {
                self.failed.ended += 1;
                say!("[{ended:>2}/{all}] {id}: FAILED after {seconds}{left}: {failure}");
            }
        }
    }
}

/// Seconds for people.
pub(crate) fn time(seconds: f64) -> String {
    if seconds < 90.0 {
        format!("{seconds:.0} s")
    } else if seconds < 5400.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3600.0)
    }
}

#[cfg(test)]
mod tests {
    use mmc_data::Arm;

    use super::*;

    #[test]
    fn a_run_asked_for_otherwise_is_moved_aside_and_never_removed() {
        let place = tempfile::tempdir().unwrap();
        let results = ResultsFolder::new(place.path());
        let id = RunId { model: "bert-tiny".to_owned(), arm: Arm::Text, seed: 0 };
        let run = Run::new(&results, id, &PartialSettings::default());
        for name in ["first", "second"] {
            fs::create_dir_all(&run.folder).unwrap();
            fs::write(run.folder.join("scores.json"), name).unwrap();
            run.prepare(State::Changed).unwrap();
            assert_eq!(fs::read_dir(&run.folder).unwrap().count(), 0);
        }
        for (number, name) in [(1, "first"), (2, "second")] {
            let aside = place.path().join(format!("runs/bert-tiny-text-0.replaced-{number}"));
            assert_eq!(fs::read_to_string(aside.join("scores.json")).unwrap(), name);
        }
        fs::write(run.folder.join("scores.json"), "kept").unwrap();
        for state in [State::New, State::Incomplete, State::Unchecked] {
            run.prepare(state).unwrap();
            assert_eq!(fs::read_to_string(run.folder.join("scores.json")).unwrap(), "kept");
        }
    }
}
