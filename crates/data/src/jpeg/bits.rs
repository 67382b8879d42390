//! The bits of entropy-coded data.

use crate::scratch::Scratch;

/// Bytes that have to lie behind the data.
pub(super) const MARGIN: usize = 8;

/// Reads bits from the left; behind the end they are whatever lies there, else 0. Small enough to be
/// handed on by value, which keeps it in registers.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, aligned to the left.
    buffer: u64,
    /// How many of them are in it, in the lowest six bits.
    held: u32,
}

impl<'a> Bits<'a> {
    /// `data` is without stuffed zeros.
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, buffer: 0, held: 0 }
    }

    /// Sees to it that 56 bits can be taken.
    #[inline(always)]
    pub(super) fn fill(&mut self) {
        let next = self.data.get(self.at..self.at + 8).and_then(<[u8]>::first_chunk);
        let next = next.map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let held = self.held & 63;
        self.buffer |= next >> held;
        self.at += ((63 - held) >> 3) as usize;
        self.held = held | 0x38; // 56
    }

    /// The next `count` bits, 1 to 16.
    #[inline(always)]
    pub(super) fn next(&self, count: u32) -> u32 {
        (self.buffer >> (64 - count)) as u32
    }

    /// Takes as many bits as the lowest six bits of `count` say.
    #[inline(always)]
    pub(super) fn skip(&mut self, count: u32) {
        self.buffer <<= u64::from(count) & 63;
        self.held = self.held.wrapping_sub(count);
    }

    /// Takes up to 15 bits.
    #[inline(always)]
    pub(super) fn take(&mut self, count: u32) -> u32 {
        let taken = (self.buffer >> 1 >> (63 - count)) as u32;
        self.skip(count);
        taken
    }

    /// Whether more bits were taken than these bytes have.
    pub(super) fn is_beyond(&self, bytes: usize) -> bool {
        self.at * 8 > bytes * 8 + (self.held & 63) as usize
    }
}

/// Entropy-coded data as bits are read from it.
pub(super) struct Unstuffed {
    /// Without stuffed zeros and markers, a margin behind each piece.
    data: Scratch,
    /// Where the pieces between restart markers begin and end.
    pieces: Vec<(usize, usize)>,
}

impl Unstuffed {
    /// From what follows a scan's header up to the end of the file's picture; `None` where something
    /// else than restart markers comes before that, or nothing comes.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let mut data = Scratch::new();
        data.reserve(bytes.len() + MARGIN);
        let (mut pieces, mut at, mut start) = (Vec::new(), 0, 0);
        loop {
            let rest = bytes.get(at..)?;
            let found = memchr::memchr(0xFF, rest)?;
            data.extend_from_slice(&rest[..found]);
            let fill = rest[found..].iter().take_while(|&&byte| byte == 0xFF).count();
            match rest.get(found + fill)? {
                0 => data.push(0xFF),
                &marker @ (0xD0..=0xD7 | 0xD9) => {
                    pieces.push((start, data.len()));
                    data.extend([0; MARGIN]);
                    start = data.len();
                    if marker == 0xD9 {
                        return Some(Self { data, pieces });
                    }
                }
                _ => return None,
            }
            at += found + fill + 1;
        }
    }

    /// The bits of a piece and how many bytes they are.
    pub(super) fn piece(&self, at: usize) -> Option<(Bits<'_>, usize)> {
        let &(start, end) = self.pieces.get(at)?;
        Some((Bits::new(&self.data[start..]), end - start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_in_their_order_and_zeros_after_them() {
        let bytes = [0b1010_0001, 0xFF, 0b0000_1111, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut bits = Bits::new(&bytes);
        bits.fill();
        assert_eq!((bits.take(3), bits.take(0), bits.take(5)), (0b101, 0, 1));
        assert_eq!((bits.next(16), bits.take(12)), (0xFF0F, 0xFF0));
        assert!(!bits.is_beyond(3));
        bits.fill();
        assert_eq!(bits.take(4), 0b1111);
        assert!(!bits.is_beyond(3));
        bits.take(1);
        assert!(bits.is_beyond(3));
        for _ in 0..20 {
            bits.fill();
            assert_eq!(bits.take(15), 0);
        }
    }

    #[test]
    fn stuffed_zeros_and_markers_are_taken_out() {
        let bytes = [1, 0xFF, 0, 2, 0xFF, 0xD0, 3, 0xFF, 0xFF, 0xD9, 9];
        let unstuffed = Unstuffed::new(&bytes).unwrap();
        for (at, first, bytes) in [(0, 0x01FF, 3), (1, 0x0300, 1)] {
            let (mut bits, length) = unstuffed.piece(at).unwrap();
            bits.fill();
            assert_eq!((bits.next(16), length), (first, bytes));
        }
        assert!(unstuffed.piece(2).is_none());
        for damaged in [&bytes[..9], &bytes[..2], &[], &[1, 0xFF, 0xDA, 0xFF, 0xD9]] {
            assert!(Unstuffed::new(damaged).is_none());
        }
    }
}
