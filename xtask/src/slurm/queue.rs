//! Which tasks Slurm still has: those of this experiment that were submitted before.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Task;
use crate::failure::Failure;

/// The queue, and what was submitted to it from this folder: a line `JOB_INDEX NAME` a task.
pub(super) struct Queue {
    submitted: PathBuf,
    squeue: PathBuf,
}

impl Queue {
    pub(super) fn new(folder: &Path, squeue: PathBuf) -> Self {
        Self { submitted: folder.join("submitted"), squeue }
    }

    /// The job that has each of the tasks with these names at the moment.
    pub(super) fn jobs_of(&self, names: &[&str]) -> Result<Vec<Option<String>>, Failure> {
        let text = match fs::read_to_string(&self.submitted) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error.into()),
        };
        // Of jobs with the same task, the last.
        let last: HashMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(job, name)| (name, job))
            .collect();
        let jobs: Vec<Option<String>> =
            names.iter().map(|name| last.get(name).map(|&job| job.to_owned())).collect();
        let known = self.known(&jobs)?;
        Ok(jobs.into_iter().map(|job| job.filter(|job| known.contains(job))).collect())
    }

    /// Remembers that a job has these tasks.
    pub(super) fn record(&self, job: &str, tasks: &[Task], new: &[usize]) -> Result<(), Failure> {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.submitted)?;
        for (index, &task) in new.iter().enumerate() {
            writeln!(file, "{job}_{index} {}", tasks[task].name)?;
        }
        Ok(file.sync_all()?)
    }

    /// Those of `jobs`, `JOB_INDEX` each, that wait or run.
    pub(super) fn known(&self, jobs: &[Option<String>]) -> Result<HashSet<String>, Failure> {
        let numbers: BTreeSet<&str> =
            jobs.iter().flatten().filter_map(|job| Some(job.split_once('_')?.0)).collect();
        let mut known = HashSet::new();
        // One at a time: of several, one that is forgotten makes `squeue` fail for all.
        for number in numbers {
            let output = Command::new(&self.squeue)
                .args(["--noheader", "--array", "--format=%i", "--job", number])
                .output()
                .map_err(|error| Failure::work(format!("squeue: {error}")))?;
            let problem = String::from_utf8_lossy(&output.stderr);
            if !output.status.success() && !problem.contains("Invalid job id") {
                return Err(Failure::work(format!("squeue: {}", problem.trim())));
            }
            let lines = String::from_utf8_lossy(&output.stdout);
            known.extend(lines.lines().map(|line| line.trim().to_owned()));
        }
        Ok(known)
    }
}
