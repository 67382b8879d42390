//! Tables that a thread keeps. Pictures of one origin often have the same ones (those of annex K, most of
//! all), and to make them takes as long as to decode a thumbnail.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::coefficients::Coefficients;

/// Two of a file, and those of another kind of file.
const TABLES: usize = 4;

struct Kept {
    counts: [u8; 16],
    symbols: Vec<u8>,
    table: Rc<Coefficients>,
}

thread_local! {
    static KEPT: RefCell<VecDeque<Kept>> = const { RefCell::new(VecDeque::new()) };
}

/// [`Coefficients::new`], or what it gave this thread not long ago.
pub(super) fn coefficients(counts: &[u8; 16], symbols: &[u8]) -> Option<Rc<Coefficients>> {
    KEPT.with_borrow_mut(|kept| {
        let is_this = |it: &Kept| it.counts == *counts && it.symbols == symbols;
        if let Some(known) = kept.iter().position(is_this).and_then(|at| kept.remove(at)) {
            let table = known.table.clone();
            kept.push_front(known);
            return Some(table);
        }
        let table = Rc::new(Coefficients::new(counts, symbols)?);
        kept.truncate(TABLES - 1);
        let symbols = symbols.to_vec();
        kept.push_front(Kept { counts: *counts, symbols, table: table.clone() });
        Some(table)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_tables_are_kept() {
        let counts = |length: usize| std::array::from_fn(|at| u8::from(at == length));
        let of = |length| coefficients(&counts(length), &[0]).unwrap();
        let first = of(0);
        let others: Vec<_> = (1..TABLES).map(of).collect();
        assert!(Rc::ptr_eq(&of(0), &first));
        assert!(others.iter().all(|table| !Rc::ptr_eq(table, &first)), "of other counts");
        assert!(!Rc::ptr_eq(&coefficients(&counts(0), &[1]).unwrap(), &first), "another symbol");
        assert!(Rc::ptr_eq(&of(0), &first) && Rc::ptr_eq(&of(2), &others[1]));
        assert!(!Rc::ptr_eq(&of(1), &others[0]), "the one longest not asked for went");
        assert!(coefficients(&counts(0), &[]).is_none(), "a symbol is missing");
    }
}
