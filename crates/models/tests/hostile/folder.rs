//! A checkpoint folder, taken the public way from files to logits.

use std::fs;
use std::path::Path;

use candle_core::Device;
use mmc_data::{Arm, ImageSource, Sample};
use mmc_models::{FreshHead, LoadRequest, Pass, load};
use mmc_preprocess::{Padding, Processor, collate};
use mmc_random::{ChaCha8Rng, below};

use super::kinds::fixtures;

/// What became of a folder.
pub(crate) enum Outcome {
    /// It went all the way.
    Result,
    /// It was refused.
    Error,
}

/// Loads the model, the processor, and takes one sample through both. Whatever is refused, the
/// rest is tried too.
pub(crate) fn attempt(folder: &Path, random: &mut ChaCha8Rng) -> Outcome {
    let arms = [None, Some(Arm::Text), Some(Arm::Both), Some(Arm::Image)];
    let sees_pictures = ["preprocessor_config.json", "processor_config.json"];
    let sees_pictures = sees_pictures.iter().any(|name| folder.join(name).is_file());
    let arm = arms[below(if sees_pictures { 4 } else { 2 }, random)];
    let fresh_head = match below(2, random) {
        0 => FreshHead::Refused,
        _ => FreshHead::Allowed { seed: 1 },
    };
    let two = ["no".to_owned(), "yes".to_owned()];
    let labels = if below(4, random) == 0 { &two[..] } else { &[] };
    let device = &Device::Cpu;
    let request =
        LoadRequest { folder, labels, arm, head: None, fresh_head, dropout: None, device };
    let loaded = load(&request);
    let arm = loaded.as_ref().map_or(arm.unwrap_or(Arm::Both), |loaded| loaded.model.arm());
    let prepared = Processor::from_folder(folder, arm).and_then(|processor| {
        let example = processor.with_max_length(12).prepare(&sample())?;
        collate(&[example], Padding::Longest, 0)
    });
    let (loaded, batch) = match (loaded, prepared) {
        (Ok(loaded), Ok(batch)) => (loaded, batch),
        (Err(error), _) => return refused(&error),
        (_, Err(error)) => return refused(&error),
    };
    // A model looks at any number of patches; what it takes for that is not a matter of loading.
    let pixels = batch.image.as_ref().map_or(0, |image| image.pixel_values.elem_count());
    if pixels > 3 * 64 * 64 {
        return Outcome::Result;
    }
    match loaded.model.forward(&batch, &Pass::evaluate()) {
        Ok(_) => Outcome::Result,
        Err(error) => refused(&error),
    }
}

/// An error can be said, in one breath.
fn refused(error: &dyn std::error::Error) -> Outcome {
    assert!(error.to_string().len() < 20_000, "an error of {} bytes", error.to_string().len());
    Outcome::Error
}

fn sample() -> Sample {
    Sample {
        id: "1".to_owned(),
        text: "A red car, [SEP] naïve 東京  don't   stop 123 \u{1F600}".to_owned(),
        image: Some(ImageSource::File(fixtures().join("data/img/test0.png"))),
        target: None,
        group: None,
    }
}

/// What the crate's documentation allows for a folder, in bytes.
pub(crate) fn limit(folder: &Path) -> usize {
    let mut limit = 128 << 20;
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        let weights = matches!(ending, Some("bin" | "safetensors"));
        limit += entry.metadata().unwrap().len() as usize * if weights { 8 } else { 128 };
    }
    limit
}
