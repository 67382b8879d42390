//! README.md is run: every `console` block, in order, in one fresh folder.
//!
//! `mmc …` lines are run with the program as built from these sources. `cargo …` lines would run
//! the workspace inside itself; that they are steps of the continuous check is held beside its
//! list, in `xtask/src/ci.rs`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

use std::fs;

#[allow(dead_code, reason = "shared with the command-line tests, which use all of it")]
#[path = "command_line/place.rs"]
mod place;

use place::{Place, workspace};

#[test]
fn commands_of_the_readme_run() {
    let commands = commands();
    let ours: Vec<&str> = commands.iter().filter_map(|line| line.strip_prefix("mmc ")).collect();
    assert!(ours.len() >= 5, "README.md shows {} commands of mmc", ours.len());

    let place = Place::new();
    fs::create_dir(place.path("data")).unwrap();
    for shipped in ["data/emoji", "data/checkpoints"] {
        std::os::unix::fs::symlink(workspace().join(shipped), place.path(shipped)).unwrap();
    }
    for words in ours {
        let ran = place.mmc(words);
        assert_eq!(ran.code, 0, "`mmc {words}` of README.md: {}", ran.stderr);
    }
}

/// The `rust` block of README.md stands here word for word, and runs.
#[test]
fn the_snippet_of_the_readme_runs() -> Result<(), mmc_metrics::MetricError> {
    let hateful = [false, true, false, true, true, false];
    let text = [0.4, 0.3, 0.2, 0.7, 0.6, 0.5];
    let both = [0.1, 0.8, 0.7, 0.9, 0.6, 0.2];
    let gain = mmc_metrics::auroc(&both, &hateful)? - mmc_metrics::auroc(&text, &hateful)?;
    let test = mmc_metrics::delong_paired(&text, &both, &hateful)?;
    assert!((test.difference - gain).abs() < 1e-12 && test.p_value > 0.05); // six items decide nothing

    let here = include_str!("readme.rs");
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let block = readme.split("```rust\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(block.lines().count() >= 6);
    for line in block.lines() {
        assert!(here.contains(line), "README.md shows `{line}`, which is not run here");
    }
    Ok(())
}

/// The lines after `$ ` in the `console` blocks, in order.
fn commands() -> Vec<String> {
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let mut inside = false;
    let mut commands = Vec::new();
    for line in readme.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if inside => commands.push(line.strip_prefix("$ ").unwrap_or(line).to_owned()),
            _ => {}
        }
    }
    commands
}
