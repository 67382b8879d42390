//! Generated data sets whose truth is known, in the format of the real ones ([`Format`]).
//!
//! Memes, tables and news: a caption has a tone (praise or scorn, two cue words) and a picture a scene (day or night,
//! visible everywhere in it). [`Truth`] says how the label follows from these two bits; 6 % of
//! the labels are then flipped in every split, so no model can get beyond an expected AUROC of
//! 0.94. All else about captions and pictures is drawn at random and means nothing.
//!
//! VQA v2: a picture shows one to four shapes of one colour and kind, and questions are about their
//! colour, kind and number; some can be answered without looking, as in the real set.
//!
//! SNLI-VE: a picture shows one shape, and a hypothesis names its colour, names another, or says
//! what nobody can see in it; the last can be told from the text alone, as in the real set.
//!
//! A row depends on the seed, its split and its number, through whole numbers alone, so a set has
//! the same bytes on every machine and with any number of threads.

mod entailment;
mod folder;
mod format;
mod hypotheses;
mod memes;
mod questions;
mod scene;
mod shapes;
mod tables;
mod words;

use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use self::folder::Folder;
pub use self::format::Format;
use self::format::FormatRow;
use crate::DataError;
use crate::place::Place;

/// What decides the label of a generated set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Truth {
    /// Text and picture together and neither alone: the exclusive or of one bit of each.
    Interaction,
    /// Text and picture say the same.
    Redundant,
    /// The picture alone.
    Image,
    /// The text alone.
    Text,
    /// Nothing: a coin.
    None,
}

const TRUTHS: [(Truth, &str); 5] = [
    (Truth::Interaction, "interaction"),
    (Truth::Redundant, "redundant"),
    (Truth::Image, "image"),
    (Truth::Text, "text"),
    (Truth::None, "none"),
];

impl fmt::Display for Truth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = TRUTHS.iter().find(|(truth, _)| truth == self).map_or("", |(_, name)| name);
        formatter.pad(name)
    }
}

impl FromStr for Truth {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        let names: Vec<&str> = TRUTHS.iter().map(|(_, name)| *name).collect();
        TRUTHS
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(truth, _)| *truth)
            .ok_or_else(|| DataError::unknown("truth", name, &names))
    }
}

/// A set to generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemoSet {
    /// What it looks like.
    pub format: Format,
    /// What decides the labels.
    pub truth: Truth,
    /// The seed of all chance in it.
    pub seed: u64,
    /// Rows of the training split.
    pub train: usize,
    /// Rows of the selection split.
    pub dev: usize,
    /// Rows of the test split.
    pub test: usize,
}

/// More rows than this would run out of captions that differ.
const MOST_ROWS: usize = 200_000;

impl DemoSet {
    /// Memes of the usual size: 3,000 rows to train on, 500 to select on, 1,000 to test on. Tiny
    /// models learn it, and 1,000 test rows and three seeds decide.
    #[must_use]
    pub fn new(truth: Truth, seed: u64) -> Self {
        Self::of(Format::HatefulMemes, truth, seed)
    }

    /// A set in this format, of a size that tiny models learn it from.
    #[must_use]
    pub fn of(format: Format, truth: Truth, seed: u64) -> Self {
        let [train, dev, test] = format.row().usual;
        Self { format, truth, seed, train, dev, test }
    }

    /// The same with `train` rows to train on, and the other splits in proportion.
    #[must_use]
    pub fn with_items(self, train: usize) -> Self {
        Self { train, dev: (train / 6).max(1), test: (train / 3).max(1), ..self }
    }

    /// Rows of each split, in the order train, selection, test.
    fn sizes(&self) -> [usize; 3] {
        [self.train, self.dev, self.test]
    }

    /// Refuses splits without rows and more rows than there are captions.
    fn check(&self) -> Result<(), DataError> {
        let total = self.train.saturating_add(self.dev).saturating_add(self.test);
        if !self.sizes().contains(&0) && total <= MOST_ROWS {
            return Ok(());
        }
        Err(DataError::Setting(format!(
            "{} + {} + {} rows cannot be generated; each split needs one row at least, and all \
             together {MOST_ROWS} at most",
            self.train, self.dev, self.test
        )))
    }
}

