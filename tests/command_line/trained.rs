//! The trained checkpoints that lie beside the sources: each loads, and predicts what its own files
//! say it does.

use std::collections::BTreeMap;
use std::fs;

use mmc_run::Predictions;

use crate::place::{Place, workspace};

/// Other processors round the last digits otherwise.
const ROUNDING: f64 = 1e-4;

/// The accuracy that `data/checkpoints/README.md` gives each checkpoint on the test split.
fn stated() -> BTreeMap<String, String> {
    let readme = fs::read_to_string(workspace().join("data/checkpoints/README.md")).unwrap();
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (name, rest) = row.split_once('`').unwrap();
        let accuracy = rest.trim_end_matches([' ', '|']).rsplit(' ').next().unwrap();
        (name.to_owned(), accuracy.to_owned())
    })
    .collect()
}

#[test]
fn committed_checkpoints_predict_what_they_say() {
    let home = workspace().join("data/checkpoints");
    let stated = stated();
    let mut folders: Vec<String> = fs::read_dir(&home)
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    folders.sort();
    assert_eq!(folders, ["bert-tiny-emoji", "vilt-tiny-emoji"]);
    assert_eq!(stated.keys().collect::<Vec<_>>(), folders.iter().collect::<Vec<_>>());

    let place = Place::new();
    let emoji = workspace().join("data/emoji");
    for name in folders {
        let checkpoint = home.join(&name);
        let (at, data) = (checkpoint.display(), emoji.display());
        let predict = format!("predict --checkpoint {at} --input {data}/test.csv --out new.csv");
        place.mmc(&predict).done();
        let ours = Predictions::read(&place.path("new.csv")).unwrap();
        fs::remove_file(place.path("new.csv")).unwrap();
        let committed = Predictions::read(&home.join(format!("{name}.test.csv"))).unwrap();
        assert_eq!((ours.rows.len(), &ours.classes), (284, &committed.classes));
        for (ours, theirs) in ours.rows.iter().zip(&committed.rows) {
            assert_eq!((&ours.id, &ours.prediction), (&theirs.id, &theirs.prediction), "{name}");
            let apart = ours.probabilities.iter().zip(&theirs.probabilities);
            assert!(apart.clone().all(|(a, b)| (a - b).abs() < ROUNDING), "{name}: {}", ours.id);
        }

        let evaluate = format!(
            "evaluate --checkpoint {at} --dataset table --data-root {data} --split test --json"
        );
        let accuracy = place.mmc(&evaluate).json()["accuracy"].as_f64().unwrap();
        assert_eq!(format!("{accuracy:.3}"), stated[&name], "{name}");
    }
}
