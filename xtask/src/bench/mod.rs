//! mmc beside what its users would otherwise type, in turns, in one run.

mod epoch;
mod growth;
mod loader;
mod metrics;
mod peer;
mod pictures;
mod profile;
mod rows;
mod spread;
mod start;
mod steps;
mod tokenizer;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::Args;

use crate::failure::{Failure, workspace};

pub(crate) const EXAMPLES: &str = "\
Examples:
  cargo xtask bench
  cargo xtask bench --suite steps --case bert-16x32 --pairs 3

Both sides do the same work on the same files and take turns: one round of mmc, one of the other, one
of mmc, … The raw figures go to docs/benchmarks/SUITE.csv, tables made from them to docs/benchmarks.md.
Takes about an hour on two cores; other work on the machine spoils it.";

/// What to measure.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// One of `SUITES` [default: all]
    #[arg(long, value_name = "NAME", help = suites_help())]
    suite: Option<String>,
    /// One case of a suite, as its table names it [default: all]
    #[arg(long, value_name = "NAME")]
    case: Option<String>,
    /// Pairs of rounds that are counted, after one that is not
    #[arg(long, value_name = "N", default_value_t = 7)]
    pairs: usize,
}

/// One kind of measurement.
struct Suite {
    /// As `--suite` names it; its raw figures are in `docs/benchmarks/NAME.csv`.
    name: &'static str,
    /// Its cases.
    cases: &'static [&'static str],
    /// Measures the cases; gives the rows of the CSV file, in the columns of `header`.
    measure: fn(&[&'static str], &Options) -> Result<Vec<String>, Failure>,
    /// The columns of its CSV file; the first is the case.
    header: &'static str,
    /// What the page says of it: a heading, how it was measured, a table made of the rows alone.
    section: fn(&[String]) -> Result<String, Failure>,
}

/// All suites, in the order of the page.
const SUITES: &[Suite] = &[
    steps::SUITE,
    epoch::SUITE,
    growth::SUITE,
    start::SUITE,
    tokenizer::SUITE,
    pictures::SUITE,
    loader::SUITE,
    metrics::SUITE,
    profile::SUITE,
];

fn suites_help() -> String {
    let names: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
    format!("One of {} [default: all]", names.join(", "))
}

/// Measures, keeps the raw figures and writes the page.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let folder = workspace().join("docs/benchmarks");
    fs::create_dir_all(&folder)?;
    for (suite, cases) in chosen(options)? {
        let kept = folder.join(suite.name).with_extension("csv");
        let machine = machine()?;
        let mut rows = others(&kept, &cases, &machine)?;
        rows.extend((suite.measure)(&cases, options)?);
        let lines = [machine, suite.header.to_owned()].into_iter().chain(rows.iter().cloned());
        fs::write(&kept, lines.fold(String::new(), |text, line| text + &line + "\n"))?;
        say!("{}", (suite.section)(&rows)?);
        write_page(&folder)?;
    }
    Ok(())
}

/// The suites that the options name, each with its cases.
fn chosen(options: &Options) -> Result<Vec<(&'static Suite, Vec<&'static str>)>, Failure> {
    let named = |suite: &&Suite| options.suite.as_ref().is_none_or(|name| name == suite.name);
    let suites: Vec<&Suite> = SUITES.iter().filter(named).collect();
    if suites.is_empty() {
        return Err(Failure::usage(format!("`--suite`: {}", suites_help())));
    }
    let of = |suite: &'static Suite| {
        let wanted = |case: &&str| options.case.as_ref().is_none_or(|name| name == case);
        (suite, suite.cases.iter().copied().filter(wanted).collect::<Vec<_>>())
    };
    let chosen: Vec<_> =
        suites.iter().copied().map(of).filter(|(_, cases)| !cases.is_empty()).collect();
    if chosen.is_empty() {
        let known: Vec<&str> = suites.iter().flat_map(|suite| suite.cases).copied().collect();
        return Err(Failure::usage(format!("`--case` is not one of `{}`", known.join("`, `"))));
    }
    Ok(chosen)
}

