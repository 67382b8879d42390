//! Ranks for tests.

use crate::ranks::Ranks;
use crate::ranks::threads::connect;

/// Does `work` as each of so many ranks, with one thread of rayon each; what came of it, in order.
pub(crate) fn on_ranks<R: Send>(count: usize, work: impl Fn(Ranks) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let work = &work;
        let started: Vec<_> = connect(count)
            .into_iter()
            .map(|(ranks, ended)| {
                scope.spawn(move || {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
                    let done = pool.install(|| work(ranks));
                    drop(ended);
                    done
                })
            })
            .collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
