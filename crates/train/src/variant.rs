//! What of a model trains, and what does not.

use mmc_models::{CheckpointSource, LoraSettings, Parameter, Trained};
use mmc_run::{Freeze, PICTURE_CACHE_GIB, Settings};
use sha2::{Digest as _, Sha256};

use crate::resume::digits;
use crate::{Plan, TrainError};

impl Plan {
    /// What of the model trains.
    #[must_use]
    pub fn trained(&self) -> Trained {
        trained(&self.settings)
    }

    /// What of the variant asked for has no effect, or another one than expected.
    pub(crate) fn note_variant(&mut self) {
        let (settings, trained) = (&self.settings, self.trained());
        if trained == Trained::Head && settings.layer_decay < 1.0 {
            self.notes.push(format!(
                "`--layer-decay {}` has no effect with `--freeze backbone`: the head alone trains, \
                 and its rate does not decay",
                settings.layer_decay
            ));
        }
        if !settings.arm.uses_image() {
            let of_pictures = [
                settings.augment.map(|augment| format!("`--augment {augment}`")),
                settings.jpeg_scaling.then(|| "`--jpeg-scaling`".to_owned()),
                settings.picture_cache.is_some().then(|| "`--picture-cache`".to_owned()),
            ];
            let no_effect =
                |flag| format!("{flag} has no effect: the arm `{}` sees no pictures", settings.arm);
            self.notes.extend(of_pictures.into_iter().flatten().map(no_effect));
        }
        if settings.picture_cache.is_none() && settings.picture_cache_gib != PICTURE_CACHE_GIB {
            self.notes.push(
                "`--picture-cache-gib` has no effect without `--picture-cache DIR`".to_owned(),
            );
        }
        if trained != Trained::Everything && self.source == CheckpointSource::FromScratch {
            self.notes.push(format!(
                "`{}` begins from scratch, so what stays frozen is as it was drawn at random; give \
                 a `--checkpoint`",
                self.preset.name
            ));
        }
    }
}

/// What of a model trains with these settings.
#[must_use]
pub fn trained(settings: &Settings) -> Trained {
    let Settings { freeze, lora_rank, lora_alpha, seed, .. } = *settings;
    match (lora_rank.zip(lora_alpha), freeze) {
        (Some((rank, alpha)), _) => Trained::Lora(LoraSettings { rank, alpha, seed }),
        (None, Freeze::Backbone) => Trained::Head,
        (None, Freeze::None) => Trained::Everything,
    }
}

/// Hex SHA-256 over the parameters that do not train: they stay as they were loaded, so a state does
/// not hold them, but it goes with no others.
pub(crate) fn checksum_of_frozen(parameters: &[Parameter]) -> Result<String, TrainError> {
    let mut hash = Sha256::new();
    for Parameter { name, var, .. } in parameters.iter().filter(|parameter| !parameter.active) {
        hash.update(format!("{name} {:?}\n", var.dims()));
        for value in var.flatten_all()?.to_vec1::<f32>()? {
            hash.update(value.to_le_bytes());
        }
    }
    Ok(digits(hash))
}
