//! LoRA's changes alone, as `peft` reads them.

use std::collections::BTreeSet;
use std::path::Path;

use candle_core::Tensor;
use serde_json::{Value, json};

use super::save::{write_folder, write_json, write_weights};
use crate::architecture::{Architecture, HEAD};
use crate::config::ConfigFile;
use crate::lora::{LoraSettings, is_factor};
use crate::{Classifier, ModelError, Parameter};

/// Before every name in PEFT's files: its own wrapper and the one around that.
const PREFIX: &str = "base_model.model.";

/// Writes what LoRA changed as a folder that `PeftModel.from_pretrained` loads on the model that
/// training began with: `adapter_config.json` and `adapter_model.safetensors`. Beside the changes
/// it holds whole what else trained: the head, unless transformers has no class with it (then it is
/// in the checkpoint's `mmc_head.safetensors`), and what the checkpoint lacked.
///
/// `source` is that model's folder, `base` its name for readers of the adapter. A model without LoRA
/// has nothing to write. Gives whether there was something.
///
/// # Errors
/// Files that cannot be read or written.
pub fn save_adapter(
    model: &dyn Classifier,
    source: &Path,
    base: Option<&str>,
    destination: &Path,
) -> Result<bool, ModelError> {
    let parameters = model.parameters();
    let mut changes = parameters.iter().filter_map(|parameter| parameter.low_rank.as_ref());
    let Some(settings) = changes.next().map(|change| change.settings) else { return Ok(false) };
    let architecture = Architecture::of(&ConfigFile::read(source)?)?;
    let mut modules = BTreeSet::new();
    let mut weights: Vec<(String, Tensor)> = Vec::new();
    for parameter in parameters.iter().filter(|parameter| parameter.active) {
        if !is_factor(&parameter.name) {
            let Some(module) = whole_module(architecture, &parameter.name) else { continue };
            modules.insert(module);
        }
        let name = format!("{PREFIX}{}", parameter.name);
        weights.push((name, parameter.var.as_detached_tensor()));
    }
    let config = config(architecture, settings, &targets(parameters), &modules, base);
    write_folder(destination, |folder| {
        write_json(&folder.join("adapter_config.json"), &config)?;
        write_weights(&folder.join("adapter_model.safetensors"), &weights)
    })?;
    Ok(true)
}

/// The module that PEFT saves whole because of a parameter that trained whole.
fn whole_module(architecture: &Architecture, name: &str) -> Option<&'static str> {
    if name.starts_with(HEAD) {
        return (!architecture.head_apart).then_some(HEAD.trim_end_matches('.'));
    }
    let made = architecture.optional.iter().find(|part| name.starts_with(**part));
    made.map(|part| part.trim_end_matches('.'))
}

/// The maps that LoRA changes: by their last names where all maps of these names are changed, else
/// one by one.
fn targets(parameters: &[Parameter]) -> BTreeSet<String> {
    let module = |parameter: &Parameter| parameter.name.strip_suffix(".weight").map(str::to_owned);
    let last = |module: &str| module.rsplit('.').next().unwrap_or_default().to_owned();
    let changed: BTreeSet<String> = parameters
        .iter()
        .filter(|parameter| parameter.low_rank.is_some())
        .filter_map(module)
        .collect();
    let names: BTreeSet<String> = changed.iter().map(|module| last(module)).collect();
    let alike = parameters.iter().filter_map(module).filter(|module| names.contains(&last(module)));
    if alike.count() == changed.len() { names } else { changed }
}

fn config(
    architecture: &Architecture,
    settings: LoraSettings,
    targets: &BTreeSet<String>,
    modules: &BTreeSet<&str>,
    base: Option<&str>,
) -> Value {
    let classifies_texts = architecture.class.ends_with("ForSequenceClassification");
    json!({
        "base_model_name_or_path": base,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "lora_alpha": settings.alpha,
        "lora_dropout": 0.0,
        "modules_to_save": (!modules.is_empty()).then_some(modules),
        "peft_type": "LORA",
        "r": settings.rank,
        "target_modules": targets,
        "task_type": classifies_texts.then_some("SEQ_CLS"),
    })
}
