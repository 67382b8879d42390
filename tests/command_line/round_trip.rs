//! train → evaluate → predict → embed → compare, through files alone.

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;

use crate::place::{Place, workspace};

const TRAIN: &str = "train --dataset table --data-root data --batch-size 8 --learning-rate 0.005 \
                     --workers 1";

#[test]
fn a_run_is_scored_the_same_from_its_checkpoint_and_from_its_predictions() {
    let place = Place::with_table();
    for model in ["bert-tiny", "vilt-tiny"] {
        let run = format!("runs/{model}");
        place.mmc(&format!("{TRAIN} --model {model} --epochs 6 --out {run}")).done();
        let files = place.files(&run);
        for file in [
            "config.toml",
            "train.jsonl",
            "eval.jsonl",
            "scores.json",
            "cost.json",
            "checkpoint/config.json",
            "checkpoint/model.safetensors",
            "checkpoint/mmc.json",
            "predictions/val.jsonl",
            "predictions/test.parquet",
        ] {
            assert!(files.contains_key(file), "{model}: no {file}");
        }
        let scores: Value =
            serde_json::from_str(&place.read(&format!("{run}/scores.json"))).unwrap();
        let checkpoint = format!("--checkpoint {run}/checkpoint --dataset table --data-root data");
        let evaluated = place
            .mmc(&format!("evaluate {checkpoint} --split test --json --out {model}.jsonl"))
            .json();
        assert_eq!(evaluated, scores["test"], "{model}: from the checkpoint");
        for file in [format!("{run}/predictions/test.parquet"), format!("{model}.jsonl")] {
            let read = place.mmc(&format!("evaluate --predictions {file} --json")).json();
            assert_eq!(read, scores["test"], "{model}: from {file}");
        }
        assert_eq!(evaluated["n"], 8);
        assert_eq!(evaluated["accuracy"], 1.0, "{model} learns the table");
        let table = place.mmc(&format!("evaluate --predictions {model}.jsonl")).done();
        assert!(table.contains("accuracy") && table.contains("1.0000"), "{table}");
    }
}

#[test]
fn inputs_get_predictions_and_vectors_in_their_order() {
    let place = Place::with_table();
    place.mmc(&format!("{TRAIN} --model vilt-tiny --epochs 6 --out run")).done();
    let rows = [("b", "a bad thing", "data/img/test1.png"), ("a", "good", "data/img/test0.png")];
    let lines: Vec<String> = rows
        .iter()
        .map(|(id, text, image)| {
            serde_json::json!({"id": id, "text": text, "image": image}).to_string() + "\n"
        })
        .collect();
    place.write("new.jsonl", lines.concat());
    let inputs = "--checkpoint run/checkpoint --input new.jsonl";
    place.mmc(&format!("predict {inputs} --out new.predictions.jsonl")).done();
    let written = place.read("new.predictions.jsonl");
    let predictions: Vec<Value> =
        written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let field = |name: &str| -> Vec<&str> {
        predictions.iter().map(|row| row[name].as_str().unwrap()).collect()
    };
    assert_eq!(field("id"), ["b", "a"]);
    assert_eq!(field("prediction"), ["down", "up"]);
    assert!(predictions.iter().all(|row| row["label"].is_null()));
    let keys: Vec<&String> = predictions[0]["probabilities"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["down", "up"]);

    let again = place.mmc(&format!("predict {inputs} --out new.predictions.jsonl"));
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("not overwritten"), "{}", again.stderr);
    assert_eq!(place.read("new.predictions.jsonl"), written);

    place.mmc(&format!("predict {inputs} --out new.predictions.jsonl --resume")).done();
    assert_eq!(place.read("new.predictions.jsonl"), written, "complete already");
    let first = written.lines().next().unwrap().to_owned() + "\n";
    let renamed = written.replace("\"b\"", "\"other\"");
    let relabelled = written.replace("down", "left");
    for (name, other, said) in [
        ("garbage", "garbage\n", "no file of predictions"),
        ("short", &first, "1 rows where the input has 2"),
        ("renamed", &renamed, "`other` where the input has `b`"),
        ("relabelled", &relabelled, "classes"),
    ] {
        place.write(&format!("{name}.jsonl"), other);
        let ran = place.mmc(&format!("predict {inputs} --out {name}.jsonl --resume"));
        assert_eq!(ran.code, 2, "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{name}: {}", ran.stderr);
        assert_eq!(place.read(&format!("{name}.jsonl")), other);
    }

    place.mmc(&format!("predict {inputs} --out new.csv")).done();
    assert!(place.read("new.csv").starts_with("id,label,prediction,probability:down,"));
    place.mmc(&format!("predict {inputs} --out new.parquet")).done();

    place.mmc(&format!("embed {inputs} --out new.safetensors")).done();
    let bytes = std::fs::read(place.path("new.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let embeddings = tensors.tensor("embeddings").unwrap();
    assert_eq!(embeddings.shape()[0], 2);
    assert_eq!(place.read("new.safetensors.ids.jsonl"), "{\"id\":\"b\"}\n{\"id\":\"a\"}\n");
    place.write("other.safetensors.ids.jsonl", "mine");
    let refused = place.mmc(&format!("embed {inputs} --out other.safetensors"));
    assert!(refused.code == 2 && refused.stderr.contains("not overwritten"), "{}", refused.stderr);
    assert_eq!(place.read("other.safetensors.ids.jsonl"), "mine");
    assert!(!place.path("other.safetensors").exists());

    let refused = place.mmc("predict --checkpoint run --input new.jsonl --out p.jsonl");
    assert!(refused.stderr.contains("`run/checkpoint`"), "{}", refused.stderr);
}

/// What a copied checkpoint says of itself is enough: neither texts nor shards are cut otherwise.
#[test]
fn a_pretrained_checkpoint_gives_vectors_and_no_classes() {
    let place = Place::with_table();
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        let from = workspace().join("tests/fixtures/models/bert").join(file);
        place.write(&format!("bare/{file}"), fs::read(from).unwrap());
    }
    // As published: all but the head.
    let whole = fs::read(workspace().join("tests/fixtures/models/bert/model.safetensors")).unwrap();
    let write = |without: &[&str]| {
        let tensors = safetensors::SafeTensors::deserialize(&whole).unwrap();
        let kept = |name: &str| !without.iter().any(|part| name.contains(part));
        let kept: Vec<_> = tensors.iter().filter(|(name, _)| kept(name)).collect();
        place.write("bare/model.safetensors", safetensors::serialize(kept, None).unwrap());
    };
    write(&["classifier."]);
    place.mmc("embed --checkpoint bare --input data/test.csv --out bare.safetensors").done();
    let refused = place.mmc("predict --checkpoint bare --input data/test.csv --out p.jsonl");
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("has no head"), "{}", refused.stderr);

    write(&["classifier.", "pooler."]);
    let refused = place.mmc("embed --checkpoint bare --input data/test.csv --out more.safetensors");
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("bert.pooler.dense."), "{}", refused.stderr);
    assert!(!place.path("more.safetensors").exists());
}

