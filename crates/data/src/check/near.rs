//! Pictures that look alike without being the same: scaled, encoded anew, or with other borders.
//!
//! Two pictures count as near duplicates where their difference hashes (dHash; Krawetz, *Kind of Like
//! That*, 2013: whether each pixel of the picture scaled to 9 x 8 grey ones is brighter than its right
//! neighbour) differ in at most `NEAR` of 64 bits.

use std::collections::{BTreeMap, BTreeSet};

use image::imageops::{FilterType, grayscale, resize};
use image::{RgbImage, imageops};
use serde::Serialize;

use crate::ImageSource;
use crate::groups::root_of;

/// The most bits in which near duplicates differ. Copies that were scaled or compressed differ in 0 to 3;
/// were the bits of unrelated pictures coins, 64 of them would agree in 61 once in 10^14 times.
pub(super) const NEAR: u32 = 3;

/// Rows of one hash band that are compared with one another; of more, each with that many that follow it.
const COMPARED: usize = 512;

/// Pictures that look alike, and are not the same pixel by pixel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NearDuplicates {
    /// The most bits of 64 in which two neighbours of a group differ.
    pub threshold: u32,
    /// The groups, each of two different pictures or more.
    pub groups: Vec<NearGroup>,
}

/// Pictures of which each looks like another one of the group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NearGroup {
    /// Whether they stand in more than one split.
    pub across_splits: bool,
    /// One row of each picture and split.
    pub rows: Vec<NearRow>,
}

/// A row of such a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NearRow {
    /// Its split.
    pub split: String,
    /// Its line in the split's file.
    pub line: usize,
    /// Its id.
    pub id: String,
    /// Its picture.
    #[serde(skip)]
    pub image: Option<ImageSource>,
}

impl NearRow {
    /// What rows are put in order by.
    pub(super) fn place(&self) -> (&str, usize) {
        (&self.split, self.line)
    }
}

/// The fewest bits of either kind in a hash that says something: of a small thing on a plain ground there
/// are too few edges to tell it from another.
const LEAST_EDGES: u32 = 8;

/// The difference hash of a picture; `None` for one with hardly an edge, which looks like every other such
/// picture.
pub(super) fn difference_hash(picture: &RgbImage) -> Option<u64> {
    let grey: image::GrayImage = if picture.width() > 64 || picture.height() > 64 {
        // Most of the work on pixels that do not matter.
        grayscale(&imageops::thumbnail(picture, 64, 64))
    } else {
        grayscale(picture)
    };
    let small = resize(&grey, 9, 8, FilterType::Triangle);
    let mut hash = 0_u64;
    for y in 0..8 {
        for x in 0..8 {
            let brighter = small.get_pixel(x, y).0[0] > small.get_pixel(x + 1, y).0[0];
            hash = (hash << 1) | u64::from(brighter);
        }
    }
    (LEAST_EDGES..=64 - LEAST_EDGES).contains(&hash.count_ones()).then_some(hash)
}

