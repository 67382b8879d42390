use clap::Parser as _;

use super::*;
use crate::demo::{Missing, Model};

fn chosen(words: &[&str], missing: &[&str]) -> Result<Mode, Failure> {
    let options = Typed::try_parse_from([&["experiment", "hateful_memes"], words].concat());
    let experiment = Experiment::read(&workspace().join("configs/hateful_memes.toml")).unwrap();
    let found = Found {
        in_place: missing.is_empty(),
        models: vec![Model { tiny: false }],
        missing: missing
            .iter()
            .map(|what| Missing {
                what: (*what).to_owned(),
                place: "models/bert".to_owned(),
                how: "get it".to_owned(),
            })
            .collect(),
        versions: std::collections::BTreeMap::new(),
    };
    choose(&options.unwrap().options, &experiment, &found)
}

#[derive(clap::Parser)]
struct Typed {
    #[command(flatten)]
    options: Options,
}

#[test]
fn what_is_missing_decides_unless_it_is_said() {
    assert!(matches!(chosen(&[], &[]), Ok(Mode::Study { tiny: false })));
    let Ok(Mode::Demo { truth, missing }) = chosen(&[], &["weights of bert"]) else { panic!() };
    assert_eq!((truth, missing), (Truth::Interaction, vec!["weights of bert".to_owned()]));
    assert!(matches!(chosen(&["--profile", "demo"], &[]), Ok(Mode::Demo { .. })));
    let demo = chosen(&["--truth", "text"], &[]);
    assert!(matches!(demo, Ok(Mode::Demo { truth: Truth::Text, .. })));
}

#[test]
fn the_full_profile_never_falls_back_and_says_what_is_missing() {
    assert!(matches!(chosen(&["--profile", "full"], &[]), Ok(Mode::Study { .. })));
    let Err(error) = chosen(&["--profile", "full"], &["weights of bert"]) else { panic!() };
    for said in ["weights of bert", "models/bert", "get it"] {
        assert!(error.to_string().contains(said), "{error}");
    }
    assert!(chosen(&["--profile", "full", "--truth", "text"], &[]).is_err());
}

#[test]
fn a_demo_and_a_study_do_not_share_a_folder() {
    let place = tempfile::tempdir().unwrap();
    let results = ResultsFolder::new(place.path());
    let demo = || Mode::Demo { truth: Truth::Text, missing: Vec::new() };
    let study = || Mode::Study { tiny: false };
    for (there, fits, clashes) in [(demo(), demo(), study()), (study(), study(), demo())] {
        let experiment = Experiment::read(&workspace().join("configs/hateful_memes.toml")).unwrap();
        let options = Typed::try_parse_from(["experiment", "hateful_memes"]).unwrap().options;
        let planned = (experiment.grid.clone(), None);
        results.write_record(&record(&options, &experiment, &there, planned)).unwrap();
        check_out(&results, &options, &fits).unwrap();
        let error = check_out(&results, &options, &clashes).unwrap_err().to_string();
        assert!(error.contains("--out"), "{error}");
    }
}

#[test]
fn results_without_a_complete_run_are_an_error() {
    let place = tempfile::tempdir().unwrap();
    let experiment = Experiment::read(&workspace().join("configs/hateful_memes.toml")).unwrap();
    let options = Typed::try_parse_from(["experiment", "hateful_memes"]).unwrap().options;
    let planned = (experiment.grid.clone(), None);
    let record = record(&options, &experiment, &Mode::Study { tiny: false }, planned);
    ResultsFolder::new(place.path()).write_record(&record).unwrap();
    let error = conclude(place.path()).unwrap_err().to_string();
    assert!(error.contains("no run is complete"), "{error}");
    assert!(Typed::try_parse_from(["experiment", "hateful_memes", "--jobs", "0"]).is_err());
}

#[test]
fn two_experiments_of_one_name_do_not_share_a_folder() {
    let place = tempfile::tempdir().unwrap();
    let results = ResultsFolder::new(&place.path().join("results"));
    let published = workspace().join("configs/hateful_memes.toml");
    let own = place.path().join("hateful_memes.toml");
    fs::create_dir(results.root()).unwrap();
    fs::copy(&published, &own).unwrap();
    let experiment = Experiment::read(&published).unwrap();
    let options = |name: &str| Typed::try_parse_from(["experiment", name]).unwrap().options;
    let (standard, own) = (options("hateful_memes"), options(own.to_str().unwrap()));
    let study = Mode::Study { tiny: false };
    let planned = (experiment.grid.clone(), None);
    results.write_record(&record(&standard, &experiment, &study, planned)).unwrap();
    let same = options(published.to_str().unwrap());
    check_out(&results, &same, &study).unwrap();
    let probe = Typed::try_parse_from(["experiment", "hateful_memes", "--probe"]).unwrap().options;
    let error = check_out(&results, &probe, &study).unwrap_err().to_string();
    assert!(error.contains("models trained whole"), "{error}");
    let error = check_out(&results, &own, &study).unwrap_err().to_string();
    assert!(error.contains("holds the results of `configs/hateful_memes.toml`"), "{error}");
}

