//! `diagnosis.json` of a run: what its model says when its inputs are changed, so that scores can
//! be made from it in any metric.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Prediction, Predictions, RunError};

/// Counts up when what is computed changes, so that files of older programs are made anew.
pub const DIAGNOSIS_METHOD: u32 = 1;

/// Logits of some items, `[items][classes]`.
pub type LogitRows = Vec<Vec<f32>>;

/// What a diagnosis was made from: two that agree on all of it are the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiagnosisSource {
    /// [`DIAGNOSIS_METHOD`] of the program.
    pub method: u32,
    /// [`folder_fingerprint`] of the checkpoint.
    pub checkpoint: String,
    /// The split.
    pub split: String,
    /// Its fingerprint.
    pub fingerprint: String,
    /// Seed of the permutations and of the subsets.
    pub seed: u64,
    /// Permutations of each input.
    pub permutations: usize,
    /// Items of a grid of pairs, where that was asked for; else the cost decides.
    pub grid_items: Option<usize>,
}

/// One thing for the text and one for the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByModality<T> {
    /// Of the text.
    pub text: T,
    /// Of the picture.
    pub image: T,
}

impl<T> ByModality<T> {
    /// The same of what `change` makes of both.
    pub fn map<U>(&self, mut change: impl FnMut(&T) -> U) -> ByModality<U> {
        ByModality { text: change(&self.text), image: change(&self.image) }
    }
}

/// An item of a diagnosis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiagnosedItem {
    /// Its id.
    pub id: String,
    /// Its class, where it is known.
    pub label: Option<String>,
    /// What ties it to other items.
    pub group: Option<String>,
}

/// The additive part of a model's logits (EMAP; Hessel and Lee 2020) on some of the items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdditivePart {
    /// How many items each grid of all pairs had, a grid an entry.
    pub grids: Vec<usize>,
    /// The share of each logit's variance over the pairs of a grid that no sum of a text part and a
    /// picture part explains, `[grids][classes]`; null where a logit is constant.
    pub interaction_share: Vec<Vec<Option<f64>>>,
    /// The items that some grid holds, as places in [`Diagnosis::items`].
    pub items: Vec<usize>,
    /// `[items][classes]`: the mean over the grids that hold an item.
    pub logits: Vec<Vec<f64>>,
    /// Pairs of a text and a picture that were classified.
    pub pairs: usize,
    /// The operations of a pair over those of a whole forward.
    pub pair_cost: f64,
}

/// The contents of `diagnosis.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// What it was made from.
    pub source: DiagnosisSource,
    /// Names of the classes, in the order of all logits.
    pub classes: Vec<String>,
    /// The items, in the order of all rows.
    pub items: Vec<DiagnosedItem>,
    /// What the model says of each item as it is.
    pub plain: LogitRows,
    /// With a blank text, and with a blank picture.
    pub blank: ByModality<LogitRows>,
    /// With the texts exchanged, and with the pictures; one a permutation.
    pub shuffled: ByModality<Vec<LogitRows>>,
    /// The additive part.
    pub additive: AdditivePart,
}

impl Diagnosis {
    /// Rows of logits, one an item, as predictions.
    #[must_use]
    pub fn predictions(&self, rows: &LogitRows) -> Predictions {
        let rows = self.items.iter().zip(rows);
        let rows = rows.map(|(item, logits)| self.prediction(item, logits.clone())).collect();
        Predictions { classes: self.classes.clone(), rows }
    }

    /// What the model says of the items of the grids as they are, and what its additive part does.
    #[must_use]
    pub fn grid_predictions(&self) -> (Predictions, Predictions) {
        let (mut full, mut additive) = (Vec::new(), Vec::new());
        for (&place, logits) in self.additive.items.iter().zip(&self.additive.logits) {
            let (Some(item), Some(plain)) = (self.items.get(place), self.plain.get(place)) else {
                continue; // checked on reading
            };
            full.push(self.prediction(item, plain.clone()));
            let logits = logits.iter().map(|&logit| logit as f32).collect();
            additive.push(self.prediction(item, logits));
        }
        let of = |rows| Predictions { classes: self.classes.clone(), rows };
        (of(full), of(additive))
    }

    fn prediction(&self, item: &DiagnosedItem, logits: Vec<f32>) -> Prediction {
        let DiagnosedItem { id, label, group } = item.clone();
        Prediction { label, group, ..Prediction::of_logits(id, &self.classes, logits) }
    }

