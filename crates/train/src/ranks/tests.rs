//! Runs that ranks share, as threads of this process: what they find is what one process finds.

pub(crate) mod hub;
mod interrupts;
mod place;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use mmc_run::{PartialSettings, RunFolder};

use super::*;
use crate::{Outcome, Progress, resolve, train};
use hub::on_ranks;
use place::Place;

#[test]
fn messages_arrive_whatever_their_length() {
    for count in 1..=4 {
        let all = on_ranks(count, |ranks| {
            let rank = ranks.rank();
            let lengths = [0, 3 * rank, if rank == 1 { 2 * PIECE + 5 } else { rank }];
            for length in lengths {
                let own = vec![rank as u8 + 1; length];
                for (other, bytes) in ranks.gather_bytes(own).unwrap().iter().enumerate() {
                    assert!(bytes.iter().all(|byte| *byte == other as u8 + 1));
                    if other == rank {
                        assert_eq!(bytes.len(), length);
                    }
                }
            }
            assert!(ranks.any(rank + 1 == count).unwrap() && !ranks.any(false).unwrap());
            let words = format!("of rank {rank}{}", "!".repeat(rank));
            assert_eq!(ranks.broadcast_value(words).unwrap(), "of rank 0");
            let mut bytes = vec![rank as u8; PIECE + 1];
            ranks.broadcast(&mut bytes).unwrap();
            assert!(bytes.iter().all(|byte| *byte == 0));
            let shares: Vec<usize> = (0..7).filter(|&it| ranks.share().takes(it)).collect();
            assert_eq!(shares.len(), ranks.share().of(7));
            assert_eq!(
                shares,
                (0..shares.len()).map(|it| ranks.share().number(it)).collect::<Vec<_>>()
            );
            shares
        });
        let mut shares = all.concat();
        shares.sort_unstable();
        assert_eq!(shares, [0, 1, 2, 3, 4, 5, 6]);
    }
}

/// A run of `asked` in `out` on so many ranks. `stop` is asked at each rank after each step that it
/// takes whether to end the sitting.
fn sitting(
    count: usize,
    (asked, out): (&PartialSettings, &Path),
    stop: impl Fn(usize, u64) -> bool + Sync,
) -> Vec<Result<Outcome, String>> {
    watched_sitting(count, (asked, out), |rank, news| match news {
        Progress::Step { record, .. } => stop(rank, record.step),
        _ => false,
    })
}

/// The same, where `stop` is asked at each rank at whatever it is told.
fn watched_sitting(
    count: usize,
    (asked, out): (&PartialSettings, &Path),
    stop: impl Fn(usize, &Progress<'_>) -> bool + Sync,
) -> Vec<Result<Outcome, String>> {
    on_ranks(count, |ranks| {
        let rank = ranks.rank();
        let plan = resolve(PartialSettings::default(), asked.clone()).unwrap().among(ranks);
        let plan = plan.map_err(|error| error.to_string())?;
        let own = tempfile::tempdir().unwrap();
        let folder = RunFolder::resume(if rank == 0 { out } else { own.path() }).unwrap();
        let interrupt = AtomicBool::new(false);
        let tell = &mut |news: Progress<'_>| {
            interrupt.fetch_or(stop(rank, &news), Ordering::Relaxed);
        };
        train(&plan, &folder, &interrupt, tell).map_err(|error| error.to_string())
    })
}

/// The same to its end.
fn finish(count: usize, run: (&PartialSettings, &Path)) {
    for (rank, outcome) in sitting(count, run, |_, _| false).into_iter().enumerate() {
        match outcome.unwrap() {
            Outcome::Finished(_) if rank == 0 => {}
            Outcome::Shared if rank > 0 => {}
            other => panic!("rank {rank} of {count}: {other:?}"),
        }
    }
}

/// All that a run found, without times, by file.
fn found(run: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for name in [
        "initial/model.safetensors",
        "initial/tokenizer.json",
        "checkpoint/model.safetensors",
        "checkpoint/mmc.json",
        "predictions/val.jsonl",
        "predictions/test.jsonl",
        "eval.jsonl",
        "scores.json",
    ] {
        all.push((name.to_owned(), fs::read(run.join(name)).unwrap()));
    }
    for step in RunFolder::open(run).unwrap().steps().unwrap() {
        let what = (step.loss, step.learning_rate, step.grad_norm, step.grad_norms);
        let scale = (step.epoch, step.loss_scale, step.skipped);
        all.push((format!("step {}", step.step), format!("{what:?} {scale:?}").into_bytes()));
    }
    let cost = RunFolder::open(run).unwrap().cost().unwrap();
    let left_out = format!("{:?} {:?}", cost.cut_texts, cost.skipped_items);
    all.push(("cost.json".to_owned(), left_out.into_bytes()));
    all
}

