//! Texts and pictures compared by content, within and across splits.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::near::{self, NEAR, NearDuplicates, NearGroup, NearRow, difference_hash};
use super::told::{Tell, Told};
use super::{Finding, Kind};
use crate::scan::{Row, Scan};
use crate::{Arm, DataError, ImageSource, Target, decode};

/// What occurs more than once in a split.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repeats {
    /// Rows whose text an earlier row has, word for word; empty texts do not count.
    pub repeated_texts: usize,
    /// Rows whose picture an earlier row has, pixel by pixel.
    pub repeated_pictures: usize,
    /// Inputs (text and picture) that occur with more than one label.
    pub conflicts: Vec<Conflict>,
}

/// Rows of the same input and different labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// The ids of the rows.
    pub ids: Vec<String>,
}

/// What two splits have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overlap {
    /// One split.
    pub first: String,
    /// The other.
    pub second: String,
    /// Ids that both have.
    pub ids: usize,
    /// Texts that both have, empty ones apart.
    pub texts: usize,
    /// Pictures that both have, pixel by pixel.
    pub pictures: usize,
    /// Inputs that both have: the same text with the same picture.
    pub inputs: usize,
}

/// SHA-256 of a picture's size and pixels.
type PictureHash = [u8; 32];
/// What a model is shown: the text, and the picture if there is one.
type Input<'a> = (&'a str, Option<PictureHash>);

/// The rows of all splits with their pictures hashed.
pub(super) struct Contents<'a> {
    scans: &'a [Scan],
    hashes: BTreeMap<PathBuf, Hashes>,
}

/// What a picture is, and what it looks like.
#[derive(Clone, Copy)]
struct Hashes {
    pixels: PictureHash,
    look: Option<u64>,
}

impl<'a> Contents<'a> {
    /// Decodes every picture once; those that cannot be decoded become problems.
    pub(super) fn of(
        scans: &'a [Scan],
        arm: Arm,
        problems: &mut Vec<Finding>,
        tell: &Tell<'_>,
    ) -> Self {
        let mut uses: BTreeMap<&Path, (&Scan, &Row, &ImageSource)> = BTreeMap::new();
        for scan in scans.iter().filter(|_| arm.uses_image()) {
            for row in &scan.rows {
                if let Some(image) = &row.sample.image {
                    uses.entry(image.key()).or_insert((scan, row, image));
                }
            }
        }
        let uses: Vec<(&Path, (&Scan, &Row, &ImageSource))> = uses.into_iter().collect();
        let told = Told::new("pictures", uses.len(), tell);
        let hashed = |(_, (_, _, image)): &(&Path, (&Scan, &Row, &ImageSource))| {
            let hash = hash_picture(image);
            told.one();
            hash
        };
        let decoded: Vec<Result<Hashes, DataError>> = uses.par_iter().map(hashed).collect();
        let mut hashes = BTreeMap::new();
        let mut unreadable = Vec::new();
        for ((path, (scan, row, _)), hash) in uses.into_iter().zip(decoded) {
            match hash {
                Ok(hash) => {
                    hashes.insert(path.to_owned(), hash);
                }
                Err(error) => {
                    let words = format!("{error} (id `{}`)", row.sample.id);
                    let error = DataError::row(&scan.path, row.line, "image", words);
                    unreadable.push((&scan.path, row.line, error));
                }
            }
        }
        unreadable.sort_by_key(|(path, line, _)| ((*path).clone(), *line));
        problems.extend(
            unreadable.iter().map(|(_, _, error)| Finding::new(Kind::UnreadablePicture, error)),
        );
        Self { scans, hashes }
    }

    fn hash(&self, row: &Row) -> Option<PictureHash> {
        picture_of(row).and_then(|path| self.hashes.get(path)).map(|hashes| hashes.pixels)
    }

