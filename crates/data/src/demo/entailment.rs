//! A generated SNLI-VE: which hypothesis, picture and label each row has.

use mmc_random::below;
use serde_json::json;

use super::folder::{Folder, Motif, Picture};
use super::hypotheses::{about_colour, with_cue};
use super::memes::{Part, PictureKey, stream};
use super::shapes::{COLOURS, KINDS, Shapes};
use super::{DemoSet, Truth};
use crate::DataError;

/// Hypotheses of a picture; the real set has about 18.
const PER_PICTURE: usize = 3;
/// How many labels in a hundred are replaced by one of the other two.
const FLIPPED_PERCENT: usize = 6;
/// The classes in the data set's order.
const CLASSES: [&str; 3] = ["entailment", "neutral", "contradiction"];

/// The folder of SNLI-VE: a JSONL file a split, pictures in `flickr30k_images/`.
#[expect(clippy::unnecessary_wraps, reason = "one signature for all formats")]
pub(super) fn folder(set: &DemoSet) -> Result<Folder, DataError> {
    let (mut pictures, mut files) = (Vec::new(), Vec::new());
    for (split, (name, rows)) in ["train", "dev", "test"].into_iter().zip(set.sizes()).enumerate() {
        let split = split as u64;
        let mut lines = String::new();
        for row in 0..rows {
            let number = row / PER_PICTURE;
            let shapes = shapes(set, split, number as u64);
            let picture = 1_000_000_000 + split as usize * 1_000_000 + number;
            if row % PER_PICTURE == 0 {
                pictures.push(Picture {
                    path: format!("flickr30k_images/{picture}.jpg"),
                    key: PictureKey { seed: set.seed, split, number: number as u64 },
                    motif: Motif::Shapes(shapes),
                });
            }
            lines += &line(&Item::of(set, split, row, shapes), picture, row % PER_PICTURE);
        }
        files.push((format!("snli_ve_{name}.jsonl"), lines));
    }
    Ok(Folder { pictures, files })
}

/// What a picture shows. Where the picture decides, there is a colour for each class.
fn shapes(set: &DemoSet, split: u64, number: u64) -> Shapes {
    let mut random = stream(set.seed, split, Part::Bits, number);
    let decides = matches!(set.truth, Truth::Image | Truth::Redundant);
    let colours = if decides { CLASSES.len() } else { COLOURS.len() };
    Shapes { colour: below(colours, &mut random), kind: below(KINDS.len(), &mut random), count: 1 }
}

/// A row to be.
struct Item {
    hypothesis: String,
    caption: String,
    /// What the hypothesis and the picture say.
    clean: usize,
    /// The label that is written.
    label: usize,
}

impl Item {
    fn of(set: &DemoSet, split: u64, row: usize, shapes: Shapes) -> Self {
        let mut random = stream(set.seed, split, Part::Caption, row as u64);
        let drawn = below(CLASSES.len(), &mut random);
        let (clean, hypothesis) = match set.truth {
            Truth::Interaction => (drawn, about_colour(drawn, shapes.colour, &mut random)),
            Truth::Text => (drawn, with_cue(drawn, &mut random)),
            Truth::Image => (shapes.colour, with_cue(drawn, &mut random)),
            Truth::Redundant => (shapes.colour, with_cue(shapes.colour, &mut random)),
            Truth::None => (below(CLASSES.len(), &mut random), with_cue(drawn, &mut random)),
        };
        let mut random = stream(set.seed, split, Part::Label, row as u64);
        let flipped = below(100, &mut random) < FLIPPED_PERCENT;
        let by = if flipped { 1 + below(2, &mut random) } else { 0 };
        let caption = format!("a {} {}", COLOURS[shapes.colour].0, KINDS[shapes.kind]);
        Self { hypothesis, caption, clean, label: (clean + by) % CLASSES.len() }
    }
}

