//! Interrupts that come while a split is predicted: in an evaluation and after the last step.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use mmc_run::{EvalRecord, Freeze, PartialSettings, RunFolder};
use mmc_train::{Outcome, Plan, Progress, train};

use crate::bench::Bench;

/// A way to run: its name, what it changes, its last step.
type Way = (&'static str, fn(&mut PartialSettings), u64);

/// A moment of the evaluation after a step: `done` items are through.
struct At {
    step: u64,
    done: usize,
    /// Whether it is the turn of that evaluation.
    evaluates: bool,
}

impl At {
    fn new(step: u64, done: usize) -> Self {
        Self { step, done, evaluates: false }
    }

    fn is_now(&mut self, news: &Progress<'_>) -> bool {
        let made_up = format!("the evaluation after step {}, ", self.step);
        match news {
            Progress::Step { record, .. } => self.evaluates = record.step == self.step,
            Progress::Note(note) => self.evaluates |= note.starts_with(&made_up),
            Progress::Predicted { split: "val", done, .. } => {
                return self.evaluates && *done == self.done;
            }
            _ => return false,
        }
        self.evaluates && self.done == 0
    }
}

/// A sitting that is interrupted at the first of these moments, and what it told: `step N`,
/// `evaluation N`.
fn sit(
    bench: &Bench,
    (plan, name): (&Plan, &str),
    mut is_now: impl FnMut(&Progress<'_>) -> bool,
) -> (Outcome, Vec<String>) {
    let folder = RunFolder::resume(&bench.out(name)).unwrap();
    let interrupt = AtomicBool::new(false);
    let mut told = Vec::new();
    let outcome = train(plan, &folder, &interrupt, &mut |news| {
        match &news {
            Progress::Step { record, .. } => told.push(format!("step {}", record.step)),
            Progress::Evaluated { record, .. } => told.push(format!("evaluation {}", record.step)),
            _ => {}
        }
        interrupt.fetch_or(is_now(&news), Ordering::Relaxed);
    });
    (outcome.unwrap(), told)
}

/// The steps of which an evaluation is recorded.
fn evaluated(folder: &RunFolder) -> Vec<u64> {
    folder.evaluations().unwrap().iter().map(|record| record.step).collect()
}

/// Whether the state after a step says that its evaluation is due.
fn is_due(folder: &RunFolder, step: u64) -> bool {
    let path = folder.state().join(format!("step-{step}/counters.json"));
    let counters: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    counters["evaluation_due"] == true
}

/// How often TensorBoard is told of steps and of evaluations.
fn shown(folder: &RunFolder) -> [usize; 2] {
    let files: Vec<_> =
        fs::read_dir(folder.tensorboard()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let bytes = fs::read(file).unwrap();
    let count = |tag: &[u8]| bytes.windows(tag.len()).filter(|at| *at == tag).count();
    [count(b"train/loss"), count(b"val/loss")]
}

/// Each evaluation is stopped before its first row, within, and before its last forward, now when it is
/// made first, now when it is made up: 20 rows are forwards of 8, 8 and 4.
#[test]
fn an_evaluation_stopped_at_any_row_is_made_up_before_the_next_step() {
    let bench = Bench::new();
    let frozen = |asked: &mut PartialSettings| asked.freeze = Some(Freeze::Backbone);
    // Nothing can improve, so that the count of evaluations ends the run, between two states.
    let patient = |asked: &mut PartialSettings| {
        asked.learning_rate = Some(1e-9);
        asked.early_stopping = Some(2);
        asked.save_every = Some(1000);
        asked.workers = Some(0);
    };
    let ways: [Way; 3] = [("all", |_| (), 16), ("frozen", frozen, 16), ("patient", patient, 12)];
    for (name, change, last) in ways {
        let whole = bench.run(&format!("{name} whole"), change);
        let plan = bench.plan(change);
        let folder = RunFolder::resume(&bench.out(name)).unwrap();
        let mut rows = [0, 8, 16];
        for step in (4..=last).step_by(4) {
            for done in rows {
                let mut at = At::new(step, done);
                let (outcome, told) = sit(&bench, (&plan, name), |news| at.is_now(news));
                let what = format!("{name}: {step} at {done}: {told:?}");
                assert!(
                    matches!(outcome, Outcome::Interrupted { step: it } if it == step),
                    "{what}"
                );
                assert!(is_due(&folder, step), "{what}");
                let before: Vec<u64> = (4..step).step_by(4).collect();
                assert_eq!(evaluated(&folder), before, "{what}");
                if done == rows[0] {
                    let made_up = before.last().map(|before| format!("evaluation {before}"));
                    let steps = (step - 3..=step).map(|step| format!("step {step}"));
                    assert_eq!(
                        told,
                        made_up.into_iter().chain(steps).collect::<Vec<_>>(),
                        "{what}"
                    );
                } else {
                    assert!(told.is_empty(), "{what}");
                }
            }
            rows.rotate_left(1);
        }
        let (outcome, told) = sit(&bench, (&plan, name), |_| false);
        assert!(matches!(outcome, Outcome::Finished(_)), "{name}: {outcome:?}");
        assert_eq!(told, [format!("evaluation {last}")], "{name}");
        assert!(!is_due(&folder, last), "{name}");
        bench.remains(name).assert_same(&whole, name);
        let whole = RunFolder::open(&bench.out(&format!("{name} whole"))).unwrap();
        assert_eq!(shown(&folder), shown(&whole), "{name}");
        assert_eq!(shown(&folder), [last as usize, last as usize / 4], "{name}");
    }
}

/// An interrupt that comes with the last rows lets the evaluation end.
#[test]
fn an_evaluation_of_which_nothing_is_left_is_recorded() {
    let bench = Bench::new();
    let whole = bench.run("whole", |_| ());
    let plan = bench.plan(|_| ());
    let folder = RunFolder::resume(&bench.out("run")).unwrap();
    let mut at = At::new(8, 20);
    let (outcome, _) = sit(&bench, (&plan, "run"), |news| at.is_now(news));
    assert!(matches!(outcome, Outcome::Interrupted { step: 8 }), "{outcome:?}");
    assert!(!is_due(&folder, 8));
    assert_eq!(evaluated(&folder), [4, 8]);
    bench.sit(&plan, "run", None);
    bench.remains("run").assert_same(&whole, "stopped after the last rows");
}

/// The state is that of the stopped evaluation until the one made up is over.
#[test]
fn a_kill_after_an_evaluation_was_made_up_leaves_no_second_record() {
    let bench = Bench::new();
    let whole = bench.run("whole", |_| ());
    let plan = bench.plan(|_| ());
    let records = RunFolder::open(&bench.out("whole")).unwrap().evaluations().unwrap();
    let line = |record: &EvalRecord| serde_json::to_string(record).unwrap() + "\n";
    let (first, second) = (line(&records[0]), line(&records[1]));
    for (name, left) in [
        ("whole record", first.clone() + &second),
        ("torn record", first.clone() + &second[..second.len() / 2]),
        ("none", first.clone()),
    ] {
        let mut at = At::new(8, 8);
        sit(&bench, (&plan, name), |news| at.is_now(news));
        let folder = RunFolder::open(&bench.out(name)).unwrap();
        assert!(is_due(&folder, 8));
        assert_eq!(fs::read_to_string(folder.eval_path()).unwrap(), first);
        fs::write(folder.eval_path(), left).unwrap();
        bench.sit(&plan, name, None);
        bench.remains(name).assert_same(&whole, name);
        assert_eq!(shown(&folder), [16, 4], "{name}");
    }
}

/// Also where the last state that was due is of an earlier step than the last, which early stopping chose.
#[test]
fn the_last_predictions_stopped_at_any_row_are_made_again() {
    let bench = Bench::new();
    let patient = |asked: &mut PartialSettings| {
        asked.learning_rate = Some(1e-9);
        asked.early_stopping = Some(1);
        asked.save_every = Some(3);
    };
    let ways: [Way; 2] = [("best", |_| (), 16), ("patient", patient, 8)];
    for (name, change, last) in ways {
        let whole = bench.run(&format!("{name} whole"), change);
        let plan = bench.plan(change);
        let folder = RunFolder::resume(&bench.out(name)).unwrap();
        let rows = [("val", 8), ("val", 16), ("val", 20), ("test", 8), ("test", 16)];
        for (nth, (split, rows)) in rows.into_iter().enumerate() {
            let mut ended = nth > 0; // no evaluation is left
            let (outcome, told) = sit(&bench, (&plan, name), |news| match news {
                Progress::Saved { step } => {
                    ended = *step == last;
                    false
                }
                Progress::Predicted { split: at, done, .. } => {
                    ended && *at == split && *done == rows
                }
                _ => false,
            });
            let what = format!("{name}: {split} at {rows}: {told:?}");
            assert!(matches!(outcome, Outcome::Interrupted { step } if step == last), "{what}");
            assert_eq!(told.is_empty(), nth > 0, "{what}");
            assert!(!folder.has_ended() && !folder.scores_path().exists(), "{what}");
            for ending in ["parquet", "jsonl"] {
                let is_there = |split: &str| folder.predictions_path(split, ending).exists();
                assert!(!is_there("test"), "{what}");
                assert_eq!(is_there("val"), nth > 1, "{what}");
            }
        }
        let (outcome, told) = sit(&bench, (&plan, name), |news| {
            matches!(news, Progress::Predicted { split: "test", done: 20, .. }) // too late
        });
        assert!(matches!(outcome, Outcome::Finished(_)), "{name}: {outcome:?}");
        assert!(told.is_empty(), "{told:?}");
        bench.remains(name).assert_same(&whole, name);
    }
}
