//! The settings of a run as flags: each has a twin of the same name in a config file.

use std::str::FromStr;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use mmc_data::{AnswerSource, Arm, DATASETS, OnBadItem};
use mmc_models::CATALOG;
use mmc_run::{
    Augment, ClassWeights, Freeze, GradientCheckpointing, Keep, LossScale, Pad, PartialSettings,
    Precision, Schedule,
};

/// What may be said about a run; whatever is absent comes from `--config`, else from the preset.
#[derive(Args, Debug, Default)]
pub(crate) struct SettingFlags {
    /// The model; those called -tiny need no weights
    #[arg(long, value_name = "NAME", help_heading = "What is trained")]
    #[arg(value_parser = PossibleValuesParser::new(CATALOG.iter().map(|row| row.name)))]
    pub(crate) model: Option<String>,
    /// Where its weights are: a folder in Hugging Face layout, or `none` to start from scratch
    /// [default: $MMC_MODELS/NAME, else models/NAME, else the Hugging Face cache; `none` for a tiny model]
    #[arg(long, value_name = "DIR|HUB_ID|none", help_heading = "What is trained")]
    pub(crate) checkpoint: Option<String>,
    /// What the model sees [default: all it can]
    #[arg(long, value_name = "ARM", help_heading = "What is trained")]
    #[arg(value_parser = one_of::<Arm>(&["both", "text", "image"]))]
    pub(crate) arm: Option<Arm>,
    /// What turns the model's representation into logits [default: the model's first]
    #[arg(long, value_name = "HEAD", help_heading = "What is trained")]
    #[arg(value_parser = ["linear", "mlp", "fused"])]
    pub(crate) head: Option<String>,
    /// The dropout of all layers [default: the checkpoint's own]
    #[arg(long, value_name = "X", help_heading = "What is trained")]
    pub(crate) dropout: Option<f64>,
    /// Train the head alone, on what the backbone makes of the rows, computed once [default: none]
    #[arg(long, value_name = "PART", help_heading = "What is trained")]
    #[arg(value_parser = one_of::<Freeze>(Freeze::WORDS))]
    pub(crate) freeze: Option<Freeze>,
    /// Train the head and, by LoRA, changes of rank N of the attention's query and value maps;
    /// checkpoint/adapter/ is theirs, for peft
    #[arg(long, value_name = "N", help_heading = "What is trained")]
    pub(crate) lora_rank: Option<usize>,
    /// Multiply LoRA's changes by X / rank [default: 2 × rank]
    #[arg(long, value_name = "X", help_heading = "What is trained")]
    pub(crate) lora_alpha: Option<f64>,

    /// The data set; `mmc data info` says what they are
    #[arg(long, value_name = "NAME", help_heading = "On what")]
    #[arg(value_parser = PossibleValuesParser::new(DATASETS.iter().map(|row| row.name)))]
    pub(crate) dataset: Option<String>,
    /// The data set's folder, or a .zip or .tar of it [default: $MMC_DATA/NAME, else data/NAME]
    #[arg(long, value_name = "DIR", help_heading = "On what")]
    pub(crate) data_root: Option<String>,
    /// The answers that can be given: the frequent ones of train, or of train and val
    /// [default: the checkpoint's own, else train]
    #[arg(long, value_name = "FROM", help_heading = "On what")]
    #[arg(value_parser = one_of::<AnswerSource>(AnswerSource::WORDS))]
    pub(crate) answers: Option<AnswerSource>,
    /// The classes and their order [default: the data set's own]
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', help_heading = "On what")]
    pub(crate) labels: Option<Vec<String>>,
    /// The positive class of a binary task [default: the second]
    #[arg(long, value_name = "NAME", help_heading = "On what")]
    pub(crate) positive: Option<String>,
    /// A table's column of texts [default: text]
    #[arg(long, value_name = "C", help_heading = "On what")]
    pub(crate) text_column: Option<String>,
    /// A table's column of pictures: paths, or bytes in Parquet [default: image]
    #[arg(long, value_name = "C", help_heading = "On what")]
    pub(crate) image_column: Option<String>,
    /// A table's column of labels [default: label]
    #[arg(long, value_name = "C", help_heading = "On what")]
    pub(crate) label_column: Option<String>,
    /// A table's column of ids [default: id]
    #[arg(long, value_name = "C", help_heading = "On what")]
    pub(crate) id_column: Option<String>,
    /// Stop at a row whose picture is unreadable, or skip it and count [default: error]
    #[arg(long, value_name = "WAY", help_heading = "On what")]
    #[arg(value_parser = one_of::<OnBadItem>(&["error", "skip"]))]
    pub(crate) on_bad_item: Option<OnBadItem>,
    /// Cut texts to N tokens, specials included [default: the preset's]
    #[arg(long, value_name = "N", help_heading = "On what")]
    pub(crate) max_length: Option<usize>,
    /// Write texts as long as the longest of the shard, or as --max-length; padding is skipped, so
    /// results and time on the CPU are the same [default: longest]
    #[arg(long, value_name = "WAY", help_heading = "On what")]
    #[arg(value_parser = one_of::<Pad>(Pad::WORDS))]
    pub(crate) pad: Option<Pad>,

