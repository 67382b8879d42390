//! What a change must pass, step by step, each with its name, its time and the command that
//! repeats it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::failure::{Failure, workspace};

/// One step: a command, and what its last line must be, where that matters.
struct Step {
    name: &'static str,
    environment: &'static [(&'static str, &'static str)],
    arguments: String,
    end: End,
}

/// What the last line of a step must be.
#[derive(Clone, Copy)]
enum End {
    Any,
    This(&'static str),
    NotThis(&'static str),
}

/// What the tests of all steps came to.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

/// Where the experiments of the check put their results.
const SCRATCH: &str = "target/ci";

const MULTIMODAL: &str = "verdict: multimodal";
const TEXT_SUFFICES: &str = "verdict: text suffices";

/// The verdict that each truth of the demo must lead to. Where nothing can be learned, whether
/// equality is shown or not depends on chance; a gain must not be.
const TRUTHS: &[(&str, End)] = &[
    ("interaction", End::This(MULTIMODAL)),
    ("image", End::This(MULTIMODAL)),
    ("redundant", End::This(TEXT_SUFFICES)),
    ("text", End::This(TEXT_SUFFICES)),
    ("none", End::NotThis(MULTIMODAL)),
];

/// Runs every step; a failed one does not keep the others from running.
pub(crate) fn run(full: bool) -> Result<(), Failure> {
    let mut tally = Tally::default();
    let mut failed = Vec::new();
    let started = Instant::now();
    let scratch = workspace().join(SCRATCH);
    if scratch.exists() {
        std::fs::remove_dir_all(scratch)?; // results of an earlier check would be skipped over
    }
    let coverage = if full { coverage() } else { None };
    for step in steps(full).into_iter().chain(with_mpi()).chain(coverage) {
        say!("\n== {}: {}", step.name, step.typed());
        let began = Instant::now();
        let outcome = step.run(&mut tally);
        let seconds = began.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => say!("== {}: passed in {seconds:.0} s", step.name),
            Err(why) => {
                say!("== {}: FAILED in {seconds:.0} s, {why}", step.name);
                say!("== repeat it with: {}", step.typed());
                failed.push(step.name);
            }
        }
    }
    say!("\n== all steps: {:.0} s", started.elapsed().as_secs_f64());
    for name in &failed {
        say!("== failed: {name}");
    }
    // The last line, whatever happened: whoever reads the check reads this.
    say!("{} passed, {} failed", tally.passed, tally.failed);
    if failed.is_empty() { Ok(()) } else { Err(Failure::said()) }
}

fn cargo(name: &'static str, arguments: &str) -> Step {
    Step { name, environment: &[], arguments: arguments.to_owned(), end: End::Any }
}

fn steps(full: bool) -> Vec<Step> {
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
    for (truth, end) in truths {
        let out = format!("--out {SCRATCH}/hateful_memes-{truth}");
        let task = format!("xtask experiment hateful_memes --profile demo --truth {truth} {out}");
        steps.push(Step { end: *end, ..cargo("demo experiment", &task) });
    }
    steps.push(cargo("packages", "package -p mmc-random -p mmc-metrics -p mmc-data --allow-dirty"));
    if full {
        let controls = format!("xtask selftest --out {SCRATCH}/selftest");
        steps.push(cargo("controls", &controls));
        steps.extend(full_steps());
    }
    steps
}

/// What takes long.
fn full_steps() -> Vec<Step> {
    let mut steps = vec![
        cargo("references", "xtask references"),
        cargo("tests on the new references", "test --workspace"),
    ];
    // Fuzzing needs a nightly compiler; on stable, random inputs come from the property tests.
    let properties = PROPERTIES.join(" -p ");
    steps.push(Step {
        environment: &[("PROPTEST_CASES", "20000")],
        ..cargo("random inputs", &format!("test -p {properties} --lib --tests"))
    });
    steps.push(Step {
        environment: &[("MMC_MUTATIONS", "100000")],
        ..cargo("damaged checkpoints", "test -p mmc-models --test hostile")
    });
    for feature in FEATURES {
        steps.push(for_cuda(
            "a feature alone",
            &format!("check {CUDA_PACKAGES} --features mmc/{feature}"),
        ));
    }
    let all: Vec<String> = FEATURES.iter().map(|feature| format!("mmc/{feature}")).collect();
    let all = format!("--all-targets --features {} -- -D warnings", all.join(","));
    steps.push(for_cuda("lints for CUDA", &format!("clippy {CUDA_PACKAGES} {all}")));
    // Each package must ask for what it uses, and not find it switched on by a neighbour.
    let alone = PACKAGES.iter().map(|name| cargo("a package alone", &format!("check -p {name}")));
    steps.extend(alone);
    steps
}

/// A step on code for CUDA: a stand-in for NVIDIA's compiler lets build scripts end, so it can be
/// checked and linted on any machine, and not run.
fn for_cuda(name: &'static str, arguments: &str) -> Step {
    Step { environment: STAND_IN, ..cargo(name, arguments) }
}

/// `$PWD` is the workspace. In a folder of its own, since what is built so must not be run.
const STAND_IN: &[(&str, &str)] = &[
    ("CUDA_HOME", "$PWD/xtask/cuda"),
    ("CUDA_PATH", "$PWD/xtask/cuda"),
    ("CUDA_COMPUTE_CAP", "80"),
    ("CARGO_TARGET_DIR", "$PWD/target/stand-in"),
    ("PATH", "$PWD/xtask/cuda/bin:$PATH"),
];

/// The features for CUDA, of each of [`CUDA_PACKAGES`].
const FEATURES: &[&str] = &["cuda", "cudnn", "nccl"];

/// The packages with features, as arguments.
const CUDA_PACKAGES: &str = "-p mmc-ops -p mmc-models -p mmc-train -p mmc";

/// Packages with property tests.
const PROPERTIES: &[&str] =
    &["mmc-metrics", "mmc-data", "mmc-preprocess", "mmc-ops", "mmc-models", "mmc-run", "mmc-train"];

/// Every package of the workspace.
const PACKAGES: &[&str] = &[
    "mmc-random",
    "mmc-metrics",
    "mmc-data",
    "mmc-preprocess",
    "mmc-ops",
    "mmc-models",
    "mmc-run",
    "mmc-train",
    "mmc-report",
    "mmc",
    "xtask",
    "mmc-tests",
];

/// The steps on what MPI connects, where it is there; said plainly where not.
fn with_mpi() -> Vec<Step> {
    if let Some(program) = crate::mpi::missing() {
        say!(
            "\n== ranks of MPI: NEITHER LINTED NOR RUN, since `{program}` is not installed; docs/mpi.md \
             says what to install"
        );
        return Vec::new();
    }
    vec![
        cargo("lints for MPI", MPI_LINTS),
        // The feature changes what `mmc` is, so its tests come with a build of their own, last.
        cargo("ranks of MPI", "xtask mpi"),
    ]
}

/// All targets, since one of them, an example, is there with the feature alone.
const MPI_LINTS: &str =
    "clippy --workspace --all-targets --features mmc/mpi,mmc-train/mpi -- -D warnings";

/// The packages with the feature `mpi` beside those for CUDA.
#[cfg(test)]
const WITH_MPI: &[&str] = &["mmc-train", "mmc"];

/// The share of lines that tests run, where the tool for it is there; said plainly where not.
fn coverage() -> Option<Step> {
    let version = Command::new("cargo").args(["llvm-cov", "--version"]).output();
    if version.is_ok_and(|version| version.status.success()) {
        return Some(cargo("coverage", "llvm-cov --workspace --summary-only"));
    }
    say!(
        "\n== coverage: NOT MEASURED, since `cargo-llvm-cov` is not installed; `cargo install \
         cargo-llvm-cov` installs it"
    );
    None
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
            .envs(self.environment.iter().map(|(name, value)| (name, expanded(value))))
            .current_dir(workspace())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut last = String::new();
        if let Some(output) = child.stdout.take() {
            for line in BufReader::new(output).lines() {
                last = line.map_err(|error| error.to_string())?;
                say!("{last}");
                tally.add(&last);
            }
        }
        let status = child.wait().map_err(|error| error.to_string())?;
        if !status.success() {
            return Err(status.to_string());
        }
        match self.end {
            End::This(wanted) if last != wanted => {
                Err(format!("its last line is `{last}`, expected `{wanted}`"))
            }
            End::NotThis(unwanted) if last == unwanted => {
                Err(format!("its last line is `{last}`, which cannot be"))
            }
            _ => Ok(()),
        }
    }
}

