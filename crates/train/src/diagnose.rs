//! What a model of text and picture makes of inputs that were changed, and of all pairs of them: the
//! material of a diagnosis.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use mmc_data::{Split, Task};
use mmc_metrics::emap::Emap;
use mmc_models::Classifier;
use mmc_preprocess::Processor;
use mmc_run::{
    AdditivePart, ByModality, DiagnosedItem, Diagnosis, DiagnosisSource, LogitRows, Predictions,
};

use crate::error::listed;
use crate::pair_grid::{GridPlan, additive_part, operations, pairing};
use crate::{Intervention, Modality, PredictOptions, Predicted, TrainError, predict};

/// The most logits that all passes of a diagnosis may have: 4 GiB of them.
const MOST_LOGITS: usize = 1 << 30;
/// Logits in a GiB.
const GIB: f64 = (1_u64 << 28) as f64;

/// What a diagnosis tells while it is made.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Diagnosing<'a> {
    /// Something that a user should know.
    Note(&'a str),
    /// How far a part is.
    Part {
        /// What is computed: `items as they are`, `shuffled texts`, `pairs`, …
        what: &'a str,
        /// Items, or pairs, that are done.
        done: usize,
        /// Of how many.
        of: usize,
    },
}

/// Predicts a split as it is, with blank and with exchanged texts and pictures, and computes the
/// additive part of the logits from all pairs of the items of one or more grids.
///
/// Items that cannot be prepared are errors, or left out, as `options` say; its intervention is not
/// read. The caller answers for `source`; its seed, permutations and items of a grid are obeyed.
///
/// # Errors
/// [`TrainError::Setting`] where the model is shown text or pictures alone, and without
/// permutations; [`TrainError::NoPartners`] where inputs cannot be exchanged; else as [`predict`].
pub fn diagnose(
    model: &dyn Classifier,
    processor: &Arc<Processor>,
    split: &Arc<Split>,
    options: &PredictOptions,
    source: DiagnosisSource,
    progress: &mut dyn FnMut(Diagnosing<'_>),
) -> Result<Diagnosis, TrainError> {
    pairing(model)?;
    if options.task == Task::Answers {
        let problem = "answers to questions cannot be diagnosed: logits of thousands of answers for \
                       every change of every item are not kept; diagnose a task of a few classes";
        return Err(TrainError::setting("dataset", problem));
    }
    if source.permutations == 0 {
        let problem = "no permutations are asked for; 5 or more give a stable mean";
        return Err(TrainError::setting("permutations", problem));
    }
    affordable(split.len(), options.classes.len(), source.permutations)?;
    let mut taken = Taken { model, processor, split: Arc::clone(split), options, progress };
    let plain = taken.predict("items as they are", Intervention::None)?;
    taken.leave_out(&plain.skipped);
    let blank = ByModality {
        text: taken.blank("blank texts", Modality::Text)?,
        image: taken.blank("blank pictures", Modality::Image)?,
    };
    let shuffled = ByModality {
        text: taken.shuffled("shuffled texts", Modality::Text, &source)?,
        image: taken.shuffled("shuffled pictures", Modality::Image, &source)?,
    };
    let additive = taken.additive(&source)?;
    let items = plain.predictions.rows.iter().map(|row| DiagnosedItem {
        id: row.id.clone(),
        label: row.label.clone(),
        group: row.group.clone(),
    });
    Ok(Diagnosis {
        source,
        classes: options.classes.clone(),
        items: items.collect(),
        plain: logits(plain.predictions),
        blank,
        shuffled,
        additive,
    })
}

/// Refuses what would end in a process that is killed for its memory: every pass over the split is kept,
/// an f32 a class of each item.
fn affordable(items: usize, classes: usize, permutations: usize) -> Result<(), TrainError> {
    let passes = permutations.saturating_mul(2).saturating_add(3);
    let logits = items.saturating_mul(classes).saturating_mul(passes);
    if logits <= MOST_LOGITS {
        return Ok(());
    }
    let most = MOST_LOGITS / classes.saturating_mul(passes).max(1);
    let problem = format!(
        "{passes} passes over {items} items of {classes} classes are {:.0} GiB of logits, more than the \
         {:.0} GiB that are held; give a split of at most {most} items, or fewer permutations",
        logits as f64 / GIB,
        MOST_LOGITS as f64 / GIB
    );
    Err(TrainError::setting("permutations", problem))
}

/// A split that is taken through a model again and again.
struct Taken<'a> {
    model: &'a dyn Classifier,
    processor: &'a Arc<Processor>,
    split: Arc<Split>,
    options: &'a PredictOptions,
    progress: &'a mut dyn FnMut(Diagnosing<'_>),
}

