//! The logits of all pairs of texts and pictures of some items, each encoded once.

use std::sync::Arc;

use mmc_data::Split;
use mmc_metrics::emap::{Emap, emap_of};
use mmc_models::{Classifier, Encoded, Pairing};
use mmc_ops::without_gradient;
use mmc_preprocess::{Loader, Processor};
use mmc_random::{Purpose, permutation};

use crate::{PredictOptions, TrainError};

/// States of texts and pictures that are in one forward of pairs: enough to keep threads busy, few
/// enough for their activations to stay small.
const STATES_OF_A_FORWARD: usize = 4096;
/// Subsets, where not all items are in one grid: how far they agree says how far the size of a grid
/// matters.
const SUBSETS: usize = 3;
/// The most items of a grid that is chosen by cost: 4 million pairs.
const LARGEST_GRID: usize = 2000;
/// The most logits of a grid, which are held at a time: 1 GiB of them.
const MOST_LOGITS: usize = 1 << 28;
/// Operations that all grids together may take, where the cost decides: some hours on two cores, a
/// minute or two on a GPU.
const OPERATIONS: f64 = 1e15;
/// Whole forwards that all grids together may take in any case, so that a model which must compute
/// all of each pair gets grids of 100 items, and at most, so that a small model is not computed for
/// longer than it was trained.
const FORWARDS: (f64, f64) = (3.0e4, 6.0e4);

/// A model of text and picture, cut where the two meet.
///
/// # Errors
/// [`TrainError::Setting`] where it is shown one of the two alone.
pub(crate) fn pairing(model: &dyn Classifier) -> Result<&dyn Pairing, TrainError> {
    model.pairing().ok_or_else(|| {
        let problem = format!(
            "the model's arm is `{}`: it is shown one input, so there is nothing to be told apart; \
             give a checkpoint that was trained with `--arm both`",
            model.arm()
        );
        TrainError::setting("checkpoint", problem)
    })
}

/// Which items meet in which grid.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GridPlan {
    /// The items of each grid, in the split's order.
    pub(crate) grids: Vec<Vec<usize>>,
    /// The operations of a pair over those of a whole forward.
    pub(crate) pair_cost: f64,
}

impl GridPlan {
    /// One grid of all items where that is affordable or asked for, else seeded subsets, as even as
    /// can be: an item is in two of them only where every item is in one.
    ///
    /// # Errors
    /// [`TrainError::Setting`] where a grid of the size asked for has more logits than are held.
    pub(crate) fn new(
        (items, classes): (usize, usize),
        (pair_flops, flops): (f64, f64),
        asked: Option<usize>,
        seed: u64,
    ) -> Result<Self, TrainError> {
        let largest = (MOST_LOGITS / classes.max(1)).isqrt().max(1);
        if let Some(asked) = asked.filter(|asked| items.min(*asked) > largest) {
            let problem = format!(
                "`{asked}` items are too many for {classes} classes; give at most {largest}"
            );
            return Err(TrainError::setting("pair_items", problem));
        }
        let pair_cost = pair_flops / flops;
        let forwards = (OPERATIONS / flops).clamp(FORWARDS.0, FORWARDS.1);
        let affordable = |grids: usize| {
            let side = (forwards / (grids as f64 * pair_cost)).sqrt();
            (side as usize).clamp(1, LARGEST_GRID.min(largest))
        };
        let size = match asked {
            Some(asked) => asked.max(1),
            None if items <= affordable(1) => items,
            None => affordable(SUBSETS),
        };
        if items <= size {
            return Ok(Self { grids: vec![(0..items).collect()], pair_cost });
        }
        // Permutations of inputs are numbered from 1.
        let order = permutation(items, seed, Purpose::Intervention, 0);
        let grid = |subset: usize| {
            let start = subset * items / SUBSETS;
            let mut grid: Vec<usize> =
                (start..start + size).map(|place| order[place % items]).collect();
            grid.sort_unstable();
            grid
        };
        Ok(Self { grids: (0..SUBSETS).map(grid).collect(), pair_cost })
    }

    /// Pairs of all grids.
    pub(crate) fn pairs(&self) -> usize {
        self.grids.iter().map(|grid| grid.len() * grid.len()).sum()
    }
}

/// The operations of a pair, and of a whole forward, at the mean lengths of some items spread over
/// the split.
pub(crate) fn operations(
    model: &dyn Classifier,
    processor: &Processor,
    split: &Split,
) -> Result<(f64, f64), TrainError> {
    const LOOKED_AT: usize = 64;
    let (mut text, mut image, mut items) = (0, 0, 0_usize);
    for sample in split.samples.iter().step_by(split.len().div_ceil(LOOKED_AT).max(1)) {
        let example = processor.prepare(sample)?;
        text += example.text.map_or(0, |tokens| tokens.ids.len());
        image += example.image.map_or(0, |at| model.image_tokens(at.height, at.width));
        items += 1;
    }
    let mean = |sum: usize| sum as f64 / items.max(1) as f64;
    let (text, image) = (mean(text), mean(image));
    Ok((pairing(model)?.pair_flops(text, image), model.flops(text, image)))
}

