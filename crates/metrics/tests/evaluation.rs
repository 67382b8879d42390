//! `evaluate`: its keys, its rules for two and for more classes, its intervals.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    reason = "a test stops at the first surprise, and some values are exact"
)]

use mmc_metrics::interval::unanimous_bound;
use mmc_metrics::{Evaluation, Items, METRICS, MetricError, evaluate};
use serde_json::{Value, json};

fn columns(positive: &[f64]) -> Vec<Vec<f64>> {
    positive.iter().map(|p| vec![1.0 - p, *p]).collect()
}

/// 40 items, unbalanced, some wrong.
fn binary() -> (Vec<usize>, Vec<usize>, Vec<Vec<f64>>) {
    let labels: Vec<usize> = (0..40).map(|item| usize::from(item % 4 == 0)).collect();
    let scores: Vec<f64> = (0..40)
        .map(|item: i32| {
            let signal = if item % 4 == 0 { 22 } else { 0 };
            f64::from(signal + 6 + 3 * (item * 7 % 11)) / 64.0 // 1 − p is exact
        })
        .collect();
    let predictions = scores.iter().map(|p| usize::from(*p >= 0.5)).collect();
    (labels, predictions, columns(&scores))
}

#[test]
fn keys_are_those_of_the_contract_and_survive_a_round_trip() {
    let (labels, predictions, probabilities) = binary();
    let found = evaluate(&Items::new(&labels, &predictions, &probabilities, 2), 0).unwrap();
    let text = serde_json::to_string(&found).unwrap();
    let object: Value = serde_json::from_str(&text).unwrap();
    let keys: Vec<&String> = object.as_object().unwrap().keys().collect();
    let expected = [
        "n",
        "accuracy",
        "f1",
        "f1_macro",
        "f1_micro",
        "f1_weighted",
        "precision",
        "recall",
        "auroc",
        "average_precision",
        "log_loss",
        "brier",
        "mcc",
        "balanced_accuracy",
        "confusion",
        "intervals",
        "undefined",
    ];
    let mut sorted = expected.map(str::to_owned).to_vec();
    sorted.sort();
    let mut found_keys: Vec<String> = keys.into_iter().cloned().collect();
    found_keys.sort();
    assert_eq!(found_keys, sorted);
    assert_eq!(object["undefined"], json!({}));
    assert_eq!(serde_json::from_str::<Evaluation>(&text).unwrap(), found);
    for metric in METRICS {
        let value = found.value(metric.name).unwrap();
        let interval = found.interval(metric.name).unwrap();
        assert!(interval.contains(value) && interval.width() > 0.0, "{}", metric.name);
        assert_eq!(object["intervals"][metric.name], json!([interval.low, interval.high]));
        assert!(metric.range.0 <= interval.low && interval.high <= metric.range.1);
    }
    assert_eq!(found.value("no such metric"), None);
    // Keys that a later version may add do not stop a reader.
    let mut more = object;
    more["a_later_key"] = json!({"what": 0.5});
    assert_eq!(serde_json::from_value::<Evaluation>(more).unwrap(), found);
}

#[test]
fn the_positive_class_is_the_one_asked_for() {
    let (labels, predictions, probabilities) = binary();
    let second = Items::new(&labels, &predictions, &probabilities, 2);
    let first = Items { positive: 0, ..second };
    let confusion = second.confusion().unwrap();
    for (items, class) in [(second, 1), (first, 0)] {
        let found = evaluate(&items, 0).unwrap();
        assert_eq!(found.value("f1"), Some(confusion.class_scores(class, 0.0).f1));
        assert_eq!(found.value("recall"), Some(confusion.class_scores(class, 0.0).recall));
    }
    let auroc = |items: &Items| evaluate(items, 0).unwrap().value("auroc").unwrap();
    assert!((auroc(&first) - auroc(&second)).abs() < 1e-12); // symmetric in the two classes
}

#[test]
fn one_class_alone_leaves_the_rankings_undefined_with_a_reason() {
    let probabilities = columns(&[0.2, 0.6, 0.4]);
    let found = evaluate(&Items::new(&[0, 0, 0], &[0, 1, 0], &probabilities, 2), 0).unwrap();
    let object = serde_json::to_value(&found).unwrap();
    assert_eq!(object["auroc"], Value::Null);
    assert_eq!(object["undefined"]["auroc"], "no positive item; one class is absent");
    assert_eq!(object["undefined"]["average_precision"], "no positive item");
    assert_eq!(object["intervals"].get("auroc"), None);
    // 0/0 is 0 in these.
    assert_eq!([&object["recall"], &object["f1"], &object["mcc"]], [&json!(0.0); 3]);
}

#[test]
fn more_than_two_classes_have_no_f1_of_their_own() {
    let probabilities = [vec![0.5, 0.3, 0.2], vec![0.2, 0.5, 0.3], vec![0.3, 0.2, 0.5]];
    let repeated: Vec<Vec<f64>> = probabilities.iter().cycle().take(30).cloned().collect();
    let labels: Vec<usize> = (0..30).map(|item| (item + item / 10) % 3).collect();
    let predictions: Vec<usize> = (0..30).map(|item| item % 3).collect();
    let found = evaluate(&Items::new(&labels, &predictions, &repeated, 3), 0).unwrap();
    assert_eq!(found.value("f1"), None);
    assert!(found.undefined["f1"].contains("more than two classes"));
    assert!(found.interval("auroc").unwrap().contains(found.value("auroc").unwrap()));
    assert_eq!(found.confusion.len(), 3);
    let missing: Vec<usize> = labels.iter().map(|label| label % 2).collect();
    let found = evaluate(&Items::new(&missing, &predictions, &repeated, 3), 0).unwrap();
    assert!(found.undefined["auroc"].contains("class 2"), "{:?}", found.undefined);
}