#[test]
fn a_copied_checkpoint_gives_the_scores_of_its_run() {
    let place = Place::with_table();
    let how = "--max-length 4 --pad max --shard-rows 3 --epochs 2";
    place.mmc(&format!("{TRAIN} --model bert-tiny {how} --out run")).done();
    for (name, bytes) in place.files("run/checkpoint") {
        place.write(&format!("alone/{name}"), bytes);
    }
    let logits = |checkpoint: &str, out: &str| {
        let set = "--dataset table --data-root data --split test";
        place.mmc(&format!("evaluate --checkpoint {checkpoint} {set} --out {out}")).done();
        place.read(out)
    };
    let trained = place.read("run/predictions/test.jsonl");
    assert_eq!(logits("run/checkpoint", "inside.jsonl"), trained);
    assert_eq!(logits("alone", "copied.jsonl"), trained);

    // Notes that contradict the weights' own are no notes.
    place.edit("alone/mmc.json", "\"down\"", "\"left\"");
    let set = "--dataset table --data-root data --split test";
    let refused = place.mmc(&format!("evaluate --checkpoint alone {set}"));
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("id2label"), "{}", refused.stderr);
}

#[test]
fn a_split_without_labels_is_predicted_and_not_scored() {
    let place = Place::with_table();
    place.mmc(&format!("{TRAIN} --model bert-tiny --epochs 1 --out run")).done();
    place.write("data/test.csv", "id,text\n1,a good thing\n2,bad\n");
    let evaluate = "evaluate --checkpoint run/checkpoint --dataset table --data-root data \
                    --split test";
    let refused = place.mmc(evaluate);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("`--out FILE`"), "{}", refused.stderr);
    let said = place.mmc(&format!("{evaluate} --out p.jsonl")).done();
    assert!(said.contains("no labels") && said.contains("2 rows"), "{said}");
    let json = place.mmc(&format!("{evaluate} --out again.jsonl --json")).json();
    assert!(json["n"] == 2 && json["scores"].is_null(), "{json}");
    let rows = place.read("p.jsonl");
    assert_eq!(rows.matches("\"label\":null").count(), 2, "{rows}");
}