/// The rows of a CSV file: without the line of the machine and that of the columns.
fn rows_of(kept: &Path) -> Result<Vec<String>, Failure> {
    match fs::read_to_string(kept) {
        Ok(text) => Ok(text.lines().skip(2).map(str::to_owned).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// The rows of earlier runs that this one does not measure again. One file is of one machine.
fn others(kept: &Path, cases: &[&str], machine: &str) -> Result<Vec<String>, Failure> {
    let measured = |row: &String| row.split(',').next().is_some_and(|case| cases.contains(&case));
    let rows: Vec<String> = rows_of(kept)?.into_iter().filter(|row| !measured(row)).collect();
    if !rows.is_empty() && !fs::read_to_string(kept)?.starts_with(&format!("{machine}\n")) {
        return Err(Failure::usage(format!(
            "{}: its other cases were measured on another machine or with other versions; measure \
             all of them, without `--case`",
            kept.display()
        )));
    }
    Ok(rows)
}

/// The first line of a CSV file: the processor and the versions of the other side.
fn machine() -> Result<String, Failure> {
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information.lines().find_map(|line| line.strip_prefix("model name\t: "));
    let cores = std::thread::available_parallelism()?.get();
    let pinned = fs::read_to_string(workspace().join("tests/references/requirements.txt"))?;
    let version = |name: &str| {
        let line = pinned.lines().find(|line| line.starts_with(&format!("{name}==")));
        line.unwrap_or(name).replace("==", " ")
    };
    let others = ["torch", "transformers", "scikit-learn"].map(version);
    let model = model.unwrap_or("an unknown processor");
    Ok(format!("# {model} ({cores} cores); {}", others.join(", ")))
}

/// The page, made from all CSV files that are there.
fn write_page(folder: &Path) -> Result<(), Failure> {
    let mut page = String::from(
        "# Benchmarks\n\n\
         Written by `cargo xtask bench` from the raw figures in [benchmarks](benchmarks); do not edit.\n\n\
         Both sides take turns in one run, two threads each unless a row says otherwise. Medians; in \
         brackets the quartiles of the ratios of pairs. A ratio below 1 says that mmc is faster or \
         smaller.\n",
    );
    for suite in SUITES {
        let kept = folder.join(suite.name).with_extension("csv");
        let rows = rows_of(&kept)?;
        if rows.is_empty() {
            continue;
        }
        let text = fs::read_to_string(&kept)?;
        let machine = text.lines().next().unwrap_or_default().trim_start_matches("# ");
        let file = format!("[{0}.csv](benchmarks/{0}.csv)", suite.name);
        write!(page, "\n{}\n{file}: {machine}.\n", (suite.section)(&rows)?)?;
    }
    let path = folder.with_extension("md");
    fs::write(path, page)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_other_cases_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("steps.csv");
        assert!(others(&kept, &["a"], "# machine").unwrap().is_empty());
        fs::write(&kept, "# machine\ncase,value\na,1\nb,2\n").unwrap();
        assert_eq!(others(&kept, &["a"], "# machine").unwrap(), ["b,2"]);
        assert!(others(&kept, &["a"], "# another").is_err(), "figures of two machines");
        assert!(others(&kept, &["a", "b"], "# another").unwrap().is_empty());
    }

    #[test]
    fn suites_and_cases_are_chosen_by_name() {
        let options = |suite: Option<&str>, case: Option<&str>| Options {
            suite: suite.map(str::to_owned),
            case: case.map(str::to_owned),
            pairs: 1,
        };
        assert_eq!(chosen(&options(None, None)).unwrap().len(), SUITES.len());
        let one = chosen(&options(Some("steps"), Some("vilt-4x40"))).unwrap();
        assert_eq!(one[0].1, ["vilt-4x40"]);
        assert!(chosen(&options(Some("stairs"), None)).is_err());
        assert!(chosen(&options(None, Some("vilt-5"))).is_err());
    }
}
