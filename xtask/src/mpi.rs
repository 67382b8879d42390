//! `cargo xtask mpi`: runs that `mpirun` starts as several ranks, against one that a single process
//! computes, and what becomes of the others when a rank ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mmc_run::RunFolder;

use crate::experiment::build_with;
use crate::failure::{Failure, workspace};

pub(crate) const EXAMPLES: &str = "\
Example:
  cargo xtask mpi

Needs an MPI with its compiler, and libclang; on Debian: apt-get install openmpi-bin libopenmpi-dev
libclang-dev. Builds mmc with the feature mpi and trains a tiny model on data/emoji: alone, as two ranks
and as four. Then one rank is killed, one panics, one finds a broken picture, one was asked for another
run: all must end within a minute with an error. Killed runs go on with other numbers of ranks, and with
none. Exit code 1 where something is not as it must be, and where there is no MPI.";

const MODEL: &str = "--model vilt-tiny --dataset table --max-steps 240 --batch-size 16 --shard-rows 4 \
                     --dropout 0.1 --keep best --save-every 5 --workers 1";

/// Those of `MODEL`.
const STEPS: usize = 240;

/// Losses of ranks may differ by so much from those of one process.
const TOLERANCE: f64 = 1e-5;

/// A rank that ended may not leave the others waiting for longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// No run takes longer, so one that does hangs.
const LONGEST: Duration = Duration::from_secs(300);

/// Whether programs with MPI can be built and started here; else what is missing.
pub(crate) fn missing() -> Option<&'static str> {
    let is_there = |program: &str| {
        Command::new(program).arg("--version").output().is_ok_and(|ran| ran.status.success())
    };
    ["mpicc", "mpirun"].into_iter().find(|program| !is_there(program))
}

/// What a command came to.
struct Ended {
    code: Option<i32>,
    said: String,
    seconds: f64,
}

/// The programs, the data, and where runs lie.
struct Work {
    mmc: PathBuf,
    panicking: PathBuf,
    root: PathBuf,
    folder: tempfile::TempDir,
    /// Open MPI has words of its own for what a test needs.
    options: &'static str,
}

pub(crate) fn run() -> Result<(), Failure> {
    if let Some(program) = missing() {
        return Err(Failure::work(format!(
            "`{program}` is not installed, so NOTHING was run; on Debian `apt-get install openmpi-bin \
             libopenmpi-dev libclang-dev` brings what is needed (docs/mpi.md)"
        )));
    }
    let root = workspace();
    let more = " --example panic_on_one_rank --features mmc/mpi,mmc-train/mpi";
    let mmc = build_with(&root, "dev", more)?;
    let panicking = mmc.with_file_name("examples").join("panic_on_one_rank");
    let version = Command::new("mpirun").arg("--version").output()?.stdout;
    let is_open_mpi = String::from_utf8_lossy(&version).contains("Open MPI");
    let options = if is_open_mpi {
        "--allow-run-as-root --oversubscribe --bind-to none --mca mpi_yield_when_idle 1"
    } else {
        ""
    };
    let work = Work { mmc, panicking, root, folder: tempfile::tempdir()?, options };
    work.share()?;
    work.kill()?;
    work.panic()?;
    work.break_picture()?;
    work.differ()?;
    say!("all as it must be");
    Ok(())
}

impl Work {
    /// Runs of two and four ranks find what one process finds.
    fn share(&self) -> Result<(), Failure> {
        let alone = self.finish("alone", None)?;
        for ranks in [2, 4] {
            let name = format!("ranks-{ranks}");
            let ended = self.finish(&name, Some(ranks))?;
            let found = self.compare(&name)?;
            let (shared, one) = (ended.seconds, alone.seconds);
            say!("{ranks} ranks: {found} ({shared:.1} s; alone {one:.1} s)");
        }
        Ok(())
    }

