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
    std::os::unix::fs::symlink(workspace().join("data/emoji"), place.path("data/emoji")).unwrap();
    for words in ours {
        let ran = place.mmc(words);
        assert_eq!(ran.code, 0, "`mmc {words}` of README.md: {}", ran.stderr);
    }
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