/// The file in a generated folder that says what it is.
pub(crate) const MANIFEST: &str = "demo.json";

/// What a generated folder says of itself, in `demo.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// That this is no real data set.
    pub notice: String,
    /// The data set whose format it has.
    pub dataset: String,
    /// What decides the labels.
    pub truth: Truth,
    /// The seed it was drawn from.
    pub seed: u64,
    /// Rows of the training split.
    pub train: usize,
    /// Rows of the selection split.
    pub dev: usize,
    /// Rows of the test split.
    pub test: usize,
}

/// The manifest of a generated folder or of an archive of it; `None` for any other.
///
/// # Errors
///
/// A `demo.json` that is none of ours.
pub fn manifest(root: &Path) -> Result<Option<Manifest>, DataError> {
    if root.exists() { manifest_in(&Place::new(root)?) } else { Ok(None) }
}

/// The same of a root that was opened.
pub(crate) fn manifest_in(place: &Place) -> Result<Option<Manifest>, DataError> {
    let Some(source) = place.file(MANIFEST, None)? else { return Ok(None) };
    serde_json::from_slice(&source.read()?).map(Some).map_err(|error| {
        let problem = format!("not a manifest of generated data ({error}); remove it");
        DataError::file(source.path(), problem)
    })
}

/// What readers say of a generated folder.
pub(crate) fn note(place: &Place) -> Result<Option<String>, DataError> {
    Ok(manifest_in(place)?.map(|manifest| {
        format!("generated demo data (truth {}): not the real data set", manifest.truth)
    }))
}

/// Writes a generated set in the layout of its data set into the folder `out`, which must be absent
/// or empty: the pictures and files of the data set, `LICENSE.txt` and `demo.json`. The folder
/// appears whole or not at all.
///
/// # Errors
///
/// A split of no rows, more than 200,000 rows, an occupied folder, or a folder that cannot be
/// written.
pub fn write(set: &DemoSet, out: &Path) -> Result<Manifest, DataError> {
    set.check()?;
    let folder = (set.format.row().folder)(set)?;
    let occupied = match fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => out.exists(),
    };
    let Some(name) = out.file_name().filter(|_| !occupied) else {
        let problem = "not an empty folder; name one that does not exist yet";
        return Err(DataError::file(out, problem));
    };
    let partial = format!(".{}.partial-{}", name.to_string_lossy(), std::process::id());
    let partial = out.with_file_name(partial);
    let written = write_files(set, &folder, &partial).and_then(|manifest| {
        if out.exists() {
            fs::remove_dir(out).map_err(DataError::io(out, REMEDY))?;
        }
        fs::rename(&partial, out).map_err(DataError::io(out, REMEDY))?;
        Ok(manifest)
    });
    if written.is_err() && partial.exists() {
        // The first error is the one to report; what cannot be removed is named by its folder.
        drop(fs::remove_dir_all(&partial));
    }
    written
}

const REMEDY: &str = "name a folder on a disk that can be written and has room";

