//! Every alarm, with its fault put in.

use std::fs;

use mmc_data::Arm;
use mmc_report::{PUBLISHED, Verdict, read_results, report, verdict};
use mmc_run::{Cost, Predictions, RunFolder, StepRecord};

use super::synthetic::{Synthetic, arm};
use super::{arms, judge, run};

/// The verdict of an experiment whose folder is changed before it is read.
pub(super) fn after(experiment: &Synthetic, change: impl Fn(&mmc_run::ResultsFolder)) -> Verdict {
    let folder = tempfile::tempdir().unwrap();
    change(&experiment.write(folder.path()));
    let results = read_results(folder.path()).unwrap();
    let verdict = verdict(&results, 0.02).unwrap();
    // Alarms stand before any figure.
    let text = report(&results, &verdict).unwrap();
    assert!(text.find("## Warnings").unwrap() < text.find("## Scores").unwrap());
    for alarm in &verdict.alarms {
        assert!(text.contains(alarm.split('`').next().unwrap()), "{alarm}");
    }
    verdict
}

pub(super) fn with_cost(folder: &RunFolder, change: impl Fn(&mut Cost)) {
    let mut cost = folder.cost().unwrap();
    change(&mut cost);
    folder.write_cost(&cost).unwrap();
}

fn with_predictions(folder: &RunFolder, change: impl Fn(&mut Predictions)) {
    let mut rows = folder.predictions("test_unseen").unwrap();
    change(&mut rows);
    folder.write_predictions("test_unseen", &rows).unwrap();
}

#[test]
fn without_a_fault_there_is_no_alarm() {
    let verdict = after(&Synthetic::new(arms(1.0, 2.0)), |_| {});
    assert_eq!(verdict.alarms, Vec::<String>::new());
}

#[test]
fn constant_predictions() {
    let verdict = after(&Synthetic::new(arms(1.0, 2.0)), |results| {
        let stuck = results.run(&run("vilt-tiny", Arm::Text, 1)).unwrap();
        with_predictions(&stuck, |rows| {
            for row in &mut rows.rows {
                row.prediction = "hateful".to_owned();
            }
        });
    });
    let expected = "runs predict one class for every test item: vilt-tiny (text) in 1 of 3 (`hateful` \
                    with seed 1)";
    assert_eq!(verdict.alarms, [expected]);
}

#[test]
fn a_score_below_chance() {
    let mut truths = arms(1.0, 2.0);
    truths.push(arm("clip-tiny", Arm::Both, -1.5));
    truths.push(arm("clip-tiny", Arm::Text, 1.0));
    let verdict = after(&Synthetic::new(truths), |_| {});
    assert_eq!(verdict.alarms.len(), 1, "{:?}", verdict.alarms);
    assert!(verdict.alarms[0].starts_with("clip-tiny (both) is below chance (auroc "));
}

#[test]
fn a_seed_that_collapsed() {
    let verdict = after(&Synthetic::new(arms(1.0, 2.0)), |results| {
        let lost = results.run(&run("vilt-tiny", Arm::Both, 2)).unwrap();
        with_predictions(&lost, |rows| {
            // Half of each class is turned round, which leaves an order of chance.
            for (at, row) in rows.rows.iter_mut().enumerate() {
                if at % 4 < 2 {
                    row.probabilities.reverse();
                }
            }
        });
    });
    assert_eq!(verdict.alarms.len(), 1, "{:?}", verdict.alarms);
    assert!(verdict.alarms[0].starts_with("vilt-tiny-both-2 collapsed: its auroc is 0."));
    // It is reported, and never dropped.
    assert_eq!(verdict.gains[0].comparison.as_ref().unwrap().seeds.candidate, 3);
}

