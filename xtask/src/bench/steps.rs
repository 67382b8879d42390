//! Training steps and forward passes beside PyTorch and transformers.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::peer::{Answer, alternate, built};
use super::rows::Rows;
use super::spread::{median, ratios};
use super::{Options, Suite};
use crate::failure::{Failure, workspace};
use crate::references;

pub(super) const SUITE: Suite = Suite {
    name: "steps",
    cases: &["bert-16x128", "bert-16x32", "vilt-4x40", "clip-8x32", "flava-4x77"],
    measure,
    header: "case,work,batch,pair,side,wall_seconds,cpu_seconds,loss,flops,peak_bytes,before_bytes,weights_bytes",
    section,
};

/// What is done with a case, and with which batch.
const WORKS: &[(&str, &str)] = &[("train", "equal"), ("infer", "equal"), ("infer", "mixed")];

pub(super) const SIDES: [&str; 2] = ["mmc", "pytorch"];

/// The programs of both sides.
pub(super) struct Programs {
    ours: PathBuf,
    python: PathBuf,
    script: PathBuf,
    folder: PathBuf,
}

impl Programs {
    /// Builds ours and finds the other.
    pub(super) fn new() -> Result<Self, Failure> {
        let root = workspace();
        Ok(Self {
            ours: built(&root, "step")?,
            python: references::environment(&root)?,
            script: root.join("xtask/peer/step.py"),
            folder: root.join("target/bench"),
        })
    }

    /// Makes the checkpoint and the batches of a case; the bytes of its weights.
    pub(super) fn make(&self, case: &str) -> Result<u64, Failure> {
        let folder = self.folder.join(case);
        let mut make = Command::new(&self.python);
        make.arg(&self.script).arg("make").arg(case).arg(&folder);
        let made = make.output()?;
        if !made.status.success() {
            let (script, said) = (self.script.display(), String::from_utf8_lossy(&made.stderr));
            return Err(Failure::work(format!("{script}: cannot make `{case}`: {said}")));
        }
        Ok(fs::metadata(folder.join("model/model.safetensors"))?.len())
    }

    /// One round is `kind` on each batch of a case.
    pub(super) fn ours(&self, case: &str, kind: &str, batches: &[String]) -> Command {
        let mut command = Command::new(&self.ours);
        self.arguments(&mut command, case, kind, batches);
        command
    }

    /// Likewise, on the other side.
    pub(super) fn theirs(&self, case: &str, kind: &str, batches: &[String]) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(&self.script);
        self.arguments(&mut command, case, kind, batches);
        command
    }

    fn arguments(&self, command: &mut Command, case: &str, kind: &str, batches: &[String]) {
        let folder = self.folder.join(case);
        command.arg(folder.join("model")).arg(kind);
        command.args(batches.iter().map(|batch| folder.join(format!("{batch}.safetensors"))));
    }

    /// One round is one large matrix product.
    fn limit(&self) -> [Command; 2] {
        let (mut ours, mut theirs) = (Command::new(&self.ours), Command::new(&self.python));
        ours.arg("limit");
        theirs.arg(&self.script).arg("limit");
        [ours, theirs]
    }
}

fn measure(cases: &[&'static str], options: &Options) -> Result<Vec<String>, Failure> {
    let programs = Programs::new()?;
    let mut rows = Vec::new();
    for case in cases {
        let weights = programs.make(case)?;
        let limit = alternate(programs.limit(), options.pairs, 2)?;
        add_rows(&format!("{case},limit,"), &limit, weights, &mut rows);
        for (kind, batch) in WORKS {
            let batches = [(*batch).to_owned()];
            let sides =
                [programs.ours(case, kind, &batches), programs.theirs(case, kind, &batches)];
            let measured = alternate(sides, options.pairs, 2)?;
            add_rows(&format!("{case},{kind},{batch}"), &measured, weights, &mut rows);
            say!("{case},{kind},{batch}: {} pairs", options.pairs);
        }
    }
    Ok(rows)
}

fn add_rows(
    name: &str,
    measured: &[(Vec<Answer>, Answer); 2],
    weights: u64,
    rows: &mut Vec<String>,
) {
    for ((rounds, last), side) in measured.iter().zip(SIDES) {
        for (pair, round) in rounds.iter().enumerate() {
            let Answer { wall, cpu, loss, flops, .. } = round;
            rows.push(format!("{name},{},{side},{wall},{cpu},{loss},{flops},,,", pair + 1));
        }
        let (peak, before) = (last.peak, last.before);
        rows.push(format!("{name},,{side},,,,,{peak},{before},{weights}"));
    }
}

/// The columns of the CSV file that are read.
const WALL: usize = 5;
const CPU: usize = 6;
const FLOPS: usize = 8;
const MEMORY: [usize; 3] = [9, 10, 11];

/// The rows of one case and work.
struct Work<'a> {
    name: [&'a str; 3],
    rows: &'a Rows<'a>,
}

impl Work<'_> {
    /// The values of a column, of one side, in the order of the pairs.
    fn of(&self, side: &str, column: usize) -> Vec<f64> {
        self.rows.numbers(&self.name, (4, side), column)
    }

    /// Operations a second, of the median round of a side.
    fn rate(&self, side: &str) -> f64 {
        median(self.of(side, FLOPS)) / median(self.of(side, WALL))
    }

    /// The high-water mark, and what of it the work took itself.
    fn memory(&self, side: &str) -> Result<(f64, f64), Failure> {
        // Gradients and both moments are as large as the weights, which were there before.
        let state = if self.name[1] == "train" { 3.0 } else { 0.0 };
        let first = |column| self.of(side, column).first().copied();
        let [Some(peak), Some(before), Some(weights)] = MEMORY.map(first) else {
            let name = self.name.join(",");
            return Err(self.rows.fault(&format!("{name}: no memory of {side}")));
        };
        Ok((peak, peak - before - state * weights))
    }
}

