//! One input at a time, held to what is promised of every one: no panic, a second, 512 MiB.
//!
//! `cargo xtask fuzz` looks for inputs that break the promise; `tests/fuzz_corpus.rs` replays those that
//! were kept.

pub mod limits;
pub mod targets;

#[path = "../../crates/models/tests/hostile/memory.rs"]
pub(crate) mod memory;
