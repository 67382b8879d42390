//! The codes of a JPEG file (ITU-T T.81, annexes C and F).

use super::bits::Bits;

/// Bits that are looked up at once; four times as many can be taken after [`Bits::fill`].
const LOOKED_UP: u32 = 11;
const ENTRIES: usize = 1 << LOOKED_UP;

/// The run that ends a block, beyond every place in it.
pub(super) const END: usize = 64;
/// One above the last place that a block's runs can lead to.
pub(super) const PLACES: usize = 2 * END;

/// A Huffman table: what the next bits mean.
pub(super) struct Table {
    /// By the next bits: `length << 8 | symbol` of the code, 0 where it is longer.
    symbols: Box<[u16; ENTRIES]>,
    /// By the next bits, where code and number fit into them: `number << 16 | run << 8 | length`;
    /// else 0.
    numbers: Box<[u32; ENTRIES]>,
    /// By the length of a code: one above its largest code, aligned to 16 bits.
    ends: [u32; 17],
    /// By the length of a code: what to add to it for the place of its symbol in `listed`.
    offsets: [i32; 17],
    listed: Vec<u8>,
}

impl Table {
    /// From the number of codes of each length and their symbols in order; `None` where they are more
    /// than there can be.
    pub(super) fn new(counts: &[u8; 16], listed: &[u8]) -> Option<Self> {
        let mut table = Self {
            symbols: Box::new([0; ENTRIES]),
            numbers: Box::new([0; ENTRIES]),
            ends: [0; 17],
            offsets: [0; 17],
            listed: listed.to_vec(),
        };
        let (mut code, mut place) = (0_u32, 0_usize);
        for (length, &count) in (1..=16_u32).zip(counts) {
            let symbols = listed.get(place..place + usize::from(count))?;
            if code + symbols.len() as u32 > 1 << length {
                return None;
            }
            table.offsets[length as usize] = place as i32 - code as i32;
            for &symbol in symbols {
                if length <= LOOKED_UP {
                    let first = (code << (LOOKED_UP - length)) as usize;
                    let covered = &mut table.symbols[first..first + (1 << (LOOKED_UP - length))];
                    covered.fill(((length as u16) << 8) | u16::from(symbol));
                }
                code += 1;
            }
            place += symbols.len();
            table.ends[length as usize] = code << (16 - length);
            code <<= 1;
        }
        for (next, number) in (0..).zip(table.numbers.iter_mut()) {
            *number = number_of(table.symbols[next as usize], next);
        }
        Some(table)
    }

    /// A difference of DC coefficients; takes up to 31 bits.
    #[inline(always)]
    fn difference(&self, bits: &mut Bits<'_>) -> i32 {
        let size = u32::from(self.symbol(bits)) & 15;
        extended(bits.take(size), size)
    }

    /// The zeros before an AC coefficient, and the coefficient. Takes up to 11 bits, or fills.
    #[inline(always)]
    fn coefficient(&self, bits: &mut Bits<'_>) -> (usize, i16) {
        let entry = self.numbers[bits.next(LOOKED_UP) as usize % ENTRIES];
        if entry != 0 {
            bits.skip(entry & 0xFF);
            return (((entry >> 8) & 0xFF) as usize, (entry >> 16) as i16);
        }
        self.long_coefficient(bits)
    }

    #[cold]
    #[inline(never)]
    fn long_coefficient(&self, bits: &mut Bits<'_>) -> (usize, i16) {
        bits.fill();
        let symbol = u32::from(self.symbol(bits));
        let (run, size) = (symbol >> 4, symbol & 15);
        let value = extended(bits.take(size), size) as i16;
        bits.fill();
        if size == 0 && run < 15 { (END, 0) } else { (run as usize, value) }
    }

    /// The next symbol, up to 16 bits; 0 where no code begins like this.
    #[inline(always)]
    fn symbol(&self, bits: &mut Bits<'_>) -> u8 {
        let entry = self.symbols[bits.next(LOOKED_UP) as usize % ENTRIES];
        if entry != 0 {
            bits.skip(u32::from(entry >> 8));
            return entry as u8;
        }
        self.long_symbol(bits)
    }

    #[cold]
    fn long_symbol(&self, bits: &mut Bits<'_>) -> u8 {
        let next = bits.next(16);
        for length in LOOKED_UP + 1..=16 {
            if next < self.ends[length as usize] {
                bits.skip(length);
                let place = (next >> (16 - length)) as i32 + self.offsets[length as usize];
                return self.listed.get(place as usize).copied().unwrap_or(0);
            }
        }
        bits.skip(16);
        0
    }
}

/// The codes of a component.
pub(super) struct Codes<'a> {
    pub(super) dc: &'a Table,
    pub(super) ac: &'a Table,
}

impl Codes<'_> {
    /// Reads a block whose neighbour before it had the mean `before`, which becomes its own, and hands
    /// on its coefficients with their places, below [`PLACES`]; those from 64 on are none of the block.
    #[inline(always)]
    pub(super) fn read(
        &self,
        bits: &mut Bits<'_>,
        before: &mut i16,
        mut keep: impl FnMut(usize, i16),
    ) {
        bits.fill();
        *before = before.wrapping_add(self.dc.difference(bits) as i16);
        keep(0, *before);
        let mut at = 1;
        while at < END {
            bits.fill();
            for _ in 0..4 {
                let (run, value) = self.ac.coefficient(bits);
                at += run;
                keep(at, value);
                at += 1;
                if at >= END {
                    break;
                }
            }
        }
    }
}

/// The entry of `numbers` for these bits, which begin with a code of this length and symbol.
fn number_of(code: u16, next: u32) -> u32 {
    let (length, symbol) = (u32::from(code >> 8), u32::from(code & 0xFF));
    let (run, size) = (symbol >> 4, symbol & 15);
    if length == 0 || length + size > LOOKED_UP {
        return 0;
    }
    let bits = next & ((1 << (LOOKED_UP - length)) - 1);
    let number = extended(bits >> (LOOKED_UP - length - size), size);
    let run = if size == 0 && run < 15 { END as u32 } else { run };
    ((number as u32) << 16) | (run << 8) | (length + size)
}

/// The number that `size` bits mean (F.2.2.1).
#[inline(always)]
fn extended(bits: u32, size: u32) -> i32 {
    if size == 0 {
        return 0;
    }
    let low = bits < 1 << (size - 1);
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
        assert!(Table::new(&counts(0, 3), &[1, 2, 3]).is_none(), "three codes of one bit");
        assert!(Table::new(&counts(3, 4), &[1, 2, 3]).is_none(), "a symbol is missing");
        assert!(Table::new(&counts(0, 2), &[1, 2]).is_some());
    }

    /// A code of 16 bits, a number of 15, and an end behind them.
    #[test]
    fn long_codes_are_read_too() {
        let mut counts = [0; 16];
        (counts[0], counts[15]) = (1, 1);
        let table = Table::new(&counts, &[0x00, 0x2F]).unwrap();
        let data = [0x80, 0x00, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut bits = Bits::new(&data);
        bits.fill();
        assert_eq!(table.coefficient(&mut bits), (2, 32_767));
        bits.skip(1);
        assert_eq!(table.coefficient(&mut bits), (END, 0));
    }
}