/// The additive part of the logits of each of `items`, from all pairs of their texts and pictures.
/// `progress` is told how many pairs are done.
///
/// # Errors
/// What reading and preparing an item or the forward returns; no items; logits that are not finite.
pub(crate) fn additive_part(
    model: &dyn Classifier,
    processor: &Arc<Processor>,
    split: &Arc<Split>,
    items: &[usize],
    options: &PredictOptions,
    progress: &mut dyn FnMut(usize),
) -> Result<Emap, TrainError> {
    let pairing = pairing(model)?;
    let (texts, images) = encode(pairing, processor, split, items, options)?;
    let (count, classes) = (items.len(), model.classes());
    let states = (texts.states() + images.states()).div_ceil(count.max(1));
    let (pairs, at_once) = (count * count, (STATES_OF_A_FORWARD / states.max(1)).max(1));
    let mut logits = Vec::with_capacity(pairs * classes); // [pairs, classes]
    for first in (0..pairs).step_by(at_once) {
        let chunk = first..pairs.min(first + at_once);
        let chunk: Vec<_> = chunk.map(|pair| (pair / count, pair % count)).collect();
        let found = without_gradient(|| pairing.classify_pairs(&texts, &images, &chunk))?.0;
        logits.extend(found.flatten_all()?.to_vec1::<f32>()?);
        progress(logits.len() / classes);
    }
    if let Some(place) = logits.iter().position(|logit| !logit.is_finite()) {
        let id = split.samples[items[place / classes / count]].id.clone();
        return Err(TrainError::Logits { id, found: classes, classes });
    }
    let logit = |text: usize, image: usize, class: usize| {
        f64::from(logits[(text * count + image) * classes + class])
    };
    Ok(emap_of(count, classes, logit)?)
}

/// The texts and the pictures of some items.
fn encode(
    pairing: &dyn Pairing,
    processor: &Arc<Processor>,
    split: &Arc<Split>,
    items: &[usize],
    options: &PredictOptions,
) -> Result<(Encoded, Encoded), TrainError> {
    let plan = items.chunks(options.rows.max(1)).map(<[usize]>::to_vec).collect();
    let loader = Loader::new(Arc::clone(split), Arc::clone(processor), plan, options.loader())?;
    let (mut texts, mut images) = (Vec::new(), Vec::new());
    for batch in loader {
        let batch = batch?;
        texts.push(without_gradient(|| pairing.encode_texts(&batch))?);
        images.push(without_gradient(|| pairing.encode_images(&batch))?);
    }
    Ok((Encoded::cat(&texts)?, Encoded::cat(&images)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(items: usize, pair_cost: f64, asked: Option<usize>) -> GridPlan {
        GridPlan::new((items, 2), (pair_cost * 1e6, 1e6), asked, 0).unwrap()
    }

    /// Sizes of the grids, items in any of them, and the most grids that hold one item.
    fn shape(plan: &GridPlan, items: usize) -> (Vec<usize>, usize, usize) {
        let mut held = vec![0; items];
        for grid in &plan.grids {
            assert!(grid.is_sorted_by(|a, b| a < b));
            for &item in grid {
                held[item] += 1;
            }
        }
        let sizes = plan.grids.iter().map(Vec::len).collect();
        let any = held.iter().filter(|&&grids| grids > 0).count();
        (sizes, any, held.into_iter().max().unwrap_or(0))
    }

    #[test]
    fn the_cost_of_a_pair_decides_how_many_meet() {
        // A head alone: all items. A share of a forward, or all of it: subsets without overlap.
        assert_eq!(shape(&plan(2000, 0.005, None), 2000), (vec![2000], 2000, 1));
        assert_eq!(shape(&plan(2000, 0.25, None), 2000), (vec![282; 3], 846, 1));
        assert_eq!(shape(&plan(2000, 1.0, None), 2000), (vec![141; 3], 423, 1));
        assert_eq!(plan(2000, 1.0, None).pairs(), 3 * 141 * 141);
        assert_eq!(shape(&plan(244, 1.0, None), 244), (vec![244], 244, 1));
        // Too few for subsets side by side, too many for one: all are in some grid.
        assert_eq!(shape(&plan(250, 1.0, None), 250), (vec![141; 3], 250, 2));
        // A model of 50 GFLOP gets what a day of a laptop allows.
        let large = GridPlan::new((2000, 2), (5e10, 5e10), None, 0).unwrap();
        assert_eq!(shape(&large, 2000), (vec![100; 3], 300, 1));
        assert_eq!(shape(&plan(50_000, 1e-6, None), 50_000), (vec![2000; 3], 6000, 1));
    }

    #[test]
    fn what_is_asked_for_is_done() {
        assert_eq!(shape(&plan(900, 1.0, Some(500)), 900), (vec![500; 3], 900, 2));
        assert_eq!(shape(&plan(900, 1.0, Some(900)), 900), (vec![900], 900, 1));
        assert_eq!(shape(&plan(0, 1.0, Some(5)), 0), (vec![0], 0, 0));
        let other = GridPlan::new((900, 2), (1e6, 1e6), Some(100), 1).unwrap();
        assert_ne!(plan(900, 1.0, Some(100)).grids, other.grids);
    }

    #[test]
    fn many_classes_make_small_grids() {
        let plan = |asked| GridPlan::new((2000, 3129), (1.0, 1e6), asked, 0);
        let sizes: Vec<usize> = plan(None).unwrap().grids.iter().map(Vec::len).collect();
        assert_eq!(sizes, [292; SUBSETS]); // 292² · 3129 logits are within 2²⁸
        let error = plan(Some(293)).unwrap_err().to_string();
        assert!(error.contains("at most 292"), "{error}");
    }
}
