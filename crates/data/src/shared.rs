//! Rows of one split that are also in another: by id, by text, and by the bytes of the picture.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::picture::{bytes_of, length_of};
use crate::{ImageSource, Sample, Split};

/// Ids that are named.
const NAMED: usize = 5;

/// How many rows of a split are also in another one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// Rows whose id the other split has too.
    pub ids: usize,
    /// Rows whose text it has, word for word; empty texts do not count.
    pub texts: usize,
    /// Rows whose picture it has, byte for byte, under whatever name.
    pub pictures: usize,
    /// Rows that it has too: the same text with the same picture, or the same id with one of the two.
    pub items: usize,
    /// The first ids of such rows.
    pub examples: Vec<String>,
    /// Pictures of both splits that could not be read and so were compared with none.
    pub unread: usize,
}

/// Compares two splits. Pictures count as the same where their files hold the same bytes; only
/// files of a size that both splits have are read. [`crate::check::check`] decodes every picture and
/// compares pixels.
#[must_use]
pub fn shared(of: &Split, among: &Split) -> Shared {
    let pictures = Pictures::of(of, among);
    let (mut texts, mut hashes, mut inputs) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut ids = HashMap::new();
    for sample in among {
        let picture = pictures.content(sample);
        ids.insert(sample.id.as_str(), sample);
        texts.insert(sample.text.as_str());
        hashes.extend(picture);
        inputs.extend(input(sample, picture));
    }
    let mut found = Shared { unread: pictures.unread, ..Shared::default() };
    for sample in of {
        let picture = pictures.content(sample);
        let namesake = ids.get(sample.id.as_str()).copied();
        let has_text = !sample.text.trim().is_empty();
        found.ids += usize::from(namesake.is_some());
        found.texts += usize::from(has_text && texts.contains(sample.text.as_str()));
        found.pictures += usize::from(picture.as_ref().is_some_and(|at| hashes.contains(at)));
        let changed = namesake.is_some_and(|other| {
            (has_text && other.text == sample.text)
                || (picture.is_some() && picture == pictures.content(other))
        });
        if changed || input(sample, picture).is_some_and(|input| inputs.contains(&input)) {
            found.items += 1;
            if found.examples.len() < NAMED {
                found.examples.push(sample.id.clone());
            }
        }
    }
    found
}

/// What a picture is: the hash of its bytes where the other split has a file of that size, else its
/// path, which nothing of the other split equals unless it is the same file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Content<'a> {
    Bytes([u8; 32]),
    Alone(&'a Path),
}

type Input<'a> = (&'a str, Option<Content<'a>>);

/// What a row shows; a row that shows nothing is nobody's copy.
fn input<'a>(sample: &'a Sample, picture: Option<Content<'a>>) -> Option<Input<'a>> {
    let shows = picture.is_some() || !sample.text.trim().is_empty();
    shows.then_some((sample.text.as_str(), picture))
}

/// The pictures of two splits by their contents.
struct Pictures<'a> {
    hashes: BTreeMap<&'a Path, [u8; 32]>,
    unread: usize,
}

