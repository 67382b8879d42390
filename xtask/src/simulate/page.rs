//! `docs/verdict.md`.

use super::bars::{Against, Judged};
use super::cell::MARGIN;
use super::world::{Kind, SEED_DEVIATION, TEXT};

/// The page.
pub(super) fn page(rows: &[Judged], experiments: u64, seed: u64) -> String {
    let missed = rows.iter().filter(|row| !row.passes()).count();
    let outcome = match missed {
        0 => format!("All {} cells are within their bars.", rows.len()),
        _ => format!("{missed} of {} cells miss a bar.", rows.len()),
    };
    let short: Vec<String> = rows
        .iter()
        .filter(|row| row.is_short_of_exact())
        .filter_map(|row| {
            let (world, found) = (row.cell.world, row.decided_were_it_exact?);
            let (items, seeds, gain) = (world.items, world.seeds, world.gain);
            let Against { share, bar } = found;
            Some(format!("{items} items, {seeds} seeds, gain {gain} ({share:.3} of {bar:.3})"))
        })
        .collect();
    let short = if short.is_empty() {
        String::new()
    } else {
        format!(
            " Held against its shares as if they were exact, these rows would fall short: {}.",
            short.join("; ")
        )
    };
    let table: String = rows.iter().map(|row| self::row(row) + "\n").collect();
    format!(
        "# How often the verdict is right\n\n\
         Written by `cargo xtask simulate --experiments {experiments} --seed {seed}`, which repeats it \
         in about three minutes on two cores; do not edit. {outcome}\n\n\
         Each row is {experiments} whole experiments: predictions of a text model (expected AUC-ROC \
         {TEXT}) and of a multimodal one are drawn with a known gain, and the functions that decide on \
         real runs decide on them, for a margin of {MARGIN}. Scores are binormal: half of an item's noise \
         is common to both models, three tenths to the seeds of one, a fifth is each run's own; the \
         expected AUC-ROC of a run varies over seeds with a standard deviation of {SEED_DEVIATION}.\n\n\
         - *Wrong* is `multimodal` where the gain is 0 or less, `text suffices` where it is the margin or \
         more; at most 2.5 % and two standard errors. For a gain between, neither is wrong.\n\
         - *Decided* is anything but `undecided`: at least as often as in an independent simulation in \
         Python of 150 or 400 experiments a row, less two standard errors of the difference.{short}\n\
         - *Covered*: the 95 % interval holds the true gain, at least in 93 %.\n\
         - *Clustered*: fours of items share six tenths of the common noise, and mostly their label. \
         *Unbalanced*: a tenth is positive. *Collapsing*: one seed in ten of either model loses nine \
         points; its coverage is reported and has no bar. *Unequal seeds*: deviations of 0.006 and \
         0.018.\n\n\
         Bars are in brackets.\n\n\
         {HEADER}{table}"
    )
}

const HEADER: &str = "\
| world | items | seeds | true gain | multimodal | text suffices | undecided | wrong | decided | covered | |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |
";

/// One row of the table.
pub(super) fn row(row: &Judged) -> String {
    let (world, counts) = (row.cell.world, row.counts);
    let n = (counts.multimodal + counts.text_suffices + counts.undecided) as f64;
    let share = |count: u64| format!("{:.3}", count as f64 / n);
    let at_most = |found: Option<Against>| {
        found.map_or("–".to_owned(), |it| format!("{:.3} [≤ {:.3}]", it.share, it.bar))
    };
    let at_least = |found: Option<Against>| {
        found.map_or("–".to_owned(), |it| format!("{:.3} [≥ {:.3}]", it.share, it.bar))
    };
    let covered = if row.must_cover() {
        at_least(Some(row.covered))
    } else {
        format!("{:.3}", row.covered.share)
    };
    let kind = match world.kind {
        Kind::Plain => "plain",
        Kind::Clustered => "clustered",
        Kind::Unbalanced => "unbalanced",
        Kind::Collapsing => "collapsing",
        Kind::UnequalSeeds => "unequal seeds",
    };
    let outcome =
        if row.passes() { "pass".to_owned() } else { format!("**{}**", row.missed().join(", ")) };
    format!(
        "| {kind} | {} | {} | {} | {} | {} | {} | {} | {} | {covered} | {outcome} |",
        world.items,
        world.seeds,
        world.gain,
        share(counts.multimodal),
        share(counts.text_suffices),
        share(counts.undecided),
        at_most(row.wrong),
        at_least(row.decided),
    )
}

#[cfg(test)]
mod tests {
    use super::super::cell::{Cell, Counts};
    use super::super::world::World;
    use super::*;

    #[test]
    fn a_missed_bar_is_seen() {
        let world = World { kind: Kind::Plain, items: 2000, seeds: 5, gain: 0.06 };
        let counts = Counts { multimodal: 500, text_suffices: 40, undecided: 460, covered: 940 };
        let judged = [Judged::new(Cell { world }, counts)];
        let page = page(&judged, 1000, 0);
        assert!(page.contains("1 of 1 cells miss a bar."), "{page}");
        let expected = "| plain | 2000 | 5 | 0.06 | 0.500 | 0.040 | 0.460 | 0.040 [≤ 0.035] | \
                        0.540 [≥ 0.987] | 0.940 [≥ 0.930] | **wrong too often, decided too rarely** |\n";
        assert!(page.ends_with(expected), "{page}");
    }
}
