//! The losses of a run that PyTorch was asked for, too.

use std::sync::atomic::AtomicBool;

use mmc_run::{PartialSettings, RunFolder};
use mmc_train::{resolve, train};

/// The loss of each step: file order, decay 0.01, dropout 0, and what else is asked for.
pub(crate) fn losses_of(asked: PartialSettings) -> Vec<f64> {
    let always = PartialSettings {
        dataset: Some("table".to_owned()),
        no_shuffle: Some(true),
        weight_decay: Some(0.01),
        dropout: Some(0.0),
        ..PartialSettings::default()
    };
    let plan = resolve(always, asked).unwrap();
    let out = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(out.path()).unwrap();
    train(&plan, &folder, &AtomicBool::new(false), &mut |_| ()).unwrap();
    folder.steps().unwrap().into_iter().map(|step| step.loss.unwrap()).collect()
}
