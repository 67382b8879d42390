//! Medians and quartiles of rounds.

/// Linear between the sorted values around it.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = part * (sorted.len().max(1) - 1) as f64;
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let low = at(place.floor() as usize);
    low + (at(place.ceil() as usize) - low) * place.fract()
}

/// The middle value; NaN of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.5)
}

/// The median of the ratios of pairs, and their quartiles: `0.90 [0.87, 0.92]`.
pub(super) fn ratios(ours: &[f64], theirs: &[f64]) -> String {
    let mut values: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
    values.sort_by(f64::total_cmp);
    let [low, middle, high] = [0.25, 0.5, 0.75].map(|part| quantile(&values, part));
    format!("{middle:.2} [{low:.2}, {high:.2}]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_pair_by_pair() {
        assert_eq!(ratios(&[1.0, 3.0, 2.0], &[2.0, 3.0, 8.0]), "0.50 [0.38, 0.75]");
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-12);
        assert!(median(Vec::new()).is_nan());
    }
}
