//! How a run prepares its pictures.

use std::path::Path;

use mmc_preprocess::{Augmentation, PictureStore, Processor};
use mmc_run::Augment;

use crate::{Plan, TrainError};

impl Plan {
    /// How the training pictures are changed in each epoch.
    pub(crate) fn augmentation(&self) -> Option<Augmentation> {
        match self.settings.augment? {
            Augment::None => None,
            Augment::Light => Some(Augmentation::LIGHT),
            Augment::LightFlip => Some(Augmentation::LIGHT_FLIP),
        }
    }

    /// The processor, which decodes pictures and keeps them as the settings say.
    pub(crate) fn with_pictures(&self, processor: Processor) -> Result<Processor, TrainError> {
        let settings = &self.settings;
        let processor = processor.with_jpeg_scaling(settings.jpeg_scaling);
        let Some(folder) = settings.picture_cache.as_ref().filter(|_| settings.arm.uses_image())
        else {
            return Ok(processor);
        };
        let bytes = settings.picture_cache_gib.saturating_mul(1 << 30);
        Ok(processor.with_picture_store(PictureStore::open(Path::new(folder), bytes)?))
    }
}
