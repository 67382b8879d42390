//! Bootstrap and permutation.

use mmc_metrics::bootstrap::{Bootstrap, Resampling, bootstrap};
use mmc_metrics::paired::paired_permutation;
use serde_json::{Value, json};

use crate::{Answer, get};

pub(super) fn resampling(case: &Value, quantity: &str) -> Answer {
    let values: Vec<f64> = get(case, "values");
    assert_eq!(case["statistic"], "mean");
    let resampling = Resampling { replicates: get(case, "resamples"), ..Resampling::default() };
    let mean =
        |rows: &[usize]| Ok(rows.iter().map(|&row| values[row]).sum::<f64>() / rows.len() as f64);
    let found: Bootstrap = bootstrap(values.len(), None, &resampling, mean)?;
    Ok(match quantity {
        "percentile_ci95" => json!(found.percentile),
        "bca_ci95" => json!(found.bca),
        "standard_error" => json!(found.standard_error),
        "acceleration" => json!(found.acceleration),
        _ => panic!("quantity `{quantity}` is not tested"),
    })
}

pub(super) fn permutation(case: &Value, quantity: &str) -> Answer {
    let (a, b): (Vec<f64>, Vec<f64>) = (get(case, "a"), get(case, "b"));
    let test = paired_permutation(&a, &b, None, 0, 0)?;
    assert!(test.exact);
    Ok(json!(match quantity {
        "difference" => test.difference,
        "exact_two_sided_p" => test.p_value,
        "scipy_exact_two_sided_p" => (2.0 * test.p_greater.min(test.p_less)).min(1.0),
        "exact_greater_p" => test.p_greater,
        _ => panic!("quantity `{quantity}` is not tested"),
    }))
}