    /// How often the training rows are seen [default: the preset's]
    #[arg(long, value_name = "N", help_heading = "How")]
    pub(crate) epochs: Option<u64>,
    /// Take exactly N optimiser steps instead of --epochs
    #[arg(long, value_name = "N", help_heading = "How")]
    pub(crate) max_steps: Option<u64>,
    /// Rows a batch [default: the preset's]
    #[arg(long, value_name = "N", help_heading = "How")]
    pub(crate) batch_size: Option<usize>,
    /// Batches an optimiser step [default: 1]
    #[arg(long, value_name = "N", help_heading = "How")]
    pub(crate) grad_accumulation: Option<usize>,
    /// Rows a forward pass [default: 8]; bounds the memory, changes rounding only
    #[arg(long, value_name = "N", help_heading = "How")]
    pub(crate) shard_rows: Option<usize>,
    /// The peak learning rate [default: the preset's]
    #[arg(long, value_name = "X", help_heading = "How")]
    pub(crate) learning_rate: Option<f64>,
    /// Multiply the rate by X from each layer to the one below [default: 1]
    #[arg(long, value_name = "X", help_heading = "How")]
    pub(crate) layer_decay: Option<f64>,
    /// AdamW's weight decay, none on biases and norms [default: the preset's]
    #[arg(long, value_name = "X", help_heading = "How")]
    pub(crate) weight_decay: Option<f64>,
    /// The share of the steps in which the rate rises from 0 [default: the preset's]
    #[arg(long, value_name = "X", help_heading = "How")]
    pub(crate) warmup_ratio: Option<f64>,
    /// How the rate falls after that [default: linear]
    #[arg(long, value_name = "SHAPE", help_heading = "How")]
    #[arg(value_parser = one_of::<Schedule>(Schedule::WORDS))]
    pub(crate) schedule: Option<Schedule>,
    /// Scale gradients down to this norm [default: 1]
    #[arg(long, value_name = "X", help_heading = "How")]
    pub(crate) clip_norm: Option<f64>,
    /// Round what is multiplied in matrix products to this type in training; all else stays f32. It
    /// saves time on CUDA devices only [default: f32]
    #[arg(long, value_name = "TYPE", help_heading = "How")]
    #[arg(value_parser = one_of::<Precision>(Precision::WORDS))]
    pub(crate) precision: Option<Precision>,
    /// Multiply the loss by X before the backward pass [default: dynamic with f16, else none]
    #[arg(long, value_name = "X|dynamic", help_heading = "How")]
    pub(crate) loss_scale: Option<LossScale>,
    /// Keep of each layer its input alone and compute it again in the backward pass: less memory for
    /// about a third more time, and the same bits; LAYERS: only the first so many of each encoder
    #[arg(long, value_name = "LAYERS", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "all", help_heading = "How")]
    pub(crate) gradient_checkpointing: Option<GradientCheckpointing>,
    /// Change training pictures at random, anew in every epoch: light, a piece of at least 0.8 of the
    /// area and colours up to a fifth off; light-flip, half of them mirrored too, which no meme's text
    /// bears [default: none]
    #[arg(long, value_name = "WAY", help_heading = "How")]
    #[arg(value_parser = one_of::<Augment>(Augment::WORDS))]
    pub(crate) augment: Option<Augment>,
    /// Take this share of each target from its class and spread it [default: 0]
    #[arg(long, value_name = "X", help_heading = "How")]
    pub(crate) label_smoothing: Option<f64>,
    /// Weigh classes by their rarity in train [default: none]
    #[arg(long, value_name = "WAY", help_heading = "How")]
    #[arg(value_parser = one_of::<ClassWeights>(ClassWeights::WORDS))]
    pub(crate) class_weights: Option<ClassWeights>,
    /// Stop after N evaluations without a better selection score
    #[arg(long, value_name = "N", help_heading = "How")]
    pub(crate) early_stopping: Option<u64>,
    /// The seed of everything random [default: 0]
    #[arg(long, value_name = "N", help_heading = "How")]
    #[arg(value_parser = seed)]
    pub(crate) seed: Option<u64>,
    /// Take the rows in the file's order
    #[arg(long, help_heading = "How")]
    pub(crate) no_shuffle: bool,
    /// Leave the test split unread, as the trials of a search do
    #[arg(long, help_heading = "How")]
    pub(crate) no_test: bool,

