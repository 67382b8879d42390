//! Ranks that MPI connects.

use std::sync::Arc;
use std::thread::ThreadId;

use mpi::Threading;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator as _, CommunicatorCollectives as _, Root as _};

use super::{Ranks, Transport};
use crate::TrainError;

/// MPI from its beginning to its end, which waits for all ranks.
pub(super) struct Mpi {
    universe: Universe,
}

/// All ranks, as one thread of this one reaches them.
#[derive(Debug)]
struct World {
    rank: usize,
    count: usize,
    /// MPI may be called on the thread that started it alone.
    caller: ThreadId,
}

impl Mpi {
    /// Starts MPI, whose launcher said in the variable `name` that it started `size` processes.
    pub(super) fn begin(name: &str, size: usize) -> Result<(Self, Ranks), TrainError> {
        let fault = |problem: String| TrainError::Transport { problem };
        let (universe, threading) = mpi::initialize_with_threading(Threading::Funneled)
            .ok_or_else(|| fault("MPI was started before in this process".to_owned()))?;
        let world = universe.world();
        let (rank, count) = (world.rank() as usize, world.size() as usize);
        if count != size {
            return Err(fault(format!(
                "`{name}` is `{size}`, and MPI knows of {count} ranks: mmc was built with another MPI \
                 than its launcher belongs to, or `srun` was not told which to use (`srun \
                 --mpi=pmix`, `srun --mpi=list`); see docs/mpi.md"
            )));
        }
        if threading < Threading::Funneled {
            return Err(fault(
                "this MPI serves programs with one thread alone, and mmc has more; use an MPI that \
                 was built with threads"
                    .to_owned(),
            ));
        }
        let caller = std::thread::current().id();
        let ranks = Ranks::of(Arc::new(World { rank, count, caller }));
        Ok((Self { universe }, ranks))
    }

    /// Ends all ranks.
    pub(super) fn abort(&self, code: i32) -> ! {
        self.universe.world().abort(code)
    }
}

impl World {
    fn reached(&self) -> Result<SimpleCommunicator, TrainError> {
        if std::thread::current().id() == self.caller {
            return Ok(SimpleCommunicator::world());
        }
        let problem = "MPI is called on another thread than the one that started it; this is a defect \
                       of mmc, please report it";
        Err(TrainError::Transport { problem: problem.to_owned() })
    }
}

/// Errors within MPI end all ranks, with its own words.
impl Transport for World {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.count
    }

    fn broadcast(&self, bytes: &mut [u8]) -> Result<(), TrainError> {
        self.reached()?.process_at_rank(0).broadcast_into(bytes);
        Ok(())
    }

    fn all_gather(&self, own: &[u8], all: &mut [u8]) -> Result<(), TrainError> {
        self.reached()?.all_gather_into(own, all);
        Ok(())
    }

    fn all_to_all(&self, sent: &[u8], received: &mut [u8]) -> Result<(), TrainError> {
        self.reached()?.all_to_all_into(sent, received);
        Ok(())
    }
}