#[test]
fn a_positive_class_is_refused_where_there_are_not_two() {
    let place = Place::with_table();
    place.write("nine.csv", "id,label,prediction,probability:a,probability:b,probability:c\n1,a,a,0.5,0.25,0.25\n2,b,b,0.25,0.5,0.25\n3,c,c,0.25,0.25,0.5\n");
    place.edit("data/train.csv", ",up\n", ",left\n");
    for words in [
        "evaluate --predictions nine.csv --positive a",
        "train --model bert-tiny --dataset table --data-root data --positive up --out run",
    ] {
        let ran = place.mmc(words);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains("`--positive` is for two classes"), "{}", ran.stderr);
    }
    assert!(!place.path("run").exists());
    let table = place.mmc("evaluate --predictions nine.csv").done();
    let row = table.lines().find(|line| line.starts_with("average_precision")).unwrap();
    assert!(row.split_whitespace().count() > 2, "no interval and no reason: {row}");
}

#[test]
fn a_report_names_the_runs_that_are_not_in_it() {
    let place = Place::with_table();
    place.write(
        "results/experiment.toml",
        "name = \"t\"\ncommand = \"cargo xtask experiment t\"\ndataset = \"table\"\n\
         primary_metric = \"accuracy\"\nmetrics = []\nmargin = 0.02\nmissing = []\n[grid]\n\
         text_models = [\"bert-tiny\"]\nmultimodal_models = [\"vilt-tiny\"]\n\
         arms = [\"both\"]\nseeds = [0]\n",
    );
    let none = place.mmc("report results");
    assert_eq!(none.code, 1);
    assert!(none.stderr.contains("no run is complete"), "{}", none.stderr);
    assert!(none.stderr.contains("vilt-tiny-both-0"), "{}", none.stderr);
    place.mmc(&format!("{TRAIN} --model bert-tiny --out results/runs/bert-tiny-text-0")).done();
    let said = place.mmc("report results").done();
    assert!(said.contains("not in these figures: vilt-tiny-both-0"), "{said}");
}

#[test]
fn an_interrupted_prediction_goes_on_to_the_same_bytes() {
    let place = Place::with_table();
    place.mmc(&format!("{TRAIN} --model vilt-tiny --epochs 1 --out run")).done();
    let lines: Vec<String> = (0..300)
        .map(|row| {
            let image = if row == 290 { "late.png" } else { "data/img/test1.png" };
            let text = if row % 3 == 0 { "a good thing" } else { "bad" };
            serde_json::json!({"text": text, "image": image}).to_string() + "\n"
        })
        .collect();
    place.write("new.jsonl", lines.concat());
    place.write("late.png", "no picture yet");
    let predict = "predict --checkpoint run/checkpoint --input new.jsonl";
    let stopped = place.mmc(&format!("{predict} --out new.csv"));
    assert_eq!(stopped.code, 1);
    assert!(stopped.stderr.contains("late.png"), "{}", stopped.stderr);
    assert!(!place.path("new.csv").exists() && place.path("new.csv.partial").is_dir());
    place.picture("late.png", 90);
    let again = place.mmc(&format!("{predict} --out new.csv"));
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("--resume"), "{}", again.stderr);
    let resumed = place.mmc(&format!("{predict} --out new.csv --resume"));
    assert!(resumed.stderr.contains("after row 256"), "{}", resumed.stderr);
    resumed.done();
    assert!(!place.path("new.csv.partial").exists());
    place.mmc(&format!("{predict} --out whole.csv")).done();
    assert_eq!(place.read("new.csv"), place.read("whole.csv"));
    assert_eq!(place.read("new.csv").lines().count(), 301);
}

