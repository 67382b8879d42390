//! Steps over texts as long as those of Hateful Memes: what padding costs.

use std::fmt::Write as _;
use std::fs;

use super::rows::Rows;
use super::spread::{median, ratios};
use super::steps::{Programs, SIDES};
use super::{Options, Suite, peer};
use crate::failure::{Failure, workspace};

pub(super) const SUITE: Suite = Suite {
    name: "epoch",
    cases: &["longest of the batch", "512"],
    measure,
    header: "padding,pair,side,wall_seconds,cpu_seconds,loss,texts,tokens,padded_tokens",
    section,
};

/// BERT-base, 16 texts a step, eight steps.
const CASE: &str = "bert-16x32-epoch";

fn measure(cases: &[&'static str], options: &Options) -> Result<Vec<String>, Failure> {
    let programs = Programs::new()?;
    programs.make(CASE)?;
    let mut rows = Vec::new();
    for case in cases {
        let (batches, theirs) = if *case == "512" { (1, "fixed") } else { (8, "epoch") };
        let named = |kind: &str| -> Vec<String> {
            (0..batches).map(|number| format!("{kind}-{number}")).collect()
        };
        let sides = [
            programs.ours(CASE, "train", &named("epoch")),
            programs.theirs(CASE, "train", &named(theirs)),
        ];
        let sizes = sizes(&named(theirs))?;
        for ((rounds, _), side) in peer::alternate(sides, options.pairs, 2)?.iter().zip(SIDES) {
            for (pair, round) in rounds.iter().enumerate() {
                let (wall, cpu, loss) = (round.wall, round.cpu, round.loss);
                rows.push(format!("{case},{},{side},{wall},{cpu},{loss},{sizes}", pair + 1));
            }
        }
        say!("epoch, padded to {case}: {} pairs", options.pairs);
    }
    Ok(rows)
}

/// Texts, tokens, and tokens with padding of some batches, as their maker wrote them down.
fn sizes(batches: &[String]) -> Result<String, Failure> {
    let path = workspace().join("target/bench").join(CASE).join("sizes.csv");
    let text = fs::read_to_string(&path)?;
    let mut sums = [0_u64; 3];
    for line in text.lines() {
        let cells: Vec<&str> = line.split(',').collect();
        if batches.iter().any(|batch| cells.first() == Some(&batch.as_str())) {
            for (sum, cell) in sums.iter_mut().zip(&cells[1..]) {
                *sum += cell.parse::<u64>()?;
            }
        }
    }
    Ok(sums.map(|sum| sum.to_string()).join(","))
}

/// The medians, from the raw rows alone.
fn section(rows: &[String]) -> Result<String, Failure> {
    let rows = Rows::of("epoch", rows, 9)?;
    let mut text = INTRODUCTION.to_owned();
    for case in SUITE.cases {
        let of = |side, column| rows.numbers(&[case], (2, side), column);
        let (ours, theirs) = (of("mmc", 3), of("pytorch", 3));
        let [texts, tokens, padded] = [6, 7, 8].map(|column| median(of("mmc", column)));
        if ours.is_empty() {
            continue;
        }
        writeln!(
            text,
            "| {case} | {texts} | {:.0} % | {:.2} s | {:.2} s | {} | {:.1} |",
            (1.0 - tokens / padded) * 100.0,
            median(ours.clone()),
            median(theirs.clone()),
            ratios(&ours, &theirs),
            median(theirs.iter().zip(&ours).map(|(theirs, ours)| theirs / ours).collect()),
        )?;
    }
    Ok(text)
}

const INTRODUCTION: &str = "\
## An epoch over memes

Training steps of BERT-base, 16 texts each, whose lengths are a log-normal with the median of Hateful Memes' \
texts. mmc computes nothing on padding; PyTorch pads to the longest text of a batch, or to 512 tokens as the \
study that mmc continues did.

| PyTorch pads to | texts | of that padding | mmc | PyTorch | ratio | times faster |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_made_of_the_rows() {
        let rows = [(1, 1.0, 2.0), (2, 1.0, 2.0)].into_iter().flat_map(|(pair, ours, theirs)| {
            [("mmc", ours), ("pytorch", theirs)]
                .map(|(side, wall)| format!("512,{pair},{side},{wall},1,0,32,600,16000"))
        });
        let table = section(&rows.collect::<Vec<_>>()).unwrap();
        assert!(
            table.ends_with("| 512 | 32 | 96 % | 1.00 s | 2.00 s | 0.50 [0.50, 0.50] | 2.0 |\n")
        );
        assert!(section(&["a,b".to_owned()]).is_err());
    }
}
