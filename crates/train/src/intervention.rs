//! What is done to a model's inputs at prediction, to see what it uses: a picture or a text taken
//! from another item, or a blank one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use mmc_data::{Sample, Split};
use mmc_metrics::perceptual::exchange;
use mmc_preprocess::{Prepare, Processor};

use crate::TrainError;

/// One of the two inputs of a model of text and picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modality {
    /// The text.
    Text,
    /// The picture.
    Image,
}

impl fmt::Display for Modality {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Text => "text",
            Self::Image => "picture",
        })
    }
}

/// A change of what a model is shown; ids, labels and groups stay the items' own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Intervention {
    /// None: every item as it is.
    #[default]
    None,
    /// The mean picture of the processor (zeros after normalising) in each picture's own size, or
    /// the empty text (special tokens alone). Such inputs are like none that the model was trained
    /// on: a drop shows that it is sensitive, not that it uses what was taken away.
    Blank(Modality),
    /// Each item's text or picture given to another, as [`partners`] pairs them.
    Shuffled {
        /// What is exchanged.
        modality: Modality,
        /// With `permutation` it decides who gets whose.
        seed: u64,
        /// The number of the permutation, from 1.
        permutation: u64,
    },
}

impl Intervention {
    /// What is changed.
    #[must_use]
    pub fn modality(self) -> Option<Modality> {
        match self {
            Self::None => None,
            Self::Blank(modality) | Self::Shuffled { modality, .. } => Some(modality),
        }
    }

    /// What makes the changed example of each item of the split.
    pub(crate) fn prepare(
        self,
        split: &Arc<Split>,
        processor: &Arc<Processor>,
    ) -> Result<Prepare, TrainError> {
        let shown = |modality| match modality {
            Modality::Text => processor.arm().uses_text(),
            Modality::Image => processor.arm().uses_image(),
        };
        if let Some(modality) = self.modality().filter(|&modality| !shown(modality)) {
            let arm = processor.arm();
            let problem =
                format!("the model's arm is `{arm}`, so it is shown no {modality} to change");
            return Err(TrainError::setting("intervention", problem));
        }
        let (split, processor) = (Arc::clone(split), Arc::clone(processor));
        Ok(match self {
            Self::None => Arc::new(move |item| processor.prepare(&split.samples[item])),
            Self::Blank(Modality::Text) => Arc::new(move |item| {
                let text = String::new();
                processor.prepare(&Sample { text, ..split.samples[item].clone() })
            }),
            Self::Blank(Modality::Image) => Arc::new(move |item| {
                let mut example = processor.prepare(&split.samples[item])?;
                if let Some(image) = &mut example.image {
                    image.values.fill(0.0);
                }
                Ok(example)
            }),
            Self::Shuffled { modality, .. } => {
                let partners = partners(&split, self)?;
                Arc::new(move |item| {
                    let (own, other) = (&split.samples[item], &split.samples[partners[item]]);
                    processor.prepare(&match modality {
                        Modality::Text => Sample { text: other.text.clone(), ..own.clone() },
                        Modality::Image => Sample { image: other.image.clone(), ..own.clone() },
                    })
                })
            }
        })
    }
}

/// For each item the one whose input it is given: a permutation that leaves no item within its own
/// group, since a partner with the same picture would change nothing ([`exchange`]). The identity
/// for anything but [`Intervention::Shuffled`].
///
/// # Errors
/// [`TrainError::NoPartners`] where a group holds more than half of the items.
pub fn partners(split: &Split, intervention: Intervention) -> Result<Vec<usize>, TrainError> {
    let Intervention::Shuffled { modality, seed, permutation } = intervention else {
        return Ok((0..split.len()).collect());
    };
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let groups = split.iter().enumerate().map(|(item, sample)| match &sample.group {
        // A group has the number of its first item, an item without one its own.
        Some(group) => *numbers.entry(group).or_insert(item),
        None => item,
    });
    let groups: Vec<usize> = groups.collect();
    let of_text = u64::from(modality == Modality::Text);
    exchange(&groups, seed, 2 * permutation + of_text).map_err(|source| {
        let (path, source) = (split.path.clone(), Box::new(source));
        TrainError::NoPartners { path, source }
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn split(groups: &[Option<&str>]) -> Split {
        let sample = |(item, group): (usize, Option<&str>)| Sample {
            id: item.to_string(),
            text: String::new(),
            image: None,
            target: None,
            group: group.map(str::to_owned),
        };
        Split::of_inputs(
            Path::new("x.csv"),
            groups.iter().copied().enumerate().map(sample).collect(),
        )
    }

    fn shuffled(modality: Modality, seed: u64, permutation: u64) -> Intervention {
        Intervention::Shuffled { modality, seed, permutation }
    }

    #[test]
    fn no_item_gets_the_input_of_its_own_group_and_each_input_is_given_once() {
        let mut groups: Vec<Option<&str>> = vec![Some("a"); 9];
        groups.extend([Some("b"), Some("c"), Some("b"), None, None, None, None, None, None]);
        let split = split(&groups); // a group of exactly half
        for permutation in 1..200 {
            let found = partners(&split, shuffled(Modality::Image, 3, permutation)).unwrap();
            let mut given = found.clone();
            given.sort_unstable();
            assert_eq!(given, (0..18).collect::<Vec<_>>());
            for (item, &partner) in found.iter().enumerate() {
                assert_ne!(item, partner);
                assert!(groups[item].is_none() || groups[item] != groups[partner]);
            }
        }
    }

    #[test]
    fn seed_permutation_and_modality_decide_who_gets_whose() {
        let split = split(&[None; 40]);
        let of = |modality, seed, number| partners(&split, shuffled(modality, seed, number));
        let first = of(Modality::Text, 0, 1).unwrap();
        assert_eq!(first, of(Modality::Text, 0, 1).unwrap());
        for other in [of(Modality::Image, 0, 1), of(Modality::Text, 1, 1), of(Modality::Text, 0, 2)]
        {
            assert_ne!(first, other.unwrap());
        }
        let itself = partners(&split, Intervention::Blank(Modality::Text)).unwrap();
        assert_eq!(itself, (0..40).collect::<Vec<_>>());
    }

    #[test]
    fn a_group_of_more_than_half_has_no_partners() {
        let split = split(&[Some("a"), Some("a"), Some("b")]);
        let error = partners(&split, shuffled(Modality::Text, 0, 1)).unwrap_err().to_string();
        assert!(error.starts_with("x.csv: ") && error.contains("2 of 3 items"), "{error}");
        let alone = Split::of_inputs(Path::new("y.csv"), split.samples[..1].to_vec());
        assert!(partners(&alone, shuffled(Modality::Text, 0, 1)).is_err());
    }
}
