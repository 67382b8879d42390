//! Items of a split that another split has too: what was trained or chosen on is no test.

use mmc_data::Arm;
use mmc_run::SplitOverlap;

use crate::Results;
use crate::arm::ArmRuns;
use crate::document::plain;

/// The share of a split's rows of which a one-sided arm may have seen the text, or the picture, with
/// another picture, or text.
const SEEN: f64 = 0.1;

/// Everything that makes a test item no new item.
pub(super) fn leaks(results: &Results, arms: &[ArmRuns]) -> Vec<String> {
    let mut lines: Vec<String> = one_for_two(results).into_iter().collect();
    match &results.overlap {
        Some(found) => lines.extend(found.pairs.iter().flat_map(|pair| of_pair(results, pair))),
        None => lines.extend(ids(results)),
    }
    lines.extend(recorded(results, arms));
    lines
}

/// The same rows in two roles.
fn one_for_two(results: &Results) -> Option<String> {
    let data = &results.runs.first()?.config.data;
    let splits: Vec<_> = data.iter().collect();
    let twice = splits.iter().enumerate().find_map(|(at, (role, split))| {
        let same = |(_, other): &&(&str, &mmc_run::SplitRecord)| {
            other.fingerprint == split.fingerprint && other.items == split.items
        };
        splits[..at].iter().find(same).map(|(other, _)| (*other, *role))
    })?;
    let (other, role) = twice;
    Some(format!(
        "the {other} and the {role} split are the same rows with the same labels: scores on them say \
         nothing about new items"
    ))
}

/// What the splits have in common, item by item.
fn of_pair(results: &Results, pair: &SplitOverlap) -> Vec<String> {
    let SplitOverlap { of, among, .. } = pair;
    let known = |split: &mmc_run::SplitRecord| {
        let data = results.runs.first().map(|run| &run.config.data);
        data.is_some_and(|data| data.iter().any(|(_, at)| at == split))
    };
    let mut lines = Vec::new();
    if !known(of) || !known(among) {
        lines.push(format!(
            "`overlap.json` is of other rows of `{}` and `{}` than the runs met; run the experiment \
             again",
            of.split, among.split
        ));
        return lines;
    }
    if pair.found.items > 0 {
        let ids: Vec<String> =
            pair.found.examples.iter().map(|id| format!("`{}`", plain(id))).collect();
        let more = if pair.found.items > ids.len() { ", …" } else { "" };
        let selection = results.runs.first().and_then(|run| run.config.data.selection.as_ref());
        let so = if selection == Some(among) {
            "they took part in choosing epochs and models"
        } else {
            "scores on them say nothing about new items"
        };
        lines.push(format!(
            "{} of {} rows of `{}` are also in `{}` ({}{more}), with the same text and picture, or the \
             same id and one of the two: {so}",
            pair.found.items,
            of.items,
            of.split,
            among.split,
            ids.join(", ")
        ));
    }
    if pair.found.unread > 0 {
        lines.push(format!(
            "{} pictures of `{}` and `{}` could not be read, so copies among them were not looked for",
            pair.found.unread, of.split, among.split
        ));
    }
    lines
}

/// Where the data was not compared, the ids of the predictions are.
fn ids(results: &Results) -> Option<String> {
    let ids = results.ids_of_both.filter(|ids| *ids > 0)?;
    Some(format!(
        "{ids} test items have an id that the selection split has too, and whether they are the same \
         items is not known: the splits were not compared (there is no `overlap.json`)"
    ))
}

/// What runs counted themselves before their first step: rows of other splits that show what a
/// training row shows. Of an arm of one modality such a row may be another item, as where a question
/// is asked of many pictures: where the splits were compared, that says more; where not, more than a
/// tenth is worth a word.
fn recorded(results: &Results, arms: &[ArmRuns]) -> Vec<String> {
    if results.overlap.is_some() {
        return Vec::new();
    }
    let mut lines: Vec<String> = Vec::new();
    for arm in arms {
        for run in &arm.runs {
            for (split, rows) in run.cost.rows_in_train.iter().filter(|(_, rows)| **rows > 0) {
                let of = run.config.data.iter().find(|(_, at)| at.split == *split);
                let items = of.map_or(0, |(_, at)| at.items);
                let few = *rows as f64 <= SEEN * items as f64;
                let train = &run.config.data.train.split;
                let of = if items > 0 { format!(" of {items}") } else { String::new() };
                let modality = match arm.arm {
                    Arm::Both => None,
                    _ if few => continue,
                    Arm::Text => Some("text"),
                    Arm::Image => Some("picture"),
                };
                let line = match modality {
                    None => format!(
                        "{rows}{of} rows of `{split}` are also in `{train}`, with the same text and \
                         picture: scores on them say nothing about new items"
                    ),
                    Some(what) => format!(
                        "{}: {rows}{of} rows of `{split}` have a {what} that a row of `{train}` has too, \
                         which is all that this arm sees; whether they are the same items is not known",
                        arm.name()
                    ),
                };
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
        }
    }
    lines
}
