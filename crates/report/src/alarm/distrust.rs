//! Faults of the experiment itself that would make its figures say what is not so.

use mmc_metrics::Metric;

use crate::arm::{ArmRuns, median};

/// A seed this many median absolute deviations below the median of its arm has collapsed.
const DEVIATIONS: f64 = 5.0;
/// A run that waits for data for this share of its steps is bound by its loader.
const WAITING: f64 = 0.3;
/// Names of parameters that are listed; the others are counted.
const SHOWN: usize = 3;

/// Parameters that were to be trained and were not changed by a single step.
pub(super) fn unmoved(arm: &ArmRuns) -> Vec<String> {
    let of = |run: &&&crate::RunResult| {
        let names = &run.cost.unmoved_parameters;
        let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
        let more = names.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!(
            "{}: {} that should train ended bit for bit as they began: {}{more}",
            run.id,
            if names.len() == 1 {
                "1 parameter".to_owned()
            } else {
                format!("{} parameters", names.len())
            },
            shown.join(", ")
        )
    };
    let stuck = |run: &&&crate::RunResult| !run.cost.unmoved_parameters.is_empty();
    arm.runs.iter().filter(stuck).map(|run| of(&run)).collect()
}

/// Seeds that score far below the others of their arm (Dodge 2020; Mosbach 2021). They stay in all
/// figures. The median absolute deviation of a few seeds is small by chance, so that of an arm is
/// taken to be at least the median over all arms, and a seed must also lie below by more than the
/// margin and by more than the items alone would move it.
pub(super) fn collapsed(arms: &[ArmRuns], metric: &Metric, margin: f64) -> Vec<String> {
    let sign = if metric.higher_is_better { 1.0 } else { -1.0 };
    let seeds: Vec<Seeds> = arms.iter().filter_map(|arm| Seeds::of(arm, metric)).collect();
    let usual = median(seeds.iter().map(|seeds| seeds.spread).collect()).unwrap_or_default();
    let mut lines = Vec::new();
    for Seeds { arm, scores, middle, spread } in &seeds {
        for (run, score) in arm.runs.iter().zip(scores) {
            let by_items = run
                .test_scores()
                .and_then(|scores| scores.interval(metric.name))
                .map_or(0.0, |at| 0.5 * (at.high - at.low));
            let far = (DEVIATIONS * spread.max(usual)).max(margin).max(by_items);
            if sign * (middle - score) > far {
                lines.push(format!(
                    "{} collapsed: its {} is {score:.3}, where the median of its seeds is \
                     {middle:.3}; it is in all figures",
                    run.id, metric.name
                ));
            }
        }
    }
    lines
}

/// The scores of an arm's seeds, their median and its median absolute deviation.
struct Seeds<'a, 'b> {
    arm: &'b ArmRuns<'a>,
    scores: Vec<f64>,
    middle: f64,
    spread: f64,
}

impl<'a, 'b> Seeds<'a, 'b> {
    /// `None` of fewer than three seeds, or without scores.
    fn of(arm: &'b ArmRuns<'a>, metric: &Metric) -> Option<Self> {
        let scores: Option<Vec<f64>> =
            arm.items().iter().map(|items| (metric.score)(items).ok()).collect();
        let scores = scores.filter(|scores| scores.len() >= 3)?;
        let middle = median(scores.clone())?;
        let spread = median(scores.iter().map(|score| (score - middle).abs()).collect())?;
        Some(Self { arm, scores, middle, spread })
    }
}

/// Arms whose steps wait for their data.
pub(super) fn loader_bound(arms: &[ArmRuns]) -> Option<String> {
    let share = |arm: &ArmRuns| {
        let waiting = median(arm.runs.iter().filter_map(|run| run.learning.waiting).collect())?;
        (waiting > WAITING).then(|| format!("{} {:.0} %", arm.name(), 100.0 * waiting))
    };
    let bound: Vec<String> = arms.iter().filter_map(share).collect();
    (!bound.is_empty()).then(|| {
        format!(
            "much of the time of a step is spent waiting for data, so these seconds are the loader's \
             and not the model's; more `--workers` may help: {}",
            bound.join(", ")
        )
    })
}