#[test]
fn files_of_any_framework_are_compared() {
    let place = Place::new();
    for (name, flipped) in [("weak", 40), ("weak2", 44), ("strong", 4), ("strong2", 6)] {
        let mut table = String::from("id,label,prediction,probability:no,probability:yes\n");
        for row in 0..200_usize {
            let yes = row % 2 == 0;
            let right = (row * 37) % 200 >= flipped * 2;
            let says_yes = yes == right;
            let word = |yes: bool| if yes { "yes" } else { "no" };
            let high = 0.6 + 0.001 * (row % 89) as f64;
            let p = if says_yes { high } else { 1.0 - high };
            writeln!(table, "{row},{},{},{},{p}", word(yes), word(says_yes), 1.0 - p).unwrap();
        }
        place.write(&format!("{name}.csv"), table);
    }
    let sides = "--baseline weak.csv weak2.csv --candidate strong.csv strong2.csv";
    let json = place.mmc(&format!("compare {sides} --metric accuracy --margin 0.02 --json")).json();
    assert_eq!(json["decision"], "candidate");
    assert_eq!(json["method"], "two_way_t");
    assert_eq!((&json["metric"], &json["items"]), (&"accuracy".into(), &200.into()));
    let words = place.mmc(&format!("compare {sides} --metric accuracy --margin 0.02")).done();
    assert!(words.contains("candidate"), "{words}");

    let one = "compare --baseline weak.csv --candidate weak2.csv";
    let json = place.mmc(&format!("{one} --json")).json();
    assert_eq!((&json["method"], &json["scope"]), (&"items_only".into(), &"these files".into()));
    assert_eq!(json["metric"], "auroc");
    let words = place.mmc(one).done();
    assert!(words.contains("margin 0") && words.contains("equal"), "{words}");

    for (words, said) in [
        (format!("{one} --margin -0.1"), "margin"),
        (format!("{one} --metric acuracy"), "`accuracy`"),
    ] {
        let ran = place.mmc(&words);
        assert_eq!(ran.code, 2, "mmc {words}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "mmc {words}: {}", ran.stderr);
    }
}

#[test]
fn flags_win_over_the_config_file_which_wins_over_the_preset() {
    let place = Place::with_table();
    place.write("run.toml", "model = \"bert-tiny\"\ndataset = \"table\"\nepochs = 1\nseed = 7\n");
    place.mmc("train --config run.toml --data-root data --seed 9 --out run").done();
    let config: toml::Table = place.read("run/config.toml").parse().unwrap();
    assert_eq!(config["seed"].as_integer(), Some(9));
    assert_eq!(config["epochs"].as_integer(), Some(1));
    assert_eq!(config["model"].as_str(), Some("bert-tiny"));
    assert!(config["learning_rate"].as_float().unwrap() > 2e-5, "the tiny preset's own");
}

#[test]
fn a_made_up_set_is_checked_and_described() {
    let place = Place::new();
    let demo = "data demo --dataset hateful_memes --truth interaction --items 40 --seed 3";
    place.mmc(&format!("{demo} --out demo")).done();
    place.mmc(&format!("{demo} --out demo2")).done();
    assert_eq!(place.files("demo"), place.files("demo2"), "the same seed, the same bytes");
    let again = place.mmc(&format!("{demo} --out demo"));
    assert_ne!(again.code, 0);
    let set = "--dataset hateful_memes --data-root demo";
    let check = place.mmc(&format!("data check {set} --json")).json();
    assert!(check.is_object());
    let info = place.mmc(&format!("data info {set}")).done();
    assert!(info.contains("train") && info.contains("40"), "{info}");
}

/// A call that is killed in the middle costs the part that it was at: the rest is kept, and the
/// files end with the same bytes.
#[test]
fn killed_and_resumed_vectors_and_predictions_end_identical() {
    let place = Place::with_table();
    place.mmc(&format!("{TRAIN} --model bert-tiny --epochs 1 --out run")).done();
    let mut table = String::from("id,text\n");
    for row in 0..6_000 {
        writeln!(table, "row-{row},a good or bad thing number {row}").unwrap();
    }
    place.write("rows.csv", table);
    let inputs = "--checkpoint run/checkpoint --input rows.csv";
    for (verb, ending) in
        [("embed", "safetensors"), ("predict", "jsonl"), ("predict", "csv"), ("predict", "parquet")]
    {
        place.mmc(&format!("{verb} {inputs} --out whole.{ending}")).done();
        let words = format!("{verb} {inputs} --out killed.{ending}");
        let mut child = place.command(&words).stderr(std::process::Stdio::null()).spawn().unwrap();
        let partial = place.path(&format!("killed.{ending}.partial"));
        let begun = |name: &str| partial.join(name).exists();
        // A part of 256 rows has to be whole, for of less no row is kept: vectors have a file for each part,
        // and a predicted row takes fewer than 256 bytes.
        let (parts, bytes) = if verb == "embed" { ("1.f32", 1) } else { ("rows.jsonl", 256 * 256) };
        let kept = || fs::metadata(partial.join(parts)).is_ok_and(|file| file.len() >= bytes);
        while !kept() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "{words} ended before it was killed");
        assert!(begun("about.json") && !place.path(&format!("killed.{ending}")).exists());

        let refused = place.mmc(&words);
        assert!(refused.code == 2 && refused.stderr.contains("--resume"), "{}", refused.stderr);
        let resumed = place.mmc(&format!("{words} --resume"));
        assert!(resumed.stderr.contains("goes on after row"), "{}", resumed.stderr);
        resumed.done();
        for suffix in ["", ".ids.jsonl"] {
            let read = |name: &str| fs::read(place.path(&format!("{name}.{ending}{suffix}")));
            let (whole, killed) = (read("whole").ok(), read("killed").ok());
            assert!(whole.is_some() || !suffix.is_empty());
            assert!(whole == killed, "{words}{suffix}");
        }
        assert!(!partial.exists());
        let again = place.mmc(&format!("{words} --resume")).done();
        assert!(again.contains("complete already"), "{again}");
    }
    place.edit("rows.csv", "row-0,", "other-0,");
    let words = format!("embed {inputs} --out killed.safetensors --resume");
    let refused = place.mmc(&words);
    assert!(refused.code == 2 && refused.stderr.contains("`other-0`"), "{}", refused.stderr);
}
