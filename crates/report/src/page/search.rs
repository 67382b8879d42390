//! What was searched for before the final runs, and what was chosen.

use mmc_run::{ArmSearch, SearchRecord, Trial};

use super::{Page, heading};
use crate::caption::of_split;
use crate::document::{Block, plain};
use crate::figure::number;
use crate::search::{value_words, words};

impl Page<'_> {
    pub(super) fn search(&self) -> Vec<Block> {
        let Some(search) = &self.verdict.search else { return Vec::new() };
        let of = of_split(search.split.as_ref());
        let caption = format!(
            "What was chosen for each model and arm by its `{}` on {of}: one run a trial with seed \
             {}, none of which read the test split. A score that chose is too good for that.",
            search.metric, search.seed
        );
        let header =
            ["model", "arm", "trials with a score", "chosen", "its score", "lowest", "highest"];
        let rows = search.arms.iter().map(|at| chosen_row(at, search.trials));
        let all = format!(
            "Every trial with its `{}` on {of}. Equal numbers have equal settings in all models and \
             arms.",
            search.metric
        );
        let trials =
            search.arms.iter().flat_map(|at| at.trials.iter().map(|one| trial_row(at, one)));
        vec![
            heading("Search"),
            self.table(&caption, &header, rows.collect()),
            self.folded(
                &all,
                &["model", "arm", "trial", "settings", "score", ""],
                trials.collect(),
            ),
        ]
    }

    /// How settings were chosen, for the methods.
    pub(super) fn tuning(&self) -> String {
        let Some((search, plan)) =
            self.verdict.search.as_ref().zip(self.verdict.experiment.search.as_ref())
        else {
            return "Hyperparameters: none were searched for; the tuning budget of every model and arm \
                    is nothing, and their settings are below."
                .to_owned();
        };
        let values = serde_json::to_value(plan).unwrap_or_default();
        let lists: Vec<String> = values
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, values)| Some((name, values.as_array()?)))
            .map(|(name, values)| {
                let values: Vec<String> = values.iter().map(value_words).collect();
                format!("`{name}` of {}", values.join(", "))
            })
            .collect();
        let seconds: f64 =
            search.arms.iter().flat_map(|at| &at.trials).filter_map(|at| at.wall_seconds).sum();
        format!(
            "Hyperparameters: the tuning budget of every model and arm is {}, the same ones for all, \
             drawn with seed {} from the {} combinations of {}. Each was trained with that seed, which is \
             none of the final ones: a final run would else be a trial chosen for its luck. No trial read \
             the test split. The best by `{}` on the selection split (the first of equals) gives the \
             settings of the final runs. All trials took {seconds:.0} seconds.",
            counted(search),
            search.seed,
            plan.combinations(),
            lists.join("; "),
            search.metric
        )
    }
}

fn counted(search: &SearchRecord) -> String {
    if search.trials == 1 { "1 trial".to_owned() } else { format!("{} trials", search.trials) }
}

fn chosen_row(at: &ArmSearch, trials: usize) -> Vec<String> {
    let scores = || at.trials.iter().filter_map(|trial| trial.score);
    let chosen = at.trials.iter().find(|trial| Some(trial.trial) == at.chosen);
    vec![
        at.model.clone(),
        at.arm.to_string(),
        format!("{} of {trials}", at.scored()),
        at.settings().map_or("–".to_owned(), words),
        number(chosen.and_then(|trial| trial.score)),
        number(scores().min_by(f64::total_cmp)),
        number(scores().max_by(f64::total_cmp)),
    ]
}

fn trial_row(at: &ArmSearch, trial: &Trial) -> Vec<String> {
    let said = match &trial.failed {
        Some(why) => plain(why),
        None if Some(trial.trial) == at.chosen => "chosen".to_owned(),
        None => String::new(),
    };
    vec![
        at.model.clone(),
        at.arm.to_string(),
        trial.trial.to_string(),
        words(&trial.settings),
        number(trial.score),
        said,
    ]
}
