//! SIGTERM while a split of many rows is predicted: the program ends at once, and goes on to the same
//! bytes.

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::place::Place;
use crate::{assert_same, steps_done};

/// So many that a test can tell an evaluation that was stopped from one that ran to its end.
const ROWS: usize = 4_000;

const TRAIN: &str = "train --model bert-tiny --dataset table --data-root data --batch-size 8 \
                     --max-steps 6 --save-every 1000 --workers 1";

/// Goes on with the run and asks it to end once something holds; what it said.
fn terminated(place: &Place, holds: impl Fn() -> bool) -> String {
    let words = format!("{TRAIN} --out stopped --resume");
    let mut child = place.command(&words).stderr(Stdio::piped()).spawn().unwrap();
    let patience = Instant::now();
    while !holds() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        assert!(patience.elapsed() < Duration::from_secs(300), "no progress");
        std::thread::sleep(Duration::from_millis(1));
    }
    let asked = Instant::now();
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    eprintln!("ended {:?} after it was asked to", asked.elapsed());
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("as asked") && said.contains("--resume"), "{said}");
    said
}

/// What is there when the program has ended says whether it waited: the clock would say how busy the
/// machine is.
#[test]
fn sigterm_stops_an_evaluation_and_the_last_predictions_at_once() {
    let place = Place::with_table();
    let mut table = String::from("id,text,label\n");
    for row in 0..ROWS {
        let (word, label) = if row % 2 == 0 { ("good", "up") } else { ("bad", "down") };
        let more = " and more of it".repeat(row % 5);
        writeln!(table, "val-{row},a {word} thing number {row}{more},{label}").unwrap();
    }
    place.write("data/val.csv", table);
    place.mmc(&format!("{TRAIN} --out whole")).done();
    let evaluations = || fs::read_to_string(place.path("stopped/eval.jsonl")).unwrap_or_default();
    let state = place.path("stopped/state/step-6/counters.json");
    let due = || fs::read_to_string(&state).map(|text| text.contains("evaluation_due"));

    // Three steps are an epoch, and two epochs the run.
    for last in [3, 6] {
        let said = terminated(&place, || steps_done(&place, "stopped") == last);
        assert!(said.contains(&format!("stopped after step {last} as asked")), "{said}");
        assert_eq!(evaluations().lines().count(), last / 3 - 1, "it waited for the evaluation");
    }
    assert!(due().unwrap());
    // What comes behind the state that knows of the evaluation are the predictions.
    let said = terminated(&place, || due().is_ok_and(|due| !due));
    assert!(said.contains("the evaluation after step 6"), "{said}");
    assert_eq!(evaluations().lines().count(), 2);
    assert!(!place.path("stopped/predictions").exists(), "it waited for the predictions");
    assert_eq!(steps_done(&place, "stopped"), 6);

    place.mmc(&format!("{TRAIN} --out stopped --resume")).done();
    assert_same(&place, "whole", "stopped");
}