impl<'a> Pictures<'a> {
    fn of(first: &'a Split, second: &'a Split) -> Self {
        let sources = |split: &'a Split| -> BTreeMap<&'a Path, &'a ImageSource> {
            let images = split.iter().filter_map(|sample| sample.image.as_ref());
            images.map(|image| (image.key(), image)).collect()
        };
        let (ours, theirs) = (sources(first), sources(second));
        let all: BTreeMap<&Path, &ImageSource> =
            ours.iter().chain(&theirs).map(|(&key, &image)| (key, image)).collect();
        let sizes: BTreeMap<&Path, u64> =
            all.par_iter().filter_map(|(&key, image)| Some((key, length_of(image)?))).collect();
        let of = |sources: &BTreeMap<&'a Path, &'a ImageSource>| -> BTreeSet<u64> {
            sources.keys().filter_map(|key| sizes.get(key).copied()).collect()
        };
        let both: BTreeSet<u64> = of(&ours).intersection(&of(&theirs)).copied().collect();
        let compared: Vec<&Path> =
            sizes.iter().filter(|(_, size)| both.contains(size)).map(|(&key, _)| key).collect();
        let hashes: BTreeMap<&Path, [u8; 32]> = compared
            .par_iter()
            .filter_map(|&key| {
                Some((key, Sha256::digest(bytes_of(all.get(key)?).ok()?.as_slice()).into()))
            })
            .collect();
        let unread = all.len() - sizes.len() + compared.len() - hashes.len();
        Self { hashes, unread }
    }

    fn content(&self, sample: &'a Sample) -> Option<Content<'a>> {
        let path = path(sample)?;
        Some(self.hashes.get(path).map_or(Content::Alone(path), |hash| Content::Bytes(*hash)))
    }
}

fn path(sample: &Sample) -> Option<&Path> {
    sample.image.as_ref().map(ImageSource::key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arm, ReadOptions, dataset};

    /// Two splits of a table, each row `id,text,image,label`.
    fn compared(test: &str, train: &str) -> Shared {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in
            [("a.png", "aa"), ("copy.png", "aa"), ("b.png", "bb"), ("c.png", "ccc")]
        {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        let table = dataset("table").unwrap();
        let read = |name: &str, rows: &str| {
            let text = format!("id,text,image,label\n{rows}");
            std::fs::write(folder.path().join(format!("{name}.csv")), text).unwrap();
            // As runs that are shown texts read a table of which some rows have a picture.
            let options = ReadOptions { arm: Arm::Text, ..ReadOptions::default() };
            table.read(folder.path(), name, &options).unwrap()
        };
        let train = read("train", &format!("{train}x,rest,c.png,0\ny,other,c.png,1\n"));
        shared(&read("test", &format!("{test}z,alone,b.png,0\n")), &train)
    }

    #[test]
    fn a_copy_under_another_name_is_found_by_its_contents() {
        let found = compared("1,hello,copy.png,0\n", "7,hello,a.png,1\n");
        let expected = Shared {
            texts: 1,
            pictures: 1,
            items: 1,
            examples: vec!["1".to_owned()],
            ..Shared::default()
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn another_picture_of_the_same_size_and_another_text_are_no_copies() {
        let found = compared("1,hello,b.png,0\n", "2,hello,a.png,1\n");
        assert_eq!((found.ids, found.texts, found.pictures, found.items), (0, 1, 0, 0));
        let found = compared("1,hello,a.png,0\n", "2,good bye,a.png,1\n");
        assert_eq!((found.ids, found.texts, found.pictures, found.items), (0, 0, 1, 0));
        // Splits that are numbered alike have nothing in common by that.
        let found = compared("1,hello,b.png,0\n", "1,good bye,a.png,1\n");
        assert_eq!((found.ids, found.texts, found.pictures, found.items), (1, 0, 0, 0));
    }

    #[test]
    fn an_item_that_was_changed_is_known_by_its_id() {
        let found = compared("1,hello,b.png,0\n", "1,hello,a.png,1\n");
        assert_eq!((found.ids, found.texts, found.pictures, found.items), (1, 1, 0, 1));
        let found = compared("1,hullo,copy.png,0\n", "1,hello,a.png,1\n");
        assert_eq!((found.ids, found.texts, found.pictures, found.items), (1, 0, 1, 1));
    }

    #[test]
    fn a_text_without_a_picture_is_the_same_as_such_a_text_alone() {
        let found = compared("1,hello,,0\n", "2,hello,a.png,1\n3,hello,,0\n");
        assert_eq!((found.texts, found.pictures, found.items), (1, 0, 1));
        assert_eq!(compared("1,hello,,0\n", "2,hello,a.png,1\n").items, 0);
    }
}
