//! All scores of one file with their 95 % intervals.

use std::collections::BTreeMap;
use std::fmt;

use rayon::prelude::*;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bootstrap::{REPLICATES, percentile};
use crate::covariance::auroc_variance;
use crate::delong::logit_interval;
use crate::error::{MetricError, Result};
use crate::interval::{Clusters, Interval, unanimous_bound, wilson_of_mean};
use crate::items::{AnsweredItems, Items};
use crate::metric::{ANSWER_METRICS, Basis, METRICS, Metric};
use crate::resample::{Counted, Redraws, Resampler};

/// The level of the intervals of an [`Evaluation`].
pub const LEVEL: f64 = 0.95;

/// The scores of one file. Serialised as one object: `n`, a key per row of [`METRICS`] (null where
/// undefined), `confusion`, `intervals`, `undefined`; of answers to questions, `vqa_accuracy` in place
/// of those, `by_question_type` and `by_answer_type`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// How many items were scored.
    pub n: usize,
    #[serde(flatten)]
    scores: Scores,
    /// Rows true, columns predicted, `[classes][classes]`.
    pub confusion: Vec<Vec<u64>>,
    /// 95 % intervals of the defined metrics: Wilson's of accuracy, DeLong's on the logit scale of
    /// AUROC, percentile bootstrap over items or clusters of the others.
    pub intervals: BTreeMap<String, Interval>,
    /// Of answers to questions: their accuracy by the type of the question.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_question_type: BTreeMap<String, f64>,
    /// Of answers to questions: their accuracy by the type of the answer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_answer_type: BTreeMap<String, f64>,
    /// Why a metric is null; under `intervals.NAME`, why a metric has a value but no interval.
    pub undefined: BTreeMap<String, String>,
}

impl Evaluation {
    /// The value of `metric`; `None` where it is undefined or there is no such metric.
    #[must_use]
    pub fn value(&self, metric: &str) -> Option<f64> {
        self.scores.0.iter().find(|(name, _)| *name == metric).and_then(|(_, value)| *value)
    }

    /// The 95 % interval of `metric`.
    #[must_use]
    pub fn interval(&self, metric: &str) -> Option<Interval> {
        self.intervals.get(metric).copied()
    }
}

/// Scores `items` by every metric. `seed` is that of the bootstrap.
///
/// # Errors
/// As [`Items::check`]. A metric that is undefined on these rows is no error: it is listed.
pub fn evaluate(items: &Items, seed: u64) -> Result<Evaluation> {
    items.check()?;
    let mut scores = Vec::with_capacity(METRICS.len());
    let mut defined = Vec::new();
    let mut undefined = BTreeMap::new();
    for metric in Metric::all_of(items) {
        let value = match (metric.score)(items) {
            Ok(value) => Some(value),
            Err(MetricError::Undefined { why, .. }) => {
                undefined.insert(metric.name.to_owned(), why);
                None
            }
            Err(error) => return Err(error),
        };
        defined.extend(value.map(|value| (metric, value)));
        scores.push((metric.name, value));
    }
    let mut intervals = BTreeMap::new();
    for (metric, interval) in intervals_of(items, &defined, seed)? {
        match interval {
            Ok(interval) => intervals.insert(metric.name.to_owned(), interval).is_some(),
            Err(why) => undefined.insert(format!("intervals.{}", metric.name), why).is_some(),
        };
    }
    let confusion = if items.answers.is_some() { Vec::new() } else { items.confusion()?.rows() };
    let by = |types: fn(&AnsweredItems<'_>) -> Vec<String>| {
        items.answers.map_or_else(BTreeMap::new, |of| means_by(of.accuracies, &types(&of)))
    };
    Ok(Evaluation {
        n: items.len(),
        scores: Scores(scores),
        confusion,
        intervals,
        by_question_type: by(|of| of.question_types.to_vec()),
        by_answer_type: by(|of| of.answer_types.to_vec()),
        undefined,
    })
}

/// The mean of the values of each type.
fn means_by(values: &[f64], types: &[String]) -> BTreeMap<String, f64> {
    let mut sums: BTreeMap<&String, (f64, f64)> = BTreeMap::new();
    for (value, kind) in values.iter().zip(types) {
        let (sum, count) = sums.entry(kind).or_default();
        *sum += value;
        *count += 1.0;
    }
    sums.into_iter().map(|(kind, (sum, count))| (kind.clone(), sum / count)).collect()
}

