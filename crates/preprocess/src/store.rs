//! Pictures kept on disk, so that the next epoch, and the next run, need not decode them again.

mod entry;
mod room;

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use mmc_data::{Decoded, ImageSource};
use sha2::{Digest as _, Sha256};

use self::room::{Reserved, Room};
use crate::PreprocessError;

/// A folder of pictures as they were decoded or resized, bounded in bytes, for any number of
/// processes at once.
///
/// An entry is named by the SHA-256 of what it was made from (where the file lies, its size, when it
/// last changed) and how (the processor's sizes and filter, which pixels of a JPEG file were decoded).
/// It is written aside and renamed, and carries a checksum: a damaged one is as if it were not there,
/// and counted. What has come in stays until the folder is deleted: an epoch visits every picture once,
/// and with that order of visits a store that drops the oldest would never hit.
///
/// Nothing that goes wrong with it is an error: pictures are then decoded, and
/// [`PictureStore::warnings`] says why.
#[derive(Debug)]
pub struct PictureStore {
    folder: PathBuf,
    room: Room,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Nothing more is written.
    is_closed: bool,
    /// Entries that were there and could not be used, since that was last said, and one of them.
    damaged: usize,
    example: Option<PathBuf>,
    /// What is to be said.
    warnings: Vec<String>,
}

/// What an entry is named by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key([u8; 32]);

impl Key {
    /// Of a picture that is made in this way; `None` where its file cannot be looked at.
    pub(crate) fn new(source: &ImageSource, way: &str) -> Option<Self> {
        let mut hash = Sha256::new();
        for part in [entry::FORMAT, way.as_bytes(), source.stamp().ok()?.as_bytes()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Some(Self(hash.finalize().into()))
    }

    fn path(self, folder: &Path) -> PathBuf {
        let digit = |four: u8| char::from_digit(u32::from(four), 16).unwrap_or('0');
        let name: String =
            self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        folder.join(&name[..2]).join(name)
    }
}

impl PictureStore {
    /// A store in this folder, which is made if need be, of at most `limit` bytes, what is in it already
    /// included.
    ///
    /// # Errors
    /// [`PreprocessError::Store`] where the folder cannot be made or read.
    pub fn open(folder: &Path, limit: u64) -> Result<Self, PreprocessError> {
        let fault = |source| PreprocessError::Store { path: folder.to_owned(), source };
        let room = Room::open(folder, limit);
        let store = |room| Self { folder: folder.to_owned(), room, state: Mutex::default() };
        match room {
            Ok(room) => Ok(store(room)),
            Err(error) if error.kind() == ErrorKind::StorageFull => {
                let store = store(Room::none(folder));
                store.close(&error.to_string());
                Ok(store)
            }
            Err(error) => Err(fault(error)),
        }
    }

    /// What a user should know and was not told yet: entries that were damaged, why nothing more is
    /// kept.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut state = self.state();
        if let Some(example) = state.example.take() {
            let (count, example) = (std::mem::take(&mut state.damaged), example.display());
            let noun = if count == 1 { "entry was" } else { "entries were" };
            let warning = format!(
                "picture cache: {count} damaged {noun} made again from the pictures themselves, such \
                 as {example}; look after the disk if that goes on"
            );
            state.warnings.push(warning);
        }
        std::mem::take(&mut state.warnings)
    }

    /// The picture of this key, if it is there and whole.
    pub(crate) fn get(&self, key: Key) -> Option<Decoded> {
        let path = key.path(&self.folder);
        let bytes = match fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(_) => None,
        };
        let found = bytes.and_then(|bytes| entry::read(bytes, &key.0));
        if found.is_none() {
            let mut state = self.state();
            state.damaged += 1;
            // Another process may have done so already, or the disk may refuse; it is made again anyway.
            drop(fs::remove_file(&path));
            state.example = Some(path);
        }
        found
    }

    /// Keeps a picture, if there is room.
    pub(crate) fn keep(&self, key: Key, picture: &Decoded) {
        if self.state().is_closed {
            return;
        }
        if let Err(error) = self.write(key, picture) {
            self.close(&error.to_string());
        }
    }

    fn write(&self, key: Key, picture: &Decoded) -> std::io::Result<()> {
        let path = key.path(&self.folder);
        let bytes = entry::write(picture, &key.0);
        let Reserved::Aside(mut aside) = self.room.reserve(bytes.len() as u64)? else {
            let gib = self.room.limit() as f64 / f64::from(1 << 30);
            self.close(&format!("its {gib:.3} GiB are full"));
            return Ok(());
        };
        aside.as_file_mut().write_all(&bytes)?;
        self.room.settle(aside, &path)
    }

    /// Writes nothing more, and says so once.
    fn close(&self, why: &str) {
        let mut state = self.state();
        if !std::mem::replace(&mut state.is_closed, true) {
            let folder = self.folder.display();
            state.warnings.push(format!(
                "picture cache {folder}: {why}; pictures that are not in it are decoded in every epoch"
            ));
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is whole whatever panicked elsewhere: no change of it can be half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