/// The medians of what was measured, from the raw rows alone.
fn section(rows: &[String]) -> Result<String, Failure> {
    let rows = Rows::of("steps", rows, 12)?;
    let mut text = INTRODUCTION.to_owned();
    for name in rows.names::<3>().into_iter().filter(|name| name[1] != "limit") {
        let limit = Work { name: [name[0], "limit", ""], rows: &rows };
        let limit = limit.rate("mmc").max(median_rate_of_pytorch(&limit));
        line(&mut text, &Work { name, rows: &rows }, limit)?;
    }
    Ok(text)
}

/// The other side does the same operations.
fn median_rate_of_pytorch(limit: &Work<'_>) -> f64 {
    median(limit.of("mmc", FLOPS)) / median(limit.of("pytorch", WALL))
}

/// A line of the table; `limit` in operations a second.
fn line(text: &mut String, work: &Work<'_>, limit: f64) -> Result<(), Failure> {
    let ((peak, own), (their_peak, their_own)) = (work.memory("mmc")?, work.memory("pytorch")?);
    let [case, kind, lengths] = work.name;
    writeln!(
        text,
        "| {case} | {kind} | {lengths} | {:.2} s | {:.2} s | {} | {} | {:.0} % of {:.0} | {:.2} GiB | {:.2} | {:.2} |",
        median(work.of("mmc", WALL)),
        median(work.of("pytorch", WALL)),
        ratios(&work.of("mmc", WALL), &work.of("pytorch", WALL)),
        ratios(&work.of("mmc", CPU), &work.of("pytorch", CPU)),
        work.rate("mmc") / limit * 100.0,
        limit / 1e9,
        peak / GIB,
        peak / their_peak,
        own / their_own,
    )?;
    Ok(())
}

pub(super) const GIB: f64 = 1_073_741_824.0;

const INTRODUCTION: &str = "\
## Steps

Beside PyTorch (eager) and transformers. Both sides load the same checkpoint (random weights, published \
sizes) and the same batch (rows × text tokens), with the dropouts of the checkpoint's configuration, AdamW \
and clipping to norm 1, f32. *Mixed* lengths are a log-normal with the median of a meme's text, and for ViLT, \
whose processor keeps the shape of pictures, pictures of four shapes. *Of the \
limit*: operations a second of the step's matrix products (backward twice forward; nothing else is counted, \
nor what is computed again), as a share of what one large product, 2048 × 768 × 3072, reached just before on \
this machine in either program, in GFLOP/s. *Peak* is the process's high-water mark, *the work's own memory* \
what it lies above what was resident before the first step and, in training, the gradients and moments.

| case | work | lengths | mmc, wall | PyTorch, wall | ratio, wall | ratio, CPU | of the limit | peak | peak, ratio | the work's own memory, ratio |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_made_of_the_rows() {
        let mut rows = Vec::new();
        for (pair, (ours, theirs)) in [(1.0, 2.0), (3.0, 3.0), (2.0, 8.0)].iter().enumerate() {
            rows.push(format!("a,limit,,{pair},mmc,1,1,0,4e9,,,"));
            rows.push(format!("a,limit,,{pair},pytorch,2,2,0,0,,,"));
            rows.push(format!("a,train,equal,{pair},mmc,{ours},{ours},0,6e9,,,"));
            rows.push(format!("a,train,equal,{pair},pytorch,{theirs},{theirs},0,0,,,"));
        }
        rows.sort_by_key(|row| row.contains("train"));
        assert!(section(&rows).is_err(), "no row gives memory");
        rows.push("a,train,equal,,mmc,,,,,2147483648,1073741824,268435456".to_owned());
        rows.push("a,train,equal,,pytorch,,,,,5368709120,1073741824,268435456".to_owned());
        let table = section(&rows).unwrap();
        assert!(table.contains("| 2.00 s | 3.00 s | 0.50 [0.38, 0.75] |"), "{table}");
        assert!(table.contains("| 75 % of 4 |"), "{table}");
        assert!(table.ends_with("| 2.00 GiB | 0.40 | 0.08 |\n"), "{table}");
        assert!(section(&["a,b".to_owned()]).is_err());
    }
}
