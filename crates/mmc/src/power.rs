//! `mmc power`: what an experiment of some size can decide, before anything is spent.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mmc_metrics::pilot::{assumed_discordant, of_accuracy, of_one_model, of_two_models};
use mmc_metrics::power::{
    Components, Design, Needed, Rule, chances, deviation_factors, items_needed, seeds_needed,
};
use mmc_metrics::{Items, Metric, metric};
use serde::Serialize;

use crate::cli::PowerArgs;
use crate::clusters::Cluster;
use crate::compare::{items, positive};
use crate::failure::Failure;
use crate::output::{print, print_json, table};
use crate::scored;

/// What is taken for the baseline's accuracy where nothing is said.
const ACCURACY: f64 = 0.7;

/// What is taken for the spread of a fine-tuned model over seeds where nothing is said.
const SEED_DEVIATION: f64 = 0.01;

/// Seeds that a figure is taken to rest on which was not measured here.
const USUAL_SEEDS: usize = 5;

/// The two-sided error rate of the verdict.
const ALPHA: f64 = 0.05;

/// The chances of the three verdicts for a true gain, and what would do for the right one.
#[derive(Clone, Debug, Serialize)]
struct Forecast {
    gain: f64,
    multimodal: f64,
    text_suffices: f64,
    undecided: f64,
    items_needed: Option<u64>,
    seeds_needed: Option<u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    undefined: BTreeMap<&'static str, String>,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Power {
    metric: String,
    items: u64,
    seeds: u64,
    models: u64,
    margin: f64,
    #[serde(flatten)]
    asked: Forecast,
    by_gain: Vec<Forecast>,
    seed_sd: f64,
    seed_sd_range: [f64; 2],
    range: [Forecast; 2],
    components: Components,
    assumptions: Vec<String>,
}

/// Forecasts and prints.
pub(crate) fn run(typed: &PowerArgs) -> Result<(), Failure> {
    if !(typed.margin > 0.0 && typed.margin.is_finite()) {
        return Err(Failure::usage(format!(
            "`--margin` is `{}`, expected a number above 0: the smallest gain that matters",
            typed.margin
        )));
    }
    let source = source(typed)?;
    let rule = Rule {
        margin: typed.margin,
        lower_level: 1.0 - ALPHA / typed.models as f64,
        upper_level: 1.0 - ALPHA,
    };
    let design = Design { items: typed.items, seeds: typed.seeds };
    let forecast = |parts: &Components, gain: f64| forecast(parts, design, &rule, gain);
    let gain = typed.gain.unwrap_or(2.0 * typed.margin);
    let mut gains =
        vec![0.0, 0.5 * typed.margin, typed.margin, 2.0 * typed.margin, 3.0 * typed.margin];
    if !gains.iter().any(|known| (known - gain).abs() < 1e-9 * typed.margin) {
        gains.push(gain);
        gains.sort_by(f64::total_cmp);
    }
    let factors = deviation_factors(source.seeds, 0.95)?;
    let spread = |factor: f64| Components {
        seeds: source.components.seeds.map(|variance| variance * factor * factor),
        ..source.components
    };
    let seed_sd = (0.5 * (source.components.seeds[0] + source.components.seeds[1])).sqrt();
    let power = Power {
        metric: source.metric.name.to_owned(),
        items: typed.items,
        seeds: typed.seeds,
        models: typed.models,
        margin: typed.margin,
        asked: forecast(&source.components, gain)?,
        by_gain: gains
            .iter()
            .map(|&gain| forecast(&source.components, gain))
            .collect::<Result<_, _>>()?,
        seed_sd,
        seed_sd_range: [seed_sd * factors.low, seed_sd * factors.high],
        range: [forecast(&spread(factors.low), gain)?, forecast(&spread(factors.high), gain)?],
        components: source.components,
        assumptions: source.assumptions,
    };
    if typed.json { print_json(&power) } else { print(&words(&power)) }
}

fn forecast(
    parts: &Components,
    design: Design,
    rule: &Rule,
    gain: f64,
) -> Result<Forecast, Failure> {
    let found = chances(parts, design, rule, gain)?;
    let mut undefined = BTreeMap::new();
    let mut number = |key: &'static str, needed: Needed| match needed {
        Needed::Enough(number) => Some(number),
        Needed::None(why) => {
            undefined.insert(key, why);
            None
        }
    };
    let items = number("items_needed", items_needed(parts, design.seeds, rule, gain)?);
    let seeds = number("seeds_needed", seeds_needed(parts, design.items, rule, gain)?);
    Ok(Forecast {
        gain,
        multimodal: found.candidate,
        text_suffices: found.baseline,
        undecided: found.undecided,
        items_needed: items,
        seeds_needed: seeds,
        undefined,
    })
}

/// Where the variance is taken from.
struct Source {
    metric: &'static Metric,
    components: Components,
    /// Seeds that the spread over seeds rests on.
    seeds: usize,
    assumptions: Vec<String>,
}

fn source(typed: &PowerArgs) -> Result<Source, Failure> {
    if let Some(deviation) = typed.seed_sd.filter(|sd| !(*sd >= 0.0 && sd.is_finite())) {
        return Err(Failure::usage(format!(
            "`--seed-sd` is `{deviation}`, expected a number of at least 0"
        )));
    }
    let mut source = if typed.pilot.is_empty() { assumed(typed)? } else { measured(typed)? };
    if let Some(deviation) = typed.seed_sd {
        source.components.seeds = [deviation * deviation; 2];
        source.seeds = USUAL_SEEDS;
    }
    Ok(source)
}

