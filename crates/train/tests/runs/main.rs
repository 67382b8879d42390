//! Whole runs on a handful of generated rows: they learn, and nothing but settings and data can
//! change a byte of what they find.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail as tests do")]

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use mmc_run::{PartialSettings, RunFolder};
use mmc_train::{Outcome, Plan, Progress, TrainError, resolve, train};

mod augmented;
mod bench;
mod interrupted;
mod sittings;
mod variants;

use bench::Bench;

#[test]
fn a_run_learns_and_leaves_every_file() {
    let bench = Bench::new();
    let remains = bench.run("run", |asked| asked.epochs = Some(12));
    let losses: Vec<f64> = remains.steps.iter().map(|step| step[1]).collect();
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    assert_eq!(losses.len(), 48, "12 epochs of 50 items in steps of 16");
    let (first, last) = (mean(&losses[..4]), mean(&losses[44..]));
    assert!((0.5..0.9).contains(&first), "two classes begin near ln 2, not {first}");
    assert!(last < 0.6 * first, "{first} → {last}");
    let folder = RunFolder::open(&bench.out("run")).unwrap();
    assert!(folder.is_complete() && folder.initial().is_dir());
    let scores: serde_json::Value = folder.scores().unwrap();
    assert_eq!(scores["val"]["n"], 20);
    assert_eq!(scores["test"]["n"], 20);
    assert_eq!(folder.evaluations().unwrap().len(), 12);
    let cost = folder.cost().unwrap();
    assert!(cost.wall_seconds > 0.0 && cost.peak_memory_bytes > 1 << 20);
    assert!(cost.flops_per_sample > 0.0 && cost.trainable_parameters > 0);
    assert!(cost.padding_share.is_some_and(|share| (0.0..1.0).contains(&share)));
    let rows = folder.predictions("test").unwrap().rows;
    assert_eq!((rows[0].id.as_str(), rows.len()), ("test0", 20));
}

#[test]
fn workers_and_accumulation_change_no_byte() {
    let bench = Bench::new();
    let whole = bench.run("whole", |_| ());
    bench.run("alone", |asked| asked.workers = Some(0)).assert_same(&whole, "no workers");
    bench.run("four", |asked| asked.workers = Some(4)).assert_same(&whole, "four workers");
    let accumulated = bench.run("accumulated", |asked| {
        asked.batch_size = Some(8);
        asked.grad_accumulation = Some(2);
    });
    accumulated.assert_same(&whole, "8 × 2 for 16");
    let finer = bench.run("finer", |asked| asked.shard_rows = Some(4));
    assert!(finer.checkpoint != whole.checkpoint, "shards are part of the arithmetic");
}

#[test]
#[ignore = "started by other tests in a process of its own"]
fn child_run() {
    if let Some(bench) = Bench::of_parent() {
        bench.sit(&bench.plan(|_| ()), "child", None);
    }
}

#[test]
fn threads_change_no_byte() {
    let bench = Bench::new();
    let whole = bench.run("whole", |_| ());
    for threads in ["1", "2", "4"] {
        let status = bench.child().env("RAYON_NUM_THREADS", threads).status().unwrap();
        assert!(status.success());
        bench.remains("child").assert_same(&whole, threads);
        fs::remove_dir_all(bench.out("child")).unwrap();
    }
}

#[test]
fn an_evaluation_without_improvement_can_end_the_run() {
    let bench = Bench::new();
    let stopping = |asked: &mut PartialSettings| {
        asked.epochs = Some(30);
        asked.early_stopping = Some(2);
        asked.learning_rate = Some(1e-9); // so that nothing can improve
    };
    let remains = bench.run("run", stopping);
    assert_eq!(remains.steps.len(), 3 * 4, "the first evaluation, and two that are no better");
    // Stopped within: the count of evaluations is part of the state.
    let plan = bench.plan(stopping);
    bench.sit(&plan, "again", Some(9));
    bench.sit(&plan, "again", None);
    bench.remains("again").assert_same(&remains, "resumed");
}

