//! Every value of `statistics_vectors.json` (scikit-learn, scipy, statsmodels, published analyses)
//! against this crate. A kind or quantity that is not known here fails the test: nothing in the
//! file is out of scope.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    reason = "a test stops at the first surprise, and some values are exact"
)]

mod pairs;
mod resamples;
mod scores;
mod seeds;

use mmc_metrics::MetricError;
use serde::de::DeserializeOwned;
use serde_json::Value;

type Answer = Result<Value, MetricError>;

fn get<T: DeserializeOwned>(case: &Value, key: &str) -> T {
    serde_json::from_value(case[key].clone()).unwrap_or_else(|error| panic!("{key}: {error}"))
}

#[test]
fn every_vector_is_reproduced() {
    let file: Value = serde_json::from_str(include_str!("../statistics_vectors.json")).unwrap();
    let mut faults = Vec::new();
    let mut checked = 0;
    for case in file["cases"].as_array().unwrap() {
        for (quantity, expected) in case["expected"].as_object().unwrap() {
            checked += 1;
            let name = case["name"].as_str().unwrap();
            let answer = compute(case, quantity);
            let fault = match (&answer, expected.get("error")) {
                (Err(MetricError::Undefined { .. }), Some(_)) => None,
                (Ok(value), None) => {
                    let tolerance = expected["abs_tol"].as_f64().unwrap();
                    differs(value, &expected["value"], tolerance)
                }
                _ => Some(format!("{answer:?} where {expected} was expected")),
            };
            faults.extend(fault.map(|fault| format!("{name}: {quantity}: {fault}")));
        }
    }
    assert!(faults.is_empty(), "{} of {checked}:\n{}", faults.len(), faults.join("\n"));
    assert_eq!(checked, 487, "vectors were added or lost: look at what is new");
}

/// What differs between two values of the same shape by more than `tolerance`.
fn differs(found: &Value, expected: &Value, tolerance: f64) -> Option<String> {
    match (found, expected) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            // The tolerance of the file, plus rounding where that is 0.
            ((a - b).abs() > tolerance + 1e-15).then(|| format!("{a:e}, expected {b:e}"))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).find_map(|(a, b)| differs(a, b, tolerance))
        }
        (Value::Object(a), Value::Object(b)) => b.iter().find_map(|(key, b)| {
            let a = a.get(key).unwrap_or(&Value::Null);
            differs(a, b, tolerance).map(|fault| format!("{key}: {fault}"))
        }),
        _ => (found != expected).then(|| format!("{found}, expected {expected}")),
    }
}

/// Two computations of one number; both must be the expected one.
fn both(first: Value, second: &Value) -> Value {
    assert!(differs(&first, second, 1e-13).is_none(), "{first} and {second} differ");
    first
}

fn compute(case: &Value, quantity: &str) -> Answer {
    match case["kind"].as_str().unwrap() {
        "binary" => scores::binary(case, quantity),
        "multiclass" => scores::multiclass(case, quantity),
        "delong_paired" => pairs::delong(case, quantity),
        "mcnemar" => Ok(pairs::discordant(case, quantity)),
        "corrections" => pairs::corrections(case, quantity),
        "proportion" => scores::proportion(case, quantity),
        "bootstrap" => resamples::resampling(case, quantity),
        "paired_permutation" => resamples::permutation(case, quantity),
        "emap" => scores::additive(case, quantity),
        "two_way_auroc" => seeds::two_way_auroc(case, quantity),
        "two_way_mean_clustered" => seeds::two_way_mean(case, quantity),
        "vqa_soft_accuracy" => scores::vqa(case, quantity),
        kind => panic!("kind `{kind}` is not tested"),
    }
}
