//! `cargo xtask experiment NAME`: a grid of runs, its report and its verdict; on real data where
//! everything is in place, else on a demo set, said so wherever a figure stands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::{Args, ValueEnum};
use mmc_data::demo::Truth;
use mmc_run::{DemoRecord, Experiment, ExperimentRecord, Grid, PartialSettings, ResultsFolder};

use crate::conclusion::{conclude, publish};
use crate::demo::{self, Found};
use crate::diagnose;
use crate::failure::{Failure, workspace};
use crate::grid::{self, Launch, Run, State, time};

pub(crate) const EXAMPLES: &str = "\
Examples:
  cargo xtask experiment hateful_memes
  cargo xtask experiment hateful_memes --truth redundant
  cargo xtask experiment hateful_memes --profile full --dry-run";

/// What `cargo xtask experiment` is asked for.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The experiment: configs/NAME.toml
    name: String,
    /// full: the study's protocol or nothing; demo: generated data and tiny models
    /// [default: full where data and weights are in place, else demo]
    #[arg(long, value_enum)]
    profile: Option<Profile>,
    /// What decides the label of the demo set (implies --profile demo) [default: interaction]
    #[arg(long, value_name = "TRUTH")]
    #[arg(value_parser = ["interaction", "redundant", "image", "text", "none"])]
    truth: Option<String>,
    /// Say what would be run, and stop
    #[arg(long)]
    dry_run: bool,
    /// Runs side by side [default: 1; in the demo one a core, at most 4]
    #[arg(long, value_name = "N", value_parser = jobs)]
    jobs: Option<usize>,
    /// Where the results go [default: results/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

fn jobs(word: &str) -> Result<usize, String> {
    let jobs = word.parse().ok().filter(|jobs| *jobs > 0);
    jobs.ok_or_else(|| "expected a whole number from 1".to_owned())
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
    let started = Instant::now();
    let root = workspace();
    let config = config_path(&root, &options.name)?;
    let experiment = Experiment::read(&config)?;
    let mut mmc = build(&root, "dev")?;
    let in_place = look(&mmc, &config, &root)?;
    let mode = choose(options, &experiment, &in_place)?;
    announce(&options.name, &mode);
    let out = options.out.clone().unwrap_or_else(|| root.join("results").join(&options.name));
    let results = ResultsFolder::new(&out);
    check_out(&results, &mode)?;
    let (grid, settings) = plan(&experiment, &mode, &results)?;
    let mut is_data_known = true;
    if let Mode::Demo { truth, .. } = &mode
        && let Some(plan) = &experiment.demo
    {
        let data = out.join("demo-data");
        let wanted = demo::wanted(&experiment, plan, *truth)?;
        is_data_known = demo::is_there(&wanted, &data)? || !options.dry_run;
        if !options.dry_run {
            fs::create_dir_all(&out)?;
            demo::generate(&wanted, &data)?;
        }
    }
    let runs = states(&results, &grid, &settings, is_data_known)?;
    if options.dry_run {
        for (run, state) in &runs {
            say!("{:<24} {}", run.id.to_string(), state.plan());
        }
        say!("then every run with text and picture is diagnosed, unless that is up to date");
        return Ok(());
    }
    if matches!(mode, Mode::Study { tiny: false }) {
        mmc = build(&root, "release")?;
    }
    publish(&experiment.dataset, &results)?;
    results.write_record(&record(options, &experiment, &mode, grid))?;
    let launch = launch(options, &mode, &mmc);
    let failed = grid::execute(&runs, &launch);
    say!("{} runs in {}", runs.len(), time(started.elapsed().as_secs_f64()));
    let undiagnosed = diagnose::execute(&runs, &launch);
    conclude(&out)?;
    if failed + undiagnosed == 0 { Ok(()) } else { Err(Failure::said()) }
}

fn config_path(root: &Path, name: &str) -> Result<PathBuf, Failure> {
    let folder = root.join("configs");
    let path = folder.join(format!("{name}.toml"));
    if path.is_file() {
        return Ok(path);
    }
    let mut known = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            known.push(format!("`{stem}`"));
        }
    }
    known.sort();
    Err(Failure::usage(format!("no experiment `{name}`, expected one of {}", known.join(", "))))
}

