//! A run's folder through its life, and the experiments in `configs/`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mmc_data::{Arm, TextLanguage};
use mmc_run::{
    Cost, DataRecord, EvalRecord, Experiment, ExperimentRecord, LanguageRecord, PartialSettings,
    Prediction, Predictions, Prices, Published, ResultsFolder, RunConfig, RunError, RunFolder,
    RunId, SplitRecord, StepRecord,
};

fn config() -> RunConfig {
    let settings = PartialSettings {
        model: Some("vilt-tiny".to_owned()),
        dataset: Some("table".to_owned()),
        data_root: Some("data/emoji".to_owned()),
        checkpoint: Some("none".to_owned()),
        arm: Some(Arm::Both),
        head: Some("fused".to_owned()),
        max_length: Some(40),
        labels: Some(vec!["a".to_owned(), "b".to_owned()]),
        ..PartialSettings::default()
    };
    let split = |name: &str| SplitRecord {
        split: name.to_owned(),
        items: 10,
        labelled: true,
        fingerprint: "00ff".repeat(16),
        missing_pictures: 0,
    };
    RunConfig {
        settings: settings.resolve().unwrap(),
        versions: BTreeMap::from([("mmc".to_owned(), "0.1.0".to_owned())]),
        data: DataRecord { train: split("train"), selection: Some(split("val")), test: None },
        language: Some(LanguageRecord {
            spoken: vec!["English".to_owned()],
            found: TextLanguage { name: "Spanish".to_owned(), share: 0.975, texts: 500 },
        }),
    }
}

fn step(step: u64) -> StepRecord {
    StepRecord {
        step,
        epoch: 1,
        loss: (step != 3).then_some(0.1 * step as f64),
        learning_rate: 2e-5,
        grad_norm: (step != 3).then_some(1.0 / 3.0),
        learning_rates: Vec::new(),
        grad_norms: Vec::new(),
        samples_per_second: 100.0,
        items: None,
        loader_wait_seconds: 0.0,
        loss_scale: None,
        skipped: None,
    }
}

#[test]
fn a_run_of_before_a_setting_has_what_held_then() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(&folder.path().join("run")).unwrap();
    run.write_config(&config()).unwrap();
    let text = fs::read_to_string(run.config_path()).unwrap();
    let kept =
        text.lines().filter(|line| !line.starts_with("freeze") && !line.starts_with("layer_"));
    fs::write(run.config_path(), kept.collect::<Vec<_>>().join("\n")).unwrap();
    assert_eq!(run.config().unwrap(), config());
}

#[test]
fn config_reads_back_and_serves_as_a_configuration_file() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(&folder.path().join("run")).unwrap();
    run.write_config(&config()).unwrap();
    assert_eq!(run.config().unwrap(), config());

    let asked = PartialSettings::read(&run.config_path()).unwrap();
    assert_eq!(asked.resolve().unwrap(), config().settings);
}

#[test]
fn a_run_is_resumed_only_as_itself() {
    let (before, mut asked) = (config(), config());
    asked.settings.workers = 9;
    assert!(before.obstacles(&asked).unwrap().is_empty());
    asked.settings.seed = 3;
    asked.data.train.fingerprint = "1234567890abcdef".to_owned();
    asked.data.selection = None;
    assert_eq!(
        before.obstacles(&asked).unwrap(),
        [
            "`seed` was `0` in this run, now `3`",
            "the train split was train (10 items, 00ff00ff00ff), now train (10 items, 1234567890ab)",
            "the selection split was val (10 items, 00ff00ff00ff), now absent",
        ]
    );
}