fn write_files(set: &DemoSet, folder: &Folder, out: &Path) -> Result<Manifest, DataError> {
    folder.write(out)?;
    let FormatRow { dataset, title, .. } = set.format.row();
    let licence = format!(
        "This folder was generated by mmc. It is not the real {title} data set and holds nothing \
         of it; it has only its file format.\n\nThe captions and pictures are random and free of \
         any right: CC0-1.0.\n"
    );
    let path = out.join("LICENSE.txt");
    fs::write(&path, licence).map_err(DataError::io(&path, REMEDY))?;
    let manifest = Manifest {
        notice: format!("generated by mmc: not the real {title}"),
        dataset: (*dataset).to_owned(),
        truth: set.truth,
        seed: set.seed,
        train: set.train,
        dev: set.dev,
        test: set.test,
    };
    let path = out.join(MANIFEST);
    let text = serde_json::to_string_pretty(&manifest)
        .map_err(|error| DataError::file(&path, error.to_string()))?;
    fs::write(&path, text + "\n").map_err(DataError::io(&path, REMEDY))?;
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::sample::hexadecimal;
    use crate::{ReadOptions, dataset, decode};

    fn small(truth: Truth) -> DemoSet {
        DemoSet { train: 40, dev: 8, test: 12, ..DemoSet::new(truth, 7) }
    }

    fn hash_of_folder(folder: &Path) -> String {
        let mut paths = Vec::new();
        for folder in [folder.to_owned(), folder.join("img")] {
            let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            paths.extend(entries.filter(|path| path.is_file()));
        }
        paths.sort();
        let mut hash = Sha256::new();
        for path in paths {
            hash.update(path.strip_prefix(folder).unwrap().to_str().unwrap());
            hash.update(fs::read(&path).unwrap());
        }
        hexadecimal(&hash.finalize())
    }

    /// No reference: it holds the bytes as they first were, on any machine and with any number of
    /// threads. An encoder that packs otherwise changes it, and with it every published demo run.
    #[test]
    fn the_bytes_never_change() {
        let folder = tempfile::tempdir().unwrap();
        for (threads, name) in [(1, "one"), (4, "four")] {
            let out = folder.path().join(name);
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| write(&small(Truth::Interaction), &out)).unwrap();
            assert_eq!(hash_of_folder(&out), BYTES, "{threads} threads");
        }
    }
    const BYTES: &str = "86ce2bb54613de305a444b109335c1e4e63e38bfda943feffd55e732cb2dfc7a";

    #[test]
    fn the_reader_of_the_real_set_reads_it_and_says_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let set = small(Truth::Interaction);
        let written = write(&set, folder.path().join("a").as_path()).unwrap();
        let root = folder.path().join("a");
        assert_eq!(manifest(&root).unwrap(), Some(written));
        let memes = dataset("hateful_memes").unwrap();
        for (name, rows) in [("train", 40), ("dev_unseen", 8), ("test_unseen", 12)] {
            let split = memes.read(&root, name, &ReadOptions::default()).unwrap();
            assert_eq!(split.len(), rows);
            assert!(split.is_labelled());
            assert_eq!(
                split.notes,
                ["generated demo data (truth interaction): not the real data set"]
            );
            for sample in &split {
                let picture = decode(sample.image.as_ref().unwrap()).unwrap();
                assert_eq!(picture.dimensions(), (64, 64));
            }
            // The fours of the training split are the groups; all else stands alone.
            let grouped = split.iter().filter(|sample| sample.group.is_some()).count();
            assert_eq!(grouped, if name == "train" { rows } else { 0 });
        }
        assert!(memes.resolve_splits(&root).unwrap().notes.is_empty());
    }

    #[test]
    fn an_occupied_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        fs::create_dir(&out).unwrap();
        write(&small(Truth::Text), &out).unwrap(); // an empty one will do
        let before = hash_of_folder(&out);
        let error = write(&small(Truth::Image), &out).unwrap_err();
        assert!(
            error.to_string().ends_with("not an empty folder; name one that does not exist yet")
        );
        assert_eq!(hash_of_folder(&out), before);
        fs::write(folder.path().join("file"), "x").unwrap();
        assert!(write(&small(Truth::Image), &folder.path().join("file")).is_err());
        assert!(write(&small(Truth::Image), &folder.path().join("file/below")).is_err());
        // Nothing half written lies about.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn truths_are_written_as_they_are_read() {
        for (truth, name) in TRUTHS {
            assert_eq!(truth.to_string(), name);
            assert_eq!(name.parse::<Truth>().unwrap(), truth);
        }
        let error = "interacton".parse::<Truth>().unwrap_err();
        assert!(error.to_string().contains("did you mean `interaction`"), "{error}");
    }
}
