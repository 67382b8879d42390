//! What a cell must reach.

use super::cell::{Cell, Counts, MARGIN};
use super::world::Kind;

/// The wrong share that the verdict promises at most.
const NOMINAL: f64 = 0.025;

/// The share of intervals that must hold the truth.
const COVERAGE: f64 = 0.93;

/// Shares left undecided by an independent simulation of the two-way t rule in Python, with the
/// experiments it rests on: items, seeds, gain, undecided, experiments.
const KNOWN: &[(usize, usize, f64, f64, f64)] = &[
    (500, 3, 0.0, 0.845, 400.0),
    (500, 3, 0.02, 0.812, 400.0),
    (500, 3, 0.06, 0.235, 400.0),
    (500, 5, 0.0, 0.820, 150.0),
    (500, 5, 0.005, 0.840, 150.0),
    (500, 5, 0.02, 0.833, 150.0),
    (500, 5, 0.04, 0.427, 150.0),
    (500, 5, 0.06, 0.160, 150.0),
    (2000, 3, 0.0, 0.690, 400.0),
    (2000, 3, 0.005, 0.785, 400.0),
    (2000, 3, 0.02, 0.722, 400.0),
    (2000, 3, 0.04, 0.330, 400.0),
    (2000, 3, 0.06, 0.068, 400.0),
    (2000, 5, 0.0, 0.568, 400.0),
    (2000, 5, 0.005, 0.730, 400.0),
    (2000, 5, 0.02, 0.600, 400.0),
    (2000, 5, 0.04, 0.112, 400.0),
    (2000, 5, 0.06, 0.005, 400.0),
];

/// A share beside its bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Against {
    pub(super) share: f64,
    pub(super) bar: f64,
}

/// A cell with what it came to and its bars.
pub(super) struct Judged {
    pub(super) cell: Cell,
    pub(super) counts: Counts,
    /// Verdicts that are wrong for this gain, at most; `None` where neither decided one is.
    pub(super) wrong: Option<Against>,
    /// Verdicts other than undecided, at least; `None` where nothing is known.
    pub(super) decided: Option<Against>,
    /// The same, were the share that is known exact: said where it is missed, and no bar.
    pub(super) decided_were_it_exact: Option<Against>,
    /// Intervals that hold the truth, at least.
    pub(super) covered: Against,
}

impl Judged {
    pub(super) fn new(cell: Cell, counts: Counts) -> Self {
        let n = (counts.multimodal + counts.text_suffices + counts.undecided) as f64;
        let gain = cell.world.gain;
        let wrong = if gain <= 0.0 {
            Some(counts.multimodal)
        } else if gain >= MARGIN {
            Some(counts.text_suffices)
        } else {
            None
        };
        let two_errors = 2.0 * (NOMINAL * (1.0 - NOMINAL) / n).sqrt();
        let wrong =
            wrong.map(|count| Against { share: count as f64 / n, bar: NOMINAL + two_errors });
        let known = KNOWN.iter().find(|row| {
            cell.world.kind == Kind::Plain
                && (row.0, row.1) == (cell.world.items, cell.world.seeds)
                && (row.2 - gain).abs() < 1e-9
        });
        let found = (counts.multimodal + counts.text_suffices) as f64 / n;
        let decided = |experiments_known: &dyn Fn(f64) -> f64| {
            known.map(|&(_, _, _, undecided, experiments)| {
                let share = 1.0 - undecided;
                let one_over = 1.0 / n + 1.0 / experiments_known(experiments);
                let error = (share * undecided * one_over).sqrt();
                Against { share: found, bar: share - 2.0 * error }
            })
        };
        // Both figures are estimates, so it is their difference that has the error.
        let (decided, decided_were_it_exact) =
            (decided(&|experiments| experiments), decided(&|_| f64::INFINITY));
        let covered = Against { share: counts.covered as f64 / n, bar: COVERAGE };
        Self { cell, counts, wrong, decided, decided_were_it_exact, covered }
    }

    /// Coverage is only reported where seeds collapse.
    pub(super) fn must_cover(&self) -> bool {
        self.cell.world.kind != Kind::Collapsing
    }

    /// The bars that are missed, by name.
    pub(super) fn missed(&self) -> Vec<&'static str> {
        let mut missed = Vec::new();
        if self.wrong.is_some_and(|found| found.share > found.bar) {
            missed.push("wrong too often");
        }
        if self.decided.is_some_and(|found| found.share < found.bar) {
            missed.push("decided too rarely");
        }
        if self.must_cover() && self.covered.share < self.covered.bar {
            missed.push("covers too rarely");
        }
        missed
    }

    /// Whether less is decided than an exact share would ask for.
    pub(super) fn is_short_of_exact(&self) -> bool {
        self.decided_were_it_exact.is_some_and(|found| found.share < found.bar)
    }

    pub(super) fn passes(&self) -> bool {
        self.missed().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::World;
    use super::*;

    fn judged(gain: f64, [multimodal, text_suffices, undecided, covered]: [u64; 4]) -> Judged {
        let world = World { kind: Kind::Plain, items: 2000, seeds: 5, gain };
        Judged::new(Cell { world }, Counts { multimodal, text_suffices, undecided, covered })
    }

    #[test]
    fn every_bar_can_be_missed() {
        // Nominal 0.025 and two errors of 0.0049 for 1,000 experiments.
        assert!(judged(0.0, [34, 400, 566, 950]).passes());
        assert_eq!(judged(0.0, [35, 400, 565, 950]).missed(), ["wrong too often"]);
        assert_eq!(judged(0.02, [390, 35, 575, 950]).missed(), ["wrong too often"]);
        assert_eq!(judged(0.06, [900, 0, 100, 950]).missed(), ["decided too rarely"]);
        assert_eq!(judged(0.06, [995, 0, 5, 929]).missed(), ["covers too rarely"]);
        assert!(judged(0.005, [90, 210, 700, 930]).wrong.is_none());
        assert_eq!(judged(-0.05, [40, 0, 960, 900]).missed().len(), 2);
    }
}
