//! What a run takes, in figures.

use mmc_models::{Classifier, OutlineRequest, Preset, outline};
use mmc_run::{PartialSettings, Settings};
use mmc_train::{Amount, Estimate, Memory, settings_without_data, trained};
use serde::Serialize;

use super::size::{duration, scaled, shown};
use crate::failure::Failure;

/// What is known beside the model and its settings.
pub(super) struct Known {
    /// The longer side of pictures over the shorter.
    pub(super) aspect: f64,
    /// Bytes that there are.
    pub(super) limit: Option<u64>,
    /// What is trained on and predicted.
    pub(super) amount: Option<Amount>,
    pub(super) speed: Speed,
}

/// How fast the machine is.
#[derive(Clone, Copy)]
pub(super) enum Speed {
    Unknown,
    /// Operations of training a second.
    Stated(f64),
    /// To be found out.
    Measured,
}

/// A run: the keys of `mmc plan --json`.
#[derive(Serialize)]
pub(super) struct Figures {
    pub(super) model: String,
    pub(super) arm: mmc_data::Arm,
    parameters: usize,
    trainable_parameters: usize,
    flops_per_sample: f64,
    /// Null where only a part of the model trains.
    flops_per_step: Option<f64>,
    peak_memory_bytes: Option<u64>,
    /// What the peak is made of; `states` and `saving` are not there at once.
    memory: Option<Parts>,
    pub(super) hours: Option<f64>,
    /// Why `hours` is null.
    pub(super) hours_missing: Option<String>,
    steps: Option<u64>,
    flops_per_second: Option<f64>,
    /// Of the steps that were timed; the process that plans has no data and saves nothing.
    measured_memory_bytes: Option<u64>,
    /// With `--memory`, what fits; null where nothing does.
    batch_size: Option<usize>,
    grad_accumulation: Option<usize>,
    shard_rows: Option<usize>,
    max_length: usize,
    /// Whether it fits into `--memory` as it was asked for.
    fits: Option<bool>,
    notes: Vec<String>,
}

/// [`Memory`] as it is written.
#[derive(Serialize)]
struct Parts {
    program: u64,
    weights: u64,
    gradients: u64,
    moments: u64,
    batches: u64,
    layers: u64,
    states: u64,
    saving: u64,
}

impl From<Memory> for Parts {
    fn from(memory: Memory) -> Self {
        let Memory { program, weights, gradients, moments, batches, layers, states, saving } =
            memory;
        Self { program, weights, gradients, moments, batches, layers, states, saving }
    }
}

/// Why nothing is said of the memory and the time of a run that trains a part of its model.
const PART: &str = "only a part of the model trains (`freeze`, `lora_rank`), which is not modelled: it \
                    takes less of all than training the whole";

/// What the figures of a tiny model lack.
const TINY: &str = "a tiny model's vocabulary is made when it is trained, from its training texts; here it \
                    has none, so a little is missing from parameters and memory";

/// The model as `request` outlines it, trained as `asked`.
pub(super) fn figures(
    (preset, folder, classes): (&Preset, Option<&std::path::Path>, usize),
    asked: PartialSettings,
    known: &Known,
) -> Result<Figures, Failure> {
    let settings = settings_without_data(preset, asked)?;
    let (arm, head) = (Some(settings.arm), Some(settings.head.as_str()));
    let trained = trained(&settings);
    let request = OutlineRequest { preset, folder, arm, head, classes, trained };
    let model = outline(&request)?;
    of_outline(model.as_ref(), preset, settings, known)
}

