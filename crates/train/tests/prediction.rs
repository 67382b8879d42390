//! Prediction and embedding through a real model, and items that cannot be used.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail as tests do")]

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use candle_core::Device;
use mmc_data::{Arm, OnBadItem, Split, demo};
use mmc_models::{FreshHead, LoadRequest, Loaded};
use mmc_preprocess::Processor;
use mmc_run::{PartialSettings, RunFolder};
use mmc_train::{
    Outcome, Plan, PredictOptions, Progress, embed, predict, predict_until, resolve, train,
};

/// 24, 8 and 8 memes whose label needs picture and text.
fn write_memes(folder: &Path) {
    let truth = demo::Truth::Interaction;
    let set = demo::DemoSet { train: 24, dev: 8, test: 8, ..demo::DemoSet::new(truth, 1) };
    demo::write(&set, folder).unwrap();
}

fn plan(root: &Path, on_bad_item: OnBadItem) -> Plan {
    let asked = PartialSettings {
        model: Some("vilt-tiny".to_owned()),
        dataset: Some("hateful_memes".to_owned()),
        data_root: Some(root.display().to_string()),
        arm: Some(Arm::Both),
        epochs: Some(1),
        batch_size: Some(8),
        on_bad_item: Some(on_bad_item),
        ..PartialSettings::default()
    };
    resolve(PartialSettings::default(), asked).unwrap()
}

fn load(plan: &Plan, folder: &RunFolder) -> (Loaded, Arc<Processor>) {
    let checkpoint = folder.checkpoint();
    let loaded = mmc_models::load(&LoadRequest {
        folder: &checkpoint,
        labels: plan.classes(),
        arm: None,
        head: None,
        fresh_head: FreshHead::Refused,
        dropout: None,
        device: &Device::Cpu,
    });
    let processor = Processor::from_folder(&checkpoint, Arm::Both).unwrap();
    (loaded.unwrap(), Arc::new(processor.with_max_length(plan.settings.max_length)))
}

fn run(plan: &Plan, folder: &RunFolder, notes: &mut Vec<String>) -> Outcome {
    train(plan, folder, &AtomicBool::new(false), &mut |event| {
        if let Progress::Warning(note) = event {
            notes.push(note.to_owned());
        }
    })
    .unwrap()
}

#[test]
fn the_checkpoint_predicts_what_the_run_wrote() {
    let root = tempfile::tempdir().unwrap();
    write_memes(root.path());
    let plan = plan(root.path(), OnBadItem::Error);
    let folder = RunFolder::create(&root.path().join("run")).unwrap();
    run(&plan, &folder, &mut Vec::new());
    let (loaded, processor) = load(&plan, &folder);
    let split = plan.test.clone().unwrap();
    let options = PredictOptions::new(plan.classes().to_vec());
    let mut done = Vec::new();
    let model = loaded.model.as_ref();
    let found =
        predict(model, &processor, &split, &options, &mut |items| done.push(items)).unwrap();
    assert_eq!((found.cut_texts, found.skipped.len()), (0, 0));
    let found = found.predictions;
    assert_eq!(found, folder.predictions("test_unseen").unwrap());
    assert_eq!(done, [8]);

    let (three, none) = (PredictOptions { rows: 3, workers: 0, ..options.clone() }, &mut |_| ());
    let cut = predict(model, &processor, &split, &three, none).unwrap().predictions;
    for (row, other) in found.rows.iter().zip(&cut.rows) {
        assert_eq!((&row.id, &row.label), (&other.id, &other.label));
        for (one, two) in row.probabilities.iter().zip(&other.probabilities) {
            assert!((one - two).abs() < 1e-6, "batch-mates change nothing beyond rounding");
        }
    }

    // Forwards of 3, 3 and 2 rows.
    for (last, ends) in [(3, true), (6, true), (8, false)] {
        let mut done = Vec::new();
        let tell = &mut |rows| {
            done.push(rows);
            if rows == last { ControlFlow::Break(rows) } else { ControlFlow::Continue(()) }
        };
        let found = predict_until(model, &processor, &split, &three, tell).unwrap();
        assert_eq!(done, [3, 6, 8].into_iter().filter(|rows| *rows <= last).collect::<Vec<_>>());
        match found {
            ControlFlow::Break(rows) => assert!(ends && rows == last),
            ControlFlow::Continue(found) => assert!(!ends && found.predictions == cut),
        }
    }

    let short = Processor::from_folder(&folder.checkpoint(), Arm::Both).unwrap();
    let short = Arc::new(short.with_max_length(3));
    assert_eq!(predict(model, &short, &split, &options, none).unwrap().cut_texts, 8);
    assert_eq!(embed(model, &short, &split, &options, none).unwrap().cut_texts, 8);

    let embedded = embed(model, &processor, &split, &options, none).unwrap();
    assert_eq!(embedded.ids, found.rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>());
    assert_eq!(embedded.rows.dims()[0], 8);
    let nothing = Arc::new(Split::of_inputs(Path::new("none.csv"), Vec::new()));
    assert!(
        predict(model, &processor, &nothing, &options, none).unwrap().predictions.rows.is_empty()
    );
    let error = embed(model, &processor, &nothing, &options, none).unwrap_err();
    assert!(error.to_string().contains("none.csv"), "{error}");
}

