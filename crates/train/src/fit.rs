//! The loop.

mod evaluation;
mod frozen;
mod tally;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use mmc_models::Loaded;
use mmc_ops::Gradients;
use mmc_preprocess::Processor;
use mmc_run::{EventLog, RunFolder, StepRecord};
use tracing::debug_span;

use crate::adders::Adders;
use crate::feed::Feed;
use crate::finish::Trainees;
use crate::loss_scale::LossScaler;
use crate::moved::Moment;
use crate::plan::StepPlan;
use crate::predict::skipped_warning;
use crate::ranks::{Next, check_source, check_weights, share_folder, share_state};
use crate::represented::Represented;
use crate::resume::Counters;
use crate::side_by_side::side_by_side;
use crate::start::Start;
use crate::step::{StepOutcome, Stepper};
use crate::watched::Watched;
use crate::{Outcome, Plan, Progress, TrainError, cost, device, finish, resume, start};

/// Trains what `plan` says in `folder`, or goes on where an earlier sitting ended, and writes
/// every file of the run. `progress` is told what happens; a set `interrupt` ends the sitting
/// after the step in hand, with its state saved. An evaluation, or predictions at the end, it stops after
/// the forward in hand; the next sitting makes them from their beginning.
///
/// A process that is killed at any moment leaves a folder in which `train` goes on to the same
/// bytes as if nothing had happened.
///
/// Where the plan is shared ([`Plan::among`]), every rank calls this, and an interrupt at any of them
/// ends the sitting of all. Rank 0 has the run's folder. The others read nothing of it; each is given
/// one that is empty and its own, to be thrown away. Who gets an error, or panics, must end the other
/// ranks ([`Session::stop_all`](crate::Session::stop_all)): they wait for this one.
///
/// # Errors
/// A folder that holds another run ([`TrainError::Differs`]), or in which another process is at
/// work; an item, a tensor or a file that
/// cannot be used; a loss or gradient that is not finite. States saved before are kept.
pub fn train(
    plan: &Plan,
    folder: &RunFolder,
    interrupt: &AtomicBool,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Outcome, TrainError> {
    if plan.beside.is_empty() {
        return fit(plan, folder, interrupt, progress);
    }
    side_by_side(plan, folder, progress, |plan, folder, progress| {
        fit(plan, folder, interrupt, progress)
    })
}

/// The same on one device, or on those of the CPU.
fn fit(
    plan: &Plan,
    folder: &RunFolder,
    interrupt: &AtomicBool,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Outcome, TrainError> {
    let started = Instant::now();
    let _span = debug_span!("run", folder = %folder.root().display()).entered();
    let lock = start::lock(folder, progress)?;
    let admitted = start::admit(plan, folder, progress)?;
    if plan.ranks.any(admitted == start::Admitted::Complete)? {
        return Ok(Outcome::AlreadyComplete);
    }
    let Start { source, processor, loaded } = start::start(plan, folder, progress)?;
    check_source(&plan.ranks, &source)?;
    start::tell(plan, &loaded, progress);
    let begun = Moment::of(&start::active(loaded.model.as_ref()))?;
    let ended = {
        let mut run = Run::new(plan, folder, (&source, &loaded), &processor, progress)?;
        run.started = started;
        if run.represent(interrupt)? == Sitting::Interrupted
            || run.make_up(interrupt)? == Sitting::Interrupted
        {
            return Ok(Outcome::Interrupted { step: run.counters.step });
        }
        while run.goes_on() {
            if run.epoch(interrupt)? == Sitting::Interrupted {
                return Ok(Outcome::Interrupted { step: run.counters.step });
            }
        }
        run.keep_last()?;
        (run.counters_now(), Trainees::of(&run.stepper.parameters, &begun)?)
    };
    drop(loaded); // what follows reads the checkpoint that was written
    share_folder(&plan.ranks, &folder.checkpoint())?;
    let stopped = Outcome::Interrupted { step: ended.0.step };
    let watched = &mut Watched { ranks: &plan.ranks, interrupt, progress };
    if !plan.ranks.is_first() {
        let helped = finish::help(plan, folder, &processor, watched)?;
        return Ok(if helped == Next::Stops { stopped } else { Outcome::Shared });
    }
    let finished = finish::finish(plan, folder, &processor, ended, watched)?;
    drop(lock);
    Ok(finished.map_or(stopped, |finished| Outcome::Finished(Box::new(finished))))
}

/// A run in one sitting.
struct Run<'a> {
    plan: &'a Plan,
    folder: &'a RunFolder,
    /// The folder whose files beside the weights go into the checkpoint.
    source: &'a Path,
    loaded: &'a Loaded,
    processor: &'a Arc<Processor>,
    steps: StepPlan,
    stepper: Stepper<'a>,
    /// The training and the selection split before the head, where the backbone is frozen and they are
    /// needed.
    represented_train: Option<Arc<Represented>>,
    represented_selection: Option<Represented>,
    /// As of the last step; its time and memory as of the beginning of this sitting.
    counters: Counters,
    /// The last step whose state was saved, 0 for none: rank 0 has it.
    saved: u64,
    started: Instant,
    pace: Pace,
    /// What comes after the epoch that has ended.
    next_epoch: Option<Epoch>,
    /// `tensorboard/`.
    events: EventLog,
    progress: &'a mut dyn FnMut(Progress<'_>),
}

