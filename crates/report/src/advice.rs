//! What follows from the figures: what to use when, and what more would decide.

use mmc_data::Arm;
use mmc_metrics::Comparison;
use mmc_metrics::distribution::normal_quantile;
use serde::Serialize;

use crate::arm::ArmRuns;
use crate::compare::{Finding, Gain, Rule, improvement};
use crate::cost::costs;
use crate::verdict::best_on_selection;

/// The power that more items or seeds are planned for.
const POWER: f64 = 0.8;

/// What to use when: the last three lines of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// Where the picture is part of the meaning.
    pub meaning: String,
    /// Where the picture is decorative.
    pub decorative: String,
    /// Where resources are short.
    pub short: String,
}

pub(crate) fn advice(
    arms: &[ArmRuns],
    text: Option<&ArmRuns>,
    gains: &[Gain],
    rule: &Rule,
) -> Advice {
    let both = || arms.iter().filter(|arm| arm.arm == Arm::Both && !arm.runs.is_empty());
    let shown = |arm: &&ArmRuns| {
        gains.iter().any(|gain| gain.candidate == arm.name() && gain.finding.is_gain())
    };
    let best = best_on_selection(both().filter(shown), rule.metric);
    let meaning = match (best, best_on_selection(both(), rule.metric)) {
        (Some(best), _) => {
            format!(
                "use {}, the best on the selection split of those that are shown to gain",
                best.model
            )
        }
        (None, Some(tried)) => format!(
            "{} is the best multimodal model here, but no gain of it is shown; try it on data \
             where the picture matters more",
            tried.model
        ),
        (None, None) => "no multimodal model has a complete run".to_owned(),
    };
    let decorative = match text {
        Some(text) => format!("use {}, the best text model", text.model),
        None => "no text model has a complete run".to_owned(),
    };
    let contenders: Vec<&ArmRuns> = text.into_iter().chain(both()).collect();
    Advice { meaning, decorative, short: cheapest(&contenders, best.or(text), rule) }
}

/// The cheapest of the contenders, by the operations of a forward, that is shown not worse than the
/// reference by the margin.
fn cheapest(contenders: &[&ArmRuns], reference: Option<&ArmRuns>, rule: &Rule) -> String {
    let Some(reference) = reference else {
        return "no model to measure others by has a complete run".to_owned();
    };
    let work = |arm: &ArmRuns| {
        costs(std::slice::from_ref(arm), None).first().map(|cost| cost.flops_per_sample.value)
    };
    let mut cheapest: Option<(&ArmRuns, f64)> = None;
    for arm in contenders {
        let (Some(cost), Some(limit)) = (work(arm), work(reference)) else { continue };
        let enough = cost < limit
            && rule.compare(&reference.items(), &arm.items()).is_ok_and(|found| {
                let many = found.seeds.baseline > 1 && found.seeds.candidate > 1;
                many && improvement(rule.metric, &found).1.low > -rule.margin
            });
        if enough && cheapest.is_none_or(|(_, other)| cost < other) {
            cheapest = Some((arm, cost));
        }
    }
    match cheapest {
        Some((arm, _)) => {
            let (model, best) = (arm.model, reference.model);
            format!("use {model}, of fewer operations and shown to be within the margin of {best}")
        }
        None => format!(
            "use {}; no model of fewer operations is shown to be within the margin of it",
            reference.model
        ),
    }
}

/// What would decide each open comparison, planned as if the true gain were the margin (to show
/// it) or nothing (to show that it is less), never as the estimate has it.
pub(crate) fn help(gains: &[Gain], margin: f64) -> Vec<String> {
    gains.iter().filter_map(|gain| line(gain, margin)).collect()
}

fn line(gain: &Gain, margin: f64) -> Option<String> {
    let name = &gain.candidate;
    match gain.finding {
        Finding::OneSeed => Some(format!(
            "{name}: train at least two more seeds of each side; one tells nothing about others"
        )),
        Finding::Absent => {
            let why = gain.absent.as_deref().unwrap_or("it was not compared");
            Some(format!("{name}: {why}"))
        }
        Finding::Open => gain.comparison.as_ref().map(|found| open(name, found, margin)),
        _ => None,
    }
}

/// More items or more seeds that would settle a comparison that both leave open.
fn open(name: &str, found: &Comparison, margin: f64) -> String {
    let quantiles = normal_quantile(0.5 + 0.5 * found.lower_level) + normal_quantile(POWER);
    let allowed = (margin / quantiles).powi(2);
    if found.seed_variance + found.c <= allowed {
        return format!(
            "{name}: these items and seeds tell a gain of {margin} from none; the true gain seems \
             to lie between, where only many times as many would decide"
        );
    }
    let seeds = found.seeds.baseline.min(found.seeds.candidate);
    let items = found.clusters.unwrap_or(found.items);
    let unit = if found.clusters.is_some() { "groups of test items" } else { "test items" };
    let needed = |varies: f64, have: usize, fixed: f64| {
        (allowed > fixed).then(|| (varies * have as f64 / (allowed - fixed)).ceil())
    };
    let say = |needed: Option<f64>, have: usize, what: &str, held: &str| match needed {
        Some(needed) => format!("about {needed} {what} instead of {have} at the same {held}"),
        None => format!("no number of {what} at the same {held}"),
    };
    format!(
        "{name}: to show a gain of {margin}, or to rule it out, with {:.0} % power takes {}, or {}; \
         both are rough, since the spread over {seeds} seeds is itself known only to a factor of \
         several",
        100.0 * POWER,
        say(needed(found.c, items, found.seed_variance), items, unit, "seeds"),
        say(needed(found.seed_variance, seeds, found.c), seeds, "seeds", "items"),
    )
}
