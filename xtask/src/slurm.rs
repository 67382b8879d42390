//! Commands as tasks of a Slurm job array: written, submitted, waited for.
//!
//! What became of a task stands in a file of ours, which the job itself writes
//! ([`script`]); `squeue` is asked only whether a job is still known, since accounting is often
//! off and a job that ended is forgotten within minutes.

mod queue;
mod script;
mod status;

use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use self::queue::Queue;
use self::status::Status;
use crate::failure::Failure;

/// Between two looks at the status files.
const LOOK: Duration = Duration::from_secs(1);

/// Looks between two questions to `squeue`.
const LOOKS_PER_QUESTION: usize = 5;

/// Questions in a row that `squeue` may leave unanswered: ten minutes' worth.
const QUESTIONS: usize = 120;

/// A command to be run on a node of the cluster.
pub(crate) struct Task {
    /// What it is called; also the name of its status file.
    pub(crate) name: String,
    /// The program and its arguments.
    pub(crate) words: Vec<String>,
    /// The file to which its words are added.
    pub(crate) log: PathBuf,
}

/// What became of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It ended with this code.
    Ended(i32),
    /// It left the queue without an end: cancelled, or its node was lost.
    Gone,
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(code) => write!(formatter, "exit status {code}"),
            Self::Gone => formatter.write_str(
                "it is no longer in Slurm's queue and did not end: cancelled, or its node was \
                 lost; run the command again to go on with it",
            ),
        }
    }
}

/// How tasks reach a cluster.
pub(crate) struct Slurm {
    /// Where scripts, lists of tasks and status files lie; on a file system that the nodes share.
    pub(crate) folder: PathBuf,
    /// What the job is called in the queue.
    pub(crate) job_name: String,
    /// Arguments for `sbatch`, such as `--time=4:00:00`; they overrule ours.
    pub(crate) arguments: Vec<String>,
    /// Tasks side by side; `None`: as many as the cluster gives.
    pub(crate) at_once: Option<usize>,
    /// Where `sbatch` and `squeue` are; empty: on the search path.
    pub(crate) programs: PathBuf,
}

impl Slurm {
    /// Runs the tasks and tells `ended` of each as it ends. A task that a job of an earlier call
    /// still runs, or waits to run, is waited for and not submitted again.
    pub(crate) fn run(
        &self,
        tasks: &[Task],
        ended: &mut dyn FnMut(usize, Outcome),
    ) -> Result<(), Failure> {
        for folder in ["status", "output"] {
            fs::create_dir_all(self.folder.join(folder))?;
        }
        let queue = self.queue();
        let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
        let mut jobs = queue.jobs_of(&names)?;
        let new: Vec<usize> = (0..tasks.len()).filter(|&task| jobs[task].is_none()).collect();
        let waiting = tasks.len() - new.len();
        if waiting > 0 {
            say!("{waiting} of {} tasks are in Slurm's queue already", tasks.len());
        }
        if !new.is_empty() {
            let job = self.submit(tasks, &new)?;
            queue.record(&job, tasks, &new)?;
            say!("Slurm job {job}: {} tasks; `squeue --job {job}` shows them", new.len());
            for (index, &task) in new.iter().enumerate() {
                jobs[task] = Some(format!("{job}_{index}"));
            }
        }
        self.wait(tasks, &jobs, &queue, ended)
    }

    /// The job of an earlier call that still runs the task of this name, or waits to run it.
    pub(crate) fn job_of(&self, name: &str) -> Result<Option<String>, Failure> {
        Ok(self.queue().jobs_of(&[name])?.pop().flatten())
    }

    fn queue(&self) -> Queue {
        Queue::new(&self.folder, self.program("squeue"))
    }

    fn wait(
        &self,
        tasks: &[Task],
        jobs: &[Option<String>],
        queue: &Queue,
        ended: &mut dyn FnMut(usize, Outcome),
    ) -> Result<(), Failure> {
        let mut open: Vec<(usize, bool)> = (0..tasks.len()).map(|task| (task, false)).collect();
        let mut unanswered = 0;
        for look in 0.. {
            let mut still = Vec::new();
            let mut ask = look % LOOKS_PER_QUESTION == LOOKS_PER_QUESTION - 1;
            let mut known = None;
            if ask {
                match queue.known(jobs) {
                    Ok(found) => (known, unanswered) = (Some(found), 0),
                    // A busy controller does not answer at times; jobs go on meanwhile.
                    Err(_) if unanswered < QUESTIONS => (ask, unanswered) = (false, unanswered + 1),
                    Err(failure) => return Err(failure),
                }
            }
            for (task, was_missing) in open {
                if let Status::Ended(code) = self.status(&tasks[task])? {
                    ended(task, Outcome::Ended(code));
                    continue;
                }
                let missing = match (&known, &jobs[task]) {
                    (Some(known), Some(job)) => !known.contains(job),
                    _ => was_missing,
                };
                // Twice: its last words may reach the file after it left the queue.
                if ask && missing && was_missing {
                    ended(task, Outcome::Gone);
                } else {
                    still.push((task, missing));
                }
            }
            open = still;
            if open.is_empty() {
                break;
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    fn status(&self, task: &Task) -> Result<Status, Failure> {
        Status::read(&self.status_path(&task.name))
    }

    fn status_path(&self, name: &str) -> PathBuf {
        self.folder.join("status").join(name)
    }

    /// Submits the tasks at `new` as one array; the job's number.
    fn submit(&self, tasks: &[Task], new: &[usize]) -> Result<String, Failure> {
        for &task in new {
            // An end that is there is that of an earlier job.
            let path = self.status_path(&tasks[task].name);
            if path.exists() {
                fs::remove_file(&path)?;
            }
        }
        let (script, list) = self.files()?;
        let lines: Vec<String> = new
            .iter()
            .map(|&task| script::line(&tasks[task], &self.status_path(&tasks[task].name)))
            .collect();
        write(&list, &(lines.join("\n") + "\n"))?;
        write(
            &script,
            &script::text(&self.job_name, &self.folder, &list, &self.program("scontrol")),
        )?;
        let mut range = format!("--array=0-{}", new.len() - 1);
        if let Some(at_once) = self.at_once {
            write!(range, "%{at_once}")?;
        }
        let mut sbatch = Command::new(self.program("sbatch"));
        sbatch.arg("--parsable").arg(range).args(&self.arguments).arg(&script);
        let output = sbatch.output().map_err(|error| {
            Failure::work(format!(
                "sbatch: {error}; `--launcher slurm` is for a machine that submits to Slurm"
            ))
        })?;
        let said = String::from_utf8_lossy(&output.stdout);
        let job = said.trim().split(';').next().unwrap_or_default().to_owned();
        if !output.status.success() || job.is_empty() {
            let problem = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::work(format!(
                "sbatch refused {}: {}",
                script.display(),
                problem.trim()
            )));
        }
        Ok(job)
    }

    /// Names of a script and of a list that are not there yet.
    fn files(&self) -> Result<(PathBuf, PathBuf), Failure> {
        for number in 1.. {
            let script = self.folder.join(format!("array-{number}.sh"));
            if !script.try_exists()? {
                return Ok((script, self.folder.join(format!("array-{number}.tasks"))));
            }
        }
        Err(Failure::work(format!("{}: no name is free", self.folder.display())))
    }

    fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }
}

/// Writes a file and sees to it that the nodes can read it before they are told of it.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    Ok(file.sync_all()?)
}

#[cfg(test)]
mod tests;
