//! Interrupts at one rank while all predict a split: 12 rows are forwards of 4, dealt out to the ranks.

use mmc_run::{Freeze, PartialSettings, RunFolder};

use super::place::Place;
use super::{assert_same, finish, watched_sitting};
use crate::{Outcome, Progress};

/// What a rank is told when it is asked to stop.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// This step was taken: what comes next has not begun.
    Step(u64),
    /// So many rows of a split are done.
    Rows(&'static str, usize),
}

impl Moment {
    fn is(self, news: &Progress<'_>) -> bool {
        match (self, news) {
            (Self::Step(step), Progress::Step { record, .. }) => record.step == step,
            (Self::Rows(split, rows), Progress::Predicted { split: at, done, .. }) => {
                *at == split && *done == rows
            }
            _ => false,
        }
    }
}

/// One sitting of so many ranks, of which this one is asked to stop; how many steps and evaluations it
/// leaves.
struct Stop {
    count: usize,
    rank: usize,
    moment: Moment,
    leaves: (u64, usize),
}

fn stopped(place: &Place, name: &str, asked: &PartialSettings, stops: &[Stop]) {
    finish(1, (asked, &place.path(&format!("{name} whole"))));
    let run = place.path(name);
    for Stop { count, rank, moment, leaves } in stops {
        let stop = |at: usize, news: &Progress<'_>| at == *rank && moment.is(news);
        for (at, outcome) in watched_sitting(*count, (asked, &run), stop).into_iter().enumerate() {
            let outcome = outcome.unwrap();
            let Outcome::Interrupted { step } = outcome else {
                panic!("{name}, {moment:?}: rank {at} of {count} went on: {outcome:?}")
            };
            assert_eq!(step, leaves.0, "{name}, {moment:?}: rank {at} of {count}");
        }
        let folder = RunFolder::open(&run).unwrap();
        let evaluations = folder.evaluations().unwrap().len();
        assert_eq!(evaluations, leaves.1, "{name}, {moment:?} of {count}");
        assert!(!folder.scores_path().exists());
    }
    finish(2, (asked, &run));
    assert_same(&place.path(&format!("{name} whole")), &run, name);
}

/// Two steps an epoch, three epochs. With three ranks a split is one forward of each: it is stopped before
/// them or not at all.
#[test]
fn an_interrupt_at_any_rank_stops_what_all_predict() {
    let place = Place::new();
    let stop = |(count, rank): (usize, usize), moment: Moment, leaves: (u64, usize)| Stop {
        count,
        rank,
        moment,
        leaves,
    };
    let stops = [
        stop((2, 1), Moment::Rows("val", 8), (2, 0)),
        stop((1, 0), Moment::Rows("val", 4), (2, 0)), // made up by one process, which is stopped too
        stop((3, 0), Moment::Step(3), (3, 1)),
        stop((3, 2), Moment::Step(4), (4, 1)),
        stop((2, 0), Moment::Rows("val", 12), (4, 2)), // too late for what is made up
        stop((2, 0), Moment::Step(6), (6, 2)),
        stop((2, 1), Moment::Rows("val", 8), (6, 2)),
        stop((2, 0), Moment::Rows("test", 8), (6, 3)),
        stop((2, 1), Moment::Rows("test", 8), (6, 3)),
        stop((1, 0), Moment::Rows("test", 8), (6, 3)),
    ];
    stopped(&place, "vilt", &place.asked("vilt-tiny"), &stops);

    // The rows of `train` and `val` go through the backbone first.
    let freeze = Some(Freeze::Backbone);
    let frozen = PartialSettings { freeze, ..place.asked("clip-tiny") };
    let stops = [
        stop((2, 1), Moment::Rows("train", 8), (0, 0)),
        stop((2, 0), Moment::Rows("val", 8), (0, 0)),
        stop((3, 2), Moment::Step(2), (2, 0)),
        stop((2, 1), Moment::Step(6), (6, 2)),
        stop((2, 0), Moment::Rows("val", 8), (6, 2)),
        stop((2, 1), Moment::Rows("test", 8), (6, 3)),
    ];
    stopped(&place, "frozen", &frozen, &stops);
}
