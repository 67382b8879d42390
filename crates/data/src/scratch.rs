//! Memory that a thread uses again for the next picture.
//!
//! What is freed between two pictures goes back to the system, and has to be asked for, cleared and
//! mapped anew for the next one: for small pictures that took a quarter of the time.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};

/// What a thread keeps, at most: so many pieces, each of so many bytes.
const PIECES: usize = 3;
const BYTES: usize = 4 << 20;

thread_local! {
    static KEPT: Cell<Vec<Vec<u8>>> = const { Cell::new(Vec::new()) };
}

/// Bytes, empty at first, whose memory the thread keeps.
#[derive(Debug)]
pub(crate) struct Scratch(Vec<u8>);

impl Scratch {
    pub(crate) fn new() -> Self {
        let mut kept = KEPT.take();
        let piece = kept.pop().unwrap_or_default();
        KEPT.set(kept);
        Self(piece)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut piece = std::mem::take(&mut self.0);
        let keep = |cell: &Cell<Vec<Vec<u8>>>| {
            let mut kept = cell.take();
            if kept.len() < PIECES && piece.capacity() <= BYTES {
                piece.clear();
                kept.push(piece);
            }
            cell.set(kept);
        };
        // At the thread's end there is nothing to keep it in.
        KEPT.try_with(keep).unwrap_or_default();
    }
}

impl Deref for Scratch {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl From<Vec<u8>> for Scratch {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_unless_it_is_much() {
        std::thread::spawn(|| {
            let mut first = Scratch::new();
            first.extend([1; 1000]);
            let place = first.as_ptr();
            drop(first);
            let again = Scratch::new();
            assert_eq!((again.as_ptr(), again.len()), (place, 0));
            let mut large = Scratch::new();
            large.reserve(BYTES + 1);
            drop(large);
            assert_eq!(Scratch::new().capacity(), 0);
        })
        .join()
        .unwrap();
    }
}
