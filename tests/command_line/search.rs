//! `cargo xtask experiment` with a search: the best trial on the selection split is chosen, whatever the
//! test split says, and every model has the same number of trials.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::place::{Place, Ran, experiments, finish};

/// A table whose test labels are turned round: what is best on the selection split is worst there.
fn turned() -> Place {
    let place = Place::with_table();
    let table = place.read("data/test.csv").replace("up\n", "UP\n").replace("down\n", "up\n");
    place.write("data/test.csv", table.replace("UP\n", "down\n"));
    let config = format!(
        "dataset = \"table\"\ndata_root = {:?}\nprimary_metric = \"accuracy\"\nmetrics = []\n\
         margin = 0.02\n[grid]\ntext_models = [\"bert-tiny\"]\nmultimodal_models = [\"vilt-tiny\"]\n\
         arms = [\"both\", \"text\"]\nseeds = [0, 1]\n[settings]\nmax_steps = 60\nbatch_size = 8\n\
         [search]\ntrials = 2\nlearning_rate = [1e-9, 3e-3]\n",
        place.path("data").display().to_string()
    );
    place.write("turned.toml", config);
    place
}

fn experiment(place: &Place) -> Ran {
    let mut command = Command::new(experiments());
    command.args(["experiment", "turned.toml", "--out", "results", "--jobs", "2"]);
    finish({
        command.current_dir(place.path(""));
        command
    })
}

/// The arms of `search.json` by name.
fn arms(place: &Place) -> Vec<(String, Value)> {
    let found: Value = serde_json::from_str(&place.read("results/search.json")).unwrap();
    let name =
        |at: &Value| format!("{}-{}", at["model"].as_str().unwrap(), at["arm"].as_str().unwrap());
    found["arms"].as_array().unwrap().iter().map(|at| (name(at), at.clone())).collect()
}

/// Whether any file below holds these bytes.
fn holds(folder: &Path, words: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, words);
        }
        fs::read(&path).unwrap().windows(words.len()).any(|part| part == words)
    })
}

#[test]
fn the_best_trial_on_the_selection_split_is_chosen_whatever_the_test_split_says() {
    let place = turned();
    // One trial of one model cannot be run.
    place.write("results/search/trial-1/runs/bert-tiny-text-2/stranger.txt", "not a run's");
    let ran = experiment(&place);
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("trial 1 of bert-tiny (text): FAILED"), "{}", ran.stdout);
    assert!(ran.stdout.contains("vilt-tiny (both): trial"), "{}", ran.stdout);
    let report = place.read("results/report.md");
    assert!(report.contains("tuning budgets are unequal"), "{report}");
    assert!(report.contains("bert-tiny (text) 1 of 2: trial 1"), "{report}");

    fs::remove_file(place.path("results/search/trial-1/runs/bert-tiny-text-2/stranger.txt"))
        .unwrap();
    assert!(!ran.stdout.contains("another build"), "{}", ran.stdout);
    let older = "results/search/trial-2/runs/vilt-tiny-both-2";
    let config = place.read(&format!("{older}/config.toml"));
    let code = config.lines().find(|line| line.starts_with("code = ")).unwrap();
    place.edit(&format!("{older}/config.toml"), code, "code = \"000000000000\"");
    let ran = experiment(&place);
    assert!(ran.stdout.contains("5 of 6 trials are complete already"), "{}", ran.stdout);
    let warning = ran.stdout.lines().find(|line| line.starts_with("warning: ")).unwrap();
    let said = "1 of 6 runs are there already and were made by another build (1 by mmc ";
    assert!(warning.contains(said) && warning.contains("(code 000000000000)"), "{warning}");
    assert!(warning.ends_with(older) && warning.contains("give another `--out`"), "{warning}");
    ran.done();
    let report = place.read("results/report.md");
    assert!(!report.contains("budgets are unequal"), "{report}");
    assert!(report.contains("2 trials, the same ones for all"), "{report}");
    // Pictures of one brightness have the same bytes, whatever their names: every test row is a
    // training row.
    let leak = "8 of 8 rows of `test` are also in `train` (`test-0`, `test-1`";
    assert!(report.contains(leak), "{report}");

    let arms = arms(&place);
    assert_eq!(arms.len(), 3);
    for (name, arm) in &arms {
        let trials = arm["trials"].as_array().unwrap();
        assert_eq!(trials.len(), 2, "{name}");
        let rate = |trial: &Value| trial["settings"]["learning_rate"].as_f64().unwrap();
        let score = |trial: &Value| trial["score"].as_f64().unwrap();
        let (slow, fast) = match (rate(&trials[0]) < 1e-3, &trials[0], &trials[1]) {
            (true, slow, fast) | (false, fast, slow) => (slow, fast),
        };
        assert!(score(fast) > score(slow), "{name}: {arm}");
        assert_eq!(arm["chosen"], fast["trial"], "{name}");
        for seed in [0, 1] {
            let run = format!("results/runs/{name}-{seed}");
            assert!(place.read(&format!("{run}/config.toml")).contains("learning_rate = 0.003\n"));
            // By the test split the other rate would have won: it leaves the model at one class.
            let scores: Value =
                serde_json::from_str(&place.read(&format!("{run}/scores.json"))).unwrap();
            let test = scores["test"]["accuracy"].as_f64().unwrap();
            assert!(
                test < 0.5 && scores["val"]["accuracy"].as_f64().unwrap() > 0.5,
                "{name}: {test}"
            );
        }
    }

    // No trial has met a test item, nor a final seed.
    assert!(holds(&place.path("results/runs"), b"test-3"));
    assert!(holds(&place.path("results/search"), b"val-3"));
    assert!(!holds(&place.path("results/search"), b"test-3"));
    for number in [1, 2] {
        let runs =
            fs::read_dir(place.path(&format!("results/search/trial-{number}/runs"))).unwrap();
        let names: Vec<String> =
            runs.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(names.len(), 3);
        assert!(names.iter().all(|name| name.ends_with("-2")), "{names:?}");
    }
}