    /// What is wrong with its shapes; `None` where it fits together.
    pub(crate) fn problem(&self) -> Option<String> {
        let (items, classes) = (self.items.len(), self.classes.len());
        let fits = |rows: &LogitRows| {
            rows.len() == items && rows.iter().all(|logits| logits.len() == classes)
        };
        let shuffled = self.shuffled.text.iter().chain(&self.shuffled.image);
        let tables = [&self.plain, &self.blank.text, &self.blank.image].into_iter().chain(shuffled);
        let additive = &self.additive;
        let exchanges = [&self.shuffled.text, &self.shuffled.image];
        if exchanges.iter().any(|exchanges| exchanges.len() != self.source.permutations) {
            return Some("it has not as many exchanges as it says".to_owned());
        }
        if !tables.into_iter().all(fits) {
            return Some("its logits are not one row an item and one number a class".to_owned());
        }
        let grid_fits = additive.items.len() == additive.logits.len()
            && additive.items.iter().all(|&place| place < items)
            && additive.logits.iter().all(|logits| logits.len() == classes)
            && additive.interaction_share.len() == additive.grids.len()
            && additive.interaction_share.iter().all(|shares| shares.len() == classes);
        (!grid_fits).then(|| "its additive part is not of its items and classes".to_owned())
    }
}

/// Hex SHA-256 over the names and contents of all files in a folder, such as a checkpoint.
///
/// # Errors
/// [`RunError::Io`] naming the file.
pub fn folder_fingerprint(folder: &Path) -> Result<String, RunError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(RunError::io(folder))? {
        let path = entry.map_err(RunError::io(folder))?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    let mut hash = Sha256::new();
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut file = fs::File::open(&path).map_err(RunError::io(&path))?;
        let mut content = Sha256::new();
        std::io::copy(&mut file, &mut content).map_err(RunError::io(&path))?;
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
        hash.update(content.finalize());
    }
    let digits = hash.finalize();
    let digits = digits.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    Ok(digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis() -> Diagnosis {
        let item = |id: &str, label: &str| DiagnosedItem {
            id: id.to_owned(),
            label: Some(label.to_owned()),
            group: None,
        };
        let rows = |a: f32| vec![vec![a, 0.0], vec![0.0, a]];
        Diagnosis {
            source: DiagnosisSource {
                method: DIAGNOSIS_METHOD,
                checkpoint: "c".to_owned(),
                split: "test".to_owned(),
                fingerprint: "f".to_owned(),
                seed: 0,
                permutations: 1,
                grid_items: None,
            },
            classes: ["no", "yes"].map(str::to_owned).to_vec(),
            items: vec![item("1", "no"), item("2", "yes")],
            plain: rows(1.0),
            blank: ByModality { text: rows(0.5), image: rows(0.25) },
            shuffled: ByModality { text: vec![rows(-1.0)], image: vec![rows(-2.0)] },
            additive: AdditivePart {
                grids: vec![1],
                interaction_share: vec![vec![Some(0.5), None]],
                items: vec![1],
                logits: vec![vec![2.0, 1.0]],
                pairs: 1,
                pair_cost: 1.0,
            },
        }
    }

    #[test]
    fn rows_become_predictions_of_their_items() {
        let found = diagnosis();
        let shuffled = found.predictions(&found.shuffled.text[0]);
        assert_eq!(shuffled.rows[0].prediction, "yes");
        assert_eq!(shuffled.rows[0].label.as_deref(), Some("no"));
        let (full, additive) = found.grid_predictions();
        assert_eq!((full.rows.len(), additive.rows.len()), (1, 1));
        assert_eq!((&*full.rows[0].id, &*full.rows[0].prediction), ("2", "yes"));
        assert_eq!((&*additive.rows[0].id, &*additive.rows[0].prediction), ("2", "no"));
        let text = serde_json::to_string(&found).unwrap();
        assert_eq!(serde_json::from_str::<Diagnosis>(&text).unwrap(), found);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        assert_eq!(diagnosis().problem(), None);
        let changes: [fn(&mut Diagnosis); 6] = [
            |found| found.additive.interaction_share[0].truncate(1),
            |found| found.source.permutations = 2,
            |found| found.plain[0].push(0.0),
            |found| found.shuffled.image[0].truncate(1),
            |found| found.additive.items[0] = 2,
            |found| found.additive.logits[0].truncate(1),
        ];
        for change in changes {
            let mut found = diagnosis();
            change(&mut found);
            assert!(found.problem().is_some());
        }
    }

    #[test]
    fn a_folder_is_known_by_names_and_contents() {
        let place = tempfile::tempdir().unwrap();
        let of = || folder_fingerprint(place.path()).unwrap();
        let empty = of();
        fs::write(place.path().join("a"), "1").unwrap();
        let one = of();
        assert!(one != empty && one == of() && one.len() == 64);
        fs::write(place.path().join("a"), "2").unwrap();
        let changed = of();
        fs::rename(place.path().join("a"), place.path().join("b")).unwrap();
        assert!(changed != one && changed != of());
        assert!(folder_fingerprint(&place.path().join("absent")).is_err());
    }
}
