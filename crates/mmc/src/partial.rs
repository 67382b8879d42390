//! A file that is written in parts: the parts lie in a folder beside it until it is whole.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use mmc_run::Predictions;

use crate::failure::Failure;

/// `OUT.partial/`: `about.json`, which says what the rows are made from, and `rows.jsonl`.
pub(crate) struct Partial {
    folder: PathBuf,
}

impl Partial {
    /// Opens the folder for `out`, to go on where another call ended if `resume`.
    pub(crate) fn open(
        out: &Path,
        about: &serde_json::Value,
        resume: bool,
    ) -> Result<Self, Failure> {
        let mut name = out.file_name().unwrap_or_default().to_os_string();
        name.push(".partial");
        let partial = Self { folder: out.with_file_name(name) };
        let (folder, said) = (partial.folder.display(), partial.folder.join("about.json"));
        if partial.folder.exists() && !resume {
            return Err(Failure::usage(format!(
                "{folder}: an interrupted call left rows here; `--resume` goes on with them, or \
                 remove the folder"
            )));
        }
        match fs::read_to_string(&said) {
            Ok(before) if serde_json::from_str::<serde_json::Value>(&before)? != *about => {
                return Err(Failure::usage(format!(
                    "{folder}: its rows are of another checkpoint, input or --max-length; remove \
                     the folder, or give another --out"
                )));
            }
            Ok(_) => {}
            Err(_) => {
                fs::create_dir_all(&partial.folder)
                    .map_err(|error| Failure::work(format!("{folder}: {error}")))?;
                fs::write(&said, serde_json::to_string_pretty(about)?)?;
            }
        }
        Ok(partial)
    }

    fn path(&self) -> PathBuf {
        self.folder.join("rows.jsonl")
    }

    /// Whole lines in it.
    pub(crate) fn rows(&self) -> Result<usize, Failure> {
        if !self.path().exists() {
            return Ok(0);
        }
        Ok(fs::read_to_string(self.path())?.matches('\n').count())
    }

    /// Cuts it to its first `rows` lines.
    pub(crate) fn keep(&self, rows: usize) -> Result<(), Failure> {
        if !self.path().exists() {
            return Ok(());
        }
        let bytes = fs::read(self.path())?;
        let end: usize =
            bytes.split_inclusive(|&byte| byte == b'\n').take(rows).map(<[u8]>::len).sum();
        fs::write(self.path(), &bytes[..end])?;
        Ok(())
    }

    /// Adds rows in one write.
    pub(crate) fn append(&self, rows: &Predictions) -> Result<(), Failure> {
        let part = self.folder.join("part.jsonl");
        rows.write(&part)?;
        let mut file = fs::File::options().create(true).append(true).open(self.path())?;
        file.write_all(&fs::read(&part)?)?;
        Ok(fs::remove_file(part)?)
    }

    /// Makes the file of all rows, in its own format, and removes the folder.
    pub(crate) fn finish(self, out: &Path) -> Result<(), Failure> {
        if out.extension().is_some_and(|extension| extension == "jsonl") {
            fs::rename(self.path(), out)?;
        } else {
            Predictions::read(&self.path())?.write(out)?;
        }
        Ok(fs::remove_dir_all(self.folder)?)
    }
}
