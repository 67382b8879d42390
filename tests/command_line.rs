//! What a user types and what comes back: the built program, run in a fresh folder. Here are the
//! tests of the invariants; what else is promised is in the folder beside this file.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on stops"
)]

#[path = "command_line/answers.rs"]
mod answers;
#[path = "command_line/archives.rs"]
mod archives;
#[path = "command_line/bad_input.rs"]
mod bad_input;
#[path = "command_line/diagnose.rs"]
mod diagnose;
#[path = "command_line/full_disk.rs"]
mod full_disk;
#[path = "command_line/help.rs"]
mod help;
#[path = "command_line/interrupts.rs"]
mod interrupts;
#[path = "command_line/language.rs"]
mod language;
#[path = "command_line/lengths.rs"]
mod lengths;
#[path = "command_line/place.rs"]
mod place;
#[path = "command_line/plan.rs"]
mod plan;
#[path = "command_line/plan_memory.rs"]
mod plan_memory;
#[path = "command_line/power.rs"]
mod power;
#[path = "command_line/precision.rs"]
mod precision;
#[path = "command_line/prediction_files.rs"]
mod prediction_files;
#[path = "command_line/ranks.rs"]
mod ranks;
#[path = "command_line/resumed.rs"]
mod resumed;
#[path = "command_line/round_trip.rs"]
mod round_trip;
#[path = "command_line/search.rs"]
mod search;
#[path = "command_line/trained.rs"]
mod trained;

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mmc_random::{Purpose, below, generator};
use serde_json::Value;

use bad_input::{TRAIN, fails};
use place::{Place, finish, workspace};

/// What a run found: every file but those that hold times.
fn found(place: &Place, run: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = place.files(run);
    files.retain(|name, _| {
        name.starts_with("checkpoint/")
            || name.starts_with("predictions/")
            || name.starts_with("initial/")
            || name == "scores.json"
            || name == "eval.jsonl"
    });
    assert!(
        files.contains_key("checkpoint/model.safetensors") && files.contains_key("scores.json")
    );
    files
}

/// The records of the steps, without times.
fn steps(place: &Place, run: &str) -> Vec<[Value; 5]> {
    let text = place.read(&format!("{run}/train.jsonl"));
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| {
        ["step", "epoch", "loss", "learning_rate", "grad_norm"].map(|key| row[key].clone())
    })
    .collect()
}

fn assert_same(place: &Place, run: &str, other: &str) {
    assert_eq!(steps(place, run), steps(place, other), "{other}: the steps differ from {run}");
    let (ours, theirs) = (found(place, run), found(place, other));
    assert!(ours.keys().eq(theirs.keys()), "{:?} and {:?}", ours.keys(), theirs.keys());
    for (name, bytes) in &ours {
        assert!(theirs[name] == *bytes, "{other}/{name} differs from {run}/{name}");
    }
}

/// The lines that are whole in `train.jsonl`.
fn steps_done(place: &Place, run: &str) -> usize {
    let path = place.path(&format!("{run}/train.jsonl"));
    fs::read_to_string(path).map_or(0, |text| text.matches('\n').count())
}

