//! The invariants of ARCHITECTURE.md that a machine can hold: which crate may see which, what
//! names may appear where, and that every crate can be read and used alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on stops"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What each package of the workspace may depend on inside the workspace. `mmc` and the tests may
/// see everything and are not listed.
const ARROWS: &[(&str, &[&str])] = &[
    ("mmc-random", &[]),
    ("mmc-metrics", &["mmc-random"]),
    ("mmc-data", &["mmc-metrics", "mmc-random"]),
    ("mmc-preprocess", &["mmc-data", "mmc-random"]),
    ("mmc-ops", &["mmc-random"]),
    ("mmc-models", &["mmc-data", "mmc-ops", "mmc-preprocess", "mmc-random"]),
    ("mmc-run", &["mmc-data", "mmc-metrics", "mmc-random"]),
    (
        "mmc-train",
        &[
            "mmc-data",
            "mmc-metrics",
            "mmc-models",
            "mmc-ops",
            "mmc-preprocess",
            "mmc-random",
            "mmc-run",
        ],
    ),
    ("mmc-report", &["mmc-data", "mmc-metrics", "mmc-run"]),
    ("xtask", &["mmc-data", "mmc-metrics", "mmc-random", "mmc-report", "mmc-run"]),
];

/// Packages that must build without a tensor library, so that they can be used anywhere.
const WITHOUT_TENSORS: &[&str] =
    &["mmc-random", "mmc-metrics", "mmc-data", "mmc-run", "mmc-report"];

#[test]
fn arrows_go_one_way() {
    let packages = workspace_packages();
    for (name, allowed) in ARROWS {
        let seen = internal_dependencies(&packages[*name]);
        let allowed: BTreeSet<String> = allowed.iter().map(ToString::to_string).collect();
        let more: Vec<_> = seen.difference(&allowed).collect();
        assert!(more.is_empty(), "`{name}` depends on {more:?}, which ARCHITECTURE.md forbids");
    }
    let listed: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    for name in packages.keys().filter(|name| !["mmc", "mmc-tests"].contains(&name.as_str())) {
        assert!(listed.contains(name.as_str()), "`{name}` has no row in ARROWS");
    }
}

#[test]
fn scores_files_and_reports_need_no_tensor_library() {
    for name in WITHOUT_TENSORS {
        let tree = cargo(&["tree", "--package", name, "--edges", "normal", "--prefix", "none"]);
        let tensors: Vec<_> = tree
            .lines()
            .filter(|line| line.starts_with("candle") || line.starts_with("gemm"))
            .collect();
        assert!(tensors.is_empty(), "`{name}` pulls in {tensors:?}");
        assert!(tree.starts_with(name), "`cargo tree` printed something else: {tree}");
    }
}

/// `train` works for any data set and any model, `models` for any data set: no name of either may
/// stand in their code (tests and comments aside).
#[test]
fn the_loop_names_no_data_set_and_no_model() {
    let data_sets: Vec<String> =
        mmc_data::DATASETS.iter().map(|row| format!("\"{}\"", row.name)).collect();
    let architectures: Vec<String> =
        mmc_models::CATALOG.iter().map(|row| format!("\"{}\"", row.name)).collect();
    assert!(data_sets.len() >= 2 && architectures.len() >= 2);
    let forbidden = |crate_name: &str, names: &[String]| {
        for (path, code) in code_of(crate_name) {
            for name in names {
                assert!(!code.contains(name), "{} names {name}", path.display());
            }
        }
    };
    forbidden("train", &data_sets);
    forbidden("train", &architectures);
    forbidden("models", &data_sets);
}

#[test]
fn every_crate_can_be_read_and_used_alone() {
    for folder in std::fs::read_dir(root().join("crates")).unwrap() {
        let folder = folder.unwrap().path();
        let readme = std::fs::read_to_string(folder.join("README.md")).unwrap_or_default();
        assert!(
            readme.lines().count() >= 10,
            "{}: README.md is missing or empty",
            folder.display()
        );
        if folder.join("src/lib.rs").exists() {
            let examples = std::fs::read_dir(folder.join("examples")).map_or(0, Iterator::count);
            assert!(examples >= 1, "{}: no example", folder.display());
        }
    }
}

/// Every invariant in ARCHITECTURE.md names the test that holds it, and that test exists.
#[test]
fn every_invariant_is_held_by_a_test() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let section = text.split("## Invariants").nth(1).expect("a section `## Invariants`");
    let section = section.split("\n## ").next().unwrap();
    let mut invariants: Vec<String> = Vec::new(); // each with the lines that follow its number
    for line in section.lines() {
        if is_numbered(line) {
            invariants.push(String::new());
        }
        if let Some(invariant) = invariants.last_mut() {
            *invariant += line;
            invariant.push('\n');
        }
    }
    assert!(invariants.len() >= 10, "ten invariants at least, found {}", invariants.len());
    for block in invariants {
        let held = block.rsplit('(').next().unwrap_or_default();
        let parts: Vec<&str> = held.split('`').collect();
        assert!(parts.len() >= 5, "no (`file`, `test`) at the end of: {block}");
        let (file, test) = (parts[1], parts[3]);
        let source =
            std::fs::read_to_string(root().join(file)).unwrap_or_else(|_| panic!("{file}"));
        assert!(source.contains(&format!("fn {test}")), "{file} has no test `{test}`");
    }
}

fn is_numbered(line: &str) -> bool {
    line.split_once(". ").is_some_and(|(number, _)| number.parse::<u32>().is_ok())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .arg("--offline")
        // What one crate needs, whatever the caller's cargo was told to build together.
        .env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION")
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn workspace_packages() -> BTreeMap<String, Value> {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--no-deps"])).unwrap();
    let packages = metadata["packages"].as_array().unwrap().clone();
    packages
        .into_iter()
        .map(|package| (package["name"].as_str().unwrap().to_owned(), package))
        .collect()
}

/// Dependencies on packages of this workspace, those of tests left out.
fn internal_dependencies(package: &Value) -> BTreeSet<String> {
    package["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|dependency| dependency["kind"].as_str() != Some("dev"))
        .filter_map(|dependency| dependency["name"].as_str())
        .filter(|name| name.starts_with("mmc"))
        .map(ToOwned::to_owned)
        .collect()
}

/// The sources of a crate without comments and without its unit tests.
fn code_of(crate_name: &str) -> Vec<(PathBuf, String)> {
    let folder = root().join("crates").join(crate_name).join("src");
    let mut sources = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.file_stem().is_some_and(|name| name == "tests") {
                continue; // `tests.rs` and what is below `tests/`
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                let code = code
                    .lines()
                    .map(|line| line.split("//").next().unwrap_or_default())
                    .collect::<Vec<_>>()
                    .join("\n");
                sources.push((path, code));
            }
        }
    }
    assert!(!sources.is_empty(), "no sources of `{crate_name}`");
    sources
}
