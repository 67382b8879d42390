//! From what was asked for to what will run: every choice made, every contradiction found, the
//! data read, before anything is written.

mod devices;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Device;
use mmc_data::{Arm, Dataset, ReadOptions, Split, Task};
use mmc_metrics::Metric;
use mmc_models::{CheckpointSource, Preset};
use mmc_preprocess::{Order, Padding};
use mmc_run::{
    DataRecord, Keep, LanguageRecord, Pad, PartialSettings, RunConfig, Settings, SplitRecord,
};

use self::devices::Opened;
use crate::code::versions;
use crate::plan::{Cut, StepPlan};
use crate::vocabulary::{check_answers, own_answers};
use crate::{Devices, Intervention, PredictOptions, Ranks, Schedule, TrainError, language};

/// A checked run: settings that fit together, the data they name, the weights they start from.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Every value decided.
    pub settings: Settings,
    /// The model's row of the catalogue.
    pub preset: &'static Preset,
    /// The data set's row of the table.
    pub dataset: &'static Dataset,
    /// Where the weights come from.
    pub source: CheckpointSource,
    /// What is trained on; labelled.
    pub train: Arc<Split>,
    /// What the best epoch is chosen on, where it exists.
    pub selection: Option<Arc<Split>>,
    /// What results are reported on, where it exists.
    pub test: Option<Arc<Split>>,
    /// What a user should know before the first step, for the caller to show: splits that are
    /// absent, unlabelled or were read with rows left out, settings that have no effect.
    pub notes: Vec<String>,
    /// The language of the training texts, where that of the weights is known.
    pub(crate) language: Option<LanguageRecord>,
    /// What computes it.
    pub(crate) device: Device,
    /// Further CUDA devices that share the shards of a step.
    pub(crate) beside: Vec<Device>,
    /// As how many devices the CPU shares them, where it computes.
    pub(crate) cpu_devices: usize,
    /// Whether a shard is a device's share of a step, as many as there turn out to be.
    pub(crate) cuts_by_devices: bool,
    /// The processes, or threads of CUDA devices, that share them.
    pub(crate) ranks: Ranks,
    /// Index of the positive class of two.
    pub(crate) positive: usize,
    /// The metric by which the best epoch is chosen.
    pub(crate) metric: &'static Metric,
}

/// Decides what will run: a preset's defaults, over them the configuration file, over that the
/// flags. Reads the data.
///
/// # Errors
/// Usage errors ([`TrainError::is_usage`]): a name that is unknown, a value that cannot be, an arm
/// that the model does not have, a setting that does not fit the data. Other errors: data or
/// weights that are absent or wrong.
pub fn resolve(config: PartialSettings, flags: PartialSettings) -> Result<Plan, TrainError> {
    resolve_on(&Devices::Cpu(1), config, flags)
}

/// [`resolve`] for these devices, which share the shards of each step. On CUDA a shard is a device's
/// share of a step's rows, unless its rows are asked for: a device is not filled by a few.
///
/// # Errors
/// As [`resolve`]; [`TrainError::Device`] where one cannot be used.
pub fn resolve_on(
    devices: &Devices,
    config: PartialSettings,
    flags: PartialSettings,
) -> Result<Plan, TrainError> {
    let asked = config.merge(flags);
    let Opened { device, beside, cpu_devices, cuts_by_devices } = Opened::of(devices, &asked)?;
    let epochs_asked = asked.epochs.is_some();
    let preset = mmc_models::preset(named(asked.model.as_deref(), "model")?)?;
    let dataset = mmc_data::dataset(named(asked.dataset.as_deref(), "dataset")?)?;
    let root = dataset.root(asked.data_root.as_deref().map(Path::new));
    let source = mmc_models::locate(preset, asked.checkpoint.as_deref())?;
    let published = language::is_published(preset, &source, asked.checkpoint.as_deref());
    // A tower that was saved alone has one arm only.
    let arm = match &source {
        CheckpointSource::Folder(folder) => mmc_models::arms_of(folder)?.first().copied(),
        CheckpointSource::FromScratch => None,
    };
    let has = PartialSettings { arm, ..PartialSettings::default() };
    let known = PartialSettings {
        data_root: Some(root.display().to_string()),
        checkpoint: Some(match &source {
            CheckpointSource::Folder(folder) => folder.display().to_string(),
            CheckpointSource::FromScratch => "none".to_owned(),
        }),
        ..PartialSettings::default()
    };
    let settings = preset_defaults(preset).merge(has).merge(asked).merge(known).resolve()?;
    check_arm(preset, settings.arm)?;
    check_head(preset, &settings.head)?;
    let metric = mmc_metrics::metric(dataset.primary_metric)?;

    let mut notes = Vec::new();
    if epochs_asked && let Some(steps) = settings.max_steps {
        notes.push(format!("`--max-steps {steps}` decides the length; `--epochs` is ignored"));
    }
    let study = dataset.resolve_splits(&root)?;
    notes.extend(study.notes);
    let mut options = settings.read_options();
    if dataset.task == Task::Answers && options.labels.is_none() {
        let (own, note) = own_answers(&source, settings.answers)?;
        options.labels = own;
        notes.extend(note);
    }
    let train = dataset.read(&root, &study.train, &options)?;
    if dataset.task == Task::Answers {
        check_answers(&train)?;
    }
    notes.extend(train.notes.iter().cloned());
    check_training_split(&train, options.arm)?;
    options.keep_answers(dataset, &train.labels);
    let mut read = |name: &str| read_optional(dataset, &root, name, &options, &mut notes);
    let selection = read(&study.selection)?;
    let test = if settings.no_test { None } else { read(&study.test)? };
    let positive = positive_class(&settings, &train.labels)?;
    let language = language::judge(preset, published, settings.arm, &train);
    notes.extend(language.as_ref().and_then(language::note));
    let mut plan = Plan {
        settings,
        preset,
        dataset,
        source,
        train: Arc::new(train),
        selection,
        test,
        notes,
        language,
        device,
        beside,
        cpu_devices,
        cuts_by_devices,
        ranks: Ranks::default(),
        positive,
        metric,
    };
    plan.settle_devices();
    plan.settle_selection()?;
    plan.note_variant();
    plan.objective()?;
    plan.check_length()?;
    Ok(plan)
}

