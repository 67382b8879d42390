//! Scores of probabilities: log loss and the Brier score.

use crate::error::{MetricError, Result, same_length};
use crate::items::{check_classes, check_probabilities, check_rows};

/// The probabilities `exp(z − max z) / Σ` of a row of finite logits, `[classes]`.
#[must_use]
pub fn softmax(logits: &[f64]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - highest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// −ln of the probability of each item's class, `[items]`, probabilities clipped to
/// `[ε, 1 − ε]` with ε the machine epsilon of f64, as scikit-learn does. `probabilities` is
/// `[items][classes]`.
///
/// # Errors
/// No items, lengths that differ, a class out of range, rows that are no distributions.
pub fn log_losses(probabilities: &[Vec<f64>], labels: &[usize]) -> Result<Vec<f64>> {
    let classes = check_shape(probabilities, labels)?;
    check_probabilities(probabilities, classes)?;
    let loss = |(row, &label): (&Vec<f64>, &usize)| {
        -row[label].clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
    };
    Ok(probabilities.iter().zip(labels).map(loss).collect())
}

/// `ln Σ exp(z) − z_y` of each item, `[items]`: exact where probabilities have saturated, nothing is
/// clipped. `logits` is `[items][classes]`.
///
/// # Errors
/// No items, lengths that differ, a class out of range, a logit that is not finite.
pub fn log_losses_from_logits(logits: &[Vec<f64>], labels: &[usize]) -> Result<Vec<f64>> {
    let classes = check_shape(logits, labels)?;
    check_rows("logits", logits, classes)?;
    let loss = |(row, &label): (&Vec<f64>, &usize)| {
        let highest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|logit| (logit - highest).exp()).sum();
        sum.ln() + (highest - row[label])
    };
    Ok(logits.iter().zip(labels).map(loss).collect())
}

/// The mean of [`log_losses`], in nats.
///
/// # Errors
/// As [`log_losses`].
pub fn log_loss(probabilities: &[Vec<f64>], labels: &[usize]) -> Result<f64> {
    Ok(mean(&log_losses(probabilities, labels)?))
}

/// The mean of [`log_losses_from_logits`], in nats.
///
/// # Errors
/// As [`log_losses_from_logits`].
pub fn log_loss_from_logits(logits: &[Vec<f64>], labels: &[usize]) -> Result<f64> {
    Ok(mean(&log_losses_from_logits(logits, labels)?))
}

/// The binary Brier score, mean (p − y)² in `[0, 1]`: half of [`brier_sum`] over both columns.
/// `probabilities` of the positive class and `positive` are `[items]`.
///
/// # Errors
/// No items, lengths that differ, a probability outside 0 to 1.
pub fn brier(probabilities: &[f64], positive: &[bool]) -> Result<f64> {
    if positive.is_empty() {
        return Err(MetricError::Empty);
    }
    same_length("probabilities", positive.len(), probabilities.len())?;
    let mut sum = 0.0;
    for (index, (&value, &y)) in probabilities.iter().zip(positive).enumerate() {
        if !value.is_finite() {
            return Err(MetricError::NotFinite { what: "probabilities", index });
        }
        if !(0.0..=1.0).contains(&value) {
            return Err(MetricError::Probability { index, value });
        }
        sum += (value - f64::from(u8::from(y))).powi(2);
    }
    Ok(sum / positive.len() as f64)
}

/// The squared distance of each item's probabilities from the truth, summed over classes (Brier
/// 1950), `[items]`, each in `[0, 2]`.
///
/// # Errors
/// As [`log_losses`].
pub fn brier_sums(probabilities: &[Vec<f64>], labels: &[usize]) -> Result<Vec<f64>> {
    let classes = check_shape(probabilities, labels)?;
    check_probabilities(probabilities, classes)?;
    let square = |(row, &label): (&Vec<f64>, &usize)| -> f64 {
        let truth = |class: usize| if class == label { 1.0 } else { 0.0 };
        row.iter().enumerate().map(|(class, p)| (p - truth(class)).powi(2)).sum()
    };
    Ok(probabilities.iter().zip(labels).map(square).collect())
}

/// The mean of [`brier_sums`], in `[0, 2]`.
///
/// # Errors
/// As [`log_losses`].
pub fn brier_sum(probabilities: &[Vec<f64>], labels: &[usize]) -> Result<f64> {
    Ok(mean(&brier_sums(probabilities, labels)?))
}

fn check_shape(rows: &[Vec<f64>], labels: &[usize]) -> Result<usize> {
    if labels.is_empty() {
        return Err(MetricError::Empty);
    }
    same_length("probabilities", labels.len(), rows.len())?;
    let classes = rows[0].len();
    check_classes("labels", labels, classes)?;
    Ok(classes)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
