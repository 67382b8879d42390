//! Which rows share content, found without the rows in memory.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::hash;
use crate::groups::{contents_of, root_of};
use crate::{DataError, Sample};

/// Hashes of the texts and pictures seen so far: 8 bytes each.
#[derive(Default)]
pub(super) struct Contents(Vec<u64>);

impl Contents {
    pub(super) fn add(&mut self, sample: &Sample) {
        self.0.extend(contents_of(sample).map(|content| hash(&content)));
    }

    /// Those that were seen more than once, in order.
    pub(super) fn repeated(mut self) -> Vec<u64> {
        self.0.sort_unstable();
        let mut repeated: Vec<u64> =
            self.0.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        repeated.dedup();
        repeated
    }
}

/// The rows that share content, each with the first of its group.
#[derive(Debug, Default)]
pub(super) struct Groups(Vec<(usize, usize)>);

impl Groups {
    /// Groups as [`group_shared_content`](crate::groups::group_shared_content) makes them. Only rows
    /// with a content whose hash is `repeated` are looked at, and two contents are the same if 128
    /// bits of their SHA-256 are.
    pub(super) fn of(
        samples: impl Iterator<Item = Result<Sample, DataError>>,
        repeated: &[u64],
    ) -> Result<Self, DataError> {
        let (mut rows, mut parents) = (Vec::new(), Vec::new());
        let mut first_with: BTreeMap<u128, usize> = BTreeMap::new();
        for (row, sample) in samples.enumerate() {
            let sample = sample?;
            let mut shared =
                contents_of(&sample).filter(|key| repeated.binary_search(&hash(key)).is_ok());
            let Some(key) = shared.next() else { continue };
            let index = parents.len();
            rows.push(row);
            parents.push(index);
            for key in [key].into_iter().chain(shared) {
                let first = *first_with.entry(digest(&key)).or_insert(index);
                let (a, b) = (root_of(&mut parents, first), root_of(&mut parents, index));
                parents[a.max(b)] = a.min(b);
            }
        }
        let leaders: Vec<usize> = (0..rows.len()).map(|at| root_of(&mut parents, at)).collect();
        let mut sizes = vec![0_usize; rows.len()];
        for &leader in &leaders {
            sizes[leader] += 1;
        }
        let pairs = rows.iter().zip(leaders).filter(|(_, leader)| sizes[*leader] > 1);
        Ok(Self(pairs.map(|(&row, leader)| (row, rows[leader])).collect()))
    }

    /// The first row of the group of `row`, where it has one.
    pub(super) fn leader(&self, row: usize) -> Option<usize> {
        let at = self.0.binary_search_by_key(&row, |pair| pair.0).ok()?;
        self.0.get(at).map(|pair| pair.1)
    }
}

fn digest((is_picture, content): &(bool, String)) -> u128 {
    let whole =
        Sha256::new().chain_update([u8::from(*is_picture)]).chain_update(content).finalize();
    whole.iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ImageSource;
    use crate::groups::group_shared_content;

    proptest! {
        /// The groups of rows that pass by are those of the same rows in memory.
        #[test]
        fn groups_are_those_of_rows_in_memory(rows in proptest::collection::vec((0..9_u8, 0..9_u8), 1..20)) {
            let sample = |(id, (text, picture)): (usize, &(u8, u8))| Sample {
                id: id.to_string(),
                text: if *text == 0 { " ".to_owned() } else { format!("t{text}") },
                image: (*picture > 0).then(|| ImageSource::File(format!("p{picture}").into())),
                target: None,
                group: None,
            };
            let mut samples: Vec<Sample> = rows.iter().enumerate().map(sample).collect();
            let mut contents = Contents::default();
            for sample in &samples {
                contents.add(sample);
            }
            let groups = Groups::of(samples.iter().cloned().map(Ok), &contents.repeated()).unwrap();
            let found: Vec<Option<String>> =
                (0..rows.len()).map(|row| Some(groups.leader(row)?.to_string())).collect();
            group_shared_content(&mut samples);
            let expected: Vec<_> = samples.into_iter().map(|sample| sample.group).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
