//! Which build of the program made a run, so that results of two are not taken for those of one.

use std::collections::BTreeMap;

use crate::RunConfig;

/// In `versions`: the builds that had a part in a run before another one went on with it.
const BEGUN_BY: &str = "begun_by";
const BETWEEN: &str = ", ";

impl RunConfig {
    /// What made this run, in words: `mmc 0.1.0 (code 0123456789ab)`.
    #[must_use]
    pub fn made_by(&self) -> String {
        made_by(&self.versions)
    }

    /// Keeps in mind what builds had a part in the run that this one goes on with; says so where the last of
    /// them was another one.
    pub fn goes_on_from(&mut self, before: &Self) -> Option<String> {
        let (theirs, ours) = (build(&before.versions), build(&self.versions));
        let earlier = before.versions.get(BEGUN_BY);
        let mut builds: Vec<&str> = earlier.iter().flat_map(|all| all.split(BETWEEN)).collect();
        if theirs != ours && !builds.contains(&theirs.as_str()) {
            builds.push(&theirs);
        }
        if !builds.is_empty() {
            self.versions.insert(BEGUN_BY.to_owned(), builds.join(BETWEEN));
        }
        (theirs != ours).then(|| {
            format!(
                "the run was made by {theirs} so far, and {ours} goes on with it: where the two compute \
                 otherwise it is the run of neither; to have it of one, train anew in another folder"
            )
        })
    }
}

/// What a build calls itself under `versions`, in words.
#[must_use]
pub fn made_by(versions: &BTreeMap<String, String>) -> String {
    let begun = versions.get(BEGUN_BY).map(|builds| format!(", begun by {builds}"));
    build(versions) + &begun.unwrap_or_default()
}

fn build(versions: &BTreeMap<String, String>) -> String {
    let of = |name: &str| versions.get(name).map(String::as_str);
    let (version, code) = (of("mmc"), of("code"));
    format!(
        "mmc {} (code {})",
        version.unwrap_or("of an unknown version"),
        code.unwrap_or("not recorded")
    )
}

/// The builds that made these runs, with how many each made; the one of most runs first.
#[must_use]
pub fn builds<'a>(runs: impl Iterator<Item = &'a RunConfig>) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for run in runs {
        *counts.entry(run.made_by()).or_default() += 1;
    }
    let mut builds: Vec<(String, usize)> = counts.into_iter().collect();
    builds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    builds
}

#[cfg(test)]
mod tests {
    use mmc_data::Arm;

    use super::*;
    use crate::{DataRecord, PartialSettings, SplitRecord};

    fn run(versions: &[(&str, &str)]) -> RunConfig {
        let asked = PartialSettings {
            model: Some("bert-tiny".to_owned()),
            dataset: Some("table".to_owned()),
            data_root: Some("data".to_owned()),
            checkpoint: Some("none".to_owned()),
            arm: Some(Arm::Text),
            head: Some("linear".to_owned()),
            max_length: Some(32),
            ..PartialSettings::default()
        };
        let train = SplitRecord {
            split: "train".to_owned(),
            items: 2,
            labelled: true,
            fingerprint: "f".to_owned(),
            missing_pictures: 0,
        };
        let versions = versions.iter().map(|&(name, at)| (name.to_owned(), at.to_owned()));
        RunConfig {
            settings: asked.resolve().unwrap(),
            versions: versions.collect(),
            data: DataRecord { train, selection: None, test: None },
            language: None,
        }
    }

    #[test]
    fn builds_are_told_apart_and_counted() {
        let (old, new) = (run(&[("mmc", "0.1.0")]), run(&[("mmc", "0.1.0"), ("code", "ab")]));
        assert_eq!(old.made_by(), "mmc 0.1.0 (code not recorded)");
        let found = builds([&old, &new, &new].into_iter());
        assert_eq!(found, [("mmc 0.1.0 (code ab)".to_owned(), 2), (old.made_by(), 1)]);
    }

    #[test]
    fn a_run_that_another_build_goes_on_with_says_so_for_good() {
        let a = run(&[("mmc", "0.1.0"), ("code", "ab")]);
        let mut same = a.clone();
        assert_eq!(same.goes_on_from(&a), None);
        assert_eq!(same, a);
        let mut b = run(&[("mmc", "0.2.0"), ("code", "cd")]);
        let warning = b.goes_on_from(&a).unwrap();
        let words = "made by mmc 0.1.0 (code ab) so far, and mmc 0.2.0 (code cd) goes on";
        assert!(warning.contains(words), "{warning}");
        assert_eq!(b.made_by(), "mmc 0.2.0 (code cd), begun by mmc 0.1.0 (code ab)");
        // The next sitting of the same build has nothing new to say.
        let mut again = run(&[("mmc", "0.2.0"), ("code", "cd")]);
        assert_eq!(again.goes_on_from(&b), None);
        assert_eq!(again, b);
        // Back at the first, the second is not forgotten.
        let mut back = run(&[("mmc", "0.1.0"), ("code", "ab")]);
        assert!(back.goes_on_from(&b).is_some());
        assert_eq!(back.versions["begun_by"], "mmc 0.1.0 (code ab), mmc 0.2.0 (code cd)");
    }
}
