//! What stands for MPI in a build without it.

use super::Ranks;
use crate::TrainError;

/// There is none.
pub(super) enum Mpi {}

impl Mpi {
    /// Says how to get it: otherwise each of `size` processes, of which a launcher told in the variable
    /// `name`, would compute the whole run.
    pub(super) fn begin(name: &str, size: usize) -> Result<(Self, Ranks), TrainError> {
        let problem = format!(
            "`{name}` is `{size}`, so this is one of {size} processes that a launcher of MPI programs \
             started, and this build of mmc is without MPI; build it with `cargo build --release -p mmc \
             --features mpi` (docs/mpi.md), or start it without `mpirun`"
        );
        Err(TrainError::setting("ranks", problem))
    }

    pub(super) fn abort(&self, _code: i32) -> ! {
        match *self {}
    }
}