#[test]
fn a_number_of_steps_repeats_the_data_and_keeps_the_last() {
    let bench = Bench::new();
    let steps = |asked: &mut PartialSettings| asked.max_steps = Some(6);
    let plan = bench.plan(steps);
    assert!(plan.notes.iter().any(|note| note.contains("`--epochs` is ignored")));
    let remains = bench.run("run", steps);
    assert_eq!(remains.steps.len(), 6);
    let folder = RunFolder::open(&bench.out("run")).unwrap();
    let at: Vec<u64> = folder.evaluations().unwrap().iter().map(|record| record.step).collect();
    assert_eq!(at, [4, 6]);
    assert!(!folder.state().join("step-2").exists());
}

#[test]
fn splits_may_lack_labels_or_be_absent() {
    let bench = Bench::new();
    let test = bench.root.join("test.csv");
    fs::write(&test, "id,text\na,lovely river\nb,nasty house\n").unwrap();
    fs::remove_file(bench.root.join("val.csv")).unwrap();
    let plan = bench.plan(|asked| asked.epochs = Some(1));
    let notes = plan.notes.join("\n");
    assert!(notes.contains("there is no `val` split"), "{notes}");
    assert!(notes.contains("`test` has no labels"), "{notes}");
    let outcome = bench.sit(&plan, "run", None);
    assert!(matches!(outcome, Outcome::Finished(_)));
    let folder = RunFolder::open(&bench.out("run")).unwrap();
    assert!(folder.is_complete());
    assert!(folder.predictions("test").unwrap().rows.iter().all(|row| row.label.is_none()));
    assert_eq!(folder.scores::<serde_json::Value>().unwrap(), serde_json::json!({}));
}

#[test]
fn settings_that_contradict_model_or_data_are_usage_errors() {
    let bench = Bench::new();
    let refuse = |change: fn(&mut PartialSettings), words: &[&str]| {
        let mut asked = bench.asked();
        change(&mut asked);
        let error = resolve(PartialSettings::default(), asked).unwrap_err();
        let message = error.to_string();
        assert!(error.is_usage(), "{message}");
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    };
    refuse(|asked| asked.arm = Some(mmc_data::Arm::Both), &["`bert-tiny`", "`both`", "`text`"]);
    refuse(|asked| asked.positive = Some("prise".to_owned()), &["`prise`", "`praise` or `scorn`"]);
    refuse(|asked| asked.model = None, &["`model`", "--model"]);
    refuse(|asked| asked.dataset = Some("tabel".to_owned()), &["did you mean `table`"]);
    refuse(|asked| asked.batch_size = Some(0), &["`batch_size` is `0`"]);

    fs::remove_file(bench.root.join("val.csv")).unwrap();
    refuse(|asked| asked.early_stopping = Some(1), &["`--early-stopping`", "`val`"]);
}

#[test]
fn a_checkpoint_that_does_not_fit_leaves_no_folder() {
    let bench = Bench::new();
    bench.run("first", |_| ());
    let checkpoint = bench.out("first").join("checkpoint");
    let refuse = |max_length, words: &str| {
        let plan = bench.plan(|asked| {
            asked.checkpoint = Some(checkpoint.display().to_string());
            asked.max_length = max_length;
        });
        let folder = RunFolder::create(&bench.out("second")).unwrap();
        let error = train(&plan, &folder, &AtomicBool::new(false), &mut |_| ()).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(!bench.out("second").exists(), "a folder made for it goes with it");
    };
    refuse(Some(4000), "`max_length` is `4000`");
    let weights = checkpoint.join("model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    refuse(None, "model.safetensors");
}

#[test]
fn balanced_weights_are_items_over_classes_times_count() {
    let bench = Bench::new();
    let rows = "id,text,label\n1,a,x\n2,b,x\n3,c,x\n4,d,y\n";
    fs::write(bench.root.join("train.csv"), rows).unwrap();
    fs::remove_file(bench.root.join("val.csv")).unwrap();
    fs::remove_file(bench.root.join("test.csv")).unwrap();
    let balanced = |asked: &mut PartialSettings| {
        asked.class_weights = Some(mmc_run::ClassWeights::Balanced);
    };
    let plan = bench.plan(balanced);
    let mmc_ops::Objective::CrossEntropy { class_weights: Some(weights), .. } =
        plan.objective().unwrap()
    else {
        panic!("expected weights")
    };
    // 4 / (2 × 3) and 4 / (2 × 1).
    assert_eq!(weights, [2.0 / 3.0, 2.0]);
    let mut asked = bench.asked();
    balanced(&mut asked);
    asked.labels = Some(["x", "y", "z"].map(str::to_owned).to_vec());
    let error = resolve(PartialSettings::default(), asked).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("`z`"), "{error}");
}

