//! How time and memory grow with rows, length, layers and threads.

use std::fmt::Write as _;

use super::peer::alternate;
use super::rows::Rows;
use super::spread::{median, ratios};
use super::steps::{GIB, Programs, SIDES};
use super::{Options, Suite};
use crate::failure::Failure;

pub(super) const SUITE: Suite = Suite {
    name: "growth",
    cases: &["rows", "length", "layers", "threads"],
    measure,
    header: "grows,case,threads,pair,side,wall_seconds,flops,peak_bytes,before_bytes,weights_bytes",
    section,
};

/// What grows, and its points: BERT's layers at their published width (rows × tokens × layers), and
/// threads.
const POINTS: &[(&str, &[(&str, usize)])] = &[
    ("rows", &[("bert-4x64x4", 2), ("bert-8x64x4", 2), ("bert-16x64x4", 2), ("bert-32x64x4", 2)]),
    (
        "length",
        &[
            ("bert-8x32x4", 2),
            ("bert-8x64x4", 2),
            ("bert-8x128x4", 2),
            ("bert-8x256x4", 2),
            ("bert-8x512x4", 2),
        ],
    ),
    ("layers", &[("bert-8x128x2", 2), ("bert-8x128x4", 2), ("bert-8x128x8", 2)]),
    ("threads", &[("bert-8x128x4", 1), ("bert-8x128x4", 2)]),
];

fn measure(cases: &[&'static str], options: &Options) -> Result<Vec<String>, Failure> {
    let programs = Programs::new()?;
    let mut rows = Vec::new();
    for (grows, points) in POINTS.iter().filter(|(grows, _)| cases.contains(grows)) {
        for (case, threads) in *points {
            let weights = programs.make(case)?;
            let batch = ["equal".to_owned()];
            let sides =
                [programs.ours(case, "train", &batch), programs.theirs(case, "train", &batch)];
            let measured = alternate(sides, options.pairs, *threads)?;
            let name = format!("{grows},{case},{threads}");
            for ((rounds, last), side) in measured.iter().zip(SIDES) {
                for (pair, round) in rounds.iter().enumerate() {
                    let (wall, flops) = (round.wall, round.flops);
                    rows.push(format!("{name},{},{side},{wall},{flops},,,", pair + 1));
                }
                let (peak, before) = (last.peak, last.before);
                rows.push(format!("{name},,{side},,,{peak},{before},{weights}"));
            }
            say!("{name}: {} pairs", options.pairs);
        }
    }
    Ok(rows)
}

/// The medians, from the raw rows alone.
fn section(rows: &[String]) -> Result<String, Failure> {
    let rows = Rows::of("growth", rows, 10)?;
    let mut text = INTRODUCTION.to_owned();
    // The first point of what grows: its name, seconds and operations.
    let mut first = ("", f64::NAN, f64::NAN);
    for point in rows.names::<3>() {
        let of = |side, column| rows.numbers(&point, (4, side), column);
        let (wall, flops) = (median(of("mmc", 5)), median(of("mmc", 6)));
        if first.0 != point[0] {
            first = (point[0], wall, flops);
        }
        let [peak, before, weights] = [7, 8, 9].map(|column| median(of("mmc", column)));
        let [grows, case, threads] = point;
        writeln!(
            text,
            "| {grows} | {case} | {threads} | {wall:.2} s | {:.2} | {:.2} | {} | {:.2} GiB | {:.2} GiB |",
            wall / first.1,
            flops / first.2,
            ratios(&of("mmc", 5), &of("pytorch", 5)),
            peak / GIB,
            (peak - before - 3.0 * weights) / GIB,
        )?;
    }
    Ok(text)
}

const INTRODUCTION: &str = "\
## Growth

Training steps of BERT with fewer layers (rows × tokens × layers, published width). *Time* and *operations* \
are relative to the first line of what grows: time that grows more than operations would be a fault. With \
threads, operations stay and time should fall.

| grows | case | threads | step | time | operations | ratio to PyTorch | peak | the step's own memory |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_relative_to_the_first_point() {
        let rows =
            [("x", 1.0, 1e9), ("y", 1.5, 2e9)].into_iter().flat_map(|(case, wall, flops)| {
                [
                    format!("rows,{case},2,1,mmc,{wall},{flops},,,"),
                    format!("rows,{case},2,,mmc,,,4294967296,1073741824,268435456"),
                    format!("rows,{case},2,1,pytorch,2,0,,,"),
                ]
            });
        let table = section(&rows.collect::<Vec<_>>()).unwrap();
        let expected = "| 1.50 s | 1.50 | 2.00 | 0.75 [0.75, 0.75] | 4.00 GiB | 2.25 GiB |\n";
        assert!(table.ends_with(expected), "{table}");
        assert!(section(&["a,b".to_owned()]).is_err());
    }
}
