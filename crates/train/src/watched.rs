//! What goes through a split tells how far it is, and asks whether it is to stop.

use std::sync::atomic::{AtomicBool, Ordering};

use mmc_data::Split;

use crate::ranks::{Next, Ranks};
use crate::{Progress, TrainError};

/// Who takes part in it, what ends it, and who is told.
pub(crate) struct Watched<'a, 'b> {
    pub(crate) ranks: &'a Ranks,
    pub(crate) interrupt: &'a AtomicBool,
    pub(crate) progress: &'a mut (dyn FnMut(Progress<'_>) + 'b),
}

impl Watched<'_, '_> {
    /// Says that so many items of a split are done.
    pub(crate) fn tell(&mut self, split: &Split, done: usize) {
        let (split, items) = (split.name.as_str(), split.len());
        (self.progress)(Progress::Predicted { split, done, items });
    }

    /// Whether this rank was asked to stop.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }

    /// Stops where any rank was asked to. All ranks ask at the same place and get the same answer.
    pub(crate) fn next(&self) -> Result<Next, TrainError> {
        Ok(if self.ranks.any(self.is_interrupted())? { Next::Stops } else { Next::Goes })
    }

    /// [`tell`](Self::tell), then [`next`](Self::next).
    pub(crate) fn told(&mut self, split: &Split, done: usize) -> Result<Next, TrainError> {
        self.tell(split, done);
        self.next()
    }
}
