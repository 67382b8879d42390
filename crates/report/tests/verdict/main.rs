//! Every branch of the verdict, on results whose truth is known.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should stop")]

mod alarms;
mod diagnoses;
mod gallery;
mod html;
mod leaks;
mod others;
mod search;
mod simulation;
mod synthetic;

use std::fs;

use mmc_data::{Arm, TextLanguage};
use mmc_metrics::auroc;
use mmc_report::{Answer, Finding, Results, Verdict, read_results, report, verdict, write};
use mmc_run::{LanguageRecord, RunConfig, RunId, StepRecord};
use synthetic::{ArmTruth, Synthetic, arm, fail};

fn arms(text: f64, both: f64) -> Vec<ArmTruth> {
    vec![
        arm("bert-tiny", Arm::Text, text),
        arm("vilt-tiny", Arm::Both, both),
        arm("vilt-tiny", Arm::Text, text),
    ]
}

fn judge(experiment: &Synthetic) -> (Results, Verdict) {
    let folder = tempfile::tempdir().unwrap();
    experiment.write(folder.path());
    let results = read_results(folder.path()).unwrap();
    let verdict = verdict(&results, 0.02).unwrap();
    (results, verdict)
}

fn run(model: &str, arm: Arm, seed: u64) -> RunId {
    RunId { model: model.to_owned(), arm, seed }
}

#[test]
fn a_large_gain_is_multimodal_and_comes_from_the_picture() {
    let (results, verdict) = judge(&Synthetic::new(arms(0.0, 2.0)));
    assert_eq!(verdict.verdict, Answer::Multimodal);
    assert_eq!(verdict.gains[0].finding, Finding::GainAboveMargin);
    assert_eq!(verdict.any_above_chance, Some(true));
    assert!(verdict.alarms.is_empty(), "{:?}", verdict.alarms);

    // The gain is the difference of mean AUROCs, computed here from the predictions themselves.
    let mean_auroc = |model: &str| {
        let of_model = results
            .runs
            .iter()
            .filter(|at| at.id.model == model && (at.id.arm == Arm::Both || model == "bert-tiny"));
        let values: Vec<f64> = of_model
            .map(|at| {
                let rows = &at.test.as_ref().unwrap().rows;
                let scores: Vec<f64> = rows.iter().map(|row| row.probabilities[1]).collect();
                let positive: Vec<bool> =
                    rows.iter().map(|row| row.label.as_deref() == Some("hateful")).collect();
                auroc(&scores, &positive).unwrap()
            })
            .collect();
        assert_eq!(values.len(), 3);
        values.iter().sum::<f64>() / 3.0
    };
    let gain = verdict.gains[0].gain.unwrap();
    assert!((gain - (mean_auroc("vilt-tiny") - mean_auroc("bert-tiny"))).abs() < 1e-12);

    // The ledger's parts sum to the gain.
    let entry = &verdict.ledger[0];
    let parts = entry.backbone.gain.unwrap() + entry.picture.gain.unwrap();
    assert!((parts - gain).abs() < 1e-12);
    assert!((entry.total.unwrap() - gain).abs() < 1e-12);
    assert!(entry.picture.comparison.as_ref().unwrap().paired_seeds);
    assert_eq!(entry.picture.finding, Finding::GainAboveMargin);
    assert!(!entry.backbone.finding.is_gain());

    let cost = verdict.costs.iter().find(|cost| cost.arm == Arm::Both).unwrap();
    assert!((cost.seconds_per_step.ratio.unwrap() - 3.0).abs() < 1e-9);
    assert!((cost.wall_seconds.value - 31.0).abs() < 1e-9);
    assert!(verdict.advice.meaning.starts_with("use vilt-tiny"));
    assert!(verdict.advice.decorative.starts_with("use bert-tiny"));
    assert!(verdict.advice.short.contains("no model of fewer operations is shown"));
}

#[test]
fn equal_models_on_many_items_are_text_suffices() {
    let experiment =
        Synthetic { items: 2000, common: 0.95, seeds: 4, ..Synthetic::new(arms(2.0, 2.0)) };
    let (_, verdict) = judge(&experiment);
    assert_eq!(verdict.verdict, Answer::TextSuffices);
    assert!(verdict.gains[0].finding.is_below_margin());
    assert!(verdict.help.is_empty());
    assert!(verdict.advice.meaning.contains("no gain of it is shown"));
}

