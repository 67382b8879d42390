//! The accuracy of VQA v2 against the official evaluation script, on 10,000 generated sets of answers
//! (`cargo xtask references vqa`).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use mmc_metrics::{AnsweredItems, evaluate, metric, vqa};
use serde_json::Value;

/// The official script adds the same numbers in the same order; it writes per cent.
const TOLERANCE: f64 = 1e-9;

struct Reference {
    file: Value,
    accuracies: Vec<f64>,
}

fn reference() -> Reference {
    let file: Value = serde_json::from_str(include_str!("vqa.json")).unwrap();
    let pool: Vec<&str> =
        file["pool"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let text = |place: &Value| pool[place.as_u64().unwrap() as usize];
    let accuracies = file["cases"].as_array().unwrap().iter().map(|case| {
        let answers: Vec<&str> = case[1].as_array().unwrap().iter().map(text).collect();
        let found = vqa::accuracy(text(&case[0]), &answers).unwrap();
        let expected = case[2].as_f64().unwrap();
        let said = text(&case[0]);
        assert!(
            (100.0 * found - expected).abs() < 100.0 * TOLERANCE,
            "{said:?} of {answers:?}: {found}, the official script says {expected}"
        );
        found
    });
    let accuracies = accuracies.collect();
    Reference { file, accuracies }
}

#[test]
fn accuracies_are_those_of_the_official_script() {
    let Reference { file, accuracies } = reference();
    assert_eq!(accuracies.len(), 10_000);
    let distinct = [0.0, 0.3, 0.6, 0.9, 1.0]
        .map(|value| accuracies.iter().filter(|found| (*found - value).abs() < 1e-9).count());
    assert!(distinct.iter().all(|count| *count > 50), "{distinct:?}");

    let types = |names: &[&str]| -> Vec<String> {
        (0..accuracies.len()).map(|case| names[case % names.len()].to_owned()).collect()
    };
    let answer_types = types(&["yes/no", "number", "other"]);
    let question_types: Vec<String> =
        (0..accuracies.len()).map(|case| format!("type {}", case % 7)).collect();
    let answers = AnsweredItems {
        accuracies: &accuracies,
        question_types: &question_types,
        answer_types: &answer_types,
    };
    let found = evaluate(&answers.items(None), 0).unwrap();
    let close = |found: f64, expected: &Value| {
        (100.0 * found - expected.as_f64().unwrap()).abs() < 100.0 * TOLERANCE
    };
    assert!(close(found.value("vqa_accuracy").unwrap(), &file["overall"]));
    for (by, name) in
        [(&found.by_question_type, "by_question_type"), (&found.by_answer_type, "by_answer_type")]
    {
        assert_eq!(by.len(), file[name].as_object().unwrap().len());
        for (kind, value) in by {
            assert!(close(*value, &file[name][kind]), "{kind}: {value}");
        }
    }
    let interval = found.interval("vqa_accuracy").unwrap();
    assert!(interval.contains(found.value("vqa_accuracy").unwrap()) && interval.width() < 0.02);
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(serde_json::from_value::<mmc_metrics::Evaluation>(json).unwrap(), found);
}

#[test]
fn answers_have_the_metric_of_answers_alone() {
    let answers = AnsweredItems { accuracies: &[0.3, 1.0], question_types: &[], answer_types: &[] };
    let items = answers.items(None);
    assert!(((metric("vqa_accuracy").unwrap().score)(&items).unwrap() - 0.65).abs() < 1e-12);
    let found = evaluate(&items, 0).unwrap();
    assert_eq!(found.value("accuracy"), None);
    assert!(found.confusion.is_empty() && found.by_answer_type.is_empty());
    let right = AnsweredItems { accuracies: &[1.0; 4], ..answers }.items(None);
    let unanimous = mmc_metrics::compare(&mmc_metrics::Contrast {
        metric: metric("vqa_accuracy").unwrap(),
        baseline: &[right, right],
        candidate: &[right, right],
        paired_seeds: false,
        margin: 0.02,
        lower_level: 0.95,
        upper_level: 0.95,
        seed: 0,
    });
    let width = unanimous.unwrap().interval.width();
    assert!(width > 1.0, "four answers that score alike show no equality: {width}");
    let curve = mmc_metrics::mean_roc(&[items], 4);
    assert!(matches!(curve, Err(mmc_metrics::MetricError::Undefined { .. })));
    let wrong = AnsweredItems { accuracies: &[1.2], ..answers };
    assert!(evaluate(&wrong.items(None), 0).is_err());
    let compare = mmc_metrics::compare(&mmc_metrics::Contrast {
        metric: metric("accuracy").unwrap(),
        baseline: &[items],
        candidate: &[items],
        paired_seeds: false,
        margin: 0.0,
        lower_level: 0.95,
        upper_level: 0.95,
        seed: 0,
    });
    assert!(compare.unwrap_err().to_string().contains("see `vqa_accuracy`"));
}
