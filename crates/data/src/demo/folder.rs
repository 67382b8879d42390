//! A generated folder before it is written: texts of files, and pictures to be drawn.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rayon::prelude::*;

use super::REMEDY;
use super::memes::PictureKey;
use super::scene;
use super::shapes::{self, Shapes};
use crate::DataError;

/// What a generated folder holds.
pub(super) struct Folder {
    pub(super) pictures: Vec<Picture>,
    /// Paths relative to the folder, and what the files hold.
    pub(super) files: Vec<(String, String)>,
}

/// A picture to be drawn.
pub(super) struct Picture {
    /// Relative to the folder.
    pub(super) path: String,
    /// What the chance in it is keyed by.
    pub(super) key: PictureKey,
    pub(super) motif: Motif,
}

/// What a picture shows.
#[derive(Clone, Copy)]
pub(super) enum Motif {
    /// A place by day or by night.
    Scene { night: bool },
    /// Shapes on grey.
    Shapes(Shapes),
}

impl Folder {
    /// Draws and writes everything.
    pub(super) fn write(&self, out: &Path) -> Result<(), DataError> {
        let pictures = self.pictures.iter().map(|picture| out.join(&picture.path));
        let files = self.files.iter().map(|(name, _)| out.join(name));
        let parents: BTreeSet<_> =
            pictures.chain(files).filter_map(|path| Some(path.parent()?.to_owned())).collect();
        for parent in parents {
            fs::create_dir_all(&parent).map_err(DataError::io(&parent, REMEDY))?;
        }
        self.pictures.par_iter().try_for_each(|picture| {
            let path = out.join(&picture.path);
            let bytes = match picture.motif {
                Motif::Scene { night } => scene::encode(night, picture.key, &path)?,
                Motif::Shapes(shapes) => shapes::encode(shapes, picture.key, &path)?,
            };
            fs::write(&path, bytes).map_err(DataError::io(&path, REMEDY))
        })?;
        for (name, text) in &self.files {
            let path = out.join(name);
            fs::write(&path, text).map_err(DataError::io(&path, REMEDY))?;
        }
        Ok(())
    }
}
