//! A search for hyperparameters that gives every model and arm the same: the same values, the same
//! number of trials, drawn by one rule. And what came of it, as `search.json`.

use mmc_data::Arm;
use mmc_random::{Purpose, permutation};
use serde::{Deserialize, Serialize};

use crate::choice::{ClassWeights, Schedule};
use crate::json::{read_json, write_json};
use crate::{PartialSettings, ResultsFolder, RunError, SplitRecord};

/// Combinations that are drawn from: far more than can be tried, and few enough to be listed.
const MOST_COMBINATIONS: usize = 100_000;

macro_rules! search {
    ($($(#[doc = $help:literal])+ $name:ident: $value:ty;)+) => {
        /// `[search]` of an experiment: values to try, and how many of their combinations.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        pub struct Search {
            /// Trials of each (model, arm): so many combinations of the values, the same for all.
            pub trials: usize,
            /// Seed of the draw and of every trial's run; absent: the one after the grid's highest.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub seed: Option<u64>,
            $($(#[doc = $help])+ #[serde(default, skip_serializing_if = "Option::is_none")]
            pub $name: Option<Vec<$value>>,)+
        }

        impl Search {
            /// The keys of `[search]`.
            pub const KEYS: &'static [&'static str] =
                &["trials", "seed", $(stringify!($name)),+];

            /// The values of each searched setting, a layer of settings each.
            fn axes(&self) -> Vec<Vec<PartialSettings>> {
                let mut axes = Vec::new();
                $(if let Some(values) = &self.$name {
                    let layer = |&value: &$value| PartialSettings {
                        $name: Some(value),
                        ..PartialSettings::default()
                    };
                    axes.push(values.iter().map(layer).collect());
                })+
                axes
            }
        }
    };
}

search! {
    /// Passes over the training split.
    epochs: u64;
    /// Items in a batch.
    batch_size: usize;
    /// Batches in an optimiser step.
    grad_accumulation: usize;
    /// Highest learning rates.
    learning_rate: f64;
    /// Weight decays.
    weight_decay: f64;
    /// Parts of the steps over which the learning rate rises.
    warmup_ratio: f64;
    /// How the learning rate falls.
    schedule: Schedule;
    /// Largest norms of the gradient.
    clip_norm: f64;
    /// Dropouts of the model.
    dropout: f64;
    /// Decays of the learning rate from layer to layer.
    layer_decay: f64;
    /// Parts of the target that are spread over all classes.
    label_smoothing: f64;
    /// How classes weigh in the loss.
    class_weights: ClassWeights;
}

impl Search {
    /// The settings of each trial, in the order in which they are numbered: combinations of the
    /// values, drawn without replacement with the seed.
    #[must_use]
    pub fn points(&self, seeds: &[u64]) -> Vec<PartialSettings> {
        let mut all = vec![PartialSettings::default()];
        for axis in self.axes() {
            let with = |point: &PartialSettings| {
                axis.iter().map(|value| point.clone().merge(value.clone())).collect::<Vec<_>>()
            };
            all = all.iter().flat_map(with).collect();
        }
        let order = permutation(all.len(), self.seed(seeds), Purpose::Search, 0);
        order.into_iter().take(self.trials).filter_map(|at| all.get(at).cloned()).collect()
    }

    /// The seed of the draw and of the trials, beside the `seeds` of the grid. It is none of those: a
    /// final run would otherwise be a trial again, chosen for its luck.
    #[must_use]
    pub fn seed(&self, seeds: &[u64]) -> u64 {
        let after = seeds.iter().max().map_or(0, |highest| highest.saturating_add(1));
        self.seed.unwrap_or(after)
    }

    /// How many combinations the values have.
    #[must_use]
    pub fn combinations(&self) -> usize {
        self.axes().iter().fold(1, |count, axis| count.saturating_mul(axis.len()))
    }

    /// What cannot be, a line each.
    pub(crate) fn problems(&self, seeds: &[u64], place: &str) -> Vec<String> {
        let axes = self.axes();
        let mut problems = Vec::new();
        if axes.is_empty() {
            problems.push(format!(
                "`{}` tries no values; give a list of some setting, as in `learning_rate = [1e-5, \
                 5e-5]`",
                place.trim_end_matches('.')
            ));
        }
        for axis in &axes {
            let name = axis.first().and_then(|value| value.keys().first().copied());
            let twice = axis.iter().enumerate().any(|(at, value)| axis[..at].contains(value));
            match name {
                None => problems.push(format!("a list of `{place}` is empty")),
                Some(name) if twice => {
                    problems.push(format!("`{place}{name}` has a value twice"));
                }
                Some(_) => {}
            }
        }
        let combinations = self.combinations();
        if combinations > MOST_COMBINATIONS {
            problems.push(format!(
                "`{}` has {combinations} combinations, expected at most {MOST_COMBINATIONS}; shorten its \
                 lists",
                place.trim_end_matches('.')
            ));
        } else if self.trials == 0 || self.trials > combinations {
            problems.push(format!(
                "`{place}trials` is `{}`, expected 1 to {combinations}, the combinations of its values",
                self.trials
            ));
        }
        if let Some(seed) = self.seed.filter(|seed| seeds.contains(seed)) {
            problems.push(format!(
                "`{place}seed` is `{seed}`, which is also a seed of the grid; trials need another, or \
                 a final run would be a trial chosen for its luck"
            ));
        }
        problems
    }
}

/// `search.json` of a results folder: the trials, and what was chosen from them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchRecord {
    /// The metric that chose, on the selection split alone.
    pub metric: String,
    /// The seed of the draw and of every trial.
    pub seed: u64,
    /// Trials that each (model, arm) was to have.
    pub trials: usize,
    /// The split that chose; absent where no trial could be scored.
    pub split: Option<SplitRecord>,
    /// Each (model, arm), in the order of the grid.
    pub arms: Vec<ArmSearch>,
}

