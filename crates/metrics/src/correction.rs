//! Corrections for testing more than once. Results are in the order of the input.

use crate::error::{MetricError, Result};

/// Holm's adjusted p-values (1979): the chance of any false alarm stays at the level whatever the
/// dependence between tests.
///
/// # Errors
/// A p-value that is NaN or outside 0 to 1.
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>> {
    let order = ascending(p_values)?;
    let tests = order.len();
    let mut adjusted = vec![0.0; tests];
    let mut highest: f64 = 0.0;
    for (rank, &test) in order.iter().enumerate() {
        highest = highest.max(((tests - rank) as f64 * p_values[test]).min(1.0));
        adjusted[test] = highest;
    }
    Ok(adjusted)
}

/// Bonferroni's adjusted p-values: each times the number of tests.
///
/// # Errors
/// As [`holm`].
pub fn bonferroni(p_values: &[f64]) -> Result<Vec<f64>> {
    ascending(p_values)?;
    Ok(p_values.iter().map(|p| (p * p_values.len() as f64).min(1.0)).collect())
}

/// The adjusted p-values of Benjamini and Hochberg (1995): the expected share of false alarms among
/// the alarms, for independent or positively dependent tests.
///
/// # Errors
/// As [`holm`].
pub fn benjamini_hochberg(p_values: &[f64]) -> Result<Vec<f64>> {
    step_up(p_values, p_values.len() as f64)
}

/// The same under any dependence (Benjamini and Yekutieli 2001).
///
/// # Errors
/// As [`holm`].
pub fn benjamini_yekutieli(p_values: &[f64]) -> Result<Vec<f64>> {
    let harmonic: f64 = (1..=p_values.len()).map(|rank| 1.0 / rank as f64).sum();
    step_up(p_values, p_values.len() as f64 * harmonic)
}

fn step_up(p_values: &[f64], factor: f64) -> Result<Vec<f64>> {
    let order = ascending(p_values)?;
    let mut adjusted = vec![0.0; order.len()];
    let mut lowest: f64 = 1.0;
    for (rank, &test) in order.iter().enumerate().rev() {
        lowest = lowest.min(factor * p_values[test] / (rank + 1) as f64);
        adjusted[test] = lowest;
    }
    Ok(adjusted)
}

/// Tests by ascending p-value, ties in input order.
fn ascending(p_values: &[f64]) -> Result<Vec<usize>> {
    if let Some(index) = p_values.iter().position(|p| !p.is_finite()) {
        return Err(MetricError::NotFinite { what: "p_values", index });
    }
    if let Some(&value) = p_values.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        let expected = "a number from 0 to 1";
        return Err(MetricError::Setting { what: "p_values", value, expected });
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    Ok(order)
}
