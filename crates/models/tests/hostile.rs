//! Damaged and crafted checkpoints: an error or a result, never a panic, a hang or more memory
//! than the crate's documentation allows.
//!
//! `MMC_MUTATIONS` says how many are tried, 4,000 where it is not set; `cargo xtask ci --full`
//! tries 100,000. Case i is the same each time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking and says what it found"
)]

mod hostile {
    pub(crate) mod crafted;
    mod faults;
    pub(crate) mod folder;
    pub(crate) mod kinds;
    pub(crate) mod memory;
    pub(crate) mod mutate;
}

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hostile::folder::{Outcome, attempt, limit};
use hostile::kinds::{KINDS, Kind};
use hostile::memory::{Counted, measured};
use mmc_random::{Purpose, generator};

#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// Memory is counted for the whole program, so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Far above what a case takes, so that a busy machine fails none.
const LONGEST: Duration = Duration::from_secs(10);
/// Then it hangs.
const HUNG: Duration = Duration::from_secs(120);

static CASE: AtomicU64 = AtomicU64::new(0);
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// What became of the cases of one kind.
#[derive(Default)]
struct Tally {
    results: usize,
    errors: usize,
    most_bytes: usize,
    longest: Duration,
}

#[test]
fn mutated_checkpoints_give_an_error_or_a_result() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let cases = std::env::var("MMC_MUTATIONS").map_or(4_000, |cases| cases.parse().unwrap());
    std::thread::spawn(watch);
    let plain = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        eprintln!("case {}: {panic}", CASE.load(Ordering::Relaxed));
        plain(panic);
    }));
    let place = tempfile::tempdir().unwrap();
    let folders: Vec<_> = KINDS.iter().map(|kind| kind.folder(place.path())).collect();
    for (kind, folder) in KINDS.iter().zip(&folders) {
        assert!(kind.is_whole(folder), "{}: damage begins with another file", kind.name);
    }
    let mut tallies: Vec<Tally> = KINDS.iter().map(|_| Tally::default()).collect();
    let mut bad = Vec::new();
    for case in 0..cases {
        CASE.store(case, Ordering::Relaxed);
        let which = case as usize % KINDS.len();
        let (kind, folder) = (&KINDS[which], &folders[which]);
        let random = &mut generator(4, Purpose::Simulation, case, 0);
        kind.damage(folder, random);
        let began = Instant::now();
        let work = || catch_unwind(AssertUnwindSafe(|| attempt(folder, random)));
        let (outcome, bytes) = measured(work);
        let took = began.elapsed();
        let tally = &mut tallies[which];
        tally.most_bytes = tally.most_bytes.max(bytes);
        tally.longest = tally.longest.max(took);
        match outcome {
            Ok(Outcome::Result) => tally.results += 1,
            Ok(Outcome::Error) => tally.errors += 1,
            Err(_) => bad.push(format!("case {case} ({}) panics", kind.name)),
        }
        if bytes > limit(folder) {
            bad.push(format!("case {case} ({}) takes {bytes} bytes", kind.name));
        }
        if took > LONGEST {
            bad.push(format!("case {case} ({}) takes {took:?}", kind.name));
        }
    }
    report(cases, &tallies);
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "caught, but they need not occur");
}

/// Ends the program where a case does not.
fn watch() {
    let (mut seen, mut since) = (u64::MAX, Instant::now());
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let case = CASE.load(Ordering::Relaxed);
        if case != seen {
            (seen, since) = (case, Instant::now());
        } else if since.elapsed() > HUNG && PANICS.load(Ordering::Relaxed) == 0 {
            eprintln!("case {case} hangs");
            std::process::abort();
        }
    }
}

fn report(cases: u64, tallies: &[Tally]) {
    eprintln!("{cases} cases; errors, results, most memory, longest:");
    for (Kind { name, .. }, tally) in KINDS.iter().zip(tallies) {
        let Tally { results, errors, most_bytes, longest } = tally;
        let mebibytes = *most_bytes as f64 / f64::from(1 << 20);
        eprintln!("{name}: {errors}, {results}, {mebibytes:.1} MiB, {longest:.1?}");
    }
}
