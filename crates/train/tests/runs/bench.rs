//! A small data set and runs on it, with what they leave.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use mmc_run::{PartialSettings, RunFolder};
use mmc_train::{Outcome, Plan, Progress, resolve, train};

/// The variable in which a child process finds its bench.
pub(crate) const PARENT: &str = "MMC_TRAIN_TEST_PARENT";

/// Rows whose label is told by one of eight words, among words that tell nothing.
pub(crate) fn write_table(folder: &Path) {
    let cues = ["lovely", "great", "sweet", "bright", "nasty", "awful", "rotten", "horrid"];
    let fillers = ["the", "river", "house", "green", "over", "there", "today", "walked"];
    for (split, rows, offset) in [("train", 50, 0), ("val", 20, 7), ("test", 20, 3)] {
        let mut text = String::from("id,text,label\n");
        for row in 0..rows {
            let at = row + offset;
            let words: Vec<&str> = (0..3 + at % 4).map(|k| fillers[(at * 3 + k * 5) % 8]).collect();
            let cue = cues[at * 5 % 8];
            let label = if at * 5 % 8 < 4 { "praise" } else { "scorn" };
            writeln!(text, "{split}{row},{} {cue},{label}", words.join(" ")).unwrap();
        }
        fs::write(folder.join(format!("{split}.csv")), text).unwrap();
    }
}

/// A data set and runs on it.
pub(crate) struct Bench {
    pub(crate) root: PathBuf,
    /// Removes the folder at the end; absent in a child process, whose parent has it.
    pub(crate) _owned: Option<tempfile::TempDir>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_table(folder.path());
        Self { root: folder.path().to_owned(), _owned: Some(folder) }
    }

    /// The bench of the process that started this one.
    pub(crate) fn of_parent() -> Option<Self> {
        std::env::var_os(PARENT).map(|root| Self { root: root.into(), _owned: None })
    }

    /// This test program again, as a process that runs `child_run` on this bench.
    pub(crate) fn child(&self) -> Command {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "child_run", "--ignored", "--quiet"]).env(PARENT, &self.root);
        child.stdout(Stdio::null());
        child
    }

    pub(crate) fn asked(&self) -> PartialSettings {
        PartialSettings {
            model: Some("bert-tiny".to_owned()),
            dataset: Some("table".to_owned()),
            data_root: Some(self.root.display().to_string()),
            batch_size: Some(16),
            epochs: Some(4),
            learning_rate: Some(2e-3),
            warmup_ratio: Some(0.1),
            dropout: Some(0.1),
            seed: Some(3),
            ..PartialSettings::default()
        }
    }

    pub(crate) fn plan(&self, change: impl Fn(&mut PartialSettings)) -> Plan {
        let mut asked = self.asked();
        change(&mut asked);
        resolve(PartialSettings::default(), asked).unwrap()
    }

    pub(crate) fn out(&self, name: &str) -> PathBuf {
        self.root.join("runs").join(name)
    }

    /// A sitting; `stop_after` steps of it, it is asked to stop.
    pub(crate) fn sit(&self, plan: &Plan, name: &str, stop_after: Option<u64>) -> Outcome {
        let folder = RunFolder::resume(&self.out(name)).unwrap();
        let interrupt = AtomicBool::new(false);
        let mut taken = 0;
        train(plan, &folder, &interrupt, &mut |event| {
            if matches!(event, Progress::Step { .. }) {
                taken += 1;
                if Some(taken) == stop_after {
                    interrupt.store(true, Ordering::Relaxed);
                }
            }
        })
        .unwrap()
    }

    pub(crate) fn run(&self, name: &str, change: impl Fn(&mut PartialSettings)) -> Remains {
        let outcome = self.sit(&self.plan(change), name, None);
        assert!(matches!(outcome, Outcome::Finished(_)), "{outcome:?}");
        self.remains(name)
    }

    pub(crate) fn remains(&self, name: &str) -> Remains {
        let out = self.out(name);
        let folder = RunFolder::open(&out).unwrap();
        let read = |path: PathBuf| fs::read(&path).unwrap_or_else(|_| panic!("{}", path.display()));
        Remains {
            checkpoint: read(folder.checkpoint().join("model.safetensors")),
            predictions: ["val", "test"]
                .map(|split| read(folder.predictions_path(split, "jsonl")))
                .to_vec(),
            scores: read(folder.scores_path()),
            evaluations: read(folder.eval_path()),
            steps: folder
                .steps()
                .unwrap()
                .iter()
                .map(|at| {
                    let [loss, norm] = [at.loss, at.grad_norm].map(|it| it.unwrap_or(-1.0));
                    [at.step as f64, loss, norm, at.learning_rate]
                })
                .collect(),
        }
    }
}

/// What a run found, without its times.
#[derive(PartialEq)]
pub(crate) struct Remains {
    pub(crate) checkpoint: Vec<u8>,
    pub(crate) predictions: Vec<Vec<u8>>,
    pub(crate) scores: Vec<u8>,
    pub(crate) evaluations: Vec<u8>,
    pub(crate) steps: Vec<[f64; 4]>,
}

impl Remains {
    #[track_caller]
    pub(crate) fn assert_same(&self, other: &Self, what: &str) {
        assert_eq!(self.steps, other.steps, "{what}: steps");
        assert!(self.checkpoint == other.checkpoint, "{what}: checkpoint");
        assert!(self.predictions == other.predictions, "{what}: predictions");
        assert!(self.scores == other.scores, "{what}: scores");
        assert!(self.evaluations == other.evaluations, "{what}: evaluations");
    }
}
