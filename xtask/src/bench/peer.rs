//! Two programs that take turns.

use std::io::{BufRead, BufReader, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use serde::Deserialize;

use crate::failure::Failure;

/// What a program says of a round, and in its last line of its memory.
#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub(super) struct Answer {
    /// Seconds.
    pub(super) wall: f64,
    /// Seconds of processor time, all threads.
    pub(super) cpu: f64,
    /// What was computed, to be compared by eye.
    pub(super) loss: f64,
    /// Floating-point operations of the matrix products; 0 where the side does not count them.
    pub(super) flops: f64,
    /// The high-water mark in bytes.
    pub(super) peak: u64,
    /// By how many levels of 8 bits pictures differ: mean, 99th percentile, most.
    pub(super) levels: Vec<f64>,
    /// What was resident before the first round, in bytes.
    pub(super) before: u64,
}

/// A program that says it is ready, does one round for each line it gets, and answers with a line.
pub(super) struct Side {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// What it says on stderr, read as it comes.
    said: Option<JoinHandle<String>>,
}

impl Side {
    /// Starts the program with a number of threads and waits until it is ready.
    pub(super) fn start(command: &mut Command, threads: usize) -> Result<Self, Failure> {
        let mut child = command
            .env("RAYON_NUM_THREADS", threads.to_string())
            .env("OMP_NUM_THREADS", threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = output.ok_or_else(|| Failure::work("a side has no output"))?;
        let said = child.stderr.take().map(|mut stderr| {
            std::thread::spawn(move || {
                let mut said = Vec::new();
                // What cannot be read any more was said by a program that is gone.
                drop(stderr.read_to_end(&mut said));
                String::from_utf8_lossy(&said).into_owned()
            })
        });
        let mut side = Self { child, input, output: BufReader::new(output), said };
        side.answer()?; // ready
        Ok(side)
    }

    /// One round.
    pub(super) fn round(&mut self) -> Result<Answer, Failure> {
        if let Some(input) = &mut self.input {
            input.write_all(b"\n")?;
            input.flush()?;
        }
        self.answer()
    }

    /// Ends the program; its last line gives its memory.
    pub(super) fn end(mut self) -> Result<Answer, Failure> {
        drop(self.input.take());
        let last = self.answer()?;
        self.child.wait()?;
        Ok(last)
    }

    fn answer(&mut self) -> Result<Answer, Failure> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line).map_err(|error| {
            drop(self.input.take()); // it ends, if it has not
            let said = self.said.take().and_then(|said| said.join().ok()).unwrap_or_default();
            let lines: Vec<&str> = said.lines().collect();
            let last = lines[lines.len().saturating_sub(8)..].join("\n");
            Failure::work(format!("a side answered `{}` ({error}) and said:\n{last}", line.trim()))
        })
    }
}

/// Rounds of two programs in turns; each pair begins with the side that the one before ended with.
/// The first pair is not counted. Gives the rounds of each side, and what each said at its end.
pub(super) fn alternate(
    mut commands: [Command; 2],
    pairs: usize,
    threads: usize,
) -> Result<[(Vec<Answer>, Answer); 2], Failure> {
    let [first, second] = &mut commands;
    let mut sides = [Side::start(first, threads)?, Side::start(second, threads)?];
    let mut rounds = [Vec::new(), Vec::new()];
    for pair in 0..=pairs {
        for turn in 0..2 {
            let side = (pair + turn) % 2;
            let answer = sides[side].round()?;
            if pair > 0 {
                rounds[side].push(answer);
            }
        }
    }
    let [ours, theirs] = sides;
    let [of_ours, of_theirs] = rounds;
    Ok([(of_ours, ours.end()?), (of_theirs, theirs.end()?)])
}

/// What is measured: the program, and a bench of each of these packages. Built by one command, so that
/// what they share is built once.
const BUILD: &[&str] = &[
    "build",
    "--release",
    "--message-format",
    "json",
    "--package=mmc",
    "--package=mmc-metrics",
    "--package=mmc-preprocess",
    "--package=mmc-train",
    "--bin=mmc",
    "--bench=beside",
    "--bench=pictures",
    "--bench=tokens",
    "--bench=step",
];

/// Builds what is measured, and says where the program or bench of this name is.
pub(super) fn built(root: &Path, name: &str) -> Result<PathBuf, Failure> {
    let output =
        Command::new("cargo").args(BUILD).current_dir(root).stderr(Stdio::inherit()).output()?;
    let lines = String::from_utf8_lossy(&output.stdout);
    let program = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)));
    program
        .filter(|_| output.status.success())
        .ok_or_else(|| Failure::work(format!("`cargo {}`: {}", BUILD.join(" "), output.status)))
}
