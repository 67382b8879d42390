//! What an experiment asks for: its grid, what each run of it is set to, and its search.

use std::collections::BTreeMap;
use std::path::Path;

use mmc_run::{
    ArmSearch, Experiment, Grid, PartialSettings, ResultsFolder, RunId, Search, SearchRecord,
};

use crate::failure::{Failure, workspace};
use crate::grid::{self, Run, State};
use crate::versions::other_builds;

/// An experiment on the data that it will use.
pub(crate) struct Study {
    /// Models, arms and final seeds.
    pub(crate) grid: Grid,
    /// What every run is asked, searched settings apart.
    settings: PartialSettings,
    /// What is searched for.
    pub(crate) search: Option<Search>,
}

impl Study {
    /// Of the real data, or of the generated set in the folder of results.
    pub(crate) fn of(
        experiment: &Experiment,
        is_demo: bool,
        results: &ResultsFolder,
    ) -> Result<Self, Failure> {
        let dataset = mmc_data::dataset(&experiment.dataset)?;
        let demo = experiment.demo.as_ref().filter(|_| is_demo);
        let (grid, settings, search) = match demo {
            Some(demo) => (&demo.grid, &demo.settings, &demo.search),
            None => (&experiment.grid, &experiment.settings, &experiment.search),
        };
        let data_root = if demo.is_some() {
            results.root().join("demo-data")
        } else {
            dataset.root_below(&workspace(), experiment.data_root.as_deref().map(Path::new))
        };
        let data = PartialSettings {
            dataset: Some(experiment.dataset.clone()),
            data_root: Some(std::path::absolute(data_root)?.display().to_string()),
            ..PartialSettings::default()
        };
        let settings = settings.clone().merge(data);
        Ok(Self { grid: grid.clone(), settings, search: search.clone() })
    }

    /// The same, with every run asked for this too.
    pub(crate) fn with(mut self, settings: PartialSettings) -> Self {
        self.settings = self.settings.merge(settings);
        self
    }

    /// Refuses what every run would end with, before the first.
    pub(crate) fn check(&self, results: &ResultsFolder) -> Result<(), Failure> {
        let trials = self.trials(results);
        let of_trials = trials.iter().map(|run| &run.settings);
        let problem = of_trials.chain([&self.settings]).find_map(|settings| {
            let mut problems = settings.contradictions().into_iter();
            problems.next()
        });
        problem.map_or(Ok(()), |problem| Err(Failure::usage(problem)))
    }

    /// The trials of the search, each in a folder of its own and without the test split; none where
    /// nothing is searched for. All models and arms have the same.
    pub(crate) fn trials(&self, results: &ResultsFolder) -> Vec<Run> {
        let Some(search) = &self.search else { return Vec::new() };
        let unseen = PartialSettings { no_test: Some(true), ..PartialSettings::default() };
        let seed = search.seed(&self.grid.seeds);
        let ids = Grid { seeds: vec![seed], ..self.grid.clone() }.runs();
        let mut trials = Vec::new();
        for (at, point) in search.points(&self.grid.seeds).into_iter().enumerate() {
            let settings = self.settings.clone().merge(point).merge(unseen.clone());
            let folder = results.trial(at + 1);
            for id in &ids {
                let name = format!("trial {} of {} ({})", at + 1, id.model, id.arm);
                trials.push(Run::new(&folder, id.clone(), &settings).called(name));
            }
        }
        trials
    }

    /// The runs of the grid, set to what was chosen for their model and arm. Where a search chose
    /// nothing there is no run.
    pub(crate) fn finals(
        &self,
        results: &ResultsFolder,
        chosen: Option<&SearchRecord>,
    ) -> Vec<Run> {
        let settings = |id: &RunId| match (&self.search, chosen) {
            (None, _) => Some(self.settings.clone()),
            (Some(_), chosen) => {
                let found = chosen?.of(&id.model, id.arm).and_then(ArmSearch::settings)?;
                Some(self.settings.clone().merge(found.clone()))
            }
        };
        let run = |id: RunId| settings(&id).map(|settings| Run::new(results, id, &settings));
        self.grid.runs().into_iter().filter_map(run).collect()
    }

