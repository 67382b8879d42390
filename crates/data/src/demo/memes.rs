//! Which caption, picture and label each row of a generated set has.

use std::collections::BTreeSet;

use mmc_random::{ChaCha8Rng, Purpose, below, generator, shuffle};

use super::folder::{Folder, Motif, Picture};
use super::{DemoSet, Truth, scene, words};
use crate::DataError;

/// How many labels in a hundred are flipped.
const FLIPPED_PERCENT: usize = 6;

/// One row to be.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) id: usize,
    pub(super) night: bool,
    pub(super) label: bool,
    pub(super) text: String,
    pub(super) key: PictureKey,
    /// Relative to the folder.
    pub(super) picture: String,
    /// Whether this row is the first that shows its picture.
    pub(super) draws_picture: bool,
}

impl Item {
    /// The row as the released files write it.
    pub(super) fn line(&self) -> String {
        // Captions hold plain letters, spaces and commas alone, so there is nothing to escape.
        let Self { id, picture, text, .. } = self;
        let label = u8::from(self.label);
        format!("{{\"id\":{id},\"img\":\"{picture}\",\"label\":{label},\"text\":\"{text}\"}}\n")
    }
}

/// What the chance in a picture is keyed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PictureKey {
    pub(super) seed: u64,
    pub(super) split: u64,
    pub(super) number: u64,
}

/// The independent streams of chance within a split.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Bits = 0,
    Caption = 1,
    Picture = 2,
    Label = 3,
    Order = 4,
}

/// The chance for one thing in one row.
pub(super) fn stream(seed: u64, split: u64, part: Part, number: u64) -> ChaCha8Rng {
    generator(seed, Purpose::Demo, split * 16 + part as u64, number)
}

/// The folder of Hateful Memes: a JSONL file a split, pictures in `img/`.
pub(super) fn folder(set: &DemoSet) -> Result<Folder, DataError> {
    let splits = plan(set, &words::ENGLISH)?;
    let names = ["train", "dev_unseen", "test_unseen"];
    let file = |(name, items): (&str, &Vec<Item>)| {
        (format!("{name}.jsonl"), items.iter().map(Item::line).collect())
    };
    Ok(Folder {
        pictures: pictures(&splits),
        files: names.into_iter().zip(&splits).map(file).collect(),
    })
}

/// Each picture once.
pub(super) fn pictures(splits: &[Vec<Item>]) -> Vec<Picture> {
    let drawn = splits.iter().flatten().filter(|item| item.draws_picture);
    let picture = |item: &Item| Picture {
        path: item.picture.clone(),
        key: item.key,
        motif: Motif::Scene { night: item.night },
    };
    drawn.map(picture).collect()
}

/// All rows of all splits. No caption occurs twice, but for those of the fours.
pub(super) fn plan(set: &DemoSet, lexicon: &words::Lexicon) -> Result<Vec<Vec<Item>>, DataError> {
    set.check()?;
    let mut used = BTreeSet::new();
    let mut splits = Vec::new();
    let mut first_id = 10_000;
    for (split, rows) in set.sizes().into_iter().enumerate() {
        let split = split as u64;
        splits.push(Planner { set, split, used: &mut used, lexicon }.items(rows, first_id));
        first_id += rows;
    }
    Ok(splits)
}

/// The bits of a row, and the numbers of its caption and picture.
#[derive(Clone, Copy)]
struct Draft {
    scorn: bool,
    night: bool,
    caption: usize,
    picture: usize,
}

struct Planner<'a> {
    set: &'a DemoSet,
    split: u64,
    used: &'a mut BTreeSet<String>,
    lexicon: &'a words::Lexicon,
}

