//! A diagnosis in words: what the figures are, what they say, what they do not say.

use mmc_report::{CAUTIONS, LedgerPart, ModelDiagnosis, ScoreDrop};

use crate::output::table;

/// All of it, for a terminal.
pub(crate) fn words(found: &ModelDiagnosis) -> String {
    let seeds = match found.seeds {
        1 => "one checkpoint, so nothing is known about newly trained ones".to_owned(),
        seeds => format!("means over {seeds} checkpoints"),
    };
    let mut text = format!(
        "{} on `{}`, {} items: {} {:.4}, and {:.4} of who knows nothing ({seeds})\n",
        found.model, found.split, found.items, found.metric, found.score, found.uninformed
    );
    text.push_str(&uses(found));
    text.push_str(&ledger(found));
    let reading = found.reading.iter().map(String::as_str);
    text.push_str(&list("In words", reading));
    text.push_str(&list("What this does not say", CAUTIONS.iter().copied()));
    text
}

fn list<'a>(heading: &str, lines: impl Iterator<Item = &'a str>) -> String {
    let lines: Vec<String> = lines.map(|line| format!("- {line}\n")).collect();
    format!("\n{heading}:\n{}", lines.concat())
}

fn uses(found: &ModelDiagnosis) -> String {
    let share =
        |value: Option<f64>| value.map_or("–".to_owned(), |at| format!("{:.1} %", 100.0 * at));
    let row = |name: &str, drop: &ScoreDrop, shares: [Option<f64>; 2], scores: [f64; 2]| {
        vec![
            name.to_owned(),
            format!("{:.4}", scores[0]),
            format!("{:+.4}", -drop.estimate),
            format!("[{:+.4}, {:+.4}]", -drop.interval.high, -drop.interval.low),
            share(shares[0]),
            share(shares[1]),
            format!("{:.4}", scores[1]),
        ]
    };
    let header = ["input", "exchanged", "change", "95 % interval", "of score", "of task", "blank"];
    let rows = [
        header.map(str::to_owned).to_vec(),
        row(
            "text",
            &found.drop.text,
            [found.perceptual.text, found.perceptual_of_task.text],
            [found.shuffled.text, found.blank.text],
        ),
        row(
            "picture",
            &found.drop.image,
            [found.perceptual.image, found.perceptual_of_task.image],
            [found.shuffled.image, found.blank.image],
        ),
    ];
    format!(
        "\nWhat it uses: {} with an input exchanged between items (mean of {} exchanges), the drop \
         as a share of the score and of what there is to gain, and with a blank input\n{}",
        found.metric,
        found.permutations,
        table(&rows)
    )
}

fn ledger(found: &ModelDiagnosis) -> String {
    let row = |name: &str, part: &LedgerPart, what: &str| {
        let (gain, interval) = match (part.estimate, part.interval) {
            (Some(estimate), Some(at)) => {
                (format!("{estimate:+.4}"), format!("[{:+.4}, {:+.4}]", at.low, at.high))
            }
            _ => ("–".to_owned(), part.absent.clone().unwrap_or_default()),
        };
        vec![name.to_owned(), gain, interval, what.to_owned()]
    };
    let rows = [
        ["part", "gain", "95 % interval", ""].map(str::to_owned).to_vec(),
        row("backbone", &found.ledger.backbone, "its text arm against the text model"),
        row("additive", &found.ledger.additive, "what the picture adds by itself"),
        row("interaction", &found.ledger.interaction, "what text and picture say only together"),
        row("total", &found.ledger.total, "the sum: the gain over the text model"),
    ];
    let grids = match found.grids.as_slice() {
        [all] if *all == found.items => format!("all pairs of {all} texts and pictures"),
        grids => format!(
            "{} items, from all pairs within {} subsets of {}",
            found.ledger_items,
            grids.len(),
            grids.first().copied().unwrap_or(0)
        ),
    };
    let whole = found.gain_on_all_items.map_or_else(String::new, |gain| {
        format!("gain over the text model on all {} items: {gain:+.4}\n", found.items)
    });
    let share = found.interaction_share.map_or_else(String::new, |share| {
        let percent = 100.0 * share;
        format!("share of the logits' variance that is interaction: {percent:.1} %\n")
    });
    format!("\nWhere the gain comes from ({grids})\n{}{whole}{share}", table(&rows))
}
