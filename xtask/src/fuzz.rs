//! `cargo xtask fuzz`: coverage-guided fuzzing of every reader and decoder, by libFuzzer, on the stable
//! compiler.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::failure::{Failure, workspace};

pub(crate) const EXAMPLES: &str = "\
Examples:
  cargo xtask fuzz
  cargo xtask fuzz --minutes 5 --target parquet
  cargo xtask fuzz --minutes 1 --keep

Builds fuzz/ with instrumentation into target/fuzz (a C++ compiler is needed), and gives every target its
share of the minutes. An input that makes a reader panic, takes more than a second of processor time or
512 MiB is written to fuzz/corpus/TARGET, where the test `fuzz_corpus` replays it ever after. Exit code 1
where there was one. What was learnt stays in target/fuzz/corpus for the next time.";

/// What can be asked for.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Minutes in all
    #[arg(long, value_name = "N", default_value_t = 60)]
    minutes: u64,
    /// The one target to fuzz, in place of all; fuzz/corpus has a folder of each
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Afterwards also keep, in fuzz/corpus, the smallest inputs that reach what all of them reach, up to
    /// 100 KiB a target
    #[arg(long)]
    keep: bool,
}

/// Bytes of inputs that are kept of each target.
const KEPT: u64 = 100 << 10;

/// Coverage of branches and comparisons, as `cargo fuzz` asks for it.
const INSTRUMENTED: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let root = workspace();
    let targets = chosen(&root.join("fuzz/corpus"), options.target.as_deref())?;
    let program = build(&root)?;
    let seconds = options.minutes * 60 / targets.len() as u64;
    let mut found = Vec::new();
    for target in &targets {
        let fuzzed = Fuzzed::new(&root, &program, target)?;
        let before = names(&fuzzed.kept)?;
        let ended = fuzzed.search(seconds)?;
        let new: Vec<PathBuf> =
            names(&fuzzed.kept)?.into_iter().filter(|name| !before.contains(name)).collect();
        say!(
            "{target}: {seconds} s, {} inputs that taught something",
            names(&fuzzed.learnt)?.len()
        );
        if new.is_empty() && !ended {
            return Err(Failure::work(format!("{target}: libFuzzer could not go on, see above")));
        }
        found.extend(new);
        if options.keep {
            fuzzed.keep()?;
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    for path in &found {
        say!("found: {}", path.display());
    }
    let count = found.len();
    Err(Failure::work(format!(
        "{count} inputs break what is promised; `cargo test -p mmc-tests --test fuzz_corpus` says how"
    )))
}

/// The targets, by the folders of their inputs.
fn chosen(corpus: &Path, target: Option<&str>) -> Result<Vec<String>, Failure> {
    let mut known = Vec::new();
    for entry in fs::read_dir(corpus)? {
        known.push(entry?.file_name().to_string_lossy().into_owned());
    }
    known.sort();
    match target {
        None => Ok(known),
        Some(name) if known.iter().any(|known| known == name) => Ok(vec![name.to_owned()]),
        Some(name) => {
            let known = known.join("`, `");
            Err(Failure::usage(format!("no target `{name}`, expected one of `{known}`")))
        }
    }
}

/// Builds the program that has every target.
fn build(root: &Path) -> Result<PathBuf, Failure> {
    let version = Command::new("rustc").arg("-vV").output()?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    // With a target of its own, build scripts are not instrumented.
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or_else(|| Failure::work("`rustc -vV` names no host".to_owned()))?;
    let out = root.join("target/fuzz");
    let status = Command::new("cargo")
        .args(["build", "--release", "--target", host])
        .current_dir(root.join("fuzz"))
        .env("CARGO_TARGET_DIR", &out)
        .env("RUSTFLAGS", INSTRUMENTED)
        .status()?;
    if status.success() {
        return Ok(out.join(host).join("release/readers"));
    }
    Err(Failure::work(format!("fuzz/ does not build: {status}")))
}

/// A target and its folders.
struct Fuzzed<'a> {
    root: &'a Path,
    program: &'a Path,
    target: &'a str,
    /// Inputs that were committed, findings among them.
    kept: PathBuf,
    /// Inputs that reached something new, of all times.
    learnt: PathBuf,
}

impl<'a> Fuzzed<'a> {
    fn new(root: &'a Path, program: &'a Path, target: &'a str) -> Result<Self, Failure> {
        let learnt = root.join("target/fuzz/corpus").join(target);
        fs::create_dir_all(&learnt)?;
        Ok(Self { root, program, target, kept: root.join("fuzz/corpus").join(target), learnt })
    }

    fn libfuzzer(&self) -> Command {
        let mut command = Command::new(self.program);
        command.current_dir(self.root).env("FUZZ_TARGET", self.target);
        command
    }

    /// Looks for new inputs; says whether the time passed without a finding.
    fn search(&self, seconds: u64) -> Result<bool, Failure> {
        let artifacts = format!("-artifact_prefix={}/finding-", self.kept.display());
        // Beside the limits of each input (fuzz/src/limits.rs), those that end one that does not end. They
        // are of the clock, so that a busy machine needs them wide, and nothing slow by it is a finding.
        let status = self
            .libfuzzer()
            .args([&self.learnt, &self.kept])
            .args(["-timeout=300", "-report_slow_units=300", "-rss_limit_mb=4096"])
            .args(["-max_len=32768", "-verbosity=0"])
            .args([format!("-max_total_time={}", seconds.max(1)), artifacts])
            .status()?;
        Ok(status.success())
    }

    /// Replaces the committed inputs, findings apart, by the smallest that reach what all reach.
    fn keep(&self) -> Result<(), Failure> {
        let place = tempfile::tempdir()?;
        let sources = [&self.kept, &self.learnt];
        let mut merge = self.libfuzzer();
        merge.args(["-merge=1", "-verbosity=0"]).arg(place.path()).args(sources);
        let status = merge.status()?;
        if !status.success() {
            return Err(Failure::work(format!("{}: no merge: {status}", self.target)));
        }
        let mut sized = Vec::new();
        for path in names(place.path())? {
            sized.push((path.metadata()?.len(), path));
        }
        sized.sort();
        for old in names(&self.kept)? {
            if !old.file_name().is_some_and(|name| name.to_string_lossy().starts_with("finding-")) {
                fs::remove_file(old)?;
            }
        }
        let mut bytes = 0;
        for (length, path) in sized {
            bytes += length;
            if bytes > KEPT {
                break;
            }
            fs::copy(&path, self.kept.join(path.file_name().unwrap_or_default()))?;
        }
        Ok(())
    }
}

/// The files of a folder.
fn names(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.path());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_the_folders_of_the_corpus() {
        let corpus = workspace().join("fuzz/corpus");
        let all = chosen(&corpus, None).unwrap();
        assert!(all.contains(&"parquet".to_owned()) && all.len() >= 8, "{all:?}");
        assert_eq!(chosen(&corpus, Some("csv")).unwrap(), ["csv"]);
        assert!(chosen(&corpus, Some("vsc")).is_err());
    }
}