fn of_outline(
    model: &dyn Classifier,
    preset: &Preset,
    settings: Settings,
    known: &Known,
) -> Result<Figures, Failure> {
    let estimate = Estimate::new(model, settings, known.aspect);
    let mut notes = Vec::new();
    notes.extend(preset.tiny.then(|| TINY.to_owned()));
    let (tokens, asked) = (estimate.text_tokens(), estimate.settings().max_length);
    if tokens < asked {
        notes.push(format!(
            "the model has positions for {tokens} tokens, so these are the figures of such texts, not \
             of {asked}"
        ));
    }
    let whole = estimate.trains_everything();
    if !whole {
        notes.push(PART.to_owned());
    }
    let mut proposed = Some(estimate.settings().clone());
    let mut fits = None;
    if let Some(limit) = known.limit.filter(|_| whole) {
        proposed = estimate.within(limit);
        fits = Some(proposed.as_ref() == Some(estimate.settings()));
        notes.extend(of_fit(model, &estimate, proposed.as_ref(), (limit, known.aspect)));
    }
    // What is proposed is what the figures are of; where nothing fits, what was asked for.
    let settings = proposed.clone().unwrap_or_else(|| estimate.settings().clone());
    let estimate = Estimate::new(model, settings, known.aspect);
    let (mut speed, mut measured) = (None, None);
    let memory = whole.then(|| estimate.memory());
    match known.speed {
        Speed::Stated(stated) => speed = Some(stated),
        Speed::Measured if whole && proposed.is_some() => {
            let (found, rehearsal) = estimate.rehearse()?;
            speed = Some(found);
            measured = Some(rehearsal.peak_memory_bytes).filter(|&bytes| bytes > 0);
        }
        Speed::Measured | Speed::Unknown => {}
    }
    let unplanned = match proposed {
        _ if !whole => Some(PART),
        None => Some("nothing fits into `--memory`"),
        Some(_) => None,
    };
    let hours_missing = missing(unplanned, known.amount, speed);
    let hours = match (known.amount, speed) {
        (Some(amount), Some(speed)) if hours_missing.is_none() => {
            Some(estimate.flops(&amount) / speed / 3600.0)
        }
        _ => None,
    };
    let [parameters, trainable_parameters] = estimate.parameters();
    let settings = estimate.settings();
    let shape = proposed.as_ref();
    Ok(Figures {
        model: preset.name.to_owned(),
        arm: settings.arm,
        parameters,
        trainable_parameters,
        flops_per_sample: estimate.flops_per_sample(),
        flops_per_step: whole.then(|| estimate.flops_per_step()),
        peak_memory_bytes: memory.map(|memory| memory.peak_bytes()),
        memory: memory.map(Parts::from),
        hours,
        hours_missing,
        steps: known.amount.map(|amount| estimate.steps(amount.train)),
        flops_per_second: speed,
        measured_memory_bytes: measured,
        batch_size: shape.map(|settings| settings.batch_size),
        grad_accumulation: shape.map(|settings| settings.grad_accumulation),
        shard_rows: shape.map(|settings| settings.shard_rows),
        max_length: estimate.text_tokens(),
        fits,
        notes,
    })
}

/// Why there are no hours.
fn missing(unplanned: Option<&str>, amount: Option<Amount>, speed: Option<f64>) -> Option<String> {
    let rows = "how many rows are trained on (`--items N` or `--dataset NAME`)";
    let pace = "how fast this machine is (`--measure`, or `--flops-per-second X`)";
    if let Some(reason) = unplanned {
        return Some(reason.to_owned());
    }
    match (amount, speed) {
        (None, None) => Some(format!("not said: {rows}, and {pace}")),
        (None, Some(_)) => Some(format!("not said: {rows}")),
        (Some(_), None) => Some(format!("not said: {pace}")),
        (Some(_), Some(_)) => None,
    }
}

