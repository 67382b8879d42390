//! What stands between the trials of a search and the final runs: the choice.

use mmc_report::choose;
use mmc_run::{ResultsFolder, SearchRecord};

use crate::failure::Failure;

/// Chooses from the trials in a results folder, says what, and writes `search.json`; nothing where
/// the experiment has no search.
pub(crate) fn choose_and_tell(results: &ResultsFolder) -> Result<Option<SearchRecord>, Failure> {
    let Some(chosen) = choose(results.root())? else { return Ok(None) };
    for at in &chosen.arms {
        let name = format!("{} ({})", at.model, at.arm);
        let trial = at.trials.iter().find(|trial| Some(trial.trial) == at.chosen);
        match trial.and_then(|trial| Some((trial, trial.score?))) {
            Some((trial, score)) => say!(
                "{name}: trial {} of {} chosen, {} {score:.3} on the selection split: {}",
                trial.trial,
                chosen.trials,
                chosen.metric,
                toml::to_string(&trial.settings)?.trim().replace('\n', ", ")
            ),
            None => say!("{name}: no trial has a score, so nothing is chosen and it is not run"),
        }
    }
    results.write_search(&chosen)?;
    Ok(Some(chosen))
}
