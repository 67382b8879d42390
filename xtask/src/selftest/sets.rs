//! Many generated sets of every truth, each decided by runs that were trained for real.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use mmc_data::Arm;
use mmc_data::demo::Truth;
use mmc_report::{read_results, verdict};
use mmc_run::{Experiment, Grid, ResultsFolder};
use serde::Serialize;

use super::bars::bars;
use super::chain::{Chain, Pictures, demo_set, settings};
use super::page;
use super::record::{SetRecord, cpu_seconds, discard_interrupted};
use crate::failure::Failure;
use crate::grid::time;
use crate::launch::Launch;

/// How many sets, and where everything goes.
pub(super) struct Plan<'a> {
    /// Sets of each truth.
    pub(super) sets: u64,
    /// The folder of results.
    pub(super) out: &'a Path,
    /// The page.
    pub(super) page: &'a Path,
}

/// The truths, each with the seed before that of its first set: no two sets share a draw. The demo
/// itself has seed 0, and sets to try things out on had seeds from 900.
pub(super) const TRUTHS: [(Truth, u64); 5] = [
    (Truth::Interaction, 100),
    (Truth::Image, 200),
    (Truth::Redundant, 300),
    (Truth::Text, 400),
    (Truth::None, 500),
];

/// Seeds of a set's runs, from ten times its own: no two sets share one.
const SEEDS: u64 = 3;

/// Two models: the text model, and the multimodal one with its text arm.
const TEXT_MODEL: &str = "bert-tiny";
const MULTIMODAL: &str = "vilt-tiny";

/// The ledger needs no exchanged inputs, so one permutation; fewer pairs than usual cost half.
const DIAGNOSIS: &[&str] = &["--permutations", "1", "--pair-items", "120"];

/// All that decides what a set comes to, apart from its truth and seed.
#[derive(Serialize)]
struct Terms<'a> {
    dataset: &'a str,
    metric: &'a str,
    margin: f64,
    train: usize,
    dev: usize,
    test: usize,
    grid: Grid,
    diagnosis: &'a [&'a str],
    settings: toml::Table,
}

fn grid(set: u64) -> Grid {
    Grid {
        text_models: vec![TEXT_MODEL.to_owned()],
        multimodal_models: vec![MULTIMODAL.to_owned()],
        arms: vec![Arm::Both, Arm::Text],
        seeds: (0..SEEDS).map(|seed| 10 * set + seed).collect(),
    }
}

fn terms(experiment: &Experiment, truth: Truth, set: u64) -> Result<String, Failure> {
    let sizes = demo_set(experiment, truth, set)?;
    Ok(toml::to_string(&Terms {
        dataset: &experiment.dataset,
        metric: &experiment.primary_metric,
        margin: experiment.margin,
        train: sizes.train,
        dev: sizes.dev,
        test: sizes.test,
        grid: grid(set),
        diagnosis: DIAGNOSIS,
        settings: toml::Table::try_from(settings(experiment)?)?,
    })?)
}

/// Runs what is not there yet, a set of each truth in turn, writes the page after every set, and
/// fails where a bar is missed or a set could not be decided.
pub(super) fn run(
    experiment: &Experiment,
    plan: &Plan<'_>,
    launch: &Launch<'_>,
) -> Result<(), Failure> {
    let started = Instant::now();
    let kept = plan.out.join("sets");
    let most = most_kept(&kept);
    if most > plan.sets {
        return Err(Failure::usage(format!(
            "{} holds {most} sets a truth, and a page on {} would take the place of theirs; give \
             `--sets {most}`, or another place with `--out DIR --page FILE`",
            kept.display(),
            plan.sets
        )));
    }
    let (mut records, mut todo) = (Vec::new(), Vec::new());
    for number in 1..=plan.sets {
        for (truth, before) in TRUTHS {
            let set = before + number;
            let terms = terms(experiment, truth, set)?;
            match SetRecord::read(&kept, truth, set, &terms)? {
                Some(record) => {
                    tidy_up(&kept.join(format!("{truth}-{set}")))?;
                    records.push(record);
                }
                None => todo.push((terms, truth, set)),
            }
        }
    }
    let (all, before) = (records.len() + todo.len(), records.len());
    if before > 0 {
        say!("{before} of {all} sets are finished already");
    }
    let mut failed_sets = Vec::new();
    for (terms, truth, set) in todo {
        say!("\n{truth}-{set}: set {} of {all}", records.len() + failed_sets.len() + 1);
        match one(experiment, &kept, (terms, truth, set), launch) {
            Ok(record) => {
                say!("{truth}-{set}: `{}`, gain {:+.3}", record.verdict, record.gain);
                records.push(record);
                write_page(&records, plan)?;
            }
            Err(failure) => {
                say!("{truth}-{set}: NOT DECIDED: {failure}");
                failed_sets.push(format!("{truth}-{set}"));
            }
        }
        let done = (records.len() - before).max(1);
        let left = started.elapsed().as_secs_f64() / done as f64 * (all - records.len()) as f64;
        say!("{} of {all} sets finished, about {} left", records.len(), time(left));
    }
    write_page(&records, plan)?;
    let bars = bars(&records, plan.sets);
    for bar in &bars {
        say!("{}", bar.line());
    }
    let missed = bars.iter().filter(|bar| !bar.passes).count();
    say!("{}: {} sets, {missed} of {} bars missed", plan.page.display(), records.len(), bars.len());
    if missed + failed_sets.len() == 0 {
        return Ok(());
    }
    if !failed_sets.is_empty() {
        say!("failed sets: {}; the same command runs them again", failed_sets.join(", "));
    }
    Err(Failure::said())
}