fn assert_same(one: &Path, other: &Path, what: &str) {
    let (ours, theirs) = (found(one), found(other));
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for ((name, bytes), (_, others)) in ours.iter().zip(&theirs) {
        assert!(bytes == others, "{what}: {name} differs");
    }
}

#[test]
fn any_number_of_ranks_makes_the_bytes_of_one_process() {
    let place = Place::new();
    let of = |model: &str| place.asked(model);
    let ways = [
        ("bert", of("bert-tiny")),
        ("roberta", of("roberta-tiny")),
        ("clip", of("clip-tiny")),
        ("flava", of("flava-tiny")),
        ("vilt", of("vilt-tiny")),
        (
            "checkpointing and f16",
            PartialSettings {
                gradient_checkpointing: Some(mmc_run::GradientCheckpointing::All),
                precision: Some(mmc_run::Precision::F16),
                ..of("vilt-tiny")
            },
        ),
        ("frozen", PartialSettings { freeze: Some(mmc_run::Freeze::Backbone), ..of("clip-tiny") }),
        ("LoRA", PartialSettings { lora_rank: Some(2), ..of("flava-tiny") }),
    ];
    for (name, asked) in &ways {
        let run = |count: usize| place.path(&format!("{name} {count}"));
        for count in 1..=3 {
            finish(count, (asked, &run(count)));
        }
        for count in 2..=3 {
            assert_same(&run(1), &run(count), &format!("{name}, {count} ranks"));
        }
    }
}

/// On the CPU here: what differs on CUDA is where tensors lie.
#[test]
fn devices_of_one_process_with_a_model_each_make_the_same_bytes() {
    let place = Place::new();
    let asked = place.asked("vilt-tiny");
    finish(1, (&asked, &place.path("one")));
    let plan = |devices: usize| {
        let plan = resolve(PartialSettings::default(), asked.clone()).unwrap();
        crate::Plan { beside: vec![candle_core::Device::Cpu; devices - 1], ..plan }
    };
    let run = |devices: usize, name: &str, until: u64| {
        let folder = RunFolder::resume(&place.path(name)).unwrap();
        let interrupt = AtomicBool::new(false);
        let tell = &mut |news: Progress<'_>| {
            if let Progress::Step { record, .. } = news {
                interrupt.fetch_or(record.step == until, Ordering::Relaxed);
            }
        };
        train(&plan(devices), &folder, &interrupt, tell)
    };
    assert!(matches!(run(3, "three", u64::MAX).unwrap(), Outcome::Finished(_)));
    assert_same(&place.path("one"), &place.path("three"), "three devices");
    for (devices, until) in [(2, 1), (1, 2), (3, 4)] {
        let outcome = run(devices, "stopped", until).unwrap();
        assert!(matches!(outcome, Outcome::Interrupted { step } if step == until), "{outcome:?}");
    }
    run(2, "stopped", u64::MAX).unwrap();
    assert_same(&place.path("one"), &place.path("stopped"), "stopped three times");

    place.break_picture("train", 5); // whichever device it comes to, the run's error names it
    for devices in [2, 3] {
        let error = run(devices, &format!("ended {devices}"), u64::MAX).unwrap_err().to_string();
        assert!(error.contains("train5.png"), "{error}");
    }
}

/// At any step, be it that rank 0 or another is asked to stop.
#[test]
fn a_run_goes_on_with_another_number_of_ranks() {
    let place = Place::new();
    let asked = place.asked("vilt-tiny");
    finish(1, (&asked, &place.path("whole")));
    let stopped = place.path("stopped");
    for (count, rank, last) in [(2, 0, 1), (3, 2, 2), (1, 0, 3), (3, 1, 5)] {
        let outcomes = sitting(count, (&asked, &stopped), |at, step| at == rank && step == last);
        for outcome in outcomes {
            let Outcome::Interrupted { step } = outcome.unwrap() else { panic!("it went on") };
            assert_eq!(step, last);
        }
    }
    finish(2, (&asked, &stopped));
    assert_same(&place.path("whole"), &stopped, "stopped four times");
    for outcome in sitting(2, (&asked, &stopped), |_, _| false) {
        assert!(matches!(outcome.unwrap(), Outcome::AlreadyComplete));
    }
}