/// The row as the authors' generator writes it.
fn line(item: &Item, picture: usize, number: usize) -> String {
    let letter = &CLASSES[item.clean][..1];
    let tree = |text: &str| format!("( {text} )");
    let row = json!({
        "Flickr30K_ID": picture.to_string(),
        "annotator_labels": [CLASSES[item.label]],
        "captionID": format!("{picture}.jpg#0"),
        "gold_label": CLASSES[item.label],
        "pairID": format!("{picture}.jpg#0r{}{letter}", number + 1),
        "sentence1": item.caption,
        "sentence1_binary_parse": tree(&item.caption),
        "sentence1_parse": tree(&item.caption),
        "sentence2": item.hypothesis,
        "sentence2_binary_parse": tree(&item.hypothesis),
        "sentence2_parse": tree(&item.hypothesis),
    });
    format!("{row}\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::demo::{Format, write};
    use crate::{ReadOptions, Split, Target, dataset};

    fn set(truth: Truth) -> DemoSet {
        DemoSet { train: 3000, dev: 30, test: 1500, ..DemoSet::of(Format::SnliVe, truth, 5) }
    }

    /// Items with their clean class known to be told from each part.
    fn items(set: &DemoSet, split: u64, rows: usize) -> Vec<(Item, Shapes)> {
        let of = |row: usize| {
            let shapes = shapes(set, split, (row / PER_PICTURE) as u64);
            (Item::of(set, split, row, shapes), shapes)
        };
        (0..rows).map(of).collect()
    }

    /// The share of test rows that naive Bayes over words tells, learnt from the training rows.
    fn accuracy_of_words(set: &DemoSet) -> f64 {
        let (train, test) = (items(set, 0, set.train), items(set, 2, set.test));
        let mut counts: BTreeMap<&str, [f64; 3]> = BTreeMap::new();
        for (item, _) in &train {
            for word in item.hypothesis.split(' ') {
                counts.entry(word).or_insert([0.5; 3])[item.label] += 1.0;
            }
        }
        let right = test.iter().filter(|(item, _)| {
            let score = |class: usize| -> f64 {
                let words = item.hypothesis.split(' ').filter_map(|word| counts.get(word));
                words.map(|of| (of[class] / of.iter().sum::<f64>()).ln()).sum()
            };
            (0..3).max_by(|&a, &b| score(a).total_cmp(&score(b))) == Some(item.label)
        });
        right.count() as f64 / test.len() as f64
    }

    /// The share of test rows that the colour tells, with the majority of the training rows.
    fn accuracy_of_colours(set: &DemoSet) -> f64 {
        let mut counts = [[0_usize; 3]; 4];
        for (item, shapes) in items(set, 0, set.train) {
            counts[shapes.colour][item.label] += 1;
        }
        let said = counts.map(|of| (0..3).max_by_key(|&class| of[class]).unwrap());
        let test = items(set, 2, set.test);
        test.iter().filter(|(item, shapes)| said[shapes.colour] == item.label).count() as f64
            / test.len() as f64
    }

    /// Chance on 1,500 rows has a standard deviation of 0.012, labels are right in 0.94; five
    /// deviations from each. Neutral hypotheses are told from the text.
    #[test]
    fn each_modality_says_what_the_truth_lets_it_say() {
        let third = 1.0 / 3.0;
        for (truth, by_words, by_colour) in [
            (Truth::Interaction, 0.94 * third + third, third),
            (Truth::Redundant, 0.94, 0.94),
            (Truth::Image, third, 0.94),
            (Truth::Text, 0.94, third),
            (Truth::None, third, third),
        ] {
            let (words, colours) =
                (accuracy_of_words(&set(truth)), accuracy_of_colours(&set(truth)));
            assert!((words - by_words).abs() < 0.065, "{truth}: words {words}");
            assert!((colours - by_colour).abs() < 0.065, "{truth}: colours {colours}");
        }
    }

    #[test]
    fn the_reader_of_the_real_set_reads_it() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("demo");
        let set = DemoSet { train: 40, dev: 8, test: 12, ..set(Truth::Interaction) };
        write(&set, &root).unwrap();
        let entailment = dataset("snli_ve").unwrap();
        let read = |name: &str| -> Split {
            entailment.read(&root, name, &ReadOptions::default()).unwrap()
        };
        for (name, rows) in [("train", 40), ("dev", 8), ("test", 12)] {
            let split = read(name);
            assert_eq!(split.len(), rows);
            assert_eq!(
                split.notes,
                ["generated demo data (truth interaction): not the real data set"]
            );
            let groups: std::collections::BTreeSet<_> =
                split.iter().map(|sample| sample.group.clone().unwrap()).collect();
            assert_eq!(groups.len(), rows.div_ceil(PER_PICTURE));
        }
        let train = read("train");
        let first = items(&set, 0, 1).remove(0).0;
        assert_eq!(train.samples[0].text, first.hypothesis);
        assert_eq!(train.samples[0].target, Some(Target::Class(first.label)));
    }
}