/// The trials of a (model, arm).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArmSearch {
    /// The model.
    pub model: String,
    /// What it is shown.
    pub arm: Arm,
    /// Its trials, by number.
    pub trials: Vec<Trial>,
    /// The number of the one that was chosen; absent where none has a score.
    pub chosen: Option<usize>,
}

/// A trial of a (model, arm).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Its number, from 1; equal numbers have equal settings in all arms.
    pub trial: usize,
    /// The searched settings, as it had them.
    pub settings: PartialSettings,
    /// Its score on the selection split.
    pub score: Option<f64>,
    /// Why it has none.
    pub failed: Option<String>,
    /// What it took.
    pub wall_seconds: Option<f64>,
}

impl ArmSearch {
    /// The settings that were chosen.
    #[must_use]
    pub fn settings(&self) -> Option<&PartialSettings> {
        let chosen = self.chosen?;
        self.trials.iter().find(|trial| trial.trial == chosen).map(|trial| &trial.settings)
    }

    /// How many of its trials have a score.
    #[must_use]
    pub fn scored(&self) -> usize {
        self.trials.iter().filter(|trial| trial.score.is_some()).count()
    }
}

impl SearchRecord {
    /// The search of a (model, arm).
    #[must_use]
    pub fn of(&self, model: &str, arm: Arm) -> Option<&ArmSearch> {
        self.arms.iter().find(|at| at.model == model && at.arm == arm)
    }
}

impl ResultsFolder {
    /// Writes `search.json`: the trials of a search and what was chosen.
    ///
    /// # Errors
    /// [`RunError`] naming the file.
    pub fn write_search(&self, record: &SearchRecord) -> Result<(), RunError> {
        write_json(&self.root().join("search.json"), record)
    }

    /// Reads `search.json`; `None` where there is none.
    ///
    /// # Errors
    /// [`RunError`] naming the file.
    pub fn search(&self) -> Result<Option<SearchRecord>, RunError> {
        let path = self.root().join("search.json");
        if path.exists() { read_json(&path).map(Some) } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search() -> Search {
        Search {
            trials: 4,
            learning_rate: Some(vec![1e-5, 2e-5, 5e-5]),
            epochs: Some(vec![3, 10]),
            ..Search::default()
        }
    }

    #[test]
    fn every_trial_is_another_combination_and_the_draw_is_the_seed_s() {
        let points = search().points(&[0, 1]);
        assert_eq!(points.len(), 4);
        for (at, point) in points.iter().enumerate() {
            assert!(!points[..at].contains(point));
            assert_eq!(point.keys(), ["epochs", "learning_rate"]);
        }
        assert_eq!(points, search().points(&[1, 0]));
        let others = Search { seed: Some(9), ..search() };
        assert_ne!(points, others.points(&[0, 1]));
        let all = Search { trials: 6, ..search() }.points(&[0]);
        assert_eq!(all[..4], Search { seed: Some(1), ..search() }.points(&[0]));
        assert_eq!((all.len(), search().combinations()), (6, 6));
    }

    #[test]
    fn trials_never_take_a_final_seed() {
        assert_eq!(search().seed(&[0, 7, 2]), 8);
        assert_eq!(Search { seed: Some(3), ..search() }.seed(&[0, 1]), 3);
        assert!(search().problems(&[0, 1], "search.").is_empty());
        let clash = Search { seed: Some(1), ..search() }.problems(&[0, 1], "search.");
        assert!(clash.len() == 1 && clash[0].contains("also a seed of the grid"), "{clash:?}");
    }

    #[test]
    fn a_search_that_cannot_be_says_why() {
        let of = |search: Search| search.problems(&[0], "search.").join("\n");
        assert!(of(Search { trials: 1, ..Search::default() }).contains("`search` tries no values"));
        assert!(of(Search { trials: 7, ..search() }).contains("`7`, expected 1 to 6"));
        assert!(of(Search { trials: 0, ..search() }).contains("`0`, expected 1 to 6"));
        let empty = Search { dropout: Some(vec![]), ..search() };
        assert!(of(empty).contains("a list of `search.` is empty"));
        let many = Search { epochs: Some((1..70_000).collect()), ..search() };
        assert!(of(many).contains("209997 combinations, expected at most 100000"));
        let twice = Search { dropout: Some(vec![0.1, 0.1]), ..search() };
        assert!(of(twice).contains("`search.dropout` has a value twice"));
    }
}
