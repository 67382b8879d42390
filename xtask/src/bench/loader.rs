//! How long training waits for its pictures and texts.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use super::peer::built;
use super::rows::Rows;
use super::steps::Programs;
use super::{Options, Suite, pictures};
use crate::failure::{Failure, workspace};

pub(super) const SUITE: Suite = Suite {
    name: "loader",
    cases: &["vilt-tiny", "vilt", "vilt-augment"],
    measure,
    header: "case,run,epoch,steps,seconds,wait_seconds",
    section,
};

/// Runs of the tiny model, whose steps are so short that one says little.
const RUNS: usize = 3;
const EPOCHS: &str = "16";
/// Items of the tiny model's set, and of a step.
const TINY: (usize, usize) = (3000, 32);
/// And of the large one's, which sees each picture once.
const LARGE: (usize, usize) = (88, 8);

fn measure(cases: &[&'static str], _options: &Options) -> Result<Vec<String>, Failure> {
    let program = built(&workspace(), "mmc")?;
    let mut rows = Vec::new();
    for case in cases {
        let scratch = tempfile::tempdir()?;
        let (runs, size) = if *case == "vilt-tiny" { (RUNS, TINY) } else { (1, LARGE) };
        for run in 1..=runs {
            let folder = scratch.path().join(run.to_string());
            fs::create_dir(&folder)?;
            let mut command = Command::new(&program);
            match *case {
                "vilt-tiny" => tiny(&mut command, &program, &folder)?,
                _ => large(&mut command, &folder)?,
            }
            if *case == "vilt-augment" {
                command.args(["--augment", "light"]);
            }
            let out = folder.join("run");
            ask(command.arg("--batch-size").arg(size.1.to_string()).arg("--out").arg(&out))?;
            let steps = fs::read_to_string(out.join("train.jsonl"))?;
            for (epoch, Sum { steps, seconds, waited }) in epochs(&steps, size)? {
                rows.push(format!("{case},{run},{epoch},{steps},{seconds},{waited}"));
            }
            say!("{case}, run {run}");
        }
    }
    Ok(rows)
}

/// The tiny model on a made-up set, with a cache of pictures that is empty at first.
fn tiny(command: &mut Command, program: &Path, folder: &Path) -> Result<(), Failure> {
    let (data, items) = (folder.join("data"), TINY.0.to_string());
    let mut demo = Command::new(program);
    demo.args(["data", "demo", "--dataset", "hateful_memes", "--truth", "interaction"]);
    ask(demo.args(["--items", &items, "--out"]).arg(&data))?;
    command.args(["train", "--model", "vilt-tiny", "--dataset", "hateful_memes"]);
    command.args(["--epochs", EPOCHS]).arg("--picture-cache").arg(folder.join("cache"));
    command.arg("--data-root").arg(&data);
    Ok(())
}

/// ViLT of the published size with random weights, and photographs, each of another name.
fn large(command: &mut Command, folder: &Path) -> Result<(), Failure> {
    let root = workspace();
    let case = "vilt-4x40";
    Programs::new()?.make(case)?;
    let model = root.join("target/bench").join(case).join("model");
    for file in ["tokenizer.json", "tokenizer_config.json", "vocab.txt"] {
        fs::copy(root.join("data/checkpoints/vilt-tiny-emoji").join(file), model.join(file))?;
    }
    let made = pictures::made()?;
    fs::copy(made.join("384/preprocessor_config.json"), model.join("preprocessor_config.json"))?;
    let mut photographs: Vec<_> = fs::read_dir(made.join("pictures"))?
        .map(|file| Ok(file?.path()))
        .collect::<Result<_, Failure>>()?;
    photographs.sort();
    for (split, items) in [("train", LARGE.0), ("val", LARGE.1)] {
        let mut table = String::from("text,image,label\n");
        for (item, photograph) in (0..items).zip(photographs.iter().cycle()) {
            let name = format!("{split}{item}.jpg");
            fs::copy(photograph, folder.join(&name))?;
            writeln!(table, "what is there to see in number {item},{name},{}", item % 2)?;
        }
        fs::write(folder.join(split).with_extension("csv"), table)?;
    }
    let steps = LARGE.0.div_ceil(LARGE.1).to_string();
    command.args(["train", "--model", "vilt", "--dataset", "table", "--max-steps", &steps]);
    command.arg("--checkpoint").arg(&model).arg("--data-root").arg(folder);
    Ok(())
}

fn ask(command: &mut Command) -> Result<(), Failure> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::work(format!("{command:?}: {}: {said}", output.status)))
}

/// What is read of a step.
#[derive(Deserialize)]
struct Step {
    epoch: usize,
    samples_per_second: f64,
    loader_wait_seconds: f64,
}