#[test]
fn few_items_are_undecided_and_the_report_says_what_would_decide() {
    let experiment = Synthetic { items: 100, ..Synthetic::new(arms(1.0, 1.0)) };
    let (results, verdict) = judge(&experiment);
    assert_eq!(verdict.verdict, Answer::Undecided);
    assert_eq!(verdict.gains[0].finding, Finding::Open);
    assert_eq!(verdict.help.len(), 1);
    assert!(verdict.help[0].contains("test items"), "{}", verdict.help[0]);
    assert!(report(&results, &verdict).unwrap().contains("What would decide: vilt-tiny (both)"));
}

#[test]
fn a_loss_is_text_suffices_and_said_to_hurt() {
    let (results, verdict) = judge(&Synthetic::new(arms(2.5, 0.5)));
    assert_eq!(verdict.verdict, Answer::TextSuffices);
    assert_eq!(verdict.gains[0].finding, Finding::Loss);
    assert!(report(&results, &verdict).unwrap().contains("the image hurts"));
}

#[test]
fn a_real_gain_below_the_margin_is_text_suffices() {
    let experiment =
        Synthetic { items: 4000, common: 0.99, seeds: 4, ..Synthetic::new(arms(2.0, 2.1)) };
    let folder = tempfile::tempdir().unwrap();
    experiment.write(folder.path());
    let results = read_results(folder.path()).unwrap();
    let found = verdict(&results, 0.05).unwrap();
    assert_eq!(found.verdict, Answer::TextSuffices);
    assert_eq!(found.gains[0].finding, Finding::GainTooSmall);
    // The same results say otherwise for who cares about less.
    assert_eq!(verdict(&results, 0.001).unwrap().verdict, Answer::Multimodal);
    assert!(verdict(&results, 0.0).is_err());
}

#[test]
fn the_ranges_of_margins_agree_with_the_verdicts_they_stand_for() {
    for (text, both) in [(0.0, 2.0), (1.0, 1.0), (2.5, 0.5), (1.0, 1.4)] {
        let folder = tempfile::tempdir().unwrap();
        Synthetic::new(arms(text, both)).write(folder.path());
        let results = read_results(folder.path()).unwrap();
        for range in verdict(&results, 0.02).unwrap().by_margin {
            let to = range.to.unwrap_or(range.from + 0.1);
            for part in [0.01, 0.5, 0.99] {
                let margin = range.from + part * (to - range.from);
                let found = verdict(&results, margin).unwrap().verdict;
                assert_eq!(found, range.verdict, "margin {margin} of {range:?}");
            }
        }
    }
}

#[test]
fn one_seed_decides_nothing() {
    let (results, verdict) = judge(&Synthetic { seeds: 1, ..Synthetic::new(arms(0.0, 2.0)) });
    assert_eq!(verdict.verdict, Answer::Undecided);
    assert_eq!(verdict.gains[0].finding, Finding::OneSeed);
    assert!(verdict.help[0].contains("train at least two more seeds"));
    assert!(report(&results, &verdict).unwrap().contains("items only, these files"));
}

#[test]
fn a_failed_run_is_reported_and_does_not_sink_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let results = Synthetic::new(arms(0.0, 2.0)).write(folder.path());
    fail(&results, &run("vilt-tiny", Arm::Both, 1), "step 3\nerror: out of memory\n\n");
    let results = read_results(folder.path()).unwrap();
    assert_eq!(results.failed.len(), 1);
    let verdict = verdict(&results, 0.02).unwrap();
    assert_eq!(verdict.verdict, Answer::Multimodal);
    assert_eq!(
        verdict.alarms[0],
        "vilt-tiny-both-1 failed and is in no figure: it did not finish; its last words: error: \
         out of memory"
    );
    assert_eq!(verdict.gains[0].comparison.as_ref().unwrap().seeds.candidate, 2);
    // Seeds no longer match, so the picture's worth is compared unpaired.
    assert!(!verdict.ledger[0].picture.comparison.as_ref().unwrap().paired_seeds);
}

#[test]
fn without_any_run_of_a_side_nothing_is_decided() {
    let folder = tempfile::tempdir().unwrap();
    let written = Synthetic::new(arms(0.0, 2.0)).write(folder.path());
    for seed in 0..3 {
        fail(&written, &run("bert-tiny", Arm::Text, seed), "");
    }
    let results = read_results(folder.path()).unwrap();
    let verdict = verdict(&results, 0.02).unwrap();
    assert_eq!(verdict.verdict, Answer::Undecided);
    assert_eq!(verdict.gains[0].finding, Finding::Absent);
    report(&results, &verdict).unwrap();
}

#[test]
fn a_test_split_without_labels_is_undecided() {
    let (results, verdict) =
        judge(&Synthetic { labelled: false, ..Synthetic::new(arms(0.0, 2.0)) });
    assert_eq!(verdict.verdict, Answer::Undecided);
    assert_eq!(verdict.any_above_chance, None);
    let text = report(&results, &verdict).unwrap();
    assert!(text.contains("vilt-tiny (both) was not compared: the test split has no labels."));
}

