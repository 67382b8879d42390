//! The coefficients of a block, which are looked up two at a time.

use super::bits::Bits;
use super::huffman::{Differences, ENTRIES, LOOKED_UP, Symbols, extended};

/// How often bits can be looked up after [`Bits::fill`].
const LOOKS: usize = 5;

/// Places of a block.
pub(super) const END: usize = 64;
/// One above the last place that a block's runs can lead to.
pub(super) const PLACES: usize = 4 * END;

/// Whether a symbol of AC coefficients says that nothing but zeros follows.
fn ends(symbol: u32) -> bool {
    let (run, size) = (symbol >> 4, symbol & 15);
    size == 0 && run < 15
}

/// A Huffman table of AC coefficients.
pub(super) struct Coefficients {
    symbols: Symbols,
    /// By the next bits: up to two coefficients.
    short: Box<[Pair; ENTRIES]>,
    /// And how far all leads that begins in them.
    skips: Box<[Skip; ENTRIES]>,
}

/// Two coefficients, or twice the same; and whether the block ends behind them. From the lowest bit:
/// - 6 bits: how many bits that takes; 0 if there are not enough to tell, and the rest says that nothing
///   but zeros comes;
/// - 4 bits: zeros before the first coefficient;
/// - 5 bits: places from the first to the second, 0 if they are the same;
/// - 1 bit: whether the block ends;
/// - 8 bits each: the coefficients. Where bits are missing, symbol and length of the code, or zeros if
///   even it is not known.
#[derive(Clone, Copy)]
struct Pair(u32);

impl Pair {
    const END: u32 = 1 << 15;

    /// How many bits it takes.
    #[inline(always)]
    fn bits(self) -> u32 {
        self.0 % 64
    }

    /// One coefficient or the end, if the next bits hold it.
    fn single(symbols: &Symbols, next: u32) -> Self {
        let code = u32::from(symbols.short[next as usize % ENTRIES]);
        let (length, symbol) = (code >> 8, code & 0xFF);
        let (run, size) = (symbol >> 4, symbol & 15);
        if length > 0 && ends(symbol) {
            return Self(Self::END | length);
        }
        let taken = length + size;
        // More bits are no number of eight.
        if length == 0 || taken > LOOKED_UP || size > 7 {
            return Self((length << 24) | (symbol << 16) | Self::END);
        }
        let number = (next >> (LOOKED_UP - taken)) & ((1 << size) - 1);
        let number = u32::from(extended(number, size) as u8);
        Self((number << 24) | (number << 16) | (run << 6) | taken)
    }

    /// With what comes behind it, if there is room; `next` are the bits that begin with this.
    fn extended(self, singles: &[Self; ENTRIES], next: usize) -> Self {
        let length = self.bits();
        let Self(after) = singles[(next << length) % ENTRIES];
        let both = length + Self(after).bits();
        if self.0 & Self::END != 0 || Self(after).bits() == 0 || both > LOOKED_UP {
            self
        } else if after & Self::END != 0 {
            Self((self.0 | Self::END) - length + both)
        } else if (self.0 >> 10).is_multiple_of(32) {
            let apart = ((after >> 6) & 15) + 1;
            Self((after & 0xFF00_0000) | (self.0 & 0xFF_03C0) | (apart << 10) | both)
        } else {
            self
        }
    }
}

/// As many coefficients as begin in some bits, of which nobody wants to know the values: their codes have
/// to be there, their numbers may go on behind. From the lowest bit:
/// - 6 bits: how many bits they take; 0 if there are not enough to tell even the first;
/// - 9 bits: how many places they and the zeros before them take;
/// - 1 bit: whether the block ends behind them, or that cannot be told.
#[derive(Clone, Copy)]
struct Skip(u16);

impl Skip {
    const END: u16 = 1 << 15;
    /// How often bits can be looked up after [`Bits::fill`]: 26 bits each of 56.
    const LOOKS: usize = 2;

    /// How many bits it takes, at most 26.
    #[inline(always)]
    fn bits(self) -> u32 {
        u32::from(self.0 % 64)
    }

    /// How many places.
    #[inline(always)]
    fn places(self) -> usize {
        usize::from(self.0 >> 6) % 512
    }

