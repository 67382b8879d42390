//! `mmc diagnose`: what a model of text and picture uses, and where its gain comes from.

use std::path::{Path, PathBuf};

use mmc_data::{Arm, Dataset, OnBadItem, ReadOptions, Split, dataset};
use mmc_metrics::metric;
use mmc_metrics::perceptual::PERMUTATIONS;
use mmc_report::{DiagnosisFiles, DiagnosisTerms, diagnosis};
use mmc_run::{
    DIAGNOSIS_METHOD, Diagnosis, DiagnosisSource, Predictions, RunFolder, folder_fingerprint,
};
use mmc_train::{ComputeDevice, Diagnosing, PredictOptions, diagnose};

use crate::checkpoint::{Checkpoint, For};
use crate::cli::DiagnoseArgs;
use crate::diagnosis_words::words;
use crate::failure::Failure;
use crate::output::{print, print_json};
use crate::{progress, split};

/// Diagnoses what was named and prints it.
pub(crate) fn run(typed: &DiagnoseArgs) -> Result<(), Failure> {
    if typed.margin.is_nan() || typed.margin < 0.0 {
        let problem = "expected 0 or more: the smallest gain that matters";
        return Err(Failure::usage(format!("`--margin` is `{}`, {problem}", typed.margin)));
    }
    if (typed.permutations as usize) < PERMUTATIONS {
        tracing::warn!("a mean of fewer than {PERMUTATIONS} exchanges is rough");
    }
    let asked = typed.metric.as_deref().map(metric).transpose()?;
    let found = match &typed.run {
        Some(run) => of_run(run, typed)?,
        None => of_checkpoints(typed)?,
    };
    let classes = found.diagnoses.first().map_or(0, |first| first.classes.len());
    let usual = metric(if classes == 2 { "auroc" } else { "accuracy" })?;
    let positive = typed.positive.clone().or(found.positive);
    if let (Some(name), Some(first)) = (&positive, found.diagnoses.first())
        && !(classes == 2 && first.classes.contains(name))
    {
        let known = first.classes.join("`, `");
        return Err(Failure::usage(format!(
            "`--positive` is `{name}`, expected one of two classes; they are `{known}`"
        )));
    }
    let terms = DiagnosisTerms {
        model: &found.model,
        text_model: found.text_model_name.as_deref().unwrap_or("the text model"),
        metric: asked.unwrap_or(usual),
        positive: positive.as_deref(),
        margin: typed.margin,
    };
    let files = DiagnosisFiles {
        diagnoses: &found.diagnoses.iter().collect::<Vec<_>>(),
        text_arm: &found.text_arm,
        text_model: &found.text_model,
    };
    let figures = diagnosis(&terms, &files)?;
    if typed.json { print_json(&figures) } else { print(&words(&figures)) }
}

/// What the figures are drawn from.
struct Found {
    model: String,
    text_model_name: Option<String>,
    positive: Option<String>,
    diagnoses: Vec<Diagnosis>,
    text_arm: Vec<Predictions>,
    text_model: Vec<Predictions>,
}

