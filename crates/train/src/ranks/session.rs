//! What started this process: nobody in particular, or a launcher of ranks.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Ranks;
use super::mpi::Mpi;
use crate::TrainError;

/// What launchers of MPI programs call the number of processes that they started, the surest first:
/// Open MPI's `mpirun`, MVAPICH's, those of MPICH and Intel MPI.
const SIZES: &[&str] = &["OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "PMI_SIZE"];

/// What Slurm's `srun` calls it.
const BY_SLURM: &[&str] = &["SLURM_STEP_NUM_TASKS"];

/// The ranks that a launcher such as `mpirun` started, this process among them; a process that no
/// launcher started is alone.
///
/// It lives as long as the process works with others. Where a panic ends it, it ends all ranks: they
/// would wait for this one for ever.
pub struct Session {
    ranks: Ranks,
    mpi: Option<Mpi>,
}

impl Session {
    /// Finds the other ranks, if a launcher started any. Called once, before the threads of rayon's
    /// global pool are asked for.
    ///
    /// # Errors
    /// A usage error in a build without MPI that was started as one of several ranks;
    /// [`TrainError::Transport`] where MPI does not start or knows of other ranks than the launcher.
    pub fn begin() -> Result<Self, TrainError> {
        // `srun` starts ranks too; in a build without MPI it may start what it likes.
        let by_slurm = if cfg!(feature = "mpi") { BY_SLURM } else { &[] };
        let started = launched(SIZES).or_else(|| launched(by_slurm));
        let Some((name, size)) = started.filter(|(_, size)| *size > 1) else {
            return Ok(Self { ranks: Ranks::default(), mpi: None });
        };
        let (mpi, ranks) = Mpi::begin(name, size)?;
        Ok(Self { ranks, mpi: Some(mpi) })
    }

    /// The ranks to share a run with.
    #[must_use]
    pub fn ranks(&self) -> Ranks {
        self.ranks.clone()
    }

    /// How many threads this rank should compute with, so that those on one machine do not get in each
    /// other's way; `None` for a process that is alone.
    ///
    /// # Errors
    /// Where the other ranks cannot be reached.
    pub fn threads(&self) -> Result<Option<usize>, TrainError> {
        if self.ranks.is_alone() {
            return Ok(None);
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let all = self.ranks.gather(&cores_of_this_process())?;
        let beside = all.iter().filter(|other| **other == all[self.ranks.rank()]).count();
        Ok(Some((cores / beside.max(1)).max(1)))
    }

    /// How many ranks of lower numbers run on this machine: which of its devices is this one's.
    ///
    /// # Errors
    /// Where the other ranks cannot be reached.
    pub fn below_on_machine(&self) -> Result<usize, TrainError> {
        let all = self.ranks.gather(&cores_of_this_process().0)?;
        let own = self.ranks.rank();
        Ok(all[..own].iter().filter(|machine| **machine == all[own]).count())
    }

    /// What rank 0 has, at every rank.
    ///
    /// # Errors
    /// Where the other ranks cannot be reached.
    pub fn of_first<T: Serialize + DeserializeOwned>(&self, own: T) -> Result<T, TrainError> {
        self.ranks.broadcast_value(own)
    }

    /// Ends all ranks at once, where there are several, with this exit code; the one that is alone goes
    /// on and ends as it likes.
    pub fn stop_all(&self, code: i32) {
        if let Some(mpi) = &self.mpi {
            mpi.abort(code);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.stop_all(101); // what a Rust program that panics exits with
        }
    }
}

/// The first of these variables that is there and a number, with its value.
fn launched(names: &[&'static str]) -> Option<(&'static str, usize)> {
    names.iter().find_map(|name| Some((*name, std::env::var(name).ok()?.parse().ok()?)))
}

/// The machine and which of its cores this process may use, as Linux says; elsewhere nothing, as though
/// all ranks shared one machine.
fn cores_of_this_process() -> (String, String) {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let status = read("/proc/self/status");
    let cores = status.lines().find(|line| line.starts_with("Cpus_allowed_list"));
    (read("/proc/sys/kernel/hostname"), cores.unwrap_or_default().to_owned())
}
