//! What a change must pass, step by step, each with its name, its time and the command that
//! repeats it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::failure::{Failure, workspace};

/// One step: a command, and what its last line must be, if that matters.
struct Step {
    name: &'static str,
    environment: &'static [(&'static str, &'static str)],
    arguments: String,
    last_line: Option<&'static str>,
}

/// What the tests of all steps came to.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

/// The verdict that each demo truth must lead to; `none` must only not be `multimodal`.
const TRUTHS: &[(&str, &str)] = &[
    ("interaction", "verdict: multimodal"),
    ("image", "verdict: multimodal"),
    ("redundant", "verdict: text suffices"),
    ("text", "verdict: text suffices"),
    ("none", "verdict: undecided"),
];

/// Runs every step; a failed one does not keep the others from running.
pub(crate) fn run(full: bool) -> Result<(), Failure> {
    let mut tally = Tally::default();
    let mut failed = Vec::new();
    let started = Instant::now();
    for step in steps(full) {
        println!("\n== {}: {}", step.name, step.typed());
        let began = Instant::now();
        let outcome = step.run(&mut tally);
        let seconds = began.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => println!("== {}: passed in {seconds:.0} s", step.name),
            Err(why) => {
                println!("== {}: FAILED in {seconds:.0} s, {why}", step.name);
                println!("== repeat it with: {}", step.typed());
                failed.push(step.name);
            }
        }
    }
    println!("\n== all steps: {:.0} s", started.elapsed().as_secs_f64());
    let outcome = if failed.is_empty() {
        Ok(())
    } else {
        Err(Failure::work(format!("these steps failed: {}", failed.join(", "))))
    };
    println!("{} passed, {} failed", tally.passed, tally.failed);
    outcome
}

fn steps(full: bool) -> Vec<Step> {
    let cargo = |name, arguments: &str| Step {
        name,
        environment: &[],
        arguments: arguments.to_owned(),
        last_line: None,
    };
    let mut steps = vec![
        cargo("format", "fmt --all --check"),
        cargo("lints", "clippy --workspace --all-targets -- -D warnings"),
        Step {
            environment: &[("RUSTDOCFLAGS", "-Dwarnings")],
            ..cargo("documents", "doc --workspace --no-deps")
        },
        cargo("tests", "test --workspace"),
        cargo("house rules", "xtask tidy"),
    ];
    let truths = if full { TRUTHS } else { &TRUTHS[..1] };
    for (truth, verdict) in truths {
        let out = format!("--out target/ci/hateful_memes-{truth}");
        let task = format!("xtask experiment hateful_memes --profile demo --truth {truth} {out}");
        steps.push(Step { last_line: Some(verdict), ..cargo("demo experiment", &task) });
    }
    steps.push(cargo("packages", "package -p mmc-random -p mmc-metrics -p mmc-data --allow-dirty"));
    if full {
        steps.push(cargo("references", "xtask references"));
        steps.push(cargo("tests on the new references", "test --workspace"));
    }
    steps
}

impl Step {
    /// The command as one would type it.
    fn typed(&self) -> String {
        let mut words: Vec<String> =
            self.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        words.push(format!("cargo {}", self.arguments));
        words.join(" ")
    }

    /// Runs it, showing its output as it comes and adding its test results to `tally`.
    fn run(&self, tally: &mut Tally) -> Result<(), String> {
        let mut child = Command::new("cargo")
            .args(self.arguments.split(' '))
            .envs(self.environment.iter().copied())
            .current_dir(workspace())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut last = String::new();
        if let Some(output) = child.stdout.take() {
            for line in BufReader::new(output).lines() {
                last = line.map_err(|error| error.to_string())?;
                println!("{last}");
                tally.add(&last);
            }
        }
        let status = child.wait().map_err(|error| error.to_string())?;
        if !status.success() {
            return Err(status.to_string());
        }
        match self.last_line {
            Some(wanted) if last != wanted => {
                Err(format!("its last line is `{last}`, expected `{wanted}`"))
            }
            _ => Ok(()),
        }
    }
}

impl Tally {
    /// Adds a line such as `test result: ok. 12 passed; 0 failed; ...`; others add nothing.
    fn add(&mut self, line: &str) {
        let Some(counts) = line.trim_start().strip_prefix("test result: ") else { return };
        for part in counts.split([';', '.']) {
            let mut words = part.split_whitespace();
            let count = words.next().and_then(|word| word.parse::<usize>().ok());
            match (count, words.next()) {
                (Some(count), Some("passed")) => self.passed += count,
                (Some(count), Some("failed")) => self.failed += count,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_results_are_summed() {
        let mut tally = Tally::default();
        tally.add("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out");
        tally.add("test result: FAILED. 3 passed; 2 failed; 0 ignored");
        tally.add("running 4 tests");
        assert_eq!((tally.passed, tally.failed), (15, 2));
    }

    #[test]
    fn a_step_reads_as_one_would_type_it() {
        let documents = steps(false).into_iter().find(|step| step.name == "documents").unwrap();
        let typed = "RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps";
        assert_eq!(documents.typed(), typed);
    }
}