fn of_checkpoints(typed: &DiagnoseArgs) -> Result<Found, Failure> {
    let (Some(name), Some(split)) = (&typed.dataset, &typed.split) else {
        return Err(Failure::usage("`--checkpoint` needs `--dataset` and `--split`"));
    };
    let dataset = dataset(name)?;
    dataset.split_name(split)?;
    let root = dataset.root(typed.data_root.as_deref());
    let place = Place { dataset, root, split, fingerprint: None };
    // All are opened before anything long begins.
    let device = typed.devices.device()?;
    let models = opened(&typed.checkpoint, Arm::Both, device)?;
    let text_arm = opened(&typed.text_arm, Arm::Text, device)?;
    let text_model = opened(&typed.text_model, Arm::Text, device)?;
    let (model, text_model_name) = (one_name(&models)?, one_name(&text_model)?);
    if let Some(other) = text_arm.iter().find(|arm| arm.preset != model) {
        return Err(Failure::usage(format!(
            "`--text-arm` is a `{}` and `--checkpoint` a `{model}`: the text arm is the same model \
             trained with `--arm text`; another is a `--text-model`",
            other.preset
        )));
    }
    let mut diagnoses = Vec::new();
    for (checkpoint, folder) in models.into_iter().zip(&typed.checkpoint) {
        let options = typed.columns.read_options();
        diagnoses.push(place.diagnosed(checkpoint, folder, options, typed)?);
    }
    let predicted = |checkpoints: Vec<Checkpoint>| {
        let each = checkpoints.into_iter().map(|checkpoint| {
            let options = typed.columns.read_options();
            let split =
                split::read_for(&checkpoint, place.dataset, &place.root, place.split, options)?;
            split::predicted(checkpoint, &split, OnBadItem::Error)
        });
        each.collect::<Result<Vec<_>, Failure>>()
    };
    let (text_arm, text_model) = (predicted(text_arm)?, predicted(text_model)?);
    let text_model_name = Some(text_model_name).filter(|name| !name.is_empty());
    Ok(Found { model, text_model_name, positive: None, diagnoses, text_arm, text_model })
}

/// Checkpoints that are shown what is asked for.
fn opened(
    folders: &[PathBuf],
    arm: Arm,
    device: ComputeDevice,
) -> Result<Vec<Checkpoint>, Failure> {
    let open = |folder: &PathBuf| {
        let checkpoint = Checkpoint::open(folder, None, For::Classes, device)?;
        check_arm(&checkpoint, folder, arm)?;
        Ok(checkpoint)
    };
    folders.iter().map(open).collect()
}

/// Refuses a checkpoint of another arm, with what can be done with it.
fn check_arm(checkpoint: &Checkpoint, folder: &Path, arm: Arm) -> Result<(), Failure> {
    let (found, folder) = (checkpoint.arm(), folder.display());
    if found == arm {
        return Ok(());
    }
    let shown = match found {
        Arm::Both => "text and picture",
        Arm::Text => "the text alone",
        Arm::Image => "the picture alone",
    };
    let remedy = match (arm, found) {
        (Arm::Both, Arm::Text) => {
            "so there is nothing to be told apart; `mmc evaluate` scores it, a checkpoint of \
             `mmc train --model vilt --arm both` (or clip, flava) can be diagnosed, and beside it \
             this one may stand as `--text-arm` or `--text-model`"
        }
        (Arm::Both, _) => {
            "so there is nothing to be told apart; `mmc evaluate` scores it, and a checkpoint of \
             `mmc train --arm both` can be diagnosed"
        }
        _ => "and a text arm or a text model is shown the text alone; train it with `--arm text`",
    };
    let preset = &checkpoint.preset;
    Err(Failure::usage(format!("{folder}: this {preset} is shown {shown}, {remedy}")))
}

/// The one model that checkpoints are of; empty for none.
fn one_name(checkpoints: &[Checkpoint]) -> Result<String, Failure> {
    let Some(first) = checkpoints.first() else { return Ok(String::new()) };
    match checkpoints.iter().find(|other| other.preset != first.preset) {
        None => Ok(first.preset.clone()),
        Some(other) => Err(Failure::usage(format!(
            "these checkpoints are of one model with several seeds, but there is a `{}` and a `{}`",
            first.preset, other.preset
        ))),
    }
}

