//! How many bytes a store has, told by one file that its processes lock in turns.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

/// The file with the number of bytes; it is locked while that is read or changed.
const COUNTER: &str = ".mmc-bytes";
/// How the names of files begin that are not whole yet.
const ASIDE: &str = ".aside-";
/// A file that was not finished for so long never will be: its process was killed.
const ABANDONED: Duration = Duration::from_secs(3600);

/// The bytes of a store: never more than its limit, whoever writes to it.
#[derive(Debug)]
pub(super) struct Room {
    folder: PathBuf,
    limit: u64,
}

/// Room for an entry.
pub(super) enum Reserved {
    /// In this file, which has its length already.
    Aside(NamedTempFile),
    /// Nowhere.
    Full,
}

impl Room {
    /// Counts what is in the folder, which is made if need be.
    pub(super) fn open(folder: &Path, limit: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let room = Self { folder: folder.to_owned(), limit };
        let mut counter = room.counter()?;
        write_number(&mut counter, count(folder)?)?;
        Ok(room)
    }

    /// No room at all.
    pub(super) fn none(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), limit: 0 }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// Takes room for so many bytes. It stays taken if they are never written, until the store is
    /// opened again.
    pub(super) fn reserve(&self, bytes: u64) -> io::Result<Reserved> {
        let mut counter = self.counter()?;
        let taken = match read_number(&mut counter)? {
            Some(taken) => taken,
            None => count(&self.folder)?, // it was never finished
        };
        let Some(taken) = taken.checked_add(bytes).filter(|taken| *taken <= self.limit) else {
            return Ok(Reserved::Full);
        };
        // With its length from the beginning, so that whoever counts meanwhile counts it.
        let aside = tempfile::Builder::new().prefix(ASIDE).tempfile_in(&self.folder)?;
        aside.as_file().set_len(bytes)?;
        write_number(&mut counter, taken)?;
        Ok(Reserved::Aside(aside))
    }

    /// Gives a file its name, while nobody counts.
    pub(super) fn settle(&self, aside: NamedTempFile, path: &Path) -> io::Result<()> {
        let turn = self.counter()?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        aside.persist(path).map_err(|error| error.error)?;
        drop(turn);
        Ok(())
    }

    /// The file with the number, which nobody else has until it is dropped.
    fn counter(&self) -> io::Result<File> {
        let path = self.folder.join(COUNTER);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        file.lock()?;
        Ok(file)
    }
}

fn read_number(file: &mut File) -> io::Result<Option<u64>> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text.strip_suffix('\n').and_then(|number| number.parse().ok()))
}

fn write_number(file: &mut File, number: u64) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{number}")
}

/// The bytes of all entries and of those that are being written. Files of processes that were killed are
/// removed.
fn count(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for file in fs::read_dir(folder)? {
        let file = file?;
        let Ok(about) = file.metadata() else { continue }; // renamed meanwhile
        if about.is_dir() {
            for entry in fs::read_dir(file.path())? {
                bytes += entry?.metadata().map_or(0, |about| about.len());
            }
        } else if file.file_name().as_encoded_bytes().starts_with(ASIDE.as_bytes()) {
            let age = about.modified().map(|time| SystemTime::now().duration_since(time));
            let is_abandoned = age.is_ok_and(|age| age.is_ok_and(|age| age > ABANDONED));
            if is_abandoned && fs::remove_file(file.path()).is_ok() {
                continue;
            }
            bytes += about.len();
        }
    }
    Ok(bytes)
}
