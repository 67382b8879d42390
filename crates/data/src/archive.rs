//! Archives: what is in one, and single entries read from it without unpacking.

mod checked;
mod reader;

use std::collections::HashMap;
use std::fmt;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Component, Path, PathBuf};

use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use self::checked::Checked;
pub(crate) use self::reader::Reader;
use crate::DataError;
use crate::picture::MOST_BYTES;

/// What some programs write before every name in an archive.
const HERE: &str = "./";

/// A `.zip` or `.tar` file whose contents are known. Many threads may read it at once.
pub(crate) struct Archive {
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    Zip(ZipArchive<Reader>),
    Tar { reader: Reader, entries: HashMap<String, Entry> },
}

/// A file within an archive.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry {
    /// By its number.
    Zip(usize),
    /// By its first byte and its length.
    Tar(u64, u64),
}

/// Where the bytes of an entry are in its archive, and what the archive says of them.
pub(crate) struct Extent {
    reader: Reader,
    start: u64,
    /// As they lie there.
    pub(crate) packed: u64,
    /// As they are read.
    pub(crate) length: u64,
    is_deflated: bool,
    checksum: Option<u32>,
}

/// Whether a file of this name is an archive that files can be read from.
pub(crate) fn is_archive(name: &Path) -> bool {
    let extension = name.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|end| end.eq_ignore_ascii_case("zip") || end.eq_ignore_ascii_case("tar"))
}

impl Archive {
    /// Reads what is in an archive; no entry is read.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let reader = Reader::open(path)
            .map_err(DataError::io(path, "check the path and its permissions"))?;
        let is_tar = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("tar"));
        let contents = catch_unwind(AssertUnwindSafe(|| {
            if is_tar {
                let entries = tar_entries(reader.clone()).map_err(|error| error.to_string())?;
                return Ok(Kind::Tar { reader, entries });
            }
            ZipArchive::new(reader).map(Kind::Zip).map_err(|error| error.to_string())
        }));
        let kind =
            contents.unwrap_or_else(|_| Err("it is damaged".to_owned())).map_err(|error| {
                let format = if is_tar { "an uncompressed tar" } else { "a zip" };
                DataError::file(
                    path,
                    format!(
                        "not {format} archive that can be read ({error}); copy or pack it anew"
                    ),
                )
            })?;
        Ok(Self { path: path.to_owned(), kind })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file of this name, with `/` between folders. In the archive it may begin with `./`.
    pub(crate) fn find(&self, name: &str) -> Option<Entry> {
        match &self.kind {
            Kind::Zip(archive) => {
                let index = |name: &str| archive.index_for_name_raw(name.as_bytes());
                index(name).or_else(|| index(&format!("{HERE}{name}"))).map(Entry::Zip)
            }
            Kind::Tar { entries, .. } => entries.get(name).copied(),
        }
    }

    /// The names of its files and folders, as far as they are text, without a `./` before them.
    pub(crate) fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match &self.kind {
            Kind::Zip(archive) => {
                let texts = archive.file_names_raw().filter_map(|name| str::from_utf8(name).ok());
                let names = texts.map(|name| name.strip_prefix(HERE).unwrap_or(name));
                Box::new(names.filter(|name| !name.is_empty()))
            }
            Kind::Tar { entries, .. } => Box::new(entries.keys().map(String::as_str)),
        }
    }

    /// How many bytes an entry says that it has.
    pub(crate) fn length(&self, entry: Entry) -> Result<u64, String> {
        match (entry, &self.kind) {
            (Entry::Zip(index), Kind::Zip(archive)) => {
                let mut archive = archive.clone();
                archive.by_index_raw(index).map(|file| file.size()).map_err(damaged)
            }
            (Entry::Tar(_, length), _) => Ok(length),
            (Entry::Zip(_), Kind::Tar { .. }) => Err("is not in this archive".to_owned()),
        }
    }

    /// Where an entry is; a link, a folder and what is encrypted or compressed otherwise are errors.
    pub(crate) fn extent(&self, entry: Entry) -> Result<Extent, String> {
        match (entry, &self.kind) {
            (Entry::Zip(index), Kind::Zip(archive)) => zip_extent(archive.clone(), index),
            (Entry::Tar(start, length), Kind::Tar { reader, .. }) => Ok(Extent {
                reader: reader.clone(),
                start,
                packed: length,
                length,
                is_deflated: false,
                checksum: None,
            }),
            _ => Err("is not in this archive".to_owned()),
        }
    }

    /// The bytes of an entry: as many as it says, and no more than a picture may have.
    pub(crate) fn read(&self, entry: Entry) -> Result<Vec<u8>, String> {
        let length = self.length(entry)?;
        if length > MOST_BYTES {
            return Err(format!(
                "the file has {length} bytes, more than {MOST_BYTES}; scale it down"
            ));
        }
        self.extent(entry)?.read()
    }
}

