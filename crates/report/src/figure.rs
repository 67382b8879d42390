//! Figures as they are printed.

use crate::cost::Quantity;
use crate::verdict::MarginRange;

/// Three decimals; a dash where there is no value.
pub(crate) fn number(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.3}"))
}

/// A p-value, which is never printed as 0.
pub(crate) fn probability(value: Option<f64>) -> String {
    match value {
        Some(value) if value < 0.001 => "< 0.001".to_owned(),
        _ => number(value),
    }
}

pub(crate) fn signed(value: f64) -> String {
    format!("{value:+.3}")
}

pub(crate) fn interval(low: f64, high: f64) -> String {
    format!("[{low:.3}, {high:.3}]")
}

pub(crate) fn signed_interval(low: f64, high: f64) -> String {
    format!("[{low:+.3}, {high:+.3}]")
}

/// In `scale` units, with the ratio to the text model in brackets.
pub(crate) fn quantity(quantity: Quantity, unit: &str, scale: f64, digits: usize) -> String {
    let value = quantity.value / scale;
    match quantity.ratio {
        Some(ratio) => format!("{value:.digits$} {unit} ({ratio:.2}×)"),
        None => format!("{value:.digits$} {unit}"),
    }
}

/// A quantity of any size in three figures.
pub(crate) fn amount(value: f64) -> String {
    let size = value.abs();
    if size >= 1e6 || (size < 1e-3 && size > 0.0) {
        return format!("{value:.2e}");
    }
    let digits = match size {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 4,
    };
    format!("{value:.digits$}")
}

/// For which margins a verdict holds.
pub(crate) fn margin_words(range: &MarginRange) -> String {
    match (range.from, range.to) {
        (from, None) => format!("{} with any margin above {from:.3}", range.verdict),
        (from, Some(to)) if from <= 0.0 => {
            format!("{} with a margin up to {to:.3}", range.verdict)
        }
        (from, Some(to)) => {
            format!("{} with a margin from {from:.3} to {to:.3}", range.verdict)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_their_sign_and_absent_ones_a_dash() {
        assert_eq!(number(None), "–");
        assert_eq!(probability(Some(1e-9)), "< 0.001");
        assert_eq!(signed_interval(-0.01, 0.25), "[-0.010, +0.250]");
        assert_eq!([12345.6, 12.34, 0.01234].map(amount), ["12346", "12.3", "0.0123"]);
        assert_eq!([1e-5, 2.5e7].map(amount), ["1.00e-5", "2.50e7"]);
        let cost = Quantity { value: 3e9, ratio: Some(1.5) };
        assert_eq!(quantity(cost, "GFLOP", 1e9, 1), "3.0 GFLOP (1.50×)");
    }
}