#[test]
fn nothing_is_written_over_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let run = RunFolder::create(&root).unwrap();
    fs::write(run.log_path(), "started\n").unwrap();
    RunFolder::create(&root).unwrap();

    run.write_config(&config()).unwrap();
    let error = RunFolder::create(&root).unwrap_err().to_string();
    assert!(error.ends_with("holds a run; give another folder, or `--resume` to go on with a run"));
    RunFolder::resume(&root).unwrap();

    fs::write(root.join("thesis.tex"), "").unwrap();
    let error = RunFolder::resume(&root).unwrap_err().to_string();
    assert!(error.contains("holds `thesis.tex`, which is not part of a run"), "{error}");
    assert!(RunFolder::open(folder.path()).is_err());
}

#[test]
fn one_at_a_time_works_on_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    let run = RunFolder::create(&root).unwrap();
    let held = run.lock().unwrap();
    let other = RunFolder::resume(&root).unwrap();
    let error = other.lock().unwrap_err();
    assert!(matches!(error, RunError::Busy { .. }), "{error}");
    assert!(error.to_string().contains("run: another process is at work"), "{error}");
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0, "the lock leaves no file");
    drop(held);
    other.lock().unwrap();
}

#[test]
fn what_is_withdrawn_leaves_no_folder_that_it_made() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("mine");
    fs::create_dir(&place).unwrap();
    let run = RunFolder::create(&place.join("deep/run")).unwrap();
    assert!(run.root().is_dir());
    run.withdraw().unwrap();
    assert!(place.is_dir() && fs::read_dir(&place).unwrap().count() == 0);

    let run = RunFolder::create(&place.join("deep/run")).unwrap();
    fs::write(run.log_path(), "").unwrap();
    run.withdraw().unwrap();
    assert!(run.log_path().is_file(), "what holds something stays");
    RunFolder::resume(&place).unwrap_err();
    let empty = place.join("empty");
    fs::create_dir(&empty).unwrap();
    RunFolder::resume(&empty).unwrap().withdraw().unwrap();
    assert!(empty.is_dir(), "it was there before");
}

#[test]
fn files_of_ours_that_are_damaged_have_their_place_and_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(&folder.path().join("run")).unwrap();
    run.write_config(&config()).unwrap();
    let text = fs::read_to_string(run.config_path()).unwrap();
    fs::write(run.config_path(), text.replace("\nepochs = ", "\nepochs = =")).unwrap();
    let error = run.config().unwrap_err().to_string();
    let line = text.lines().position(|line| line.starts_with("epochs = ")).unwrap() + 1;
    let place = format!("config.toml:{line}:");
    assert!(error.contains(&place) && error.lines().count() == 1, "{error}");
    fs::write(run.config_path(), text.replace("[versions]", "[version]")).unwrap();
    let error = run.config().unwrap_err().to_string();
    assert!(error.contains("no table `versions`") && error.contains("restore"), "{error}");
    fs::write(run.train_path(), "{}\n").unwrap();
    let error = run.steps().unwrap_err().to_string();
    assert!(error.contains("train.jsonl:1: not a record") && error.contains("restore"), "{error}");
}

#[test]
fn steps_after_an_interruption_are_recorded_once() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(&folder.path().join("run")).unwrap();
    for number in 1..=5 {
        run.append_step(&step(number)).unwrap();
    }
    let evaluation = EvalRecord {
        step: 4,
        epoch: 1,
        split: "val".to_owned(),
        items: 10,
        loss: Some(0.5),
        scores: BTreeMap::from([("auroc".to_owned(), None)]),
    };
    run.append_evaluation(&evaluation).unwrap();
    let whole = fs::read_to_string(run.train_path()).unwrap();
    // The sixth step's line was torn by a kill.
    fs::write(run.train_path(), format!("{whole}{{\"step\":6,\"ep")).unwrap();

    run.truncate_after(4).unwrap();
    run.append_step(&step(5)).unwrap();
    assert_eq!(fs::read_to_string(run.train_path()).unwrap(), whole);
    assert_eq!(run.steps().unwrap(), (1..=5).map(step).collect::<Vec<_>>());
    assert_eq!(run.evaluations().unwrap(), std::slice::from_ref(&evaluation));
    run.truncate_evaluations_after(3).unwrap();
    assert!(run.evaluations().unwrap().is_empty());
    assert_eq!(run.steps().unwrap().len(), 5, "steps stay");
    run.append_evaluation(&evaluation).unwrap();
    run.truncate_after(3).unwrap();
    assert_eq!((run.steps().unwrap().len(), run.evaluations().unwrap()), (3, Vec::new()));
}