#[test]
fn a_rate_that_blows_up_is_an_error_and_the_state_stays() {
    let bench = Bench::new();
    let plan = bench.plan(|asked| {
        asked.learning_rate = Some(1e30);
        asked.warmup_ratio = Some(0.0);
        asked.save_every = Some(1);
    });
    let folder = RunFolder::create(&bench.out("run")).unwrap();
    let error = train(&plan, &folder, &AtomicBool::new(false), &mut |_| ()).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("step") && message.contains("`train"), "{message}");
    assert!(folder.state().join("step-1").is_dir());
    assert!(
        message.contains("the state of step") && message.contains("another folder"),
        "{message}"
    );
}

/// All warnings and notes of a sitting.
fn told(plan: &Plan, out: &Path) -> (Result<Outcome, TrainError>, Vec<String>) {
    let folder = RunFolder::resume(out).unwrap();
    let mut words = Vec::new();
    let outcome = train(plan, &folder, &AtomicBool::new(false), &mut |event| {
        if let Progress::Warning(text) = event {
            words.push(text.to_owned());
        }
    });
    (outcome, words)
}

#[test]
fn cut_texts_are_counted_once_and_told() {
    let bench = Bench::new();
    let short = |asked: &mut PartialSettings| {
        asked.max_length = Some(6);
        asked.save_every = Some(1);
    };
    let plan = bench.plan(short);
    let out = bench.out("run");
    // Stopped within the first epoch: the count is part of the state.
    bench.sit(&plan, "run", Some(2));
    let (outcome, words) = told(&plan, &out);
    outcome.unwrap();
    let folder = RunFolder::open(&out).unwrap();
    // Each text has three to six fillers and a cue; all are words of the run's own vocabulary.
    for (name, split) in [("train", &plan.train), ("test", plan.test.as_ref().unwrap())] {
        let long = split.iter().filter(|item| item.text.split(' ').count() > 4).count();
        assert!(long > 0 && long < split.len());
        assert_eq!(folder.cost().unwrap().cut_texts[name], long, "{name}");
        let expected = format!("{long} of {} texts of `{name}`", split.len());
        let said: Vec<_> = words.iter().filter(|words| words.starts_with(&expected)).collect();
        assert_eq!(said.len(), 1, "{words:?}");
        assert!(said[0].ends_with("are longer than 6 tokens and were cut"), "{said:?}");
    }
    bench.run("whole", |_| ());
    let whole = RunFolder::open(&bench.out("whole")).unwrap().cost().unwrap();
    assert!(whole.cut_texts.values().all(|&count| count == 0));
    assert_eq!(whole.cut_texts.len(), 3);
}

#[test]
fn a_checkpoint_says_how_its_inputs_were_prepared() {
    let bench = Bench::new();
    bench.run("run", |asked| {
        asked.max_length = Some(12);
        asked.pad = Some(mmc_run::Pad::Max);
        asked.shard_rows = Some(5);
    });
    let path = bench.out("run").join("checkpoint/mmc.json");
    let notes: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!((&notes["max_length"], &notes["shard_rows"]), (&12.into(), &5.into()));
    assert_eq!((&notes["pad"], &notes["preset"]), (&"max".into(), &"bert-tiny".into()));
}

#[test]
fn more_steps_than_can_be_counted_are_refused() {
    let bench = Bench::new();
    let mut asked = bench.asked();
    asked.epochs = Some(1 << 62);
    let error = resolve(PartialSettings::default(), asked).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("lower `--epochs`"), "{error}");
}

#[test]
fn one_list_of_defaults_is_kept() {
    let bench = Bench::new();
    assert_eq!(bench.plan(|_| ()).settings.keep_states, 2);
}
