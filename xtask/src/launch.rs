//! How runs of a grid are executed, and which CUDA devices those side by side see.

use std::path::Path;
use std::process::Command;

use crate::failure::Failure;
use crate::slurm::Slurm;

/// How runs are executed.
pub(crate) struct Launch<'a> {
    /// The program.
    pub(crate) mmc: &'a Path,
    /// Runs side by side.
    pub(crate) jobs: usize,
    /// Threads of each.
    pub(crate) threads: usize,
    /// The cluster that runs them; `None`: this machine.
    pub(crate) slurm: Option<Slurm>,
    /// The CUDA devices of each of the runs side by side; empty: each sees all.
    pub(crate) visible: Vec<String>,
}

/// What CUDA programs read to know which devices are theirs.
const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";

impl Launch<'_> {
    /// The environment of the run in this place among those side by side.
    pub(crate) fn environment(&self, place: usize) -> Vec<(&'static str, String)> {
        let mut all = vec![("RAYON_NUM_THREADS", self.threads.to_string())];
        all.extend(self.visible.get(place).map(|devices| (VISIBLE, devices.clone())));
        all
    }
}

/// The CUDA devices of each of so many runs side by side: as many for each, so that their times compare, or
/// one of those that there are in turn.
///
/// # Errors
/// Where nobody says which there are.
pub(crate) fn visible(jobs: usize) -> Result<Vec<String>, Failure> {
    if jobs < 2 {
        return Ok(Vec::new());
    }
    if let Ok(named) = std::env::var(VISIBLE) {
        return Ok(shares(&named.split(',').map(str::to_owned).collect::<Vec<_>>(), jobs));
    }
    let listed = Command::new("nvidia-smi").arg("--list-gpus").output();
    let devices = match &listed {
        Ok(output) if output.status.success() => named(&String::from_utf8_lossy(&output.stdout)),
        _ => Vec::new(),
    };
    if devices.is_empty() {
        return Err(Failure::work(format!(
            "{jobs} runs side by side share the CUDA devices, and `nvidia-smi --list-gpus` names none; \
             name them in {VISIBLE}, or give `--jobs 1`"
        )));
    }
    Ok(shares(&devices, jobs))
}

/// The devices in a list of nvidia-smi's: parts of a card (MIG) stand indented below it, and are devices in
/// its place.
fn named(list: &str) -> Vec<String> {
    let uuid = |line: &str| {
        Some(line.split_once("(UUID: ")?.1.trim_end().trim_end_matches(')').to_owned())
    };
    let is_part = |line: &&str| line.starts_with(char::is_whitespace);
    let mut devices = Vec::new();
    let mut lines = list.lines().filter(|line| line.contains("(UUID: ")).peekable();
    while let Some(line) = lines.next() {
        let is_cut = !is_part(&line) && lines.peek().is_some_and(is_part);
        if !is_cut {
            devices.extend(uuid(line));
        }
    }
    devices
}

fn shares(devices: &[String], jobs: usize) -> Vec<String> {
    let each = (devices.len() / jobs).max(1);
    let share = |job: usize| {
        let own = devices.iter().cycle().skip(job * each).take(each.min(devices.len()));
        own.cloned().collect::<Vec<_>>().join(",")
    };
    (0..jobs).map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_side_by_side_share_the_devices() {
        let shares = |devices: usize, jobs: usize| {
            let devices: Vec<String> = (0..devices).map(|device| device.to_string()).collect();
            shares(&devices, jobs)
        };
        assert_eq!(shares(4, 2), ["0,1", "2,3"]);
        assert_eq!(shares(3, 2), ["0", "1"], "as many for each");
        assert_eq!(shares(1, 3), ["0", "0", "0"]);
        assert_eq!(shares(2, 3), ["0", "1", "0"]);
        assert!(visible(1).unwrap().is_empty(), "one run sees all");
    }

    #[test]
    fn parts_of_a_card_are_devices_in_its_place() {
        let list = "GPU 0: NVIDIA H100 (UUID: GPU-aa)\n  MIG 1g.10gb  Device  0: (UUID: MIG-bb)\n  \
                    MIG 1g.10gb  Device  1: (UUID: MIG-cc)\nGPU 1: NVIDIA H100 (UUID: GPU-dd)\n";
        assert_eq!(named(list), ["MIG-bb", "MIG-cc", "GPU-dd"]);
        assert!(named("No devices were found\n").is_empty());
    }
}
