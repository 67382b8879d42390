//! Steps and forward passes beside PyTorch and transformers, in turns, in one run.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use clap::Args;
use serde::Deserialize;

use crate::failure::{Failure, workspace};
use crate::references;

pub(crate) const EXAMPLES: &str = "\
Examples:
  cargo xtask bench
  cargo xtask bench --case bert-16x32 --pairs 3

Both sides load the same checkpoint of random weights at its published size and the same batch, and
take turns: one step of mmc, one of PyTorch, one of mmc, … The raw figures go to
docs/benchmarks/steps.csv, their table to docs/benchmarks.md. Takes about an hour on two cores; other
work on the machine spoils it.";

/// What to measure.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// One of bert-16x128, bert-16x32, vilt-4, clip-8, flava-4 [default: all]
    #[arg(long, value_name = "NAME")]
    case: Option<String>,
    /// Pairs of steps that are counted, after one that is not
    #[arg(long, value_name = "N", default_value_t = 7)]
    pairs: usize,
}

/// The cases: a model, rows, and what there is of each.
const CASES: &[&str] = &["bert-16x128", "bert-16x32", "vilt-4", "clip-8", "flava-4"];

/// What is done with a case, and with which batch.
const WORKS: &[(&str, &str)] = &[("train", "equal"), ("infer", "equal"), ("infer", "mixed")];

/// One line of a side.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    wall: f64,
    cpu: f64,
    loss: f64,
    peak: u64,
    before: u64,
}

/// A program that answers each line with a step.
struct Side {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Side {
    fn start(command: &mut Command) -> Result<Self, Failure> {
        let mut child = command
            .env("RAYON_NUM_THREADS", "2")
            .env("OMP_NUM_THREADS", "2")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = output.ok_or_else(|| Failure::work("a side has no output".to_owned()))?;
        let mut side = Self { child, input, output: BufReader::new(output) };
        side.answer()?; // ready
        Ok(side)
    }

    fn step(&mut self) -> Result<Answer, Failure> {
        if let Some(input) = &mut self.input {
            input.write_all(b"\n")?;
            input.flush()?;
        }
        self.answer()
    }

    /// Ends the program; its last line gives its memory.
    fn end(mut self) -> Result<Answer, Failure> {
        drop(self.input.take());
        let last = self.answer()?;
        self.child.wait()?;
        Ok(last)
    }

    fn answer(&mut self) -> Result<Answer, Failure> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line)
            .map_err(|error| Failure::work(format!("a side answered `{}`: {error}", line.trim())))
    }
}

/// Measures, keeps the raw figures and writes the table.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let root = workspace();
    let cases: Vec<&str> = match &options.case {
        None => CASES.to_vec(),
        Some(name) => CASES.iter().copied().filter(|case| case == name).collect(),
    };
    if cases.is_empty() {
        let known = CASES.join("`, `");
        return Err(Failure::usage(format!("`--case` is not one of `{known}`")));
    }
    let python = references::environment(&root)?;
    let program = built(&root)?;
    let kept = root.join("docs/benchmarks/steps.csv");
    let mut rows = others(&kept, &cases)?;
    for case in cases {
        let folder = root.join("target/bench").join(case);
        let script = root.join("xtask/peer/step.py");
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
            pairs(&format!("{case},{kind},{batch}"), sides, (options.pairs, weights), &mut rows)?;
        }
    }
    if let Some(folder) = kept.parent() {
        fs::create_dir_all(folder)?;
    }
    let text = rows.iter().fold(HEADER.to_owned(), |text, row| text + row + "\n");
    fs::write(&kept, text)?;
    let table = table(&rows)?;
    fs::write(root.join("docs/benchmarks.md"), page(&table, &machine()?))?;
    say!("{table}");
    Ok(())
}

const HEADER: &str = "case,work,batch,pair,side,wall_seconds,cpu_seconds,loss,peak_bytes,before_bytes,weights_bytes\n";

/// The rows of earlier runs that this one does not measure again.
fn others(kept: &Path, cases: &[&str]) -> Result<Vec<String>, Failure> {
    let text = match fs::read_to_string(kept) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error.into()),
    };
    let case_of = |line: &str| line.split(',').next().unwrap_or_default().to_owned();
    let rows = text.lines().skip(1).filter(|line| !cases.contains(&case_of(line).as_str()));
    Ok(rows.map(str::to_owned).collect())
}

/// Builds the program of our side, and says where it is.
fn built(root: &Path) -> Result<PathBuf, Failure> {
    let build =
        ["bench", "--no-run", "--message-format", "json", "-p", "mmc-train", "--bench", "step"];
    let output =
        Command::new("cargo").args(build).current_dir(root).stderr(Stdio::inherit()).output()?;
    let lines = String::from_utf8_lossy(&output.stdout);
    let program = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)));
    program
        .filter(|_| output.status.success())
        .ok_or_else(|| Failure::work(format!("`cargo {}`: {}", build.join(" "), output.status)))
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

/// Lets the sides take turns; each pair begins with the side that the one before ended with.
fn pairs(
    name: &str,
    [mut ours, mut theirs]: [Command; 2],
    (count, weights): (usize, u64),
    rows: &mut Vec<String>,
) -> Result<(), Failure> {
    let mut sides = [Side::start(&mut ours)?, Side::start(&mut theirs)?];
    for pair in 0..=count {
        for turn in 0..2 {
            let side = (pair + turn) % 2;
            let Answer { wall, cpu, loss, .. } = sides[side].step()?;
            if pair > 0 {
                rows.push(format!("{name},{pair},{},{wall},{cpu},{loss},,,", SIDES[side]));
            }
        }
    }
    for (side, name_of_side) in sides.into_iter().zip(SIDES) {
        let Answer { peak, before, .. } = side.end()?;
        rows.push(format!("{name},,{name_of_side},,,,{peak},{before},{weights}"));
    }
    say!("{name}: {count} pairs");
    Ok(())
}