    /// Of all that begins in the bits `next`.
    fn new(symbols: &Symbols, next: usize) -> Self {
        let (mut bits, mut places) = (0, 0);
        while bits < LOOKED_UP {
            let code = u32::from(symbols.short[(next << bits) % ENTRIES]);
            let (length, symbol) = (code >> 8, code & 0xFF);
            let is_known = length > 0 && bits + length <= LOOKED_UP;
            if is_known && ends(symbol) {
                return Self((bits + length) as u16 | places << 6 | Self::END);
            }
            if !is_known {
                break;
            }
            bits += length + (symbol & 15);
            places += (symbol >> 4) as u16 + 1;
        }
        Self(bits as u16 | places << 6 | if bits == 0 { Self::END } else { 0 })
    }
}

impl Coefficients {
    /// As [`Symbols::new`].
    pub(super) fn new(counts: &[u8; 16], listed: &[u8]) -> Option<Self> {
        let symbols = Symbols::new(counts, listed)?;
        let singles = std::array::from_fn(|next| Pair::single(&symbols, next as u32));
        let mut short = Box::new(singles);
        for (next, pair) in short.iter_mut().enumerate() {
            *pair = pair.extended(&singles, next).extended(&singles, next);
        }
        let mut skips = Box::new([Skip(0); ENTRIES]);
        for (next, skip) in skips.iter_mut().enumerate() {
            *skip = Skip::new(&symbols, next);
        }
        Some(Self { symbols, short, skips })
    }

    /// Goes from the place `at` to the end of a block.
    #[inline(always)]
    fn skip(&self, bits: &mut Bits<'_>, mut at: usize) {
        while at < END {
            bits.fill();
            let begun = (*bits, at);
            let mut skip = Skip(0);
            for _ in 0..Skip::LOOKS {
                skip = self.skips[bits.next(LOOKED_UP) as usize % ENTRIES];
                bits.skip(skip.0.into());
                at += skip.places();
                if skip.0 & Skip::END != 0 {
                    break;
                }
            }
            if at >= END {
                (*bits, at) = begun;
                self.read_on(bits, at, |_, _| ());
                return;
            }
            if skip.0 & Skip::END == 0 {
                continue;
            }
            if skip.bits() != 0 {
                return;
            }
            bits.fill();
            let Pair(pair) = self.short[bits.next(LOOKED_UP) as usize % ENTRIES];
            let (run, _) = self.read_long(bits, pair);
            at += run + 1;
        }
    }

    /// Reads from the place `at` to the end of a block, symbol after symbol.
    #[inline(always)]
    fn read_on(&self, bits: &mut Bits<'_>, mut at: usize, mut keep: impl FnMut(usize, i16)) {
        while at < END {
            bits.fill();
            let (run, value) = self.read_long(bits, 0);
            at += run;
            keep(at, value);
            at += 1;
        }
    }

    /// The zeros before a coefficient, and the coefficient; [`END`] zeros where nothing but zeros
    /// follows. `pair` is what there is for the next bits. Takes up to 31 bits.
    #[inline(always)]
    fn read_long(&self, bits: &mut Bits<'_>, pair: u32) -> (usize, i16) {
        let (mut symbol, length) = ((pair >> 16) & 0xFF, pair >> 24);
        if Pair(pair).bits() == 0 && length > 0 {
            bits.skip(length);
        } else {
            symbol = self.symbols.next(bits).into();
        }
        let size = symbol & 15;
        let value = extended(bits.take(size), size) as i16;
        (if ends(symbol) { END } else { (symbol >> 4) as usize }, value)
    }
}

/// The codes of a component.
pub(super) struct Codes<'a> {
    pub(super) dc: &'a Differences,
    pub(super) ac: &'a Coefficients,
}

