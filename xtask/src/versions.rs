//! Runs that stay in a results folder although another build of the code made them.

use std::collections::BTreeMap;

use mmc_run::{RunConfig, RunFolder, builds, made_by};

use crate::failure::Failure;
use crate::grid::{Run, State};

/// Folders that are named.
const SHOWN: usize = 3;

/// Warns, in a line, of runs that are kept or gone on with, and were made by another build than the one that
/// makes the rest; `now` is what that one calls itself.
pub(crate) fn other_builds(
    runs: &[(Run, State)],
    now: &BTreeMap<String, String>,
) -> Result<Option<String>, Failure> {
    let now = made_by(now);
    let mut others: Vec<(&Run, RunConfig)> = Vec::new();
    let stays = |state: State| !matches!(state, State::New | State::Changed);
    for (run, _) in runs.iter().filter(|(_, state)| stays(*state)) {
        let config = RunFolder::open(&run.folder)?.config()?;
        if config.made_by() != now {
            others.push((run, config));
        }
    }
    if others.is_empty() {
        return Ok(None);
    }
    let makers = builds(others.iter().map(|(_, config)| config));
    let makers: Vec<String> =
        makers.into_iter().map(|(build, count)| format!("{count} by {build}")).collect();
    let shown = others.iter().take(SHOWN).map(|(run, _)| run.folder.display().to_string());
    let folders = shown.collect::<Vec<_>>().join(", ");
    let more = match others.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Ok(Some(format!(
        "warning: {} of {} runs are there already and were made by another build ({}) than this one, \
         {now}, so their figures may differ for that alone; to make them anew give another `--out`, or \
         move away {folders}{more}",
        others.len(),
        runs.len(),
        makers.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use mmc_data::Arm;
    use mmc_run::{DataRecord, PartialSettings, ResultsFolder, RunId, SplitRecord};

    use super::*;

    fn versions(code: Option<&str>) -> BTreeMap<String, String> {
        let code = code.map(|code| ("code".to_owned(), code.to_owned()));
        [("mmc".to_owned(), "0.1.0".to_owned())].into_iter().chain(code).collect()
    }

    fn run(results: &ResultsFolder, seed: u64, code: Option<&str>, state: State) -> (Run, State) {
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
        let id = RunId { model: "bert-tiny".to_owned(), arm: Arm::Text, seed };
        let run = Run::new(results, id, &asked);
        if state != State::New {
            let train = SplitRecord {
                split: "train".to_owned(),
                items: 2,
                labelled: true,
                fingerprint: "f".to_owned(),
                missing_pictures: 0,
            };
            let config = RunConfig {
                settings: asked.resolve().unwrap(),
                versions: versions(code),
                data: DataRecord { train, selection: None, test: None },
                language: None,
            };
            RunFolder::create(&run.folder).unwrap().write_config(&config).unwrap();
        }
        (run, state)
    }

    #[test]
    fn runs_of_another_build_are_counted_where_they_stay() {
        let place = tempfile::tempdir().unwrap();
        let results = ResultsFolder::new(place.path());
        let of = |seed, code, state| run(&results, seed, code, state);
        let now = versions(Some("now"));
        let same = [of(0, Some("now"), State::Complete), of(1, None, State::New)];
        assert_eq!(other_builds(&same, &now).unwrap(), None);
        // One that is made anew for its settings counts for nothing.
        let replaced = [of(2, Some("old"), State::Changed)];
        assert_eq!(other_builds(&replaced, &now).unwrap(), None);
        let runs = [
            of(3, Some("old"), State::Complete),
            of(4, Some("old"), State::Incomplete),
            of(5, None, State::Unchecked),
            of(6, Some("now"), State::Complete),
            of(7, None, State::Complete),
            of(8, None, State::New),
        ];
        let warning = other_builds(&runs, &now).unwrap().unwrap();
        for words in [
            "warning: 4 of 6 runs are there already",
            "2 by mmc 0.1.0 (code not recorded), 2 by mmc 0.1.0 (code old)",
            "this one, mmc 0.1.0 (code now)",
            "runs/bert-tiny-text-3, ",
            " and 1 more",
        ] {
            assert!(warning.contains(words), "{words}: {warning}");
        }
        assert_eq!(warning.lines().count(), 1);
    }
}
