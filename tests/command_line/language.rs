//! Texts in a language that a model's published weights do not know: said in the log before the
//! first step, kept with the run, and said in the report.

use std::fmt::Write as _;

use crate::place::{Place, workspace};

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

/// A run of `model` from its small checkpoint on rows of `texts`: the log, and the place.
fn train(model: &str, texts: &[&str]) -> (String, Place) {
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
    let checkpoint = workspace().join("tests/fixtures/models").join(model);
    let ran = place.mmc(&format!(
        "train --model {model} --checkpoint {} --dataset table --data-root data --max-length 12 \
         --max-steps 1 --out results/runs/{model}-both-0",
        checkpoint.display()
    ));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    (ran.stderr, place)
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

#[test]
fn spanish_texts_for_english_weights_are_warned_of_in_log_and_report() {
    let (log, place) = train("clip", SPANISH);
    let said = "100 % of the 24 training texts looked at are in Spanish, and the published weights \
                know English only";
    assert!(log.contains(&format!("{said}; `--model beto` knows it")), "{log}");
    assert_eq!(log.matches(said).count(), 1, "{log}");
    let config = place.read("results/runs/clip-both-0/config.toml");
    assert!(config.contains("[language.found]\nname = \"Spanish\""), "{config}");
    let report = report(&place);
    assert!(report.contains(&format!("- clip (both): {said}\n")), "{report}");
    assert!(report.contains("| clip | both | fused | 1 |"), "{report}");
    // The run's own configuration can be given to another.
    let again = place.mmc("train --config results/runs/clip-both-0/config.toml --out again");
    assert_eq!(again.code, 0, "{}", again.stderr);
}

#[test]
fn english_texts_are_not_warned_of() {
    let (log, place) = train("clip", ENGLISH);
    assert!(!log.contains("looked at"), "{log}");
    assert!(!report(&place).contains("looked at"));
}
