//! `cargo xtask experiment NAME`: a grid of runs, its report and its verdict; on real data where
//! everything is in place, else on a demo set, said so wherever a figure stands.

mod record;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::{Args, ValueEnum};
use mmc_data::demo::Truth;
use mmc_run::{Experiment, Freeze, PartialSettings, ResultsFolder};

use self::record::{PROBES, check_out, record};
use crate::conclusion::{conclude, publish};
use crate::demo::{self, Found};
use crate::diagnose;
use crate::failure::{Failure, workspace};
use crate::grid::{self, time};
use crate::launch::{self, Launch};
use crate::place::{config_path, file_of, stem};
use crate::search;
use crate::slurm::Slurm;
use crate::study::{Study, tell};

pub(crate) const EXAMPLES: &str = "\
Examples:
  cargo xtask experiment hateful_memes
  cargo xtask experiment hateful_memes --truth redundant
  cargo xtask experiment hateful_memes --probe
  cargo xtask experiment hateful_memes --profile full --dry-run
  cargo xtask experiment hateful_memes --launcher slurm --features cuda --sbatch \"--gres=gpu:1\"";

/// What `cargo xtask experiment` is asked for.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The experiment: configs/NAME.toml, or a file of your own whose name ends in .toml
    name: String,
    /// full: the study's protocol or nothing; demo: generated data and tiny models
    /// [default: full where data and weights are in place, else demo]
    #[arg(long, value_enum)]
    profile: Option<Profile>,
    /// What decides the label of the demo set (implies --profile demo) [default: interaction]
    #[arg(long, value_name = "TRUTH")]
    #[arg(value_parser = ["interaction", "redundant", "image", "text", "none"])]
    truth: Option<String>,
    /// Train heads on frozen backbones (probes): a first look at a fraction of the cost, with
    /// pretrained weights; those of the demo are random
    #[arg(long)]
    probe: bool,
    /// Say what would be run, and stop
    #[arg(long)]
    dry_run: bool,
    /// local: runs are processes of this machine; slurm: tasks of a job array
    #[arg(long, value_enum, default_value_t = Launcher::Local)]
    launcher: Launcher,
    /// Runs side by side [default: 1; in the demo one a core, at most 4; on Slurm what it gives]
    #[arg(long, value_name = "N", value_parser = jobs)]
    jobs: Option<usize>,
    /// What `mmc` is built with: `cuda`, or `cuda,nccl` where a run has several devices. Runs side by side
    /// share the devices of this machine [default: nothing; the CPU computes]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    #[arg(value_parser = ["cuda", "cudnn", "nccl", "mpi"])]
    features: Vec<String>,
    /// What `sbatch` is given besides, such as "--time=4:00:00 --gres=gpu:1"
    #[arg(long, value_name = "ARGUMENTS", allow_hyphen_values = true)]
    sbatch: Option<String>,
    /// Where the results go [default: results/NAME, of probes with `_probe` behind it]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Options {
    /// What the results are called.
    fn results_name(&self) -> String {
        let name = stem(&self.name);
        if self.probe { name + PROBES } else { name }
    }

    /// What cargo is told of the features.
    fn features(&self) -> String {
        let each: Vec<String> = self.features.iter().map(|name| format!("mmc/{name}")).collect();
        if each.is_empty() { String::new() } else { format!(" --features {}", each.join(",")) }
    }

    /// Whether runs compute on CUDA devices: each of these features is of them, or asks for `cuda`.
    fn on_cuda(&self) -> bool {
        self.features.iter().any(|name| name != "mpi")
    }

    /// What is asked of every run beside what the experiment's file says.
    fn settings(&self) -> PartialSettings {
        let freeze = self.probe.then_some(Freeze::Backbone);
        PartialSettings { freeze, ..PartialSettings::default() }
    }
}

fn jobs(word: &str) -> Result<usize, String> {
    let jobs = word.parse().ok().filter(|jobs| *jobs > 0);
    jobs.ok_or_else(|| "expected a whole number from 1".to_owned())
}

