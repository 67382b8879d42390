//! `mmc train`: settings to a run folder.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mmc_run::{PartialSettings, RunConfig, RunError, RunFolder};
use mmc_train::{Devices, Finished, Outcome, Plan, Session, resolve_on, train};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::cli::TrainArgs;
use crate::failure::Failure;
use crate::output::{print, table};
use crate::progress::Teller;
use crate::ranks;

/// What the shell gives a command that a second Ctrl-C ended at once.
const INTERRUPTED_TWICE: i32 = 130;

/// Trains, or goes on training, alone or as one of the ranks that a launcher started.
pub(crate) fn run(typed: TrainArgs) -> Result<(), Failure> {
    let session = Session::begin()?;
    let outcome = ranks::begin(&session).and_then(|()| run_among(typed, &session));
    ranks::end(&session, outcome)
}

fn run_among(typed: TrainArgs, session: &Session) -> Result<(), Failure> {
    let ranks = session.ranks();
    let config = match &typed.config {
        Some(path) => PartialSettings::read(path)?,
        None => PartialSettings::default(),
    };
    // All that can be wrong with what was typed or with the data is found before the folder is
    // touched.
    let devices = devices(typed.devices.devices()?, session)?;
    let config = if typed.resume { with_shards_of(&typed.out, config, session)? } else { config };
    let plan =
        resolve_on(&devices, config, typed.settings.into_settings())?.among(ranks.clone())?;
    let interrupt = interrupt()?;
    if !ranks.is_first() {
        let place = tempfile::tempdir()?;
        let folder = RunFolder::create(place.path())?;
        train(&plan, &folder, &interrupt, &mut |_| ())?;
        return Ok(());
    }
    let folder = open(&typed.out, typed.resume)?;
    announce(&plan, &typed.out, &devices, ranks.count());
    let mut teller = Teller::default();
    let outcome = train(&plan, &folder, &interrupt, &mut |news| teller.tell(&news))?;
    drop(teller);
    let out = typed.out.display();
    match outcome {
        Outcome::Finished(finished) => print(&summary(&plan, &finished, &typed.out)),
        Outcome::AlreadyComplete => print(&format!("{out}: complete already, nothing changed")),
        Outcome::Interrupted { step } => Err(Failure::work(format!(
            "{out}: stopped after step {step} as asked; the same command with `--resume` goes on"
        ))),
        Outcome::Shared => Ok(()), // of other ranks than this one
    }
}

/// The devices of this process: of several ranks each has one CUDA device, the one of its place among
/// those on its machine.
fn devices(asked: Devices, session: &Session) -> Result<Devices, Failure> {
    if session.ranks().is_alone() {
        return Ok(asked);
    }
    let below = session.below_on_machine()?;
    Ok(match asked {
        Devices::Cpu(_) => asked,
        Devices::Cuda(_) => asked.of_rank(below).into(),
    })
}

/// The folder of the run; where something else is in it, what to do is said as it was asked for.
fn open(out: &Path, resume: bool) -> Result<RunFolder, Failure> {
    let opened = if resume { RunFolder::resume(out) } else { RunFolder::create(out) };
    opened.map_err(|error| match error {
        RunError::Occupied { path, why } if resume || !out.join("config.toml").is_file() => {
            let path = path.display();
            Failure::usage(format!("{path}: {why}; give another folder, or move that away"))
        }
        error => Failure::from(error),
    })
}

/// Set by the first Ctrl-C or SIGTERM; the second ends the program at once.
fn interrupt() -> Result<Arc<AtomicBool>, Failure> {
    let interrupt = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, INTERRUPTED_TWICE, Arc::clone(&interrupt))?;
        flag::register(signal, Arc::clone(&interrupt))?;
    }
    Ok(interrupt)
}

/// What is about to run, before the first step.
fn announce(plan: &Plan, out: &Path, devices: &Devices, ranks: usize) {
    let mut said = HashSet::new(); // what holds for every split is said once
    for note in plan.notes.iter().filter(|&note| said.insert(note)) {
        tracing::warn!("{note}");
    }
    let settings = &plan.settings;
    tracing::info!(
        "{}: {} ({} arm, checkpoint {}) on {} rows of {}, {} steps of {} rows, on {}",
        out.display(),
        settings.model,
        settings.arm,
        settings.checkpoint,
        plan.train.len(),
        plan.train.path.display(),
        plan.steps().steps(),
        settings.items_per_step(),
        match devices {
            Devices::Cpu(_) if ranks > 1 => format!("the CPU as {ranks} ranks"),
            Devices::Cuda(_) if ranks > 1 => format!("{devices} and those of {} ranks", ranks - 1),
            Devices::Cpu(1) => "the CPU".to_owned(),
            Devices::Cpu(count) => format!("the CPU as {count} devices"),
            Devices::Cuda(_) => devices.to_string(),
        },
    );
}

/// The shards of the run that is gone on with, where the configuration says nothing of them: what
/// is usual differs between devices, and a run may go on on another.
fn with_shards_of(
    out: &Path,
    config: PartialSettings,
    session: &Session,
) -> Result<PartialSettings, Failure> {
    let recorded = || {
        let RunConfig { settings, .. } = RunFolder::open(out).ok()?.config().ok()?;
        let items = settings.items_per_step();
        let share = |devices: usize| items.div_ceil(devices); // on so many CUDA devices
        let rows = settings.shard_rows;
        (rows == 8 || (1..=items).map(share).any(|it| it == rows)).then_some(rows)
    };
    // The folder is rank 0's alone.
    let recorded = if session.ranks().is_first() { recorded() } else { None };
    let recorded = session.of_first(recorded)?;
    Ok(PartialSettings { shard_rows: config.shard_rows.or(recorded), ..config })
}

/// What the run found: the selection metric on each split, and where everything lies.
fn summary(plan: &Plan, finished: &Finished, out: &Path) -> String {
    let metric = plan.dataset.primary_metric;
    let mut rows = vec![["split", "items", metric, "95 % interval"].map(str::to_owned).to_vec()];
    for (split, scores) in &finished.scores {
        let value = scores.value(metric).map_or("undefined".to_owned(), |it| format!("{it:.4}"));
        let interval = scores
            .interval(metric)
            .map_or_else(String::new, |at| format!("[{:.4}, {:.4}]", at.low, at.high));
        rows.push(vec![split.clone(), scores.n.to_string(), value, interval]);
    }
    format!(
        "{}{}: kept step {} of {}, {:.1} samples/s\n",
        table(&rows),
        out.display(),
        finished.kept_step,
        plan.steps().steps(),
        finished.cost.samples_per_second,
    )
}
