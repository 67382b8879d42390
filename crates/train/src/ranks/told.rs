//! What ranks tell each other of their shards, beside the gradients.

use serde::{Deserialize, Serialize};

use crate::step::Summed;

/// What is told of a shard.
#[derive(Serialize, Deserialize)]
pub(super) struct Told {
    number: usize,
    /// The bits of the f32.
    loss: u32,
    ids: Vec<String>,
    cut_texts: usize,
}

impl Told {
    pub(super) fn of(number: usize, Summed { loss, ids, cut_texts }: Summed) -> Self {
        Self { number, loss: loss.to_bits(), ids, cut_texts }
    }

    fn summed(self) -> Summed {
        Summed { loss: f32::from_bits(self.loss), ids: self.ids, cut_texts: self.cut_texts }
    }
}

/// What the shards of all ranks sum up to, in their order.
pub(super) fn total(mut told: Vec<Told>) -> Summed {
    told.sort_by_key(|told| told.number);
    let mut total = Summed::default();
    for one in told {
        total.append(one.summed());
    }
    total
}