/// The groups among pictures given by their hashes: sets of indices, each of two or more.
///
/// Two numbers that differ in at most 3 of 64 bits agree in one of four bands of 16, so only those of
/// one band are compared (multi-index hashing; Norouzi, Punjani and Fleet, 2012): no work that grows
/// with the square of their number.
pub(super) fn groups(hashes: &[u64]) -> Vec<Vec<usize>> {
    let mut by_hash: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (index, &hash) in hashes.iter().enumerate() {
        by_hash.entry(hash).or_default().push(index);
    }
    let distinct: Vec<u64> = by_hash.keys().copied().collect();
    let mut parents: Vec<usize> = (0..distinct.len()).collect();
    for band in 0..=NEAR {
        let key = |hash: u64| (hash >> (16 * band)) as u16;
        let mut order: Vec<usize> = (0..distinct.len()).collect();
        order.sort_unstable_by_key(|&at| (key(distinct[at]), distinct[at]));
        for (place, &first) in order.iter().enumerate() {
            let others = order[place + 1..].iter().take(COMPARED);
            for &second in others.take_while(|&&at| key(distinct[at]) == key(distinct[first])) {
                if (distinct[first] ^ distinct[second]).count_ones() <= NEAR {
                    let (a, b) = (root_of(&mut parents, first), root_of(&mut parents, second));
                    parents[a.max(b)] = a.min(b);
                }
            }
        }
    }
    let mut found: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (at, hash) in distinct.iter().enumerate() {
        let leader = root_of(&mut parents, at);
        found.entry(leader).or_default().extend(by_hash.get(hash).into_iter().flatten());
    }
    let groups = found.into_values().filter(|group| group.len() > 1);
    groups.map(|group| group.into_iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, ImageFormat, Rgb};

    use super::*;

    /// Slow waves in all directions, as the large shapes of photographs: every number gives another
    /// picture.
    fn picture(number: u32) -> RgbImage {
        let mut random = mmc_random::generator(0, mmc_random::Purpose::Demo, number.into(), 0);
        let mut drawn = || mmc_random::below(1 << 20, &mut random) as f64 / f64::from(1 << 20);
        let waves: Vec<[f64; 3]> =
            (0..6).map(|_| [24.0 * drawn() - 12.0, 24.0 * drawn() - 12.0, 6.3 * drawn()]).collect();
        RgbImage::from_fn(160, 120, |x, y| {
            let (x, y) = (f64::from(x) / 160.0, f64::from(y) / 120.0);
            let level = |tint: f64| {
                let value = |[a, b, c]: &[f64; 3]| (a * x + b * y + c + tint).sin();
                (21.0 * (waves.iter().map(value).sum::<f64>() + 6.0)) as u8
            };
            Rgb([level(0.1), level(0.4), level(0.9)])
        })
    }

    #[test]
    fn copies_are_near_and_other_pictures_are_not() {
        // Some have too few edges to be told from others.
        let pictures = (0..).map(picture);
        let told = pictures.filter_map(|whole| Some((difference_hash(&whole)?, whole)));
        let (mut all, mut near) = (Vec::new(), 0);
        for (original, whole) in told.take(60) {
            all.push(original);
            let mut jpeg = std::io::Cursor::new(Vec::new());
            DynamicImage::ImageRgb8(whole.clone()).write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
            let encoded = image::load_from_memory(jpeg.get_ref()).unwrap().into_rgb8();
            let scaled = resize(&whole, 80, 60, FilterType::Lanczos3);
            let is_near = |copy: &&RgbImage| {
                difference_hash(copy).is_some_and(|copy| (copy ^ original).count_ones() <= NEAR)
            };
            near += [&encoded, &scaled].iter().filter(|copy| is_near(copy)).count();
        }
        // Where neighbours are almost as bright a bit may turn: no hash finds every copy.
        assert!(near >= 108, "{near} of 120 copies");
        assert_eq!(groups(&all).iter().map(Vec::len).max().unwrap_or(1), 1, "{:?}", groups(&all));
        assert_eq!(difference_hash(&RgbImage::from_pixel(20, 20, Rgb([7; 3]))), None);
    }

    #[test]
    fn groups_are_those_of_comparing_all_with_all() {
        let random = |index: u64| index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut hashes: Vec<u64> = (0..300).map(random).collect();
        // Neighbours at distances 1 to 5 in bits of every band, and one hash twice.
        for index in 0..100_u64 {
            let mut near = random(index);
            for bit in 0..=index % 5 {
                near ^= 1 << ((index * 13 + bit * 16) % 64);
            }
            hashes.push(near);
        }
        hashes.push(random(7));
        let mut parents: Vec<usize> = (0..hashes.len()).collect();
        for first in 0..hashes.len() {
            for second in first + 1..hashes.len() {
                if (hashes[first] ^ hashes[second]).count_ones() <= NEAR {
                    let (a, b) = (root_of(&mut parents, first), root_of(&mut parents, second));
                    parents[a.max(b)] = a.min(b);
                }
            }
        }
        let mut expected: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for index in 0..hashes.len() {
            expected.entry(root_of(&mut parents, index)).or_default().push(index);
        }
        let mut expected: Vec<Vec<usize>> =
            expected.into_values().filter(|group| group.len() > 1).collect();
        let mut found = groups(&hashes);
        expected.sort();
        found.sort();
        assert!(expected.len() > 50);
        assert_eq!(found, expected);
    }
}