/// Runs `train` whole and killed this many times, and compares what the two found.
fn kill_and_resume(place: &Place, train: &str, kills: u64) {
    place.mmc(&format!("{train} --out whole")).done();
    let mut random = generator(20_261_123, Purpose::Demo, 0, 0);
    let mut killed_at = Vec::new();
    for kill in 0..kills {
        let target = steps_done(place, "killed") + below(11, &mut random);
        let pause = Duration::from_millis(below(40, &mut random) as u64);
        let mut command = place.command(&format!("{train} --out killed --resume"));
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let patience = Instant::now();
        while steps_done(place, "killed") < target && child.try_wait().unwrap().is_none() {
            assert!(patience.elapsed() < Duration::from_secs(120), "kill {kill}: no progress");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(pause);
        child.kill().unwrap(); // SIGKILL
        let status = child.wait().unwrap();
        assert!(!status.success(), "kill {kill}: the run ended before it was killed");
        killed_at.push(steps_done(place, "killed"));
    }
    place.mmc(&format!("{train} --out killed --resume")).done();
    eprintln!("killed after steps {killed_at:?}");
    assert_same(place, "whole", "killed");
}

#[test]
fn killed_and_resumed_runs_end_identical() {
    let place = Place::new();
    let emoji = workspace().join("data/emoji");
    let train = format!(
        "train --model bert-tiny --dataset table --data-root {} --max-steps 120 --save-every 4 \
         --dropout 0.1 --keep best --workers 2",
        emoji.display()
    );
    kill_and_resume(&place, &train, 10);
    assert_eq!(steps_done(&place, "whole"), 120);

    let before = place.files("killed");
    place.mmc(&format!("{train} --out killed --resume")).done();
    assert!(before == place.files("killed"), "--resume on a complete run changes nothing");
}

/// What a frozen backbone makes of the items is computed anew; LoRA's matrices are not merged yet.
#[test]
fn killed_and_resumed_variants_end_identical() {
    for (variant, steps) in [("--freeze backbone", 800), ("--lora-rank 4 --layer-decay 0.8", 200)] {
        let place = Place::with_table();
        let train = format!(
            "train --model vilt-tiny --dataset table --data-root data --max-steps {steps} \
             --save-every 3 --dropout 0.1 --keep best {variant}"
        );
        kill_and_resume(&place, &train, 4);
    }
}

/// The ways of `cargo xtask kills`, with eight kills in all.
#[test]
fn killed_runs_on_several_devices_and_in_16_bits_end_identical() {
    for way in [
        "--devices cpu,cpu --gradient-checkpointing",
        "--devices cpu,cpu --precision bf16",
        "--precision bf16 --gradient-checkpointing",
        "--devices cpu,cpu --precision bf16 --gradient-checkpointing=1",
    ] {
        let place = Place::with_table();
        let train = format!(
            "train --model vilt-tiny --dataset table --data-root data --max-steps 90 --shard-rows 3 \
             --save-every 3 --dropout 0.1 --keep best {way}"
        );
        kill_and_resume(&place, &train, 2);
    }
}

#[test]
fn the_first_interrupt_saves_the_state_and_says_how_to_go_on() {
    let place = Place::with_table();
    let train = "train --model bert-tiny --dataset table --data-root data --max-steps 400 \
                 --save-every 1000";
    place.mmc(&format!("{train} --out whole")).done();
    let child =
        place.command(&format!("{train} --out stopped")).stderr(Stdio::piped()).spawn().unwrap();
    while steps_done(&place, "stopped") < 3 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(sent.success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("--resume"), "{said}");
    let done = steps_done(&place, "stopped");
    assert!(done < 400, "it was stopped before its end");
    let resumed = place.mmc(&format!("{train} --out stopped --resume"));
    assert!(resumed.stderr.contains(&format!("after step {done}")), "{}", resumed.stderr);
    resumed.done();
    assert_same(&place, "whole", "stopped");
}

#[test]
fn what_computes_and_how_it_is_cut_changes_no_byte() {
    let place = Place::with_table();
    let emoji = workspace().join("data/emoji");
    let emoji = format!("--model bert-tiny --data-root {} --max-steps 40", emoji.display());
    let small = "--model vilt-tiny --data-root data --epochs 3".to_owned();
    let frozen = "--model clip-tiny --data-root data --epochs 3 --freeze backbone".to_owned();
    let lora = "--model flava-tiny --data-root data --epochs 2 --lora-rank 4".to_owned();
    let runs = [("bert", emoji), ("vilt", small), ("frozen", frozen), ("lora", lora)];
    for (model, what) in runs {
        let train = format!(
            "train --dataset table {what} --dropout 0.1 --learning-rate 0.003 --shard-rows 3"
        );
        let run = |name: &str, threads: &str, more: &str| {
            let words = format!("{train} {more} --out {model}/{name}");
            let mut command = place.command(&words);
            command.env("RAYON_NUM_THREADS", threads);
            finish(command).done();
        };
        run("one", "1", "--batch-size 16 --workers 1");
        run("two-threads", "2", "--batch-size 16 --workers 1");
        run("four-threads", "4", "--batch-size 16 --workers 1");
        run("no-workers", "1", "--batch-size 16 --workers 0");
        run("four-workers", "2", "--batch-size 16 --workers 4");
        run("accumulated", "1", "--batch-size 8 --grad-accumulation 2 --workers 1");
        run("two-devices", "2", "--batch-size 16 --workers 1 --devices cpu,cpu");
        run("three-devices", "4", "--batch-size 16 --workers 1 --devices cpu,cpu,cpu");
        run("recomputed", "2", "--batch-size 16 --workers 1 --gradient-checkpointing");
        run("all", "2", "--batch-size 16 --workers 1 --gradient-checkpointing=1 --devices cpu,cpu");
        for other in [
            "two-threads",
            "four-threads",
            "no-workers",
            "four-workers",
            "accumulated",
            "two-devices",
            "three-devices",
            "recomputed",
            "all",
        ] {
            assert_same(&place, &format!("{model}/one"), &format!("{model}/{other}"));
        }
    }
}

#[test]
fn a_moved_run_still_works() {
    let place = Place::with_table();
    place.mmc(&format!("{TRAIN} --model vilt-tiny --epochs 1")).done();
    let before = place.files("run");
    fs::create_dir(place.path("elsewhere")).unwrap();
    fs::rename(place.path("run"), place.path("elsewhere/moved")).unwrap();
    fs::rename(place.path("data"), place.path("elsewhere/data")).unwrap();
    let scores: Value = serde_json::from_str(&place.read("elsewhere/moved/scores.json")).unwrap();
    let evaluate = "evaluate --checkpoint elsewhere/moved/checkpoint --dataset table \
                    --data-root elsewhere/data --split test --json";
    assert_eq!(place.mmc(evaluate).json(), scores["test"]);
    let resume = "train --dataset table --data-root elsewhere/data --workers 1 --model vilt-tiny \
                  --epochs 1 --out elsewhere/moved --resume";
    assert!(place.mmc(resume).done().contains("complete already"));
    assert!(before == place.files("elsewhere/moved"));
}

/// What is done to a good table, and what the error must say.
type Case = (&'static str, fn(&Place), &'static [&'static str]);

#[test]
fn bad_input_is_named_and_leaves_nothing() {
    let cases: &[Case] = &[
        (
            "a truncated JSON line",
            |place| {
                fs::remove_file(place.path("data/train.csv")).unwrap();
                let row = "{\"id\": \"1\", \"text\": \"good\", \"label\": \"up\"}\n";
                place.write("data/train.jsonl", row.to_owned() + &row[..20]);
            },
            &["data/train.jsonl:2"],
        ),
        (
            "an unknown label",
            |place| place.edit("data/val.csv", "val3.png,down", "val3.png,sideways"),
            &["data/val.csv:5", "`sideways`", "`down`", "`up`"],
        ),
        (
            "a split without rows",
            |place| place.write("data/train.csv", "id,text,image,label\n"),
            &["data/train.csv"],
        ),
        ("an empty file", |place| place.write("data/train.csv", ""), &["data/train.csv"]),
        (
            "a repeated id",
            |place| place.edit("data/train.csv", "train-7,", "train-2,"),
            &["data/train.csv:9", "`train-2`"],
        ),
        (
            "another encoding",
            |place| {
                let table = place.read("data/train.csv");
                let at = table.find("thing number 5").unwrap();
                let mut bytes = table.into_bytes();
                bytes[at] = 0xff;
                place.write("data/train.csv", bytes);
            },
            &["data/train.csv:7", "UTF-8"],
        ),
        (
            "a missing column",
            |place| place.edit("data/train.csv", "id,text", "id,txet"),
            &["data/train.csv", "`text`"],
        ),
    ];
    for (what, breaks, said) in cases {
        eprintln!("{what}");
        let place = Place::with_table();
        breaks(&place);
        fails(&place, &format!("{TRAIN} --model bert-tiny"), 1, said);
    }
}
