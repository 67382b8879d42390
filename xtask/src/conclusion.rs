//! What stands around an experiment's runs: published figures before them; after them its report,
//! its scores and its verdict.

use std::fs;
use std::path::Path;

use mmc_report::{PUBLISHED, Results, Verdict, gallery, overlap, read_results, verdict, write};
use mmc_run::{Published, ResultsFolder};

use crate::failure::{Failure, workspace};

/// Puts what others report for the data set beside the results, so that a report is made from the
/// folder alone; a file with a mistake stops the experiment before it begins.
pub(crate) fn publish(dataset: &str, results: &ResultsFolder) -> Result<(), Failure> {
    let source = workspace().join(format!("configs/published/{dataset}.toml"));
    if !source.is_file() {
        return Ok(());
    }
    Published::read(&source)?;
    fs::create_dir_all(results.root())?;
    fs::copy(&source, results.root().join(PUBLISHED))?;
    Ok(())
}

/// Decides on the results in a folder and writes the report.
pub(crate) fn decide(out: &Path) -> Result<(Results, Verdict), Failure> {
    let mut results = read_results(out)?;
    if results.runs.is_empty() {
        for failed in &results.failed {
            say!("{} {}", failed.id, failed.why);
        }
        let out = out.display();
        return Err(Failure::work(format!("{out}: no run is complete, so there is no verdict")));
    }
    match overlap(&results) {
        Ok(found) => {
            ResultsFolder::new(out).write_overlap(&found)?;
            results.overlap = Some(found);
        }
        Err(error) => say!("the splits were not compared item by item: {error}"),
    }
    match gallery(&results) {
        Ok(items) => {
            ResultsFolder::new(out).write_gallery(&items)?;
            results.gallery = items;
        }
        Err(error) => say!("no gallery: {error}"),
    }
    let verdict = verdict(&results, results.record.margin)?;
    write(&results, &verdict, out)?;
    Ok((results, verdict))
}

/// Writes the report, prints its scores, and ends with the verdict as the last line.
pub(crate) fn conclude(out: &Path) -> Result<(), Failure> {
    let (results, verdict) = decide(out)?;
    let report = out.join("report.md");
    let text = fs::read_to_string(&report)?;
    for heading in ["Scores", "Gain over text"] {
        say!("\n{}\n{}", heading, table_under(&text, heading));
    }
    say!("");
    for failed in &results.failed {
        say!("not in these figures: {} {}", failed.id, failed.why);
    }
    for reason in &verdict.reasons {
        say!("{reason}");
    }
    say!("report: {}", report.display());
    say!("page: {}", out.join("report.html").display());
    say!("verdict: {}", verdict.verdict);
    Ok(())
}

/// The table below a heading of a Markdown text with its caption, its columns lined up.
fn table_under(text: &str, heading: &str) -> String {
    let heading = format!("## {heading}");
    let lines: Vec<&str> = text.lines().skip_while(|line| *line != heading).collect();
    let Some(first) = lines.iter().position(|line| line.starts_with('|')) else {
        return String::new();
    };
    let caption = lines[..first].iter().rev().find(|line| !line.is_empty());
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
    };
    let rows = lines[first..].iter().take_while(|line| line.starts_with('|')).map(|at| cells(at));
    let rows: Vec<Vec<String>> = rows.filter(|row| !row[0].starts_with("---")).collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let mut shown = vec![caption.map_or("", |line| line.trim_matches('*')).to_owned()];
    for row in &rows {
        let padded = row.iter().enumerate().map(|(column, cell)| {
            let width = width(column).unwrap_or(0);
            if column == 0 { format!("{cell:width$}") } else { format!("{cell:>width$}") }
        });
        shown.push(padded.collect::<Vec<_>>().join("  "));
    }
    shown.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_shown_with_its_caption() {
        let text =
            "## A\n\n| c | d |\n\n## B\n\n*Demo*\n\n| a | b |\n| --- | ---: |\n| long | 1 |\n";
        assert_eq!(table_under(text, "B"), "Demo\na     b\nlong  1");
        assert_eq!(table_under(text, "C"), "");
    }
}
