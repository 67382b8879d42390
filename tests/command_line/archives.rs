//! Data sets in an archive, where a command takes their folder.

use std::collections::BTreeMap;

use crate::place::Place;

/// The folder `data` as a tar, as one packs a folder.
fn pack(place: &Place, archive: &str) {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_dir_all("data", place.path("data")).unwrap();
    place.write(archive, builder.into_inner().unwrap());
}

#[test]
fn a_set_in_an_archive_trains_as_its_folder_does() {
    let place = Place::with_table();
    pack(&place, "set.tar");
    let train = "train --model vilt-tiny --dataset table --epochs 1 --workers 1";
    let found = |root: &str, run: &str| -> BTreeMap<String, Vec<u8>> {
        place.mmc(&format!("{train} --data-root {root} --out {run}")).done();
        place.files(&format!("{run}/predictions"))
    };
    let (folder, archive) = (found("data", "a"), found("set.tar", "b"));
    assert!(!folder.is_empty() && folder == archive);
    assert!(place.read("b/config.toml").contains("data_root = \"set.tar\""));
    let test = "evaluate --checkpoint b/checkpoint --dataset table --split test --json --data-root";
    let score = |root: &str| place.mmc(&format!("{test} {root}")).json()["metrics"].clone();
    assert_eq!(score("set.tar"), score("data"));
    let report = place.mmc("data check --dataset table --data-root set.tar --json").json();
    assert_eq!(report["splits"][0]["path"], "set.tar/data/train.csv");
}

#[test]
fn without_a_data_root_an_archive_stands_in_for_the_folder() {
    let place = Place::with_table();
    pack(&place, "table.tar");
    let absent = place.mmc("data check --dataset table");
    assert_eq!(absent.code, 1, "{}", absent.stderr);
    place.write("data/table.tar", std::fs::read(place.path("table.tar")).unwrap());
    let said = place.mmc("data check --dataset table").done();
    assert!(said.starts_with("table in data/table.tar\n"), "{said}");
    let sets = place.mmc("data info").done();
    let line = sets.lines().find(|line| line.contains("data/table.tar")).unwrap();
    assert!(line.ends_with(" in place") && !line.contains("not in place"), "{sets}");
}

#[test]
fn a_compressed_tar_is_refused_with_the_way_out() {
    let place = Place::new();
    place.write("set.tar.gz", b"\x1f\x8b\x08\0");
    let refused = place.mmc("data check --dataset table --data-root set.tar.gz");
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("set.tar.gz") && refused.stderr.contains("gunzip"));
}
