//! A folder that rank 0 has, at every rank.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::{PIECE, Ranks};
use crate::TrainError;

/// Makes `folder` at every other rank, with the files that it has at rank 0, also in folders below.
pub(crate) fn share_folder(ranks: &Ranks, folder: &Path) -> Result<(), TrainError> {
    if ranks.is_alone() {
        return Ok(());
    }
    let own = if ranks.is_first() { files(folder)? } else { Vec::new() };
    let all = ranks.broadcast_value(own)?;
    let mut piece = vec![0; PIECE];
    for (name, length) in all {
        let path = folder.join(name);
        let mut file = if ranks.is_first() {
            File::open(&path).map_err(TrainError::io(&path))?
        } else {
            if let Some(above) = path.parent() {
                fs::create_dir_all(above).map_err(TrainError::io(above))?;
            }
            File::create(&path).map_err(TrainError::io(&path))?
        };
        let mut left = length;
        while left > 0 {
            let piece = &mut piece[..left.min(PIECE as u64) as usize];
            if ranks.is_first() {
                file.read_exact(piece).map_err(TrainError::io(&path))?;
            }
            ranks.broadcast(piece)?;
            if !ranks.is_first() {
                file.write_all(piece).map_err(TrainError::io(&path))?;
            }
            left -= piece.len() as u64;
        }
    }
    Ok(())
}

/// The files of a folder and of those in it, by their paths within it, with their lengths.
fn files(folder: &Path) -> Result<Vec<(PathBuf, u64)>, TrainError> {
    let mut found = Vec::new();
    let mut below = vec![PathBuf::new()];
    while let Some(inner) = below.pop() {
        let path = folder.join(&inner);
        for entry in fs::read_dir(&path).map_err(TrainError::io(&path))? {
            let entry = entry.map_err(TrainError::io(&path))?;
            let name = inner.join(entry.file_name());
            let what = fs::metadata(entry.path()).map_err(TrainError::io(&entry.path()))?;
            if what.is_dir() {
                below.push(name);
            } else {
                found.push((name, what.len()));
            }
        }
    }
    found.sort();
    Ok(found)
}