    /// Runs with what is in their folders now. Runs on data that is still to be made are not runs on
    /// it.
    pub(crate) fn states(
        &self,
        runs: Vec<Run>,
        is_data_known: bool,
    ) -> Result<Vec<(Run, State)>, Failure> {
        let any_started = runs.iter().any(Run::is_started);
        let splits = if any_started && is_data_known {
            grid::data_splits(&self.settings)?
        } else {
            Vec::new()
        };
        let state = |run: Run| Ok((run.state(&splits)?, run));
        let states: Result<Vec<_>, Failure> = runs.into_iter().map(state).collect();
        Ok(states?.into_iter().map(|(state, run)| (run, state)).collect())
    }

    /// Says what would be run.
    pub(crate) fn foretell(
        &self,
        results: &ResultsFolder,
        trials: &[(Run, State)],
        (is_data_known, versions): (bool, &BTreeMap<String, String>),
    ) -> Result<(), Failure> {
        tell(trials, versions)?;
        for (run, state) in trials {
            say!("{:<36} {}", run.name, state.plan());
        }
        if self.search.is_some() {
            for id in self.grid.runs() {
                say!(
                    "{:<24} to run with what the search chooses, unless that is there",
                    id.to_string()
                );
            }
        } else {
            let runs = self.states(self.finals(results, None), is_data_known)?;
            tell(&runs, versions)?;
            for (run, state) in runs {
                say!("{:<24} {}", run.name, state.plan());
            }
        }
        say!("then every run with text and picture is diagnosed, unless that is up to date");
        Ok(())
    }
}

/// Says so where other builds than the one of these versions made some of the runs that are there.
pub(crate) fn tell(
    runs: &[(Run, State)],
    versions: &BTreeMap<String, String>,
) -> Result<(), Failure> {
    if let Some(warning) = other_builds(runs, versions)? {
        say!("{warning}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mmc_run::Trial;

    fn study() -> Study {
        let experiment =
            Experiment::read(&workspace().join("configs/hateful_memes_tuned.toml")).unwrap();
        Study::of(&experiment, true, &ResultsFolder::new(Path::new("results/x"))).unwrap()
    }

    #[test]
    fn every_model_and_arm_has_the_same_trials_and_none_reads_the_test_split() {
        let study = study();
        let trials = study.trials(&ResultsFolder::new(Path::new("results/x")));
        let search = study.search.as_ref().unwrap();
        let arms = study.grid.runs().len() / study.grid.seeds.len();
        assert_eq!(trials.len(), search.trials * arms);
        for run in &trials {
            assert_eq!(run.settings.no_test, Some(true));
            assert!(!study.grid.seeds.contains(&run.settings.seed.unwrap()));
        }
        let rates = |model: &str| -> Vec<Option<f64>> {
            let of_model = trials.iter().filter(|run| run.id.model == model);
            of_model
                .filter(|run| run.id.arm == mmc_data::Arm::Text)
                .map(|run| run.settings.learning_rate)
                .collect()
        };
        assert_eq!(rates("bert-tiny"), rates("vilt-tiny"));
        assert_eq!(rates("bert-tiny").len(), search.trials);
    }

    #[test]
    fn a_model_for_which_nothing_was_chosen_is_not_run() {
        let study = study();
        let results = ResultsFolder::new(Path::new("results/x"));
        assert!(study.finals(&results, None).is_empty());
        let rate = PartialSettings { learning_rate: Some(0.5), ..PartialSettings::default() };
        let trial = Trial {
            trial: 1,
            settings: rate,
            score: Some(0.7),
            failed: None,
            wall_seconds: Some(1.0),
        };
        let of = |model: &str, chosen| ArmSearch {
            model: model.to_owned(),
            arm: mmc_data::Arm::Text,
            trials: vec![trial.clone()],
            chosen,
        };
        let chosen = SearchRecord {
            metric: "auroc".to_owned(),
            seed: 9,
            trials: 1,
            split: None,
            arms: vec![of("bert-tiny", Some(1)), of("vilt-tiny", None)],
        };
        let runs = study.finals(&results, Some(&chosen));
        assert_eq!(runs.len(), study.grid.seeds.len());
        for run in runs {
            assert_eq!(
                (run.id.model.as_str(), run.settings.learning_rate),
                ("bert-tiny", Some(0.5))
            );
            assert_eq!(run.settings.no_test, None);
        }
    }
}
