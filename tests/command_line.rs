//! What a user types and what comes back: the built program, run in a fresh folder.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on stops"
)]

#[path = "command_line/bad_input.rs"]
mod bad_input;
#[path = "command_line/help.rs"]
mod help;
#[path = "command_line/place.rs"]
mod place;
#[path = "command_line/resume.rs"]
mod resume;
#[path = "command_line/round_trip.rs"]
mod round_trip;
