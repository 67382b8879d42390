//! How long until the first step of BERT-base begins.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::peer::built;
use super::rows::Rows;
use super::spread::{median, ratios};
use super::steps::Programs;
use super::{Options, Suite};
use crate::failure::{Failure, workspace};
use crate::references;

pub(super) const SUITE: Suite = Suite {
    name: "start",
    cases: &["bert"],
    measure,
    header: "case,pair,side,wall_seconds",
    section,
};

const SIDES: [&str; 2] = ["mmc", "pytorch"];

/// BERT-base.
const CASE: &str = "bert-16x32";

fn measure(_cases: &[&'static str], options: &Options) -> Result<Vec<String>, Failure> {
    let root = workspace();
    let python = references::environment(&root)?;
    Programs::new()?.make(CASE)?;
    let model = root.join("target/bench").join(CASE).join("model");
    for file in ["tokenizer.json", "tokenizer_config.json", "vocab.txt"] {
        let vocabulary = root.join("data/checkpoints/bert-tiny-emoji").join(file);
        fs::copy(&vocabulary, model.join(file))?;
    }
    let program = built(&root, "mmc")?;
    let data = root.join("data/emoji");
    let mut rows = Vec::new();
    for pair in 0..=options.pairs {
        for turn in 0..2 {
            let side = (pair + turn) % 2;
            let scratch = tempfile::tempdir()?;
            let mut command = if side == 0 {
                let mut command = Command::new(&program);
                command.args(["train", "--model", "bert", "--dataset", "table"]);
                command.args(["--max-steps", "1", "--max-length", "64"]);
                command.arg("--checkpoint").arg(&model).arg("--data-root").arg(&data);
                command.arg("--out").arg(scratch.path().join("run"));
                command
            } else {
                let mut command = Command::new(&python);
                command.arg(root.join("xtask/peer/start.py")).arg(&model);
                command.arg(data.join("train.csv"));
                command
            };
            let seconds = until_it_begins(&mut command, scratch.path())?;
            if pair > 0 {
                rows.push(format!("bert,{pair},{},{seconds}", SIDES[side]));
            }
        }
    }
    Ok(rows)
}

/// Seconds from the start of the program until it says that its first step begins; then it is ended.
fn until_it_begins(command: &mut Command, scratch: &Path) -> Result<f64, Failure> {
    let begun = Instant::now();
    let mut child = command
        .env("RAYON_NUM_THREADS", "2")
        .env("OMP_NUM_THREADS", "2")
        .current_dir(scratch)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut said = String::new();
    let mut seconds = None;
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).lines() {
            let line = line?;
            if line.contains("step 1") && line.contains("begins") {
                seconds = Some(begun.elapsed().as_secs_f64());
                break;
            }
            said = said + &line + "\n";
        }
    }
    child.kill()?;
    child.wait()?;
    seconds.ok_or_else(|| Failure::work(format!("no step began: {said}")))
}

/// The medians, from the raw rows alone.
fn section(rows: &[String]) -> Result<String, Failure> {
    let rows = Rows::of("start", rows, 4)?;
    let of = |side| rows.numbers(&["bert"], (2, side), 3);
    let (ours, theirs) = (of("mmc"), of("pytorch"));
    let mut text = INTRODUCTION.to_owned();
    writeln!(
        text,
        "| BERT-base | {:.2} s | {:.2} s | {} |",
        median(ours.clone()),
        median(theirs.clone()),
        ratios(&ours, &theirs),
    )?;
    Ok(text)
}

const INTRODUCTION: &str = "\
## Start

From the start of the program until its first training step begins: data read and checked, 440 MB of weights \
loaded, optimizer made. The files are in the system's memory.

| model | mmc | PyTorch and transformers | ratio |
| --- | ---: | ---: | ---: |
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_made_of_the_rows() {
        let rows = ["bert,1,mmc,0.5", "bert,1,pytorch,5"].map(str::to_owned);
        let table = section(&rows).unwrap();
        assert!(
            table.ends_with("| BERT-base | 0.50 s | 5.00 s | 0.10 [0.10, 0.10] |\n"),
            "{table}"
        );
        assert!(section(&["a,b".to_owned()]).is_err());
    }
}