impl Planner<'_> {
    fn items(&mut self, rows: usize, first_id: usize) -> Vec<Item> {
        // In the training split of an interaction, rows come in fours: two captions of either
        // tone with two pictures of either scene. Each caption and each picture then has both
        // labels, like the confounders of the real set, and alone says exactly nothing.
        let fours =
            if self.split == 0 && self.set.truth == Truth::Interaction { rows / 4 } else { 0 };
        let mut drafts = Vec::with_capacity(rows);
        for four in 0..fours {
            for (scorn, night) in [(false, false), (false, true), (true, false), (true, true)] {
                let caption = 2 * four + usize::from(scorn);
                let picture = 2 * four + usize::from(night);
                drafts.push(Draft { scorn, night, caption, picture });
            }
        }
        drafts.extend((4 * fours..rows).map(|number| self.draft(number)));
        let captions = self.captions(&drafts);
        let mut items: Vec<Item> = drafts
            .iter()
            .enumerate()
            .map(|(number, draft)| self.item(number, *draft, captions[draft.caption].clone()))
            .collect();
        if fours > 0 {
            shuffle(&mut items, &mut stream(self.set.seed, self.split, Part::Order, 0));
        }
        name(&mut items, first_id);
        items
    }

    /// A row that is independent of all others.
    fn draft(&self, number: usize) -> Draft {
        let mut random = stream(self.set.seed, self.split, Part::Bits, number as u64);
        let scorn = below(2, &mut random) == 1;
        let other = below(2, &mut random) == 1;
        let night = if self.set.truth == Truth::Redundant { scorn } else { other };
        Draft { scorn, night, caption: number, picture: number }
    }

    /// The caption of each number; numbers that no row uses stay empty.
    fn captions(&mut self, drafts: &[Draft]) -> Vec<String> {
        let mut captions = vec![String::new(); drafts.len()];
        for draft in drafts {
            let caption = &mut captions[draft.caption];
            if caption.is_empty() {
                let number = draft.caption as u64;
                let mut random = stream(self.set.seed, self.split, Part::Caption, number);
                // There are several times as many captions as rows may be asked for, so this ends.
                while caption.is_empty() || !self.used.insert(caption.clone()) {
                    *caption = words::caption(self.lexicon, draft.scorn, &mut random);
                }
            }
        }
        captions
    }

    fn item(&self, number: usize, draft: Draft, text: String) -> Item {
        let Draft { scorn, night, .. } = draft;
        let mut random = stream(self.set.seed, self.split, Part::Label, number as u64);
        let flipped = below(100, &mut random) < FLIPPED_PERCENT;
        let clean_label = match self.set.truth {
            Truth::Interaction => scorn != night,
            Truth::Redundant | Truth::Text => scorn,
            Truth::Image => night,
            Truth::None => below(2, &mut random) == 1,
        };
        let (seed, split) = (self.set.seed, self.split);
        Item {
            id: 0,
            night,
            label: clean_label != flipped,
            text,
            key: PictureKey { seed, split, number: draft.picture as u64 },
            picture: String::new(),
            draws_picture: false,
        }
    }
}

