//! The part of the report on what the models use and where their gain comes from.

use crate::Verdict;
use crate::diagnosis::ModelDiagnosis;
use crate::document::Block;
use crate::figure::{number, signed, signed_interval};
use crate::ledger::LedgerPart;
use crate::reading::CAUTIONS;
use crate::verdict::LedgerEntry;

/// Makes a table of a caption that still lacks what all captions have.
pub(crate) type MakeTable<'a> = &'a dyn Fn(&str, &[&str], Vec<Vec<String>>) -> Block;

/// The ledger of every diagnosed model, what it says, and what the models use.
pub(crate) fn blocks(verdict: &Verdict, of_test: &str, table: MakeTable<'_>) -> Vec<Block> {
    let metric = &verdict.metric;
    let mut blocks = vec![Block::Heading(2, "Where the gain comes from".to_owned())];
    let caption = format!(
        "Parts of each model's gain in `{metric}` over the text model; backbone, additive and \
         interaction sum to the total. Backbone: the model's own text arm minus the text model. \
         Additive: its additive part (EMAP) minus its text arm, what the picture adds by itself. \
         Interaction: the model minus its additive part, what text and picture say only together. \
         Picture: additive and interaction. A model that has to compute every pair of a text and a \
         picture is looked at on some of the items; beside it the gain on all of {of_test}. Ends \
         at 95 %, over seeds and items; a model, its text arm and its additive part are paired by \
         seed."
    );
    let header = ["model", "part", "gain", "interval", "items", "on all items"];
    let rows = verdict.diagnoses.iter().flat_map(|found| {
        let whole = verdict.ledger.iter().find(|entry| entry.model == found.model);
        ledger_rows(found, whole)
    });
    blocks.push(table(&caption, &header, rows.collect()));
    let readings = verdict
        .diagnoses
        .iter()
        .map(|found| format!("{}: {}.", found.model, found.reading.join("; ")));
    blocks.push(Block::List(readings.collect()));
    blocks.push(Block::Heading(2, "What the models use".to_owned()));
    blocks.push(table(&use_caption(verdict, of_test), &USE_HEADER, use_rows(verdict)));
    blocks.push(Block::List(CAUTIONS.iter().map(|&line| line.to_owned()).collect()));
    blocks
}

/// What is said where no run was diagnosed.
pub(crate) fn absent(verdict: &Verdict) -> Block {
    if verdict.metric == "vqa_accuracy" {
        return Block::Paragraph(
            "Answers to questions are not diagnosed, so how much of a gain is the picture's own and \
             how much it shares with the text is not known; the arms that see the text or the \
             picture alone say some of it."
                .to_owned(),
        );
    }
    Block::Paragraph(
        "No run was diagnosed, so how much of a gain is the picture's own and how much it shares \
         with the text is not known; `mmc diagnose --run RUN_DIR` makes the diagnosis of a run, and \
         `mmc report` then shows it."
            .to_owned(),
    )
}

fn ledger_rows(found: &ModelDiagnosis, whole: Option<&LedgerEntry>) -> Vec<Vec<String>> {
    let parts = &found.ledger;
    let on_all = |value: Option<f64>| value.map_or("–".to_owned(), signed);
    let backbone = whole.and_then(|entry| entry.backbone.gain);
    let picture = whole.and_then(|entry| entry.picture.gain);
    [
        ("backbone", &parts.backbone, backbone),
        ("additive", &parts.additive, None),
        ("interaction", &parts.interaction, None),
        ("total", &parts.total, found.gain_on_all_items),
        ("picture", &parts.picture, picture),
    ]
    .into_iter()
    .map(|(name, part, all)| {
        let (gain, interval) = cells(part);
        let items = found.ledger_items.to_string();
        vec![found.model.clone(), name.to_owned(), gain, interval, items, on_all(all)]
    })
    .collect()
}

fn cells(part: &LedgerPart) -> (String, String) {
    match (part.estimate, part.interval, &part.absent) {
        (Some(estimate), Some(at), _) => (signed(estimate), signed_interval(at.low, at.high)),
        (_, _, Some(why)) => ("–".to_owned(), why.clone()),
        _ => ("–".to_owned(), "–".to_owned()),
    }
}

const USE_HEADER: [&str; 9] = [
    "model",
    "score",
    "texts exchanged",
    "pictures exchanged",
    "text, of score",
    "picture, of score",
    "text blank",
    "picture blank",
    "interaction share",
];

fn use_caption(verdict: &Verdict, of_test: &str) -> String {
    let permutations = verdict.diagnoses.first().map_or(0, |found| found.permutations);
    format!(
        "`{}` of the items of {of_test} as they are; with each item's text, or picture, given to \
         another ({permutations} permutations that leave no item within its own group), and by how \
         much that changes it, with 95 % intervals; that drop as a share of the score (perceptual \
         score); with a blank text or picture. Interaction share: how much of the variance of the \
         logits over all pairs no sum of a text part and a picture part explains. Means over seeds.",
        verdict.metric
    )
}

fn use_rows(verdict: &Verdict) -> Vec<Vec<String>> {
    let rows = verdict.diagnoses.iter().map(|found| {
        let exchanged = |score: f64, drop: &crate::diagnosis::ScoreDrop| {
            let (low, high) = (-drop.interval.high, -drop.interval.low);
            format!("{score:.3} ({} {})", signed(-drop.estimate), signed_interval(low, high))
        };
        vec![
            found.model.clone(),
            number(Some(found.score)),
            exchanged(found.shuffled.text, &found.drop.text),
            exchanged(found.shuffled.image, &found.drop.image),
            number(found.perceptual.text),
            number(found.perceptual.image),
            number(Some(found.blank.text)),
            number(Some(found.blank.image)),
            number(found.interaction_share),
        ]
    });
    rows.collect()
}
