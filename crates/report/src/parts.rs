//! Scores of parts of the test split: by class, by how many items share a picture, by what the predictions
//! record of the items (such as `question_type`), and what the picture changes item by item. Exploratory: nothing of it decides.

use std::collections::{BTreeMap, HashMap};

use mmc_data::Arm;
use mmc_metrics::{Interval, Items, Metric, metric};
use mmc_run::{ScoredRows, WordColumn};
use serde::Serialize;

use crate::arm::{ArmRuns, items, mean};
use crate::compare::{ALPHA, Rule};
use crate::document::plain;
use crate::verdict::best_on_selection;

/// Values of a recorded column that are shown, those with most items first.
const MOST_VALUES: usize = 12;
/// A column of more values than this tells items apart and not kinds of them.
const MOST_KINDS: usize = 100;
/// Classes that are shown, those with most items first.
const MOST_CLASSES: usize = 30;

/// Precision, recall and F1 of one class, means over seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassScore {
    /// The class.
    pub class: String,
    /// Its test items.
    pub items: usize,
    /// The arm, `model (arm)`.
    pub arm: String,
    /// Of the items called so, the share that is.
    pub precision: f64,
    /// Of the items that are, the share called so.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
}

/// The gain in accuracy on a part of the test split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Subgroup {
    /// Which items.
    pub part: String,
    /// How many.
    pub items: usize,
    /// Mean accuracy of the text model on them.
    pub baseline: f64,
    /// Mean accuracy of the candidate on them.
    pub candidate: f64,
    /// The candidate minus the text model, and its 95 % interval; absent where there is none.
    pub interval: Option<Interval>,
}

/// What becomes of the text model's decisions with the picture, as shares of the items: means over
/// all pairs of seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The arm, `model (arm)`.
    pub candidate: String,
    /// Both right.
    pub both_right: f64,
    /// Wrong by text, right with the picture.
    pub rescued: f64,
    /// Right by text, wrong with the picture.
    pub hurt: f64,
    /// Both wrong.
    pub both_wrong: f64,
}

/// What is shown of the parts.
pub(crate) struct Parts {
    pub(crate) candidate: Option<String>,
    pub(crate) classes: Vec<ClassScore>,
    pub(crate) subgroups: Vec<Subgroup>,
    pub(crate) changes: Vec<Change>,
}

pub(crate) fn parts(
    arms: &[ArmRuns],
    text: Option<&ArmRuns>,
    primary: &Metric,
    columns: &[WordColumn],
) -> Parts {
    let both = || arms.iter().filter(|arm| arm.arm == Arm::Both && !arm.scored().is_empty());
    let text = text.filter(|text| !text.scored().is_empty());
    let best = best_on_selection(both(), primary);
    let shown: Vec<&ArmRuns> = text.into_iter().chain(both()).collect();
    Parts {
        candidate: best.map(ArmRuns::name),
        classes: class_scores(&shown),
        subgroups: text.zip(best).map_or(Vec::new(), |(text, best)| {
            let mut found = subgroups(text, best);
            found.extend(columns.iter().flat_map(|column| by_column(column, text, best)));
            found
        }),
        changes: text
            .map_or(Vec::new(), |text| both().filter_map(|arm| change(text, arm)).collect()),
    }
}

fn class_scores(arms: &[&ArmRuns]) -> Vec<ClassScore> {
    let Some(rows) = arms.first().and_then(|arm| arm.first_rows()) else { return Vec::new() };
    let count = |class: usize| rows.labels.iter().filter(|label| **label == class).count();
    let mut order: Vec<(usize, usize)> =
        (0..rows.classes.len()).map(|class| (count(class), class)).collect();
    if order.len() > MOST_CLASSES {
        order.sort_by_key(|&(items, class)| (std::cmp::Reverse(items), class));
        order.truncate(MOST_CLASSES);
    }
    let mut found = Vec::new();
    for (items, class) in order {
        for arm in arms {
            let scores: Vec<_> = arm
                .items()
                .iter()
                .filter_map(|file| Some(file.confusion().ok()?.class_scores(class, 0.0)))
                .collect();
            let over = |of: fn(&mmc_metrics::labels::ClassScores) -> f64| {
                mean(&scores.iter().map(of).collect::<Vec<f64>>())
            };
            if !scores.is_empty() {
                found.push(ClassScore {
                    class: rows.classes[class].clone(),
                    items,
                    arm: arm.name(),
                    precision: over(|score| score.precision),
                    recall: over(|score| score.recall),
                    f1: over(|score| score.f1),
                });
            }
        }
    }
    found
}

/// Items by how many of the test split share their picture.
fn subgroups(text: &ArmRuns, best: &ArmRuns) -> Vec<Subgroup> {
    let Some(clusters) = text.first_rows().and_then(|rows| rows.clusters.as_ref()) else {
        return Vec::new();
    };
    let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
    for cluster in clusters {
        *sizes.entry(*cluster).or_default() += 1;
    }
    let ranges = [(1, 1), (2, 2), (3, 5), (6, usize::MAX)];
    let mut found = Vec::new();
    for (least, most) in ranges {
        let chosen: Vec<usize> = (0..clusters.len())
            .filter(|&item| (least..=most).contains(&sizes[&clusters[item]]))
            .collect();
        let part = match (least, most) {
            (1, _) => "no other item shares its picture".to_owned(),
            (2, _) => "two items share a picture".to_owned(),
            (_, usize::MAX) => format!("{least} or more items share a picture"),
            _ => format!("{least} to {most} items share a picture"),
        };
        found.extend(subgroup(part, &chosen, text, best));
    }
    if found.len() < 2 { Vec::new() } else { found }
}