    /// The input of a row; `None` where the row shows nothing or its picture cannot be read.
    fn input(&self, row: &'a Row) -> Option<Input<'a>> {
        let hash = self.hash(row);
        let unread = row.sample.image.is_some() && hash.is_none();
        let empty = row.sample.image.is_none() && row.sample.text.trim().is_empty();
        (!unread && !empty).then_some((row.sample.text.as_str(), hash))
    }

    /// How many rows of the split at `index` have a picture that was decoded.
    pub(super) fn pictures_read(&self, index: usize) -> usize {
        self.scans[index].rows.iter().filter(|row| self.hash(row).is_some()).count()
    }

    /// What occurs more than once in the split at `index`.
    pub(super) fn repeats(&self, index: usize) -> Repeats {
        let mut repeats = Repeats::default();
        let (mut texts, mut pictures) = (BTreeSet::new(), BTreeSet::new());
        let mut inputs: BTreeMap<Input<'_>, Vec<&Row>> = BTreeMap::new();
        for row in &self.scans[index].rows {
            let text = row.sample.text.as_str();
            repeats.repeated_texts += usize::from(!text.trim().is_empty() && !texts.insert(text));
            if let Some(hash) = self.hash(row) {
                repeats.repeated_pictures += usize::from(!pictures.insert(hash));
            }
            if let Some(input) = self.input(row) {
                inputs.entry(input).or_default().push(row);
            }
        }
        repeats.conflicts = inputs
            .into_values()
            .filter(|rows| rows.iter().any(|row| differ(row, rows[0])))
            .map(|rows| Conflict { ids: rows.iter().map(|row| row.sample.id.clone()).collect() })
            .collect();
        repeats
    }

    /// What each pair of splits has in common, of those that have a usable row.
    pub(super) fn overlaps(&self) -> Vec<Overlap> {
        let compared = self.scans.iter().filter(|scan| !scan.rows.is_empty());
        let sets: Vec<(&Scan, Sets<'_>)> = compared.map(|scan| (scan, self.sets(scan))).collect();
        let mut overlaps = Vec::new();
        for (index, (one, first)) in sets.iter().enumerate() {
            for (other, second) in &sets[index + 1..] {
                overlaps.push(Overlap {
                    first: one.name.to_string(),
                    second: other.name.to_string(),
                    ids: first.ids.intersection(&second.ids).count(),
                    texts: first.texts.intersection(&second.texts).count(),
                    pictures: first.pictures.intersection(&second.pictures).count(),
                    inputs: first.inputs.intersection(&second.inputs).count(),
                });
            }
        }
        overlaps
    }

    /// Pictures that look alike and are not the same, with a row of each in each split.
    pub(super) fn near_duplicates(&self) -> NearDuplicates {
        let mut looks: BTreeMap<PictureHash, u64> = BTreeMap::new();
        for hashes in self.hashes.values() {
            looks.extend(hashes.look.map(|look| (hashes.pixels, look)));
        }
        let mut rows: BTreeMap<PictureHash, Vec<NearRow>> = BTreeMap::new();
        for scan in self.scans {
            let split = scan.name.to_string();
            for row in &scan.rows {
                let Some(pixels) = self.hash(row).filter(|pixels| looks.contains_key(pixels))
                else {
                    continue;
                };
                let shown = rows.entry(pixels).or_default();
                if shown.last().is_none_or(|last| last.split != split) {
                    let (split, id) = (split.clone(), row.sample.id.clone());
                    let (line, image) = (row.line, row.sample.image.clone());
                    shown.push(NearRow { split, line, id, image });
                }
            }
        }
        let pictures: Vec<(PictureHash, u64)> = looks.into_iter().collect();
        let hashes: Vec<u64> = pictures.iter().map(|(_, look)| *look).collect();
        let mut groups: Vec<NearGroup> = near::groups(&hashes)
            .into_iter()
            .map(|group| {
                let shown = group.iter().filter_map(|&at| rows.get(&pictures[at].0));
                let mut rows: Vec<NearRow> = shown.flatten().cloned().collect();
                rows.sort_by(|a, b| a.place().cmp(&b.place()));
                let across_splits = rows.iter().any(|row| row.split != rows[0].split);
                NearGroup { across_splits, rows }
            })
            .collect();
        let place = |group: &NearGroup| group.rows.first().map(NearRow::place).map(owned);
        groups.sort_by_cached_key(|group| (!group.across_splits, place(group)));
        NearDuplicates { threshold: NEAR, groups }
    }

    fn sets(&self, scan: &'a Scan) -> Sets<'a> {
        let texts = scan.rows.iter().map(|row| row.sample.text.as_str());
        Sets {
            ids: scan.rows.iter().map(|row| row.sample.id.as_str()).collect(),
            texts: texts.filter(|text| !text.trim().is_empty()).collect(),
            pictures: scan.rows.iter().filter_map(|row| self.hash(row)).collect(),
            inputs: scan.rows.iter().filter_map(|row| self.input(row)).collect(),
        }
    }
}

fn owned((split, line): (&str, usize)) -> (String, usize) {
    (split.to_owned(), line)
}

/// What a split has, each once.
struct Sets<'a> {
    ids: BTreeSet<&'a str>,
    texts: BTreeSet<&'a str>,
    pictures: BTreeSet<PictureHash>,
    inputs: BTreeSet<Input<'a>>,
}

fn picture_of(row: &Row) -> Option<&Path> {
    row.sample.image.as_ref().map(ImageSource::key)
}

/// Whether two rows have different single labels.
fn differ(row: &Row, other: &Row) -> bool {
    match (&row.sample.target, &other.sample.target) {
        (Some(Target::Class(class)), Some(Target::Class(other))) => class != other,
        _ => false,
    }
}

/// The hash of a row's picture, where it has one.
fn hash_picture(image: &ImageSource) -> Result<Hashes, DataError> {
    let picture = decode(image)?;
    let mut hash = Sha256::new();
    hash.update(picture.width().to_le_bytes());
    hash.update(picture.height().to_le_bytes());
    hash.update(picture.as_raw());
    Ok(Hashes { pixels: hash.finalize().into(), look: difference_hash(&picture) })
}