/// Numbers the rows, and names each picture by the first row that shows it.
fn name(items: &mut [Item], first_id: usize) {
    let mut names = vec![String::new(); items.len()];
    for (row, item) in items.iter_mut().enumerate() {
        item.id = first_id + row;
        let name = &mut names[item.key.number as usize];
        item.draws_picture = name.is_empty();
        if item.draws_picture {
            *name = format!("img/{}.{}", item.id, scene::extension(item.key));
        }
        item.picture.clone_from(name);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::demo::MOST_ROWS;
    use crate::demo::scene::draw;

    fn set(truth: Truth, seed: u64) -> DemoSet {
        DemoSet { train: 2000, dev: 4, test: 2000, ..DemoSet::new(truth, seed) }
    }

    /// Share of test rows whose label naive Bayes over words tells, learnt from the training rows.
    fn accuracy_of_words(train: &[Item], test: &[Item]) -> f64 {
        let mut counts: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
        for item in train {
            for word in item.text.split(' ') {
                counts.entry(word).or_insert([1.0, 1.0])[usize::from(item.label)] += 1.0;
            }
        }
        let score = |text: &str| -> f64 {
            text.split(' ').filter_map(|word| counts.get(word)).map(|[n, p]| (p / n).ln()).sum()
        };
        share(test, |item| (score(&item.text) > 0.0) == item.label)
    }

    /// The tone, read off the caption.
    fn scorn(item: &Item) -> bool {
        item.text.split(' ').any(|word| words::ENGLISH.adjectives[1].contains(&word))
    }

    fn share(items: &[Item], holds: impl Fn(&Item) -> bool) -> f64 {
        items.iter().filter(|item| holds(item)).count() as f64 / items.len() as f64
    }

    /// Mean brightness of a picture, of which the scene is far the largest part.
    fn brightness(item: &Item) -> f64 {
        let picture = draw(item.night, item.key);
        let sum: u64 = picture.as_raw().iter().map(|&value| u64::from(value)).sum();
        sum as f64 / picture.as_raw().len() as f64
    }

    /// Share of test rows told by brightness: each side of 95 has its majority in training.
    fn accuracy_of_brightness(train: &[Item], test: &[Item]) -> f64 {
        let bright: Vec<(bool, bool)> =
            train.iter().map(|item| (brightness(item) > 95.0, item.label)).collect();
        let majority = |side: bool| {
            let labels: Vec<bool> = bright
                .iter()
                .filter(|(bright, _)| *bright == side)
                .map(|(_, label)| *label)
                .collect();
            2 * labels.iter().filter(|label| **label).count() > labels.len()
        };
        let answers = [majority(false), majority(true)];
        share(test, |item| answers[usize::from(brightness(item) > 95.0)] == item.label)
    }

    /// Chance on 2,000 rows has a standard deviation of 0.011, labels are right in 0.94: five
    /// deviations from either.
    #[test]
    fn each_modality_says_what_the_truth_lets_it_say() {
        for (truth, by_words, by_picture) in [
            (Truth::Interaction, 0.5, 0.5),
            (Truth::Redundant, 0.94, 0.94),
            (Truth::Image, 0.5, 0.94),
            (Truth::Text, 0.94, 0.5),
            (Truth::None, 0.5, 0.5),
        ] {
            let splits = plan(&set(truth, 3), &words::ENGLISH).unwrap();
            let words = accuracy_of_words(&splits[0], &splits[2]);
            let picture = accuracy_of_brightness(&splits[0], &splits[2]);
            assert!((words - by_words).abs() < 0.056, "{truth}: words {words}");
            assert!((picture - by_picture).abs() < 0.056, "{truth}: picture {picture}");
        }
    }

    #[test]
    fn together_both_bits_tell_the_interaction() {
        let splits = plan(&set(Truth::Interaction, 5), &words::ENGLISH).unwrap();
        let right =
            share(&splits[2], |item| (scorn(item) != (brightness(item) < 95.0)) == item.label);
        assert!((right - 0.94).abs() < 0.03, "{right}");
    }

    #[test]
    fn six_labels_in_a_hundred_are_flipped_in_every_split() {
        let big = DemoSet { dev: 2000, ..set(Truth::Text, 1) };
        for items in plan(&big, &words::ENGLISH).unwrap() {
            let flipped = share(&items, |item| item.label != scorn(item));
            // Five standard deviations of 0.0053.
            assert!((flipped - 0.06).abs() < 0.027, "{flipped}");
        }
    }

    #[test]
    fn in_fours_each_caption_and_each_picture_has_both_labels_once() {
        let splits = plan(&set(Truth::Interaction, 2), &words::ENGLISH).unwrap();
        let mut by_text: BTreeMap<&str, Vec<bool>> = BTreeMap::new();
        let mut by_picture: BTreeMap<&str, Vec<bool>> = BTreeMap::new();
        for item in &splits[0] {
            by_text.entry(&item.text).or_default().push(scorn(item) != item.night);
            by_picture.entry(&item.picture).or_default().push(scorn(item) != item.night);
        }
        assert_eq!((by_text.len(), by_picture.len()), (1000, 1000));
        for labels in by_text.values().chain(by_picture.values()) {
            assert_eq!(labels.iter().filter(|label| **label).count(), 1);
            assert_eq!(labels.len(), 2);
        }
        assert_eq!(splits[0].iter().filter(|item| item.draws_picture).count(), 1000);
    }

    #[test]
    fn no_caption_occurs_in_two_rows_otherwise() {
        for truth in [Truth::Text, Truth::Interaction] {
            let splits = plan(&set(truth, 4), &words::ENGLISH).unwrap();
            let texts: BTreeSet<&str> =
                splits.iter().flatten().map(|item| item.text.as_str()).collect();
            let expected = if truth == Truth::Interaction { 1000 } else { 2000 } + 4 + 2000;
            assert_eq!(texts.len(), expected);
        }
    }

    /// A row does not depend on how many rows there are: more of them add to the set.
    #[test]
    fn rows_of_a_smaller_set_are_the_first_of_a_larger() {
        let small = plan(&DemoSet { train: 50, ..set(Truth::Image, 9) }, &words::ENGLISH).unwrap();
        let large = plan(&set(Truth::Image, 9), &words::ENGLISH).unwrap();
        for (a, b) in small[0].iter().zip(&large[0]) {
            assert_eq!((&a.text, a.label, a.key), (&b.text, b.label, b.key));
        }
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for (train, dev) in [(0, 5), (5, 0), (MOST_ROWS, 5), (usize::MAX, usize::MAX)] {
            let error =
                plan(&DemoSet { train, dev, ..set(Truth::None, 0) }, &words::ENGLISH).unwrap_err();
            assert!(error.to_string().contains("cannot be generated"), "{error}");
        }
    }
}