/// Where runs are executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Launcher {
    Local,
    Slurm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Profile {
    Full,
    Demo,
}

/// What is run in the end.
enum Mode {
    /// The study's protocol on the real data; `tiny` where all its models are.
    Study { tiny: bool },
    /// The same grid on generated data with tiny models.
    Demo { truth: Truth, missing: Vec<String> },
}

/// Runs what is asked for; the last line printed is the verdict.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let root = workspace();
    let config = config_path(&root, &options.name)?;
    let experiment = Experiment::read(&config)?;
    // Without features, which a machine that only submits jobs may not be able to run.
    let mut mmc = build(&root, "dev")?;
    let in_place = look(&mmc, &config, &root)?;
    let mode = choose(options, &experiment, &in_place)?;
    announce(&options.name, &mode);
    let out =
        options.out.clone().unwrap_or_else(|| root.join("results").join(options.results_name()));
    let results = ResultsFolder::new(&out);
    check_out(&results, options, &mode)?;
    let study = Study::of(&experiment, matches!(mode, Mode::Demo { .. }), &results)?
        .with(options.settings());
    study.check(&results)?;
    let mut is_data_known = true;
    if let Mode::Demo { truth, .. } = &mode
        && let Some(plan) = &experiment.demo
    {
        let data = out.join("demo-data");
        let wanted = demo::wanted(&experiment, plan, *truth)?;
        is_data_known = demo::holds(&wanted, &data)? || !options.dry_run;
        if !options.dry_run {
            fs::create_dir_all(&out)?;
            demo::generate(&wanted, &data)?;
        }
    }
    let trials = study.states(study.trials(&results), is_data_known)?;
    if options.dry_run {
        return study.foretell(&results, &trials, (is_data_known, &in_place.versions));
    }
    let is_long = matches!(mode, Mode::Study { tiny: false });
    if is_long || !options.features.is_empty() {
        let profile = if is_long { "release" } else { "dev" };
        mmc = build_with(&root, profile, &options.features())?;
    }
    publish(&experiment.dataset, &results)?;
    let planned = (study.grid.clone(), study.search.clone());
    results.write_record(&record(options, &experiment, &mode, planned))?;
    let launch = launch(options, &mode, &mmc, &results)?;
    let started = Instant::now();
    tell(&trials, &in_place.versions)?;
    let tried = grid::execute(&trials, &launch, "trial");
    if tried.open > 0 {
        // A choice from some trials would be another than that from all.
        let problem = format!("{} trials did not end, so nothing is chosen yet", tried.open);
        return Err(Failure::work(problem + "; run the command again to go on with them"));
    }
    let mut failed = tried.all();
    let chosen = search::choose_and_tell(&results)?;
    let runs = study.finals(&results, chosen.as_ref());
    failed += study.grid.runs().len() - runs.len();
    let runs = study.states(runs, is_data_known)?;
    tell(&runs, &in_place.versions)?;
    failed += grid::execute(&runs, &launch, "run").all();
    say!("{} runs in {}", trials.len() + runs.len(), time(started.elapsed().as_secs_f64()));
    let undiagnosed = diagnose::execute(&runs, &launch);
    conclude(&out)?;
    if failed + undiagnosed == 0 { Ok(()) } else { Err(Failure::said()) }
}

/// Builds the program as it is now and says where it lies. `dev`, the profile of this very program
/// and of the tests, is optimised and shares all that they compiled; hours of training are worth
/// the minutes that `release` takes.
pub(crate) fn build(root: &Path, profile: &str) -> Result<PathBuf, Failure> {
    build_with(root, profile, "")
}

