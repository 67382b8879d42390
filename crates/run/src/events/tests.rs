use std::collections::BTreeMap;

use super::*;

fn step(step: u64) -> StepRecord {
    StepRecord {
        step,
        epoch: 1,
        loss: Some(0.5 + step as f64),
        learning_rate: 1e-3,
        grad_norm: (step != 2).then_some(2.0),
        learning_rates: Vec::new(),
        grad_norms: vec![1.0, 0.25],
        samples_per_second: 10.0,
        items: None,
        loader_wait_seconds: 0.0,
        loss_scale: None,
        skipped: None,
    }
}

fn evaluation(step: u64) -> EvalRecord {
    let scores = BTreeMap::from([("auroc".to_owned(), None), ("accuracy".to_owned(), Some(0.75))]);
    EvalRecord { step, epoch: 1, split: "val".to_owned(), items: 4, loss: Some(0.7), scores }
}

fn folder() -> (tempfile::TempDir, RunFolder) {
    let place = tempfile::tempdir().unwrap();
    let run = RunFolder::create(&place.path().join("run")).unwrap();
    (place, run)
}

/// `(step, tag, value)` of the one event file.
fn scalars(run: &RunFolder) -> Vec<(i64, String, f32)> {
    let files = event_files(&run.tensorboard()).unwrap();
    assert_eq!(files.len(), 1, "{files:?}");
    let found = events(&fs::read(&files[0]).unwrap());
    assert_eq!(found[0].file_version.as_deref(), Some(VERSION));
    let values = |event: Event| {
        let step = event.step;
        let values = event.summary.unwrap_or_default().value;
        values.into_iter().map(move |value| (step, value.tag, value.simple_value.unwrap()))
    };
    found.into_iter().flat_map(values).collect()
}

/// The vector of RFC 3720, B.4: 32 bytes of zeros.
#[test]
fn checksums_are_crc_32c() {
    assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
}

#[test]
fn records_are_found_as_scalars() {
    let (_place, run) = folder();
    let mut log = EventLog::begin(&run).unwrap();
    log.step(&step(1)).unwrap();
    log.step(&step(2)).unwrap();
    log.evaluation(&evaluation(2)).unwrap();
    let found = scalars(&run);
    let has = |step: i64, tag: &str, value: f32| found.contains(&(step, tag.to_owned(), value));
    assert!(has(1, "train/loss", 1.5) && has(2, "train/loss", 2.5));
    assert!(has(1, "train/grad_norm/below_head_1", 0.25));
    assert!(has(2, "val/accuracy", 0.75) && has(2, "val/loss", 0.7));
    let absent =
        |tag: &str, at: i64| !found.iter().any(|(step, name, _)| name == tag && *step == at);
    assert!(absent("val/auroc", 2) && absent("train/grad_norm", 2) && absent("train/skipped", 1));
}

#[test]
fn a_sitting_begins_with_what_the_records_hold() {
    let (_place, run) = folder();
    let mut log = EventLog::begin(&run).unwrap();
    for at in 1..=3 {
        run.append_step(&step(at)).unwrap();
        log.step(&step(at)).unwrap();
    }
    run.append_evaluation(&evaluation(3)).unwrap();
    let before = event_files(&run.tensorboard()).unwrap();
    let times = |path: &Path| -> Vec<f64> {
        events(&fs::read(path).unwrap()).iter().skip(2).map(|event| event.wall_time).collect()
    };
    let known = times(&before[0]);
    // Killed while it wrote: the last event is torn, and the state is that of step 2.
    let whole = fs::read(&before[0]).unwrap();
    fs::write(&before[0], &whole[..whole.len() - 5]).unwrap();
    fs::write(run.tensorboard().join(".writing-abc"), "half").unwrap();
    run.truncate_after(2).unwrap();

    let mut log = EventLog::begin(&run).unwrap();
    log.step(&step(3)).unwrap();
    let after = event_files(&run.tensorboard()).unwrap();
    assert!(after.len() == 1 && after[0] > before[0], "{after:?}");
    assert_eq!(times(&after[0])[..2], known[..2]);
    let losses: Vec<i64> =
        scalars(&run).iter().filter(|one| one.1 == "train/loss").map(|one| one.0).collect();
    assert_eq!(losses, [1, 2, 3]);
    assert!(!run.tensorboard().join(".writing-abc").exists());
}