#[test]
fn items_that_cannot_be_used_are_left_out_or_end_all() {
    let place = Place::new();
    for (split, rows) in [("train", &[3, 4, 5, 6, 20][..]), ("val", &[0, 1, 9]), ("test", &[11])] {
        for &row in rows {
            place.break_picture(split, row);
        }
    }
    let on_bad_item = Some(mmc_data::OnBadItem::Skip);
    let asked = PartialSettings { on_bad_item, ..place.asked("vilt-tiny") };
    let freeze = Some(mmc_run::Freeze::Backbone);
    let frozen = PartialSettings { on_bad_item, freeze, ..place.asked("clip-tiny") };
    for (name, asked) in [("whole", &asked), ("frozen", &frozen)] {
        let run = |count: usize| place.path(&format!("{name} {count}"));
        for count in 1..=3 {
            finish(count, (asked, &run(count)));
        }
        for count in 2..=3 {
            assert_same(&run(1), &run(count), &format!("{name}, {count} ranks"));
        }
        let cost = RunFolder::open(&run(1)).unwrap().cost().unwrap();
        assert_eq!(cost.skipped_items["train"], 5);
        assert!(cost.cut_texts["train"] > 0, "some are longer than 16 tokens");
    }
    let outcomes = sitting(3, (&place.asked("vilt-tiny"), &place.path("ended")), |_, _| false);
    let said: Vec<String> = outcomes.into_iter().map(|outcome| outcome.unwrap_err()).collect();
    assert!(said.iter().any(|said| said.contains(".png")), "{said:?}");
}

#[test]
fn what_ranks_differ_in_is_named_at_each() {
    let (place, other) = (Place::new(), Place::new());
    other.edit("val.csv", "label\n", "label\nmore,a text,,up\n");
    other.edit("test.csv", "number 0", "number 100");
    let own = place.asked("bert-tiny");
    let elsewhere =
        PartialSettings { data_root: other.asked("bert-tiny").data_root, ..own.clone() };
    let more = PartialSettings { seed: Some(4), batch_size: Some(8), ..own.clone() };
    let two = |plan: crate::Plan| crate::Plan { cpu_devices: 2, ..plan };
    let cases: [(&PartialSettings, &[&str]); 3] = [
        (&more, &["rank 2 differs", "`seed` is `4`, at rank 0 `0`", "`batch_size` is `8`"]),
        (&elsewhere, &["split is val (13 items", "at rank 0 val (12 items", "the test split"]),
        (&own, &["`--devices`", "one device each"]),
    ];
    for (asked, words) in cases {
        let said = on_ranks(3, |ranks| {
            let mine = if ranks.rank() == 2 { asked } else { &own };
            let plan = resolve(PartialSettings::default(), mine.clone()).unwrap();
            let plan = if asked == &own { two(plan) } else { plan };
            let error = plan.among(ranks).unwrap_err();
            assert!(error.is_usage());
            error.to_string()
        });
        assert!(said.iter().all(|one| *one == said[0]), "{said:?}");
        for word in words {
            assert!(said[0].contains(word), "{} lacks {word}", said[0]);
        }
    }
    let few = sitting(5, (&own, &place.path("few")), |_, _| false);
    let said = few.into_iter().next().unwrap().unwrap_err();
    assert!(said.contains("5 ranks") && said.contains("has 4 shards"), "{said}");
}

#[test]
fn other_weights_or_another_checkpoint_are_named() {
    let place = Place::new();
    finish(1, (&place.asked("bert-tiny"), &place.path("base")));
    let base = place.path("base/checkpoint");
    for (file, word) in
        [("tokenizer.json", "`tokenizer.json`"), ("model.safetensors", "after step 0")]
    {
        let copy = place.path(&format!("copy of {file}"));
        fs::create_dir(&copy).unwrap();
        for entry in fs::read_dir(&base).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
            }
        }
        let mut bytes = fs::read(copy.join(file)).unwrap();
        if file == "model.safetensors" {
            let last = bytes.len() - 4;
            bytes[last] ^= 1;
        } else {
            bytes.push(b'\n');
        }
        fs::write(copy.join(file), bytes).unwrap();
        let said = on_ranks(2, |ranks| {
            let folder = if ranks.rank() == 1 { &copy } else { &base };
            let own = tempfile::tempdir().unwrap();
            let asked = PartialSettings {
                checkpoint: Some(folder.display().to_string()),
                ..place.asked("bert-tiny")
            };
            let mut plan = resolve(PartialSettings::default(), asked).unwrap();
            plan.settings.checkpoint = "the same".to_owned(); // such as a path on each machine's disk
            let plan = plan.among(ranks).unwrap();
            let folder = RunFolder::create(&own.path().join("run")).unwrap();
            let ended = train(&plan, &folder, &AtomicBool::new(false), &mut |_| ());
            ended.unwrap_err().to_string()
        });
        assert_eq!(said[0], said[1]);
        assert!(said[0].contains("rank 1") && said[0].contains(word), "{}", said[0]);
    }
}
