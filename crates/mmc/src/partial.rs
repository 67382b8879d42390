//! A file that is written in parts: the parts lie in a folder beside it until it is whole.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use mmc_run::Predictions;
use serde_json::Value;

use crate::failure::Failure;

/// What the rows are made from.
const ABOUT: &str = "about.json";

/// The same while it is written.
const ABOUT_ASIDE: &str = "about.part";

/// `OUT.partial/`: `about.json`, which says what the rows are made from, and `rows.jsonl`. The
/// folder appears with the first part, `about.json` before any row.
pub(crate) struct Partial {
    folder: PathBuf,
    about: Value,
}

impl Partial {
    /// `OUT.partial`.
    pub(crate) fn folder(out: &Path) -> PathBuf {
        let mut name = out.file_name().unwrap_or_default().to_os_string();
        name.push(".partial");
        out.with_file_name(name)
    }

    /// Whether another call got as far as to say what its rows for `out` are made from.
    pub(crate) fn is_begun(out: &Path) -> bool {
        Self::folder(out).join(ABOUT).exists()
    }

    /// The folder for `out`, to go on where another call ended if `resume`.
    pub(crate) fn open(out: &Path, about: Value, resume: bool) -> Result<Self, Failure> {
        let partial = Self { folder: Self::folder(out), about };
        if !partial.folder.exists() || partial.has_nothing_yet()? {
            return Ok(partial);
        }
        let folder = partial.folder.display();
        if !resume {
            return Err(Failure::usage(format!(
                "{folder}: an interrupted call left rows here; `--resume` goes on with them, or \
                 remove the folder"
            )));
        }
        let before = fs::read_to_string(partial.path(ABOUT)).unwrap_or_default();
        if serde_json::from_str(&before).ok() != Some(partial.about.clone()) {
            return Err(Failure::usage(format!(
                "{folder}: its rows are of another checkpoint, input or --max-length; remove the \
                 folder, or give another --out"
            )));
        }
        Ok(partial)
    }

    /// Whether the call that made the folder was stopped before it said what it is about.
    fn has_nothing_yet(&self) -> Result<bool, Failure> {
        for entry in fs::read_dir(&self.folder)? {
            if entry?.file_name() != ABOUT_ASIDE {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A file in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Cuts it to whole parts of so many rows and says how many rows are left.
    pub(crate) fn keep_whole_parts(&self, rows_of_a_part: usize) -> Result<usize, Failure> {
        let path = self.path("rows.jsonl");
        if !path.exists() {
            return Ok(0);
        }
        // A line at a time: there may be millions.
        let mut lines = BufReader::new(File::open(&path)?);
        let (mut line, mut rows, mut at, mut end, mut kept) = (Vec::new(), 0, 0, 0, 0);
        while lines.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            at += line.len() as u64;
            rows += 1;
            if rows % rows_of_a_part == 0 {
                (end, kept) = (at, rows);
            }
            line.clear();
        }
        File::options().write(true).open(&path)?.set_len(end)?;
        Ok(kept)
    }

    /// Makes the folder where it is not there yet.
    pub(crate) fn begin(&self) -> Result<(), Failure> {
        let about = self.path(ABOUT);
        if about.exists() {
            return Ok(());
        }
        if !self.folder.exists() {
            fs::create_dir(&self.folder)?;
        }
        let aside = self.path(ABOUT_ASIDE);
        let mut file = File::create(&aside)?;
        file.write_all(serde_json::to_string_pretty(&self.about)?.as_bytes())?;
        file.sync_all()?;
        Ok(fs::rename(aside, about)?)
    }

    /// Adds rows in one write.
    pub(crate) fn append(&self, rows: &Predictions) -> Result<(), Failure> {
        self.begin()?;
        let part = self.path("part.jsonl");
        rows.write(&part)?;
        let mut file =
            fs::File::options().create(true).append(true).open(self.path("rows.jsonl"))?;
        file.write_all(&fs::read(&part)?)?;
        Ok(fs::remove_file(part)?)
    }

    /// Makes the file of all rows, in its own format, and removes the folder.
    pub(crate) fn finish(self, out: &Path) -> Result<(), Failure> {
        let rows = self.path("rows.jsonl");
        File::open(&rows)?.sync_all()?;
        if out.extension().is_some_and(|extension| extension == "jsonl") {
            fs::rename(rows, out)?;
        } else {
            Predictions::rewrite(&rows, out)?;
        }
        self.remove()
    }

    /// Removes the folder.
    pub(crate) fn remove(self) -> Result<(), Failure> {
        Ok(fs::remove_dir_all(self.folder)?)
    }
}

#[cfg(test)]
mod tests {
    use mmc_run::Prediction;
    use serde_json::json;

    use super::*;

    fn row(id: &str) -> Prediction {
        Prediction {
            id: id.to_owned(),
            label: None,
            prediction: "a".to_owned(),
            probabilities: vec![0.75, 0.25],
            logits: None,
            group: None,
            answer: None,
        }
    }

    fn rows(ids: &[&str]) -> Predictions {
        let classes = vec!["a".to_owned(), "b".to_owned()];
        Predictions { classes, rows: ids.iter().map(|id| row(id)).collect() }
    }

    #[test]
    fn parts_become_one_file_and_a_torn_part_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("p.csv");
        let partial = Partial::open(&out, json!(1), false).unwrap();
        assert!(!partial.folder.exists());
        partial.append(&rows(&["1", "2"])).unwrap();
        partial.append(&rows(&["3"])).unwrap(); // the call was stopped within its second part
        drop(partial);
        assert!(Partial::open(&out, json!(1), false).is_err(), "only with --resume");
        assert!(Partial::open(&out, json!(2), true).is_err(), "other inputs");
        let partial = Partial::open(&out, json!(1), true).unwrap();
        assert_eq!(partial.keep_whole_parts(2).unwrap(), 2);
        partial.append(&rows(&["3", "4"])).unwrap();
        partial.finish(&out).unwrap();
        assert_eq!(Predictions::read(&out).unwrap(), rows(&["1", "2", "3", "4"]));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_says_nothing_yet_is_not_begun() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("p.jsonl");
        let partial = Partial::folder(&out);
        fs::create_dir(&partial).unwrap();
        for torn in [None, Some("{")] {
            if let Some(torn) = torn {
                fs::write(partial.join("about.part"), torn).unwrap();
            }
            assert!(!Partial::is_begun(&out));
            Partial::open(&out, json!(1), false).unwrap();
            Partial::open(&out, json!(2), true).unwrap();
        }
        let opened = Partial::open(&out, json!(1), true).unwrap();
        opened.append(&rows(&["1"])).unwrap();
        assert!(Partial::is_begun(&out));
        assert!(Partial::open(&out, json!(2), true).is_err(), "it says what it is about");
        opened.finish(&out).unwrap();
        assert_eq!(Predictions::read(&out).unwrap(), rows(&["1"]));

        fs::create_dir(&partial).unwrap();
        fs::write(partial.join("rows.jsonl"), "").unwrap();
        assert!(Partial::open(&out, json!(1), true).is_err(), "rows of nobody knows what");
    }
}