const SIDES: [&str; 2] = ["mmc", "pytorch"];

/// The medians of what was measured, from the raw rows alone.
fn table(rows: &[String]) -> Result<String, Failure> {
    let cells: Vec<Vec<&str>> = rows.iter().map(|row| row.split(',').collect()).collect();
    if let Some(row) = cells.iter().find(|row| row.len() != 11) {
        return Err(Failure::work(format!("docs/benchmarks/steps.csv: `{}`", row.join(","))));
    }
    let mut works: Vec<[&str; 3]> = cells.iter().map(|row| [row[0], row[1], row[2]]).collect();
    works.dedup();
    let mut text = String::from(
        "| case | work | lengths | mmc, wall | PyTorch, wall | ratio, wall | ratio, CPU | peak | peak, ratio | the work's own memory, ratio |\n\
         | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for work in works {
        let of = |side: &str, column: usize| -> Vec<f64> {
            let rows = cells.iter().filter(|row| row[..3] == work && row[4] == side);
            rows.filter_map(|row| row[column].parse().ok()).collect()
        };
        let ratios = |column| -> Vec<f64> {
            of("mmc", column).iter().zip(of("pytorch", column)).map(|(a, b)| a / b).collect()
        };
        // Gradients and both moments are as large as the weights, which were there before.
        let state = if work[1] == "train" { 3.0 } else { 0.0 };
        let memory = |side: &str| {
            let [peak, before, weights] = [8, 9, 10].map(|column| of(side, column)[0]);
            (peak, peak - before - state * weights)
        };
        let ((peak, own), (their_peak, their_own)) = (memory("mmc"), memory("pytorch"));
        let spread = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            let [low, middle, high] = [0.25, 0.5, 0.75].map(|part| quantile(&values, part));
            format!("{middle:.2} [{low:.2}, {high:.2}]")
        };
        let median = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            quantile(&values, 0.5)
        };
        let [case, kind, lengths] = work;
        writeln!(
            text,
            "| {case} | {kind} | {lengths} | {:.2} s | {:.2} s | {} | {} | {:.2} GiB | {:.2} | {:.2} |",
            median(of("mmc", 5)),
            median(of("pytorch", 5)),
            spread(ratios(5)),
            spread(ratios(6)),
            peak / GIB,
            peak / their_peak,
            own / their_own,
        )
        .map_err(|error| Failure::work(error.to_string()))?;
    }
    Ok(text)
}

const GIB: f64 = 1_073_741_824.0;

/// Linear between the sorted values around it.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = part * (sorted.len().max(1) - 1) as f64;
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let low = at(place.floor() as usize);
    low + (at(place.ceil() as usize) - low) * place.fract()
}

/// The processor and the versions of both sides.
fn machine() -> Result<String, Failure> {
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information.lines().find_map(|line| line.strip_prefix("model name\t: "));
    let cores = std::thread::available_parallelism()?.get();
    let pinned = fs::read_to_string(workspace().join("tests/references/requirements.txt"))?;
    let version = |name: &str| {
        let line = pinned.lines().find(|line| line.starts_with(&format!("{name}==")));
        line.unwrap_or(name).replace("==", " ")
    };
    Ok(format!(
        "{} ({cores} cores), two threads, {}, {}",
        model.unwrap_or("an unknown processor"),
        version("torch"),
        version("transformers")
    ))
}

fn page(table: &str, machine: &str) -> String {
    format!(
        "# Benchmarks\n\n\
         Written by `cargo xtask bench` from [steps.csv](benchmarks/steps.csv), the raw figures; do not \
         edit.\n\n\
         {machine}. Both sides load the same checkpoint (random weights, published sizes) and the same \
         batch, and take turns step by step in one run, with the dropouts of the checkpoint's \
         configuration, AdamW and clipping to norm 1, f32. Medians; in brackets the quartiles of the \
         ratios of pairs. Below 1, mmc is faster or smaller. *Peak* is the process's high-water mark, \
         *the work's own memory* what it lies above what was resident before the first step and, in \
         training, the gradients and moments. *Mixed* \
         lengths are a log-normal with the median of a meme's text.\n\n{table}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_pair_by_pair() {
        let mut rows = Vec::new();
        for (pair, (ours, theirs)) in [(1.0, 2.0), (3.0, 3.0), (2.0, 8.0)].iter().enumerate() {
            rows.push(format!("a,train,equal,{pair},mmc,{ours},{ours},0,,,"));
            rows.push(format!("a,train,equal,{pair},pytorch,{theirs},{theirs},0,,,"));
        }
        rows.push("a,train,equal,,mmc,,,,2147483648,1073741824,268435456".to_owned());
        rows.push("a,train,equal,,pytorch,,,,5368709120,1073741824,268435456".to_owned());
        let table = table(&rows).unwrap();
        assert!(table.contains("| 2.00 s | 3.00 s | 0.50 [0.38, 0.75] |"), "{table}");
        assert!(table.ends_with("| 2.00 GiB | 0.40 | 0.08 |\n"), "{table}");
        assert!(super::table(&["a,b".to_owned()]).is_err());
    }

    #[test]
    fn rows_of_other_cases_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("steps.csv");
        assert!(others(&kept, &["a"]).unwrap().is_empty());
        fs::write(&kept, format!("{HEADER}a,1\nb,2\n")).unwrap();
        assert_eq!(others(&kept, &["a"]).unwrap(), ["b,2"]);
    }
}