/// Items by what a column of the predictions says of them; nothing of a column with one value, or with
/// so many that it names items.
fn by_column(column: &WordColumn, text: &ArmRuns, best: &ArmRuns) -> Vec<Subgroup> {
    let rows = text.runs.first().and_then(|run| run.test.as_ref());
    let Some(rows) = rows.map(|test| &test.rows) else { return Vec::new() };
    let words: HashMap<&str, &str> =
        column.words.iter().map(|(id, word)| (id.as_str(), word.as_str())).collect();
    let mut chosen: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        if let Some(word) = words.get(row.id.as_str()) {
            chosen.entry(word).or_default().push(at);
        }
    }
    let kinds = chosen.len();
    if !(2..=MOST_KINDS.min(rows.len() / 2)).contains(&kinds) {
        return Vec::new();
    }
    let mut kinds: Vec<(&str, Vec<usize>)> = chosen.into_iter().collect();
    kinds.sort_by_key(|(word, items)| (std::cmp::Reverse(items.len()), *word));
    let left = kinds.len().saturating_sub(MOST_VALUES);
    let rest: Vec<usize> = kinds.drain(kinds.len() - left..).flat_map(|(_, items)| items).collect();
    let mut found: Vec<Subgroup> = kinds
        .into_iter()
        .filter_map(|(word, items)| {
            subgroup(format!("`{}` is {}", plain(&column.name), plain(word)), &items, text, best)
        })
        .collect();
    found.extend(subgroup(
        format!("`{}` is one of {left} rarer values", plain(&column.name)),
        &rest,
        text,
        best,
    ));
    found
}

fn subgroup(part: String, chosen: &[usize], text: &ArmRuns, best: &ArmRuns) -> Option<Subgroup> {
    if chosen.is_empty() {
        return None;
    }
    let are_answers = text.first_rows().is_some_and(|rows| rows.answers.is_some());
    let accuracy = metric(if are_answers { "vqa_accuracy" } else { "accuracy" }).ok()?;
    let cut =
        |arm: &ArmRuns| arm.scored().iter().map(|rows| only(rows, chosen)).collect::<Vec<_>>();
    let (text_rows, best_rows) = (cut(text), cut(best));
    let a: Vec<Items> = text_rows.iter().map(|rows| items(rows, text.positive())).collect();
    let b: Vec<Items> = best_rows.iter().map(|rows| items(rows, best.positive())).collect();
    let over = |files: &[Items]| {
        let scores: Option<Vec<f64>> =
            files.iter().map(|file| (accuracy.score)(file).ok()).collect();
        scores.map(|scores| mean(&scores))
    };
    let (baseline, candidate) = (over(&a)?, over(&b)?);
    let rule =
        Rule { metric: accuracy, margin: 0.0, lower_level: 1.0 - ALPHA, paired_seeds: false };
    let interval = rule.compare(&a, &b).ok().map(|found| found.interval);
    Some(Subgroup { part, items: chosen.len(), baseline, candidate, interval })
}

/// The chosen rows alone.
fn only(rows: &ScoredRows, chosen: &[usize]) -> ScoredRows {
    // Answers to questions are of no class.
    let of_classes = if rows.answers.is_some() { &[] } else { chosen };
    ScoredRows {
        classes: rows.classes.clone(),
        labels: of_classes.iter().map(|&item| rows.labels[item]).collect(),
        predictions: of_classes.iter().map(|&item| rows.predictions[item]).collect(),
        probabilities: of_classes.iter().map(|&item| rows.probabilities[item].clone()).collect(),
        logits: rows
            .logits
            .as_ref()
            .map(|logits| chosen.iter().map(|&item| logits[item].clone()).collect()),
        clusters: rows
            .clusters
            .as_ref()
            .map(|clusters| chosen.iter().map(|&item| clusters[item]).collect()),
        answers: rows.answers.as_ref().map(|answers| answers.only(chosen)),
    }
}

/// `None` of answers, which are more or less right.
fn change(text: &ArmRuns, arm: &ArmRuns) -> Option<Change> {
    arm.first_rows().filter(|rows| rows.answers.is_none())?;
    let mut counts = [0_usize; 4];
    for a in text.scored() {
        for b in arm.scored() {
            for (item, label) in a.labels.iter().enumerate() {
                let (before, after) =
                    (a.predictions[item] == *label, b.predictions[item] == *label);
                counts[2 * usize::from(before) + usize::from(after)] += 1;
            }
        }
    }
    let all = counts.iter().sum::<usize>().max(1) as f64;
    let share = |count: usize| count as f64 / all;
    Some(Change {
        candidate: arm.name(),
        both_right: share(counts[3]),
        rescued: share(counts[1]),
        hurt: share(counts[2]),
        both_wrong: share(counts[0]),
    })
}