impl Taken<'_> {
    fn predict(&mut self, what: &str, intervention: Intervention) -> Result<Predicted, TrainError> {
        let options = PredictOptions { intervention, ..self.options.clone() };
        let of = self.split.len();
        let tell = &mut |done| (self.progress)(Diagnosing::Part { what, done, of });
        let found = predict(self.model, self.processor, &self.split, &options, tell)?;
        if intervention != Intervention::None && !found.skipped.is_empty() {
            // Tables of other items would be set beside each other.
            let ids = listed(&found.skipped);
            let problem = format!("{ids} could be read before and no longer can; run it again");
            return Err(TrainError::setting("on_bad_item", problem));
        }
        Ok(found)
    }

    /// Goes on without items that cannot be used.
    fn leave_out(&mut self, skipped: &[String]) {
        if skipped.is_empty() {
            return;
        }
        let skipped: HashSet<&str> = skipped.iter().map(String::as_str).collect();
        let mut split = Split::clone(&self.split);
        split.samples.retain(|sample| !skipped.contains(sample.id.as_str()));
        self.split = Arc::new(split);
    }

    fn blank(&mut self, what: &str, modality: Modality) -> Result<LogitRows, TrainError> {
        Ok(logits(self.predict(what, Intervention::Blank(modality))?.predictions))
    }

    fn shuffled(
        &mut self,
        what: &str,
        modality: Modality,
        source: &DiagnosisSource,
    ) -> Result<Vec<LogitRows>, TrainError> {
        let permutations = 1..=source.permutations as u64;
        let seed = source.seed;
        let of = |permutation| Intervention::Shuffled { modality, seed, permutation };
        permutations.map(|number| Ok(logits(self.predict(what, of(number))?.predictions))).collect()
    }

    fn additive(&mut self, source: &DiagnosisSource) -> Result<AdditivePart, TrainError> {
        let costs = operations(self.model, self.processor, &self.split)?;
        let size = (self.split.len(), self.model.classes());
        let plan = GridPlan::new(size, costs, source.grid_items, source.seed)?;
        let pairs = plan.pairs();
        (self.progress)(Diagnosing::Note(&words(&plan, self.split.len())));
        let (mut before, mut found): (usize, Vec<Emap>) = (0, Vec::new());
        for grid in &plan.grids {
            let progress = &mut *self.progress;
            let tell = &mut |done: usize| {
                progress(Diagnosing::Part { what: "pairs", done: before + done, of: pairs });
            };
            let (model, split) = (self.model, &self.split);
            found.push(additive_part(model, self.processor, split, grid, self.options, tell)?);
            before += grid.len() * grid.len();
        }
        let (items, logits) = mean_over_grids(&plan, &found);
        Ok(AdditivePart {
            grids: plan.grids.iter().map(Vec::len).collect(),
            interaction_share: found.into_iter().map(|emap| emap.interaction_share).collect(),
            items,
            logits,
            pairs,
            pair_cost: plan.pair_cost,
        })
    }
}

/// The items of all grids in their order, with the mean of their additive logits over the grids
/// that hold them.
fn mean_over_grids(plan: &GridPlan, found: &[Emap]) -> (Vec<usize>, Vec<Vec<f64>>) {
    let mut sums: BTreeMap<usize, (Vec<f64>, f64)> = BTreeMap::new();
    for (grid, emap) in plan.grids.iter().zip(found) {
        for (&item, logits) in grid.iter().zip(&emap.logits) {
            let (sum, grids) = sums.entry(item).or_insert_with(|| (vec![0.0; logits.len()], 0.0));
            sum.iter_mut().zip(logits).for_each(|(sum, logit)| *sum += logit);
            *grids += 1.0;
        }
    }
    let mean = |(item, (sum, grids)): (usize, (Vec<f64>, f64))| {
        (item, sum.into_iter().map(|sum| sum / grids).collect())
    };
    sums.into_iter().map(mean).unzip()
}

/// What is about to be computed, with its price.
fn words(plan: &GridPlan, items: usize) -> String {
    let pairs = plan.pairs();
    let passes = pairs as f64 * plan.pair_cost / items.max(1) as f64;
    let grids = match plan.grids.as_slice() {
        [all] => format!("all {} items", all.len()),
        grids => format!("{} subsets of {} items", grids.len(), grids[0].len()),
    };
    format!(
        "additive part: all pairs of the texts and pictures of {grids}, {pairs} in all; at {:.1} % \
         of a forward each they cost as much as {passes:.1} predictions of the split",
        100.0 * plan.pair_cost
    )
}

/// The logits of predictions.
fn logits(predictions: Predictions) -> LogitRows {
    predictions.rows.into_iter().filter_map(|row| row.logits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_not_fit_into_memory_is_refused_before_it_begins() {
        // Hateful Memes, SNLI-VE and a tenth of VQA fit; all of VQA's validation split does not.
        for (items, classes) in [(2_000, 2), (17_900, 3), (21_000, 3_129)] {
            assert!(affordable(items, classes, 5).is_ok(), "{items} × {classes}");
        }
        let error = affordable(214_354, 3_129, 5).unwrap_err().to_string();
        assert!(
            error.contains("32 GiB of logits") && error.contains("at most 26396 items"),
            "{error}"
        );
        assert!(affordable(usize::MAX, 2, 5).is_err());
    }

    #[test]
    fn an_item_of_two_grids_has_the_mean_of_both() {
        let plan = GridPlan { grids: vec![vec![0, 1], vec![1, 2]], pair_cost: 1.0 };
        let emap = |logits: [f64; 2]| Emap {
            logits: logits.map(|logit| vec![logit, -logit]).to_vec(),
            interaction_share: Vec::new(),
        };
        let (items, logits) = mean_over_grids(&plan, &[emap([5.0, 1.0]), emap([3.0, 7.0])]);
        assert_eq!(items, [0, 1, 2]);
        assert_eq!(logits, [[5.0, -5.0], [2.0, -2.0], [7.0, -7.0]]);
    }
}