/// Of an epoch: its steps, the seconds that they took, and those for which they waited.
#[derive(Debug, Default, PartialEq)]
struct Sum {
    steps: usize,
    seconds: f64,
    waited: f64,
}

/// The epochs of a run over so many items, so many a step.
fn epochs(lines: &str, (items, batch): (usize, usize)) -> Result<Vec<(usize, Sum)>, Failure> {
    let mut epochs: Vec<(usize, Sum)> = Vec::new();
    for line in lines.lines() {
        let step: Step = serde_json::from_str(line)
            .map_err(|error| Failure::work(format!("train.jsonl: {error}: {line}")))?;
        if epochs.last().is_none_or(|(epoch, _)| *epoch != step.epoch) {
            epochs.push((step.epoch, Sum::default()));
        }
        if let Some((_, sum)) = epochs.last_mut() {
            let of_step = batch.min(items.saturating_sub(sum.steps * batch));
            sum.steps += 1;
            sum.seconds += of_step as f64 / step.samples_per_second;
            sum.waited += step.loader_wait_seconds;
        }
    }
    Ok(epochs)
}

/// The shares, from the raw rows alone.
fn section(rows: &[String]) -> Result<String, Failure> {
    let rows = Rows::of("loader", rows, 6)?;
    let mut text = INTRODUCTION.to_owned();
    for (case, model, first, what) in LINES {
        let (mut steps, mut seconds, mut waited, mut worst) = (0.0, 0.0, 0.0, 0.0_f64);
        for [_, run, epoch] in rows.names::<3>().into_iter().filter(|name| name[0] == case) {
            let number: usize =
                epoch.parse().map_err(|error| rows.fault(&format!("`{epoch}`: {error}")))?;
            if number < first {
                continue;
            }
            let of = |column| rows.numbers(&[case, run], (2, epoch), column).iter().sum::<f64>();
            let (took, stood) = (of(4), of(5));
            (steps, seconds, waited) = (steps + of(3), seconds + took, waited + stood);
            worst = worst.max(stood / took);
        }
        if steps > 0.0 {
            let (step, share, worst) =
                (1e3 * seconds / steps, 100.0 * waited / seconds, 100.0 * worst);
            writeln!(
                text,
                "| {model} | {what} | {steps} | {step:.1} ms | {share:.2} % | {worst:.2} % |"
            )?;
        }
    }
    Ok(text)
}

/// Of each case: the model, the first epoch that counts, and what it sees.
const LINES: [(&str, &str, usize, &str); 3] = [
    (
        "vilt-tiny",
        "ViLT, tiny",
        2,
        "3,000 small pictures with `--picture-cache`, from the second epoch on",
    ),
    (
        "vilt",
        "ViLT-B/32",
        1,
        "88 photographs of 1024 × 768 pixels, each once, the first batch included",
    ),
    ("vilt-augment", "ViLT-B/32", 1, "the same with `--augment light`"),
];

const INTRODUCTION: &str = "\
## Waiting for data

Of the time of training steps, `loader_wait_seconds` of `train.jsonl`; of mmc alone. The large model has the published size, \
random weights and 8 pictures a step; the tiny one sees 32, in three runs of 16 epochs.

| model | pictures | steps | time a step | waited | waited in the worst epoch |
| --- | --- | ---: | ---: | ---: | ---: |
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_last_step_counts_as_what_it_has() {
        let line = |epoch: usize, pace: f64, waited: f64| {
            format!(
                "{{\"step\":1,\"epoch\":{epoch},\"samples_per_second\":{pace:.1},\
                 \"loader_wait_seconds\":{waited:.2}}}\n"
            )
        };
        let lines = line(1, 8.0, 0.25) + &line(1, 2.0, 0.5) + &line(2, 4.0, 0.0);
        let found = epochs(&lines, (10, 8)).unwrap();
        let first = Sum { steps: 2, seconds: 2.0, waited: 0.75 };
        assert_eq!(found, [(1, first), (2, Sum { steps: 1, seconds: 2.0, waited: 0.0 })]);
        assert!(epochs("{}\n", (10, 8)).is_err());
    }

    #[test]
    fn the_table_is_made_of_the_rows() {
        let rows = [
            "vilt-tiny,1,1,94,1,0.5",
            "vilt-tiny,1,2,94,1,0.002",
            "vilt-tiny,2,2,94,3,0.01",
            "vilt,1,1,11,44,0.11",
        ];
        let table = section(&rows.map(str::to_owned)).unwrap();
        assert!(table.contains("| 188 | 21.3 ms | 0.30 % | 0.33 % |\n"), "{table}");
        assert!(table.ends_with("| 11 | 4000.0 ms | 0.25 % | 0.25 % |\n"), "{table}");
    }
}
