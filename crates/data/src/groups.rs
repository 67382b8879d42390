//! Which samples share content, and so are not independent.

use std::collections::BTreeMap;

use crate::Sample;

/// Puts samples that share a picture (by path) or word for word a text into one group, named by
/// its first id. Such items are not independent, and intervals have to know. Sharing is
/// transitive; an empty text is no content; a sample that shares nothing has no group.
pub(crate) fn group_shared_content(samples: &mut [Sample]) {
    let mut parents: Vec<usize> = (0..samples.len()).collect();
    let mut first_with: BTreeMap<(bool, String), usize> = BTreeMap::new();
    for (index, sample) in samples.iter().enumerate() {
        for key in contents_of(sample) {
            let first = *first_with.entry(key).or_insert(index);
            let (a, b) = (root_of(&mut parents, first), root_of(&mut parents, index));
            // The smaller index leads, so that a group is named by its first row.
            parents[a.max(b)] = a.min(b);
        }
    }
    let leaders: Vec<usize> = (0..samples.len()).map(|at| root_of(&mut parents, at)).collect();
    let mut sizes = vec![0_usize; samples.len()];
    for &leader in &leaders {
        sizes[leader] += 1;
    }
    let names: Vec<Option<String>> = leaders
        .iter()
        .map(|&leader| (sizes[leader] > 1).then(|| samples[leader].id.clone()))
        .collect();
    for (sample, name) in samples.iter_mut().zip(names) {
        sample.group = name;
    }
}

/// What a sample may share with another: its picture's path (`true`), its text (`false`).
pub(crate) fn contents_of(sample: &Sample) -> impl Iterator<Item = (bool, String)> {
    let text = sample.text.trim();
    let picture = sample.image.as_ref().map(|image| (true, image.to_string()));
    let content = (!text.is_empty()).then(|| (false, text.to_owned()));
    picture.into_iter().chain(content)
}

/// The leader of the group of `at`, with the path to it shortened.
pub(crate) fn root_of(parents: &mut [usize], mut at: usize) -> usize {
    while parents[at] != at {
        parents[at] = parents[parents[at]];
        at = parents[at];
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ImageSource;

    fn sample(id: usize, text: &str, picture: &str) -> Sample {
        let image = (!picture.is_empty()).then(|| ImageSource::File(picture.into()));
        Sample { id: id.to_string(), text: text.to_owned(), image, target: None, group: None }
    }

    fn groups(contents: &[(&str, &str)]) -> Vec<Option<String>> {
        let mut samples: Vec<Sample> = contents
            .iter()
            .enumerate()
            .map(|(id, (text, picture))| sample(id, text, picture))
            .collect();
        group_shared_content(&mut samples);
        samples.into_iter().map(|sample| sample.group).collect()
    }

    #[test]
    fn shared_content_makes_a_group_and_sharing_is_transitive() {
        let found =
            groups(&[("a", "1"), ("b", "2"), ("c", "2"), ("c", "3"), ("d", "4"), ("a ", "5")]);
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(found, [some("0"), some("1"), some("1"), some("1"), None, some("0")]);
    }

    #[test]
    fn what_is_absent_is_not_shared() {
        assert_eq!(groups(&[("", "1"), ("", "2"), (" ", ""), ("", "")]), [None, None, None, None]);
        // A text that reads like a path is no picture.
        assert_eq!(groups(&[("x", "y"), ("y", "x")]), [None, None]);
    }

    proptest! {
        /// Two rows are in one group if and only if a chain of shared contents joins them.
        #[test]
        fn groups_are_the_connected_parts(pairs in proptest::collection::vec((0..6_u8, 0..6_u8), 1..12)) {
            let names: Vec<(String, String)> =
                pairs.iter().map(|(text, picture)| (format!("t{text}"), format!("p{picture}"))).collect();
            let contents: Vec<(&str, &str)> =
                names.iter().map(|(text, picture)| (text.as_str(), picture.as_str())).collect();
            let found = groups(&contents);
            let rows = pairs.len();
            let touches = |a: usize, b: usize| pairs[a].0 == pairs[b].0 || pairs[a].1 == pairs[b].1;
            // Reachability by repeated widening.
            let mut joined: Vec<Vec<bool>> =
                (0..rows).map(|a| (0..rows).map(|b| touches(a, b)).collect()).collect();
            for middle in 0..rows {
                for a in 0..rows {
                    for b in 0..rows {
                        joined[a][b] |= joined[a][middle] && joined[middle][b];
                    }
                }
            }
            for a in 0..rows {
                let alone = joined[a].iter().filter(|joined| **joined).count() == 1;
                prop_assert_eq!(found[a].is_none(), alone);
                for b in (0..rows).filter(|b| *b != a) {
                    prop_assert_eq!(found[a].is_some() && found[a] == found[b], joined[a][b]);
                }
            }
        }
    }
}
