//! ROC curves against those of scikit-learn.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use mmc_metrics::{Items, MetricError, RocPoint, auroc, mean_roc, roc_curve};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|at| at.as_f64().unwrap()).collect()
}

#[test]
fn curves_are_those_of_scikit_learn() {
    let file: Value = serde_json::from_str(include_str!("roc.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() >= 5);
    for case in cases {
        let scores = numbers(&case["scores"]);
        let positive: Vec<bool> =
            numbers(&case["labels"]).into_iter().map(|label| label > 0.5).collect();
        let curve = roc_curve(&scores, &positive).unwrap();
        let (fpr, tpr) = (numbers(&case["fpr"]), numbers(&case["tpr"]));
        assert_eq!(curve.len(), fpr.len(), "{}", case["name"]);
        for (point, (fpr, tpr)) in curve.iter().zip(fpr.into_iter().zip(tpr)) {
            assert!((point.false_positive_rate - fpr).abs() < 1e-12);
            assert!((point.true_positive_rate - tpr).abs() < 1e-12);
        }
        assert!((area(&curve) - auroc(&scores, &positive).unwrap()).abs() < 1e-12);
    }
}

fn area(curve: &[RocPoint]) -> f64 {
    let part = |pair: &[RocPoint]| {
        (pair[1].false_positive_rate - pair[0].false_positive_rate)
            * f64::midpoint(pair[0].true_positive_rate, pair[1].true_positive_rate)
    };
    curve.windows(2).map(part).sum()
}

fn items<'a>(labels: &'a [usize], probabilities: &'a [Vec<f64>]) -> Items<'a> {
    Items::new(labels, labels, probabilities, 2)
}

#[test]
fn the_mean_curve_lies_between_those_it_is_of() {
    let labels = [0, 1, 0, 1];
    let rows = |scores: [f64; 4]| scores.map(|p| vec![1.0 - p, p]).to_vec();
    // A perfect order, and a constant that is the diagonal.
    let (perfect, constant) = (rows([0.1, 0.8, 0.2, 0.9]), rows([0.5; 4]));
    let curve = mean_roc(&[items(&labels, &perfect), items(&labels, &constant)], 4).unwrap();
    let heights: Vec<f64> = curve.iter().map(|point| point.true_positive_rate).collect();
    for (height, expected) in heights.iter().zip([0.5, 0.625, 0.75, 0.875, 1.0]) {
        assert!((height - expected).abs() < 1e-12, "{heights:?}");
    }
    let of_one_class = items(&[1, 1, 1, 1], &perfect);
    assert!(matches!(mean_roc(&[of_one_class], 4), Err(MetricError::Undefined { .. })));
    assert!(mean_roc(&[], 4).is_err() && mean_roc(&[items(&labels, &perfect)], 0).is_err());
}