#[test]
fn a_parameter_that_never_moved() {
    let verdict = after(&Synthetic::new(arms(1.0, 2.0)), |results| {
        let stuck = results.run(&run("bert-tiny", Arm::Text, 0)).unwrap();
        let names = ["a", "b", "c", "d", "e"].map(|name| format!("encoder.{name}"));
        with_cost(&stuck, |cost| cost.unmoved_parameters = names.to_vec());
    });
    let expected = "bert-tiny-text-0: 5 parameters that should train ended bit for bit as they \
                    began: `encoder.a`, `encoder.b`, `encoder.c` and 2 more";
    assert_eq!(verdict.alarms, [expected]);
}

#[test]
fn training_that_waits_for_its_data() {
    let verdict = after(&Synthetic::new(arms(1.0, 2.0)), |results| {
        for seed in 0..3 {
            let waiting = results.run(&run("vilt-tiny", Arm::Both, seed)).unwrap();
            let step = waiting.steps().unwrap()[0].clone();
            fs::remove_file(waiting.train_path()).unwrap();
            // A step of 16 items at 100 a second takes 0.16 seconds.
            let step = StepRecord { loader_wait_seconds: 0.08, ..step };
            waiting.append_step(&step).unwrap();
        }
    });
    assert_eq!(verdict.alarms.len(), 1, "{:?}", verdict.alarms);
    assert!(verdict.alarms[0].ends_with("may help: vilt-tiny (both) 50 %"), "{:?}", verdict.alarms);
}

#[test]
fn a_baseline_far_below_the_published_one() {
    let published = |value: &str, split: &str| {
        format!(
            "dataset = \"hateful_memes\"\n[[figures]]\nname = \"BERT\"\nmodel = \"bert-tiny\"\n\
             split = \"{split}\"\nitems = 400\nmetric = \"auroc\"\nvalue = {value}\n\
             deviation = 0.01\nsource = \"a paper\"\nsure = \"quoted\"\n"
        )
    };
    let with = |text: String, experiment: &Synthetic| {
        after(experiment, |results| fs::write(results.root().join(PUBLISHED), &text).unwrap())
    };
    let real = Synthetic::new(arms(1.0, 2.0));
    let verdict = with(published("0.95", "test_unseen"), &real);
    assert_eq!(verdict.alarms.len(), 1, "{:?}", verdict.alarms);
    assert!(verdict.alarms[0].starts_with("bert-tiny scores 0."), "{:?}", verdict.alarms);
    assert!(
        verdict.alarms[0].contains("auroc where 0.950 is published for the same split (a paper)")
    );
    // Near it, on another split, or of generated data: no alarm.
    let score = verdict.scores[0].mean.unwrap();
    let near = published(&format!("{:.3}", score + 0.01), "test_unseen");
    assert!(with(near, &real).alarms.is_empty());
    assert!(with(published("0.95", "test_seen"), &real).alarms.is_empty());
    let demo = Synthetic { truth: Some("image"), ..Synthetic::new(arms(1.0, 2.0)) };
    assert!(with(published("0.95", "test_unseen"), &demo).alarms.is_empty());
}

#[test]
fn runs_of_two_builds_are_told_apart() {
    let (mut results, before) = judge(&Synthetic::new(arms(0.0, 2.0)));
    let warns = |verdict: &Verdict| verdict.alarms.iter().any(|line| line.contains("one build"));
    assert!(!warns(&before), "{:?}", before.alarms);
    let count = results.runs.len();
    results.runs[0].config.versions.insert("code".to_owned(), "ba9876543210".to_owned());
    let verdict = verdict(&results, 0.02).unwrap();
    assert!(warns(&verdict), "{:?}", verdict.alarms);
    let (new, old) = ("mmc 0.1.0 (code 0123456789ab)", "mmc 0.1.0 (code ba9876543210)");
    let text = report(&results, &verdict).unwrap();
    assert!(text.contains(&format!("{} by {new}, 1 by {old}", count - 1)), "{text}");
    assert!(text.contains(&format!("Made with {new} ({} runs) and {old} (1 runs).", count - 1)));
}
