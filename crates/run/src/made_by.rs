//! Which build of the program made a run, so that results of two are not taken for those of one.

use std::collections::BTreeMap;

use crate::RunConfig;

/// In `versions`: the build that a run was begun by, where another one went on with it.
const BEGUN_BY: &str = "begun_by";

impl RunConfig {
    /// What made this run, in words: `mmc 0.1.0 (code 0123456789ab)`.
    #[must_use]
    pub fn made_by(&self) -> String {
        made_by(&self.versions)
    }

    /// Keeps in mind by what a run was begun that this one goes on with; says so where it is another build.
    pub fn goes_on_from(&mut self, before: &Self) -> Option<String> {
        let recorded = before.versions.get(BEGUN_BY).cloned();
        let (theirs, ours) = (before.made_by(), self.made_by());
        let is_other = theirs != ours;
        let begun_by = recorded.or_else(|| is_other.then(|| theirs.clone()))?;
        self.versions.insert(BEGUN_BY.to_owned(), begun_by);
        is_other.then(|| {
            format!(
                "the run was begun by {theirs}, and {ours} goes on with it: where the two compute \
                 otherwise it is the run of neither; to have it of one, train anew in another folder"
            )
        })
    }
}

/// What a build calls itself under `versions`, in words.
#[must_use]
pub fn made_by(versions: &BTreeMap<String, String>) -> String {
    let of = |name: &str| versions.get(name).map(String::as_str);
    let code = of("code").map_or_else(|| "not recorded".to_owned(), str::to_owned);
    let begun = of(BEGUN_BY).map(|build| format!(", begun by {build}")).unwrap_or_default();
    format!("mmc {} (code {code}{begun})", of("mmc").unwrap_or("of an unknown version"))
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
        let begun = run(&[("mmc", "0.1.0"), ("code", "ab")]);
        let mut same = begun.clone();
        assert_eq!(same.goes_on_from(&begun), None);
        assert_eq!(same, begun);
        let mut other = run(&[("mmc", "0.2.0"), ("code", "cd")]);
        let warning = other.goes_on_from(&begun).unwrap();
        assert!(
            warning.contains("begun by mmc 0.1.0 (code ab), and mmc 0.2.0 (code cd)"),
            "{warning}"
        );
        let words = "mmc 0.2.0 (code cd, begun by mmc 0.1.0 (code ab))";
        assert_eq!(other.made_by(), words);
        let mut again = run(&[("mmc", "0.2.0"), ("code", "cd")]);
        again.goes_on_from(&other);
        assert_eq!(again.made_by(), words);
    }
}