/// Builds the program as it is now and says where it lies. `dev`, the profile of this very program
/// and of the tests, is optimised and shares all that they compiled; hours of training are worth
/// the minutes that `release` takes.
pub(crate) fn build(root: &Path, profile: &str) -> Result<PathBuf, Failure> {
    // With an example beside it, cargo resolves features as for the tests: nothing is built twice.
    let arguments = format!(
        "build --quiet --profile {profile} --workspace --bin mmc --example same_order_anywhere"
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
            "configs/{}.toml has no `[demo]` to fall back to, and these are missing:\n{}",
            options.name,
            found.instructions()
        )));
    }
    let truth = options.truth.as_deref().unwrap_or("interaction").parse()?;
    Ok(Mode::Demo { truth, missing: found.names() })
}

/// Refuses a folder whose results are of the other kind: a demo must not take a study's place,
/// nor its runs be left beside those of one.
fn check_out(results: &ResultsFolder, mode: &Mode) -> Result<(), Failure> {
    if !results.record_path().exists() {
        return Ok(());
    }
    let kind = |is_demo| if is_demo { "a demo" } else { "a study on real data" };
    let (is_demo, was_demo) = (matches!(mode, Mode::Demo { .. }), results.record()?.is_demo());
    if is_demo == was_demo {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{} holds the results of {}, and this is {}: give another folder with `--out DIR`, or \
         move that one away",
        results.root().display(),
        kind(was_demo),
        kind(is_demo)
    )))
}