/// Before other splits are read against its classes.
fn check_training_split(train: &Split, arm: Arm) -> Result<(), TrainError> {
    train.check_pictures(arm)?;
    let path = train.path.display();
    if !train.is_labelled() {
        let problem = format!(
            "{path}: there is no labelled item to train on; add labels, or name their column \
             with `--label-column`"
        );
        return Err(TrainError::setting("dataset", problem));
    }
    if train.labels.len() < 2 {
        let only = train.labels.join("");
        let problem = format!(
            "{path}: every label is `{only}`, and a classifier needs two classes; add items \
             of another or name all classes with `--labels`"
        );
        return Err(TrainError::setting("labels", problem));
    }
    Ok(())
}

/// What the preset says where nobody else does.
pub(crate) fn preset_defaults(preset: &Preset) -> PartialSettings {
    let defaults = &preset.defaults;
    PartialSettings {
        arm: Some(preset.default_arm()),
        head: preset.heads().first().map(|&head| head.to_owned()),
        max_length: Some(defaults.max_length),
        batch_size: Some(defaults.batch_size),
        learning_rate: Some(defaults.learning_rate),
        epochs: Some(defaults.epochs),
        warmup_ratio: Some(defaults.warmup_ratio),
        weight_decay: Some(defaults.weight_decay),
        ..PartialSettings::default()
    }
}

impl Plan {
    /// How the training items are dealt out to steps, those with bad pictures too: skipping them, when
    /// they are met, changes no other step.
    #[must_use]
    pub fn steps(&self) -> StepPlan {
        let settings = &self.settings;
        let cut =
            Cut { items_per_step: settings.items_per_step(), shard_rows: settings.shard_rows };
        let order =
            if settings.shuffles() { Order::Shuffled { seed: settings.seed } } else { Order::File };
        match settings.max_steps {
            Some(steps) => StepPlan::of_steps(steps, self.train.len(), cut, order),
            None => StepPlan::of_epochs(settings.epochs, self.train.len(), cut, order),
        }
    }

    /// More steps than can be counted are none.
    fn check_length(&self) -> Result<(), TrainError> {
        let (epochs, steps) = (self.settings.epochs, self.steps().steps_per_epoch());
        let countable = epochs.checked_mul(steps).is_some_and(|all| i64::try_from(all).is_ok());
        if countable || self.settings.max_steps.is_some() {
            return Ok(());
        }
        let problem = format!(
            "`epochs` is `{epochs}`, and at {steps} steps an epoch that is more steps than can be \
             counted; lower `--epochs`"
        );
        Err(TrainError::setting("epochs", problem))
    }

