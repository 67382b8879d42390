//! Temperature scaling (Guo et al. 2017): one number that makes confidence fit accuracy.

use crate::error::{MetricError, Result, same_length};
use crate::items::{check_classes, check_rows};
use crate::probability::log_loss_from_logits;

/// Halvings and Newton steps at most; a few suffice.
const STEPS: usize = 200;

/// A temperature fitted on validation logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Temperature {
    /// Divide logits by this before the softmax; above 1 the model was overconfident.
    pub temperature: f64,
    /// The mean negative log-likelihood of the validation labels before, in nats.
    pub before: f64,
    /// The same after.
    pub after: f64,
}

impl Temperature {
    /// Logits divided by the temperature, `[items][classes]`. No prediction changes.
    #[must_use]
    pub fn apply(&self, logits: &[Vec<f64>]) -> Vec<Vec<f64>> {
        scaled(logits, self.temperature.recip())
    }
}

/// Fits the temperature that minimises the negative log-likelihood of `labels` `[items]` under
/// `logits` `[items][classes]`. Give the validation split, never the test split. The loss is convex
/// in 1/temperature; Newton's method, kept inside a bracket.
///
/// # Errors
/// No items, lengths that differ, a class out of range, a logit that is not finite; undefined where
/// no finite temperature is best: every item right by its logits, or logits that speak against the
/// labels.
pub fn fit_temperature(logits: &[Vec<f64>], labels: &[usize]) -> Result<Temperature> {
    if labels.is_empty() {
        return Err(MetricError::Empty);
    }
    same_length("logits", labels.len(), logits.len())?;
    let classes = logits[0].len();
    check_rows("logits", logits, classes)?;
    check_classes("labels", labels, classes)?;
    if slope(logits, labels, 0.0).0 >= 0.0 {
        let why = "the logits do not speak for the labels, so even an infinite temperature is none";
        return Err(MetricError::undefined("temperature", why));
    }
    let separable = |(row, &label): (&Vec<f64>, &usize)| row.iter().all(|z| *z <= row[label]);
    if logits.iter().zip(labels).all(separable) {
        let why = "every item is right by its logits, so the loss falls with the temperature to 0";
        return Err(MetricError::undefined("temperature", why));
    }
    let (mut low, mut high) = (0.0, 1.0);
    while slope(logits, labels, high).0 < 0.0 && high < 1e100 {
        (low, high) = (high, 2.0 * high);
    }
    let mut inverse: f64 = 0.5 * (low + high);
    for _ in 0..STEPS {
        let (first, second) = slope(logits, labels, inverse);
        if first < 0.0 {
            low = inverse;
        } else {
            high = inverse;
        }
        let newton = inverse - first / second;
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        let done = (next - inverse).abs() <= 1e-15 * inverse;
        inverse = next;
        if done {
            break;
        }
    }
    let before = log_loss_from_logits(logits, labels)?;
    let after = log_loss_from_logits(&scaled(logits, inverse), labels)?;
    Ok(Temperature { temperature: inverse.recip(), before, after })
}

fn scaled(logits: &[Vec<f64>], factor: f64) -> Vec<Vec<f64>> {
    logits.iter().map(|row| row.iter().map(|z| z * factor).collect()).collect()
}

/// The first and second derivative of the mean loss by the inverse temperature: the mean logit
/// less the label's, and the variance of the logits, under the scaled probabilities.
fn slope(logits: &[Vec<f64>], labels: &[usize], inverse: f64) -> (f64, f64) {
    let (mut first, mut second) = (0.0, 0.0);
    for (row, &label) in logits.iter().zip(labels) {
        let highest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (mut sum, mut mean, mut square) = (0.0, 0.0, 0.0);
        for z in row {
            let gap = z - highest;
            let weight = (inverse * gap).exp();
            sum += weight;
            mean += weight * gap;
            square += weight * gap * gap;
        }
        let mean = mean / sum;
        first += mean - (row[label] - highest);
        second += square / sum - mean * mean;
    }
    (first / labels.len() as f64, second / labels.len() as f64)
}
