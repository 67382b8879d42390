//! Whether items of one split are also in another: the splits compared item by item.

use std::collections::HashSet;
use std::path::Path;

use mmc_data::{Arm, ReadOptions, Split, dataset, shared};
use mmc_run::{OverlapRecord, ResultsFolder, RunConfig, SplitOverlap, SplitRecord};
use sha2::{Digest as _, Sha256};

use crate::{ReportError, Results, RunResult};

/// Compares the test with the training and the selection split, and the selection with the training
/// split: ids, texts, and pictures by their bytes, whatever their names. The data is read where the runs
/// read it; pictures that `overlap.json` has compared already, and that lie there unchanged, are not
/// read again.
///
/// # Errors
/// [`ReportError::Data`] where a split cannot be read, [`ReportError::OtherData`] where it is no longer
/// the one that the runs met.
pub fn overlap(results: &Results) -> Result<OverlapRecord, ReportError> {
    let Some(run) = reference(results) else { return Ok(OverlapRecord::default()) };
    let data = &run.config.data;
    let split = |record: &SplitRecord| -> Result<Met, ReportError> {
        let split = read_split(&run.config, record)?;
        Ok(Met { record: record.clone(), stamps: stamps(&split), split })
    };
    let train = split(&data.train)?;
    let selection = data.selection.as_ref().map(split).transpose()?;
    let test = data.test.as_ref().map(split).transpose()?;
    let mut pairs = Vec::new();
    let sides = [(&test, Some(&train)), (&test, selection.as_ref()), (&selection, Some(&train))];
    for (of, among) in sides {
        if let (Some(of), Some(among)) = (of, among) {
            pairs.push(compared(of, among, results.overlap.as_ref()));
        }
    }
    Ok(OverlapRecord { pairs })
}

/// A split as the runs met it.
struct Met {
    record: SplitRecord,
    split: Split,
    /// Hash of [`mmc_data::ImageSource::stamp`] of each picture.
    stamps: Sha256,
}

fn stamps(split: &Split) -> Sha256 {
    let mut hash = Sha256::new();
    for picture in split.iter().filter_map(|sample| sample.image.as_ref()) {
        hash.update(picture.stamp().unwrap_or_default());
        hash.update([0]);
    }
    hash
}

fn compared(of: &Met, among: &Met, known: Option<&OverlapRecord>) -> SplitOverlap {
    let hash = of.stamps.clone().chain_update(among.stamps.clone().finalize()).finalize();
    let pictures_stamp =
        hash.iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"));
    let known = known.and_then(|known| known.of(&of.record, &among.record, &pictures_stamp));
    known.cloned().unwrap_or_else(|| SplitOverlap {
        of: of.record.clone(),
        among: among.record.clone(),
        found: shared(&of.split, &among.split),
        pictures_stamp,
    })
}

/// A run that has met whole rows, as far as there is one.
fn reference(results: &Results) -> Option<&RunResult> {
    let whole = results.runs.iter().find(|run| run.id.arm == Arm::Both);
    whole.or_else(|| results.runs.first())
}

/// A split as a run read it, with its pictures as far as each row has one.
pub(crate) fn read_split(config: &RunConfig, record: &SplitRecord) -> Result<Split, ReportError> {
    let settings = &config.settings;
    let dataset = dataset(&settings.dataset)?;
    let read = |arm| {
        let options = ReadOptions { arm, ..settings.read_options() };
        dataset.read(Path::new(&settings.data_root), &record.split, &options)
    };
    // A run that was shown texts alone has rows that lack a picture, or may have.
    let with_pictures = read(Arm::Both).ok();
    let with_pictures = with_pictures.filter(|split| split.fingerprint() == record.fingerprint);
    let split = with_pictures.map_or_else(|| read(settings.arm), Ok)?;
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