/// By the file's own place and not by how it was typed, whether it is still there or not.
#[test]
fn files_of_one_name_in_two_folders_are_two_experiments() {
    let place = tempfile::tempdir().unwrap();
    let published = workspace().join("configs/hateful_memes.toml");
    let own: Vec<String> = ["a", "b"]
        .map(|folder| {
            let file = place.path().join(folder).join("own exp.toml");
            fs::create_dir(file.parent().unwrap()).unwrap();
            fs::copy(&published, &file).unwrap();
            file.display().to_string()
        })
        .into();
    let experiment = Experiment::read(&published).unwrap();
    let out = place.path().join("my results");
    let options = |name: &str| {
        let words = ["experiment", name, "--out", out.to_str().unwrap()];
        Typed::try_parse_from(words).unwrap().options
    };
    let (first, second) = (options(&own[0]), options(&own[1]));
    let study = Mode::Study { tiny: false };
    let made = record(&first, &experiment, &study, (experiment.grid.clone(), None));
    // What can be pasted.
    assert!(made.command.starts_with("cargo xtask experiment '"), "{}", made.command);
    assert!(made.command.ends_with("my results'"), "{}", made.command);
    assert_eq!(made.out.as_deref(), out.to_str());
    let results = ResultsFolder::new(&out);
    // As if it had been typed without its folder.
    let made = mmc_run::ExperimentRecord {
        command: "cargo xtask experiment 'own exp.toml'".to_owned(),
        ..made
    };
    results.write_record(&made).unwrap();
    check_out(&results, &first, &study).unwrap();
    for _ in 0..2 {
        let error = check_out(&results, &second, &study).unwrap_err().to_string();
        assert!(
            error.contains("holds the results of `") && error.contains("own exp.toml"),
            "{error}"
        );
        // A file that is gone is no other file either.
        drop(fs::remove_file(&own[0]));
    }
    // A file of the project is known by its place in it, which may move.
    let options = Typed::try_parse_from(["experiment", "hateful_memes"]).unwrap().options;
    let made = record(&options, &experiment, &study, (experiment.grid.clone(), None));
    assert_eq!(made.file.as_deref(), Some("configs/hateful_memes.toml"));
}

#[test]
fn settings_that_contradict_each_other_end_it_before_the_first_run() {
    let mut experiment = Experiment::read(&workspace().join("configs/hateful_memes.toml")).unwrap();
    experiment.settings.lora_rank = Some(8);
    let results = ResultsFolder::new(Path::new("results/x"));
    let study = |words: &[&str]| {
        let words = [&["experiment", "hateful_memes"], words].concat();
        let options = Typed::try_parse_from(words).unwrap().options;
        Study::of(&experiment, false, &results).unwrap().with(options.settings())
    };
    study(&[]).check(&results).unwrap();
    let error = study(&["--probe"]).check(&results).unwrap_err().to_string();
    assert!(error.contains("`lora_rank` is `8`, expected no value with `freeze`"), "{error}");
}

#[test]
fn probes_have_a_folder_and_a_command_of_their_own() {
    let words = ["experiment", "hateful_memes", "--probe", "--out", "there/here"];
    let options = Typed::try_parse_from(words).unwrap().options;
    let experiment = Experiment::read(&workspace().join("configs/hateful_memes.toml")).unwrap();
    let mode = Mode::Demo { truth: Truth::Text, missing: Vec::new() };
    let record = record(&options, &experiment, &mode, (experiment.grid.clone(), None));
    assert_eq!(record.name, "hateful_memes_probe");
    assert_eq!(
        record.command,
        "cargo xtask experiment hateful_memes --truth text --probe --out there/here"
    );
    let results = ResultsFolder::new(Path::new("results/x"));
    let study = Study::of(&experiment, true, &results).unwrap().with(options.settings());
    let runs = study.finals(&results, None);
    assert!(!runs.is_empty());
    assert!(runs.iter().all(|run| run.settings.freeze == Some(Freeze::Backbone)));
}