impl Extent {
    /// Its bytes from the first to the last. To read more or fewer than the archive says is an error,
    /// found before memory is spent.
    pub(crate) fn open(&self) -> Result<Box<dyn Read + Send>, String> {
        let mut reader = self.reader.clone();
        reader.seek(SeekFrom::Start(self.start)).map_err(damaged)?;
        let packed = BufReader::new(reader.take(self.packed));
        // Inflated here: the feature of `zip` that does so would build candle, which shares it, anew.
        Ok(if self.is_deflated {
            Box::new(Checked::new(DeflateDecoder::new(packed), self.length, self.checksum))
        } else {
            Box::new(Checked::new(packed, self.length, self.checksum))
        })
    }

    /// All of them.
    pub(crate) fn read(&self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        self.open()?.read_to_end(&mut bytes).map_err(damaged)?;
        Ok(bytes)
    }

    /// The file and the place in it where the bytes lie as they are; `None` where they are compressed.
    pub(crate) fn stored(&self) -> Option<(Reader, u64)> {
        let is_plain = !self.is_deflated && self.packed == self.length;
        is_plain.then(|| (self.reader.clone(), self.start))
    }
}

fn damaged(error: impl fmt::Display) -> String {
    format!("cannot be read from its archive ({error}); copy or pack the archive anew")
}

fn zip_extent(mut archive: ZipArchive<Reader>, index: usize) -> Result<Extent, String> {
    let file = archive.by_index_raw(index).map_err(damaged)?;
    if !file.is_file() || file.is_symlink() {
        return Err("is a folder or a link within its archive; name a file".to_owned());
    }
    if file.encrypted() {
        return Err("is encrypted; pack the archive anew without a password".to_owned());
    }
    let method = file.compression();
    if method != CompressionMethod::STORE && method != CompressionMethod::DEFLATE {
        return Err(format!("is compressed as {method:?}; pack the archive anew with Deflate"));
    }
    let start = file.data_start().ok_or_else(|| damaged("it has no place in the archive"))?;
    let (packed, length, checksum) = (file.compressed_size(), file.size(), Some(file.crc32()));
    let is_deflated = method == CompressionMethod::DEFLATE;
    drop(file);
    // All clones read one file.
    let reader = archive.into_inner();
    Ok(Extent { reader, start, packed, length, is_deflated, checksum })
}

/// Bytes of a block of a tar.
const TAR_BLOCK: u64 = 512;

/// The regular files of a tar archive; of two with one name the later, as unpacking leaves it.
fn tar_entries(reader: Reader) -> std::io::Result<HashMap<String, Entry>> {
    let end = reader.length();
    let mut archive = tar::Archive::new(reader);
    let mut entries = HashMap::new();
    let mut behind = 0; // all that was read
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        behind = entry.raw_file_position().saturating_add(entry.header().entry_size()?);
        let name = entry.path()?.to_str().and_then(|name| name_within(Path::new(name)));
        if let Some(name) = name {
            let (start, length) = (entry.raw_file_position(), entry.size());
            if entry.header().entry_type().is_file() {
                if start.checked_add(length).is_none_or(|stop| stop > end) {
                    let words = format!("`{name}` is cut short");
                    return Err(std::io::Error::other(words));
                }
                entries.insert(name, Entry::Tar(start, length));
            } else {
                entries.remove(&name);
            }
        }
    }
    // Empty blocks are the end of a tar.
    if behind.saturating_add(TAR_BLOCK) > end {
        return Err(std::io::Error::other("it ends in its midst"));
    }
    Ok(entries)
}

/// A path within an archive as one string: `None` where it leaves it or is no text.
pub(crate) fn name_within(path: &Path) -> Option<String> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name.to_str()?),
            Component::CurDir => {}
            _ => return None,
        }
    }
    (!names.is_empty()).then(|| names.join("/"))
}

impl fmt::Debug for Archive {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Archive").field(&self.path).finish()
    }
}

#[cfg(test)]
pub(crate) mod tests;