    /// Decode JPEG files of at least twice the size that the model sees to fewer pixels: faster, and not
    /// quite exact; checkpoint/ remembers it
    #[arg(long, help_heading = "On what")]
    pub(crate) jpeg_scaling: bool,
    /// Keep decoded pictures in this folder, for later epochs and other runs; delete it to empty it
    #[arg(long, value_name = "DIR", help_heading = "Running")]
    pub(crate) picture_cache: Option<String>,
    /// The most that folder may take, whoever writes to it [default: 20]
    #[arg(long, value_name = "N", help_heading = "Running")]
    pub(crate) picture_cache_gib: Option<u64>,
    /// Threads that read and prepare samples [default: 2]
    #[arg(long, value_name = "N", help_heading = "Running")]
    pub(crate) workers: Option<usize>,
    /// Save the state for --resume every so many steps [default: at the end of each epoch]
    #[arg(long, value_name = "STEPS", help_heading = "Running")]
    pub(crate) save_every: Option<u64>,
    /// Keep the newest K states [default: 2]
    #[arg(long, value_name = "K", help_heading = "Running")]
    pub(crate) keep_states: Option<usize>,
    /// Which weights checkpoint/ holds [default: best; last with --max-steps]
    #[arg(long, value_name = "WHICH", help_heading = "Running")]
    #[arg(value_parser = one_of::<Keep>(Keep::WORDS))]
    pub(crate) keep: Option<Keep>,
}

impl SettingFlags {
    /// The flags as a layer of settings. Every setting is named here, so one without a flag does
    /// not compile.
    pub(crate) fn into_settings(self) -> PartialSettings {
        PartialSettings {
            model: self.model,
            checkpoint: self.checkpoint,
            arm: self.arm,
            head: self.head,
            dropout: self.dropout,
            freeze: self.freeze,
            lora_rank: self.lora_rank,
            lora_alpha: self.lora_alpha,
            dataset: self.dataset,
            data_root: self.data_root,
            answers: self.answers,
            labels: self.labels,
            positive: self.positive,
            text_column: self.text_column,
            image_column: self.image_column,
            label_column: self.label_column,
            id_column: self.id_column,
            on_bad_item: self.on_bad_item,
            max_length: self.max_length,
            pad: self.pad,
            epochs: self.epochs,
            max_steps: self.max_steps,
            batch_size: self.batch_size,
            grad_accumulation: self.grad_accumulation,
            shard_rows: self.shard_rows,
            learning_rate: self.learning_rate,
            layer_decay: self.layer_decay,
            weight_decay: self.weight_decay,
            warmup_ratio: self.warmup_ratio,
            schedule: self.schedule,
            clip_norm: self.clip_norm,
            precision: self.precision,
            loss_scale: self.loss_scale,
            gradient_checkpointing: self.gradient_checkpointing,
            augment: self.augment,
            label_smoothing: self.label_smoothing,
            class_weights: self.class_weights,
            early_stopping: self.early_stopping,
            seed: self.seed,
            no_shuffle: self.no_shuffle.then_some(true),
            no_test: self.no_test.then_some(true),
            jpeg_scaling: self.jpeg_scaling.then_some(true),
            picture_cache: self.picture_cache,
            picture_cache_gib: self.picture_cache_gib,
            workers: self.workers,
            save_every: self.save_every,
            keep_states: self.keep_states,
            keep: self.keep,
        }
    }
}

fn seed(word: &str) -> Result<u64, String> {
    let seed = word.parse().ok().filter(|seed| i64::try_from(*seed).is_ok()); // TOML holds no more
    seed.ok_or_else(|| format!("expected a whole number from 0 to {}", i64::MAX))
}

/// One of a closed set of words, with suggestions and a list in the help.
pub(super) fn one_of<T>(words: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| word.parse())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use mmc_run::SETTINGS;

    use crate::cli::Cli;

    #[test]
    fn every_setting_is_a_flag_of_train_and_every_flag_is_explained() {
        let cli = Cli::command();
        cli.clone().debug_assert();
        let train = cli.find_subcommand("train").unwrap();
        let flags: Vec<_> = train.get_arguments().filter_map(|flag| flag.get_long()).collect();
        for setting in SETTINGS {
            assert!(flags.contains(&setting.name.replace('_', "-").as_str()), "{}", setting.name);
        }
        for flag in train.get_arguments() {
            assert!(flag.get_help().is_some(), "{}", flag.get_id());
        }
        assert_eq!(
            flags.len(),
            SETTINGS.len() + 4,
            "settings, --config, --out, --resume, --devices"
        );
    }
}
