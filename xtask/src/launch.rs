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

/// The CUDA devices of each of so many runs side by side: an equal share, or one of those that there are
/// in turn.
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
    let count = match &listed {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).lines().count()
        }
        _ => 0,
    };
    if count == 0 {
        return Err(Failure::work(format!(
            "{jobs} runs side by side share the CUDA devices, and `nvidia-smi --list-gpus` names none; \
             name them in {VISIBLE}, or give `--jobs 1`"
        )));
    }
    Ok(shares(&(0..count).map(|device| device.to_string()).collect::<Vec<_>>(), jobs))
}

fn shares(devices: &[String], jobs: usize) -> Vec<String> {
    let share = |job: usize| -> Vec<String> {
        let own = devices.iter().skip(job % devices.len().max(1)).step_by(jobs);
        own.cloned().collect()
    };
    (0..jobs).map(|job| share(job).join(",")).collect()
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
        assert_eq!(shares(4, 2), ["0,2", "1,3"]);
        assert_eq!(shares(3, 2), ["0,2", "1"]);
        assert_eq!(shares(1, 3), ["0", "0", "0"]);
        assert_eq!(shares(2, 3), ["0", "1", "0"]);
        assert!(visible(1).unwrap().is_empty(), "one run sees all");
    }
}
