//! The target named by `FUZZ_TARGET`, for libFuzzer.
#![no_main]

use std::panic;
use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use mmc_fuzz::limits;
use mmc_fuzz::targets::{TARGETS, Target};

static CHOSEN: OnceLock<(&Target, PathBuf)> = OnceLock::new();

fn chosen() -> (&'static Target, PathBuf) {
    // libFuzzer's own hook ends the program at every panic; those that a reader catches are no finding,
    // and those that it lets through end the program all the same.
    panic::set_hook(Box::new(|panic| {
        if std::env::var_os("FUZZ_PANICS").is_some() {
            eprintln!("{panic}");
        }
    }));
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target of that name");
    // In memory, where the system has such a folder.
    let memory = PathBuf::from("/dev/shm");
    let place = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let folder = place.join(format!("mmc-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder to write to");
    (target, folder)
}

fuzz_target!(|bytes: &[u8]| {
    let (target, folder) = CHOSEN.get_or_init(chosen);
    limits::read(target, folder, bytes);
});
