//! The codes of a JPEG file (ITU-T T.81, annexes C and F).

use super::bits::Bits;

/// Bits that are looked up at once.
pub(super) const LOOKED_UP: u32 = 11;
pub(super) const ENTRIES: usize = 1 << LOOKED_UP;

/// The symbols of a Huffman table.
pub(super) struct Symbols {
    /// By the next bits: `length << 8 | symbol` of the code, 0 where it is longer.
    pub(super) short: Box<[u16; ENTRIES]>,
    /// The same of the longer codes, by the next 16 bits, from `first` on.
    long: Vec<u16>,
    first: u32,
}

impl Symbols {
    /// From the number of codes of each length and their symbols in order; `None` where they are more
    /// than there can be.
    pub(super) fn new(counts: &[u8; 16], listed: &[u8]) -> Option<Self> {
        let mut table = Self { short: Box::new([0; ENTRIES]), long: Vec::new(), first: 0 };
        let (mut code, mut place) = (0_u32, 0_usize);
        for (length, &count) in (1..=16_u32).zip(counts) {
            let symbols = listed.get(place..place + usize::from(count))?;
            if code + symbols.len() as u32 > 1 << length {
                return None;
            }
            for &symbol in symbols {
                let entry = ((length as u16) << 8) | u16::from(symbol);
                if length <= LOOKED_UP {
                    let first = (code << (LOOKED_UP - length)) as usize;
                    table.short[first..first + (1 << (LOOKED_UP - length))].fill(entry);
                } else {
                    table.long.extend(std::iter::repeat_n(entry, 1 << (16 - length)));
                }
                code += 1;
            }
            place += symbols.len();
            if length == LOOKED_UP {
                table.first = code << (16 - length);
            }
            code <<= 1;
        }
        Some(table)
    }

    /// The next symbol, up to 16 bits; 0 where no code begins like this.
    #[inline(always)]
    pub(super) fn next(&self, bits: &mut Bits<'_>) -> u8 {
        let mut entry = self.short[bits.next(LOOKED_UP) as usize % ENTRIES];
        if entry == 0 {
            let at = bits.next(16).wrapping_sub(self.first) as usize;
            entry = self.long.get(at).copied().unwrap_or(16 << 8);
        }
        bits.skip(u32::from(entry >> 8));
        entry as u8
    }
}

/// A Huffman table of differences of DC coefficients.
pub(super) struct Differences {
    symbols: Symbols,
    /// By the next bits, where the code is not longer: `size << 8 | length of code and number`; else 0.
    short: [u16; 1 << SIZES],
}

/// Bits that are looked up at once for a difference. Small tables stay in the nearest cache.
const SIZES: u32 = 9;

impl Differences {
    /// As [`Symbols::new`].
    pub(super) fn new(counts: &[u8; 16], listed: &[u8]) -> Option<Self> {
        // Larger ones are no sizes.
        let sizes: Vec<u8> = listed.iter().map(|size| size & 15).collect();
        let symbols = Symbols::new(counts, &sizes)?;
        let short = std::array::from_fn(|next| {
            let code = symbols.short[next << (LOOKED_UP - SIZES)];
            let (length, size) = (code >> 8, code & 0xFF);
            if u32::from(length) <= SIZES { (size << 8) | (length + size) } else { 0 }
        });
        Some(Self { symbols, short })
    }

    /// Takes up to 31 bits.
    #[inline(always)]
    pub(super) fn read(&self, bits: &mut Bits<'_>) -> i16 {
        let entry = u32::from(self.short[bits.next(SIZES) as usize % (1 << SIZES)]);
        if entry != 0 {
            let (size, taken) = (entry >> 8, entry & 0xFF);
            let number = bits.next(taken) & ((1 << size) - 1);
            bits.skip(taken);
            return extended(number, size) as i16;
        }
        let long;
        (*bits, long) = self.read_long(*bits);
        long
    }

    #[cold]
    #[inline(never)]
    fn read_long<'a>(&self, mut bits: Bits<'a>) -> (Bits<'a>, i16) {
        let size = u32::from(self.symbols.next(&mut bits));
        let number = extended(bits.take(size), size) as i16;
        (bits, number)
    }
}

/// The number that `size` bits mean (F.2.2.1).
#[inline(always)]
pub(super) fn extended(bits: u32, size: u32) -> i32 {
    // No number has no lower half, so nothing has to be asked.
    let low = bits < (1 << size) >> 1;
    bits as i32 + if low { 1 - (1 << size) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_standard() {
        for (bits, size, number) in
            [(0, 0, 0), (0, 1, -1), (1, 1, 1), (0, 3, -7), (3, 3, -4), (4, 3, 4), (7, 3, 7)]
        {
            assert_eq!(extended(bits, size), number, "{bits} of {size}");
        }
    }

    #[test]
    fn codes_that_cannot_be_are_refused() {
        let counts = |at: usize, count: u8| {
            let mut counts = [0; 16];
            counts[at] = count;
            counts
        };
        assert!(Symbols::new(&counts(0, 3), &[1, 2, 3]).is_none(), "three codes of one bit");
        assert!(Symbols::new(&counts(3, 4), &[1, 2, 3]).is_none(), "a symbol is missing");
        assert!(Symbols::new(&counts(0, 2), &[1, 2]).is_some());
    }
}
