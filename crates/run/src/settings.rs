//! What can be set about a run: as asked for ([`PartialSettings`]) and as it will be
//! ([`Settings`]), both made from one list of fields, which is also the table [`SETTINGS`].

use std::fmt::Write as _;
use std::path::Path;

use mmc_data::{AnswerSource, Arm, OnBadItem};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::choice::{
    Augment, ClassWeights, Freeze, GradientCheckpointing, Keep, LossScale, Pad, Precision, Schedule,
};
use crate::{RunError, toml_file};

/// What changing a setting can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It can change the figures of the run: a run cannot be resumed with another value.
    Result,
    /// It changes where things are, how fast they go or how often they are saved, and no figure.
    None,
}

/// A row of [`SETTINGS`].
#[derive(Clone, Copy, Debug)]
pub struct SettingInfo {
    /// The key in configuration files; with hyphens for underscores it is the flag.
    pub name: &'static str,
    /// What it is, a sentence.
    pub help: &'static str,
    /// What changing it can do.
    pub effect: Effect,
}

macro_rules! settings {
    ($($(#[doc = $help:literal])+ $name:ident: $given:ty => $resolved:ty, $effect:ident;)+) => {
        /// What a configuration file, the flags or a preset ask for: every field may be absent.
        ///
        /// Layers are put over one another with [`PartialSettings::merge`] and turned into
        /// [`Settings`] with [`PartialSettings::resolve`].
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct PartialSettings {
            $($(#[doc = $help])+ #[serde(skip_serializing_if = "Option::is_none")]
            pub $name: Option<$given>,)+
        }

        impl PartialSettings {
            /// These settings, with those of `over` in place of them wherever `over` has one.
            #[must_use]
            pub fn merge(self, over: Self) -> Self {
                Self { $($name: over.$name.or(self.$name),)+ }
            }

            /// The keys that are set here.
            #[must_use]
            pub fn keys(&self) -> Vec<&'static str> {
                let mut keys = Vec::new();
                $(if self.$name.is_some() { keys.push(stringify!($name)); })+
                keys
            }
        }

        /// What a run will do: every value that was open is decided.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct Settings {
            $($(#[doc = $help])+ pub $name: $resolved,)+
        }

        /// Every setting, in the order in which they are listed to users.
        pub const SETTINGS: &[SettingInfo] = &[
            $(SettingInfo {
                name: stringify!($name),
                help: concat!($($help),+),
                effect: Effect::$effect,
            },)+
        ];
    };
}

settings! {
    /// The model, a preset's name.
    model: String => String, Result;
    /// The data set.
    dataset: String => String, Result;
    /// The folder of the data set.
    data_root: String => String, None;
    /// Where the weights come from: a folder in Hugging Face layout, a hub id, or `none`.
    checkpoint: String => String, Result;
    /// What the model is shown: `both`, `text` or `image`.
    arm: Arm => Arm, Result;
    /// What turns the model's representation into logits: `linear`, `mlp` or `fused`.
    head: String => String, Result;
    /// Passes over the training split.
    epochs: u64 => u64, Result;
    /// Items in a batch.
    batch_size: usize => usize, Result;
    /// Batches in an optimiser step.
    grad_accumulation: usize => usize, Result;
    /// Rows that are computed together; a step is a sum over such shards.
    shard_rows: usize => usize, Result;
    /// Optimiser steps in all, in place of epochs.
    max_steps: u64 => Option<u64>, Result;
    /// Longest text in tokens, special ones included; longer ones are cut, and counted per split.
    max_length: usize => usize, Result;
    /// How far texts are padded: `longest` of the shard, or `max`. Models skip padding.
    pad: Pad => Pad, Result;
    /// Highest learning rate.
    learning_rate: f64 => f64, Result;
    /// Weight decay, decoupled; none on biases and norms.
    weight_decay: f64 => f64, Result;
    /// Part of the steps over which the learning rate rises from zero.
    warmup_ratio: f64 => f64, Result;
    /// How the learning rate falls: `linear`, `cosine` or `constant`.
    schedule: Schedule => Schedule, Result;
    /// Largest norm of the gradient; a longer one is scaled down to it.
    clip_norm: f64 => f64, Result;
    /// Every dropout of the model; absent: the checkpoint's own.
    dropout: f64 => Option<f64>, Result;
    /// What of the model stays as it is: `none` or `backbone`, all but the head.
    freeze: Freeze => Freeze, Result;
    /// Rank of LoRA's changes of the attention's query and value maps; absent: no LoRA.
    lora_rank: usize => Option<usize>, Result;
    /// LoRA's changes are multiplied by this over the rank.
    lora_alpha: f64 => Option<f64>, Result;
    /// What the learning rate is multiplied by from one layer to the one below.
    layer_decay: f64 => f64, Result;
    /// Type of matrix products in training: `bf16` or `f16`; absent: f32.
    precision: Precision => Option<Precision>, Result;
    /// What the loss is multiplied by before the backward pass: `dynamic` or a number.
    loss_scale: LossScale => Option<LossScale>, Result;
    /// Layers of each encoder that are computed again in the backward pass: `true`, all, or a number.
    gradient_checkpointing: GradientCheckpointing => GradientCheckpointing, None;
    /// How training pictures are changed at random: `light`, or `light-flip`, mirrored too; absent: not.
    augment: Augment => Option<Augment>, Result;
    /// Part of the target that is spread over all classes.
    label_smoothing: f64 => f64, Result;
    /// How classes weigh in the loss: `none` or `balanced`.
    class_weights: ClassWeights => ClassWeights, Result;
    /// Evaluations without improvement after which training ends.
    early_stopping: u64 => Option<u64>, Result;
    /// Seed of initial weights, order and dropout.
    seed: u64 => u64, Result;
    /// Which state is kept as the checkpoint: `best` or `last`.
    keep: Keep => Keep, Result;
    /// Keep the file's order of items in every epoch.
    no_shuffle: bool => bool, Result;
    /// Leave the test split unread, as the trials of a search do: no predictions and no scores of it.
    no_test: bool => bool, Result;
    /// What to do with an item that cannot be used: `error` or `skip`.
    on_bad_item: OnBadItem => OnBadItem, Result;
    /// Where the answers to questions come from: `train` or `train+val`; absent: the checkpoint's own,
    /// else `train`.
    answers: AnswerSource => Option<AnswerSource>, Result;
    /// The classes in order, in place of the data set's.
    labels: Vec<String> => Option<Vec<String>>, Result;
    /// The positive class of two, in place of the second.
    positive: String => Option<String>, Result;
    /// The column of ids.
    id_column: String => Option<String>, Result;
    /// The column of texts.
    text_column: String => Option<String>, Result;
    /// The column of pictures.
    image_column: String => Option<String>, Result;
    /// The column of labels.
    label_column: String => Option<String>, Result;
    /// Decode JPEG files of at least twice the size that is needed to fewer pixels: faster, less exact.
    jpeg_scaling: bool => bool, Result;
    /// The folder in which decoded pictures are kept for later epochs and runs; absent: none.
    picture_cache: String => Option<String>, None;
    /// The most that folder may take, whoever writes to it, in GiB.
    picture_cache_gib: u64 => u64, None;
    /// Threads that prepare batches beside the one that trains.
    workers: usize => usize, None;
    /// Optimiser steps between two saved states; absent: the end of each epoch.
    save_every: u64 => Option<u64>, None;
    /// Saved states that are kept.
    keep_states: usize => usize, None;
}

/// A setting that two sides have different values of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The setting.
    pub name: String,
    /// The first side's value, as in JSON.
    pub ours: String,
    /// The second side's.
    pub theirs: String,
}

/// The most that pictures on disk take unless told otherwise, in GiB.
pub const PICTURE_CACHE_GIB: u64 = 20;

impl PartialSettings {
    /// Reads a configuration file: flat TOML of the keys of [`SETTINGS`]. The `config.toml` of a
    /// run can be read too; what it records beside the settings is passed over.
    ///
    /// # Errors
    /// [`RunError::Io`], or [`RunError::Config`] with every mistake in the file: syntax, type or
    /// unknown key, each with line, column and the key that was probably meant.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let text = std::fs::read_to_string(path).map_err(RunError::io(path))?;
        toml_file::parse(&text, path, &|table| match table {
            "" => SETTINGS
                .iter()
                .map(|row| row.name)
                .chain(["versions", "data", "language"])
                .collect(),
            _ => Vec::new(),
        })
    }

    /// The settings of a run: what is absent here gets the default of the training semantics.
    ///
    /// # Errors
    /// [`RunError::Settings`] with everything that is absent and has no default (`model`,
    /// `dataset`, `data_root`, `checkpoint`, `arm`, `head`, `max_length`: the preset and the data set
    /// know them) and every value that cannot be.
    pub fn resolve(self) -> Result<Settings, RunError> {
        let mut problems = Vec::new();
        let keep = if self.max_steps.is_some() { Keep::Last } else { Keep::Best };
        let settings = Settings {
            model: required(self.model, "model", &mut problems),
            dataset: required(self.dataset, "dataset", &mut problems),
            data_root: required(self.data_root, "data_root", &mut problems),
            checkpoint: required(self.checkpoint, "checkpoint", &mut problems),
            arm: required(self.arm, "arm", &mut problems),
            head: required(self.head, "head", &mut problems),
            epochs: self.epochs.unwrap_or(10),
            batch_size: self.batch_size.unwrap_or(16),
            grad_accumulation: self.grad_accumulation.unwrap_or(1),
            shard_rows: self.shard_rows.unwrap_or(8),
            max_steps: self.max_steps,
            max_length: required(self.max_length, "max_length", &mut problems),
            pad: self.pad.unwrap_or_default(),
            learning_rate: self.learning_rate.unwrap_or(2e-5),
            weight_decay: self.weight_decay.unwrap_or(0.01),
            warmup_ratio: self.warmup_ratio.unwrap_or(0.0),
            schedule: self.schedule.unwrap_or_default(),
            clip_norm: self.clip_norm.unwrap_or(1.0),
            dropout: self.dropout,
            freeze: self.freeze.unwrap_or_default(),
            lora_rank: self.lora_rank,
            // A change then counts the same at every rank.
            lora_alpha: self.lora_alpha.or(self.lora_rank.map(|rank| 2.0 * rank.max(1) as f64)),
            layer_decay: self.layer_decay.unwrap_or(1.0),
            precision: self.precision.filter(|&precision| precision != Precision::F32),
            // Gradients that are no more than 2⁻²⁴ are 0 in f16.
            loss_scale: self.loss_scale.or(match self.precision {
                Some(Precision::F16) => Some(LossScale::Dynamic),
                _ => None,
            }),
            gradient_checkpointing: self.gradient_checkpointing.unwrap_or_default(),
            augment: self.augment.filter(|&augment| augment != Augment::None),
            label_smoothing: self.label_smoothing.unwrap_or(0.0),
            class_weights: self.class_weights.unwrap_or_default(),
            early_stopping: self.early_stopping,
            seed: self.seed.unwrap_or(0),
            keep: self.keep.unwrap_or(keep),
            no_shuffle: self.no_shuffle.unwrap_or(false),
            no_test: self.no_test.unwrap_or(false),
            on_bad_item: self.on_bad_item.unwrap_or_default(),
            answers: self.answers,
            labels: self.labels,
            positive: self.positive,
            id_column: self.id_column,
            text_column: self.text_column,
            image_column: self.image_column,
            label_column: self.label_column,
            jpeg_scaling: self.jpeg_scaling.unwrap_or(false),
            picture_cache: self.picture_cache,
            picture_cache_gib: self.picture_cache_gib.unwrap_or(PICTURE_CACHE_GIB),
            workers: self.workers.unwrap_or(2),
            save_every: self.save_every,
            keep_states: self.keep_states.unwrap_or(2), // a damaged one has one before it,
        };
        if problems.is_empty() {
            problems = settings.impossible();
        }
        if problems.is_empty() { Ok(settings) } else { Err(RunError::Settings { problems }) }
    }
}

impl Settings {
    /// Whether the items are shuffled anew in each epoch.
    #[must_use]
    pub fn shuffles(&self) -> bool {
        !self.no_shuffle
    }

    /// Items of a full optimiser step: batch × accumulation.
    #[must_use]
    pub fn items_per_step(&self) -> usize {
        self.batch_size.saturating_mul(self.grad_accumulation)
    }

    /// The settings that can change a figure of the run and differ from those of `other`.
    ///
    /// # Errors
    /// [`RunError::Settings`] where a value cannot be written down (a number that is not finite).
    pub fn differences(&self, other: &Self) -> Result<Vec<Difference>, RunError> {
        let (ours, theirs) = (self.result_values()?, other.result_values()?);
        let differences = ours.into_iter().zip(theirs).filter(|(ours, theirs)| ours != theirs);
        Ok(differences
            .map(|((name, ours), (_, theirs))| Difference { name: name.to_owned(), ours, theirs })
            .collect())
    }

    /// Hex SHA-256 over the settings that can change a figure of the run: equal hashes, equal
    /// runs (on equal data).
    ///
    /// # Errors
    /// As [`Settings::differences`].
    pub fn hash(&self) -> Result<String, RunError> {
        let mut hasher = Sha256::new();
        for (name, value) in self.result_values()? {
            hasher.update(format!("{name}={value}\n"));
        }
        let mut hex = String::new();
        for byte in hasher.finalize() {
            write!(hex, "{byte:02x}")
                .map_err(|error| RunError::Settings { problems: vec![error.to_string()] })?;
        }
        Ok(hex)
    }

    /// The settings that can change the result, with their values as JSON, in table order.
    fn result_values(&self) -> Result<Vec<(&'static str, String)>, RunError> {
        let value = serde_json::to_value(self)
            .map_err(|error| RunError::Settings { problems: vec![error.to_string()] })?;
        let of_result = SETTINGS.iter().filter(|row| row.effect == Effect::Result);
        Ok(of_result.map(|row| (row.name, value[row.name].to_string())).collect())
    }
}

/// `value`, or a stand-in and a line in `problems`, which keeps the stand-in from being used.
fn required<T: Default>(value: Option<T>, name: &str, problems: &mut Vec<String>) -> T {
    if value.is_none() {
        let flag = name.replace('_', "-");
        problems.push(format!("`{name}` is not set; give `--{flag}` or set it in the config file"));
    }
    value.unwrap_or_default()
}

mod limits;
#[cfg(test)]
mod tests;
