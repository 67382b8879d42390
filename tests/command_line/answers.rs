//! Questions and answers (VQA v2) from generated data to the official score, and SNLI-VE beside them.

use serde_json::Value;

use crate::bad_input::fails;
use crate::place::Place;

fn demo(dataset: &str) -> Place {
    let place = Place::new();
    let words = "--truth interaction --items 240 --seed 3 --out demo";
    place.mmc(&format!("data demo --dataset {dataset} {words}")).done();
    place
}

fn train(dataset: &str, model: &str, out: &str) -> String {
    format!(
        "train --model {model} --dataset {dataset} --data-root demo --max-steps 12 --batch-size 16 \
         --learning-rate 2e-3 --out {out}"
    )
}

#[test]
fn answers_are_scored_compared_and_submitted_from_files_alone() {
    let place = demo("vqa_v2");
    for (model, out) in [("vilt-tiny", "both"), ("bert-tiny", "text")] {
        place.mmc(&train("vqa_v2", model, out)).done();
    }
    let scores: Value = serde_json::from_str(&place.read("both/scores.json")).unwrap();
    assert!(scores["held_out"]["vqa_accuracy"].is_number(), "{scores}");
    let val = &scores["val"];
    assert!(val["by_answer_type"]["other"].is_number() && val["n"] == 80, "{val}");
    for format in ["parquet", "jsonl"] {
        let file = format!("both/predictions/val.{format}");
        let found = place.mmc(&format!("evaluate --predictions {file} --json")).json();
        assert_eq!(found, *val, "{format}");
    }
    let first: Value =
        serde_json::from_str(place.read("both/predictions/val.jsonl").lines().next().unwrap())
            .unwrap();
    assert_eq!(first["top"].as_array().unwrap().len(), 5);
    assert_eq!(first["top"][0]["answer"], first["answer"]);
    assert_eq!(first["answers"].as_array().unwrap().len(), 10);
    for key in ["id", "group", "probability", "label", "question_type", "answer_type"] {
        assert!(!first[key].is_null(), "{key}: {first}");
    }
    let results: Value =
        serde_json::from_str(&place.read("both/predictions/val_results.json")).unwrap();
    assert_eq!(results.as_array().unwrap().len(), 80);
    assert_eq!(results[0]["question_id"].to_string(), first["id"].as_str().unwrap());
    assert_eq!(results[0]["answer"], first["answer"]);

    let compared = place
        .mmc("compare --baseline text/predictions/val.parquet --candidate both/predictions/val.jsonl --json")
        .json();
    assert_eq!(
        (compared["metric"].as_str(), &compared["items"]),
        (Some("vqa_accuracy"), &val["n"])
    );
    assert_eq!(compared["clusters"], 27, "three questions a picture");
    let text =
        "compare --baseline text/predictions/val.parquet --candidate both/predictions/val.jsonl";
    fails(&place, &format!("{text} --metric accuracy"), 1, &["see `vqa_accuracy`"]);

    let checkpoint = "evaluate --checkpoint both/checkpoint --dataset vqa_v2 --data-root demo";
    let again = place.mmc(&format!("{checkpoint} --split val --json")).json();
    assert_eq!(again, *val);
    let said = place.mmc(&format!("{checkpoint} --split test --out answers.json")).done();
    assert!(said.contains("rows predicted"), "{said}");
    let submitted: Value = serde_json::from_str(&place.read("answers.json")).unwrap();
    assert!(submitted.as_array().unwrap().iter().all(|row| row["question_id"].is_u64()));
    fails(
        &place,
        "diagnose --checkpoint both/checkpoint --dataset vqa_v2 --data-root demo --split val",
        2,
        &["answers to questions cannot be diagnosed"],
    );
}

#[test]
fn a_checkpoint_keeps_its_own_answers_unless_others_are_asked_for() {
    let place = demo("vqa_v2");
    place.mmc(&train("vqa_v2", "bert-tiny", "first")).done();
    // From here on people say other words, so that vocabularies differ.
    for (split, before, after) in [("train", "yellow", "mauve"), ("val", "diamond", "kite")] {
        let name = format!("demo/v2_mscoco_{split}2014_annotations.json");
        let text = place.read(&name);
        let changed = text.replace(&format!("\"{before}\""), &format!("\"{after}\""));
        assert_ne!(text, changed);
        place.write(&name, changed);
    }
    // Of the four words, those that a run can give.
    let known = |out: &str, more: &str| -> Vec<&str> {
        let ran = place.mmc(&format!("{} {more}", train("vqa_v2", "bert-tiny", out)));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let own = ran.stderr.contains("that the checkpoint was trained to give");
        assert_eq!(own, out == "own", "{}", ran.stderr);
        let text = place.read(&format!("{out}/checkpoint/mmc.json"));
        let classes = serde_json::from_str::<Value>(&text).unwrap()["classes"].clone();
        let classes = classes.as_array().unwrap();
        let mut words = vec!["yellow", "mauve", "diamond", "kite"];
        words.retain(|word| classes.iter().any(|class| class == word));
        words
    };
    let checkpoint = "--checkpoint first/checkpoint";
    assert_eq!(known("own", checkpoint), ["yellow", "diamond"]);
    assert_eq!(known("fresh", ""), ["mauve", "diamond"]);
    assert_eq!(known("asked", &format!("{checkpoint} --answers train")), ["mauve", "diamond"]);
    // Train still says diamond, and val yellow.
    assert_eq!(known("both", "--answers train+val"), ["yellow", "mauve", "diamond", "kite"]);
}

#[test]
fn classes_of_another_task_are_no_answers() {
    let place = demo("vqa_v2");
    place.mmc("data demo --dataset snli_ve --truth text --items 60 --seed 1 --out other").done();
    let words = "--max-steps 2 --batch-size 16 --out first";
    place
        .mmc(&format!("train --model bert-tiny --dataset snli_ve --data-root other {words}"))
        .done();
    fails(
        &place,
        &format!("{} --checkpoint first/checkpoint", train("vqa_v2", "bert-tiny", "run")),
        2,
        &["no item has one of the 3 answers", "--answers train"],
    );
}

#[test]
fn entailment_is_three_classes_over_pictures() {
    let place = demo("snli_ve");
    let ran = place.mmc(&train("snli_ve", "vilt-tiny", "run"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("generated demo data"), "{}", ran.stderr);
    let scores: Value = serde_json::from_str(&place.read("run/scores.json")).unwrap();
    assert_eq!(scores["test"]["confusion"].as_array().unwrap().len(), 3);
    assert!(scores["dev"]["accuracy"].is_number());
    let first: Value =
        serde_json::from_str(place.read("run/predictions/test.jsonl").lines().next().unwrap())
            .unwrap();
    let classes: Vec<&String> = first["probabilities"].as_object().unwrap().keys().collect();
    assert_eq!(classes, ["entailment", "neutral", "contradiction"]);
    assert_eq!(first["group"].as_str(), first["id"].as_str().unwrap().split(".jpg").next());
    let file = "run/predictions/test.parquet";
    let same = place.mmc(&format!("compare --baseline {file} --candidate {file} --json")).json();
    assert_eq!(same["clusters"], 27);
}
