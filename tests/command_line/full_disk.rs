//! What a full disk leaves: writes that fail in the middle of a file.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::place::{Place, finish, workspace};
use crate::{assert_same, steps_done};

/// `mmc` with these words, which cannot write files longer than so many blocks of 512 bytes.
fn limited(place: &Place, words: &str, blocks: usize) -> Command {
    let plain = place.command(words);
    let mut command = Command::new("sh");
    // Without the signal the write fails, as on a full disk.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    command.args(["-c", &script, "sh"]).arg(plain.get_program()).args(plain.get_args());
    command.current_dir(place.path(".")).env("RAYON_NUM_THREADS", "1").stdin(Stdio::null());
    command
}

#[test]
fn a_full_disk_loses_nothing_that_was_whole() {
    let place = Place::new();
    let emoji = workspace().join("data/emoji");
    let train = format!(
        "train --model bert-tiny --dataset table --data-root {} --max-steps 120 --save-every 5 \
         --dropout 0.1 --keep best",
        emoji.display()
    );
    place.mmc(&format!("{train} --out whole")).done();
    let child = place.command(&format!("{train} --out full")).stderr(Stdio::null()).spawn();
    let mut child = child.unwrap();
    let patience = Instant::now();
    while steps_done(&place, "full") < 12 && child.try_wait().unwrap().is_none() {
        assert!(patience.elapsed() < Duration::from_secs(120), "no progress");
        std::thread::sleep(Duration::from_millis(1));
    }
    let ended = child.try_wait().unwrap();
    assert!(ended.is_none(), "the run ended before it was stopped: {ended:?}");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(1), "a stopped run is not done");
    let states = |place: &Place| {
        let mut states = place.files("full/state");
        states.retain(|name, _| !name.ends_with('/'));
        states
    };
    let before = states(&place);
    let longest = before.values().map(Vec::len).max().unwrap();
    assert!(longest > 30_000, "{longest}");

    // The next state does not fit, wherever it breaks off.
    for blocks in [longest / 512 - 2, longest / 1024] {
        let ran = finish(limited(&place, &format!("{train} --out full --resume"), blocks));
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        let named = ["full/state", "full/tensorboard", "full/checkpoint", "full/train.jsonl"];
        assert!(named.iter().any(|name| ran.stderr.contains(name)), "{}", ran.stderr);
        assert!(!ran.stderr.contains("report"), "it is nobody's defect: {}", ran.stderr);
        assert!(before == states(&place), "the states are as they were");
    }
    place.mmc(&format!("{train} --out full --resume")).done();
    assert_same(&place, "whole", "full");
    assert!(fs::read_dir(place.path("full/state")).unwrap().count() <= 2);
}
