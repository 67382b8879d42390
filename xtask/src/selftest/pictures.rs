//! Pictures shuffled among the rows of a generated set.

use std::fs;
use std::path::Path;

use mmc_random::{Purpose, permutation};
use serde_json::{Map, Value};

use crate::failure::Failure;

/// The splits that are shuffled: all that training sees. The selection split is among them, since
/// an epoch is chosen on it, and choosing is learning. The test split stays as it is: had a model
/// learned anything from its pictures after all, this is where it would show.
const TRAINED_ON: [&str; 2] = ["train", "dev_unseen"];

/// The seed of the shuffle.
const SEED: u64 = 0;

/// Gives each row of the splits that are trained on the picture of another one.
pub(super) fn shuffle(folder: &Path) -> Result<(), Failure> {
    for (number, split) in TRAINED_ON.iter().enumerate() {
        let path = folder.join(format!("{split}.jsonl"));
        let shuffled = shuffled(&fs::read_to_string(&path)?, number as u64)?;
        fs::write(&path, shuffled)?;
    }
    Ok(())
}

/// The rows of a split with their pictures shuffled; all else of a row stays.
fn shuffled(text: &str, split: u64) -> Result<String, Failure> {
    let rows: Result<Vec<Map<String, Value>>, _> = text.lines().map(serde_json::from_str).collect();
    let mut rows = rows?;
    let pictures: Vec<Option<Value>> = rows.iter().map(|row| row.get("img").cloned()).collect();
    let order = permutation(rows.len(), SEED, Purpose::Permutation, split);
    let mut lines = String::new();
    for (row, from) in rows.iter_mut().zip(order) {
        let Some(picture) = pictures.get(from).cloned().flatten() else {
            return Err(Failure::work("a row of the generated set has no `img`"));
        };
        row.insert("img".to_owned(), picture);
        lines += &(serde_json::to_string(row)? + "\n");
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use mmc_data::demo::{DemoSet, Format, Truth, write};
    use mmc_data::{ReadOptions, dataset};

    use super::*;

    #[test]
    fn only_pictures_move_and_the_test_split_stays() {
        let place = tempfile::tempdir().unwrap();
        let (format, truth) = (Format::HatefulMemes, Truth::Interaction);
        let set = DemoSet { format, truth, seed: 3, train: 80, dev: 30, test: 20 };
        let [whole, other] = ["whole", "other"].map(|name| place.path().join(name));
        write(&set, &whole).unwrap();
        write(&set, &other).unwrap();
        shuffle(&other).unwrap();
        let memes = dataset("hateful_memes").unwrap();
        for (split, moves) in [("train", true), ("dev_unseen", true), ("test_unseen", false)] {
            let read = |root: &Path| memes.read(root, split, &ReadOptions::default()).unwrap();
            assert_eq!(read(&whole).fingerprint(), read(&other).fingerprint());
            let pictures = |root: &Path| -> Vec<String> {
                let text = fs::read_to_string(root.join(format!("{split}.jsonl"))).unwrap();
                let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
                rows.map(|row| row["img"].as_str().unwrap().to_owned()).collect()
            };
            let (mut before, mut after) = (pictures(&whole), pictures(&other));
            let stayed = before.iter().zip(&after).filter(|(a, b)| a == b).count();
            assert_eq!(stayed < before.len() / 4, moves, "{split}: {stayed}");
            before.sort();
            after.sort();
            assert_eq!(before, after);
        }
    }
}
