//! Training steps and forward passes beside PyTorch and transformers.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::peer::{alternate, built};
use super::spread::{median, ratios};
use super::{Options, Suite};
use crate::failure::{Failure, workspace};
use crate::references;

pub(super) const SUITE: Suite = Suite {
    name: "steps",
    cases: &["bert-16x128", "bert-16x32", "vilt-4", "clip-8", "flava-4"],
    measure,
    header: "case,work,batch,pair,side,wall_seconds,cpu_seconds,loss,peak_bytes,before_bytes,weights_bytes",
    section,
};

/// What is done with a case, and with which batch.
const WORKS: &[(&str, &str)] = &[("train", "equal"), ("infer", "equal"), ("infer", "mixed")];

const SIDES: [&str; 2] = ["mmc", "pytorch"];

fn measure(cases: &[&'static str], options: &Options) -> Result<Vec<String>, Failure> {
    let root = workspace();
    let python = references::environment(&root)?;
    let program = built(&root, "mmc-train", "step")?;
    let script = root.join("xtask/peer/step.py");
    let mut rows = Vec::new();
    for case in cases {
        let folder = root.join("target/bench").join(case);
        let mut make = Command::new(&python);
        make.arg(&script).arg("make").arg(case).arg(&folder).stderr(Stdio::null());
        if !make.status()?.success() {
            return Err(Failure::work(format!("{}: cannot make `{case}`", script.display())));
        }
        let weights = fs::metadata(folder.join("model/model.safetensors"))?.len();
        for (kind, batch) in WORKS {
            let sides = [
                ours(&program, &folder, kind, batch),
                theirs(&python, &script, &folder, kind, batch),
            ];
            let name = format!("{case},{kind},{batch}");
            for ((rounds, last), side) in alternate(sides, options.pairs, 2)?.iter().zip(SIDES) {
                for (pair, round) in rounds.iter().enumerate() {
                    let (wall, cpu, loss) = (round.wall, round.cpu, round.loss);
                    rows.push(format!("{name},{},{side},{wall},{cpu},{loss},,,", pair + 1));
                }
                let (peak, before) = (last.peak, last.before);
                rows.push(format!("{name},,{side},,,,{peak},{before},{weights}"));
            }
            say!("{name}: {} pairs", options.pairs);
        }
    }
    Ok(rows)
}

fn ours(program: &Path, folder: &Path, kind: &str, batch: &str) -> Command {
    let mut command = Command::new(program);
    command.arg(folder.join("model")).arg(folder.join(format!("{batch}.safetensors"))).arg(kind);
    command
}

fn theirs(python: &Path, script: &Path, folder: &Path, kind: &str, batch: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(script).arg(kind).arg(folder.join("model"));
    command.arg(folder.join(format!("{batch}.safetensors")));
    command
}

/// The medians of what was measured, from the raw rows alone.
fn section(rows: &[String]) -> Result<String, Failure> {
    let cells: Vec<Vec<&str>> = rows.iter().map(|row| row.split(',').collect()).collect();
    let damaged = |row: &str| Failure::work(format!("docs/benchmarks/steps.csv: `{row}`"));
    if let Some(row) = cells.iter().find(|row| row.len() != 11) {
        return Err(damaged(&row.join(",")));
    }
    let mut works: Vec<[&str; 3]> = cells.iter().map(|row| [row[0], row[1], row[2]]).collect();
    works.dedup();
    let mut text = INTRODUCTION.to_owned();
    for work in works {
        let of = |side: &str, column: usize| -> Vec<f64> {
            let rows = cells.iter().filter(|row| row[..3] == work && row[4] == side);
            rows.filter_map(|row| row[column].parse().ok()).collect()
        };
        // Gradients and both moments are as large as the weights, which were there before.
        let state = if work[1] == "train" { 3.0 } else { 0.0 };
        let memory = |side: &str| -> Result<(f64, f64), Failure> {
            let first = |column| of(side, column).first().copied();
            let (Some(peak), Some(before), Some(weights)) = (first(8), first(9), first(10)) else {
                return Err(damaged(&format!("{}: no memory of {side}", work.join(","))));
            };
            Ok((peak, peak - before - state * weights))
        };
        let ((peak, own), (their_peak, their_own)) = (memory("mmc")?, memory("pytorch")?);
        let [case, kind, lengths] = work;
        writeln!(
            text,
            "| {case} | {kind} | {lengths} | {:.2} s | {:.2} s | {} | {} | {:.2} GiB | {:.2} | {:.2} |",
            median(of("mmc", 5)),
            median(of("pytorch", 5)),
            ratios(&of("mmc", 5), &of("pytorch", 5)),
            ratios(&of("mmc", 6), &of("pytorch", 6)),
            peak / GIB,
            peak / their_peak,
            own / their_own,
        )?;
    }
    Ok(text)
}

const GIB: f64 = 1_073_741_824.0;

const INTRODUCTION: &str = "\
## Steps

Beside PyTorch (eager) and transformers. Both sides load the same checkpoint (random weights, published \
sizes) and the same batch, with the dropouts of the checkpoint's configuration, AdamW and clipping to \
norm 1, f32. *Peak* is the process's high-water mark, *the work's own memory* what it lies above what \
was resident before the first step and, in training, the gradients and moments. *Mixed* lengths are a \
log-normal with the median of a meme's text.

| case | work | lengths | mmc, wall | PyTorch, wall | ratio, wall | ratio, CPU | peak | peak, ratio | the work's own memory, ratio |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_made_of_the_rows() {
        let mut rows = Vec::new();
        for (pair, (ours, theirs)) in [(1.0, 2.0), (3.0, 3.0), (2.0, 8.0)].iter().enumerate() {
            rows.push(format!("a,train,equal,{pair},mmc,{ours},{ours},0,,,"));
            rows.push(format!("a,train,equal,{pair},pytorch,{theirs},{theirs},0,,,"));
        }
        assert!(section(&rows).is_err(), "no row gives memory");
        rows.push("a,train,equal,,mmc,,,,2147483648,1073741824,268435456".to_owned());
        rows.push("a,train,equal,,pytorch,,,,5368709120,1073741824,268435456".to_owned());
        let table = section(&rows).unwrap();
        assert!(table.contains("| 2.00 s | 3.00 s | 0.50 [0.38, 0.75] |"), "{table}");
        assert!(table.ends_with("| 2.00 GiB | 0.40 | 0.08 |\n"), "{table}");
        assert!(section(&["a,b".to_owned()]).is_err());
    }
}
