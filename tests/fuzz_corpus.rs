//! Every input that fuzzing kept, once more: no panic, no second, no more memory than promised.
//!
//! What is done with them and what they may take is in `fuzz/src`; `cargo xtask fuzz` looks for more.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test that cannot go on stops, and says at which input; two modules are of another crate"
)]

#[path = "../crates/models/tests/hostile/memory.rs"]
mod memory;

#[path = "../fuzz/src/limits.rs"]
mod limits;

#[path = "../fuzz/src/targets.rs"]
mod targets;

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use targets::{Memory, TARGETS, Target};

/// What all of it may come to, in bytes.
const MOST: u64 = 1_000_000;

/// Memory and time are counted for the whole program, so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn what_fuzzing_kept_is_read_within_its_limits() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let mut bytes = 0;
    // Those first whose memory is that of the whole program so far.
    let (first, rest): (Vec<&Target>, Vec<&Target>) =
        TARGETS.iter().partition(|target| target.memory == Memory::Written);
    for target in first.into_iter().chain(rest) {
        let mut inputs: Vec<_> = fs::read_dir(corpus.join(target.name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        inputs.sort();
        assert!(inputs.len() >= 10, "{}: {} inputs", target.name, inputs.len());
        let folder = tempfile::tempdir().unwrap();
        for path in inputs {
            println!("{}", path.display());
            let input = fs::read(&path).unwrap();
            bytes += input.len() as u64;
            limits::read(target, folder.path(), &input);
        }
    }
    assert!(
        bytes <= MOST,
        "the corpus has {bytes} bytes, at most {MOST}; `cargo xtask fuzz --keep`"
    );
}

/// The limits bite, or the test above could not fail.
#[test]
fn limits_are_held() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let refused = |read: fn(&Path, &[u8])| {
        let target = Target { name: "x", memory: Memory::Allocated, read };
        std::panic::catch_unwind(|| limits::read(&target, folder.path(), b"")).is_err()
    };
    assert!(refused(|_, _| drop(std::hint::black_box(Vec::<u8>::with_capacity(
        limits::MOST_BYTES + 1
    )))));
    assert!(refused(|_, _| {
        let until = limits::seconds() + limits::MOST_SECONDS + 0.2;
        while limits::seconds() < until {}
    }));
    assert!(!refused(|_, _| {}));
}