/// Diagnoses a run on its test split and keeps that in its folder.
fn of_run(run: &Path, typed: &DiagnoseArgs) -> Result<Found, Failure> {
    let folder = RunFolder::open(run)?;
    if !folder.is_complete() {
        let run = run.display();
        return Err(Failure::work(format!("{run}: is not complete; `mmc train --resume` ends it")));
    }
    let config = folder.config()?;
    let settings = config.settings;
    let Some(test) = config.data.test else {
        let run = run.display();
        return Err(Failure::work(format!("{run}: has no test split to be diagnosed on")));
    };
    let home = folder.checkpoint();
    let checkpoint = Checkpoint::open(&home, None, For::Classes, typed.devices.device()?)?;
    check_arm(&checkpoint, &home, Arm::Both)?;
    let model = settings.model.clone();
    let dataset = dataset(&settings.dataset)?;
    let root = typed.data_root.clone().unwrap_or_else(|| PathBuf::from(&settings.data_root));
    let fingerprint = Some(test.fingerprint.as_str());
    let place = Place { dataset, root, split: &test.split, fingerprint };
    let source = source(&home, (&test.split, &test.fingerprint), typed)?;
    let there = folder.diagnosis().unwrap_or_else(|error| {
        tracing::warn!("{error}; it is made anew");
        None
    });
    let found = if let Some(there) = there.filter(|there| there.source == source) {
        tracing::info!("{}: is up to date", folder.diagnosis_path().display());
        there
    } else {
        let options = settings.read_options();
        let found = place.diagnosed(checkpoint, &home, options, typed)?;
        folder.write_diagnosis(&found)?;
        found
    };
    let positive = settings.positive;
    let (text_arm, text_model) = (Vec::new(), Vec::new());
    let diagnoses = vec![found];
    Ok(Found { model, text_model_name: None, positive, diagnoses, text_arm, text_model })
}

/// Where a split lies.
struct Place<'a> {
    dataset: &'static Dataset,
    root: PathBuf,
    split: &'a str,
    /// What the split must be.
    fingerprint: Option<&'a str>,
}

impl Place<'_> {
    fn diagnosed(
        &self,
        checkpoint: Checkpoint,
        folder: &Path,
        options: ReadOptions,
        typed: &DiagnoseArgs,
    ) -> Result<Diagnosis, Failure> {
        let on_bad_item = options.on_bad_item;
        let split = split::read_for(&checkpoint, self.dataset, &self.root, self.split, options)?;
        if !split.is_labelled() {
            return Err(Failure::work(format!(
                "{}: it has no labels, so nothing can be scored; diagnose on a split that has",
                split.path.display()
            )));
        }
        let fingerprint = split.fingerprint();
        if self.fingerprint.is_some_and(|wanted| wanted != fingerprint) {
            return Err(Failure::work(format!(
                "{}: not what the run was tested on; give its data with `--data-root DIR`, or train \
                 on this data",
                split.path.display()
            )));
        }
        let checkpoint = checkpoint.with_labels(&split.labels)?;
        let source = source(folder, (self.split, &fingerprint), typed)?;
        let options = PredictOptions { on_bad_item, ..checkpoint.options() };
        let mut bars = progress::Parts::default();
        let tell = &mut |at: Diagnosing<'_>| match at {
            Diagnosing::Note(note) => tracing::info!("{note}"),
            Diagnosing::Part { what, done, of } => bars.tell(what, done, of),
            _ => {}
        };
        let model = checkpoint.model.as_ref();
        let found = diagnose(model, &checkpoint.processor, &split, &options, source, tell)?;
        warn_of_left_out(&split, &found, on_bad_item);
        Ok(found)
    }
}

/// Says how many items could not be used, where that was allowed.
fn warn_of_left_out(split: &Split, found: &Diagnosis, on_bad_item: OnBadItem) {
    let left_out = split.len() - found.items.len();
    if on_bad_item == OnBadItem::Skip && left_out > 0 {
        tracing::warn!("{left_out} of {} items of `{}` cannot be used", split.len(), split.name);
    }
}

fn source(
    checkpoint: &Path,
    (split, fingerprint): (&str, &str),
    typed: &DiagnoseArgs,
) -> Result<DiagnosisSource, Failure> {
    Ok(DiagnosisSource {
        method: DIAGNOSIS_METHOD,
        checkpoint: folder_fingerprint(checkpoint)?,
        split: split.to_owned(),
        fingerprint: fingerprint.to_owned(),
        seed: typed.seed,
        permutations: typed.permutations as usize,
        grid_items: typed.pair_items.map(|items| items as usize),
    })
}
