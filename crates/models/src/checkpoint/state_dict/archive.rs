//! The zip archive that `torch.save` writes: where each of its files begins and ends.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

use zip::{CompressionMethod, ZipArchive};

/// The most bytes of an archive's directory, and of its pickle: those of BERT take 0.1 MiB.
const MOST_BYTES: u64 = 4 << 20;

/// The pickle that describes the tensors; what lies before it in its path lies before all.
const PICKLE: &str = "data.pkl";

/// An open archive.
pub(super) struct Archive {
    zip: ZipArchive<BufReader<Metered>>,
    /// What may still be read of its directory and headers.
    left: Rc<Cell<u64>>,
    /// The same file, for what lies in it.
    file: File,
    /// The file's length.
    bytes: u64,
    /// The folder in the archive that all lies in, with a slash behind; torch names it freely.
    folder: String,
    /// Where the numbers lie that were asked for, by key.
    storages: BTreeMap<String, Range<u64>>,
}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let described = |error: io::Error| format!("it cannot be read ({error})");
        let mut file = File::open(path).map_err(described)?;
        let bytes = file.metadata().map_err(described)?.len();
        let mut first = Vec::with_capacity(4);
        file.by_ref().take(4).read_to_end(&mut first).map_err(described)?;
        if first.starts_with(b"\x80") {
            return Err(
                "it is of the format from before PyTorch 1.6; open it with torch and save \
                        it again"
                    .to_owned(),
            );
        }
        let left = Rc::new(Cell::new(MOST_BYTES));
        let own = File::open(path).map_err(described)?;
        let reader = BufReader::new(Metered { file: own, left: Rc::clone(&left) });
        let zip = ZipArchive::new(reader).map_err(|error| {
            format!("it is no zip archive, or its end is missing ({})", described_zip(&error))
        })?;
        let names = zip.file_names().filter_map(Result::ok);
        let folders = names.filter_map(|name| name.strip_suffix(PICKLE).map(str::to_owned));
        let folders: Vec<String> =
            folders.filter(|folder| folder.is_empty() || folder.ends_with('/')).collect();
        let [folder] = folders.as_slice() else {
            let found = folders.len();
            return Err(format!("it holds {found} files `{PICKLE}`, expected one"));
        };
        let folder = folder.clone();
        let mut archive = Self { zip, left, file, bytes, folder, storages: BTreeMap::new() };
        archive.check_byte_order()?;
        Ok(archive)
    }

    /// The pickle's bytes.
    pub(super) fn pickle(&mut self) -> Result<Vec<u8>, String> {
        let place = self.place(PICKLE)?.ok_or_else(|| format!("it holds no `{PICKLE}`"))?;
        let length = place.end - place.start;
        if length > MOST_BYTES {
            return Err(format!("its pickle has {length} bytes, at most {MOST_BYTES} are read"));
        }
        self.read(place)
    }

    /// Where the numbers of this key lie in the file.
    pub(super) fn storage(&mut self, key: &str) -> Result<Range<u64>, String> {
        if let Some(place) = self.storages.get(key) {
            return Ok(place.clone());
        }
        let place = self.place(&format!("data/{key}"))?;
        let place = place.ok_or_else(|| format!("its numbers, `data/{key}`, are missing"))?;
        self.storages.insert(key.to_owned(), place.clone());
        Ok(place)
    }

    /// Newer files say whether their numbers begin with the lowest byte, as all others do.
    fn check_byte_order(&mut self) -> Result<(), String> {
        let Some(place) = self.place("byteorder")? else { return Ok(()) };
        let word = self.read(place.start..place.end.min(place.start + 16))?;
        match word.as_slice() {
            b"little" => Ok(()),
            _ => Err("its numbers are not of byte order `little`".to_owned()),
        }
    }

    fn read(&mut self, place: Range<u64>) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; (place.end - place.start) as usize];
        let mut read = || {
            self.file.seek(SeekFrom::Start(place.start))?;
            self.file.read_exact(&mut bytes)
        };
        read().map_err(|error| format!("it cannot be read ({error})"))?;
        Ok(bytes)
    }

    /// The bytes of a file of the archive, which must lie in it as they are.
    fn place(&mut self, name: &str) -> Result<Option<Range<u64>>, String> {
        let name = format!("{}{name}", self.folder);
        let Some(index) = self.zip.index_for_name(&name) else { return Ok(None) };
        // Its own header is short, but headers of many files are not.
        self.left.set(MOST_BYTES);
        let entry = self.zip.by_index_raw(index).map_err(|error| described_zip(&error))?;
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(format!("`{name}` is compressed or encrypted, which torch never does"));
        }
        let start = entry.data_start().unwrap_or(u64::MAX);
        match start.checked_add(entry.size()) {
            Some(end) if end <= self.bytes && entry.size() == entry.compressed_size() => {
                Ok(Some(start..end))
            }
            _ => Err(format!("`{name}` is longer than the file")),
        }
    }
}

/// An error of the archive in one line.
fn described_zip(error: &zip::result::ZipError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// A file of which only so many bytes are read: a directory that claims millions of files must not
/// fill the memory.
struct Metered {
    file: File,
    left: Rc<Cell<u64>>,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let taken = self.file.read(buffer)?;
        let left = self.left.get().checked_sub(taken as u64);
        self.left.set(left.ok_or_else(|| {
            io::Error::other(format!("more than {MOST_BYTES} bytes of directory"))
        })?);
        Ok(taken)
    }
}

impl Seek for Metered {
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        self.file.seek(place)
    }
}