/// An epoch, or what is left of it.
struct Epoch {
    /// The shards of each step, of all ranks.
    steps: Vec<Vec<Vec<usize>>>,
    feed: Feed,
}

/// The steps of this sitting and their seconds.
#[derive(Default)]
struct Pace {
    steps: u64,
    seconds: f64,
}

/// Whether a sitting goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sitting {
    GoesOn,
    Interrupted,
}

impl<'a> Run<'a> {
    fn new(
        plan: &'a Plan,
        folder: &'a RunFolder,
        (source, loaded): (&'a Path, &'a Loaded),
        processor: &'a Arc<Processor>,
        progress: &'a mut dyn FnMut(Progress<'_>),
    ) -> Result<Self, TrainError> {
        let model = loaded.model.as_ref();
        let restored = start::restore(plan, folder, model, progress)?;
        let parameters = start::active(model);
        let (counters, optimizer) = share_state(plan, &parameters, restored)?;
        check_weights(&plan.ranks, &model.parameters().iter().collect::<Vec<_>>(), counters.step)?;
        let adders = Adders::of(plan)?;
        adders.tell(plan, progress);
        let stepper = Stepper {
            model,
            gradients: Gradients::of(parameters.iter().map(|one| one.var.as_tensor())),
            parameters,
            objective: plan.objective()?,
            schedule: plan.schedule(),
            clip_norm: plan.settings.clip_norm,
            seed: plan.settings.seed,
            optimizer,
            precision: plan.precision(),
            recomputed_layers: plan.settings.gradient_checkpointing.layers(),
            scaler: counters.loss_scaler.or_else(|| plan.settings.loss_scale.map(LossScaler::new)),
            adders,
        };
        let (steps, started, pace) = (plan.steps(), Instant::now(), Pace::default());
        Ok(Self {
            plan,
            folder,
            source,
            loaded,
            processor,
            steps,
            stepper,
            represented_train: None,
            represented_selection: None,
            saved: counters.step,
            counters,
            started,
            pace,
            next_epoch: None,
            events: EventLog::begin(folder)?,
            progress,
        })
    }

    /// Whether there is a step left to take.
    fn goes_on(&self) -> bool {
        let patience = self.plan.settings.early_stopping;
        let patient = patience.is_none_or(|patience| self.counters.since_best < patience);
        self.counters.step < self.steps.steps() && patient
    }

    /// Takes the steps that are left of an epoch; evaluates and saves as they fall due.
    fn epoch(&mut self, interrupt: &AtomicBool) -> Result<Sitting, TrainError> {
        let _span =
            debug_span!("epoch", epoch = self.steps.epoch(self.counters.step + 1)).entered();
        let begun = self.next_epoch.take();
        let Epoch { steps, mut feed } = begun.map_or_else(|| self.begin_epoch(), Ok)?;
        for shards in &steps {
            self.step(shards, &mut feed)?;
            let step = self.counters.step;
            let ends_epoch = self.steps.ends_epoch(step);
            if ends_epoch || self.pace.steps == 1 {
                check_weights(&self.plan.ranks, &self.stepper.parameters, step)?;
            }
            if ends_epoch {
                // Its first batches are prepared while this one is evaluated and saved.
                self.next_epoch = Some(self.begin_epoch()?);
                self.evaluate(interrupt)?;
            }
            let due = match self.plan.settings.save_every {
                Some(every) => step.is_multiple_of(every) || !self.goes_on(),
                None => ends_epoch,
            };
            if self.save(due, interrupt)? == Sitting::Interrupted {
                return Ok(Sitting::Interrupted);
            }
        }
        let train = &self.plan.train;
        let skipped = self.skipped(&feed)?;
        if let Some(warning) = skipped_warning(train.name.as_str(), &skipped, train.len()) {
            (self.progress)(Progress::Warning(&warning));
        }
        for warning in self.processor.warnings() {
            (self.progress)(Progress::Warning(&warning));
        }
        Ok(Sitting::GoesOn)
    }

    /// Ids of the items that this epoch has left out, at any rank.
    fn skipped(&self, feed: &Feed) -> Result<Vec<String>, TrainError> {
        let own = feed.skipped().to_vec();
        if self.represented_train.is_some() {
            return Ok(own); // every rank has seen all
        }
        Ok(self.plan.ranks.gather(&own)?.concat())
    }

    /// The steps that are left of the epoch of the next step, none after the last, and this rank's batches
    /// for them, which are prepared from now on.
    fn begin_epoch(&self) -> Result<Epoch, TrainError> {
        let next = self.counters.step + 1;
        let (share, steps) = (self.plan.ranks.share(), self.steps.rest_of_epoch(next));
        let feed = if let Some(train) = &self.represented_train {
            Feed::Represented(Arc::clone(train), share)
        } else {
            let own = steps.iter().flat_map(|shards| share.own(shards)).cloned().collect();
            Feed::prepared(self.plan, self.processor, self.steps.epoch(next), own)?
        };
        Ok(Epoch { steps, feed })
    }

    /// Takes the next step and records it.
    fn step(&mut self, shards: &[Vec<usize>], feed: &mut Feed) -> Result<(), TrainError> {
        let step = self.counters.step + 1;
        let _span = debug_span!("step", step).entered();
        if self.pace.steps == 0 {
            self.announce(step);
        }
        let (begun, waited) = (Instant::now(), feed.wait_seconds());
        let loss_scale = self.stepper.scaler.map(|scaler| scaler.scale);
        let outcome = self
            .stepper
            .step(step, feed.step(shards))
            .map_err(|error| error.with_saved(|| (self.saved > 0).then_some(self.saved)))?;
        let StepOutcome { loss, grad_norm, learning_rate, items, .. } = outcome;
        let seconds = begun.elapsed().as_secs_f64();
        let record = StepRecord {
            step,
            epoch: self.steps.epoch(step),
            loss,
            learning_rate,
            grad_norm,
            learning_rates: self.stepper.learning_rates(learning_rate),
            grad_norms: outcome.grad_norms.clone(),
            samples_per_second: items as f64 / seconds.max(f64::MIN_POSITIVE),
            items: (items < shards.iter().map(Vec::len).sum()).then_some(items),
            loader_wait_seconds: feed.wait_seconds() - waited,
            loss_scale,
            skipped: self.stepper.scaler.map(|scaler| scaler.skipped),
        };
        self.folder.append_step(&record)?;
        self.events.step(&record)?;
        self.counters.step = step;
        self.counters.loss_scaler = self.stepper.scaler;
        self.count(&outcome, shards)?;
        self.pace.steps += 1;
        self.pace.seconds += seconds;
        let steps = self.steps.steps();
        let seconds_left = self.pace.seconds / self.pace.steps as f64 * (steps - step) as f64;
        (self.progress)(Progress::Step { record: &record, steps, seconds_left });
        Ok(())
    }

    /// The counters with the time and memory of this sitting.
    fn counters_now(&self) -> Counters {
        let memory = cost::peak_memory_bytes();
        let device_memory = device::peak_device_memory_bytes(self.plan.opened());
        Counters {
            seconds: self.counters.seconds + self.started.elapsed().as_secs_f64(),
            peak_memory_bytes: self.counters.peak_memory_bytes.max(memory),
            peak_device_memory_bytes: self.counters.peak_device_memory_bytes.max(device_memory),
            ..self.counters.clone()
        }
    }

    /// Saves the state if that is due, or if the sitting is interrupted, at whichever rank.
    fn save(&mut self, due: bool, interrupt: &AtomicBool) -> Result<Sitting, TrainError> {
        let interrupted = self.plan.ranks.any(interrupt.load(Ordering::Relaxed))?;
        if due || interrupted {
            self.save_state()?;
        }
        if interrupted {
            self.plan.ranks.any(true)?; // nobody leaves before the state is whole
            return Ok(Sitting::Interrupted);
        }
        Ok(Sitting::GoesOn)
    }

    /// Saves the state after the last step, at rank 0; records reach the disk before it.
    fn save_state(&mut self) -> Result<(), TrainError> {
        if !self.plan.ranks.is_first() {
            self.saved = self.counters.step;
            return Ok(());
        }
        let _span = debug_span!("save state", step = self.counters.step).entered();
        for path in [self.folder.train_path(), self.folder.eval_path()] {
            if path.is_file() {
                resume::sync(&path)?;
            }
        }
        let names = self.stepper.parameters.iter().map(|parameter| parameter.name.as_str());
        let moments: Vec<_> = names.zip(self.stepper.optimizer.moments()).collect();
        let parameters = self.loaded.model.parameters();
        let keep = self.plan.settings.keep_states;
        resume::save(&self.folder.state(), parameters, &moments, &self.counters_now(), keep)?;
        self.saved = self.counters.step;
        (self.progress)(Progress::Saved { step: self.saved });
        Ok(())
    }
}
