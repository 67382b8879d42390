//! How a run prepares its pictures.

use mmc_preprocess::Augmentation;
use mmc_run::Augment;

use crate::Plan;

impl Plan {
    /// How the training pictures are changed in each epoch.
    pub(crate) fn augmentation(&self) -> Option<Augmentation> {
        match self.settings.augment? {
            Augment::None => None,
            Augment::Light => Some(Augmentation::LIGHT),
            Augment::LightFlip => Some(Augmentation::LIGHT_FLIP),
        }
    }
}