/// The first lines: nobody may take a demo figure for a real one.
fn announce(name: &str, mode: &Mode) {
    match mode {
        Mode::Study { .. } => {
            say!("{name}: data and weights are in place; the protocol of configs/{name}.toml");
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

/// The grid of the mode, and what every run of it is asked.
fn plan(
    experiment: &Experiment,
    mode: &Mode,
    results: &ResultsFolder,
) -> Result<(Grid, PartialSettings), Failure> {
    let dataset = mmc_data::dataset(&experiment.dataset)?;
    let demo = experiment.demo.as_ref().filter(|_| matches!(mode, Mode::Demo { .. }));
    let (grid, settings) =
        demo.map_or((&experiment.grid, &experiment.settings), |demo| (&demo.grid, &demo.settings));
    let data_root = if demo.is_some() {
        results.root().join("demo-data")
    } else {
        workspace().join(dataset.root(experiment.data_root.as_deref().map(Path::new)))
    };
    let data = PartialSettings {
        dataset: Some(experiment.dataset.clone()),
        data_root: Some(std::path::absolute(data_root)?.display().to_string()),
        ..PartialSettings::default()
    };
    Ok((grid.clone(), settings.clone().merge(data)))
}

/// Every run of the grid with what is in its folder now. Runs on data that is still to be made are
/// not runs on it.
fn states(
    results: &ResultsFolder,
    grid: &Grid,
    settings: &PartialSettings,
    is_data_known: bool,
) -> Result<Vec<(Run, State)>, Failure> {
    let runs: Vec<Run> =
        grid.runs().into_iter().map(|id| Run::new(results, id, settings)).collect();
    let any_started = runs.iter().any(Run::is_started);
    let fingerprints =
        if any_started && is_data_known { grid::fingerprints(settings)? } else { Vec::new() };
    let state = |run: Run| Ok((run.state(&fingerprints)?, run));
    let states: Result<Vec<_>, Failure> = runs.into_iter().map(state).collect();
    Ok(states?.into_iter().map(|(state, run)| (run, state)).collect())
}

fn record(options: &Options, experiment: &Experiment, mode: &Mode, grid: Grid) -> ExperimentRecord {
    let name = &options.name;
    let (command, missing, demo) = match mode {
        Mode::Study { .. } => (format!("cargo xtask experiment {name}"), Vec::new(), None),
        Mode::Demo { truth, missing } => (
            format!("cargo xtask experiment {name} --truth {truth}"),
            missing.clone(),
            Some(DemoRecord { truth: truth.to_string() }),
        ),
    };
    ExperimentRecord {
        name: name.clone(),
        command,
        dataset: experiment.dataset.clone(),
        primary_metric: experiment.primary_metric.clone(),
        metrics: experiment.metrics.clone(),
        margin: experiment.margin,
        missing,
        prices: experiment.prices(),
        demo,
        grid,
    }
}

/// Tiny models gain nothing from threads: one thread a run, runs side by side.
fn launch<'a>(options: &Options, mode: &Mode, mmc: &'a Path) -> Launch<'a> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let tiny = !matches!(mode, Mode::Study { tiny: false });
    let jobs = options.jobs.unwrap_or(if tiny { cores.min(4) } else { 1 }).max(1);
    let threads = if tiny { 1 } else { (cores / jobs).max(1) };
    Launch { mmc, jobs, threads }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::demo::{Missing, Model};

    fn chosen(words: &[&str], missing: &[&str]) -> Result<Mode, Failure> {
        let options = Typed::try_parse_from([&["experiment", "hateful_memes"], words].concat());
        let experiment = Experiment::read(&workspace().join("configs/hateful_memes.toml")).unwrap();
        let found = Found {
            in_place: missing.is_empty(),
            models: vec![Model { tiny: false }],
            missing: missing
                .iter()
                .map(|what| Missing {
                    what: (*what).to_owned(),
                    place: "models/bert".to_owned(),
                    how: "get it".to_owned(),
                })
                .collect(),
        };
        choose(&options.unwrap().options, &experiment, &found)
    }

    #[derive(clap::Parser)]
    struct Typed {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn what_is_missing_decides_unless_it_is_said() {
        assert!(matches!(chosen(&[], &[]), Ok(Mode::Study { tiny: false })));
        let Ok(Mode::Demo { truth, missing }) = chosen(&[], &["weights of bert"]) else { panic!() };
        assert_eq!((truth, missing), (Truth::Interaction, vec!["weights of bert".to_owned()]));
        assert!(matches!(chosen(&["--profile", "demo"], &[]), Ok(Mode::Demo { .. })));
        let demo = chosen(&["--truth", "text"], &[]);
        assert!(matches!(demo, Ok(Mode::Demo { truth: Truth::Text, .. })));
    }

    #[test]
    fn the_full_profile_never_falls_back_and_says_what_is_missing() {
        assert!(matches!(chosen(&["--profile", "full"], &[]), Ok(Mode::Study { .. })));
        let Err(error) = chosen(&["--profile", "full"], &["weights of bert"]) else { panic!() };
        for said in ["weights of bert", "models/bert", "get it"] {
            assert!(error.to_string().contains(said), "{error}");
        }
        assert!(chosen(&["--profile", "full", "--truth", "text"], &[]).is_err());
    }

    #[test]
    fn a_demo_and_a_study_do_not_share_a_folder() {
        let place = tempfile::tempdir().unwrap();
        let results = ResultsFolder::new(place.path());
        let demo = || Mode::Demo { truth: Truth::Text, missing: Vec::new() };
        let study = || Mode::Study { tiny: false };
        for (there, fits, clashes) in [(demo(), demo(), study()), (study(), study(), demo())] {
            let experiment =
                Experiment::read(&workspace().join("configs/hateful_memes.toml")).unwrap();
            let options = Typed::try_parse_from(["experiment", "hateful_memes"]).unwrap().options;
            let grid = experiment.grid.clone();
            results.write_record(&record(&options, &experiment, &there, grid)).unwrap();
            check_out(&results, &fits).unwrap();
            let error = check_out(&results, &clashes).unwrap_err().to_string();
            assert!(error.contains("--out"), "{error}");
        }
    }

    #[test]
    fn results_without_a_complete_run_are_an_error() {
        let place = tempfile::tempdir().unwrap();
        let experiment = Experiment::read(&workspace().join("configs/hateful_memes.toml")).unwrap();
        let options = Typed::try_parse_from(["experiment", "hateful_memes"]).unwrap().options;
        let grid = experiment.grid.clone();
        let record = record(&options, &experiment, &Mode::Study { tiny: false }, grid);
        ResultsFolder::new(place.path()).write_record(&record).unwrap();
        let error = conclude(place.path()).unwrap_err().to_string();
        assert!(error.contains("no run is complete"), "{error}");
        assert!(Typed::try_parse_from(["experiment", "hateful_memes", "--jobs", "0"]).is_err());
    }
}
