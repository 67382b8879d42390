//! The gain ledger: where a multimodal model's gain over a text model comes from.
//!
//! full − text model = (text arm − text model) + (additive − text arm) + (full − additive):
//! another backbone, the picture as far as it adds to the text, and what only picture and text
//! together say. *Additive* is the full model's EMAP ([`crate::emap`]) on the same items.

use serde::{Deserialize, Serialize};

use crate::compare::{Comparison, Contrast, Method, Scope, compare};
use crate::error::{MetricError, Result};
use crate::interval::Interval;
use crate::items::Items;
use crate::metric::Metric;

/// The files of a ledger, all of the same items in the same order, one file per seed.
#[derive(Clone, Copy, Debug)]
pub struct Arms<'a> {
    /// The text model that is compared with; empty where there is none.
    pub text_model: &'a [Items<'a>],
    /// The multimodal model trained on text alone.
    pub text_arm: &'a [Items<'a>],
    /// The additive projection of each file of `full`, in its order.
    pub additive: &'a [Items<'a>],
    /// The multimodal model with text and picture.
    pub full: &'a [Items<'a>],
}

/// One entry of a ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The gain in the metric's units; positive is better, also where less of the metric is better.
    pub estimate: f64,
    /// Its interval.
    pub interval: Interval,
    /// How the interval was made.
    pub method: Method,
    /// What it speaks about.
    pub scope: Scope,
    /// Whether seed r of one side was compared with seed r of the other.
    pub paired_seeds: bool,
}

/// The parts of a gain, which sum to the total.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// The text arm against the text model, seeds unpaired; `None` without a text model.
    pub backbone: Option<Part>,
    /// The additive model against the text arm; seeds paired where both have as many.
    pub additive: Part,
    /// The full model against the additive one, seeds paired.
    pub interaction: Part,
    /// The full model against the text model, seeds unpaired; its estimate is the sum of the
    /// others'. `None` without a text model.
    pub total: Option<Part>,
}

/// Draws up the ledger of `metric` with intervals at `level`, two-way over seeds and items, over
/// items alone where a side has one file. `seed` is that of the bootstrap, read by metrics that
/// need one.
///
/// # Errors
/// As [`compare`]; another number of additive than of full files.
pub fn ledger(metric: &Metric, arms: &Arms, level: f64, seed: u64) -> Result<Ledger> {
    let (expected, found) = (arms.full.len(), arms.additive.len());
    if expected != found {
        return Err(MetricError::Lengths { what: "additive files", expected, found });
    }
    let part = |baseline, candidate, paired_seeds| -> Result<Part> {
        let contrast = Contrast {
            metric,
            baseline,
            candidate,
            paired_seeds,
            margin: 0.0,
            lower_level: level,
            upper_level: level,
            seed,
        };
        Ok(entry(metric, &compare(&contrast)?))
    };
    let same_seeds = arms.text_arm.len() == arms.additive.len();
    let additive = part(arms.text_arm, arms.additive, same_seeds)?;
    let interaction = part(arms.additive, arms.full, true)?;
    if arms.text_model.is_empty() {
        return Ok(Ledger { backbone: None, additive, interaction, total: None });
    }
    let backbone = part(arms.text_model, arms.text_arm, false)?;
    let mut total = part(arms.text_model, arms.full, false)?;
    // Equal up to the rounding of the scores; as printed, the parts sum to it.
    total.estimate = backbone.estimate + additive.estimate + interaction.estimate;
    Ok(Ledger { backbone: Some(backbone), additive, interaction, total: Some(total) })
}

fn entry(metric: &Metric, found: &Comparison) -> Part {
    let Interval { low, high } = found.interval;
    let (estimate, interval) = if metric.higher_is_better {
        (found.difference, found.interval)
    } else {
        (-found.difference, Interval { low: -high, high: -low })
    };
    let Comparison { method, scope, paired_seeds, .. } = *found;
    Part { estimate, interval, method, scope, paired_seeds }
}