#[test]
fn a_run_is_complete_when_its_cost_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(&folder.path().join("run")).unwrap();
    run.write_config(&config()).unwrap();
    let rows = vec![Prediction {
        id: "1".to_owned(),
        label: Some("a".to_owned()),
        prediction: "a".to_owned(),
        probabilities: vec![0.75, 0.25],
        logits: None,
        group: None,
        answer: None,
    }];
    let predictions = Predictions { classes: vec!["a".to_owned(), "b".to_owned()], rows };
    run.write_predictions("val", &predictions).unwrap();
    assert!(run.predictions_path("val", "jsonl").is_file());
    run.write_scores(&BTreeMap::from([("val", 1)])).unwrap();
    assert!(!run.is_complete());
    let cost = Cost {
        wall_seconds: 1.0,
        seconds_per_step: 0.5,
        samples_per_second: 32.0,
        peak_memory_bytes: 1 << 30,
        peak_device_memory_bytes: None,
        parameters: 10,
        trainable_parameters: 10,
        flops_per_sample: 20.0,
        padding_share: None,
        energy_joules: None,
        cut_texts: BTreeMap::from([("val".to_owned(), 1)]),
        skipped_items: BTreeMap::new(),
        seconds_per_prediction: None,
        unmoved_parameters: vec![],
        rows_in_train: BTreeMap::new(),
    };
    run.write_cost(&cost).unwrap();
    assert!(run.is_complete() && run.damage().is_none());
    for path in [run.scores_path(), run.cost_path()] {
        let whole = fs::read(&path).unwrap();
        fs::write(&path, "{").unwrap();
        assert!(!run.is_complete() && run.has_ended());
        let problem = run.damage().unwrap().to_string();
        assert!(problem.contains(".json: not what a run writes"), "{problem}");
        fs::write(&path, whole).unwrap();
    }

    // It is as good elsewhere.
    let moved = folder.path().join("moved");
    fs::rename(run.root(), &moved).unwrap();
    let run = RunFolder::open(&moved).unwrap();
    assert_eq!(run.predictions("val").unwrap(), predictions);
    assert_eq!(run.cost().unwrap(), cost);
}

#[test]
fn every_experiment_of_the_project_parses() {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let mut seen = Vec::new();
    for entry in fs::read_dir(configs).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let experiment = Experiment::read(&path).unwrap();
            assert!(!experiment.grid.runs().is_empty());
            seen.push(path.file_stem().unwrap().to_string_lossy().into_owned());
        }
    }
    seen.sort();
    assert!(seen.contains(&"hateful_memes".to_owned()), "{seen:?}");
}

#[test]
fn the_grid_of_hateful_memes_is_that_of_the_protocol() {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let experiment = Experiment::read(&configs.join("hateful_memes.toml")).unwrap();
    assert_eq!(experiment.grid.runs().len(), 5 * (2 + 3 * 3)); // seeds × (texts + models × arms)
    assert_eq!(experiment.settings.epochs, Some(10));
    let demo = experiment.demo.unwrap();
    let runs: Vec<String> = demo.grid.runs().iter().map(RunId::to_string).collect();
    assert_eq!(
        runs[..5],
        [
            "bert-tiny-text-0",
            "roberta-tiny-text-0",
            "clip-tiny-both-0",
            "clip-tiny-text-0",
            "clip-tiny-image-0"
        ]
    );
    assert_eq!(runs.len(), 3 * (2 + 3 * 3));
}

