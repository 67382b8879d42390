//! What a diagnosis says in words, and what it does not say.

use mmc_metrics::Interval;

use crate::diagnosis::{DiagnosisTerms, ModelDiagnosis};
use crate::figure::{signed, signed_interval};
use crate::ledger::LedgerPart;

/// What a part of a gain is shown to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// Above zero.
    Gain,
    /// Below zero.
    Loss,
    /// Neither, and below the margin.
    Small,
    /// Nothing.
    Open,
    /// It is not known.
    Unknown,
}

fn shown(part: &LedgerPart, margin: f64) -> Shown {
    match part.interval {
        None => Shown::Unknown,
        Some(Interval { low, .. }) if low > 0.0 => Shown::Gain,
        Some(Interval { high, .. }) if high < 0.0 => Shown::Loss,
        Some(Interval { high, .. }) if high < margin => Shown::Small,
        Some(_) => Shown::Open,
    }
}

/// An estimate with its interval.
fn figures(part: &LedgerPart) -> String {
    match (part.estimate, part.interval) {
        (Some(estimate), Some(at)) => {
            format!("{} {}", signed(estimate), signed_interval(at.low, at.high))
        }
        _ => "not known".to_owned(),
    }
}

/// What the figures say: of the picture's worth, of the backbone, of what the model uses.
pub(crate) fn reading(terms: &DiagnosisTerms<'_>, found: &ModelDiagnosis) -> Vec<String> {
    let mut lines = vec![picture(terms, found)];
    lines.extend(backbone(terms, found));
    lines.push(reliance(found));
    lines
}

fn picture(terms: &DiagnosisTerms<'_>, found: &ModelDiagnosis) -> String {
    let ledger = &found.ledger;
    let of = |part: &LedgerPart| shown(part, terms.margin);
    let (interaction, additive) = (figures(&ledger.interaction), figures(&ledger.additive));
    let parts = format!("by itself {additive}, together with the text {interaction}");
    let whole = figures(&ledger.picture);
    match (of(&ledger.additive), of(&ledger.interaction), of(&ledger.picture)) {
        (Shown::Unknown, joint, _) => {
            let not = if joint == Shown::Gain { "" } else { "not " };
            format!(
                "it is {not}shown to gain from what text and picture say only together \
                 ({interaction}); what the picture adds by itself takes the model's text arm to tell"
            )
        }
        (Shown::Gain, Shown::Gain, _) => {
            format!("the picture helps, by itself and together with the text: {parts}")
        }
        (_, Shown::Gain, Shown::Loss) => format!(
            "pictures hurt, though it gains from what text and picture say only together: {parts}"
        ),
        (Shown::Open, Shown::Gain, _) => format!(
            "the picture helps together with the text, and no gain from it by itself is shown: \
             {parts}"
        ),
        (_, Shown::Gain, _) => {
            format!("the picture helps together with the text, not by itself: {parts}")
        }
        (Shown::Gain, _, Shown::Loss) => {
            format!("pictures hurt, though they help by themselves: {parts}, in all {whole}")
        }
        (Shown::Gain, _, _) => format!(
            "the picture helps by itself, and no gain from what it says only together with the text \
             is shown: {parts}"
        ),
        (_, _, Shown::Gain) => format!(
            "the picture helps ({whole}), and whether by itself or together with the text cannot be \
             told: {parts}"
        ),
        (_, _, Shown::Loss) => format!("pictures hurt: over its own text arm {whole}"),
        (_, _, Shown::Small) => format!(
            "pictures do not help: over its own text arm it is shown to gain less than {}, {whole}",
            terms.margin
        ),
        _ => format!(
            "no gain from pictures is shown and none is ruled out: over its own text arm {whole}"
        ),
    }
}

fn backbone(terms: &DiagnosisTerms<'_>, found: &ModelDiagnosis) -> Option<String> {
    let part = &found.ledger.backbone;
    let (text, at) = (terms.text_model, figures(part));
    let within = part
        .interval
        .is_some_and(|at| at.low > -terms.margin && at.high < terms.margin && terms.margin > 0.0);
    Some(match shown(part, terms.margin) {
        Shown::Unknown => return None,
        Shown::Loss => format!("shown the text alone it is weaker than {text}: {at}"),
        Shown::Gain => format!(
            "shown the text alone it is stronger than {text}, which has nothing to do with \
             pictures: {at}"
        ),
        _ if within => format!("shown the text alone it is as good as {text}: {at}"),
        _ => format!("shown the text alone it cannot be told from {text}: {at}"),
    })
}

fn reliance(found: &ModelDiagnosis) -> String {
    let of = |drop: &crate::diagnosis::ScoreDrop| {
        let figures = format!(
            "{} {}",
            signed(-drop.estimate),
            signed_interval(-drop.interval.high, -drop.interval.low)
        );
        let uses = drop.interval.low > 0.0;
        (uses, figures)
    };
    let ((text, by_text), (image, by_image)) = (of(&found.drop.text), of(&found.drop.image));
    let words = match (text, image) {
        (true, true) => "it relies on both inputs",
        (true, false) => "it relies on the text and is not shown to rely on the picture",
        (false, true) => "it relies on the picture and is not shown to rely on the text",
        (false, false) => "it is not shown to rely on either input",
    };
    format!(
        "{words}: with texts exchanged between items `{}` changes by {by_text}, with pictures \
         exchanged by {by_image}",
        found.metric
    )
}

/// What the figures of a diagnosis do not say; for those who read them.
pub const CAUTIONS: &[&str] = &[
    "An additive part as good as the model does not mean that the picture is unused: it may help by \
     itself. Additive minus text arm is what the picture is worth by itself, model minus additive \
     part what it is worth only together with the text (EMAP; Hessel and Lee 2020).",
    "Pairs of a text with another item's picture are unlike what the model was trained on, the more \
     so where text and picture repeat each other; and the additive part depends on how many items \
     met in a grid.",
    "A drop with an input exchanged between items (perceptual score; Gat et al. 2021) shows \
     reliance, not need: what a model makes without pictures, its text arm says.",
    "Blank inputs are unlike any that the model was trained on: a drop shows that it is sensitive, \
     not that it uses what was taken away. Exchanged inputs are the better evidence.",
];