#[test]
fn noise_is_said_to_be_no_better_than_chance() {
    let experiment = Synthetic { truth: Some("none"), ..Synthetic::new(arms(0.0, 0.0)) };
    let (results, verdict) = judge(&experiment);
    assert_ne!(verdict.verdict, Answer::Multimodal);
    assert_eq!(verdict.any_above_chance, Some(false));
    assert!(report(&results, &verdict).unwrap().contains("No arm is shown to be above chance"));
}

#[test]
fn the_text_model_is_chosen_on_the_selection_split() {
    let mut truths = arms(1.0, 2.0);
    truths.push(ArmTruth { model: "roberta-tiny", arm: Arm::Text, selection: 3.0, test: 0.5 });
    let (_, verdict) = judge(&Synthetic::new(truths));
    assert_eq!(verdict.text_model.as_deref(), Some("roberta-tiny"));
    assert_eq!(verdict.gains[0].baseline, "roberta-tiny (text)");
}

#[test]
fn several_models_share_the_error_rate() {
    let mut truths = arms(1.0, 2.5);
    truths.push(arm("clip-tiny", Arm::Both, 1.0));
    truths.push(arm("clip-tiny", Arm::Text, 1.0));
    let (_, verdict) = judge(&Synthetic::new(truths));
    assert_eq!(verdict.verdict, Answer::Multimodal);
    let found = verdict.gains[0].comparison.as_ref().unwrap();
    assert!((found.lower_level - 0.975).abs() < 1e-12);
    assert!((found.upper_level - 0.95).abs() < 1e-12);
    assert!(verdict.gains[0].holm_p.unwrap() >= found.p_value);
}

#[test]
fn a_run_that_did_not_train_is_named_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = Synthetic { truth: Some("interaction"), ..Synthetic::new(arms(0.0, 2.0)) };
    let written = experiment.write(folder.path());
    let stuck = written.run(&run("vilt-tiny", Arm::Both, 2)).unwrap();
    let record = StepRecord { loss: Some(0.69), ..stuck.steps().unwrap()[0].clone() };
    fs::remove_file(stuck.train_path()).unwrap();
    stuck.append_step(&record).unwrap();
    let results = read_results(folder.path()).unwrap();
    let verdict = verdict(&results, 0.02).unwrap();
    assert_eq!(
        verdict.alarms,
        [
            "vilt-tiny-both-2 did not train: its loss ended at 0.690, above 0.500; it is in all figures"
        ]
    );
    assert_eq!(verdict.gains[0].comparison.as_ref().unwrap().seeds.candidate, 3);
}

#[test]
fn a_run_whose_files_are_damaged_has_failed_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let written = Synthetic::new(arms(0.0, 2.0)).write(folder.path());
    let run = written.run(&run("vilt-tiny", Arm::Both, 1)).unwrap();
    fs::write(run.cost_path(), "{").unwrap();
    let results = read_results(folder.path()).unwrap();
    let line = results.failed[0].to_string();
    assert!(line.starts_with("vilt-tiny-both-1 failed and is in no figure: it cannot be read: "));
    assert!(line.contains("cost.json"), "{line}");
    let verdict = verdict(&results, 0.02).unwrap();
    assert_eq!(verdict.alarms[0], line);
}

#[test]
fn cut_texts_and_skipped_items_are_in_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let written = Synthetic::new(arms(0.0, 2.0)).write(folder.path());
    for seed in 0..3 {
        let run = written.run(&run("bert-tiny", Arm::Text, seed)).unwrap();
        let mut cost = run.cost().unwrap();
        cost.cut_texts = [("train".to_owned(), 12), ("test_unseen".to_owned(), 3)].into();
        cost.skipped_items = [("test_unseen".to_owned(), 1), ("train".to_owned(), 0)].into();
        run.write_cost(&cost).unwrap();
        let mut rows = run.predictions("test_unseen").unwrap();
        rows.rows.pop();
        run.write_predictions("test_unseen", &rows).unwrap();
    }
    let results = read_results(folder.path()).unwrap();
    let verdict = verdict(&results, 0.02).unwrap();
    let text = report(&results, &verdict).unwrap();
    for words in [
        "- bert-tiny (text): texts longer than 40 tokens were cut: 12 of 3000 in `train`, 3 of 400 \
         in `test_unseen`\n",
        "- bert-tiny (text): items that could not be used were left out: 1 of 400 in `test_unseen`\n",
        "Means over seeds on split `test_unseen`, 399 of 400 items, fingerprint",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    // Three arms share the error of the lower end.
    assert!(text.contains("Above chance: lower end at 0.9833, upper end at 0.9500"), "{text}");
}

