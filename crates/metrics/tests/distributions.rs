//! The distribution functions against scipy and mpmath; the values are made by
//! `tests/references/metrics.py` of the repository.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    reason = "a test stops at the first surprise, and some values are exact"
)]

use mmc_metrics::distribution as d;
use serde_json::Value;

#[test]
fn distributions_agree_with_scipy_and_mpmath() {
    let file: Value = serde_json::from_str(include_str!("distributions.json")).unwrap();
    let tolerance = file["relative_tolerance"].as_f64().unwrap();
    let rows: Vec<(String, Vec<f64>, f64)> =
        serde_json::from_value(file["values"].clone()).unwrap();
    assert!(rows.len() > 250, "{} rows", rows.len());
    let mut faults = Vec::new();
    for (function, given, expected) in &rows {
        let found = match (function.as_str(), given.as_slice()) {
            ("t_two_sided", [t, df]) => d::t_two_sided(*t, *df),
            ("t_quantile", [p, df]) => d::t_quantile(*p, *df),
            ("normal_two_sided", [z]) => d::normal_two_sided(*z),
            ("normal_cdf", [x]) => d::normal_cdf(*x),
            ("normal_quantile", [p]) => d::normal_quantile(*p),
            ("beta_cdf", [x, a, b]) => d::beta_cdf(*x, *a, *b),
            ("beta_quantile", [p, a, b]) => d::beta_quantile(*p, *a, *b),
            ("fair_binomial", [k, n]) => d::fair_binomial(*k as u64, *n as u64),
            ("fair_binomial_cdf", [k, n]) => d::fair_binomial_cdf(*k as u64, *n as u64),
            other => panic!("{other:?} is not tested"),
        };
        // Relative, and absolute to 1e-15 around a quantile of 0.
        if (found - expected).abs()
            > tolerance * expected.abs() + 1e-15 * f64::from(u8::from(expected.abs() <= 0.0))
        {
            faults.push(format!("{function}{given:?}: {found:e}, expected {expected:e}"));
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), rows.len(), faults.join("\n"));
}

#[test]
fn quantiles_have_the_ends_of_their_range() {
    assert_eq!(d::normal_quantile(0.0), f64::NEG_INFINITY);
    assert_eq!(d::normal_quantile(1.0), f64::INFINITY);
    assert_eq!(d::t_quantile(0.0, 3.0), f64::NEG_INFINITY);
    assert_eq!(d::t_quantile(1.0, 3.0), f64::INFINITY);
    assert!(d::t_quantile(0.5, 3.0).abs() < 1e-12);
    assert!((d::t_quantile(0.975, f64::INFINITY) - d::normal_quantile(0.975)).abs() < 1e-15);
}
