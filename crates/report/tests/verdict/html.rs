//! The page: one document in two forms, with figures that have words, and nothing from elsewhere.

use std::fs;

use mmc_report::{html_report, read_results, report, verdict, write};
use mmc_run::{Predictions, ResultsFolder};

use super::synthetic::{Synthetic, fail};
use super::{arms, run};
use mmc_data::Arm;

fn pages(experiment: &Synthetic, change: impl Fn(&ResultsFolder)) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    change(&experiment.write(folder.path()));
    let results = read_results(folder.path()).unwrap();
    let verdict = verdict(&results, 0.02).unwrap();
    (html_report(&results, &verdict), report(&results, &verdict).unwrap())
}

#[test]
fn both_forms_hold_the_same_tables_and_the_page_its_figures() {
    let (html, markdown) = pages(&Synthetic::new(arms(0.5, 2.0)), |_| {});
    let tables = markdown.lines().filter(|line| line.starts_with("| ---")).count();
    assert_eq!(html.matches("<table>").count(), tables);
    for heading in markdown.lines().filter_map(|line| line.strip_prefix("## ")) {
        assert!(html.contains(&format!(">{heading}</h2>")), "{heading}");
    }
    let figures = html.matches("<figure>").count();
    assert!(figures >= 7, "{figures}");
    assert_eq!(html.matches("role=\"img\"").count(), figures);
    assert_eq!(html.matches("<desc id=").count(), figures);
    // The answer comes before anything else that is said.
    let answer = html.find("The picture helps: vilt-tiny (both) scores 0.").unwrap();
    assert!(answer < html.find("<h2").unwrap());
    assert!(html.find(">Warnings</h2>").unwrap() < html.find(">Scores</h2>").unwrap());
}

/// Whatever the folder is called; and the advice comes before what few read.
#[test]
fn the_commands_of_a_report_can_be_pasted() {
    let (_, markdown) = pages(&Synthetic::new(arms(0.5, 2.0)), |folder| {
        let mut record = folder.record().unwrap();
        record.out = Some("my results".to_owned());
        record.command += " --out 'my results'";
        folder.write_record(&record).unwrap();
    });
    let commands = "cargo xtask experiment memes --out 'my results'\nmmc report 'my results'\n";
    assert!(markdown.contains(commands), "{markdown}");
    assert!(markdown.find("## Advice").unwrap() < markdown.find("## Methods").unwrap());
}

#[test]
fn nothing_is_asked_of_anybody() {
    let (html, _) = pages(&Synthetic::new(arms(0.5, 2.0)), |_| {});
    assert!(html.contains("default-src 'none'"));
    for ask in
        ["http:", "https:", "//www", "url(", "@import", "<script", "<link", "<iframe", "style=\""]
    {
        assert!(!html.contains(ask), "{ask}");
    }
}

#[test]
fn a_demo_says_so_in_the_title_and_every_caption() {
    let experiment = Synthetic { truth: Some("interaction"), ..Synthetic::new(arms(0.5, 2.0)) };
    let (html, _) = pages(&experiment, |_| {});
    assert!(html.contains("<title>DEMO: does the picture help"));
    let mut captions = 0;
    for mark in ["<figcaption>", "<p class=\"caption\">", "<details><summary>", "-title\">"] {
        for part in html.split(mark).skip(1) {
            assert!(part.starts_with("DEMO: generated data"), "{}", &part[..60]);
            captions += 1;
        }
    }
    assert!(captions > 20, "{captions}");
    let (html, _) = pages(&Synthetic::new(arms(0.5, 2.0)), |_| {});
    assert!(!html.contains("DEMO"));
}

#[test]
fn labels_ids_and_logs_cannot_bring_markup_in() {
    let hostile = "<script>alert(1)</script>\"><img src=x onerror=alert(1)>`**|";
    let rename = |rows: &mut Predictions| {
        rows.classes[1] = hostile.to_owned();
        for row in &mut rows.rows {
            row.id = format!("{hostile}{}", row.id);
            for name in row.label.iter_mut().chain([&mut row.prediction]) {
                if name == "hateful" {
                    *name = hostile.to_owned();
                }
            }
        }
    };
    let (html, markdown) = pages(&Synthetic::new(arms(0.5, 2.0)), |results| {
        for (model, arm) in
            [("bert-tiny", Arm::Text), ("vilt-tiny", Arm::Both), ("vilt-tiny", Arm::Text)]
        {
            for seed in 0..3 {
                let folder = results.run(&run(model, arm, seed)).unwrap();
                let mut rows = folder.predictions("test_unseen").unwrap();
                rename(&mut rows);
                if arm == Arm::Text {
                    // One class only, so that its name is in an alarm too.
                    for row in &mut rows.rows {
                        row.prediction = hostile.to_owned();
                    }
                }
                folder.write_predictions("test_unseen", &rows).unwrap();
            }
        }
        fail(results, &run("vilt-tiny", Arm::Text, 2), &format!("error: {hostile}\n"));
    });
    assert!(html.contains("&lt;script&gt;"), "the class is not shown");
    for mark in ["<script", "<img"] {
        assert!(!html.contains(mark), "{mark}");
    }
    // In Markdown no bracket opens a tag outside of code, and no cell opens another.
    for line in markdown.lines() {
        let outside: String = line.split('`').step_by(2).collect();
        assert!(!outside.replace("\\<", "").contains("<script"), "{line}");
    }
}

#[test]
fn all_files_are_written_and_the_table_is_the_same_in_both_forms() {
    let folder = tempfile::tempdir().unwrap();
    let written = Synthetic::new(arms(0.5, 2.0)).write(folder.path());
    fail(&written, &run("bert-tiny", Arm::Text, 0), "");
    let results = read_results(folder.path()).unwrap();
    let judged = verdict(&results, 0.02).unwrap();
    write(&results, &judged, folder.path()).unwrap();
    let notebook: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("analysis.ipynb")).unwrap()).unwrap();
    assert_eq!((&notebook["nbformat"], &notebook["nbformat_minor"]), (&4.into(), &5.into()));
    let cells = notebook["cells"].as_array().unwrap();
    assert!(cells.iter().all(|cell| cell["id"].is_string()) && cells.len() > 10);
    assert!(fs::read(folder.path().join("runs.parquet")).unwrap().starts_with(b"PAR1"));
    assert!(fs::read(folder.path().join("report.html")).unwrap().starts_with(b"<!DOCTYPE html>"));
}
