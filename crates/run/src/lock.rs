//! One sitting at a time in a run's folder.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::RunError;

/// Held by whoever works on a run; the system lets go of it with the process, even one that is
/// killed. Made by [`RunFolder::lock`](crate::RunFolder::lock).
#[derive(Debug)]
pub struct RunLock {
    /// The folder, open: the lock is this handle's.
    _folder: File,
}

impl RunLock {
    pub(crate) fn take(root: &Path) -> Result<Self, RunError> {
        let folder = File::open(root).map_err(RunError::io(root))?;
        match folder.try_lock() {
            Ok(()) => Ok(Self { _folder: folder }),
            Err(TryLockError::WouldBlock) => Err(RunError::Busy { path: root.to_path_buf() }),
            Err(TryLockError::Error(error)) => Err(RunError::io(root)(error)),
        }
    }
}
