//! How a run's settings say that its data is read: one list of fields for those who train, plan and
//! report.

use mmc_data::ReadOptions;

use crate::settings::{PartialSettings, Settings};

macro_rules! read_options {
    ($settings:ident, $on_bad_item:expr, $arm:expr) => {
        ReadOptions {
            answers: $settings.answers.unwrap_or_default(),
            labels: $settings.labels.clone(),
            id_column: $settings.id_column.clone(),
            text_column: $settings.text_column.clone(),
            image_column: $settings.image_column.clone(),
            label_column: $settings.label_column.clone(),
            on_bad_item: $on_bad_item,
            arm: $arm,
        }
    };
}

impl Settings {
    /// How the run reads its splits.
    #[must_use]
    pub fn read_options(&self) -> ReadOptions {
        read_options!(self, self.on_bad_item, self.arm)
    }
}

impl PartialSettings {
    /// The same of a run that is only asked for; what is absent is the usual.
    #[must_use]
    pub fn read_options(&self) -> ReadOptions {
        read_options!(self, self.on_bad_item.unwrap_or_default(), self.arm.unwrap_or_default())
    }
}
