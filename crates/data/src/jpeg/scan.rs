//! The blocks of a JPEG file's scan, read in their order.

use std::ops::Range;

use super::bits::{Bits, Unstuffed};
use super::coefficients::{Codes, PLACES};
use super::header::{Component, ZIGZAG};

/// Blocks that are computed side by side.
pub(super) const LANES: usize = 16;

/// The MCUs of a scan, one after the other.
pub(super) struct Scan<'a> {
    data: &'a Unstuffed,
    /// MCUs between two restart markers; 0: no such markers.
    restart: usize,
    /// Index of the piece in hand, its bits and how many bytes they are.
    piece: usize,
    bits: Bits<'a>,
    length: usize,
    /// MCUs until the next piece.
    left: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(data: &'a Unstuffed, restart: usize) -> Option<Self> {
        let (bits, length) = data.piece(0)?;
        Some(Self { data, restart, piece: 0, bits, length, left: restart })
    }

    /// Reads a row of MCUs of all components; `None` where the data do not have it.
    pub(super) fn read_row(
        &mut self,
        components: &mut [&mut Blocks<'_>],
        units: usize,
    ) -> Option<()> {
        for blocks in &mut *components {
            blocks.clear();
        }
        let mut bits = self.bits;
        for unit in 0..units {
            if self.restart > 0 && self.left == 0 {
                if bits.is_beyond(self.length) {
                    return None;
                }
                self.piece += 1;
                (bits, self.length) = self.data.piece(self.piece)?;
                for blocks in &mut *components {
                    blocks.before = 0;
                }
                self.left = self.restart;
            }
            self.left = self.left.wrapping_sub(1);
            for blocks in &mut *components {
                bits = blocks.read(bits, unit);
            }
        }
        self.bits = bits;
        (!self.bits.is_beyond(self.length)).then_some(())
    }

    /// Whether the last row was the last of the data; what is left would belong to a picture of more
    /// rows than the file says.
    pub(super) fn is_done(&self) -> bool {
        self.data.piece(self.piece + 1).is_none()
    }
}

/// The numbers of a row of MCUs of a component.
pub(super) struct Blocks<'a> {
    component: &'a Component,
    /// Where each number is kept, by its place in the file, times [`LANES`].
    places: [u16; PLACES],
    /// Numbers of all blocks side by side, and a place for those that are not kept.
    size: usize,
    /// The last place that is kept.
    last: usize,
    /// `[row of blocks][blocks side by side][place][block]`.
    numbers: Vec<i16>,
    /// Blocks side by side in a row of blocks.
    pub(super) batches: usize,
    /// The blocks of each row whose numbers are wanted.
    wanted: Range<usize>,
    /// What the mean of the next block is the difference to.
    before: i16,
}

impl<'a> Blocks<'a> {
    /// For a row of so many MCUs, of which the blocks `wanted` of each row are kept. `place` says where the
    /// coefficient at row × 8 + column is kept, below `kept`, if it is.
    pub(super) fn new(
        component: &'a Component,
        units: usize,
        wanted: Range<usize>,
        kept: usize,
        place: impl Fn(u8) -> Option<usize>,
    ) -> Self {
        let mut places = [(kept * LANES) as u16; PLACES];
        for (at, &coefficient) in places.iter_mut().zip(&ZIGZAG) {
            *at = (place(coefficient).unwrap_or(kept) * LANES) as u16;
        }
        let is_kept = |&at: &u16| usize::from(at) < kept * LANES;
        let last = places.iter().rposition(is_kept).unwrap_or(0);
        let batches = (units * component.across).div_ceil(LANES);
        let size = (kept + 1) * LANES;
        let numbers = vec![0; component.down * batches * size];
        Self { component, places, size, last, numbers, batches, wanted, before: 0 }
    }

    /// The blocks side by side of each row that hold some which are wanted.
    fn wanted_batches(&self) -> Range<usize> {
        self.wanted.start / LANES..self.wanted.end.div_ceil(LANES).min(self.batches)
    }

    fn clear(&mut self) {
        let Range { start, end } = self.wanted_batches();
        for row in self.numbers.chunks_exact_mut(self.batches * self.size) {
            row[start * self.size..end * self.size].fill(0);
        }
    }

    /// The numbers of blocks side by side, `[place][block]`, row after row, where they are wanted: with
    /// the row and the place in it.
    pub(super) fn all(&self) -> impl Iterator<Item = (usize, usize, &[[i16; LANES]])> {
        let (size, batches) = (self.size, self.wanted_batches());
        let rows = self.numbers.chunks_exact(self.batches * size).enumerate();
        rows.flat_map(move |(row, numbers)| {
            let batch = move |at| numbers[at * size..(at + 1) * size].as_chunks().0;
            batches.clone().map(move |at| (row, at, batch(at)))
        })
    }

    /// Reads the blocks of an MCU.
    #[inline(always)]
    fn read<'b>(&mut self, mut bits: Bits<'b>, unit: usize) -> Bits<'b> {
        let codes = Codes { dc: &self.component.dc, ac: &self.component.ac };
        let (places, mut before, last) = (&self.places, self.before, self.last);
        for down in 0..self.component.down {
            for across in 0..self.component.across {
                let block = unit * self.component.across + across;
                if !self.wanted.contains(&block) {
                    codes.skip(&mut bits, &mut before);
                    continue;
                }
                let first = (down * self.batches + block / LANES) * self.size;
                let lane = block % LANES;
                let batch = &mut self.numbers[first + lane..first + self.size];
                codes.read(&mut bits, &mut before, last, |at, value| {
                    batch[usize::from(places[at % PLACES])] = value;
                });
            }
        }
        self.before = before;
        bits
    }
}
