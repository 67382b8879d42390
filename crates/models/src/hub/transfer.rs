//! One file from the hub to the disk: in pieces if need be, and checked before it is taken.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use ureq::http::{Response, StatusCode};

use super::Progress;
use super::client::{Ask, Client, Facts, Trouble};
use crate::ModelError;

/// A server that sends less than this in a whole time of patience is as good as silent.
const SLOWEST: u64 = 16 * 1024;

/// What an attempt has to bring for the next to count as the first.
const GOOD_PART: u64 = 1024 * 1024;

/// A file as it is announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) url: String,
    pub(super) name: String,
    pub(super) commit: String,
    /// Names the contents; for large files it is their SHA-256.
    pub(super) etag: String,
    pub(super) size: u64,
}

/// Brings a file to `blob`. What is there of it in the partial file beside it is not asked for
/// again.
pub(super) fn bring(
    client: &Client,
    file: &Announced,
    blob: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), Trouble> {
    let mut partial = blob.as_os_str().to_owned();
    partial.push(".incomplete");
    let partial = Partial { path: partial.into() };
    let resumed = partial.len() > 0;
    complete(client, file, &partial, progress)?;
    if let Err(problem) = partial.check(file) {
        partial.remove()?;
        if !resumed {
            return Err(problem);
        }
        // The beginning was not of this call: it alone may be bad.
        complete(client, file, &partial, progress)?;
        partial.check(file).inspect_err(|_| drop(partial.remove()))?;
    }
    fs::rename(&partial.path, blob).map_err(here(blob))
}

/// Asks until the partial file has the announced size.
fn complete(
    client: &Client,
    file: &Announced,
    partial: &Partial,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), Trouble> {
    let mut before = partial.len();
    client.patiently(
        || extend(client, file, partial, progress),
        || {
            let brought = partial.len().saturating_sub(before);
            before = partial.len();
            brought >= GOOD_PART
        },
    )
}

/// One request for what is missing.
fn extend(
    client: &Client,
    file: &Announced,
    partial: &Partial,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), Trouble> {
    if partial.len() > file.size {
        partial.remove()?;
    }
    let start = partial.len();
    if start == file.size && partial.path.is_file() {
        return Ok(());
    }
    let (response, facts) = match client.ask(&file.url, Ask::Bytes { from: start }) {
        // There is no such byte: what is here is not a part of what is there.
        Err(Trouble::Refused { status: 416, .. }) if start > 0 => {
            partial.remove()?;
            return Err(Trouble::passing(format!("the server has no byte {start}")));
        }
        answer => answer?,
    };
    file.still_is(&facts)?;
    let start = first_byte(&response, start, file.size)?;
    let mut to = partial.open(start)?;
    let mut done = start;
    // One byte more than expected is enough to know that it is too much.
    let mut body = response.into_body().into_reader().take(file.size - start + 1);
    let mut pace = Pace::new(client.settings().patience);
    let mut buffer = vec![0; 128 * 1024];
    let ended = loop {
        progress(Progress { file: &file.name, done: done.min(file.size), size: file.size });
        match body.read(&mut buffer) {
            Ok(0) => break None,
            Ok(read) => {
                to.write_all(&buffer[..read]).map_err(here(&partial.path))?;
                done += read as u64;
                if let Some(slow) = pace.too_slow(read as u64) {
                    break Some(slow);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Some(error.to_string()),
        }
    };
    to.sync_all().map_err(here(&partial.path))?;
    if done > file.size {
        drop(to);
        partial.remove()?;
        return Err(Trouble::wrong(format!(
            "more came than the {} bytes that were announced",
            file.size
        )));
    }
    if done < file.size {
        let why = ended.map_or_else(String::new, |why| format!(" ({why})"));
        return Err(Trouble::passing(format!("it broke off at byte {done} of {}{why}", file.size)));
    }
    Ok(())
}

/// Where in the file an answer begins: where it was asked to, or at the start.
fn first_byte<B>(response: &Response<B>, asked: u64, size: u64) -> Result<u64, Trouble> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return Ok(0);
    }
    let range = response.headers().get("content-range").and_then(|value| value.to_str().ok());
    let range = range.unwrap_or_default();
    let expected = (format!("bytes {asked}-"), format!("/{size}"));
    if range.starts_with(&expected.0) && (range.ends_with(&expected.1) || range.ends_with("/*")) {
        return Ok(asked);
    }
    Err(Trouble::wrong(format!(
        "asked for bytes from {asked} of {size}, the server sends `{range}`: the file was changed \
         under way"
    )))
}

impl Announced {
    /// Whether the server still speaks of the same file.
    fn still_is(&self, facts: &Facts) -> Result<(), Trouble> {
        for (what, was, is) in
            [("commit", &self.commit, &facts.commit), ("etag", &self.etag, &facts.etag)]
        {
            if let Some(is) = is
                && is != was
            {
                return Err(Trouble::wrong(format!(
                    "the file was changed under way: its {what} was `{was}` and is `{is}`"
                )));
            }
        }
        Ok(())
    }
}

/// What is there of a file.
struct Partial {
    path: PathBuf,
}

impl Partial {
    fn len(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |found| found.len())
    }

    fn remove(&self) -> Result<(), Trouble> {
        fs::remove_file(&self.path).map_err(here(&self.path))
    }

    /// To be written from this byte on.
    fn open(&self, start: u64) -> Result<File, Trouble> {
        let mut options = OpenOptions::new();
        let options =
            if start > 0 { options.append(true) } else { options.write(true).truncate(true) };
        options.create(true).open(&self.path).map_err(here(&self.path))
    }

    /// Whether it is what was announced.
    fn check(&self, file: &Announced) -> Result<(), Trouble> {
        let is_digest = file.etag.len() == 64 && file.etag.bytes().all(|it| it.is_ascii_hexdigit());
        if !is_digest {
            return Ok(()); // of small files git's own digest is given; their size was checked
        }
        let mut hasher = Sha256::new();
        let mut from = File::open(&self.path).map_err(here(&self.path))?;
        io::copy(&mut from, &mut hasher).map_err(here(&self.path))?;
        let found = format!("{:x}", hasher.finalize());
        if found == file.etag.to_ascii_lowercase() {
            return Ok(());
        }
        Err(Trouble::wrong(format!(
            "its SHA-256 is `{found}`, announced was `{}`; it was not kept",
            file.etag
        )))
    }
}

/// How fast bytes come.
struct Pace {
    patience: Duration,
    since: Instant,
    bytes: u64,
}

impl Pace {
    fn new(patience: Duration) -> Self {
        Self { patience, since: Instant::now(), bytes: 0 }
    }

    /// Counts bytes; in words, if too few came for too long.
    fn too_slow(&mut self, bytes: u64) -> Option<String> {
        self.bytes += bytes;
        let time = self.since.elapsed();
        if time < self.patience {
            return None;
        }
        let (came, seconds) = (self.bytes, time.as_secs_f64());
        *self = Self::new(self.patience);
        (came < SLOWEST).then(|| format!("only {came} bytes in {seconds:.1} s"))
    }
}

/// Trouble with a file on this side.
pub(super) fn here(path: &Path) -> impl FnOnce(io::Error) -> Trouble {
    let path = path.to_owned();
    |source| Trouble::Here(ModelError::Write { path, source })
}
