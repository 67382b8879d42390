//! The gain ledger where some of its files may be unknown.

use mmc_metrics::ledger::{Arms, Part, ledger};
use mmc_metrics::{Contrast, Interval, Items, Metric, MetricError, compare};
use serde::Serialize;

use crate::compare::{ALPHA, improvement};

/// A part of a gain; a gain is an improvement, also where less is better.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LedgerPart {
    /// How large it is; null where it cannot be known.
    pub estimate: Option<f64>,
    /// Its 95 % interval over seeds and items, over items alone where a side has one file.
    pub interval: Option<Interval>,
    /// Why it cannot be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absent: Option<String>,
}

/// The parts of a multimodal model's gain over a text model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LedgerParts {
    /// Its own text arm minus the text model: another architecture and pretraining.
    pub backbone: LedgerPart,
    /// Its additive part (EMAP) minus its text arm: what the picture adds by itself.
    pub additive: LedgerPart,
    /// The model minus its additive part: what text and picture say only together.
    pub interaction: LedgerPart,
    /// The model minus the text model: the sum of the three.
    pub total: LedgerPart,
    /// The model minus its text arm: what the picture is worth to it, additive and interaction.
    pub picture: LedgerPart,
}

/// Keeps the ledger of what is known: without a text arm the interaction alone and, with a text
/// model, the total.
pub(crate) fn keep(metric: &Metric, arms: &Arms) -> Result<LedgerParts, MetricError> {
    let level = 1.0 - ALPHA;
    let part = |baseline: &[Items], candidate: &[Items], paired_seeds: bool, lacking: &str| {
        if baseline.is_empty() {
            return Ok(unknown(lacking));
        }
        let contrast = Contrast {
            metric,
            baseline,
            candidate,
            paired_seeds: paired_seeds && baseline.len() == candidate.len(),
            margin: 0.0,
            lower_level: level,
            upper_level: level,
            seed: 0,
        };
        let (estimate, interval) = improvement(metric, &compare(&contrast)?);
        Ok(LedgerPart { estimate: Some(estimate), interval: Some(interval), absent: None })
    };
    let (arm, model) = ("the model's text arm is not given", "the text model is not given");
    let picture = part(arms.text_arm, arms.full, true, arm)?;
    if arms.text_arm.is_empty() {
        return Ok(LedgerParts {
            backbone: unknown(arm),
            additive: unknown(arm),
            interaction: part(arms.additive, arms.full, true, arm)?,
            total: part(arms.text_model, arms.full, false, model)?,
            picture,
        });
    }
    let found = ledger(metric, arms, level, 0)?;
    let known = |part: Part| LedgerPart {
        estimate: Some(part.estimate),
        interval: Some(part.interval),
        absent: None,
    };
    Ok(LedgerParts {
        backbone: found.backbone.map_or_else(|| unknown(model), known),
        additive: known(found.additive),
        interaction: known(found.interaction),
        total: found.total.map_or_else(|| unknown(model), known),
        picture,
    })
}

fn unknown(why: &str) -> LedgerPart {
    LedgerPart { estimate: None, interval: None, absent: Some(why.to_owned()) }
}
