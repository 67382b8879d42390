//! `mmc plan`: what a study needs is opened, not only looked for.

use std::fs;

use serde_json::Value;

use crate::place::{Place, workspace};

/// What `mmc plan` says of a study of this data, with the models that were put into `models`.
fn plan(place: &Place, dataset: &str, root: &str) -> Value {
    let grid = format!(
        "dataset = \"{dataset}\"\ndata_root = \"{root}\"\nprimary_metric = \"accuracy\"\n\
         margin = 0.02\nmetrics = []\n[grid]\ntext_models = [\"bert\"]\n\
         multimodal_models = [\"vilt\"]\narms = [\"both\", \"text\", \"image\"]\nseeds = [0]\n[settings]\n"
    );
    place.write("grid.toml", grid);
    place.mmc("plan --json --grid grid.toml").json()
}

/// A place with a table and with small checkpoints where those of `bert` and `vilt` belong.
fn complete() -> Place {
    let place = Place::with_table();
    for model in ["bert", "vilt"] {
        let folder = workspace().join("tests/fixtures/models").join(model);
        for file in fs::read_dir(folder).unwrap() {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            place.write(&format!("models/{model}/{name}"), fs::read(file.path()).unwrap());
        }
    }
    place
}

/// What is missing, and all that is said of it.
fn missing(found: &Value) -> Vec<(String, String)> {
    let missing = found["missing"].as_array().unwrap();
    assert_eq!(found["in_place"], Value::Bool(missing.is_empty()));
    let word = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    missing.iter().map(|row| (word(row, "what"), word(row, "how"))).collect()
}

#[test]
fn a_study_with_data_and_weights_is_in_place() {
    let found = plan(&complete(), "table", "data");
    assert_eq!(missing(&found), []);
    let runs = found["runs"].as_array().unwrap();
    let names =
        |key: &str| -> Vec<&str> { runs.iter().map(|run| run[key].as_str().unwrap()).collect() };
    assert_eq!(names("model"), ["bert", "vilt", "vilt", "vilt"]);
    assert_eq!(names("arm"), ["text", "both", "text", "image"]);
    assert!(runs.iter().all(|run| run["peak_memory_bytes"].is_u64() && run["seeds"] == 1));
    assert!(found["hours"].is_null());
    assert!(found["hours_missing"].as_str().unwrap().contains("--flops-per-second"), "{found}");
}

#[test]
fn the_hours_of_a_study_are_those_of_its_runs() {
    let place = complete();
    plan(&place, "table", "data");
    let found = place.mmc("plan --json --grid grid.toml --flops-per-second 1e9 --epochs 2").json();
    let runs = found["runs"].as_array().unwrap();
    let sum: f64 = runs.iter().map(|run| run["hours"].as_f64().unwrap()).sum();
    assert!(sum > 0.0 && (found["hours"].as_f64().unwrap() / sum - 1.0).abs() < 1e-12, "{found}");
    assert!(place.mmc("plan --grid grid.toml --flops-per-second 1e9").done().contains("all runs"));
}

/// The keys of the contract, and figures that follow from each other.
#[test]
fn a_run_is_planned_without_weights() {
    let place = Place::new();
    let plan = |more: &str| {
        place
            .mmc(&format!("plan --model bert --batch-size 16 --max-length 128 --json {more}"))
            .json()
    };
    let found = plan("");
    // BERT-base with two classes.
    assert_eq!(found["parameters"], 109_483_778);
    assert_eq!((&found["batch_size"], &found["grad_accumulation"]), (&16.into(), &1.into()));
    let number = |found: &Value, key: &str| found[key].as_f64().unwrap();
    let forward = number(&found, "flops_per_sample");
    assert!((number(&found, "flops_per_step") / (forward * 3.0 * 16.0) - 1.0).abs() < 1e-9);
    assert!(found["hours"].is_null());
    let why = found["hours_missing"].as_str().unwrap();
    assert!(why.contains("--items N") && why.contains("--measure"), "{why}");

    let timed = plan("--items 1600 --epochs 2 --flops-per-second 1e12");
    let hours = 1600.0 * 2.0 * 3.0 * forward / 1e12 / 3600.0;
    assert!((number(&timed, "hours") / hours - 1.0).abs() < 1e-9, "{timed}");
    assert_eq!(timed["steps"], 200);

    let long = place.mmc("plan --json --model vilt --max-length 128").json();
    assert_eq!(long["max_length"], 40);
    assert!(long["notes"][0].as_str().unwrap().contains("positions for 40 tokens"), "{long}");

    let again = plan("--gradient-checkpointing");
    assert!(number(&again, "peak_memory_bytes") < number(&found, "peak_memory_bytes"));
    assert!((number(&again, "flops_per_step") / (forward * 4.0 * 16.0) - 1.0).abs() < 1e-9);
}

