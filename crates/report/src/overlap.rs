//! Whether items of one split are also in another: the splits compared item by item.

use std::collections::HashSet;
use std::path::Path;

use mmc_data::{Arm, ReadOptions, Split, dataset, shared};
use mmc_run::{OverlapRecord, ResultsFolder, RunConfig, SplitOverlap, SplitRecord};

use crate::{ReportError, Results, RunResult};

/// Compares the test with the training and the selection split, and the selection with the training
/// split: ids, texts, and pictures by their bytes, whatever their names. The data is read where the runs
/// read it.
///
/// # Errors
/// [`ReportError::Data`] where a split cannot be read, [`ReportError::OtherData`] where it is no longer
/// the one that the runs met.
pub fn overlap(results: &Results) -> Result<OverlapRecord, ReportError> {
    let Some(run) = reference(results) else { return Ok(OverlapRecord::default()) };
    let data = &run.config.data;
    let split = |record: &SplitRecord| -> Result<(SplitRecord, Split), ReportError> {
        Ok((record.clone(), read_split(&run.config, record)?))
    };
    let train = split(&data.train)?;
    let selection = data.selection.as_ref().map(split).transpose()?;
    let test = data.test.as_ref().map(split).transpose()?;
    let mut pairs = Vec::new();
    let sides = [(&test, Some(&train)), (&test, selection.as_ref()), (&selection, Some(&train))];
    for (of, among) in sides {
        if let (Some(of), Some(among)) = (of, among) {
            pairs.push(compared(of, among));
        }
    }
    Ok(OverlapRecord { pairs })
}

/// A run that has met whole rows, as far as there is one.
fn reference(results: &Results) -> Option<&RunResult> {
    let whole = results.runs.iter().find(|run| run.id.arm == Arm::Both);
    whole.or_else(|| results.runs.first())
}

fn compared(of: &(SplitRecord, Split), among: &(SplitRecord, Split)) -> SplitOverlap {
    let found = shared(&of.1, &among.1);
    SplitOverlap {
        of: of.0.clone(),
        among: among.0.clone(),
        ids: found.ids,
        texts: found.texts,
        pictures: found.pictures,
        items: found.items,
        examples: found.examples,
        unread: found.unread,
    }
}

/// A split as a run read it, with its pictures.
pub(crate) fn read_split(config: &RunConfig, record: &SplitRecord) -> Result<Split, ReportError> {
    let settings = &config.settings;
    let options = ReadOptions { arm: Arm::Both, ..settings.read_options() };
    let dataset = dataset(&settings.dataset)?;
    let split = dataset.read(Path::new(&settings.data_root), &record.split, &options)?;
    if split.fingerprint() != record.fingerprint {
        return Err(ReportError::OtherData { path: split.path });
    }
    Ok(split)
}

/// Test items whose id a run predicted in the selection split too; `None` where no run has predictions
/// of both.
pub(crate) fn ids_of_both(folder: &ResultsFolder, runs: &[RunResult]) -> Option<usize> {
    let run = runs.iter().find(|run| run.test.is_some() && run.config.data.selection.is_some())?;
    let selection = &run.config.data.selection.as_ref()?.split;
    let chosen_on = folder.run(&run.id).and_then(|run| run.predictions(selection)).ok()?;
    let ids: HashSet<&str> = chosen_on.rows.iter().map(|row| row.id.as_str()).collect();
    let test = run.test.as_ref()?;
    Some(test.rows.iter().filter(|row| ids.contains(row.id.as_str())).count())
}
