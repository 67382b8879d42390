//! A search: what is chosen, and what the report says where it was not fair.

use mmc_data::Arm;
use mmc_metrics::Evaluation;
use mmc_report::{choose, read_results, report, verdict, write};
use mmc_run::{ResultsFolder, RunFolder, Search, SearchRecord};

use super::alarms::after;
use super::synthetic::Synthetic;
use super::{arms, run};

const ARMS: [(&str, Arm); 3] =
    [("bert-tiny", Arm::Text), ("vilt-tiny", Arm::Both), ("vilt-tiny", Arm::Text)];

/// Adds a search of three trials to the folder, whose selection scores are these; the runs have the
/// default rate, 2e-5.
fn searched(results: &ResultsFolder, scores: [f64; 3]) -> Search {
    let mut record = results.record().unwrap();
    let rates = vec![1e-5, 2e-5, 5e-5];
    let search = Search { trials: 3, learning_rate: Some(rates), ..Search::default() };
    record.search = Some(search.clone());
    results.write_record(&record).unwrap();
    for (model, arm) in ARMS {
        let done = results.run(&run(model, arm, 0)).unwrap();
        for (at, point) in search.points(&record.grid.seeds).iter().enumerate() {
            let path = results.trial(at + 1).run_path(&run(model, arm, 3));
            let trial = RunFolder::create(&path).unwrap();
            let mut config = done.config().unwrap();
            config.settings.learning_rate = point.learning_rate.unwrap();
            config.settings.no_test = true;
            config.data.test = None;
            trial.write_config(&config).unwrap();
            let mut of: std::collections::BTreeMap<String, Evaluation> = done.scores().unwrap();
            of.remove("test_unseen");
            // The score of the trial whose rate is 2e-5 is the second.
            let rates = [1e-5, 2e-5, 5e-5];
            let place = rates.iter().position(|rate| Some(*rate) == point.learning_rate).unwrap();
            let mut value = serde_json::to_value(&of["dev_unseen"]).unwrap();
            value["auroc"] = scores[place].into();
            of.insert("dev_unseen".to_owned(), serde_json::from_value(value).unwrap());
            trial.write_scores(&of).unwrap();
            trial.write_cost(&done.cost().unwrap()).unwrap();
        }
    }
    search
}

/// The search as an experiment would have made it: tried, chosen, written.
fn chosen(results: &ResultsFolder, scores: [f64; 3]) -> SearchRecord {
    searched(results, scores);
    let found = choose(results.root()).unwrap().unwrap();
    results.write_search(&found).unwrap();
    found
}

#[test]
fn the_best_on_the_selection_split_is_chosen_and_the_report_says_how() {
    let folder = tempfile::tempdir().unwrap();
    let results = Synthetic::new(arms(1.0, 2.0)).write(folder.path());
    let found = chosen(&results, [0.6, 0.7, 0.65]);
    for (model, arm) in ARMS {
        let arm = found.of(model, arm).unwrap();
        assert_eq!(arm.settings().unwrap().learning_rate, Some(2e-5));
        assert_eq!((arm.scored(), arm.trials.len()), (3, 3));
    }
    let results = read_results(folder.path()).unwrap();
    let verdict = verdict(&results, 0.02).unwrap();
    assert_eq!(verdict.alarms, Vec::<String>::new());
    let text = report(&results, &verdict).unwrap();
    for said in [
        "## Search",
        "the tuning budget of every model and arm is 3 trials, the same ones for all",
        "drawn with seed 3 from the 3 combinations of `learning_rate` of 1e-5, 2e-5, 5e-5. Each",
        "| vilt-tiny | both | 3 of 3 | `learning_rate` 2e-5 | 0.700 | 0.600 | 0.700 |",
    ] {
        assert!(text.contains(said), "no `{said}` in {text}");
    }
    write(&results, &verdict, folder.path()).unwrap();
    let table = std::fs::read_to_string(folder.path().join("search.csv")).unwrap();
    let header = "model,arm,trial,seed,learning_rate,auroc,chosen,wall_seconds,failed";
    assert_eq!(table.lines().next(), Some(header));
    assert_eq!(table.lines().count(), 1 + 9);
    assert_eq!(table.matches(",true,").count(), 3);
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("verdict.json")).unwrap())
            .unwrap();
    assert_eq!(json["search"]["arms"][0]["trials"].as_array().unwrap().len(), 3);
}