#[test]
fn texts_in_a_language_that_the_weights_do_not_know_are_in_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let written = Synthetic::new(arms(0.0, 2.0)).write(folder.path());
    let with_language = |arm: Arm, name: &str| {
        for seed in 0..3 {
            let run = written.run(&run("vilt-tiny", arm, seed)).unwrap();
            let found = TextLanguage { name: name.to_owned(), share: 0.976, texts: 500 };
            let spoken = vec!["English".to_owned()];
            let config = run.config().unwrap();
            let language = Some(LanguageRecord { spoken, found });
            run.write_config(&RunConfig { language, ..config }).unwrap();
        }
    };
    with_language(Arm::Both, "Spanish");
    with_language(Arm::Text, "English");
    let results = read_results(folder.path()).unwrap();
    let verdict = verdict(&results, 0.02).unwrap();
    assert_eq!(
        verdict.alarms,
        ["vilt-tiny (both): 98 % of the 500 training texts looked at are in Spanish, and the \
          published weights know English only"]
    );
}

#[test]
fn runs_on_other_data_are_set_apart() {
    let folder = tempfile::tempdir().unwrap();
    let written = Synthetic::new(arms(0.0, 2.0)).write(folder.path());
    let stray = written.run(&run("vilt-tiny", Arm::Both, 0)).unwrap();
    let mut config = stray.config().unwrap();
    config.data.test.as_mut().unwrap().fingerprint = "ff".repeat(32);
    stray.write_config(&config).unwrap();
    let results = read_results(folder.path()).unwrap();
    assert_eq!(results.failed.len(), 1);
    assert!(results.failed[0].why.starts_with("was tested on other data: test_unseen (400 items"));
}

#[test]
fn a_demo_says_so_in_its_title_first_line_and_every_caption() {
    let experiment = Synthetic { truth: Some("interaction"), ..Synthetic::new(arms(0.0, 2.0)) };
    let (results, verdict) = judge(&experiment);
    let text = report(&results, &verdict).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("# DEMO: does the picture help on memes?"));
    assert!(lines[2].contains("DEMO: ") && lines[2].contains("data/hateful_memes"));
    assert!(lines.contains(&"verdict: multimodal"));
    let captions: Vec<&&str> =
        lines.iter().filter(|line| line.starts_with('*') && !line.starts_with("**")).collect();
    assert_eq!(captions.len(), 11);
    for caption in captions {
        assert!(caption.starts_with("*DEMO: ") && caption.contains("data/hateful_memes"));
    }
    let at = |words: &str| lines.iter().position(|line| line.starts_with(words)).unwrap();
    assert_eq!(at("- Resources are short"), at("- The picture is part of the meaning") + 2);
    assert!(at("## Gain over text") < at("## Advice") && at("## Advice") < at("## Methods"));

    let real = Synthetic::new(arms(0.0, 2.0));
    let (results, verdict) = judge(&real);
    assert!(!report(&results, &verdict).unwrap().contains("DEMO"));
}

#[test]
fn the_files_hold_every_run_and_every_figure() {
    let folder = tempfile::tempdir().unwrap();
    let written = Synthetic::new(arms(0.0, 2.0)).write(folder.path());
    fail(&written, &run("bert-tiny", Arm::Text, 0), "");
    let results = read_results(folder.path()).unwrap();
    let judged = verdict(&results, 0.02).unwrap();
    write(&results, &judged, folder.path()).unwrap();
    let table = fs::read_to_string(folder.path().join("runs.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 9);
    assert!(table.contains("bert-tiny-text-0,bert-tiny,text,0,failed,false"));
    let json: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("verdict.json")).unwrap())
            .unwrap();
    assert_eq!(json["verdict"], "multimodal");
    assert_eq!(json["gains"][0]["comparison"]["method"], "two_way_t");
    assert!(json["gains"][0]["interval"][0].as_f64().unwrap() > 0.02);
}

#[test]
fn the_report_reads_as_it_did() {
    let experiment = Synthetic {
        truth: Some("interaction"),
        items: 300,
        seeds: 2,
        ..Synthetic::new(arms(0.5, 2.0))
    };
    let folder = tempfile::tempdir().unwrap();
    let written = experiment.write(folder.path());
    fail(&written, &run("vilt-tiny", Arm::Text, 1), "error: killed\n");
    let results = read_results(folder.path()).unwrap();
    let verdict = verdict(&results, 0.02).unwrap();
    insta::assert_snapshot!("demo_multimodal", report(&results, &verdict).unwrap());
}