#[test]
fn a_batch_that_fits_makes_the_same_step() {
    let place = Place::new();
    let plan = |memory: &str| {
        place
            .mmc(&format!(
                "plan --model bert --batch-size 16 --max-length 512 --json --memory {memory}"
            ))
            .json()
    };
    let roomy = plan("64GiB");
    assert_eq!((&roomy["fits"], &roomy["batch_size"]), (&true.into(), &16.into()));
    let tight = plan("2500MiB");
    let (batch, accumulation) =
        (tight["batch_size"].as_u64().unwrap(), tight["grad_accumulation"].as_u64().unwrap());
    assert!(batch < 8 && batch * accumulation == 16, "{tight}");
    assert_eq!((&tight["fits"], &tight["shard_rows"]), (&false.into(), &batch.into()));
    assert!(tight["peak_memory_bytes"].as_u64().unwrap() <= 2500 << 20);
    assert!(tight["notes"][0].as_str().unwrap().contains("--shard-rows"), "{tight}");
    let none = plan("1GiB");
    assert!(none["batch_size"].is_null() && none["fits"] == false, "{none}");
    assert!(none["notes"][0].as_str().unwrap().contains("no batch fits"), "{none}");
}

#[test]
fn steps_are_timed_on_this_machine() {
    let place = Place::with_table();
    let words = "plan --model vilt-tiny --dataset table --data-root data --measure";
    let found = place.mmc(&format!("{words} --json")).json();
    assert!(found["hours"].as_f64().unwrap() > 0.0 && found["hours_missing"].is_null(), "{found}");
    assert!(found["measured_memory_bytes"].as_u64().unwrap() > 1 << 20, "{found}");
    assert!(place.mmc(words).done().contains("FLOP/s of training"));
}

#[test]
fn what_cannot_be_planned_is_said() {
    let place = Place::new();
    for (words, said) in [
        ("plan", "--grid"),
        ("plan --model bert --arm image", "text"),
        ("plan --model bert --batch-size 0", "batch_size"),
        ("plan --model bert --memory 16", "such as `16GiB`"),
        ("plan --model bert --flops-per-second 0", "above 0"),
        ("plan --model vilt --aspect 0.5", "expected 1 or more"),
        ("plan --model bert --grid g.toml --checkpoint c", "cannot be used with"),
    ] {
        let ran = place.mmc(words);
        assert_eq!(ran.code, 2, "mmc {words}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "mmc {words}: {}", ran.stderr);
    }
}

#[test]
fn a_generated_set_is_not_the_real_data() {
    let place = complete();
    place.mmc("data demo --dataset hateful_memes --truth text --items 12 --out demo").done();
    let lacking = missing(&plan(&place, "hateful_memes", "demo"));
    let [(what, how)] = lacking.as_slice() else { panic!("{lacking:?}") };
    assert_eq!(what, "hateful_memes data");
    assert!(how.contains("generated") && how.contains("test_unseen.jsonl"), "{how}");
}

#[test]
fn weights_that_cannot_be_opened_are_missing() {
    for (model, file, said) in [
        ("bert", "model.safetensors", "no `model.safetensors`"),
        ("bert", "tokenizer.json", "token"),
        ("vilt", "preprocessor_config.json", "preprocessor_config.json"),
        ("vilt", "model.safetensors", "no `model.safetensors`"),
    ] {
        let place = complete();
        fs::remove_file(place.path(&format!("models/{model}/{file}"))).unwrap();
        let lacking = missing(&plan(&place, "table", "data"));
        let [(what, how)] = lacking.as_slice() else { panic!("{model}/{file}: {lacking:?}") };
        assert_eq!(*what, format!("weights of {model}"));
        assert!(how.contains(said) && how.contains("copy the checkpoint"), "{model}/{file}: {how}");
    }
    let place = complete();
    let path = "models/bert/model.safetensors";
    let whole = fs::read(place.path(path)).unwrap();
    place.write(path, &whole[..whole.len() / 2]);
    let lacking = missing(&plan(&place, "table", "data"));
    assert!(matches!(lacking.as_slice(), [(what, _)] if what == "weights of bert"), "{lacking:?}");
}

/// Of a tiny model nothing is shown as 0.
#[test]
fn small_figures_can_be_read() {
    let place = Place::new();
    let words = "plan --model vilt-tiny --items 3000 --flops-per-second 1e10";
    let said = place.mmc(words).done();
    for zero in [" 0.0", " 0 MiB", "hours"] {
        assert!(!said.contains(zero), "`{zero}` in {said}");
    }
    for unit in
        [" k, of which", " MFLOP a sample forward, ", " MFLOP a step", "KiB weights", " s for "]
    {
        assert!(said.contains(unit), "no `{unit}` in {said}");
    }
}