/// The same with more arguments of cargo's, each behind a space.
pub(crate) fn build_with(root: &Path, profile: &str, more: &str) -> Result<PathBuf, Failure> {
    // With an example beside it, cargo resolves features as for the tests, which then compile nothing
    // again. `xtask` alone has fewer features: its own dependencies were compiled for it before.
    let arguments = format!(
        "build --profile {profile} --workspace --bin mmc --example same_order_anywhere{more}"
    );
    let status = Command::new("cargo").args(arguments.split(' ')).current_dir(root).status()?;
    if !status.success() {
        return Err(Failure::work(format!("`cargo {arguments}` failed, see above")));
    }
    let folder = if profile == "dev" { "debug" } else { profile };
    let target = std::env::current_exe()?;
    let target = target.ancestors().nth(2).unwrap_or(root);
    Ok(target.join(folder).join(format!("mmc{}", std::env::consts::EXE_SUFFIX)))
}

/// Asks `mmc` what the study's protocol finds in place.
fn look(mmc: &Path, config: &Path, root: &Path) -> Result<Found, Failure> {
    let output = Command::new(mmc)
        .args(["plan", "--json", "--grid"])
        .arg(config)
        .current_dir(root)
        .output()?;
    if !output.status.success() {
        return Err(Failure::work(String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn choose(options: &Options, experiment: &Experiment, found: &Found) -> Result<Mode, Failure> {
    let full = options.profile == Some(Profile::Full);
    if full && options.truth.is_some() {
        return Err(Failure::usage(
            "`--truth` is of the demo set, so it excludes `--profile full`",
        ));
    }
    if full && !found.in_place {
        return Err(Failure::work(format!(
            "`--profile full` needs what is not there:\n{}",
            found.instructions()
        )));
    }
    let demo = options.profile == Some(Profile::Demo) || options.truth.is_some();
    if found.in_place && !demo {
        return Ok(Mode::Study { tiny: found.models.iter().all(|model| model.tiny) });
    }
    if experiment.demo.is_none() {
        return Err(Failure::work(format!(
            "{} has no `[demo]` to fall back to, and these are missing:\n{}",
            file_of(&options.name),
            found.instructions()
        )));
    }
    let truth = options.truth.as_deref().unwrap_or("interaction").parse()?;
    Ok(Mode::Demo { truth, missing: found.names() })
}

/// The first lines: nobody may take a demo figure for a real one.
fn announce(given: &str, mode: &Mode) {
    let name = stem(given);
    match mode {
        Mode::Study { .. } => {
            say!("{name}: data and weights are in place; the protocol of {}", file_of(given));
        }
        Mode::Demo { truth, missing } if missing.is_empty() => {
            say!("{name}: DEMO as asked for, on generated data (truth: {truth}) with tiny models");
        }
        Mode::Demo { truth, missing } => say!(
            "{name}: DEMO on generated data (truth: {truth}) with tiny models; missing for the \
             real experiment: {} (`--profile full` says how to get them)",
            missing.join(", ")
        ),
    }
}

/// Tiny models gain nothing from threads: one thread a run, runs side by side.
fn launch<'a>(
    options: &Options,
    mode: &Mode,
    mmc: &'a Path,
    results: &ResultsFolder,
) -> Result<Launch<'a>, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let tiny = !matches!(mode, Mode::Study { tiny: false });
    let jobs = options.jobs.unwrap_or(if tiny { cores.min(4) } else { 1 }).max(1);
    let threads = if tiny { 1 } else { (cores / jobs).max(1) };
    let slurm = match options.launcher {
        Launcher::Local if options.sbatch.is_some() => {
            return Err(Failure::usage("`--sbatch` is of `--launcher slurm`"));
        }
        Launcher::Local => None,
        Launcher::Slurm => Some(Slurm {
            folder: std::path::absolute(results.root())?.join("slurm"),
            job_name: format!("mmc-{}", options.results_name()),
            arguments: options
                .sbatch
                .iter()
                .flat_map(|it| it.split_whitespace())
                .map(str::to_owned)
                .collect(),
            at_once: options.jobs,
            programs: PathBuf::new(),
        }),
    };
    let shared = options.on_cuda() && slurm.is_none();
    let visible = if shared { launch::visible(jobs)? } else { Vec::new() };
    Ok(Launch { mmc, jobs, threads, slurm, visible })
}

#[cfg(test)]
mod tests;
