//! Scores of predictions: where the tensors end and `mmc-metrics` begins.

use std::collections::BTreeMap;

use mmc_metrics::{Items, Metric};
use mmc_run::{Predictions, ScoredRows};

use crate::TrainError;
use crate::resume::Best;

/// Rows as the metrics take them.
pub(crate) fn items(rows: &ScoredRows, positive: usize) -> Items<'_> {
    Items {
        labels: &rows.labels,
        predictions: &rows.predictions,
        probabilities: &rows.probabilities,
        logits: rows.logits.as_deref(),
        clusters: rows.clusters.as_deref(),
        classes: rows.classes.len(),
        positive,
        answers: rows.answers.as_ref().map(mmc_run::ScoredAnswers::borrowed),
    }
}

/// Every metric of some predictions, without intervals; `None` where it is undefined.
pub(crate) fn scores(
    predictions: &Predictions,
    positive: usize,
) -> Result<BTreeMap<String, Option<f64>>, TrainError> {
    let rows = predictions.scored()?;
    let items = items(&rows, positive);
    items.check()?;
    let score =
        |metric: &mmc_metrics::Metric| (metric.name.to_owned(), (metric.score)(&items).ok());
    Ok(Metric::all_of(&items).iter().map(score).collect())
}

/// Whether `value` is better than the best so far. What is undefined ranks last; on ties the
/// earlier stays.
pub(crate) fn is_better(value: Option<f64>, best: Option<&Best>, higher_is_better: bool) -> bool {
    match (value, best.map(|best| best.value)) {
        (_, None) | (Some(_), Some(None)) => true,
        (None, Some(_)) => false,
        (Some(value), Some(Some(best))) if higher_is_better => value > best,
        (Some(value), Some(Some(best))) => value < best,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_of_equals_stays_and_the_undefined_ranks_last() {
        let best = |value| Best { step: 1, value };
        assert!(is_better(None, None, true), "something must be kept");
        assert!(is_better(Some(0.1), Some(&best(None)), true));
        assert!(!is_better(None, Some(&best(None)), true));
        assert!(!is_better(None, Some(&best(Some(0.1))), true));
        assert!(!is_better(Some(0.5), Some(&best(Some(0.5))), true));
        assert!(is_better(Some(0.6), Some(&best(Some(0.5))), true));
        assert!(is_better(Some(0.4), Some(&best(Some(0.5))), false));
        assert!(!is_better(Some(0.6), Some(&best(Some(0.5))), false));
    }
}
