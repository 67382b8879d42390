//! `cargo xtask kills`: runs that are killed at random moments and gone on with, against runs that
//! nobody touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use mmc_random::{Purpose, below, generator};

use crate::experiment::build;
use crate::failure::{Failure, workspace};

pub(crate) const EXAMPLES: &str = "\
Examples:
  cargo xtask kills
  cargo xtask kills --kills 8 --seed 2

Trains a tiny model on data/emoji in each of eight ways: on one CPU device or two, in f32 or bf16, with
gradient checkpointing or without. Each way is run whole once, and once more killed with SIGKILL at
random moments and gone on with; the final weights have to be the same bytes. Exit code 1 where they
are not. A hundred kills take about two minutes on two cores after the build.";

/// What can be asked for.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Kills in all, spread over the eight ways
    #[arg(long, value_name = "N", default_value_t = 100)]
    kills: usize,
    /// What the moments are drawn from
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

const MODEL: &str = "train --model bert-tiny --dataset table --data-root data/emoji --max-steps 160 \
                     --batch-size 16 --shard-rows 4 --dropout 0.1 --keep best --save-every 4 --workers 2";

/// No run may take longer when nobody kills it.
const LONGEST: Duration = Duration::from_secs(10);

/// One way to run.
struct Way {
    devices: &'static str,
    precision: &'static str,
    checkpointing: bool,
}

/// What kills met.
#[derive(Default)]
struct Met {
    kills: usize,
    before_steps: usize,
    in_state: usize,
    in_checkpoint: usize,
    after_steps: usize,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let root = workspace();
    let mmc = build(&root, "dev")?;
    let place = tempfile::tempdir()?;
    let mut ways = Vec::new();
    for devices in ["cpu", "cpu,cpu"] {
        for precision in ["f32", "bf16"] {
            for checkpointing in [false, true] {
                ways.push(Way { devices, precision, checkpointing });
            }
        }
    }
    let mut all = Met::default();
    for (number, way) in ways.iter().enumerate() {
        let share = options.kills / ways.len() + usize::from(number < options.kills % ways.len());
        let seed = options.seed.wrapping_mul(8).wrapping_add(number as u64);
        let work =
            Work { mmc: &mmc, root: &root, way, folder: place.path().join(number.to_string()) };
        let met = work.compare(share, seed)?;
        say!("{}: {} kills, the same weights", way.words(), met.kills);
        all.kills += met.kills;
        all.before_steps += met.before_steps;
        all.in_state += met.in_state;
        all.in_checkpoint += met.in_checkpoint;
        all.after_steps += met.after_steps;
    }
    say!(
        "{} kills: {} before the first step of a sitting, {} while a state and {} while a checkpoint \
         was written, {} after the last step, the rest in steps and evaluations; all final weights are \
         those of runs that nobody killed",
        all.kills,
        all.before_steps,
        all.in_state,
        all.in_checkpoint,
        all.after_steps
    );
    Ok(())
}

impl Way {
    fn words(&self) -> String {
        let checkpointing = if self.checkpointing { " --gradient-checkpointing" } else { "" };
        format!("--devices {} --precision {}{checkpointing}", self.devices, self.precision)
    }
}

/// A way with where it runs.
struct Work<'a> {
    mmc: &'a Path,
    root: &'a Path,
    way: &'a Way,
    folder: PathBuf,
}

impl Work<'_> {
    /// Runs it whole, and killed this many times.
    fn compare(&self, kills: usize, seed: u64) -> Result<Met, Failure> {
        let begun = Instant::now();
        self.finish("whole")?;
        let whole = begun.elapsed();
        if whole > LONGEST {
            let said = format!("{}: a run took {whole:.1?}, more than 10 s", self.way.words());
            return Err(Failure::work(said));
        }
        let mut random = generator(seed, Purpose::Simulation, 0, 0);
        let mut met = Met::default();
        let mut run = 0;
        while met.kills < kills {
            let name = format!("killed-{run}");
            // A run that ends before it was killed is one more to compare.
            // Sittings get on, since a third of a run holds several states.
            let micros = (whole.as_micros() / 3).max(1) as usize;
            while met.kills < kills {
                let pause = Duration::from_micros(below(micros, &mut random) as u64);
                if !self.kill(&name, pause, &mut met)? {
                    break;
                }
            }
            self.finish(&name)?;
            self.assert_same(&name)?;
            run += 1;
        }
        Ok(met)
    }

    /// Goes on with a run and kills it after a pause; whether that came before its end.
    fn kill(&self, name: &str, pause: Duration, met: &mut Met) -> Result<bool, Failure> {
        let before = self.steps(name);
        let mut child = self.start(name)?;
        std::thread::sleep(pause);
        let ended = child.try_wait()?.is_some();
        child.kill()?; // SIGKILL; nothing where it has ended
        let status = child.wait()?;
        if ended || status.success() {
            return if status.success() {
                Ok(false)
            } else {
                Err(self.failed(name, "failed by itself"))
            };
        }
        met.kills += 1;
        met.before_steps += usize::from(self.steps(name) == before);
        met.after_steps += usize::from(self.steps(name) == 160);
        met.in_state += usize::from(self.unfinished(name, ".writing-"));
        met.in_checkpoint += usize::from(self.unfinished(name, "checkpoint"));
        Ok(true)
    }

    fn start(&self, name: &str) -> Result<Child, Failure> {
        let words = format!("{MODEL} {} --resume", self.way.words());
        let mut command = Command::new(self.mmc);
        command.args(words.split_whitespace()).arg("--out").arg(self.folder.join(name));
        command.current_dir(self.root).stdin(Stdio::null()).stdout(Stdio::null());
        fs::create_dir_all(&self.folder)?;
        let log = fs::File::create(self.folder.join(format!("{name}.txt")))?;
        Ok(command.stderr(log).spawn()?)
    }

    fn finish(&self, name: &str) -> Result<(), Failure> {
        if self.start(name)?.wait()?.success() {
            return Ok(());
        }
        Err(self.failed(name, "failed"))
    }

    fn failed(&self, name: &str, what: &str) -> Failure {
        let said = fs::read_to_string(self.folder.join(format!("{name}.txt"))).unwrap_or_default();
        Failure::work(format!("{}: run `{name}` {what}:\n{said}", self.way.words()))
    }

    /// Steps that a run has recorded.
    fn steps(&self, name: &str) -> usize {
        let path = self.folder.join(name).join("train.jsonl");
        fs::read_to_string(path).map_or(0, |text| text.matches('\n').count())
    }

    /// Whether something half written lies among the states.
    fn unfinished(&self, name: &str, beginning: &str) -> bool {
        let listing = fs::read_dir(self.folder.join(name).join("state"));
        listing.is_ok_and(|mut entries| {
            entries.any(|entry| {
                entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(beginning))
            })
        })
    }

    fn assert_same(&self, name: &str) -> Result<(), Failure> {
        for file in ["checkpoint/model.safetensors", "predictions/test.jsonl", "scores.json"] {
            let read = |run: &str| fs::read(self.folder.join(run).join(file));
            if read("whole")? != read(name)? {
                let said = format!("{}: `{file}` of run `{name}` differs", self.way.words());
                return Err(Failure::work(said));
            }
        }
        Ok(())
    }
}
