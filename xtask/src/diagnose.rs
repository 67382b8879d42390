//! The diagnosis of every run with text and picture: `mmc diagnose --run` as a child process, which
//! keeps what is up to date.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use mmc_data::Arm;
use mmc_run::RunFolder;

use crate::failure::Failure;
use crate::grid::{Run, State, time};
use crate::launch::Launch;
use crate::slurm::{Outcome, Slurm, Task};

/// Lines of what a failed diagnosis said that are shown.
const TAIL: usize = 6;

/// Diagnoses the complete runs with text and picture, as many at a time as runs are trained, with a
/// line where one fails. How many failed is returned: the report goes on without them and says so.
pub(crate) fn execute(runs: &[(Run, State)], launch: &Launch<'_>) -> usize {
    execute_with(runs, launch, &[])
}

/// The same with further arguments of `mmc diagnose`.
pub(crate) fn execute_with(
    runs: &[(Run, State)],
    launch: &Launch<'_>,
    arguments: &[&str],
) -> usize {
    let complete = |run: &&Run| {
        run.id.arm == Arm::Both
            && RunFolder::open(&run.folder).is_ok_and(|folder| folder.is_complete())
    };
    let todo: Vec<&Run> = runs.iter().map(|(run, _)| run).filter(complete).collect();
    if todo.is_empty() {
        return 0;
    }
    if runs.iter().any(|(run, _)| run.is_about_answers()) {
        say!(
            "no run is diagnosed: logits of thousands of answers for every change of every item are \
             not kept, so the report has no gain ledger"
        );
        return 0;
    }
    let started = Instant::now();
    if let Some(slurm) = &launch.slurm {
        return execute_on(slurm, &todo, launch);
    }
    let (next, failed) = (Mutex::new(todo.iter()), Mutex::new(0));
    std::thread::scope(|scope| {
        for place in 0..launch.jobs.clamp(1, todo.len()) {
            let (next, failed) = (&next, &failed);
            scope.spawn(move || {
                loop {
                    let taken = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(run) = taken else { return };
                    if let Err(failure) = one(run, (launch, place), arguments) {
                        *failed.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                        say!("{}: NOT DIAGNOSED: {failure}", run.id);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let seconds = time(started.elapsed().as_secs_f64());
    say!("{} runs with text and picture diagnosed in {seconds}", todo.len() - failed);
    failed
}

/// The same on a cluster.
fn execute_on(slurm: &Slurm, todo: &[&Run], launch: &Launch<'_>) -> usize {
    let task = |run: &&Run| Task {
        name: format!("diagnose-{}", run.id),
        words: words(run, launch),
        log: run.folder.join("log.txt"),
    };
    let tasks: Vec<Task> = todo.iter().map(task).collect();
    let mut done = 0;
    let outcome = slurm.run(&tasks, &mut |at, outcome| {
        if outcome == Outcome::Ended(0) {
            done += 1;
        } else {
            let (name, log) = (&tasks[at].name, tasks[at].log.display());
            say!("{name}: NOT DIAGNOSED: {outcome}; see the end of {log}");
        }
    });
    if let Err(failure) = outcome {
        say!("{failure}");
    }
    say!("{done} runs with text and picture diagnosed");
    todo.len() - done
}

/// The program and its arguments that diagnose a run.
fn words(run: &Run, launch: &Launch<'_>) -> Vec<String> {
    let path = |path: &Path| path.display().to_string();
    vec![path(launch.mmc), "diagnose".to_owned(), "--run".to_owned(), path(&run.folder)]
}

/// Diagnoses a run; its words go to the run's `log.txt`.
fn one(
    run: &Run,
    (launch, place): (&Launch<'_>, usize),
    arguments: &[&str],
) -> Result<(), Failure> {
    let path = run.folder.join("log.txt");
    let log = File::options().create(true).append(true).open(&path)?;
    let before = log.metadata()?.len();
    let words = words(run, launch);
    let status = Command::new(&words[0])
        .args(&words[1..])
        .args(arguments)
        .envs(launch.environment(place))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .status()?;
    if status.success() {
        return Ok(());
    }
    let said = fs::read(&path)?;
    let said = String::from_utf8_lossy(said.get(before as usize..).unwrap_or_default());
    let lines: Vec<&str> = said.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n    ");
    Err(Failure::work(format!("{status}; the end of {}:\n    {tail}", path.display())))
}
