//! What happens before the first step of a sitting.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mmc_models::{
    CheckpointSource, Classifier, CreateRequest, FreshHead, LoadRequest, Loaded, Parameter, Trained,
};
use mmc_preprocess::Processor;
use mmc_run::{Keep, RunError, RunFolder, RunLock};

use crate::optimizer::{AdamW, AdamWSettings};
use crate::ranks::share_folder;
use crate::resume::{Counters, State};
use crate::settings::Plan;
use crate::variant::checksum_of_frozen;
use crate::{Progress, TrainError, place, resume, shared};

/// The file without which a checkpoint is none.
const WEIGHTS: &str = "model.safetensors";

/// Whether there is anything to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// The run is complete.
    Complete,
    /// The run is new, or to be gone on with.
    Open,
}

/// Makes the folder this sitting's own. Where the file system has no locks, that is said.
pub(crate) fn lock(
    folder: &RunFolder,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Option<RunLock>, TrainError> {
    match folder.lock() {
        Ok(lock) => Ok(Some(lock)),
        Err(error @ RunError::Io { .. }) => {
            let warning = format!(
                "{error}: the folder cannot be locked; see to it that no other process trains in it"
            );
            progress(Progress::Warning(&warning));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Compares the run in the folder, if there is one, with the plan. Changes nothing.
pub(crate) fn admit(
    plan: &Plan,
    folder: &RunFolder,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Admitted, TrainError> {
    if folder.config_path().is_file() {
        let differences = folder.config()?.obstacles(&plan.config())?;
        if !differences.is_empty() {
            return Err(TrainError::Differs { path: folder.root().to_owned(), differences });
        }
        if folder.has_ended() {
            let weights = folder.checkpoint().join(WEIGHTS);
            let problem = match folder.damage() {
                Some(error) => error.to_string(),
                None if !weights.is_file() => format!("{} is gone", weights.display()),
                None => return Ok(Admitted::Complete),
            };
            let warning = format!("the run had ended, but {problem}: it is finished again");
            progress(Progress::Warning(&warning));
        }
    }
    Ok(Admitted::Open)
}

/// What a sitting begins with.
pub(crate) struct Start {
    /// The folder that training starts from.
    pub(crate) source: PathBuf,
    pub(crate) processor: Arc<Processor>,
    pub(crate) loaded: Loaded,
}

/// Makes or finds the initial weights, loads them, and only then writes `config.toml`: a
/// checkpoint that does not fit leaves the folder as it was.
pub(crate) fn start(
    plan: &Plan,
    folder: &RunFolder,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Start, TrainError> {
    let is_new = !folder.config_path().is_file();
    // Without their configuration nobody can say what these belong to.
    let clear = || {
        resume::remove(&folder.state())?;
        resume::remove(&folder.initial())
    };
    if is_new {
        if resume::newest_step(&folder.state()).is_some() {
            let warning = format!(
                "{}: the states in it belong to a run whose `config.toml` is gone; they are \
                 removed, and the run begins at its first step",
                folder.state().display()
            );
            progress(Progress::Warning(&warning));
        }
        clear()?;
    }
    let mut begin = || {
        let source = starting_point(plan, folder)?;
        let processor = processor(plan, &source)?;
        let loaded = load(plan, &source)?;
        let mut config = plan.config();
        if !is_new && let Some(warning) = config.goes_on_from(&folder.config()?) {
            progress(Progress::Warning(&warning));
        }
        folder.write_config(&config)?;
        Ok(Start { source, processor, loaded })
    };
    let start = begin();
    if start.is_err() && is_new {
        clear()?;
        folder.withdraw()?;
    }
    start
}

/// The folder that training starts from: the checkpoint given, or `initial/`, made here for a run
/// from scratch.
fn starting_point(plan: &Plan, folder: &RunFolder) -> Result<PathBuf, TrainError> {
    match &plan.source {
        CheckpointSource::Folder(path) => Ok(path.clone()),
        CheckpointSource::FromScratch => {
            let initial = folder.initial();
            place::recover(&folder.state(), &initial)?;
            if plan.ranks.is_first() && !initial.is_dir() {
                let texts: Vec<&str> = plan.train.iter().map(|item| item.text.as_str()).collect();
                place::replace(&folder.state(), &initial, |made| {
                    let request = CreateRequest {
                        preset: plan.preset,
                        arm: Some(plan.settings.arm),
                        head: Some(&plan.settings.head),
                        texts: &texts,
                        labels: plan.classes(),
                        seed: plan.settings.seed,
                    };
                    Ok(mmc_models::create(&request, made)?)
                })?;
            }
            share_folder(&plan.ranks, &initial)?;
            Ok(initial)
        }
    }
}

/// The processor of that folder, with the run's arm and length.
fn processor(plan: &Plan, source: &Path) -> Result<Arc<Processor>, TrainError> {
    let processor = Processor::from_folder(source, plan.settings.arm)?;
    let asked = plan.settings.max_length;
    if let Some(longest) = processor.max_length()
        && asked > longest
    {
        let problem = format!(
            "`max_length` is `{asked}`, but the model in {} takes {longest} tokens at most; \
             lower `--max-length`",
            source.display()
        );
        return Err(TrainError::setting("max_length", problem));
    }
    if let Some(shortest) = processor.min_length().filter(|shortest| asked < *shortest) {
        let problem = format!(
            "`max_length` is `{asked}`, which leaves nothing of a text between the special tokens \
             of {}; raise `--max-length` to {shortest} at least",
            source.display()
        );
        return Err(TrainError::setting("max_length", problem));
    }
    Ok(Arc::new(plan.with_pictures(processor.with_max_length(asked))?))
}

/// The model of that folder, with a new head where it has none that fits.
fn load(plan: &Plan, source: &Path) -> Result<Loaded, TrainError> {
    let request = LoadRequest {
        folder: source,
        labels: plan.classes(),
        arm: Some(plan.settings.arm),
        head: Some(&plan.settings.head),
        fresh_head: FreshHead::Allowed { seed: plan.settings.seed },
        dropout: plan.settings.dropout,
        device: &plan.device,
    };
    Ok(mmc_models::load_to_train(&request, plan.trained())?)
}

/// Says what became of each tensor of a checkpoint that someone else made, and what of the model
/// trains where that is not all.
pub(crate) fn tell(plan: &Plan, loaded: &Loaded, progress: &mut dyn FnMut(Progress<'_>)) {
    let trained = plan.trained();
    if let Some(warning) = shared::warning(plan) {
        progress(Progress::Warning(&warning));
    }
    if let CheckpointSource::Folder(path) = &plan.source {
        progress(Progress::Note(&format!("{}: {}", path.display(), loaded.report)));
        let active = active(loaded.model.as_ref());
        let is_drawn = |name: &&String| !active.iter().any(|parameter| parameter.name == **name);
        if trained == Trained::Head
            && let Some(name) = loaded.report.fresh.iter().find(is_drawn)
        {
            let warning = format!(
                "{}: it lacks `{name}`, which was drawn at random and stays so, since the backbone \
                 is frozen",
                path.display()
            );
            progress(Progress::Warning(&warning));
        }
    }
    if trained != Trained::Everything {
        let elements = |parameters: &[&Parameter]| {
            parameters.iter().map(|parameter| parameter.var.elem_count()).sum::<usize>()
        };
        let all: Vec<&Parameter> = loaded.model.parameters().iter().collect();
        let (part, all) = (elements(&active(loaded.model.as_ref())), elements(&all));
        progress(Progress::Note(&format!("{part} of {all} parameters train")));
    }
}

/// The parameters that learn, in the model's order.
pub(crate) fn active(model: &dyn Classifier) -> Vec<&Parameter> {
    model.parameters().iter().filter(|parameter| parameter.active).collect()
}

pub(crate) fn optimizer_settings(plan: &Plan) -> AdamWSettings {
    AdamWSettings::with_weight_decay(plan.settings.weight_decay)
        .with_layer_decay(plan.settings.layer_decay)
}

/// Puts the model and the optimiser where the newest usable state was, or at the beginning, and
/// cuts the records to what that state knows.
pub(crate) fn restore(
    plan: &Plan,
    folder: &RunFolder,
    model: &dyn Classifier,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(Counters, AdamW), TrainError> {
    let settings = optimizer_settings(plan);
    let frozen = checksum_of_frozen(model.parameters())?;
    place::recover(&folder.state(), &folder.checkpoint())?;
    let recorded = folder.steps()?.len() as u64;
    let usable = |state: &State| {
        state.fits(model.parameters(), &frozen)?;
        if recorded < state.counters.step {
            let path = folder.train_path();
            return Err(format!("{} has only {recorded} steps", path.display()));
        }
        let kept = plan.settings.keep == Keep::Best && state.counters.best.is_some();
        if kept && !folder.checkpoint().join(WEIGHTS).is_file() {
            return Err(format!("{} is gone", folder.checkpoint().display()));
        }
        Ok(())
    };
    let (state, warnings) = resume::newest(&folder.state(), usable)?;
    for warning in &warnings {
        progress(Progress::Warning(warning));
    }
    let (counters, optimizer) = match state {
        Some(state) => {
            let counters = state.counters.clone();
            let moments = state.restore(model.parameters())?;
            progress(Progress::Resumed { step: counters.step });
            let taken = counters.steps_taken();
            (counters, AdamW::restored(moments, taken, settings))
        }
        None => (Counters::default(), AdamW::new(&active(model), settings)?),
    };
    let counters = Counters { frozen: Some(frozen), ..counters };
    folder.truncate_after(counters.step)?;
    if counters.evaluation_due {
        folder.truncate_evaluations_after(counters.step.saturating_sub(1))?; // a kill may have left one
    }
    Ok((counters, optimizer))
}