#[test]
fn perfect_scores_have_intervals_with_width() {
    let labels: Vec<usize> = (0..20).map(|item| item % 2).collect();
    let scores: Vec<f64> = labels.iter().map(|&label| [0.1, 0.9][label]).collect();
    let found = evaluate(&Items::new(&labels, &labels, &columns(&scores), 2), 0).unwrap();
    for name in ["accuracy", "f1", "f1_macro", "auroc", "average_precision", "mcc"] {
        let interval = found.interval(name).unwrap();
        assert!((interval.high - 1.0).abs() < 1e-12 && interval.low < 0.9, "{name} {interval:?}");
    }
    let bound = 1.0 - unanimous_bound(10, 0.95); // ten items of the rarer class
    assert!((found.interval("auroc").unwrap().low - bound).abs() < 1e-12);
    assert_eq!(found.interval("log_loss"), None); // all losses equal, no largest one
    assert!(found.undefined["intervals.log_loss"].contains("no largest one"));
}

#[test]
fn a_missing_interval_says_why() {
    let probabilities = columns(&[0.9, 0.2, 0.4, 0.1, 0.3, 0.6]);
    let rows = Items::new(&[1, 0, 0, 0, 0, 0], &[1, 0, 0, 0, 0, 1], &probabilities, 2);
    let found = evaluate(&rows, 0).unwrap();
    // A third of the resamples lack the only positive item.
    assert_eq!(
        (found.value("average_precision"), found.interval("average_precision")),
        (Some(1.0), None)
    );
    assert!(found.undefined["intervals.average_precision"].contains("rarest class"));
    assert!(found.interval("auroc").unwrap().width() > 0.9); // one positive: next to nothing known
}

#[test]
fn clusters_widen_the_intervals() {
    let (labels, predictions, probabilities) = binary();
    let twice = |values: &[usize]| [values, values, values, values].concat();
    let (labels, predictions) = (twice(&labels), twice(&predictions));
    let probabilities = vec![probabilities; 4].concat();
    let clusters: Vec<usize> = (0..160).map(|item| 7 * (item % 40)).collect();
    let alone = Items::new(&labels, &predictions, &probabilities, 2);
    let together = Items { clusters: Some(&clusters), ..alone };
    let (alone, together) = (evaluate(&alone, 0).unwrap(), evaluate(&together, 0).unwrap());
    for metric in METRICS {
        let width = |found: &Evaluation| found.interval(metric.name).unwrap().width();
        let ratio = width(&together) / width(&alone);
        // Four copies of each item: about twice the width.
        assert!((1.6..2.6).contains(&ratio), "{}: {ratio}", metric.name);
        assert_eq!(alone.value(metric.name), together.value(metric.name));
    }
}

#[test]
fn log_loss_and_ranking_are_those_of_the_logits_where_they_are_known() {
    // Both probabilities are saturated; the logits still tell the items apart.
    let logits = vec![vec![0.0, 50.0], vec![0.0, 60.0], vec![30.0, 0.0], vec![0.0, 55.0]];
    let probabilities = vec![vec![0.0, 1.0], vec![0.0, 1.0], vec![1.0, 0.0], vec![0.0, 1.0]];
    let alone = Items::new(&[0, 1, 0, 1], &[1, 1, 0, 1], &probabilities, 2);
    let exact = Items { logits: Some(&logits), ..alone };
    let (alone, exact) = (evaluate(&alone, 0).unwrap(), evaluate(&exact, 0).unwrap());
    assert!((exact.value("log_loss").unwrap() - 12.5).abs() < 1e-9);
    assert!((alone.value("log_loss").unwrap() - -(f64::EPSILON.ln()) / 4.0).abs() < 1e-9);
    assert_eq!((alone.value("auroc"), exact.value("auroc")), (Some(0.75), Some(1.0)));
}

#[test]
fn every_fault_of_the_rows_is_an_error_with_its_place() {
    let good = columns(&[0.2, 0.6]);
    let check = |labels: &[usize], predictions: &[usize], rows: &[Vec<f64>]| {
        evaluate(&Items::new(labels, predictions, rows, 2), 0).unwrap_err().to_string()
    };
    let expected = "no items to score; give at least one labelled row";
    assert_eq!(check(&[], &[], &[]), expected);
    let expected = "`predictions` has 1 entries, expected 2; give one for each item";
    assert_eq!(check(&[0, 1], &[0], &good), expected);
    let expected = "`labels` of item 1 is class 2, expected a class below 2";
    assert_eq!(check(&[0, 2], &[0, 1], &good), expected);
    let expected = "probability of item 0 is `-0.5`, expected a number from 0 to 1";
    assert_eq!(check(&[0, 1], &[0, 1], &[vec![-0.5, 1.5], vec![0.5, 0.5]]), expected);
    let expected = "probabilities of item 1 sum to `0.75`, expected 1 within 0.001";
    assert_eq!(check(&[0, 1], &[0, 1], &[vec![0.5, 0.5], vec![0.5, 0.25]]), expected);
    let one_class = Items { classes: 1, ..Items::new(&[0, 0], &[0, 0], &good, 2) };
    let expected = MetricError::TooFew { what: "classes", found: 1, expected: 2 };
    assert_eq!(evaluate(&one_class, 0), Err(expected));
}
