//! Training with products of 16 bits on the CPU.

use std::fmt::Write as _;

use serde_json::Value;

use crate::kill_and_resume;
use crate::place::{Place, workspace};

/// The lines of `train.jsonl`.
fn records(place: &Place, run: &str) -> Vec<Value> {
    let text = place.read(&format!("{run}/train.jsonl"));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn number(record: &Value, key: &str) -> f64 {
    record[key].as_f64().unwrap_or_else(|| panic!("no `{key}` in {record}"))
}

/// The mean loss of the last steps, and the log loss and accuracy on the test split.
fn ended(place: &Place, run: &str) -> [f64; 3] {
    let records = records(place, run);
    let last = &records[records.len() - 20..];
    let loss = last.iter().map(|record| number(record, "loss")).sum::<f64>() / 20.0;
    let scores: Value = serde_json::from_str(&place.read(&format!("{run}/scores.json"))).unwrap();
    [loss, number(&scores["test"], "log_loss"), number(&scores["test"], "accuracy")]
}

/// Noise is what another seed makes of it.
#[test]
fn products_of_16_bits_end_where_those_of_32_do() {
    let place = Place::new();
    let emoji = workspace().join("data/emoji");
    let train = format!(
        "train --model bert-tiny --dataset table --data-root {} --max-steps 150 --batch-size 32 \
         --learning-rate 0.003",
        emoji.display()
    );
    for (run, more) in [
        ("f32", ""),
        ("seed", "--seed 1"),
        ("bf16", "--precision bf16"),
        ("f16", "--precision f16 --loss-scale dynamic"),
    ] {
        place.mmc(&format!("{train} {more} --out {run}")).done();
    }
    let [expected, other] = ["f32", "seed"].map(|run| ended(&place, run));
    for run in ["bf16", "f16"] {
        let found = ended(&place, run);
        for (at, figure) in ["loss", "log loss", "accuracy"].into_iter().enumerate() {
            let (apart, noise) = (found[at] - expected[at], other[at] - expected[at]);
            let most = noise.abs().max(0.02);
            assert!(apart.abs() <= most, "{run}: {figure} is {apart} apart, a seed {noise}");
        }
        assert!((found[0] - expected[0]).abs() > 0.0, "{run}: nothing was rounded");
    }
    assert!(records(&place, "bf16")[0].get("loss_scale").is_none());
    assert!(number(&records(&place, "f16")[149], "loss_scale") >= 1.0);
}

/// A table in which one row in forty is of a class, which then weighs twenty: its gradient times the
/// first scale, 65536, is beyond f16.
fn with_rare_class() -> Place {
    let place = Place::new();
    for split in ["train", "val", "test"] {
        let mut table = String::from("id,text,label\n");
        for row in 0..40 {
            let (word, label) = if row == 7 { ("good", "up") } else { ("bad", "down") };
            writeln!(table, "{split}-{row},a {word} thing number {row},{label}").unwrap();
        }
        place.write(&format!("data/{split}.csv"), table);
    }
    place
}

const RARE: &str = "train --model bert-tiny --dataset table --data-root data --batch-size 40 \
                    --class-weights balanced --learning-rate 0.01 --precision f16";

#[test]
fn an_overflow_lowers_the_scale_and_training_recovers() {
    let place = with_rare_class();
    place.mmc(&format!("{RARE} --max-steps 80 --out run")).done();
    let records = records(&place, "run");
    let skipped: Vec<&Value> = records.iter().filter(|row| row["grad_norm"].is_null()).collect();
    assert!((1..20).contains(&skipped.len()), "{} steps were skipped", skipped.len());
    assert_eq!(number(&records[79], "skipped") as usize, skipped.len());
    let (first, last) = (number(&records[0], "loss_scale"), number(&records[79], "loss_scale"));
    assert!((first - 65_536.0).abs() < 1e-9);
    assert!((last - first / 2_f64.powi(skipped.len() as i32)).abs() < 1e-9, "{last}");
    let (begun, ended) = (number(&records[0], "loss"), number(&records[79], "loss"));
    assert!(ended < 0.1 * begun, "the loss went from {begun} to {ended}");
}

#[test]
fn a_scale_that_cannot_fall_ends_the_run_and_says_where() {
    let place = with_rare_class();
    let ran = place.mmc(&format!("{RARE} --max-steps 5 --loss-scale 1e9 --out run"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    for said in ["step 1", "loss scale of 1000000000", "`train-", "`bert.", "dynamic"] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
}

/// The scale and the steps since it changed are part of the state.
#[test]
fn killed_runs_with_a_scaled_loss_end_identical() {
    let place = with_rare_class();
    let train = format!("{RARE} --max-steps 120 --save-every 3 --dropout 0.1 --shard-rows 8");
    kill_and_resume(&place, &train, 2);
}
