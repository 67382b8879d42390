//! The blocks of a JPEG file's scan, read in their order.

use super::bits::{Bits, Unstuffed};
use super::header::{Component, ZIGZAG};
use super::huffman::{Codes, PLACES};

/// Blocks that are computed side by side.
pub(super) const LANES: usize = 8;

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
            blocks.numbers.fill([0; LANES]);
        }
        for unit in 0..units {
            if self.restart > 0 && self.left == 0 {
                if self.bits.is_beyond(self.length) {
                    return None;
                }
                self.piece += 1;
                (self.bits, self.length) = self.data.piece(self.piece)?;
                for blocks in &mut *components {
                    blocks.before = 0;
                }
                self.left = self.restart;
            }
            self.left = self.left.wrapping_sub(1);
            for blocks in &mut *components {
                blocks.read(&mut self.bits, unit);
            }
        }
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
    /// Where each number is kept, by its place in the file.
    places: [u8; PLACES],
    /// Numbers of a block that are kept, and a place for all others.
    kept: usize,
    /// `[row of blocks][eight blocks][place][block]`.
    numbers: Vec<[i16; LANES]>,
    /// Eight blocks in a row of blocks.
    pub(super) batches: usize,
    /// What the mean of the next block is the difference to.
    before: i16,
}

impl<'a> Blocks<'a> {
    /// For a row of so many MCUs. `place` says where the coefficient at row × 8 + column is kept, below
    /// `kept`, if it is.
    pub(super) fn new(
        component: &'a Component,
        units: usize,
        kept: usize,
        place: impl Fn(u8) -> Option<usize>,
    ) -> Self {
        let mut places = [kept as u8; PLACES];
        for (at, &coefficient) in places.iter_mut().zip(&ZIGZAG) {
            *at = place(coefficient).unwrap_or(kept) as u8;
        }
        let batches = (units * component.across).div_ceil(LANES);
        let numbers = vec![[0; LANES]; component.down * batches * (kept + 1)];
        Self { component, places, kept, numbers, batches, before: 0 }
    }

    /// The numbers of eight blocks side by side, `[place][block]`, row after row.
    pub(super) fn all(&self) -> impl Iterator<Item = &[[i16; LANES]]> {
        self.numbers.chunks_exact(self.kept + 1)
    }

    /// Reads the blocks of an MCU.
    #[inline(always)]
    fn read(&mut self, bits: &mut Bits<'_>, unit: usize) {
        let codes = Codes { dc: &self.component.dc, ac: &self.component.ac };
        for down in 0..self.component.down {
            for across in 0..self.component.across {
                let block = unit * self.component.across + across;
                let first = (down * self.batches + block / LANES) * (self.kept + 1);
                let batch = &mut self.numbers[first..=first + self.kept];
                let lane = block % LANES;
                codes.read(bits, &mut self.before, |at, value| {
                    batch[usize::from(self.places[at % PLACES])][lane] = value;
                });
            }
        }
    }
}