/// A value of [`Step::environment`] with `$PWD` and `$PATH` filled in.
fn expanded(value: &str) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    value.replace("$PWD", &workspace().display().to_string()).replace("$PATH", &path)
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

    /// The packages in the folders of the workspace, with their manifests.
    fn manifests() -> Vec<(String, String)> {
        let crates = std::fs::read_dir(workspace().join("crates")).unwrap();
        let mut folders: Vec<_> = crates.map(|entry| entry.unwrap().path()).collect();
        folders.extend(["xtask", "tests"].map(|name| workspace().join(name)));
        let read = |folder: std::path::PathBuf| {
            let text = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
            let manifest: toml::Table = text.parse().unwrap();
            (manifest["package"]["name"].as_str().unwrap().to_owned(), text)
        };
        folders.into_iter().map(read).collect()
    }

    #[test]
    fn the_full_check_covers_every_package_and_every_property_test() {
        let manifests = manifests();
        assert_eq!(manifests.len(), PACKAGES.len());
        for (name, manifest) in &manifests {
            assert!(PACKAGES.contains(&name.as_str()), "{name}");
            let has_properties = manifest.contains("proptest.workspace");
            assert_eq!(PROPERTIES.contains(&name.as_str()), has_properties, "{name}");
            let manifest: toml::Table = manifest.parse().unwrap();
            let features = manifest.get("features").and_then(toml::Value::as_table);
            let mut features: Vec<&str> =
                features.iter().flat_map(|it| it.keys()).map(|it| &**it).collect();
            // A table keeps the file's order or its own, as other packages have it.
            features.sort_unstable();
            let for_cuda = CUDA_PACKAGES.split(' ').any(|word| word == name);
            let mut expected = if for_cuda { FEATURES.to_vec() } else { Vec::new() };
            if WITH_MPI.contains(&name.as_str()) {
                expected.push("mpi");
            }
            expected.sort_unstable();
            assert_eq!(features, expected, "{name}: check its features");
        }
        let typed: Vec<String> = steps(true).iter().map(Step::typed).collect();
        for (name, _) in manifests {
            assert!(typed.contains(&format!("cargo check -p {name}")), "{name}");
        }
        assert!(typed.iter().any(|step| step.starts_with("PROPTEST_CASES=20000 cargo test -p")));
    }

    /// An experiment's step adds the profile, the truth and the folder, so that it does not
    /// depend on what lies in the working tree; all else is a step word for word.
    #[test]
    fn cargo_commands_of_the_readme_are_steps() {
        let readme = std::fs::read_to_string(workspace().join("README.md")).unwrap();
        let commands: Vec<&str> =
            readme.lines().filter_map(|line| line.strip_prefix("$ cargo ")).collect();
        assert!(commands.len() >= 2, "README.md shows {commands:?}");
        let steps = steps(false);
        for command in commands {
            let runs = |step: &Step| {
                let more = step.arguments.strip_prefix(command);
                let added = |more: &str| more.starts_with(" --profile demo --truth interaction");
                more.is_some_and(|more| more.is_empty() || added(more))
            };
            assert!(steps.iter().any(runs), "`cargo {command}` is no step of the check");
        }
    }

    #[test]
    fn a_step_reads_as_one_would_type_it() {
        let documents = steps(false).into_iter().find(|step| step.name == "documents").unwrap();
        let typed = "RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps";
        assert_eq!(documents.typed(), typed);
    }
}
