//! `mmc power`: what an experiment can decide.

use std::fmt::Write as _;

use serde_json::Value;

use crate::place::Place;

fn forecast(place: &Place, words: &str) -> Value {
    place.mmc(&format!("power {words} --json")).json()
}

fn number(found: &Value, key: &str) -> f64 {
    found[key].as_f64().unwrap_or_else(|| panic!("{key} in {found}"))
}

#[test]
fn chances_sum_to_one_and_rise_with_items_and_seeds() {
    let place = Place::new();
    let of = |items: u32, seeds: u32| {
        forecast(&place, &format!("--items {items} --seeds {seeds} --margin 0.02 --accuracy 0.7"))
    };
    let (small, wide, long) = (of(500, 3), of(5000, 3), of(500, 9));
    for found in [&small, &wide, &long] {
        let sum: f64 =
            ["multimodal", "text_suffices", "undecided"].map(|key| number(found, key)).iter().sum();
        assert!((sum - 1.0).abs() < 1e-9, "{found}");
        assert!((number(found, "gain") - 0.04).abs() < 1e-12, "planned at twice the margin");
        assert_eq!(found["by_gain"].as_array().unwrap().len(), 5);
        assert!(number(&found["by_gain"][0], "text_suffices") > number(found, "text_suffices"));
    }
    assert!(number(&wide, "multimodal") > number(&small, "multimodal"));
    assert!(number(&long, "multimodal") > number(&small, "multimodal"));
    let needed = number(&small, "items_needed");
    assert!(needed > 500.0 && number(&of(needed as u32, 3), "multimodal") >= 0.8);
    assert!(number(&of(needed as u32 - 1, 3), "multimodal") < 0.8);
}

#[test]
fn where_no_number_will_do_the_reason_is_given() {
    let place = Place::new();
    let found = forecast(&place, "--items 200 --seeds 3 --margin 0.02 --accuracy 0.7");
    assert!(found["seeds_needed"].is_null());
    let why = found["undefined"]["seeds_needed"].as_str().unwrap();
    assert!(why.starts_with("no number of seeds will do: 200 items alone"), "{why}");
    let found = forecast(&place, "--items 200000 --seeds 3 --margin 0.02 --seed-sd 0.05");
    assert!(found["items_needed"].is_null() && found["seeds_needed"].is_u64(), "{found}");
    let words = place.mmc("power --items 200 --seeds 3 --margin 0.02 --accuracy 0.7").done();
    for said in [
        "no number of seeds will do",
        "text suffices",
        "is itself known only as",
        "with the second of",
        "; with the second: ",
        "assumed",
    ] {
        assert!(words.contains(said), "no `{said}` in {words}");
    }
}

/// Files of a model with an accuracy that varies over seeds; each model errs on items of its own.
fn pilot(place: &Place, name: &str, seed: usize, hits: usize) -> String {
    let mut table = String::from("id,label,prediction,probability:no,probability:yes\n");
    for row in 0..400_usize {
        let yes = row % 2 == 0;
        let stride = if name == "both" { 91 } else { 157 };
        let right = (row * stride + 13 * seed) % 400 < hits + 3 * seed;
        let word = |yes: bool| if yes { "yes" } else { "no" };
        let p = if yes == right { 0.7 } else { 0.3 };
        writeln!(table, "{row},{},{},{},{p}", word(yes), word(yes == right), 1.0 - p).unwrap();
    }
    let file = format!("{name}{seed}.csv");
    place.write(&file, table);
    file
}

#[test]
fn pilots_tell_the_spread() {
    let place = Place::new();
    let side = |name: &str, hits: usize| -> String {
        (0..3).map(|seed| pilot(&place, name, seed, hits) + " ").collect()
    };
    let (text, both) = (side("text", 280), side("both", 300));
    let design = "--items 1000 --seeds 3 --margin 0.02 --metric accuracy";
    let found = forecast(&place, &format!("{design} --pilot {text} --pilot-candidate {both}"));
    // Accuracies of 280, 283 and 286 of 400 (300, …): a deviation of 0.0075, less what items add.
    let deviation = number(&found, "seed_sd");
    assert!((0.0..=0.0076).contains(&deviation), "{found}");
    assert!(number(&found["components"], "common") > 0.0);
    let alone = forecast(&place, &format!("{design} --pilot {text}"));
    let assumed = alone["assumptions"][0].as_str().unwrap();
    assert!(assumed.contains("--pilot-candidate"), "{assumed}");
    let given = forecast(&place, &format!("{design} --pilot {text} --seed-sd 0.03"));
    assert!((number(&given, "seed_sd") - 0.03).abs() < 1e-12);
    assert!(number(&given, "multimodal") < number(&alone, "multimodal"));
}

#[test]
fn what_cannot_be_planned_is_a_usage_error() {
    let place = Place::new();
    let file = pilot(&place, "one", 0, 280);
    for (words, said) in [
        ("--items 500 --seeds 3 --margin 0".to_owned(), "expected a number above 0"),
        ("--items 500 --seeds 3 --margin -0.1".to_owned(), "expected a number above 0"),
        ("--items 500 --seeds 1 --margin 0.02".to_owned(), "--seeds"),
        ("--items 1 --seeds 3 --margin 0.02".to_owned(), "--items"),
        ("--items 500 --seeds 3 --margin 0.02 --accuracy 1.2".to_owned(), "`accuracy` is `1.2`"),
        ("--items 500 --seeds 3 --margin 0.02 --discordant 0".to_owned(), "`discordant` is `0`"),
        ("--items 500 --seeds 3 --margin 0.02 --seed-sd -1".to_owned(), "--seed-sd"),
        ("--items 500 --seeds 3 --margin 0.02 --metric auroc".to_owned(), "`--pilot`"),
        ("--items 500 --seeds 3 --margin 0.02 --metric acuracy".to_owned(), "`accuracy`"),
        (format!("--items 500 --seeds 3 --margin 0.02 --pilot {file}"), "one file"),
        (format!("--items 9 --seeds 3 --margin 0.02 --pilot {file} --accuracy 0.7"), "--accuracy"),
        ("--items 9 --seeds 3 --margin 0.02 --pilot-candidate x.csv".to_owned(), "--pilot"),
    ] {
        let ran = place.mmc(&format!("power {words}"));
        assert_eq!(ran.code, 2, "mmc power {words}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "no `{said}`: mmc power {words}: {}", ran.stderr);
        assert!(ran.stdout.is_empty());
    }
}