impl Codes<'_> {
    /// Reads a block whose neighbour before it had the mean `before`, which becomes its own, and hands
    /// on its coefficients with their places, below [`PLACES`]; those from 64 on are none of the block.
    /// A place may come again, with the same coefficient; places of zeros may come or not, and so may those
    /// behind `last`, which is below [`END`].
    #[inline(always)]
    pub(super) fn read(
        &self,
        bits: &mut Bits<'_>,
        before: &mut i16,
        last: usize,
        mut keep: impl FnMut(usize, i16),
    ) {
        bits.fill();
        *before = before.wrapping_add(self.dc.read(bits));
        keep(0, *before);
        let (short, mut at) = (&*self.ac.short, 1);
        while at <= last {
            bits.fill();
            let begun = (*bits, at);
            let mut pair = 0;
            for _ in 0..LOOKS {
                Pair(pair) = short[bits.next(LOOKED_UP) as usize % ENTRIES];
                bits.skip(pair);
                at += ((pair >> 6) & 15) as usize;
                keep(at, i16::from((pair >> 16) as i8));
                at += ((pair >> 10) & 31) as usize;
                keep(at, i16::from((pair >> 24) as i8));
                at += 1;
                if pair & Pair::END != 0 {
                    break;
                }
            }
            if at >= END {
                // Nearly always the end is said before the last place. Where it is not, what comes behind
                // that place is of the next block.
                (*bits, at) = begun;
                self.ac.read_on(bits, at, keep);
                return;
            }
            if pair & Pair::END == 0 {
                continue;
            }
            if Pair(pair).bits() != 0 {
                return;
            }
            at -= 1;
            keep(at, 0);
            bits.fill();
            let (run, value) = self.ac.read_long(bits, pair);
            at += run;
            keep(at, value);
            at += 1;
        }
        self.ac.skip(bits, at);
    }

    /// Passes over a block of which only the mean is needed, for the next one.
    #[inline(always)]
    pub(super) fn skip(&self, bits: &mut Bits<'_>, before: &mut i16) {
        bits.fill();
        *before = before.wrapping_add(self.dc.read(bits));
        self.ac.skip(bits, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A code of 16 bits, a number of 15, and an end behind them.
    #[test]
    fn long_codes_are_read_too() {
        let mut counts = [0; 16];
        (counts[0], counts[15]) = (1, 1);
        let dc = Differences::new(&counts, &[0x00, 0x0F]).unwrap();
        let ac = Coefficients::new(&counts, &[0x00, 0x2F]).unwrap();
        let codes = Codes { dc: &dc, ac: &ac };
        let data = [0x80, 0x00, 0xFF, 0xFF, 0x00, 0x01, 0xFF, 0xFC, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let (mut bits, mut before) = (Bits::new(&data), 1);
        let mut block = [0; PLACES];
        codes.read(&mut bits, &mut before, END - 1, |at, value| block[at] = value);
        assert_eq!(before, i16::MIN);
        let expected = |at: usize| match at {
            0 => i16::MIN,
            3 => i16::MAX,
            _ => 0,
        };
        assert!((0..END).all(|at| block[at] == expected(at)), "{block:?}");
    }

    /// Every pair of the table says what its symbols say one after the other.
    #[test]
    fn pairs_are_what_they_are_made_of() {
        // The table of luminance that most files have (annex K), up to codes of ten bits.
        let counts = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 0, 0, 0, 0, 0, 0];
        let listed = [
            0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51,
            0x61, 0x07, 0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xA1, 0x08, 0x23, 0x42, 0xB1, 0xC1,
        ];
        let dc =
            Differences::new(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[0, 1]).unwrap();
        let ac = Coefficients::new(&counts, &listed).unwrap();
        let mut state = 1_u32;
        for (last, _) in [END - 1, 5].into_iter().cycle().zip(0..2_000) {
            let data: [u8; 64] = std::array::from_fn(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            });
            let (mut bits, mut before, mut block) = (Bits::new(&data), 0, [0; PLACES]);
            let codes = Codes { dc: &dc, ac: &ac };
            codes.read(&mut bits, &mut before, last, |at, value| block[at] = value);

            let (mut slow, mut expected, mut at) = (Bits::new(&data), [0; END], 1);
            slow.fill();
            expected[0] = dc.read(&mut slow);
            while at < END {
                slow.fill();
                let (run, value) = ac.read_long(&mut slow, 0);
                at += run + 1;
                if at <= END {
                    expected[at - 1] = value;
                }
            }
            let compared = (last + 1).min(END);
            assert_eq!(block[..compared], expected[..compared]);
            let (mut skipped, mut mean) = (Bits::new(&data), 0);
            codes.skip(&mut skipped, &mut mean);
            assert_eq!(mean, expected[0]);
            slow.fill();
            for mut bits in [bits, skipped] {
                bits.fill();
                assert_eq!(bits.next(16), slow.next(16), "they went on to different bits");
            }
        }
    }
}
