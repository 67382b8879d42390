//! Vectors of a call that was stopped after its last part, before they were made one file.

use std::fmt::Write as _;
use std::fs;

use crate::place::Place;

/// 300 rows are a part of 256 and a short one. The second call gets no further than its parts: a
/// folder lies where it would write the whole.
#[test]
fn vectors_that_lack_only_their_end_get_the_same_bytes() {
    let place = Place::with_table();
    let table = "--dataset table --data-root data --batch-size 8 --workers 1";
    place.mmc(&format!("train --model vilt-tiny {table} --max-steps 1 --out run")).done();
    let mut rows = String::from("id,text,image\n");
    for row in 0..300 {
        let image = if row == 290 { "late.png" } else { "data/img/test1.png" };
        writeln!(rows, "row-{row},a thing number {row},{image}").unwrap();
    }
    place.write("rows.csv", rows);
    place.write("late.png", "no picture yet");
    let embed = "embed --checkpoint run/checkpoint --input rows.csv";
    let stopped = place.mmc(&format!("{embed} --out stopped.safetensors"));
    assert!(stopped.code == 1 && stopped.stderr.contains("late.png"), "{}", stopped.stderr);
    place.picture("late.png", 90);
    fs::create_dir(place.path("stopped.safetensors.partial/whole")).unwrap();
    let stopped = place.mmc(&format!("{embed} --out stopped.safetensors --resume"));
    assert_eq!(stopped.code, 1, "{}", stopped.stderr);
    assert!(place.path("stopped.safetensors.partial/1.f32").exists());
    assert!(!place.path("stopped.safetensors").exists());
    fs::remove_dir(place.path("stopped.safetensors.partial/whole")).unwrap();
    let resumed = place.mmc(&format!("{embed} --out stopped.safetensors --resume"));
    assert!(resumed.stderr.contains("after row 300"), "{}", resumed.stderr);
    assert!(resumed.done().contains("[300, "));

    place.mmc(&format!("{embed} --out whole.safetensors")).done();
    for suffix in ["", ".ids.jsonl"] {
        let read = |name: &str| fs::read(place.path(&format!("{name}.safetensors{suffix}")));
        assert!(read("stopped").unwrap() == read("whole").unwrap(), "{suffix}");
    }
    assert!(!place.path("stopped.safetensors.partial").exists());
}
