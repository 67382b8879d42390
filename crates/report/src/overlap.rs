//! Whether items of one split are also in another: the splits compared item by item.

use std::collections::HashSet;
use std::path::Path;

use mmc_data::{Arm, ReadOptions, Split, dataset, shared};
use mmc_run::{OverlapRecord, ResultsFolder, RunConfig, SplitOverlap, SplitRecord};

use crate::{ReportError, Results, RunResult};

/// Compares the test with the training and the selection split, and the selection with the training
/// split: ids, texts, and pictures by their bytes, whatever their names. The data is read where the runs
/// read it; rows that `overlap.json` has compared already are not read again.
///
/// # Errors
/// [`ReportError::Data`] where a split cannot be read, [`ReportError::OtherData`] where it is no longer
/// the one that the runs met.
pub fn overlap(results: &Results) -> Result<OverlapRecord, ReportError> {
    let Some(run) = reference(results) else { return Ok(OverlapRecord::default()) };
    let data = &run.config.data;
    let (train, selection) = (Some(&data.train), data.selection.as_ref());
    let test = data.test.as_ref();
    let mut reader = Reader { config: &run.config, read: Vec::new() };
    let mut pairs = Vec::new();
    for sides in [(test, train), (test, selection), (selection, train)] {
        let (Some(of), Some(among)) = sides else { continue };
        let known = results.overlap.as_ref().and_then(|known| known.of(of, among));
        pairs.push(match known {
            Some(known) => known.clone(),
            None => reader.compare(of, among)?,
        });
    }
    Ok(OverlapRecord { pairs })
}

/// Reads each split once, and only if it is asked for.
struct Reader<'a> {
    config: &'a RunConfig,
    read: Vec<(&'a SplitRecord, Split)>,
}

impl<'a> Reader<'a> {
    fn compare(
        &mut self,
        of: &'a SplitRecord,
        among: &'a SplitRecord,
    ) -> Result<SplitOverlap, ReportError> {
        let (first, second) = (self.split(of)?, self.split(among)?);
        let found = shared(&self.read[first].1, &self.read[second].1);
        Ok(SplitOverlap { of: of.clone(), among: among.clone(), found })
    }

    /// Where it lies among those read.
    fn split(&mut self, record: &'a SplitRecord) -> Result<usize, ReportError> {
        if let Some(at) = self.read.iter().position(|(read, _)| *read == record) {
            return Ok(at);
        }
        self.read.push((record, read_split(self.config, record)?));
        Ok(self.read.len() - 1)
    }
}

/// A run that has met whole rows, as far as there is one.
fn reference(results: &Results) -> Option<&RunResult> {
    let whole = results.runs.iter().find(|run| run.id.arm == Arm::Both);
    whole.or_else(|| results.runs.first())
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