#[test]
fn a_mistake_in_an_experiment_has_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let good = "dataset = \"table\"\nprimary_metric = \"accuracy\"\nmetrics = []\nmargin = 0.02\n\
                [grid]\ntext_models = [\"bert\"]\nmultimodal_models = [\"vilt\"]\n\
                arms = [\"both\"]\nseeds = [0]\n[settings]\n";
    let complain = |text: String| {
        fs::write(&path, text).unwrap();
        let message = Experiment::read(&path).unwrap_err().to_string();
        message.replace(&format!("{}/", folder.path().display()), "")
    };
    fs::write(&path, good).unwrap();
    Experiment::read(&path).unwrap();
    assert_eq!(
        complain(format!("{good}epohcs = 3\n")),
        "mine.toml:11:1: unknown key `settings.epohcs`, did you mean `epochs`?"
    );
    assert!(complain(format!("{good}seed = 3\n")).starts_with("mine.toml:11:1: unknown key"));
    assert!(
        complain(good.replace("[\"both\"]", "[\"text\"]"))
            .contains("`grid.arms` lacks `both`, which is what is compared")
    );
    assert!(
        complain(format!("{good}schedule = \"cosin\"\n"))
            .contains("unknown schedule `cosin`, expected `linear`, `cosine` or `constant`; did you mean `cosine`?")
    );
}

#[test]
fn what_was_run_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let results = ResultsFolder::new(&folder.path().join("results/x"));
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let experiment = Experiment::read(&configs.join("hateful_memes.toml")).unwrap();
    let record = ExperimentRecord {
        name: "x".to_owned(),
        command: "cargo xtask experiment x".to_owned(),
        file: Some("configs/x.toml".to_owned()),
        out: Some("a b".to_owned()),
        dataset: experiment.dataset,
        primary_metric: experiment.primary_metric,
        metrics: experiment.metrics,
        margin: experiment.margin,
        missing: vec!["data/x".to_owned()],
        prices: Prices { price_per_hour: Some(1.2), watts: None, value_per_correct: Some(0.05) },
        demo: None,
        grid: experiment.grid,
        search: None,
    };
    assert_eq!(record.prices.problems(), Vec::<String>::new());
    assert!(results.record().unwrap_err().to_string().contains("it has no `experiment.toml`"));
    results.write_record(&record).unwrap();
    assert_eq!(results.record().unwrap(), record);
    assert!(record.is_demo());
}

#[test]
fn every_file_of_published_figures_reads_and_a_mistake_has_its_place() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/published");
    let mut sets = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let published = Published::read(&path).unwrap();
        assert_eq!(path.file_stem().unwrap().to_str().unwrap(), published.dataset);
        assert!(!published.figures.is_empty());
        sets.push(published.dataset);
    }
    sets.sort();
    assert_eq!(sets, ["hateful_memes", "news", "snli_ve", "vqa_v2"]);

    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.toml");
    let text = "dataset = \"x\"\nclaims = []\n[[figures]]\nname = \"BERT\"\nmetric = \"auroc\"\n\
                valeu = 0.65\nsource = \"a paper\"\nsure = \"quoted\"\n";
    fs::write(&path, text).unwrap();
    let problem = Published::read(&path).unwrap_err().to_string();
    assert!(
        problem.contains("x.toml:6:1: unknown key `figures.valeu`, did you mean `value`?"),
        "{problem}"
    );
    fs::write(&path, text.replace("valeu = 0.65", "value = 65.1")).unwrap();
    let problem = Published::read(&path).unwrap_err().to_string();
    assert!(problem.contains("`65.1`, expected between 0 and 1"), "{problem}");
    fs::write(&path, text.replace("valeu", "value").replace("quoted", "certain")).unwrap();
    let problem = Published::read(&path).unwrap_err().to_string();
    assert!(problem.contains("unknown variant `certain`"), "{problem}");
}