/// Runs a set, keeps what it came to and removes the rest.
fn one(
    experiment: &Experiment,
    kept: &Path,
    (terms, truth, set): (String, Truth, u64),
    launch: &Launch<'_>,
) -> Result<SetRecord, Failure> {
    let out: PathBuf = kept.join(format!("{truth}-{set}"));
    let chain = Chain {
        experiment,
        grid: grid(set),
        set: demo_set(experiment, truth, set)?,
        pictures: Pictures::Own,
        out: out.clone(),
        command: "cargo xtask selftest --sets",
        diagnosis: DIAGNOSIS,
    };
    discard_interrupted(&out.join("runs"))?;
    let failed = chain.execute(launch)?;
    if failed > 0 {
        return Err(Failure::work(format!("{failed} runs or diagnoses failed, see above")));
    }
    let results = read_results(&out)?;
    let found = verdict(&results, results.record.margin)?;
    let mut record = SetRecord::of((terms, truth, set), (&results, &found))?;
    let folder = ResultsFolder::new(&out);
    for (run, result) in record.runs.iter_mut().zip(&results.runs) {
        run.cpu_seconds = cpu_seconds(&folder.run_path(&result.id));
    }
    record.write(kept)?;
    tidy_up(&out)?;
    Ok(record)
}

/// Removes the pictures and checkpoints of a set that has its record.
fn tidy_up(folder: &Path) -> Result<(), Failure> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(())
}

/// Writes the page and, beside it, the raw rows.
fn write_page(records: &[SetRecord], plan: &Plan<'_>) -> Result<(), Failure> {
    let rows = plan.page.with_extension("");
    fs::create_dir_all(&rows)?;
    let name = rows.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut sorted: Vec<&SetRecord> = records.iter().collect();
    sorted.sort_by_key(|record| record.seed);
    fs::write(rows.join("sets.csv"), page::sets_csv(&sorted))?;
    fs::write(rows.join("runs.csv"), page::runs_csv(&sorted))?;
    Ok(fs::write(plan.page, page::page(records, plan.sets, &name))?)
}

/// The largest number of a set within its truth, of those that are finished.
fn most_kept(kept: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(kept) else { return 0 };
    let number = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let (truth, set) = name.strip_suffix(".json")?.rsplit_once('-')?;
        let (_, before) = TRUTHS.iter().find(|(known, _)| known.to_string() == truth)?;
        set.parse::<u64>().ok()?.checked_sub(*before)
    };
    entries.flatten().filter_map(number).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::failure::workspace;

    #[test]
    fn sets_that_are_kept_are_counted() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(most_kept(&place.path().join("absent")), 0);
        for name in ["image-203.json", "none-501.json", "text-417", "other-999.json", "a.json"] {
            fs::write(place.path().join(name), "").unwrap();
        }
        assert_eq!(most_kept(place.path()), 3);
    }

    #[test]
    fn no_two_sets_share_a_seed_and_a_changed_setting_changes_the_terms() {
        let mut experiment =
            Experiment::read(&workspace().join("configs/hateful_memes.toml")).unwrap();
        let (mut sets, mut seeds) = (BTreeSet::new(), BTreeSet::new());
        for (_, before) in TRUTHS {
            for set in before + 1..=before + 99 {
                assert!(sets.insert(set));
                for seed in grid(set).seeds {
                    assert!(seeds.insert(seed));
                }
            }
        }
        let text = |experiment: &Experiment| terms(experiment, Truth::Text, 401).unwrap();
        let before = text(&experiment);
        assert_eq!(text(&experiment), before);
        experiment.demo.as_mut().unwrap().settings.epochs = Some(1);
        assert_ne!(text(&experiment), before);
    }
}
