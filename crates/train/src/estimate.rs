//! What a run will take, from the model's sizes and the settings alone.

use mmc_models::{Classifier, Preset, Trained};
use mmc_run::{PartialSettings, Settings};

use crate::memory::{Memory, Workload};
use crate::objective::of_products;
use crate::rehearse::{Rehearsal, rehearse};
use crate::settings::{check_arm, check_head, preset_defaults};
use crate::variant::trained;
use crate::{Cut, StepPlan, TrainError};

/// The settings of a run of a model whose data nobody has named yet: what is asked for, else the
/// preset's. `dataset`, `data_root` and `checkpoint` are empty where they are not asked for.
///
/// # Errors
/// Values that cannot be, an arm or a head that the model does not have.
pub fn settings_without_data(
    preset: &Preset,
    asked: PartialSettings,
) -> Result<Settings, TrainError> {
    let open = PartialSettings {
        model: Some(preset.name.to_owned()),
        dataset: Some(String::new()),
        data_root: Some(String::new()),
        checkpoint: Some(String::new()),
        ..PartialSettings::default()
    };
    let settings = open.merge(preset_defaults(preset)).merge(asked).resolve()?;
    check_arm(preset, settings.arm)?;
    check_head(preset, &settings.head)?;
    Ok(settings)
}

/// The items that a run works through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// Items of the training split.
    pub train: usize,
    /// Items that are predicted after each epoch: the selection split.
    pub each_epoch: usize,
    /// Items that are predicted at the end: all splits that results are reported on.
    pub at_end: usize,
}

/// A run as it would be: every text as long as `max_length`, so that what it says is the most.
pub struct Estimate<'a> {
    model: &'a dyn Classifier,
    settings: Settings,
    text_tokens: usize,
    /// Height and width of every picture as the model reads it.
    picture: Option<(usize, usize)>,
}

impl<'a> Estimate<'a> {
    /// Of `model`, which may be an outline, trained as `settings` say. `aspect`: the longer side of
    /// pictures over the shorter, for models that keep their shape. Texts are as long as `max_length`,
    /// and no longer than the model has positions for.
    #[must_use]
    pub fn new(model: &'a dyn Classifier, settings: Settings, aspect: f64) -> Self {
        let picture = model.picture(aspect);
        let longest = model.states(settings.max_length, picture).longest_text;
        let limit = if longest > 0 { longest } else { usize::MAX };
        Self { model, text_tokens: settings.max_length.min(limit), settings, picture }
    }

    /// Tokens of every text.
    #[must_use]
    pub fn text_tokens(&self) -> usize {
        self.text_tokens
    }

    /// What the run is set to.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether all of the model trains. What is said of operations, memory and time is of that alone.
    #[must_use]
    pub fn trains_everything(&self) -> bool {
        trained(&self.settings) == Trained::Everything
    }

    /// The numbers in all parameters, and in those that train.
    #[must_use]
    pub fn parameters(&self) -> [usize; 2] {
        let count = |active: bool| {
            let all = self.model.parameters().iter();
            let counted = all.filter(|parameter| parameter.active || !active);
            counted.map(|parameter| parameter.var.elem_count()).sum()
        };
        [count(false), count(true)]
    }

    /// Operations of the forward of one sample, 2 a multiply-add.
    #[must_use]
    pub fn flops_per_sample(&self) -> f64 {
        let image =
            self.picture.map_or(0, |(height, width)| self.model.image_tokens(height, width));
        self.model.flops(self.text_tokens as f64, image as f64)
    }

    /// Operations of a step for each of its items: a forward pass, a backward pass of twice as many,
    /// and those of the layers that are computed again.
    #[must_use]
    pub fn training_flops_per_sample(&self) -> f64 {
        let encoders = self.model.states(self.text_tokens, self.picture).encoders;
        let again = self.settings.gradient_checkpointing.layers();
        let layers: usize = encoders.iter().map(|encoder| encoder.layers).sum();
        let again: usize = encoders.iter().map(|encoder| encoder.layers.min(again)).sum();
        self.flops_per_sample() * (3.0 + again as f64 / layers.max(1) as f64)
    }

    /// Operations of a full step.
    #[must_use]
    pub fn flops_per_step(&self) -> f64 {
        self.training_flops_per_sample() * self.settings.items_per_step() as f64
    }

    /// What it takes of memory on the CPU.
    #[must_use]
    pub fn memory(&self) -> Memory {
        Memory::of(self.model, &self.workload())
    }

    /// The same run in batches that fit into `limit` bytes: as it is where it fits, else with the
    /// largest batch that does, which divides the items of a step and is a shard of its own; `None`
    /// where one row does not fit.
    #[must_use]
    pub fn within(&self, limit: u64) -> Option<Settings> {
        if self.memory().peak_bytes() <= limit {
            return Some(self.settings.clone());
        }
        let items = self.settings.items_per_step();
        let fitting =
            (1..self.rows()).rev().filter(|&rows| items.is_multiple_of(rows)).map(|rows| {
                let (batch_size, grad_accumulation) = (rows, items / rows);
                Settings {
                    batch_size,
                    grad_accumulation,
                    shard_rows: rows,
                    ..self.settings.clone()
                }
            });
        fitting.into_iter().find(|settings| {
            let work = Workload { shard_rows: settings.shard_rows, ..self.workload() };
            Memory::of(self.model, &work).peak_bytes() <= limit
        })
    }

    /// Optimiser steps over so many training items.
    #[must_use]
    pub fn steps(&self, items: usize) -> u64 {
        let settings = &self.settings;
        let cut =
            Cut { items_per_step: settings.items_per_step(), shard_rows: settings.shard_rows };
        let order = mmc_preprocess::Order::File;
        match settings.max_steps {
            Some(steps) => StepPlan::of_steps(steps, items, cut, order).steps(),
            None => StepPlan::of_epochs(settings.epochs, items, cut, order).steps(),
        }
    }

    /// Operations of the whole run: its steps and its predictions.
    #[must_use]
    pub fn flops(&self, amount: &Amount) -> f64 {
        let settings = &self.settings;
        let trained = match settings.max_steps {
            Some(steps) => steps as f64 * settings.items_per_step() as f64,
            None => settings.epochs as f64 * amount.train as f64,
        };
        let epochs = (trained / amount.train.max(1) as f64).ceil();
        let predicted = epochs * amount.each_epoch as f64 + amount.at_end as f64;
        trained * self.training_flops_per_sample() + predicted * self.flops_per_sample()
    }

    /// Takes a few steps on made-up rows and times them: operations of training a second, and the
    /// process's high-water mark of memory. The model's parameters change.
    ///
    /// # Errors
    /// As [`rehearse`].
    pub fn rehearse(&self) -> Result<(f64, Rehearsal), TrainError> {
        let (work, items) = (self.workload(), self.settings.items_per_step());
        let measured = rehearse(self.model, &work, items, of_products(self.settings.precision))?;
        let seconds = measured.seconds_per_item.max(f64::MIN_POSITIVE);
        Ok((self.training_flops_per_sample() / seconds, measured))
    }

    /// Rows of the largest shard.
    fn rows(&self) -> usize {
        self.settings.shard_rows.min(self.settings.items_per_step())
    }

    fn workload(&self) -> Workload {
        let settings = &self.settings;
        Workload {
            text_tokens: self.text_tokens,
            picture: self.picture,
            shard_rows: self.rows(),
            recomputed_layers: settings.gradient_checkpointing.layers(),
            rounds_operands: of_products(settings.precision) != mmc_ops::Precision::F32,
            workers: settings.workers,
        }
    }
}