#[test]
fn of_equals_the_first_trial_is_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let results = Synthetic::new(arms(1.0, 2.0)).write(folder.path());
    for arm in chosen(&results, [0.7, 0.7, 0.7]).arms {
        assert_eq!(arm.chosen, Some(1));
    }
}

#[test]
fn a_trial_that_met_the_test_split_chooses_nothing() {
    let verdict = after(&Synthetic::new(arms(1.0, 2.0)), |results| {
        searched(results, [0.6, 0.7, 0.65]);
        for number in 1..=3 {
            let path = results.trial(number).run_path(&run("vilt-tiny", Arm::Both, 3));
            let trial = RunFolder::open(&path).unwrap();
            let mut config = trial.config().unwrap();
            if config.settings.learning_rate > 1e-5 {
                config.data.test = results
                    .run(&run("vilt-tiny", Arm::Both, 0))
                    .unwrap()
                    .config()
                    .unwrap()
                    .data
                    .test;
            }
            trial.write_config(&config).unwrap();
        }
        let found = choose(results.root()).unwrap().unwrap();
        let arm = found.of("vilt-tiny", Arm::Both).unwrap();
        assert_eq!(arm.settings().unwrap().learning_rate, Some(1e-5));
        results.write_search(&found).unwrap();
    });
    let said = |part: &str| verdict.alarms.iter().any(|alarm| alarm.contains(part));
    assert!(said("tuning budgets are unequal"), "{:?}", verdict.alarms);
    assert!(said("vilt-tiny (both) 1 of 3"), "{:?}", verdict.alarms);
    assert!(said("has met the test split 'test_unseen', so it may choose nothing"));
    assert!(said("vilt-tiny-both-0 was not run with what the search chose: `learning_rate` is"));
}

#[test]
fn a_trial_that_failed_in_every_arm_leaves_budgets_equal() {
    let verdict = after(&Synthetic::new(arms(1.0, 2.0)), |results| {
        searched(results, [0.6, 0.7, 0.65]);
        let points = results.record().unwrap().search.unwrap().points(&[0, 1, 2]);
        let slow = points.iter().position(|point| point.learning_rate == Some(1e-5)).unwrap() + 1;
        for (model, arm) in ARMS {
            let path = results.trial(slow).run_path(&run(model, arm, 3));
            std::fs::remove_file(path.join("cost.json")).unwrap();
            std::fs::write(path.join("log.txt"), "error: out of memory\n").unwrap();
        }
        results.write_search(&choose(results.root()).unwrap().unwrap()).unwrap();
    });
    assert_eq!(verdict.alarms.len(), 1, "{:?}", verdict.alarms);
    assert!(verdict.alarms[0].starts_with("trials of the search have no score, the same number"));
    assert!(verdict.alarms[0].contains("did not finish; its last words: error: out of memory"));
}

#[test]
fn what_the_runs_or_the_choice_do_not_hold_to_is_said() {
    let of = |change: &dyn Fn(&mut SearchRecord)| {
        after(&Synthetic::new(arms(1.0, 2.0)), |results| {
            let mut found = chosen(results, [0.6, 0.7, 0.65]);
            change(&mut found);
            results.write_search(&found).unwrap();
        })
        .alarms
    };
    assert_eq!(of(&|_| {}), Vec::<String>::new());
    let other_split = of(&|found| found.split.as_mut().unwrap().items = 9);
    assert!(
        other_split.len() == 1
            && other_split[0].starts_with("the search chose on `dev_unseen` (9 ")
    );
    // The choice is moved to another trial: it is not the best, and the runs are not of it.
    let moved = of(&|found| {
        let arm = &mut found.arms[0];
        arm.chosen = arm.trials.iter().find(|at| at.score == Some(0.6)).map(|at| at.trial);
    });
    assert!(moved[0].contains("bert-tiny (text): what `search.json` has chosen is not its best"));
    assert_eq!(moved.len(), 1 + 3, "{moved:?}");
    let lost = after(&Synthetic::new(arms(1.0, 2.0)), |results| {
        searched(results, [0.6, 0.7, 0.65]);
    });
    assert!(lost.alarms[0].starts_with("a search was planned and `search.json` is not there"));
}
