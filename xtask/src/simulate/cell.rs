//! The cells of the simulation, and what one experiment of a cell comes to.

use mmc_metrics::metric;
use mmc_report::{Answer, judge};
use rayon::prelude::*;

use super::world::{Kind, World};
use crate::failure::Failure;

/// The smallest gain that matters.
pub(super) const MARGIN: f64 = 0.02;

/// The gains of the plain cells: a loss, none, a quarter of the margin, the margin, where "text
/// suffices" is wrong by the least, two and three margins.
const GAINS: [f64; 6] = [-0.05, 0.0, 0.005, MARGIN, 0.04, 0.06];

/// The gains of the other cells.
const EDGES: [f64; 3] = [0.0, MARGIN, 0.06];

/// One cell: a world and its number of items and seeds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) world: World,
}

/// What came of the experiments of a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) multimodal: u64,
    pub(super) text_suffices: u64,
    pub(super) undecided: u64,
    /// Experiments whose interval holds the true gain.
    pub(super) covered: u64,
}

/// All cells, in the order of the page.
pub(super) fn all() -> Vec<Cell> {
    let mut cells = Vec::new();
    for items in [500, 2000] {
        for seeds in [3, 5] {
            cells.extend(GAINS.map(|gain| (Kind::Plain, items, seeds, gain)));
        }
    }
    for kind in [Kind::Clustered, Kind::Unbalanced, Kind::Collapsing, Kind::UnequalSeeds] {
        cells.extend(EDGES.map(|gain| (kind, 2000, 5, gain)));
    }
    let cell = |(kind, items, seeds, gain)| Cell { world: World { kind, items, seeds, gain } };
    cells.into_iter().map(cell).collect()
}

impl Cell {
    /// Runs the experiments on all cores; their order does not matter, since each has its own draws
    /// and counts are summed.
    pub(super) fn simulate(&self, experiments: u64, seed: u64) -> Result<Counts, Failure> {
        let outcomes: Vec<Counts> = (0..experiments)
            .into_par_iter()
            .map(|number| self.experiment(seed, number))
            .collect::<Result<_, String>>()
            .map_err(Failure::work)?;
        Ok(outcomes.into_iter().fold(Counts::default(), |sum, one| Counts {
            multimodal: sum.multimodal + one.multimodal,
            text_suffices: sum.text_suffices + one.text_suffices,
            undecided: sum.undecided + one.undecided,
            covered: sum.covered + one.covered,
        }))
    }

    fn experiment(&self, seed: u64, number: u64) -> Result<Counts, String> {
        let draw = self.world.draw(seed, number);
        let auroc = metric("auroc").map_err(|error| error.to_string())?;
        let (text, both) = (draw.items(0), draw.items(1));
        let (answer, gains) = judge(auroc, MARGIN, &text, &[&both]);
        let interval = gains[0].interval.ok_or_else(|| {
            gains[0].absent.clone().unwrap_or_else(|| "an experiment has no interval".to_owned())
        })?;
        Ok(Counts {
            multimodal: u64::from(answer == Answer::Multimodal),
            text_suffices: u64::from(answer == Answer::TextSuffices),
            undecided: u64::from(answer == Answer::Undecided),
            covered: u64::from(interval.contains(self.world.gain)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simulate(gain: f64) -> Counts {
        let world = World { kind: Kind::Plain, items: 500, seeds: 5, gain };
        Cell { world }.simulate(60, 0).unwrap()
    }

    /// The whole in small: right where the gain is large or a loss, rarely wrong between.
    #[test]
    fn verdicts_follow_the_truth() {
        let (large, none, loss) = (simulate(0.12), simulate(0.0), simulate(-0.1));
        assert!(large.multimodal >= 57, "{large:?}");
        assert!(loss.text_suffices >= 57, "{loss:?}");
        assert!(none.multimodal <= 5, "{none:?}"); // 1.5 expected, three standard errors above
        for counts in [large, none, loss] {
            assert_eq!(counts.multimodal + counts.text_suffices + counts.undecided, 60);
            assert!(counts.covered >= 52, "{counts:?}"); // 57 expected, three below
        }
    }

    #[test]
    fn threads_change_no_count() {
        let cell =
            Cell { world: World { kind: Kind::Clustered, items: 200, seeds: 3, gain: 0.02 } };
        let in_threads = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| cell.simulate(30, 2).unwrap())
        };
        assert_eq!(in_threads(1), in_threads(3));
        assert_ne!(cell.simulate(30, 2).unwrap(), cell.simulate(30, 3).unwrap());
    }
}