fn assumed(typed: &PowerArgs) -> Result<Source, Failure> {
    if let Some(name) = typed.metric.as_deref().filter(|name| *name != "accuracy") {
        metric(name)?;
        return Err(Failure::usage(format!(
            "`--metric {name}` needs `--pilot`: without prediction files only the spread of \
             `accuracy` is known"
        )));
    }
    let mut assumptions = Vec::new();
    let accuracy = typed.accuracy.unwrap_or(ACCURACY);
    if typed.accuracy.is_none() && typed.discordant.is_none() {
        assumptions.push(format!("an accuracy of {ACCURACY} (--accuracy)"));
    }
    let discordant = if let Some(share) = typed.discordant {
        if let Some(accuracy) = typed.accuracy {
            assumed_discordant(accuracy)?; // a nonsense value is one with any other flag too
            assumptions.push("--discordant says all that --accuracy would".to_owned());
        }
        share
    } else {
        let share = assumed_discordant(accuracy)?;
        assumptions.push(format!(
            "on {:.0} % of the items just one of a text and a multimodal run is right \
             (--discordant)",
            100.0 * share
        ));
        share
    };
    if typed.seed_sd.is_none() {
        assumptions.push(format!(
            "a standard deviation of {SEED_DEVIATION} over seeds, known as from {USUAL_SEEDS} of \
             them (--seed-sd)"
        ));
    }
    let components = of_accuracy(discordant, typed.seed_sd.unwrap_or(SEED_DEVIATION))?;
    Ok(Source { metric: metric("accuracy")?, components, seeds: USUAL_SEEDS, assumptions })
}

fn measured(typed: &PowerArgs) -> Result<Source, Failure> {
    for (flag, side) in [("pilot", &typed.pilot), ("pilot-candidate", &typed.pilot_candidate)] {
        if side.len() == 1 {
            return Err(Failure::usage(format!(
                "`--{flag}` has one file, expected two or more seeds of one model: one says \
                 nothing about the spread over seeds"
            )));
        }
    }
    let paths: Vec<&PathBuf> = typed.pilot.iter().chain(&typed.pilot_candidate).collect();
    let files = scored::read(paths, typed.positive.as_deref(), Cluster::Group)?;
    let positive = positive(&files.rows[0], typed.positive.as_deref())?;
    let default = if files.rows[0].classes.len() == 2 { "auroc" } else { "accuracy" };
    let metric = metric(typed.metric.as_deref().unwrap_or(default))?;
    let rows: Vec<Items<'_>> = files.rows.iter().map(|rows| items(rows, positive)).collect();
    let (baseline, candidate) = rows.split_at(typed.pilot.len());
    let mut assumptions = Vec::new();
    let components = if candidate.is_empty() {
        assumptions.push(
            "the other model spreads as this one does, and both agree as two models usually do \
             (--pilot-candidate)"
                .to_owned(),
        );
        of_one_model(metric, baseline, 0)
    } else {
        of_two_models(metric, baseline, candidate, 0)
    };
    let components = components.map_err(|error| files.at_fault(error))?;
    assumptions.extend(files.missing());
    let seeds = [baseline.len(), candidate.len()].into_iter().filter(|k| *k > 0).min();
    Ok(Source { metric, components, seeds: seeds.unwrap_or(USUAL_SEEDS), assumptions })
}

/// The forecast in plain words.
fn words(power: &Power) -> String {
    let percent = |chance: f64| format!("{:.0} %", 100.0 * chance);
    let mut rows: Vec<Vec<String>> = vec![
        ["true gain", "multimodal", "text suffices", "undecided", "for 80 %, alone"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for row in &power.by_gain {
        rows.push(vec![
            format!("{:.4}", row.gain),
            percent(row.multimodal),
            percent(row.text_suffices),
            percent(row.undecided),
            enough(row),
        ]);
    }
    let family = match power.models {
        1 => String::new(),
        models => format!(", {models} multimodal models tested together"),
    };
    let mut lines = vec![format!(
        "{} items, {} seeds a model, margin {} in {}{family}; chances of each verdict:\n\n{}",
        power.items,
        power.seeds,
        power.margin,
        power.metric,
        table(&rows)
    )];
    for (what, why) in &power.asked.undefined {
        let what = what.replace("_needed", "");
        lines.push(format!("{what}, at a gain of {:.4}: {why}", power.asked.gain));
    }
    let [low, high] = &power.range;
    let [least, most] = power.seed_sd_range;
    lines.push(format!(
        "The deviation over seeds, {:.4}, is itself known only as {least:.4} to {most:.4}. With the \
         first a gain\nof {:.4} is judged rightly with a chance of {}, with the second of {}. For 80 %, \
         with the first:\n{}; with the second: {}.",
        power.seed_sd,
        power.asked.gain,
        percent(right(low, power.margin)),
        percent(right(high, power.margin)),
        enough(low),
        enough(high),
    ));
    lines.extend(power.assumptions.iter().map(|assumption| format!("assumed: {assumption}")));
    lines.join("\n")
}

fn right(row: &Forecast, margin: f64) -> f64 {
    if row.gain >= margin { row.multimodal } else { row.text_suffices }
}

/// What would do, in words.
fn enough(row: &Forecast) -> String {
    match (row.items_needed, row.seeds_needed) {
        (Some(items), Some(seeds)) => format!("{items} items or {seeds} seeds"),
        (Some(items), None) => format!("{items} items, and no number of seeds"),
        (None, Some(seeds)) => format!("{seeds} seeds, and no number of items"),
        (None, None) => "neither more items nor more seeds alone".to_owned(),
    }
}