/// What to say of how a run fits into `limit` bytes.
fn of_fit(
    model: &dyn Classifier,
    estimate: &Estimate<'_>,
    proposed: Option<&Settings>,
    (limit, aspect): (u64, f64),
) -> Vec<String> {
    let asked = estimate.settings();
    let Some(proposed) = proposed else {
        let least = Settings { shard_rows: 1, ..asked.clone() };
        let least = Estimate::new(model, least, aspect).memory().peak_bytes();
        let gradient_checkpointing = mmc_run::GradientCheckpointing::All;
        let again = Settings { gradient_checkpointing, shard_rows: 1, ..asked.clone() };
        let again = Estimate::new(model, again, aspect).memory().peak_bytes();
        return vec![format!(
            "no batch fits into {}: one row takes {}, with `--gradient-checkpointing` {}; take more \
             memory, shorter texts or a smaller model, or train a part (`mmc train --freeze \
             backbone`, `--lora-rank N`)",
            shown(limit),
            shown(least),
            shown(again)
        )];
    };
    if proposed == asked {
        return Vec::new();
    }
    vec![format!(
        "as asked for it takes {} and not {}; `--batch-size {} --grad-accumulation {} --shard-rows {}` \
         makes the same step of {} rows, but for rounding",
        shown(estimate.memory().peak_bytes()),
        shown(limit),
        proposed.batch_size,
        proposed.grad_accumulation,
        proposed.shard_rows,
        proposed.items_per_step(),
    )]
}

/// The same for people.
pub(super) fn words(figures: &Figures) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String| lines.push(format!("{name:<12}{value}"));
    line("model", format!("{} ({} arm)", figures.model, figures.arm));
    line(
        "parameters",
        format!(
            "{}, of which {} train",
            scaled(figures.parameters as f64).trim_end(),
            scaled(figures.trainable_parameters as f64).trim_end()
        ),
    );
    if let (Some(batch), Some(accumulation), Some(shard)) =
        (figures.batch_size, figures.grad_accumulation, figures.shard_rows)
    {
        let rows = format!("{batch} rows × {accumulation}, {shard} rows a forward pass at most");
        line("step", format!("{rows}, texts of {} tokens", figures.max_length));
    }
    line(
        "operations",
        match figures.flops_per_step {
            Some(step) => format!(
                "{}FLOP a sample forward, {}FLOP a step",
                scaled(figures.flops_per_sample),
                scaled(step)
            ),
            None => format!("{}FLOP a sample forward", scaled(figures.flops_per_sample)),
        },
    );
    if let (Some(peak), Some(parts)) = (figures.peak_memory_bytes, &figures.memory) {
        let fixed = parts.weights + parts.gradients + parts.moments;
        line(
            "memory",
            format!(
                "{} at most: {} weights, gradients and moments, {} layers and states, {} the rest",
                shown(peak),
                shown(fixed),
                shown(parts.layers + parts.states),
                shown(peak.saturating_sub(fixed + parts.layers + parts.states)),
            ),
        );
    }
    if let Some(measured) = figures.measured_memory_bytes {
        line("measured", format!("{} in three steps, without data", shown(measured)));
    }
    if let Some(speed) = figures.flops_per_second {
        line("speed", format!("{}FLOP/s of training", scaled(speed)));
    }
    match (figures.hours, figures.steps, &figures.hours_missing) {
        (Some(hours), Some(steps), _) => {
            line("time", format!("{} for {steps} steps", duration(hours)));
        }
        (_, _, Some(why)) => line("time", why.clone()),
        _ => {}
    }
    for note in &figures.notes {
        line("note", note.clone());
    }
    lines.join("\n")
}

impl Figures {
    /// Heads of a table of several.
    pub(super) fn heads() -> Vec<String> {
        ["model", "arm", "seeds", "parameters", "FLOP a step", "memory", "step", "time a run"]
            .map(str::to_owned)
            .to_vec()
    }

    /// A row of it.
    pub(super) fn row(&self, seeds: usize) -> Vec<String> {
        let or = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
        let step = self.batch_size.zip(self.grad_accumulation);
        vec![
            self.model.clone(),
            self.arm.to_string(),
            seeds.to_string(),
            scaled(self.parameters as f64).trim_end().to_owned(),
            or(self.flops_per_step.map(|step| scaled(step).trim_end().to_owned())),
            or(self.peak_memory_bytes.map(shown)),
            or(step.map(|(batch, accumulation)| format!("{batch} × {accumulation}"))),
            or(self.hours.map(duration)),
        ]
    }
}
