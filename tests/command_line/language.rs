//! Texts in a language that a model's published weights do not know: said in the log before the
//! first step, kept with the run, and said in the report.

use std::fmt::Write as _;
use std::fs;

use crate::place::{Place, finish, workspace};

const SPANISH: &[&str] = &[
    "sube otra vez el precio de la vivienda en las ciudades",
    "los vecinos piden más luz en las calles del barrio",
    "la lluvia corta tres carreteras en el norte del país",
    "el equipo local gana el partido en el último minuto",
];
const ENGLISH: &[&str] = &[
    "the price of housing rises again in the larger towns",
    "neighbours ask for more light in the streets at night",
    "rain closes three of the roads in the north of the country",
    "the home team wins the match in the very last minute",
];

/// A table whose rows are `texts`, and the small checkpoint of CLIP in `weights`.
fn place(texts: &[&str], weights: &str) -> Place {
    let place = Place::new();
    place.picture("data/a.png", 90);
    for split in ["train", "val", "test"] {
        let mut table = String::from("id,text,image,label\n");
        for row in 0..24 {
            let label = ["up", "down"][row % 2];
            writeln!(table, "{split}-{row},{},a.png,{label}", texts[row % texts.len()]).unwrap();
        }
        place.write(&format!("data/{split}.csv"), table);
    }
    for entry in fs::read_dir(workspace().join("tests/fixtures/models/clip")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        place.write(&format!("{weights}/{name}"), fs::read(&path).unwrap());
    }
    place
}

/// What a run of CLIP with `words` beside says in its log.
fn train(place: &Place, words: &str) -> String {
    let mut command = place.command(&format!(
        "train --model clip --dataset table --data-root data --max-length 12 --max-steps 1 {words}"
    ));
    for (variable, folder) in [("MMC_MODELS", "weights"), ("HF_HUB_CACHE", "hub")] {
        command.env(variable, place.path(folder));
    }
    let ran = finish(command);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.stderr
}

/// The report of that one run.
fn report(place: &Place) -> String {
    place.write(
        "results/experiment.toml",
        "name = \"language\"\ncommand = \"none\"\ndataset = \"table\"\nprimary_metric = \
         \"accuracy\"\nmetrics = []\nmargin = 0.02\nmissing = []\n[grid]\ntext_models = []\n\
         multimodal_models = [\"clip\"]\narms = [\"both\"]\nseeds = [0]\n",
    );
    place.mmc("report results").done();
    place.read("results/report.md")
}

const SAID: &str = "100 % of the 24 training texts looked at are in Spanish, and the published \
                    weights know English only";
const RUN: &str = "results/runs/clip-both-0";

#[test]
fn spanish_texts_for_english_weights_are_warned_of_in_log_and_report() {
    let place = place(SPANISH, "weights/clip");
    let log = train(&place, &format!("--out {RUN}"));
    assert!(log.contains(&format!("{SAID}; `--model beto` knows it")), "{log}");
    assert_eq!(log.matches(SAID).count(), 1, "{log}");
    let config = place.read(&format!("{RUN}/config.toml"));
    assert!(config.contains("[language.found]\nname = \"Spanish\""), "{config}");
    let report = report(&place);
    assert!(report.contains(&format!("- clip (both): {SAID}\n")), "{report}");
    assert!(report.contains("| clip | both | fused | 1 |"), "{report}");
    // The run's own configuration can be given to another: the weights are the same.
    let log = train(&place, &format!("--config {RUN}/config.toml --out again"));
    assert!(log.contains(SAID), "{log}");
}

#[test]
fn english_texts_are_not_warned_of() {
    let place = place(ENGLISH, "weights/clip");
    let log = train(&place, &format!("--out {RUN}"));
    assert!(!log.contains("looked at"), "{log}");
    assert!(place.read(&format!("{RUN}/config.toml")).contains("[language.found]"));
    assert!(!report(&place).contains("looked at"));
}

#[test]
fn nothing_is_said_of_what_another_checkpoint_knows() {
    let place = place(SPANISH, "my-spanish-clip");
    let log = train(&place, &format!("--checkpoint my-spanish-clip --out {RUN}"));
    assert!(!log.contains("looked at"), "{log}");
    assert!(!place.read(&format!("{RUN}/config.toml")).contains("[language"));
    assert!(!report(&place).contains("looked at"));
}

#[test]
fn weights_of_the_hub_are_the_published_ones_where_they_are_the_models_own() {
    let own = "hub/models--openai--clip-vit-base-patch32/snapshots/abc";
    let hub = place(SPANISH, own);
    for (out, given) in [
        ("default", String::new()),
        ("id", "--checkpoint openai/clip-vit-base-patch32".to_owned()),
        ("folder", format!("--checkpoint {own}")),
    ] {
        let log = train(&hub, &format!("{given} --out {out}"));
        assert!(log.contains(SAID), "{out}: {log}");
    }
    let other = place(SPANISH, "hub/models--me--spanish-clip/snapshots/abc");
    let log = train(&other, "--checkpoint me/spanish-clip --out run");
    assert!(!log.contains("looked at"), "{log}");
}
