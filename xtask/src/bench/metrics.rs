//! AUC-ROC, average precision and their bootstrap, beside scikit-learn.

use std::fmt::Write as _;
use std::process::Command;

use super::peer::{alternate, built};
use super::rows::Rows;
use super::spread::{median, ratios};
use super::{Options, Suite};
use crate::failure::{Failure, workspace};
use crate::references;

pub(super) const SUITE: Suite = Suite {
    name: "metrics",
    cases: &["auroc", "average_precision", "bootstrap_auroc", "bootstrap_average_precision"],
    measure,
    header: "case,threads,pair,side,wall_seconds,cpu_seconds,value",
    section,
};

const SIDES: [&str; 2] = ["mmc", "scikit-learn"];

fn measure(cases: &[&'static str], options: &Options) -> Result<Vec<String>, Failure> {
    let root = workspace();
    let python = references::environment(&root)?;
    let program = built(&root, "beside")?;
    let script = root.join("xtask/peer/metrics.py");
    let folder = root.join("target/bench/metrics");
    let mut make = Command::new(&python);
    make.arg(&script).arg("make").arg(&folder);
    if !make.status()?.success() {
        return Err(Failure::work(format!("{}: cannot make scores", script.display())));
    }
    let mut rows = Vec::new();
    for case in cases {
        for threads in [1, 2] {
            let (mut ours, mut theirs) = (Command::new(&program), Command::new(&python));
            ours.arg(&folder).arg(case);
            theirs.arg(&script).arg("run").arg(&folder).arg(case);
            let measured = alternate([ours, theirs], options.pairs, threads)?;
            for ((rounds, _), side) in measured.iter().zip(SIDES) {
                for (pair, round) in rounds.iter().enumerate() {
                    let (wall, cpu, value) = (round.wall, round.cpu, round.loss);
                    rows.push(format!("{case},{threads},{},{side},{wall},{cpu},{value}", pair + 1));
                }
            }
            say!("{case}, {threads} threads: {} pairs", options.pairs);
        }
    }
    Ok(rows)
}

/// The medians, from the raw rows alone.
fn section(rows: &[String]) -> Result<String, Failure> {
    let rows = Rows::of("metrics", rows, 7)?;
    let mut text = INTRODUCTION.to_owned();
    for case in SUITE.cases {
        for threads in ["1", "2"] {
            let of = |side, column| rows.numbers(&[case, threads], (3, side), column);
            let (ours, theirs) = (of("mmc", 4), of("scikit-learn", 4));
            if ours.is_empty() {
                continue;
            }
            agree(&rows, case, &of("mmc", 6), &of("scikit-learn", 6))?;
            writeln!(
                text,
                "| {} | {threads} | {:.1} ms | {:.1} ms | {} | {:.1} |",
                case.replace('_', " "),
                1e3 * median(ours.clone()),
                1e3 * median(theirs.clone()),
                ratios(&ours, &theirs),
                median(theirs.iter().zip(&ours).map(|(theirs, ours)| theirs / ours).collect()),
            )?;
        }
    }
    Ok(text)
}

/// Errs where both sides did not find the same: exactly the same score, or lower ends of intervals
/// from different draws that are near each other.
fn agree(rows: &Rows<'_>, case: &str, ours: &[f64], theirs: &[f64]) -> Result<(), Failure> {
    let tolerance = if case.starts_with("bootstrap") { 3e-3 } else { 1e-12 };
    match ours.iter().zip(theirs).find(|(ours, theirs)| (*ours - *theirs).abs() > tolerance) {
        None => Ok(()),
        Some((ours, theirs)) => {
            Err(rows.fault(&format!("{case} is {ours} here and {theirs} there")))
        }
    }
}

const INTRODUCTION: &str = "\
## Metrics

A million distinct scores of two classes. A bootstrap is ten resamples of all items and the lower end of the \
interval; scikit-learn has none, so its users' loop over drawn indices stands there. scikit-learn uses one \
thread whatever it is given. Both sides have to find the same value.

| metric | threads | mmc | scikit-learn | ratio | times faster |
| --- | ---: | ---: | ---: | ---: | ---: |
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_have_to_find_the_same_score() {
        let rows = |theirs: f64| {
            vec![
                "auroc,2,1,mmc,0.02,0.04,0.75".to_owned(),
                format!("auroc,2,1,scikit-learn,0.4,0.4,{theirs}"),
            ]
        };
        let table = section(&rows(0.75)).unwrap();
        let row = "| auroc | 2 | 20.0 ms | 400.0 ms | 0.05 [0.05, 0.05] | 20.0 |\n";
        assert!(table.ends_with(row), "{table}");
        assert!(section(&rows(0.7501)).is_err());
        assert!(section(&["a,b".to_owned()]).is_err());
    }
}
