//! One labelled pair of a text and a picture, and a split full of them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Answers, DataError, Packed};

/// One item of a data set: what a model sees, and what it should say.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The item's name, as the file writes it (`SPLIT:ROW` where the file gives none).
    pub id: String,
    /// The text, untouched; empty where there is none.
    pub text: String,
    /// The picture, where there is one.
    pub image: Option<ImageSource>,
    /// The right answer, where it is known.
    pub target: Option<Target>,
    /// Items of the same group share content (the same picture, or word for word the same text),
    /// so they are not independent. `None`: this item stands alone.
    pub group: Option<String>,
}

/// Where a picture is to be had.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageSource {
    /// A file, checked to lie inside the data root.
    File(PathBuf),
    /// A file within an archive, or the bytes of a cell of a Parquet table.
    Packed(Packed),
}

impl ImageSource {
    /// What tells this picture from others: its path; within an archive `ARCHIVE/ENTRY`; in a
    /// Parquet table `TABLE#SHA256`, so that equal bytes are one picture.
    #[must_use]
    pub fn key(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Packed(packed) => packed.key(),
        }
    }

    /// What changes when the picture does, as far as that can be told without reading it: where it lies,
    /// and the size and the time of change of the file in which it does. For a cell of a Parquet table
    /// it is [`ImageSource::key`], in which its bytes are.
    ///
    /// # Errors
    /// What the system says of that file.
    pub fn stamp(&self) -> std::io::Result<String> {
        match self {
            Self::File(path) => stamp_of(path, path),
            Self::Packed(packed) => packed.stamp(),
        }
    }

    /// Where it is, to be shown in messages: a path, or `TABLE:ROW`.
    #[must_use]
    pub fn place(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Packed(packed) => packed.place(),
        }
    }
}

/// Of the picture `key` in a file.
pub(crate) fn stamp_of(file: &Path, key: &Path) -> std::io::Result<String> {
    let about = std::fs::metadata(file)?;
    let changed = about.modified()?.duration_since(std::time::UNIX_EPOCH);
    let changed = changed.map_err(std::io::Error::other)?.as_nanos();
    let key = std::path::absolute(key)?;
    let key = key.as_os_str().as_encoded_bytes().escape_ascii();
    Ok(format!("{key} {} {changed}", about.len()))
}

impl fmt::Display for ImageSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key().display().fmt(formatter)
    }
}

/// The right answer of a sample.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// Exactly one class, as an index into [`Split::labels`].
    Class(usize),
    /// Several accepted answers, each with its score.
    Answers(Arc<Answers>),
}

/// Which inputs a model is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arm {
    /// The text and the picture.
    #[default]
    Both,
    /// The text alone.
    Text,
    /// The picture alone.
    Image,
}

impl Arm {
    /// Whether the text is shown.
    #[must_use]
    pub fn uses_text(self) -> bool {
        self != Self::Image
    }

    /// Whether the picture is shown.
    #[must_use]
    pub fn uses_image(self) -> bool {
        self != Self::Text
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Both => "both",
            Self::Text => "text",
            Self::Image => "image",
        })
    }
}

impl FromStr for Arm {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        match name {
            "both" => Ok(Self::Both),
            "text" => Ok(Self::Text),
            "image" => Ok(Self::Image),
            _ => Err(DataError::unknown("arm", name, &["both", "text", "image"])),
        }
    }
}

/// The name of a split, known to exist in its data set. Made by
/// [`Dataset::split_name`](crate::Dataset::split_name).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SplitName(String);

impl SplitName {
    /// Of a name that has been checked.
    pub(crate) fn checked(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SplitName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// All samples of one split, in the file's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Its published name; `input` where the rows are no split of a data set.
    pub name: SplitName,
    /// The file it was read from.
    pub path: PathBuf,
    /// The samples, in the file's order.
    pub samples: Vec<Sample>,
    /// The names of the classes; a [`Target`] is an index into them.
    pub labels: Vec<String>,
    /// What was left out, replaced or will be skipped, counted, in words: to be shown to the user.
    pub notes: Vec<String>,
    /// How many samples have a picture that is missing, which
    /// [`OnBadItem::Skip`](crate::OnBadItem::Skip) lets stay; 0 where pictures are not looked for.
    pub missing_pictures: usize,
}

impl Split {
    /// Unlabelled rows that are no split of a data set, as [`read_inputs`](crate::read_inputs)
    /// gives them, so that what takes a split takes them too. Its name is `input`.
    #[must_use]
    pub fn of_inputs(path: &Path, samples: Vec<Sample>) -> Self {
        let (labels, notes) = (Vec::new(), Vec::new());
        let (name, path) = (SplitName::checked("input"), path.to_owned());
        Self { name, path, samples, labels, notes, missing_pictures: 0 }
    }