/// A metric's interval, or why there is none.
type Found = (&'static Metric, Result<Interval, String>);

fn intervals_of(
    items: &Items,
    defined: &[(&'static Metric, f64)],
    seed: u64,
) -> Result<Vec<Found>> {
    let clusters = items.clusters();
    let mut found = Vec::with_capacity(defined.len());
    let mut resampled = Vec::new();
    for &(metric, value) in defined {
        match metric.basis {
            Basis::Auroc => {
                let (variance, unanimous) = auroc_variance(items, &clusters)?;
                found.push((metric, Ok(logit_interval(value, variance, unanimous, LEVEL))));
            }
            Basis::Mean(hits) if metric.name == "accuracy" || metric.name == "f1_micro" => {
                found.push((metric, Ok(wilson_of_mean(&hits(items)?, &clusters, LEVEL)?)));
            }
            _ => resampled.push((metric, value)),
        }
    }
    found.extend(resample(items, &clusters, &resampled, seed)?);
    Ok(found)
}

/// Percentile intervals of several metrics from the same resamples.
fn resample(
    items: &Items,
    clusters: &Clusters,
    metrics: &[(&'static Metric, f64)],
    seed: u64,
) -> Result<Vec<Found>> {
    let mut counted = Vec::with_capacity(metrics.len());
    for &(metric, _) in metrics {
        counted.push((metric.name, Counted::new(metric, items)?, Redraws::new(REPLICATES)));
    }
    let resampler = Resampler::new(clusters, seed);
    let rows: Vec<Vec<Result<f64>>> = (0..REPLICATES)
        .into_par_iter()
        .map(|replicate| {
            let score = |(name, score, redraws): &(&str, Counted, Redraws), counts: &[u32]| {
                redraws.until_defined(name, |attempt| match attempt {
                    0 => score.score(counts),
                    _ => resampler.with_counts(attempt, replicate, |counts| score.score(counts)),
                })
            };
            resampler.with_counts(0, replicate, |counts| {
                counted.iter().map(|metric| score(metric, counts)).collect()
            })
        })
        .collect();
    let mut columns: Vec<Result<Vec<f64>>> =
        vec![Ok(Vec::with_capacity(REPLICATES)); metrics.len()];
    for row in rows {
        for (column, value) in columns.iter_mut().zip(row) {
            match (&mut *column, value) {
                (Ok(values), Ok(value)) => values.push(value),
                (Ok(_), Err(error)) => *column = Err(error),
                (Err(_), _) => {}
            }
        }
    }
    let mut found = Vec::with_capacity(metrics.len());
    for ((&(metric, value), (name, _, redraws)), column) in
        metrics.iter().zip(&counted).zip(columns)
    {
        let interval = match redraws.check(name).and(column) {
            Ok(mut values) => {
                values.sort_by(f64::total_cmp);
                widened(metric, value, percentile(&values, LEVEL), clusters)
            }
            Err(error @ MetricError::Degenerate { .. }) => Err(error.to_string()),
            Err(error) => return Err(error),
        };
        found.push((metric, interval));
    }
    Ok(found)
}

/// An interval without width claims certainty that a sample cannot give: the exact binomial bound
/// stands in, scaled to the metric's range; without a finite range there is no interval.
fn widened(
    metric: &Metric,
    value: f64,
    interval: Interval,
    clusters: &Clusters,
) -> Result<Interval, String> {
    if interval.width() > 1e-12 {
        return Ok(interval);
    }
    let width = metric.range.1 - metric.range.0;
    if !width.is_finite() {
        return Err("all items have the same value, and the metric has no largest one".to_owned());
    }
    let half = width * unanimous_bound(clusters.count(), LEVEL);
    Ok(Interval::around(value, half).within(metric.range))
}

/// One value per metric of the items' kind, in the order of its table.
#[derive(Clone, Debug, PartialEq)]
struct Scores(Vec<(&'static str, Option<f64>)>);

impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Scores {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ScoresVisitor)
    }
}

struct ScoresVisitor;

impl<'de> Visitor<'de> for ScoresVisitor {
    type Value = Scores;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object with a number or null for each metric")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scores, A::Error> {
        let mut scores = Vec::with_capacity(METRICS.len());
        while let Some(key) = map.next_key::<String>()? {
            let known = METRICS.iter().chain(ANSWER_METRICS).find(|metric| metric.name == key);
            match known {
                Some(metric) => scores.push((metric.name, map.next_value()?)),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Scores(scores))
    }
}
