//! What kernels have to know of sequences, on their device. The layers of a model share their
//! sequences, so it is brought there once.

use std::cell::RefCell;
use std::sync::Arc;

use candle_core::{DeviceLocation, Result, Tensor};

use crate::sequences::Sequences;

/// Sequences on a device, `u32`.
#[derive(Clone)]
pub(super) struct Placed {
    pub(super) starts: Tensor,    // [sequences + 1]
    pub(super) positions: Tensor, // [tokens]
    pub(super) rows: Tensor,      // [tokens], the sequence of each
    pub(super) longest: usize,
}

/// Those of late, the newest last, by the sequences that they were made of.
struct Known {
    sequences: Sequences,
    location: DeviceLocation,
    placed: Placed,
}

/// A model has few kinds of sequences at a time: texts, pictures, both, their first tokens.
const KEPT: usize = 8;

thread_local! {
    static KNOWN: RefCell<Vec<Known>> = const { RefCell::new(Vec::new()) };
}

/// The sequences on the device of `like`.
pub(super) fn placed(sequences: &Sequences, like: &Tensor) -> Result<Placed> {
    let (device, location) = (like.device(), like.device().location());
    let found = KNOWN.with_borrow(|known| {
        let same = |known: &&Known| {
            known.sequences.is_same(sequences)
                && known.location == location
                && known.placed.starts.device().same_device(device)
        };
        known.iter().find(same).map(|known| known.placed.clone())
    });
    if let Some(placed) = found {
        return Ok(placed);
    }
    let starts: Vec<u32> = sequences.starts().iter().map(|&start| start as u32).collect();
    let rows: Vec<u32> = sequences.rows().map(|row| row as u32).collect();
    let placed = Placed {
        starts: Tensor::new(starts, device)?,
        positions: Tensor::new(sequences.positions(), device)?,
        rows: Tensor::new(rows, device)?,
        longest: sequences.lengths().max().unwrap_or(0),
    };
    KNOWN.with_borrow_mut(|known| {
        if known.len() == KEPT {
            known.remove(0);
        }
        known.push(Known { sequences: sequences.clone(), location, placed: placed.clone() });
    });
    Ok(placed)
}

impl Sequences {
    /// Whether they are one value, and not only equal.
    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.starts, &other.starts) && Arc::ptr_eq(&self.positions, &other.positions)
    }
}