    /// How many samples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is no sample at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Whether every sample has its answer. Readers see to it that either all have or none has.
    #[must_use]
    pub fn is_labelled(&self) -> bool {
        !self.is_empty() && self.samples.iter().all(|sample| sample.target.is_some())
    }

    /// Refuses a split of which no row has a picture where the model is shown pictures. Rows among
    /// them that have none are errors of readers, or are skipped where bad items may be.
    ///
    /// # Errors
    ///
    /// [`DataError::File`], with what can be done instead.
    pub fn check_pictures(&self, arm: Arm) -> Result<(), DataError> {
        if !arm.uses_image() || self.samples.iter().any(|sample| sample.image.is_some()) {
            return Ok(());
        }
        let problem = "no row has a picture, and the model is shown pictures; name their column, or \
                       use a model of texts";
        Err(DataError::file(&self.path, problem))
    }

    /// The samples, in the file's order.
    pub fn iter(&self) -> std::slice::Iter<'_, Sample> {
        self.samples.iter()
    }

    /// How many samples each class has, in the order of [`Split::labels`]. Accepted answers count
    /// for no class.
    #[must_use]
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.labels.len()];
        for sample in &self.samples {
            if let Some(Target::Class(class)) = sample.target
                && let Some(count) = counts.get_mut(class)
            {
                *count += 1;
            }
        }
        counts
    }

    /// SHA-256, in hexadecimal, over class names (but not the answers that can be given to
    /// questions) and over each sample's id, text and target, in order: it changes when a row is changed, added, dropped or moved. Pictures count by
    /// presence alone, so the folder may be moved.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let mut add = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        // Answers that can be given are a choice of the run, what people gave is the data.
        let is_answered = |sample: &Sample| matches!(sample.target, Some(Target::Answers(_)));
        if !self.samples.iter().any(is_answered) {
            self.labels.iter().for_each(|label| add(label.as_bytes()));
        }
        for sample in &self.samples {
            add(sample.id.as_bytes());
            add(sample.text.as_bytes());
            add(&[u8::from(sample.image.is_some())]);
            match &sample.target {
                None => add(b"none"),
                Some(Target::Class(class)) => add(&(*class as u64).to_le_bytes()),
                Some(Target::Answers(answers)) => {
                    answers.given.iter().for_each(|answer| add(answer.as_bytes()));
                }
            }
        }
        hexadecimal(&hash.finalize())
    }
}

impl<'a> IntoIterator for &'a Split {
    type Item = &'a Sample;
    type IntoIter = std::slice::Iter<'a, Sample>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split() -> Split {
        let sample = |id: &str, class| Sample {
            id: id.to_owned(),
            text: format!("text of {id}"),
            image: None,
            target: Some(Target::Class(class)),
            group: None,
        };
        Split {
            labels: vec!["no".to_owned(), "yes".to_owned()],
            ..Split::of_inputs(
                Path::new("x.csv"),
                vec![sample("a", 1), sample("b", 0), sample("c", 1)],
            )
        }
    }

    #[test]
    fn classes_are_counted_in_their_order() {
        assert_eq!(split().class_counts(), [1, 2]);
        assert!(split().is_labelled());
        assert!(!Split::of_inputs(Path::new("x"), Vec::new()).is_labelled());
    }

    #[test]
    fn the_fingerprint_sees_each_change_and_not_the_place() {
        let base = split().fingerprint();
        assert_eq!(base.len(), 64);
        assert_eq!(base, split().fingerprint());
        let changes: [fn(&mut Split); 6] = [
            |split| split.samples.swap(0, 2),
            |split| split.samples[0].id.push('x'),
            |split| split.samples[0].text.push('x'),
            |split| split.samples[0].target = Some(Target::Class(0)),
            |split| split.samples[0].target = None,
            |split| split.labels.swap(0, 1),
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut changed = split();
            change(&mut changed);
            assert_ne!(changed.fingerprint(), base, "change {index}");
        }
        let mut moved = split();
        moved.path = PathBuf::from("elsewhere");
        assert_eq!(moved.fingerprint(), base);
    }

    #[test]
    fn arms_are_written_as_they_are_read() {
        for arm in [Arm::Both, Arm::Text, Arm::Image] {
            assert_eq!(arm.to_string().parse::<Arm>().unwrap(), arm);
        }
        assert!("txt".parse::<Arm>().unwrap_err().to_string().contains("did you mean `text`"));
    }
}
