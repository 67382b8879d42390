//! `mmc data`: make, check and describe data sets.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use mmc_data::check::{CheckReport, check_for, info};
use mmc_data::demo::{DemoSet, Format, Truth, write};
use mmc_data::splitting::{SplitOptions, write_splits};
use mmc_data::{DATASETS, ReadOptions, dataset};
use mmc_report::data_page;
use serde_json::json;

use crate::cli::{DataCommand, DataSetArgs, DemoArgs, InfoArgs, SplitArgs};
use crate::failure::Failure;
use crate::lengths::counters;
use crate::output::{check_folder, print, print_json, table};
use crate::progress;

/// Does what was asked for.
pub(crate) fn run(command: &DataCommand) -> Result<(), Failure> {
    match command {
        DataCommand::Demo(typed) => demo(typed),
        DataCommand::Check(typed) => check_set(typed),
        DataCommand::Info(typed) => describe(typed),
        DataCommand::Split(typed) => split(typed),
    }
}

fn demo(typed: &DemoArgs) -> Result<(), Failure> {
    let truth: Truth = typed.truth.parse()?;
    check_folder(&typed.out)?;
    let format: Format = typed.dataset.parse()?;
    let set = DemoSet::of(format, truth, typed.seed);
    let set = typed.items.map_or(set, |items| set.with_items(items));
    let written = write(&set, &typed.out)?;
    print(&format!(
        "{}: a made-up set in the format of {} (truth: {truth}), {} rows to train on, {} to \
         select on, {} to test on",
        typed.out.display(),
        written.dataset,
        written.train,
        written.dev,
        written.test,
    ))
}

/// Exit code 1 where the set cannot be used as it is.
fn check_set(typed: &DataSetArgs) -> Result<(), Failure> {
    let dataset = dataset(&typed.dataset)?;
    let root = dataset.root(typed.data_root.as_deref());
    let counters = counters(typed.checkpoint.as_deref())?;
    let options = ReadOptions { arm: typed.arm, ..typed.columns.read_options() };
    if let Some(file) = &typed.html {
        check_page(file)?;
    }
    let bars = Mutex::new(progress::Parts::default());
    let tell = |what: &str, done, of| {
        bars.lock().unwrap_or_else(PoisonError::into_inner).tell(what, done, of);
    };
    let report = check_for(dataset, &root, &options, &counters, &tell)?;
    drop(bars);
    // What was found is shown whether the page can be written or not.
    let page = typed.html.as_ref().map_or(Ok(()), |file| write_page(file, &report));
    if typed.json {
        print_json(&report)?;
    } else {
        print(&report.to_string())?;
    }
    page?;
    if report.is_usable() {
        return Ok(());
    }
    Err(Failure::work(format!(
        "{}: not usable; problems: {}, listed above with what to do about each",
        root.display(),
        report.problems.len()
    )))
}

/// Refuses a page that cannot be written before the work for it is done.
fn check_page(file: &Path) -> Result<(), Failure> {
    check_folder(file)?;
    let is_new = !file.exists();
    OpenOptions::new().append(true).create(true).open(file).map_err(not_written(file))?;
    if is_new {
        fs::remove_file(file).map_err(not_written(file))?;
    }
    Ok(())
}

fn write_page(file: &Path, report: &CheckReport) -> Result<(), Failure> {
    fs::write(file, data_page(report)).map_err(not_written(file))
}

fn not_written(file: &Path) -> impl Fn(io::Error) -> Failure {
    move |error| {
        let file = file.display();
        Failure::work(format!("{file}: {error}; name with `--html` a file that can be written"))
    }
}

fn describe(typed: &InfoArgs) -> Result<(), Failure> {
    let Some(name) = &typed.dataset else { return list(typed.json) };
    let dataset = dataset(name)?;
    let root = dataset.root(typed.data_root.as_deref());
    let found = info(dataset, &root, &ReadOptions::default())?;
    if typed.json { print_json(&found) } else { print(&found.to_string()) }
}

/// Splits a table, and says how many rows of each class went where.
fn split(typed: &SplitArgs) -> Result<(), Failure> {
    let &[train, val, test] = typed.fractions.as_slice() else {
        return Err(Failure::usage(format!(
            "`--fractions` has {} numbers, expected those of train, val and test, such as \
             `--fractions .8,.1,.1`",
            typed.fractions.len()
        )));
    };
    let options = SplitOptions {
        fractions: [train, val, test],
        group: typed.group.clone(),
        stratify: typed.stratify.clone(),
        image: typed.image_column.clone(),
        seed: typed.seed,
    };
    let counts = write_splits(&typed.input, &typed.out, &options)?;
    let row = |name: &str, counts: [String; 3]| {
        let [train, val, test] = counts;
        vec![name.to_owned(), train, val, test]
    };
    let mut rows = vec![row("", ["train", "val", "test"].map(str::to_owned))];
    for (class, counts) in &counts.classes {
        if counts.iter().sum::<usize>() > 0 {
            let name = if class.is_empty() { "(no class)" } else { class };
            rows.push(row(name, counts.map(|count| count.to_string())));
        }
    }
    rows.push(row("all rows", counts.rows.map(|count| count.to_string())));
    let all: usize = counts.rows.iter().sum();
    let mut lines = vec![format!("{all} rows; {} groups of rows stay together", counts.groups)];
    lines.extend(counts.notes.iter().map(|note| format!("note: {note}")));
    lines.extend(counts.files.iter().map(|file| format!("wrote {}", file.display())));
    print(&(table(&rows) + &lines.join("\n") + "\n"))
}

/// Every data set in a line.
fn list(as_json: bool) -> Result<(), Failure> {
    if as_json {
        let rows = DATASETS.iter().map(|row| {
            json!({
                "name": row.name,
                "title": row.title,
                "splits": row.splits.iter().map(|split| split.name).collect::<Vec<_>>(),
                "train": row.train,
                "selection": row.selection,
                "test": row.test,
                "primary_metric": row.primary_metric,
                "licence": row.licence,
                "root": row.root(None),
            })
        });
        return print_json(&json!({ "datasets": rows.collect::<Vec<_>>() }));
    }
    let mut rows = vec![["name", "what", "metric", "folder", ""].map(str::to_owned).to_vec()];
    for row in DATASETS {
        let root = row.root(None);
        let there = if root.exists() { "in place" } else { "not in place" };
        rows.push(vec![
            row.name.to_owned(),
            row.title.to_owned(),
            row.primary_metric.to_owned(),
            root.display().to_string(),
            there.to_owned(),
        ]);
    }
    let more = "`mmc data info --dataset NAME` says how to get one and what is in its folder\n";
    print(&(table(&rows) + more))
}