#[test]
fn a_picture_that_cannot_be_decoded_ends_the_run_or_is_counted() {
    let root = tempfile::tempdir().unwrap();
    write_memes(root.path());
    for split in ["train", "test_unseen"] {
        let text = fs::read_to_string(root.path().join(format!("{split}.jsonl"))).unwrap();
        let row: serde_json::Value = serde_json::from_str(text.lines().nth(2).unwrap()).unwrap();
        let picture = root.path().join(row["img"].as_str().unwrap());
        let bytes = fs::read(&picture).unwrap();
        fs::write(&picture, &bytes[..bytes.len() / 3]).unwrap();
    }
    let folder = RunFolder::create(&root.path().join("strict")).unwrap();
    let strict = plan(root.path(), OnBadItem::Error);
    let error = train(&strict, &folder, &AtomicBool::new(false), &mut |_| ()).unwrap_err();
    // Several captions may share a picture; whichever came first is named.
    let ids_of = |split: &Split| {
        let damaged = &split.samples[2].image;
        let rows = split.iter().filter(|item| item.image == *damaged);
        rows.map(|item| item.id.clone()).collect::<Vec<_>>()
    };
    let (train_ids, test_ids) = (ids_of(&strict.train), ids_of(strict.test.as_ref().unwrap()));
    let message = error.to_string();
    assert!(train_ids.iter().any(|id| message.starts_with(&format!("`{id}`: "))), "{message}");
    assert!(!folder.is_complete());

    let folder = RunFolder::create(&root.path().join("lenient")).unwrap();
    let mut notes = Vec::new();
    run(&plan(root.path(), OnBadItem::Skip), &folder, &mut notes);
    let notes = notes.join("\n");
    let (train, test) = (train_ids.len(), test_ids.len());
    let words = format!("{train} of 24 items of `train` cannot be used and were skipped: `");
    assert!(notes.contains(&words), "{notes}");
    assert!(notes.contains(&format!("{test} of 8 items of `test_unseen` cannot be")), "{notes}");
    let skipped = folder.cost().unwrap().skipped_items;
    assert_eq!((skipped["train"], skipped["test_unseen"]), (train, test));
    assert_eq!(folder.predictions("test_unseen").unwrap().rows.len(), 8 - test);
    assert_eq!(folder.steps().unwrap().len(), 3, "skipping changes no number of steps");
}

/// Damages the pictures of the training rows at these indices.
fn damage(root: &Path, plan: &Plan, rows: impl Iterator<Item = usize>) {
    for row in rows {
        let Some(mmc_data::ImageSource::File(path)) = &plan.train.samples[row].image else {
            panic!("row {row} has no picture file")
        };
        assert!(path.starts_with(root));
        fs::write(path, b"no picture").unwrap();
    }
}

#[test]
fn a_step_of_bad_items_only_is_passed_over() {
    let root = tempfile::tempdir().unwrap();
    write_memes(root.path());
    let plan = {
        let asked = PartialSettings {
            model: Some("vilt-tiny".to_owned()),
            dataset: Some("hateful_memes".to_owned()),
            data_root: Some(root.path().display().to_string()),
            arm: Some(Arm::Both),
            epochs: Some(2),
            batch_size: Some(1),
            save_every: Some(1),
            on_bad_item: Some(OnBadItem::Skip),
            ..PartialSettings::default()
        };
        resolve(PartialSettings::default(), asked).unwrap()
    };
    damage(root.path(), &plan, [5].into_iter());
    let folder = RunFolder::create(&root.path().join("run")).unwrap();
    let mut notes = Vec::new();
    run(&plan, &folder, &mut notes);
    let steps = folder.steps().unwrap();
    assert_eq!(steps.iter().map(|at| at.step).collect::<Vec<_>>(), (1..=48).collect::<Vec<_>>());
    let empty: Vec<_> = steps.iter().filter(|at| at.loss.is_none()).collect();
    let skipped = folder.cost().unwrap().skipped_items["train"];
    assert!(skipped > 0 && empty.len() == 2 * skipped, "{} of {skipped}", empty.len());
    assert!(empty.iter().all(|at| at.grad_norm.is_none() && at.learning_rate >= 0.0));
    let id = &plan.train.samples[5].id;
    let told = notes.iter().any(|note| {
        note.contains("no item could be used, so it changed nothing") && note.contains(id.as_str())
    });
    assert!(told, "{notes:?}");

    // Stopped right after such a step, it ends in the same bytes.
    let other = RunFolder::create(&root.path().join("other")).unwrap();
    let stop = AtomicBool::new(false);
    let outcome = train(&plan, &other, &stop, &mut |event| {
        if let Progress::Step { record, .. } = event
            && record.loss.is_none()
        {
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    });
    assert!(matches!(outcome, Ok(Outcome::Interrupted { .. })));
    run(&plan, &other, &mut Vec::new());
    let weights =
        |folder: &RunFolder| fs::read(folder.checkpoint().join("model.safetensors")).unwrap();
    assert!(weights(&folder) == weights(&other));
    assert_eq!(other.cost().unwrap().skipped_items, folder.cost().unwrap().skipped_items);

    damage(root.path(), &plan, 0..24);
    let bad = RunFolder::create(&root.path().join("bad")).unwrap();
    let error = train(&plan, &bad, &AtomicBool::new(false), &mut |_| ()).unwrap_err();
    assert!(error.to_string().starts_with("none of the training items could be used"), "{error}");
}
