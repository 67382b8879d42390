//! What an input may take.

use std::path::Path;

use nix::sys::resource::{UsageWho, getrusage};

use crate::memory::{Counted, measured};
use crate::targets::{Memory, Target};

#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// Seconds of processor time, of all threads together: a busy machine changes nothing.
pub const MOST_SECONDS: f64 = 1.0;

/// Bytes that may be allocated at once.
pub const MOST_BYTES: usize = 512 << 20;

/// Reads one input and panics where it takes more than it may.
///
/// # Panics
///
/// Where it does, and where a reader does.
pub fn read(target: &Target, folder: &Path, bytes: &[u8]) {
    let before = seconds();
    let ((), most) = measured(|| (target.read)(folder, bytes));
    let taken = seconds() - before;
    assert!(taken <= MOST_SECONDS, "{}: {taken:.2} s of processor time", target.name);
    let most = if target.memory == Memory::Allocated { most } else { written() };
    assert!(most <= MOST_BYTES, "{}: {} MiB at once", target.name, most >> 20);
}

/// Processor time of this process so far.
pub fn seconds() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the system says");
    [usage.user_time(), usage.system_time()]
        .map(|time| time.tv_sec() as f64 + 1e-6 * time.tv_usec() as f64)
        .iter()
        .sum()
}

/// The most memory of this process that was ever in use.
fn written() -> usize {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the system says");
    usize::try_from(usage.max_rss()).map_or(0, |kibibytes| kibibytes << 10)
}