    /// A run with a rank that is killed, be it the one that writes, ends; other numbers of ranks go on
    /// with it.
    fn kill(&self) -> Result<(), Failure> {
        for (ranks, victim, then) in [(4, 2, Some(2)), (2, 0, None), (2, 1, Some(4))] {
            let name = format!("killed-{ranks}-{victim}");
            let mut child = self.spawn(&name, &self.train(&name, Some(ranks)))?;
            let begun = Instant::now();
            while self.steps(&name) < 20 {
                if child.try_wait()?.is_some() || begun.elapsed() > LONGEST {
                    return Err(self.failed(&name, "came to no step 20 at which to kill a rank"));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            let Some(process) = rank_of(child.id(), victim)? else {
                return Err(self.failed(&name, &format!("has no process of rank {victim}")));
            };
            let killed = Command::new("kill").args(["-KILL", &process.to_string()]).status()?;
            let before = self.steps(&name);
            let ended = self.end(&name, child, PATIENCE)?;
            if !killed.success() || before >= STEPS || ended.code == Some(0) {
                return Err(self.failed(&name, "was not ended by the killed rank"));
            }
            self.finish(&name, then)?;
            let found = self.compare(&name)?;
            let then = then.map_or("one process".to_owned(), |ranks| format!("{ranks} ranks"));
            say!(
                "rank {victim} of {ranks} killed after step {before}: all ended in {:.1} s with {}; gone \
                 on with {then}: {found}",
                ended.seconds,
                code(&ended)
            );
        }
        Ok(())
    }

    /// A rank that panics ends all.
    fn panic(&self) -> Result<(), Failure> {
        let program = self.panicking.display();
        let out = self.folder.path().join("panic");
        let words = format!("{} -n 4 {program} data/emoji {}", self.options, out.display());
        let ended = self.end("panic", self.spawn("panic", &("mpirun", words))?, PATIENCE)?;
        let is_right = ended.said.contains("rank 1 panics at step 5")
            && !ended.said.contains("went on to the end");
        if ended.code == Some(0) || !is_right {
            return Err(self.failed("panic", "should have ended with the panic of rank 1"));
        }
        say!("rank 1 of 4 panicked: all ended in {:.1} s with {}", ended.seconds, code(&ended));
        Ok(())
    }

    /// A rank that meets an error ends all, and says which.
    fn break_picture(&self) -> Result<(), Failure> {
        let data = self.folder.path().join("broken");
        fs::create_dir_all(data.join("img"))?;
        for inner in ["", "img"] {
            for entry in fs::read_dir(self.root.join("data/emoji").join(inner))? {
                let path = entry?.path();
                if let Some(name) = path.file_name().filter(|_| path.is_file()) {
                    fs::copy(&path, data.join(inner).join(name))?;
                }
            }
        }
        // The sixth row is in the second shard of the first step: rank 1's.
        let table = fs::read_to_string(data.join("train.csv"))?;
        let words = table.lines().nth(6).unwrap_or_default().split(',');
        let Some(picture) = words.map(str::trim).find(|word| word.starts_with("img/")) else {
            return Err(Failure::work("data/emoji/train.csv: row 6 has no picture"));
        };
        let path = data.join(picture);
        let whole = fs::read(&path)?;
        fs::write(&path, &whole[..whole.len() / 3])?;
        let (program, words) = self.train_on(&data, "error", Some(4));
        let child = self.spawn("error", &(program, words + " --no-shuffle"))?;
        let ended = self.end("error", child, PATIENCE)?;
        let is_right = ended.said.contains("rank 1 of 4: error: ") && ended.said.contains(picture);
        if ended.code != Some(1) || !is_right {
            return Err(self.failed("error", "should have ended with the broken picture of rank 1"));
        }
        say!("rank 1 of 4 met a broken picture: all ended in {:.1} s", ended.seconds);
        Ok(())
    }

    /// Ranks that were asked for different runs, or are too many, do not begin.
    fn differ(&self) -> Result<(), Failure> {
        let mmc = self.mmc.display();
        let (_, one) = self.train("differs", None);
        let words = format!("{} -n 1 {mmc} {one} : -n 1 {mmc} {one} --seed 7", self.options);
        let many = self.train("many", Some(5)).1;
        for (name, words, what) in [
            ("differs", words, "`seed` is `7`, at rank 0 `0`"),
            ("many", many, "5 ranks, and a step of 16 rows has 4 shards"),
        ] {
            let ended = self.end(name, self.spawn(name, &("mpirun", words))?, PATIENCE)?;
            let is_right =
                ended.said.contains(what) && ended.said.matches(": error: ").count() == 1;
            if ended.code != Some(2) || !is_right || self.folder.path().join(name).exists() {
                return Err(self.failed(name, "should have been refused, once, and left no folder"));
            }
            say!("refused: {what}");
        }
        Ok(())
    }

    /// The program and words that train, on so many ranks or alone.
    fn train(&self, name: &str, ranks: Option<usize>) -> (&'static str, String) {
        self.train_on(Path::new("data/emoji"), name, ranks)
    }

    fn train_on(&self, data: &Path, name: &str, ranks: Option<usize>) -> (&'static str, String) {
        let out = self.folder.path().join(name);
        let words = format!(
            "train {MODEL} --data-root {} --resume --out {}",
            data.display(),
            out.display()
        );
        match ranks {
            None => ("", words),
            Some(ranks) => {
                let mmc = self.mmc.display();
                ("mpirun", format!("{} -n {ranks} {mmc} {words}", self.options))
            }
        }
    }

    /// Runs, or goes on with, a run to its end.
    fn finish(&self, name: &str, ranks: Option<usize>) -> Result<Ended, Failure> {
        let child = self.spawn(name, &self.train(name, ranks))?;
        let ended = self.end(name, child, LONGEST)?;
        if ended.code == Some(0) { Ok(ended) } else { Err(self.failed(name, "failed")) }
    }

    /// Starts `mpirun`, or `mmc` where no program is named.
    fn spawn(&self, name: &str, (program, words): &(&str, String)) -> Result<Child, Failure> {
        let program = if program.is_empty() { self.mmc.as_path() } else { Path::new(program) };
        let log = fs::File::create(self.log(name))?;
        let mut command = Command::new(program);
        command.args(words.split_whitespace()).current_dir(&self.root);
        command.env("RAYON_NUM_THREADS", "1").env_remove("RUST_LOG");
        Ok(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?)
    }

    /// Waits for a command; one that takes longer hangs, and that is an error.
    fn end(&self, name: &str, mut child: Child, longest: Duration) -> Result<Ended, Failure> {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if begun.elapsed() > longest {
                child.kill()?;
                child.wait()?;
                return Err(self.failed(name, &format!("did not end within {longest:?}")));
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let (code, seconds) = (status.code(), begun.elapsed().as_secs_f64());
        Ok(Ended { code, seconds, said: fs::read_to_string(self.log(name))? })
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.txt"))
    }

    fn failed(&self, name: &str, what: &str) -> Failure {
        let said = fs::read_to_string(self.log(name)).unwrap_or_default();
        Failure::work(format!("run `{name}` {what}:\n{said}"))
    }

    /// Steps that a run has recorded.
    fn steps(&self, name: &str) -> usize {
        let path = self.folder.path().join(name).join("train.jsonl");
        fs::read_to_string(path).map_or(0, |text| text.matches('\n').count())
    }

    /// Compares a run with the one of a single process, in words.
    fn compare(&self, name: &str) -> Result<String, Failure> {
        let losses = |name: &str| -> Result<Vec<Option<f64>>, Failure> {
            let steps = RunFolder::open(&self.folder.path().join(name))?.steps()?;
            Ok(steps.into_iter().map(|step| step.loss).collect())
        };
        let (ours, theirs) = (losses("alone")?, losses(name)?);
        let mut largest = 0.0_f64;
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let (Some(ours), Some(theirs)) = (ours, theirs) else {
                return Err(self.failed(name, "has a step without a loss"));
            };
            largest = largest.max((ours - theirs).abs());
        }
        let steps = theirs.len();
        if ours.len() != STEPS || steps != STEPS || largest > TOLERANCE {
            let what = format!("took {steps} steps, and losses are off by {largest:e}");
            return Err(self.failed(name, &what));
        }
        let read = |run: &str, file: &str| fs::read(self.folder.path().join(run).join(file));
        for file in ["checkpoint/model.safetensors", "predictions/test.jsonl", "scores.json"] {
            if read("alone", file)? != read(name, file)? {
                return Err(self.failed(name, &format!("has another `{file}` than one process")));
            }
        }
        Ok(format!("losses within {largest:e}, the same weights, predictions and scores"))
    }
}

fn code(ended: &Ended) -> String {
    ended.code.map_or("a signal".to_owned(), |code| format!("exit code {code}"))
}

/// The process of a rank among those that `parent` started, directly or not.
fn rank_of(parent: u32, rank: usize) -> Result<Option<u32>, Failure> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let above = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        parents.push((process, above.and_then(|it| it.trim().parse::<u32>().ok()).unwrap_or(0)));
    }
    let mut below = vec![parent];
    let mut at = 0;
    while let Some(&above) = below.get(at) {
        below.extend(parents.iter().filter(|(_, parent)| *parent == above).map(|(it, _)| *it));
        at += 1;
    }
    let names = ["OMPI_COMM_WORLD_RANK", "PMI_RANK"].map(|name| format!("{name}={rank}"));
    Ok(below.into_iter().find(|process| {
        let all = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        let mut words = all.split(|byte| *byte == 0);
        words.any(|word| names.iter().any(|name| name.as_bytes() == word))
    }))
}
