//! What every figure is captioned with: which data it is of.

use mmc_run::SplitRecord;

use crate::{Results, Verdict};

/// What is missing, said wherever a figure of a demo is shown; nothing for the real experiment.
pub(crate) fn demo_words(verdict: &Verdict) -> Option<String> {
    verdict.demo.then(|| {
        let record = &verdict.experiment;
        let truth = match &record.demo {
            Some(demo) => format!("generated data (truth: {})", demo.truth),
            None => "generated data".to_owned(),
        };
        if record.missing.is_empty() {
            format!("DEMO: {truth} and tiny models, as asked for")
        } else {
            format!(
                "DEMO: {truth} and tiny models, since this is missing: {}",
                record.missing.join("; ")
            )
        }
    })
}

pub(crate) fn test_split(verdict: &Verdict) -> Option<&SplitRecord> {
    verdict.data.as_ref()?.test.as_ref()
}

/// How many test items every compared run predicted; `None` without predictions.
pub(crate) fn scored(results: &Results) -> Option<usize> {
    results.runs.iter().find_map(|run| Some(run.test.as_ref()?.rows.len()))
}

/// A split of which not all items may have been scored.
pub(crate) fn of_scored(split: Option<&SplitRecord>, scored: Option<usize>) -> String {
    match (split, scored) {
        (Some(split), Some(scored)) if scored < split.items => format!(
            "split `{}`, {scored} of {} items, fingerprint `{:.12}`",
            split.split, split.items, split.fingerprint
        ),
        _ => of_split(split),
    }
}

pub(crate) fn of_split(split: Option<&SplitRecord>) -> String {
    match split {
        Some(split) => format!(
            "split `{}`, {} items, fingerprint `{:.12}`",
            split.split, split.items, split.fingerprint
        ),
        None => "no test split".to_owned(),
    }
}
