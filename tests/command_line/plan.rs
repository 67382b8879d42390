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
