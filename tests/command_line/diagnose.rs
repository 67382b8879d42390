//! `mmc diagnose`: of a checkpoint, of a ledger's checkpoints, of a run.

use serde_json::Value;

use crate::place::Place;

const ON_TEST: &str = "--dataset table --data-root data --split test";

/// A table and runs of a few steps: CLIP with text and picture, its text arm, BERT; two seeds.
fn place() -> Place {
    let place = Place::with_table();
    for seed in 0..2 {
        for (model, arm, name) in [
            ("clip-tiny", "both", "clip"),
            ("clip-tiny", "text", "text"),
            ("bert-tiny", "text", "bert"),
        ] {
            let words = format!(
                "train --model {model} --arm {arm} --dataset table --data-root data --batch-size 8 \
                 --max-steps 6 --seed {seed} --out runs/{name}-{seed}"
            );
            place.mmc(&words).done();
        }
    }
    place
}

fn number(value: &Value, path: &[&str]) -> f64 {
    let at = path.iter().fold(value, |value, key| &value[*key]);
    at.as_f64().unwrap_or_else(|| panic!("{path:?} is {at}"))
}

#[test]
fn a_checkpoint_is_diagnosed_alone_and_beside_others() {
    let place = place();
    let ran = place.mmc(&format!("diagnose --checkpoint runs/clip-0/checkpoint {ON_TEST} --json"));
    assert!(ran.stderr.contains("all pairs of the texts and pictures of all 8"), "{}", ran.stderr);
    let alone = ran.json();
    assert_eq!(alone["scope"], "this checkpoint");
    assert_eq!((&alone["items"], &alone["ledger_items"]), (&8.into(), &8.into()));
    for part in ["backbone", "additive", "total"] {
        let part = &alone["ledger"][part];
        assert!(part["estimate"].is_null() && part["interval"].is_null(), "{part}");
        assert!(part["absent"].as_str().unwrap().contains("is not given"), "{part}");
    }
    let interaction = number(&alone, &["ledger", "interaction", "estimate"]);
    assert!(alone["ledger"]["interaction"]["interval"].as_array().unwrap().len() == 2);
    for key in ["perceptual", "blank", "shuffled"] {
        for input in ["text", "image"] {
            assert!(number(&alone, &[key, input]).is_finite(), "{key} {input}");
        }
    }
    let score = number(&alone, &["score"]);
    let drop = number(&alone, &["perceptual", "image"]) * score;
    let shuffled = number(&alone, &["shuffled", "image"]);
    assert!((score - shuffled - drop).abs() < 1e-9, "{alone}");

    let ledger = format!(
        "diagnose --checkpoint runs/clip-0/checkpoint runs/clip-1/checkpoint \
         --text-arm runs/text-0/checkpoint runs/text-1/checkpoint \
         --text-model runs/bert-0/checkpoint runs/bert-1/checkpoint {ON_TEST}"
    );
    let whole = place.mmc(&format!("{ledger} --json")).json();
    assert_eq!((&whole["scope"], &whole["seeds"]), (&"new seeds and new items".into(), &2.into()));
    let part = |name: &str| number(&whole, &["ledger", name, "estimate"]);
    let sum = part("backbone") + part("additive") + part("interaction");
    assert!((sum - part("total")).abs() < 1e-12, "{whole}");
    assert!((part("total") - number(&whole, &["gain_on_all_items"])).abs() < 1e-9);
    assert!((part("interaction") - interaction).abs() < 1e-9, "the same checkpoint alone");
    let text = place.mmc(&ledger).done();
    for said in ["clip-tiny on `test`, 8 items: auroc", "backbone", "In words", "does not say"] {
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn a_run_keeps_its_diagnosis_until_something_changes() {
    let place = Place::with_table();
    let train = "train --model clip-tiny --dataset table --data-root data --batch-size 8 \
                 --max-steps 4 --out run";
    place.mmc(train).done();
    let ran = place.mmc("diagnose --run run --json");
    assert!(!ran.stderr.contains("up to date"), "{}", ran.stderr);
    let (first, made) = (ran.json(), place.files("run")["diagnosis.json"].clone());
    let again = place.mmc("diagnose --run run --json");
    assert!(again.stderr.contains("run/diagnosis.json: is up to date"), "{}", again.stderr);
    assert_eq!(again.json(), first);
    assert!(place.files("run")["diagnosis.json"] == made);
    // A run with its diagnosis is still a run.
    place.mmc(&format!("{train} --resume")).done();

    let other = place.mmc("diagnose --run run --permutations 2 --json").json();
    assert_eq!(other["permutations"], 2);
    assert!(place.files("run")["diagnosis.json"] != made, "other options, another diagnosis");
    place.write("run/diagnosis.json", "{}");
    let repaired = place.mmc("diagnose --run run --json");
    assert!(repaired.stderr.contains("it is made anew"), "{}", repaired.stderr);
    assert_eq!(repaired.json(), first);
    assert!(place.files("run")["diagnosis.json"] == made);

    place.edit("data/test.csv", "a good thing", "a fine thing");
    place.mmc("diagnose --run run").done(); // up to date, so the data is not read
    let ran = place.mmc("diagnose --run run --permutations 3");
    assert!(
        ran.code == 1 && ran.stderr.contains("not what the run was tested on"),
        "{}",
        ran.stderr
    );
}

#[test]
fn what_cannot_be_diagnosed_says_what_to_do() {
    let place = place();
    let both = "runs/clip-0/checkpoint";
    for (words, code, said) in [
        (format!("--checkpoint runs/bert-0/checkpoint {ON_TEST}"), 2, "--text-model"),
        (format!("--checkpoint runs/text-0/checkpoint {ON_TEST}"), 2, "--arm both"),
        ("--run runs/text-0".to_owned(), 2, "this clip-tiny is shown the text alone"),
        (format!("--checkpoint {both} --text-arm {both} {ON_TEST}"), 2, "--arm text"),
        (
            format!("--checkpoint {both} --text-arm runs/bert-0/checkpoint {ON_TEST}"),
            2,
            "same model",
        ),
        (
            format!("--checkpoint {both} --text-model runs/bert-0/checkpoint {ON_TEST}"),
            2,
            "--text-arm",
        ),
        (format!("--checkpoint {both}"), 2, "--dataset"),
        (format!("--checkpoint {both} --run runs/clip-0 {ON_TEST}"), 2, "cannot be used with"),
        (format!("--checkpoint {both} {ON_TEST} --metric acuracy"), 2, "`accuracy`"),
        (format!("--checkpoint {both} {ON_TEST} --positive left"), 2, "`down`, `up`"),
        (format!("--checkpoint {both} {ON_TEST} --permutations 0"), 2, "--permutations"),
        ("--run runs/none".to_owned(), 1, "not a run"),
        (String::new(), 2, "--checkpoint"),
    ] {
        let ran = place.mmc(&format!("diagnose {words}"));
        assert_eq!(ran.code, code, "mmc diagnose {words}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "mmc diagnose {words}: {}", ran.stderr);
        assert!(ran.stdout.is_empty(), "mmc diagnose {words} wrote to stdout: {}", ran.stdout);
    }
}
