//! Help, versions, suggestions and exit codes.

use insta::assert_snapshot;

use crate::place::Place;

#[test]
fn every_help_page_is_as_reviewed() {
    let place = Place::new();
    for page in [
        "--help",
        "train --help",
        "evaluate --help",
        "predict --help",
        "embed --help",
        "compare --help",
        "power --help",
        "diagnose --help",
        "report --help",
        "fetch --help",
        "data --help",
        "data demo --help",
        "data check --help",
        "data info --help",
        "plan --help",
    ] {
        let shown = place.mmc(page).done();
        assert!(page == "data --help" || shown.contains("Example"), "{page} has no example");
        let name = page.replace(" --help", "").replace("--help", "mmc").replace(' ', "-");
        assert_snapshot!(format!("help-{name}"), shown);
    }
}

#[test]
fn what_is_not_built_yet_is_not_offered() {
    let help = Place::new().mmc("train --help").done();
    for absent in ["cuda", "todo"] {
        assert!(!help.contains(absent), "--help offers `{absent}`");
    }
}

#[test]
fn usage_errors_exit_with_2_and_suggest() {
    let place = Place::new();
    for (words, said) in [
        ("", "Usage: mmc"),
        ("trian", "'train'"),
        ("train --modle bert-tiny --out run", "'--model'"),
        ("train --schedule liner --out run", "'linear'"),
        ("train --arm text", "--out"),
        ("train --out run --epochs many", "'many'"),
        ("train --out run --seed -1", "expected a whole number from 0"),
        ("train --out run --devices cuda:0", "--devices cpu"),
        ("evaluate", "--checkpoint"),
        ("evaluate --predictions p.jsonl --checkpoint c", "cannot be used with"),
        ("compare --baseline a.jsonl", "--candidate"),
        ("data demo --dataset hateful_memes --truth intreaction --out d", "'interaction'"),
    ] {
        let ran = place.mmc(words);
        assert_eq!(ran.code, 2, "mmc {words}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "mmc {words}: {}", ran.stderr);
        assert!(ran.stdout.is_empty(), "mmc {words} wrote to stdout: {}", ran.stdout);
    }
    assert!(place.files("").is_empty());
}

#[test]
fn names_outside_a_closed_list_are_usage_errors_with_the_list() {
    let place = Place::with_table();
    for (words, said) in [
        ("train --model bert-tinny --dataset table --data-root data --out run", "'bert-tiny'"),
        ("train --model bert-tiny --dataset tabel --data-root data --out run", "'table'"),
        ("train --dataset table --data-root data --out run", "--model"),
        ("train --model bert-tiny --out run", "--dataset"),
        ("train --model bert-tiny --arm both --dataset table --data-root data --out run", "text"),
        ("train --model bert-tiny --dataset table --data-root data --epochs 0 --out run", "epochs"),
        (
            "train --model bert-tiny --dataset table --data-root data --out run --freeze backbone \
             --lora-rank 4",
            "leave one of the two out",
        ),
        (
            "train --model bert-tiny --dataset table --data-root data --out run --lora-rank 64",
            "expected 1 to 32",
        ),
        (
            "train --model bert-tiny --dataset table --data-root data --out run --layer-decay 1.5",
            "`layer_decay` is `1.5`, expected a number above 0 and at most 1",
        ),
        ("train --freeze head --out run", "possible values: none, backbone"),
        ("data info --dataset hatefulmemes", "'hateful_memes'"),
        ("fetch vilt-tiny", "from scratch"),
        ("fetch weights/of/vilt", "OWNER/NAME@REVISION"),
    ] {
        let ran = place.mmc(words);
        assert_eq!(ran.code, 2, "mmc {words}: {}", ran.stderr);
        assert!(ran.stderr.contains("error: "), "mmc {words}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "mmc {words}: {}", ran.stderr);
    }
    assert!(!place.path("run").exists());
}

#[test]
fn the_version_is_the_packages() {
    let version = concat!("mmc ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(Place::new().mmc("--version").done(), version);
}

#[test]
fn data_info_lists_every_data_set() {
    let text = Place::new().mmc("data info").done();
    for dataset in mmc_data::DATASETS {
        assert!(text.contains(dataset.name) && text.contains(dataset.title), "{text}");
    }
    let json = Place::new().mmc("data info --json").json();
    assert_eq!(json["datasets"].as_array().unwrap().len(), mmc_data::DATASETS.len());
}