    /// The learning rate of each step.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        let settings = &self.settings;
        let steps = self.steps().steps();
        Schedule::new(settings.learning_rate, settings.warmup_ratio, steps, settings.schedule)
    }

    /// The names of the classes, in the data set's order.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.train.labels
    }

    /// How texts are padded.
    pub(crate) fn padding(&self) -> Padding {
        match self.settings.pad {
            Pad::Longest => Padding::Longest,
            Pad::Max => Padding::Max(self.settings.max_length),
        }
    }

    /// How the selection and test splits are predicted.
    pub(crate) fn predict_options(&self) -> PredictOptions {
        PredictOptions {
            classes: self.classes().to_vec(),
            task: self.dataset.task,
            rows: self.settings.shard_rows,
            padding: self.padding(),
            workers: self.settings.workers,
            on_bad_item: self.settings.on_bad_item,
            intervention: Intervention::None,
        }
    }

    /// `config.toml` of this run.
    #[must_use]
    pub fn config(&self) -> RunConfig {
        let record = |split: &Split| SplitRecord {
            split: split.name.to_string(),
            items: split.len(),
            labelled: split.is_labelled(),
            fingerprint: split.fingerprint(),
            missing_pictures: split.missing_pictures,
        };
        RunConfig {
            settings: self.settings.clone(),
            versions: versions(),
            data: DataRecord {
                train: record(&self.train),
                selection: self.selection.as_deref().map(record),
                test: self.test.as_deref().map(record),
            },
            language: self.language.clone(),
        }
    }

    /// Without a labelled selection split there is no best: the last step is kept.
    fn settle_selection(&mut self) -> Result<(), TrainError> {
        if self.selection.as_ref().is_some_and(|split| split.is_labelled()) {
            return Ok(());
        }
        if self.settings.early_stopping.is_some() {
            let problem = format!(
                "`--early-stopping` needs a labelled `{}` split, and there is none; leave it out",
                self.dataset.selection
            );
            return Err(TrainError::setting("early_stopping", problem));
        }
        if self.settings.keep == Keep::Best {
            self.settings.keep = Keep::Last;
            let name = self.dataset.selection;
            self.notes.push(format!("without a labelled `{name}` split the last step is kept"));
        }
        Ok(())
    }
}

fn named<'a>(value: Option<&'a str>, setting: &'static str) -> Result<&'a str, TrainError> {
    value.ok_or_else(|| {
        let problem = format!("`{setting}` is not set; give `--{setting}` or a config file");
        TrainError::setting(setting, problem)
    })
}

pub(crate) fn check_arm(preset: &Preset, arm: Arm) -> Result<(), TrainError> {
    let arms = preset.arms;
    if arms.contains(&arm) {
        return Ok(());
    }
    let known: Vec<String> = arms.iter().map(|arm| format!("`{arm}`")).collect();
    let problem = format!(
        "`{}` has no arm `{arm}`, expected {}; change `--arm` or `--model`",
        preset.name,
        known.join(", ")
    );
    Err(TrainError::setting("arm", problem))
}

pub(crate) fn check_head(preset: &Preset, head: &str) -> Result<(), TrainError> {
    let heads = preset.heads();
    if heads.contains(&head) {
        return Ok(());
    }
    let problem = format!(
        "`{}` has no head `{head}`, expected `{}`; change `--head` or `--model`",
        preset.name,
        heads.join("`, `")
    );
    Err(TrainError::setting("head", problem))
}

/// A split that may be absent, which is noted; one that is there and wrong is an error.
fn read_optional(
    dataset: &'static Dataset,
    root: &Path,
    name: &str,
    options: &ReadOptions,
    notes: &mut Vec<String>,
) -> Result<Option<Arc<Split>>, TrainError> {
    if dataset.split_file(root, name).is_err() && !any_file_of(root, name) {
        notes.push(format!("{}: there is no `{name}` split; it is left out", root.display()));
        return Ok(None);
    }
    let split = dataset.read(root, name, options)?;
    split.check_pictures(options.arm)?;
    notes.extend(split.notes.iter().cloned());
    if !split.is_labelled() {
        notes.push(format!("`{name}` has no labels: it is predicted and not scored"));
    }
    Ok(Some(Arc::new(split)))
}

/// Whether the folder holds any file called `name`, of whatever extension.
fn any_file_of(root: &Path, name: &str) -> bool {
    let files = std::fs::read_dir(root).map(|listing| listing.flatten().collect::<Vec<_>>());
    files.is_ok_and(|files| {
        files.iter().map(|file| PathBuf::from(file.file_name())).any(|file| {
            file.file_stem().is_some_and(|stem| stem == name) && file.extension().is_some()
        })
    })
}

/// The positive class: the one named, else the second.
fn positive_class(settings: &Settings, labels: &[String]) -> Result<usize, TrainError> {
    let Some(name) = &settings.positive else { return Ok(1) };
    let found = labels.iter().position(|label| label == name);
    match found {
        Some(class) if labels.len() == 2 => Ok(class),
        Some(_) => {
            let problem = format!(
                "`--positive` is for two classes, and there are {}; leave it out",
                labels.len()
            );
            Err(TrainError::setting("positive", problem))
        }
        None => {
            let known: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            let problem = format!("no class is called `{name}`, expected {}", known.join(" or "));
            Err(TrainError::setting("positive", problem))
        }
    }
}
